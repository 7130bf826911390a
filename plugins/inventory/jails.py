# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Jails as hosts of the inventory."""

from __future__ import annotations

DOCUMENTATION = r"""
name: jails
short_description: The jails of FreeBSD hosts as hosts
version_added: 0.1.0
description:
  - Asks jail hosts for their jails, or takes them from the variables that the role P(cellblock.jails.jail#role) takes,
    and makes each a host that P(cellblock.jails.jexec#connection) reaches.
  - The jail hosts are those of a group of the inventory so far (O(host_group)), so that one inventory holds hosts and
    jails; or they are given (O(hosts)).
  - The name of the file ends with C(jails.yml), C(jails.yaml), C(cellblock.yml) or C(cellblock.yaml).
  - Every jail has the variable C(cellblock_jail), a dictionary with C(name), C(host), C(state), C(jid), C(path),
    C(hostname), C(ip4), C(ip6), C(vnet), C(managed), C(base), C(root), C(definition), C(parameters), C(meta) and
    C(tags).
author:
  - cellblock.jails contributors (@cellblock)
extends_documentation_fragment:
  - inventory_cache
options:
  plugin:
    description: This plugin's name.
    type: string
    required: true
    choices: [cellblock.jails.jails]
    env:
      - name: CELLBLOCK_JAILS_PLUGIN
  mode:
    description:
      - V(live) asks the hosts with one ssh command each. V(offline) takes the variable C(jails) of each host, and
        connects to nothing.
    type: string
    choices: [live, offline]
    default: live
    env:
      - name: CELLBLOCK_JAILS_MODE
  hosts:
    description:
      - The jail hosts. Each is a name, C(user@name) or C(user@name:port), or a dictionary with C(name) and variables
        such as C(ansible_host), C(ansible_user) and, for V(offline) of O(mode), C(jails).
      - In the environment, a JSON list, or names separated by commas.
    type: raw
    env:
      - name: CELLBLOCK_JAILS_HOSTS
  host_group:
    description: The group whose hosts are the jail hosts, unless O(hosts) are given.
    type: string
    default: jail_hosts
    env:
      - name: CELLBLOCK_JAILS_HOST_GROUP
  user:
    description: The ssh user on the hosts that do not say so themselves.
    type: string
    env:
      - name: CELLBLOCK_JAILS_USER
  private_key_file:
    description: The key for the hosts that do not say so themselves.
    type: path
    env:
      - name: CELLBLOCK_JAILS_PRIVATE_KEY_FILE
  ssh_common_args:
    description: Arguments of ssh for the hosts that do not say so themselves.
    type: string
    env:
      - name: CELLBLOCK_JAILS_SSH_COMMON_ARGS
  privilege_escalation:
    description: What the connection to the jails uses on the hosts that do not say so themselves.
    type: string
    env:
      - name: CELLBLOCK_JAILS_PRIVILEGE_ESCALATION
  timeout:
    description: Seconds for one host to answer.
    type: float
    default: 15
    env:
      - name: CELLBLOCK_JAILS_TIMEOUT
  parallel:
    description: Hosts to ask at once.
    type: integer
    default: 20
    env:
      - name: CELLBLOCK_JAILS_PARALLEL
  dead_hosts:
    description: What a host that does not answer is.
    type: string
    choices: [warning, error, ignore]
    default: warning
    env:
      - name: CELLBLOCK_JAILS_DEAD_HOSTS
  states:
    description: The states to list jails of, any of V(running), V(stopped) and V(dying).
    type: list
    elements: string
    default: [running, stopped, dying]
    env:
      - name: CELLBLOCK_JAILS_STATES
  include:
    description: Names or patterns of the jails to list.
    type: list
    elements: string
    default: ["*"]
    env:
      - name: CELLBLOCK_JAILS_INCLUDE
  exclude:
    description: Names or patterns of the jails to leave out. FreeBSD's service jails are named C(svcj-*).
    type: list
    elements: string
    default: ["svcj-*"]
    env:
      - name: CELLBLOCK_JAILS_EXCLUDE
  name:
    description:
      - A Jinja expression for a jail's name in the inventory. It sees C(jail), the dictionary, and C(host), the
        host's name.
    type: string
    default: jail.name ~ '.' ~ host
    env:
      - name: CELLBLOCK_JAILS_NAME
  clash:
    description:
      - What to do when two jails get the same name, or a jail gets the name of a jail host or of a host that another
        source of the inventory has, since whoever is root on one host could else take the place of another's.
      - V(error). V(first) keeps the one that is there, and of jails the first, in the order of the hosts and then of
        the jails' names, and warns.
      - A host of another source that has C(ansible_jail_host) of this very jail host is this jail, and no clash.
    type: string
    choices: [error, first]
    default: error
    env:
      - name: CELLBLOCK_JAILS_CLASH
  group:
    description: The group of all jails.
    type: string
    default: jails
    env:
      - name: CELLBLOCK_JAILS_GROUP
  group_prefix:
    description:
      - What the names of the other groups begin with; C(jail_host_HOST), C(jail_state_STATE), C(jail_base_BASE),
        C(jail_tag_TAG), C(jail_meta_KEY_VALUE). Tags are those of the jail's C(meta.tags).
    type: string
    default: jail_
    env:
      - name: CELLBLOCK_JAILS_GROUP_PREFIX
  connection_options:
    description: Variables for every jail, such as C(ansible_jail_user). In the environment, JSON.
    type: raw
    default: {}
    env:
      - name: CELLBLOCK_JAILS_CONNECTION_OPTIONS
  strict:
    description: Whether an expression that fails is an error.
    type: boolean
    default: false
    env:
      - name: CELLBLOCK_JAILS_STRICT
  compose:
    description: Variables from Jinja expressions, which see the jail's variables. In the environment, JSON.
    type: raw
    default: {}
    env:
      - name: CELLBLOCK_JAILS_COMPOSE
  groups:
    description: Groups by Jinja conditions. In the environment, JSON.
    type: raw
    default: {}
    env:
      - name: CELLBLOCK_JAILS_GROUPS
  keyed_groups:
    description:
      - Groups by the values of Jinja expressions; a list of dictionaries with C(key), C(prefix), C(separator),
        C(parent_group), C(default_value) and C(trailing_separator), as in C(ansible.builtin.constructed).
      - In the environment, JSON.
    type: raw
    default: []
    env:
      - name: CELLBLOCK_JAILS_KEYED_GROUPS
  use_extra_vars:
    description: Whether expressions see the extra variables, before all others.
    type: boolean
    default: false
    ini:
      - section: inventory_plugins
        key: use_extra_vars
    env:
      - name: ANSIBLE_INVENTORY_USE_EXTRA_VARS
  leading_separator:
    description: Whether a keyed group without a prefix begins with its separator.
    type: boolean
    default: true
    env:
      - name: CELLBLOCK_JAILS_LEADING_SEPARATOR
notes:
  - What came from a host is never taken for a template.
  - A jail takes over its host's variables for ssh (C(ansible_user), C(ansible_port), C(ansible_ssh_private_key_file)
    and so on), its C(ansible_jail_*) and its C(ansible_python_interpreter). C(ansible_become) of a host becomes
    C(ansible_jail_privilege_escalation) of its jails.
  - Only a complete answer is cached, one without dead hosts.
seealso:
  - plugin: cellblock.jails.jexec
    plugin_type: connection
"""

EXAMPLES = r"""
# inventory/jails.yml, beside inventory/hosts.yml with the group jail_hosts: what runs there now.
plugin: cellblock.jails.jails
keyed_groups:
  - key: cellblock_jail.parameters.osrelease | regex_search('^[0-9]+')
    prefix: freebsd
compose:
  ansible_jail_user: "'deploy' if 'deploy' in cellblock_jail.tags else 'root'"

# The same jails from the variables of the hosts, without a connection.
# plugin: cellblock.jails.jails
# mode: offline

# Hosts of its own.
# plugin: cellblock.jails.jails
# hosts:
#   - root@jailhost1.example.org
#   - name: jailhost2
#     ansible_host: 192.0.2.12
#     ansible_user: admin
#     ansible_jail_privilege_escalation: doas
"""

from typing import Any

import yaml
from ansible.errors import AnsibleError, AnsibleParserError
from ansible.inventory.helpers import get_group_vars
from ansible.plugins.inventory import BaseInventoryPlugin, Cacheable, Constructable
from ansible.utils.unsafe_proxy import wrap_var
from ansible.utils.vars import combine_vars
from ansible.vars.plugins import get_vars_from_inventory_sources

from ansible_collections.cellblock.jails.plugins.module_utils.errors import CellblockError
from ansible_collections.cellblock.jails.plugins.plugin_utils import declared, listing, probe, remote, survey
from ansible_collections.cellblock.jails.plugins.plugin_utils.listing import Names, Variables
from ansible_collections.cellblock.jails.plugins.plugin_utils.shown import line

LONGEST_GROUP = 200
SUFFIXES = ("jails.yml", "jails.yaml", "cellblock.yml", "cellblock.yaml")
# The plugin's own options for what a host does not say itself.
FALLBACKS = {
    "user": "ansible_user",
    "private_key_file": "ansible_ssh_private_key_file",
    "ssh_common_args": "ansible_ssh_common_args",
    "privilege_escalation": "ansible_jail_privilege_escalation",
}


class InventoryModule(BaseInventoryPlugin, Constructable, Cacheable):  # type: ignore[misc]
    """Lists jails."""

    NAME = "cellblock.jails.jails"

    def verify_file(self, path: str) -> bool:
        """Whether the file may be ours, by its name."""
        return bool(super().verify_file(path)) and path.endswith(SUFFIXES)

    def parse(self, inventory: Any, loader: Any, path: str, cache: bool = True) -> None:
        """Fill the inventory."""
        super().parse(inventory, loader, path, cache)
        config = self._read_config_data(path)
        listing.check_keys(config, [*self.get_options(), "plugin"], path)
        others = {name: host.vars.get("ansible_jail_host") for name, host in self.inventory.hosts.items()}
        try:
            hosts = self._hosts()
            found = self._declared(hosts) if self.get_option("mode") == "offline" else self._live(hosts, path, cache)
        except CellblockError as error:
            raise AnsibleParserError(str(error)) from error
        self._constructed = {name: self._structured(name) for name in ("compose", "groups", "keyed_groups")}
        self.inventory.add_group(self.get_option("group"))
        names = Names(others, hosts)
        for host, jails in found.items():
            for jail in self._wanted(host, jails):
                self._add(host, hosts.get(host, {}), jail, names)

    # -- options

    def _structured(self, option: str) -> Any:
        """An option that is a structure; from the environment it comes as text."""
        value = self.get_option(option)
        if not isinstance(value, str):
            return value
        try:
            return listing.trusted(yaml.safe_load(value))
        except yaml.YAMLError as error:
            raise AnsibleParserError(f"{option} is neither JSON nor YAML: {error}") from error

    # -- hosts

    def _hosts(self) -> dict[str, Variables]:
        """The jail hosts' variables, by name."""
        given = self.get_option("hosts")
        if isinstance(given, str):
            given = (
                self._structured("hosts")
                if given.lstrip().startswith("[")
                else [part.strip() for part in given.split(",") if part.strip()]
            )
        hosts = dict(self._given(entry) for entry in given) if given else self._grouped()
        for variables in hosts.values():
            for option, variable in FALLBACKS.items():
                value = self.get_option(option)
                if value is not None:
                    variables.setdefault(variable, value)
        return hosts

    def _given(self, entry: Any) -> tuple[str, Variables]:
        name, variables = listing.host_entry(entry)
        known = self.inventory.get_host(name)
        return name, {**(self._variables(known) if known else {}), **variables, "inventory_hostname": name}

    def _grouped(self) -> dict[str, Variables]:
        group = self.inventory.groups.get(self.get_option("host_group"))
        if group is None or not group.get_hosts():
            self.display.warning(
                f"There are no jail hosts: the inventory so far has no group {self.get_option('host_group')} "
                "with hosts. Name another in host_group, or give hosts; "
                "files of a directory are read in the order of their names."
            )
            return {}
        return {host.name: self._variables(host) for host in group.get_hosts()}

    def _variables(self, host: Any) -> Variables:
        """What the inventory says of a host, with group_vars and host_vars."""
        sources = getattr(self.inventory, "processed_sources", [])
        groups = host.get_groups()
        variables = get_group_vars(groups)
        for entities in (groups, [host]):
            variables = combine_vars(variables, get_vars_from_inventory_sources(self.loader, sources, entities, "all"))
            variables = combine_vars(variables, host.get_vars() if entities == [host] else {})
        return {**variables, "inventory_hostname": host.name}

    def _templated(self, value: Any, variables: Variables) -> Any:
        """A variable of a host as the host sees it; what is encrypted stays so."""
        self.templar.available_variables = variables
        return self.templar.template(value) if self.templar.is_template(value) else value

    # -- jails

    def _declared(self, hosts: dict[str, Variables]) -> dict[str, list[dict[str, Any]]]:
        found = {}
        for host, variables in hosts.items():
            self.templar.available_variables = variables
            try:
                given = self.templar.template(variables.get("jail_jails") or variables.get("jails") or [])
                relevant: Variables = {
                    key: self._templated(variables[key], variables)
                    for key in ("jail_storage_path", "jail_boot_style")
                    if key in variables
                }
            except AnsibleError as error:
                raise AnsibleParserError(f"The declared jails of {host} cannot be told: {error}") from error
            try:
                found[host] = declared.jails(given, relevant)
            except CellblockError as error:
                raise AnsibleParserError(f"The declared jails of {host}: {error}") from error
        return found

    def _live(self, hosts: dict[str, Variables], path: str, cache: bool) -> dict[str, list[dict[str, Any]]]:
        key, use = self.get_cache_key(path), self.get_option("cache")
        if use and cache and key in self._cache:
            return dict(self._cache[key])
        asked = {
            name: {
                key: self._templated(value, all_of)
                for key, value in all_of.items()
                if key.startswith("ansible_") or key in listing.OWN_NAMES
            }
            for name, all_of in hosts.items()
        }
        answers = probe.ask_all(asked, self.get_option("timeout"), self.get_option("parallel"))
        found = {}
        for host, answer in answers.items():
            if isinstance(answer, AnsibleError):
                self._dead(host, answer)
            else:
                found[host] = answer
        if use and len(found) == len(hosts):
            self._cache[key] = found
        return found

    def _dead(self, host: str, error: AnsibleError) -> None:
        text = f"The jails of {host} cannot be told: {line(str(error))}"
        if self.get_option("dead_hosts") == "error":
            raise AnsibleParserError(text)
        if self.get_option("dead_hosts") == "warning":
            self.display.warning(text)

    # -- the inventory

    def _add(self, host: str, about: Variables, jail: dict[str, Any], names: Names) -> None:
        facts = wrap_var({**jail, "host": host})
        name = str(self._compose(self.get_option("name"), {"jail": facts, "host": host}))
        way = listing.connection(host, about, jail, lambda value: self._templated(value, about))
        taken = names.taken(name, way["ansible_jail_host"])
        if taken:
            text = line(f"The jail {jail['name']} of {host} and {taken} would both be named {name}.", 500)
            if self.get_option("clash") == "error":
                raise AnsibleParserError(f"{text} Change the expression 'name', or set clash to first.")
            self.display.warning(f"{text} The first is kept.")
            return
        names.take(name, f"the jail {jail['name']} of {host}")
        self.inventory.add_host(name, group=self.get_option("group"))
        variables = {**way, **self._structured("connection_options"), "cellblock_jail": facts}
        for key, value in variables.items():
            self.inventory.set_variable(name, key, value)
        self._group(name, jail, host)
        self._construct(name, variables)

    def _wanted(self, host: str, jails: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The jails to list; one warning tells of those that could not be named."""
        wanted, odd = [], []
        for jail in jails:
            name = str(jail["name"])
            if jail["state"] not in self.get_option("states") or survey.matches(name, self.get_option("exclude")):
                continue
            try:
                remote.check_name(name)
            except CellblockError:
                odd.append(line(repr(name), 80))
                continue
            if survey.matches(name, self.get_option("include")):
                wanted.append(jail)
        if odd:
            more = f" and {len(odd) - 5} more" if len(odd) > 5 else ""
            self.display.warning(
                f"The jail {', '.join(odd[:5])}{more} of {host} is left out: ssh could not name it safely. Rename it."
            )
        return wanted

    def _group(self, name: str, jail: dict[str, Any], host: str) -> None:
        words = [f"host_{host}", f"state_{jail['state']}", *(f"tag_{tag}" for tag in jail["tags"])]
        words += [f"meta_{key}_{value}" for key, value in jail["meta"].items() if key != "tags"]
        words += [f"base_{jail['base']}"] if jail["base"] else []
        for word in words:
            word = word[:LONGEST_GROUP]
            group = self.inventory.add_group(self._sanitize_group_name(f"{self.get_option('group_prefix')}{word}"))
            self.inventory.add_host(name, group=group)

    def _construct(self, name: str, variables: Variables) -> None:
        strict = self.get_option("strict")
        self._set_composite_vars(self._constructed["compose"], variables, name, strict=strict)
        all_of = self.inventory.get_host(name).get_vars()
        self._add_host_to_composed_groups(self._constructed["groups"], all_of, name, strict=strict)
        self._add_host_to_keyed_groups(self._constructed["keyed_groups"], all_of, name, strict=strict)
