# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of the captured commands are run again, on the simulated host and on real ones, and why others are not."""

from __future__ import annotations

import copy
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterable, Iterator, List, Optional, Tuple

from ansible_collections.cellblock.jails.tests.unit.captures import captures

from .compare import Answer
from .core import SimulatedHost
from .fresh import fresh_host

if TYPE_CHECKING:
    from .sides import Side

CAPTURED: List[Dict[str, Any]] = captures("commands")
TOOLS = (
    "jail", "jls", "jexec", "rctl", "devfs", "cpuset", "zfs", "zpool", "mount", "umount", "ifconfig", "sysrc", "rm", "sysctl",
    "uname", "freebsd-version", "fetch",
)
# Not compared, each with the reason.
LEFT_OUT = {
    "uname -a": "nothing here reads it",
    "sysctl -N security.jail.param": "nothing here reads it",
    "sysctl -d security.jail.param": "nothing here reads it",
    "jls -h": "nothing here reads it",
    "jls -s": "nothing here reads it",
    "jls -v": "several lines a jail; nothing here reads it",
    "jls --libxo json -v": "nothing here reads it",
    "jexec t1 env": "the environment of that very connection",
    "jexec -l t1 env": "in-process, jexec runs nothing",
    "jexec t1 id": "in-process, jexec runs nothing",
    "jexec -l -U root t1 pwd": "in-process, jexec runs nothing",
    'jexec t1 sh -c "exit 7"': "in-process, jexec runs nothing",
    "jexec -U nobody t1 id": "in-process, jexec runs nothing",
    "jexec -U nosuch t1 id": "in-process, jexec runs nothing",
    "rctl -hu jail:t1": "usage of that very moment",
    "jexec v1 ifconfig": "in-process, jexec runs nothing",
    "jexec t1 ifconfig lo0": "in-process, jexec runs nothing",
    "ifconfig epair0b vnet v1; jexec v1 ifconfig epair0b; ifconfig -l": "in-process, jexec runs nothing",
    "zfs list -j zroot/c1": "nothing here reads the JSON of zfs(8)",
    "mount -p": "nothing here reads it",
    "jail -f /etc/jail.conf -rc x1": "rc.shutdown runs in the jail over the shell that asked",
    "freebsd-version -j t1": "nothing here asks it of a running jail",
    "fetch -qo - file:///var/dist/MANIFEST": "the file of that very host",
}
# Whole families that nothing in the collection runs.
NOT_SIMULATED = (
    "sysrc", "zfs promote", "zfs jail", "zfs set jailed", "jail -v -f /etc/jail.conf", "ifconfig epair0b -vnet",
)
# Captured lines that write a file; what they write.
WRITES = {
    next(one["cmd"] for one in CAPTURED if one["cmd"].endswith("> /etc/jail.conf")): (
        "/etc/jail.conf",
        'exec.start = "/bin/sh /etc/rc"; exec.stop = "/bin/sh /etc/rc.shutdown jail"; exec.clean; mount.devfs; '
        'path = "/jails/r151";\nx1 { persist; exec.start = ""; }\nx2 { exec.start = "/bin/false"; }\n',
    ),
}


def pieces(command: str) -> List[List[str]]:
    """The simple commands of a line; none when it takes more than a list of them."""
    if any(mark in command for mark in ("|", ">", "$(", "for ", "printf", "PAGER")) and "lo0|" not in command:
        return []
    found = [shlex.split(part) for part in command.split(";") if part.strip()]
    return found if all(words and words[0] in TOOLS for words in found) else []


def why_not(command: str) -> str:
    """Why a captured line is not compared; "" when it is."""
    if command in LEFT_OUT:
        return LEFT_OUT[command]
    if command in WRITES:
        return "it writes a file that later lines read"
    if command.startswith(NOT_SIMULATED) or not any(part.split()[0] in TOOLS for part in command.split(";") if part.strip()):
        return "nothing in the collection runs it"
    return "" if pieces(command) else "it takes a shell"


REPLAYED = [place for place, one in enumerate(CAPTURED) if not why_not(one["cmd"])]


def answer(host: SimulatedHost, command: str) -> Answer:
    """What the simulated host answers to a captured line; nothing when it is not replayed."""
    if command in WRITES:
        path, text = WRITES[command]
        host.real(path).write_text(text)
    rc, out, err = 0, "", ""
    for words in pieces(command):
        rc, more, said = host.run(words)
        out, err = out + more, err + said
    return Answer(rc, out, err)


def known(command: str, absent: Iterable[str]) -> str:
    """A captured line without the parameters that a kernel does not know."""
    for name in absent:
        command = re.sub(rf' {re.escape(name)}(?:="[^"]*")?(?= |$)', "", command)
    return command


def again(side: Side, absent: Iterable[str] = (), cannot: Callable[[str], object] = lambda _line: False) -> Iterator[Tuple[str, Optional[Answer]]]:
    """What a host answers to the captured lines, in their order: later ones see what earlier ones did.

    :param absent: parameters that its kernel does not know.
    :param cannot: which lines it cannot be asked; they have None, as have those that cannot be repeated.
    """
    for command in [str(one["cmd"]) for one in CAPTURED]:
        if command in WRITES:
            side.write(*WRITES[command])
        words = pieces(known(command, absent))
        # sysrc(8) would write to the host's own rc.conf.
        if not words or command.startswith("sysrc") or cannot(command):
            yield command, None
            continue
        told = [side.run(one) for one in words]
        yield command, Answer(told[-1].rc, "".join(one.out for one in told), "".join(one.err for one in told))


def like_captured(root: Path, zfs: bool = True, **words: Any) -> SimulatedHost:
    """A simulated host like the captured one.

    :param zfs: whether there is a pool.
    :param words: of :func:`fresh_host`, to be like another one.
    """
    interfaces = {"vtnet0": [["10.0.2.15", 24]], "lo0": [["127.0.0.1", 8], ["::1", 128], ["fe80::1", 64]]}
    host = fresh_host(root, **{"racct": True, "interfaces": interfaces, **words})
    if zfs:
        host.run(["zfs", "create", "-o", "mountpoint=/jails", "zroot"])
    host.real("/jails/r151").mkdir(parents=True, exist_ok=True)
    host.run(["tar", "-xpf", "/var/dist/base.txz", "-C", "/jails/r151"])
    return host


def like(root: Path, state: Dict[str, Any], zfs: bool = True) -> SimulatedHost:
    """A simulated host like a real one.

    :param state: what was seen there, see fidelity.py.
    """
    host = like_captured(root, zfs)
    begins = copy.deepcopy(state)
    told = {**host.state["sysctl"], **begins.pop("sysctl")}  # None: a release that does not know it
    host.state["sysctl"] = {name: value for name, value in told.items() if value is not None}
    host.state.update(begins)
    return host
