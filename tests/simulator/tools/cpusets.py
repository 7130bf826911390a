# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""cpuset(1), for a host of four CPUs, or as many as the state says.

A jail has a set; what its start leaves running has one of its own below, which narrows with the jail's and never widens.
"""

from __future__ import annotations

from typing import Any, Dict, FrozenSet, Iterable, List, Optional, Tuple

from ansible_collections.cellblock.jails.plugins.module_utils.formats.outputs import cpulist

from ..core import Refusal, SimulatedHost, tool
from .jails import by_name
from .processes import of_jails

Answer = Tuple[int, str, str]


@tool("cpuset")
def cpuset(host: SimulatedHost, args: List[str], stdin: str) -> Answer:
    """cpuset(1) -g and -l, each with -j, -p or -s."""
    kind, name = next((word[1], args[place + 1]) for place, word in enumerate(args) if word in ("-j", "-p", "-s"))
    found = _found(host, kind, name)
    if found is None and kind == "j":
        raise Refusal(f'cpuset: jail "{name}" not found')
    if found is None:
        raise Refusal("cpuset: getid: No such process", 3) if "-i" in args else Refusal("cpuset: getaffinity: No such process")
    if "-i" in args:
        return 0, f"pid {name} cpuset id: {_inner_id(found)}\n", ""
    if "-g" in args:
        subject = {"j": f"jail {found['jid']}", "p": f"pid {name}", "s": f"cpuset {name}"}[kind]
        mask = ", ".join(map(str, sorted(_of_jail(host, found) if kind == "j" else _inner(host, found))))
        return 0, f"{subject} mask: {mask}\n{subject} domain policy: first-touch mask: 0\n", ""
    _bring(host, found, kind, args[args.index("-l") + 1])
    return 0, "", ""


def _bring(host: SimulatedHost, jail: Dict[str, Any], kind: str, text: str) -> None:
    above = _every(host) if kind == "j" else _of_jail(host, jail)
    wanted = above if text == "all" else cpulist(text)
    if not wanted <= above:
        raise Refusal("cpuset: setaffinity: Invalid argument")
    if kind != "j":
        jail["inner"] = sorted(wanted)
        return
    if jail["processes"]:
        rest = _inner(host, jail) & wanted
        if not rest:
            raise Refusal("cpuset: setaffinity: Resource deadlock avoided")
        jail["inner"] = sorted(rest)
    jail["cpus"] = sorted(wanted)


def _found(host: SimulatedHost, kind: str, name: str) -> Optional[Dict[str, Any]]:
    if kind == "j":
        return by_name(host, name)
    jails: Iterable[Dict[str, Any]] = [jail for jail in host.state["jails"].values() if jail["processes"]]
    if kind == "s":
        return next((jail for jail in jails if _inner_id(jail) == name), None)
    owners = {str(pid): jid for jid, pid, _command in of_jails(host)}
    return host.state["jails"].get(owners.get(name))  # type: ignore[no-any-return]


def _every(host: SimulatedHost) -> FrozenSet[int]:
    return frozenset(range(host.state.get("cpus", 4)))


def _of_jail(host: SimulatedHost, jail: Dict[str, Any]) -> FrozenSet[int]:
    return frozenset(jail.get("cpus") or _every(host))


def _inner(host: SimulatedHost, jail: Dict[str, Any]) -> FrozenSet[int]:
    return frozenset(jail.get("inner") or _of_jail(host, jail))


def _inner_id(jail: Dict[str, Any]) -> str:
    return str(int(jail["cpuset.id"]) + 1000)
