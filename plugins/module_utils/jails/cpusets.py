# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The CPUs of a running jail and of what runs in it, see cpuset(1).

What a start leaves running has a CPU set of its own below the jail's, and may have a mask of its own below that. Both
narrow with what is above, never widen with it, and none may be left without a CPU.
"""

from __future__ import annotations

from typing import FrozenSet, Iterable

from ansible_collections.cellblock.jails.plugins.module_utils.engine import ask
from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.formats.outputs import cpulist


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
    sets = sorted(set(ask.cpusets(host, processes, "cpuset id", "-i", "-p").values()))
    for one in sets:
        host.ask(["cpuset", "-l", _text(widened), "-s", one])  # it may be gone by now
    for process, held in ask.cpus(host, processes, "-p").items():
        if not held & wanted or held == before != widened:
            host.ask(["cpuset", "-l", _text(wanted), "-p", process])
    if wanted != widened:
        for one in sets:
            host.ask(["cpuset", "-l", _text(wanted), "-s", one])
        host.run(["cpuset", "-l", _text(wanted), "-j", name], where=where)


def _of_jail(host: Host, name: str) -> FrozenSet[int]:
    return next(iter(ask.cpus(host, [name]).values()), frozenset())


def _text(cpus: Iterable[int]) -> str:
    return ",".join(map(str, sorted(cpus)))
