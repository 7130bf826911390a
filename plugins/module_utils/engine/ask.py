# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The questions that several rooms ask a host, each one command or one file, answered as values."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Dict, FrozenSet, List, Mapping, Sequence

from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.errors import HostError
from ansible_collections.cellblock.jails.plugins.module_utils.formats import outputs
from ansible_collections.cellblock.jails.plugins.module_utils.formats.lines import lines_of


def mounts(host: Host) -> List[outputs.Mount]:
    """The mount table, in mount order."""
    found = outputs.mounts(host.run(["mount", "--libxo", "json"]).out)
    return [replace(one, node=host.names.called(one.node), special=host.names.called(one.special)) for one in found]


def interfaces(host: Host) -> Dict[str, outputs.Interface]:
    """The interfaces and their addresses, by name."""
    return outputs.interfaces(host.run(["ifconfig", "-a", "-f", "inet:cidr,inet6:cidr"]).out)


def sockets(host: Host, kind: str) -> List[outputs.Socket]:
    """The sockets of IPv4 and IPv6 that sockstat(1) tells of a kind: ``-l`` those that listen, ``-c`` those that are connected.

    Without its ``-j``, with which it leaves its JSON unfinished and hides the kernel's own. 14.0 and 14.1 know no JSON.
    """
    told = host.ask(["sockstat", "--libxo", "json", "-4", "-6", kind])
    if told.rc != 0 and "illegal option" in told.err:
        return outputs.sockets_in_text(host.run(["sockstat", "-4", "-6", kind, "-q", "-w"]).out)
    if told.rc != 0:
        raise HostError(f"'sockstat {kind}' failed: {told.said()}")
    return outputs.sockets(told.out)


def datasets(host: Host, tops: Sequence[str], columns: Sequence[str]) -> Dict[str, Mapping[str, str]]:
    """The properties of datasets and of all below them, snapshots too; those that are not there are left out.

    :param columns: zfsprops(7), ``name`` first; user properties (with a colon) are those of filesystems and volumes.
    """
    own = [column for column in columns if ":" not in column]
    result = host.ask(["zfs", "list", "-Hp", "-r", "-t", "filesystem,volume,snapshot", "-o", ",".join(own), *tops])
    if result.rc != 0 and "does not exist" not in result.err:
        raise HostError(f"'zfs list {' '.join(tops)}' failed: {result.said()}", None, "Is ZFS loaded, and the pool imported?")
    found = outputs.datasets(result.out, own)
    if "mountpoint" in own:
        found = {name: {**one, "mountpoint": host.names.called(one["mountpoint"])} for name, one in found.items()}
    asked = [column for column in columns if ":" in column]
    told = _user_properties(host, [name for name in found if "@" not in name], asked)
    return {name: {**properties, **told.get(name, dict.fromkeys(asked, "-"))} for name, properties in found.items()}


def _user_properties(host: Host, names: Sequence[str], keys: Sequence[str]) -> Dict[str, Dict[str, str]]:
    """User properties of datasets. Whoever was given a dataset may have put any bytes into them, whole lines too."""
    if not names or not keys:
        return {}
    text = host.run(["zfs", "get", "-Hp", "-o", "name,property,value", ",".join(keys), *names]).out
    lines = [line.split("\t") for line in text.split("\n")[:-1]]
    wanted = [[name, key] for name in names for key in keys]
    if [line[:2] for line in lines] == wanted and all(len(line) == 3 for line in lines):
        found: Dict[str, Dict[str, str]] = {}
        for name, key, value in lines:
            found.setdefault(name, {})[key] = value
        return found
    if len(names) == 1:
        return {names[0]: dict.fromkeys(keys, "-")}  # none of ours holds a tab or a line's end
    return {name: told for one in names for name, told in _user_properties(host, [one], keys).items()}


def rules_of(host: Host, numbers: Sequence[int]) -> Dict[int, List[str]]:
    """The rules of devfs(8) rulesets in the kernel, mostly by one command; none for a set that is not there, or was emptied while in use.

    Nothing stands between the answers for two sets. But the rules of each are numbered upwards: when the answer
    falls into as many upward runs as there are sets, each is a set's; else they are asked one by one.
    """
    runs: List[List[str]] = []
    if len(numbers) > 1:
        last = 0
        for line in lines_of(host.ask(["xargs", "-I", "%", "devfs", "rule", "-s", "%", "show"], stdin="".join(f"{number}\n" for number in numbers)).out):
            place = int(line.partition(" ")[0])
            if not runs or place <= last:
                runs.append([])
            runs[-1].append(line)
            last = place
    if len(runs) != len(numbers):
        runs = [lines_of(host.run(["devfs", "rule", "-s", str(number), "show"]).out) for number in numbers]
    return {number: [line.partition(" ")[2] for line in lines] for number, lines in zip(numbers, runs)}


def cpusets(host: Host, names: Sequence[str], what: str, *flags: str) -> Dict[str, str]:
    """What ``cpuset -g`` tells of each that is there, by number; xargs(1) makes it one command for any number of them.

    :param names: jails or processes, as the last of the flags says.
    :param what: the line to take: ``mask``, or ``cpuset id``.
    """
    if not names:
        return {}
    told = host.ask(["xargs", "-n", "1", "cpuset", "-g", *flags], stdin="".join(f"{name}\n" for name in names)).out
    return dict(re.findall(rf"^(?:jail|pid) (\d+) {what}: ([0-9, ]+)$", told, re.MULTILINE))


def cpus(host: Host, names: Sequence[str], kind: str = "-j") -> Dict[str, FrozenSet[int]]:
    """The CPUs of running jails by jid, or of processes (``-p``), see cpuset(1)."""
    return {number: outputs.cpulist(mask) for number, mask in cpusets(host, names, "mask", kind).items()}


def version(host: Host, path: str) -> str:
    """A tree's patch level, as its own freebsd-version(1) would say, without running it; "" when it has none."""
    try:
        text = host.tree(path).read("bin/freebsd-version") or ""
    except (HostError, FileNotFoundError):
        return ""
    found = re.search(r'^USERLAND_VERSION="([A-Za-z0-9._-]+)"', text, re.MULTILINE)
    return found.group(1) if found else ""
