# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The health gate: what must hold of a jail before it is opened."""

from __future__ import annotations

import re
import shlex
import time
from typing import Iterator, List, Sequence, Set, Tuple

from ansible_collections.cellblock.jails.plugins.module_utils.engine import ask
from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.errors import HostError
from ansible_collections.cellblock.jails.plugins.module_utils.jails import runtime
from ansible_collections.cellblock.jails.plugins.module_utils.upgrades.model import Gate

LONGEST = 20.0  # seconds for one answer


class Unhealthy(HostError):
    """The gate stays shut."""


def words(gate: Gate, busy: bool) -> List[str]:
    """What it asks, in words."""
    found = ["it runs", *(["something runs in it"] if _wants_processes(gate, busy) else [])]
    found += [f"{socket} listens" for socket in gate.sockets] + [f"service {name} is well" for name in gate.services]
    found += [f"'{command}' answers 0" for command in gate.commands]
    return found + [f"{address} takes a connection" for address in gate.tcp] + [f"{url} answers" for url in gate.http]


def _wants_processes(gate: Gate, busy: bool) -> bool:
    return busy if gate.processes is None else gate.processes


def wait(host: Host, name: str, gate: Gate, busy: bool, addresses: Sequence[str], within: Sequence[str] = ()) -> None:
    """Ask until it holds as often in a row as is wanted.

    :param busy: whether something ran in it before.
    :param addresses: the jail's own.
    :param within: what enters the jail, when the host does not reach it either.
    :raises Unhealthy: the time is up; says what was wrong last.
    """
    end = time.monotonic() + gate.within
    row, last = 0, "it was not asked"
    while row < gate.times:
        if row or last != "it was not asked":
            time.sleep(min(gate.every, max(end - time.monotonic(), 0)))
        if time.monotonic() >= end:
            raise Unhealthy(
                f"is not well after {gate.within} s: {last}", f"jail {name}", "Look at its console log, or change the gate",
            )
        wrong = next(_wrong(host, name, gate, busy, _questions(name, gate, addresses, within), end), None)
        row, last = (row + 1, f"it was well only {row + 1} times in a row") if wrong is None else (0, wrong)


def _wrong(
    host: Host, name: str, gate: Gate, busy: bool, questions: Iterator[Tuple[List[str], str]], end: float
) -> Iterator[str]:
    """What is wrong now."""
    if not runtime.alive(host, name):
        yield "it does not run"
    if _wants_processes(gate, busy) and not host.ask(["ps", "-J", name, "-o", "pid="]).out.strip():
        yield "nothing runs in it"
    if gate.sockets:
        listening = _listening(host, name)
        yield from (f"nothing listens on {socket}" for socket in gate.sockets if tuple(socket.split("/")) not in listening)
    for argv, wrong in questions:
        left = max(min(LONGEST, end - time.monotonic()), 0.1)
        answer = host.ask(argv, timeout=left)
        if answer.rc != 0:
            yield f"{wrong}: {answer.said()}"


def _questions(name: str, gate: Gate, addresses: Sequence[str], within: Sequence[str]) -> Iterator[Tuple[List[str], str]]:
    for service in gate.services:
        yield ["jexec", "-l", name, "/usr/sbin/service", service, "status"], f"service {service} is not well"
    for command in gate.commands:
        yield ["jexec", "-l", name, *shlex.split(command)], f"'{command}' failed"
    for target in gate.tcp:
        host, _colon, port = target.rpartition(":")
        for address in [host.strip("[]")] if host else addresses[:1]:
            yield [*within, "nc", "-z", "-w", "3", address, port], f"{address} port {port} takes no connection"
    for url in gate.http:
        yield [*within, "fetch", "-q", "-T", "5", "-o", "/dev/null", url], f"{url} does not answer"


def _listening(host: Host, name: str) -> Set[Tuple[str, str]]:
    """The protocols and ports on which a jail's processes listen."""
    pids = set(host.ask(["ps", "-J", name, "-o", "pid="]).out.split())
    found = ask.sockets(host, "-l")
    return {(re.sub(r"[46]+$", "", one.proto), one.port) for one in found if str(one.pid) in pids}


def serves(host: Host, name: str) -> bool:
    """Whether anything in a jail listens, so that somebody may have been served."""
    return bool(_listening(host, name))
