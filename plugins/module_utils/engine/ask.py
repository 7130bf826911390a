# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The questions that several rooms ask a host, each one command or one file, answered as values."""

from __future__ import annotations

import re
from typing import Dict, FrozenSet, List, Mapping, Sequence

from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.errors import HostError
from ansible_collections.cellblock.jails.plugins.module_utils.formats import outputs


def mounts(host: Host) -> List[outputs.Mount]:
    """The mount table, in mount order."""
    return outputs.mounts(host.run(["mount", "--libxo", "json"]).out)


def interfaces(host: Host) -> Dict[str, outputs.Interface]:
    """The interfaces and their addresses, by name."""
    return outputs.interfaces(host.run(["ifconfig", "-a", "-f", "inet:cidr,inet6:cidr"]).out)


def datasets(host: Host, top: str, columns: Sequence[str]) -> Dict[str, Mapping[str, str]]:
    """The properties of a dataset and of all below it, snapshots too; empty when there is none."""
    argv = ["zfs", "list", "-Hp", "-r", "-t", "filesystem,volume,snapshot", "-o", ",".join(columns), top]
    result = host.ask(argv)
    if result.rc != 0 and "does not exist" not in result.err:
        raise HostError(f"'zfs list {top}' failed: {result.said()}", None, "Is ZFS loaded, and the pool imported?")
    return outputs.datasets(result.out if result.rc == 0 else "", columns)


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
