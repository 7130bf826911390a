# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which sockets of the host itself listen, and which of them would answer on a jail's address."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Dict, FrozenSet, Iterable, List, Mapping, Sequence, Tuple

from ansible_collections.cellblock.jails.plugins.module_utils.engine import ask
from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.engine.plan import Plan
from ansible_collections.cellblock.jails.plugins.module_utils.errors import HostError
from ansible_collections.cellblock.jails.plugins.module_utils.formats import outputs

PROCESSES: Sequence[str] = ("ps", "ax", "-o", "jid,pid,command")


@dataclass(frozen=True)
class Listener:
    """A listening socket of the host.

    :param program: the program's name; ``kernel`` for a socket that no process holds, such as nfsd's,
        and ``?`` for a process whose name is not to be read.
    :param proto: ``tcp`` or ``udp`` (or another protocol), without the family.
    :param families: ``ipv4``, ``ipv6`` or both.
    :param address: ``*`` or the address it is bound to.
    """

    program: str
    pid: int
    user: str
    proto: str
    families: Tuple[str, ...]
    address: str
    port: int

    def told(self) -> Dict[str, object]:
        """As a module returns it."""
        return {
            "program": self.program, "pid": self.pid, "user": self.user, "proto": self.proto,
            "families": list(self.families), "address": self.address, "port": self.port,
        }

    def __str__(self) -> str:
        return f"{self.program} ({'/'.join(self.families)} {self.proto} port {self.port})"


@dataclass(frozen=True)
class Listening:
    """What listens on the host, and which processes run there (jails left out)."""

    sockets: Sequence[Listener]
    commands: Mapping[int, str]

    def open(self) -> List[Listener]:
        """The sockets that are bound to no address: they answer on every address that a jail shares with the host."""
        return [socket for socket in self.sockets if socket.address == "*"]

    def of(self, programs: Iterable[str]) -> List[Listener]:
        """The sockets of some programs."""
        return [socket for socket in self.sockets if socket.program in programs]

    def running(self, program: str) -> List[str]:
        """The command lines of a program's processes, its helpers with a title of their own too."""
        return [line for line in self.commands.values() if line.split(" ")[0].rstrip(":").rsplit("/", 1)[-1] == program]


def observe(host: Host) -> Listening:
    """Ask the host in two commands, however many jails there are."""
    commands: Dict[int, str] = {}
    jailed: Dict[int, bool] = {}
    for jid, pid, command in outputs.processes(host.run(PROCESSES).out):
        jailed[pid] = jid != 0
        if jid == 0:
            commands[pid] = command
    sockets = {
        Listener(
            _program(socket, commands), socket.pid, socket.user or ("?" if socket.pid else "root"),
            socket.proto.rstrip("46"), _families(socket.proto), socket.address, int(socket.port),
        )
        for socket in ask.sockets(host, "-l")
        if not jailed.get(socket.pid, False) and re.fullmatch("[0-9]{1,5}", socket.port)
    }
    return Listening(sorted(sockets, key=lambda one: (one.port, one.proto, one.program, one.families, one.pid)), commands)


def _program(socket: outputs.Socket, commands: Mapping[int, str]) -> str:
    """Who holds a socket. sockstat(1) without JSON cuts names after ten letters."""
    whole = commands.get(socket.pid, "").split(" ")[0].rstrip(":").rsplit("/", 1)[-1]
    if len(socket.command) == 10 and whole.startswith(socket.command):
        return whole
    return socket.command or ("?" if socket.pid else "kernel")


def _families(proto: str) -> Tuple[str, ...]:
    names: FrozenSet[str] = frozenset(proto[len(proto.rstrip("46")):])
    return tuple(name for digit, name in (("4", "ipv4"), ("6", "ipv6")) if digit in names)


def report(host: Host, allow: Sequence[str], planned: Sequence[str], fail: bool) -> Plan:
    """A plan without steps, its facts the sockets.

    :raises HostError: sockets stay open and ``fail`` is set.
    """
    found = observe(host)
    groups: Dict[str, List[Listener]] = {"open": [], "allowed": [], "planned": [], "bound": []}
    for socket in found.sockets:
        if socket.address != "*":
            kind = "bound"
        elif socket.program in allow or f"{socket.program}:{socket.port}" in allow:
            kind = "allowed"
        else:
            kind = "planned" if socket.program in planned else "open"
        groups[kind].append(socket)
    if fail and groups["open"]:
        raise HostError(
            "would answer on a jail's address: " + ", ".join(dict.fromkeys(map(str, groups["open"]))),
            "listening sockets", "Bind these programs to the host's addresses, stop them, or name them in 'allow'",
        )
    return Plan(facts={kind: [socket.told() for socket in sockets] for kind, sockets in groups.items()})
