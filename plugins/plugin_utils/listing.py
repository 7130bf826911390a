# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the inventory makes of hosts and jails: who has which name, and how a jail is reached."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ansible.errors import AnsibleParserError
from ansible.template import trust_as_template
from ansible.utils.unsafe_proxy import wrap_var

from ansible_collections.cellblock.jails.plugins.plugin_utils import probe

HOST = re.compile(r"(?:(?P<user>[^@\s]+)@)?(?P<name>\[[0-9A-Fa-f:.]+\]|[^:\s]+)(?::(?P<port>\d+))?\Z")
# Of the ssh plugin's variables, those that name the host itself.
OWN_NAMES = {"inventory_hostname", "ansible_host", "ansible_ssh_host"}

Variables = dict[str, Any]


def check_keys(given: Iterable[str], known: Iterable[str], path: str) -> None:
    """Refuse an option that there is not.

    :raises AnsibleParserError: with the nearest one.
    """
    names = sorted(known)
    for key in given:
        if key not in names:
            near = difflib.get_close_matches(str(key), names, 1)
            hint = f"The nearest is {near[0]}" if near else f"There are {', '.join(names)}"
            raise AnsibleParserError(f"{path}: there is no option {key}. {hint}.")


def host_entry(entry: Any) -> tuple[str, Variables]:
    """A jail host as the option ``hosts`` gives it: its name, and the variables that stand there."""
    if isinstance(entry, Mapping) and entry.get("name"):
        return str(entry["name"]), {str(key): value for key, value in entry.items() if key != "name"}
    match = HOST.match(str(entry))
    if isinstance(entry, Mapping) or not match:
        raise AnsibleParserError(f"{entry!r} is not a host. Give a name, user@name:port, or a dictionary with a name.")
    variables: Variables = {"ansible_user": match["user"]} if match["user"] else {}
    variables |= {"ansible_port": int(match["port"])} if match["port"] else {}
    return match["name"].strip("[]"), variables


def trusted(value: Any) -> Any:
    """The operator's environment may hold expressions, as the operator's files may."""
    if isinstance(value, dict):
        return {key: trusted(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [trusted(entry) for entry in value]
    return trust_as_template(value) if isinstance(value, str) else value


def connection(host: str, variables: Variables, jail: Mapping[str, Any], templated: Callable[[Any], Any]) -> Variables:
    """How to reach a jail: as its host, and then in.

    :param templated: gives a variable of the host as the host sees it.
    """
    ours = {"ansible_python_interpreter", *probe.ssh_variables()} - OWN_NAMES
    taken = {key: templated(value) for key, value in variables.items() if key in ours or key.startswith("ansible_jail_")}
    address = variables.get("ansible_host") or variables.get("ansible_ssh_host") or host
    become = {key: templated(value) for key, value in variables.items() if "become" in key}
    return {
        **escalation(become),
        **taken,
        "ansible_connection": "cellblock.jails.jexec",
        "ansible_jail_host": templated(address),
        "ansible_jail_name": wrap_var(str(jail["name"])),
        **({"ansible_jail_root": wrap_var(str(jail["path"]))} if jail["path"] else {}),
    }


def escalation(become: Variables) -> Variables:
    """What the host's become variables mean for jexec."""
    if str(become.get("ansible_become", "")).lower() not in ("true", "yes", "1"):
        return {}
    method = str(become.get("ansible_become_method") or "sudo")
    found = {"ansible_jail_privilege_escalation": "doas" if method.endswith(".doas") else method}
    password = become.get("ansible_become_password", become.get("ansible_become_pass"))
    return {**found, **({"ansible_jail_escalation_password": password} if password else {})}


class Names:
    """Who has which name; a host that is known already never becomes somebody's jail by being named so.

    :param others: the hosts of other sources, each with the jail host that it says it is on, if it says so.
    :param jail_hosts: the jail hosts.
    """

    def __init__(self, others: Mapping[str, Any], jail_hosts: Iterable[str]) -> None:
        self._others, self._jail_hosts = others, set(jail_hosts)
        self._taken: dict[str, str] = {}

    def taken(self, name: str, address: Any) -> str | None:
        """What has a name already; None when a jail can have it.

        :param address: the jail's host as ssh knows it; another source that says the same means this jail.
        """
        if name in self._taken:
            return self._taken[name]
        if name in self._jail_hosts:
            return f"the jail host {name}"
        if name in self._others and self._others[name] != address:
            return f"the host {name} of another inventory source"
        return None

    def take(self, name: str, whose: str) -> None:
        """Note a name."""
        self._taken[name] = whose
