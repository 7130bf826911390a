# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The CPUs of a running jail and of what runs in it, see cpuset(1).

What a start leaves running has a CPU set of its own below the jail's, and may have a mask of its own below that. Both
narrow with what is above, never widen with it, and none may be left without a CPU.
"""

from __future__ import annotations

import re
from typing import Dict, FrozenSet, Iterable, List

from ansible_collections.cellblock.jails.plugins.module_utils import ask
from ansible_collections.cellblock.jails.plugins.module_utils.formats.outputs import cpulist
from ansible_collections.cellblock.jails.plugins.module_utils.host import Host


def give(host: Host, name: str, cpus: str) -> None:
    """Give a running jail CPUs, and what runs in it too; what chose some of its old CPUs for itself keeps to them.

    :param cpus: a list as cpuset(1) takes it, or ``all``.
    """
    where = f"jail {name}"
    before = _of_jail(host, name)
    wide = cpus if cpus == "all" else _text(before | cpulist(cpus))
    host.run(["cpuset", "-l", wide, "-j", name], where=where)
    widened = _of_jail(host, name)
    wanted = widened if cpus == "all" else cpulist(cpus)
    processes = host.ask(["ps", "-J", name, "-o", "pid="]).out.split()
    sets = sorted(set(_of_each(host, processes, "cpuset id", "-i").values()))
    for one in sets:
        host.ask(["cpuset", "-l", _text(widened), "-s", one])  # it may be gone by now
    for process, mask in _of_each(host, processes, "mask").items():
        held = cpulist(mask)
        if not held & wanted or held == before != widened:
            host.ask(["cpuset", "-l", _text(wanted), "-p", process])
    if wanted != widened:
        for one in sets:
            host.ask(["cpuset", "-l", _text(wanted), "-s", one])
        host.run(["cpuset", "-l", _text(wanted), "-j", name], where=where)


def _of_jail(host: Host, name: str) -> FrozenSet[int]:
    return next(iter(ask.cpus(host, [name]).values()), frozenset())


def _of_each(host: Host, processes: List[str], what: str, *flags: str) -> Dict[str, str]:
    """What cpuset(1) tells of each process that is still there."""
    argv = ["xargs", "-n", "1", "cpuset", "-g", *flags, "-p"]
    told = host.ask(argv, stdin="".join(f"{process}\n" for process in processes)).out if processes else ""
    return dict(re.findall(rf"^pid (\d+) {what}: ([0-9, ]+)$", told, re.MULTILINE))


def _text(cpus: Iterable[int]) -> str:
    return ",".join(map(str, sorted(cpus)))
