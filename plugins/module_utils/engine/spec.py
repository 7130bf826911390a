# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All that is wrong with given options, by an argument spec. Ansible's own check stops at the first, and does not say whose it is."""

from __future__ import annotations

import difflib
from typing import Any, Dict, Iterable, Iterator, List, Mapping, Tuple

from ansible.module_utils.common.validation import check_type_bool, check_type_int

from ansible_collections.cellblock.jails.plugins.module_utils.errors import InputError

KINDS = {"dict": "a dictionary", "list": "a list", "int": "a whole number", "bool": "yes or no", "str": "a text", "path": "a path"}
# What people write who come from other tools.
SENSES = {
    "started": "running up active", "stopped": "down halted off", "absent": "removed deleted destroyed purged",
    "ip4": "address addresses inet ipaddr ip ipv4 ip4_addr", "ip6": "inet6 ipv6 ip6_addr", "interface": "iface nic",
    "base": "release template version image", "boot": "autostart onboot enabled", "boot_order": "priority order",
    "devfs_ruleset": "ruleset devfs", "limits": "rlimits rlimit rctl resources", "hostname": "host fqdn host_hostname domain",
    "networks": "bridge bridges dhcp gateway defaultrouter", "depend": "depends requires after", "cpuset": "cpus cores", "timezone": "tz",
    "path": "rootdir", "was": "renamed rename", "copy_of": "clone_of copy", "resolv_conf": "dns nameserver nameservers", "authorized_keys": "ssh_keys pubkeys",
    "params": "parameters options properties", "mounts": "fstab volumes nullfs", "packages": "pkgs pkg", "exec": "hooks",
    "memoryuse": "memory mem ram", "pcpu": "cpu", "maxproc": "processes procs", "storage_dataset": "dataset zfs zpool",
    "storage_path": "jail_dir basedir",
}
# Names of jail(8) that stand inside of an option.
STARTS = {
    "exec": ("exec.", "exec_"),
    "params": (
        "allow.", "allow_", "mount.", "host.", "children", "ip4.", "ip6.", "sysv", "linux", "zfs.", "meta", "env", "stop.", "securelevel",
        "enforce_statfs", "persist", "osrel", "mac.",
    ),
}


def own_words(spec: Mapping[str, Any], given: Any, options: Mapping[str, Any]) -> Dict[str, Any]:
    """What is asked of one jail of a list: its own words, else those of the whole call; dictionaries have both.

    :param spec: an argument spec of one.
    :param given: its name, or a dictionary with it.
    :param options: the options of the module.
    :raises InputError: for what the spec does not know.
    """
    own: Any = {"name": given} if isinstance(given, str) else given
    if not isinstance(own, Mapping):
        raise InputError(f"{own!r} is no jail", "jails", "Give its name, or a dictionary with it")
    found = faults(spec, own)
    if found:
        raise InputError("; ".join(found), f"jails ({own.get('name')})")
    return {
        key: {**(options.get(key) or {}), **(own.get(key) or {})} if words["type"] == "dict" else own[key] if own.get(key) is not None else options.get(key)
        for key, words in spec.items()
    }


def faults(spec: Mapping[str, Any], given: Mapping[str, Any]) -> List[str]:
    """One sentence for each fault, with its place.

    :param spec: an argument spec.
    :param given: the options as they were given.
    """
    return [f"{where}: {text}" if where else text for where, text in _of_options(spec, given, "")]


def sound(spec: Mapping[str, Any], given: Mapping[str, Any]) -> Dict[str, Any]:
    """The options that have no fault; items of a list of dictionaries keep their places."""
    names = _names(spec)
    kept: Dict[str, Any] = {}
    for key, value in given.items():
        one = spec.get(names.get(str(key), ""))
        if one is None or value is None:
            continue
        if one.get("elements") == "dict" and one.get("options") and isinstance(value, (list, tuple)):
            kept[names[str(key)]] = [sound(one["options"], item) if isinstance(item, Mapping) else {} for item in value]
        elif not any(True for _fault in _of_value(one, value, "")):
            kept[names[str(key)]] = value
    return kept


def _names(spec: Mapping[str, Any]) -> Dict[str, str]:
    """The options by all names that they go by."""
    return {alias: name for name, one in spec.items() for alias in (name, *one.get("aliases", ()))}


def _of_options(spec: Mapping[str, Any], given: Mapping[str, Any], where: str) -> Iterator[Tuple[str, str]]:
    names = _names(spec)
    for key in given:
        if str(key) not in names and not str(key).startswith("_ansible_"):
            yield where, f"{key} is not an option. {nearest(str(key), names)}"
    for name, one in spec.items():
        found = [given[alias] for alias in (name, *one.get("aliases", ())) if given.get(alias) is not None]
        if found:
            yield from _of_value(one, found[0], f"{where}, {name}" if where else name)
        elif one.get("required"):
            yield where, f"{name} is missing"


def _of_value(one: Mapping[str, Any], value: Any, where: str) -> Iterator[Tuple[str, str]]:
    kind = one.get("type", "str")
    if not _is(kind, value):
        text = f"{KINDS.get(kind, kind)} is wanted, not {'this' if one.get('no_log') else _kind_of(value)}"
        if kind == "list" and one.get("elements") == "dict" and isinstance(value, Mapping):
            text += f". Begin each item with '- name: {next(iter(value), 'NAME')}'"
        yield where, text
    elif kind == "list" and isinstance(value, (list, tuple)):
        element = {**one, "type": one.get("elements", "raw"), "elements": "raw"}
        for number, item in enumerate(value, 1):
            named = item.get("name") if isinstance(item, Mapping) else None
            yield from _of_value(element, item, f"{where}[{number}]" + (f" ({named})" if named else ""))
    elif kind == "dict" and one.get("options") and isinstance(value, Mapping):
        yield from _of_options(one["options"], value, where)
    elif kind != "list" and one.get("choices") and str(value) not in map(str, one["choices"]):
        choices = [str(choice) for choice in one["choices"]]
        yield where, f"{value} is none of {', '.join(choices)}. {nearest(str(value), choices)}".rstrip()


def _is(kind: str, value: Any) -> bool:
    """Whether Ansible takes the value for one of this type."""
    if kind == "dict":
        return isinstance(value, Mapping) or (isinstance(value, str) and ("=" in value or value.lstrip().startswith("{")))
    if kind == "list":
        return isinstance(value, (list, tuple, str, int, float))
    if kind in ("int", "bool"):
        try:
            (check_type_int if kind == "int" else check_type_bool)(value)
        except TypeError:
            return False
    return kind not in ("str", "path") or not isinstance(value, (Mapping, list, tuple))


def _kind_of(value: Any) -> str:
    if isinstance(value, Mapping):
        return "a dictionary"
    return "a list" if isinstance(value, (list, tuple)) else repr(value)


def nearest(word: str, known: Iterable[str]) -> str:
    """The known word that is nearest to one, as a sentence; "" when none is near."""
    near = nearest_word(word, known)
    return f"The nearest is {near}" if near else ""


def nearest_word(word: str, known: Iterable[str]) -> str:
    """The known word that is nearest to one, by its letters or its sense; "" when none is near."""
    words = {one: one for one in known}
    for option, starts in STARTS.items():
        if option in words and word not in words and word.startswith(starts):
            return option
    senses = {other: one for one, others in SENSES.items() if one in words for other in others.split()}
    near = difflib.get_close_matches(word.lower().replace("-", "_"), [*words, *senses], 1, 0.6)
    return {**senses, **words}[near[0]] if near else ""
