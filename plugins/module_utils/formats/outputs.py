# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What FreeBSD's tools print, as values."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Dict, FrozenSet, List, Mapping, Sequence, Tuple

from ansible_collections.cellblock.jails.plugins.module_utils.errors import FormatError

UNITS = {"": 0, "b": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5, "e": 6}


def _json(text: str, tool: str) -> Any:
    try:
        # libxo leaves control characters in strings as they are, and what runs in a jail names itself.
        return json.loads(text[text.index("{"):], strict=False)
    except ValueError as error:
        raise FormatError(f"{tool} answered no JSON: {text[:80]!r}", None, "Is its libxo output on?") from error


def _listed(text: str, tool: str, outer: str, inner: str, always: bool = False) -> List[Dict[str, Any]]:
    """The entries of a list in libxo's JSON.

    :param always: an empty list is said too; without it some tools leave it out.
    """
    found = _json(text, tool).get(outer)
    entries = found.get(inner, None if always else []) if isinstance(found, dict) else None
    if not isinstance(entries, list) or not all(isinstance(one, dict) for one in entries):
        raise FormatError(f"{tool} answered no list of {inner}: {text[:80]!r}")
    return entries


def lines(text: str) -> List[str]:
    """The lines of an answer. Only a newline ends one: str.splitlines() knows ten more ends, and a jail may print them."""
    return text.split("\n")


def jails(text: str) -> List[Dict[str, Any]]:
    """``jls --libxo json -n``: booleans are real, all else strings, addresses lists."""
    return [dict(jail) for jail in _listed(text, "jls(8)", "jail-information", "jail", always=True)]


@dataclass(frozen=True)
class Mount:
    """One mount."""

    special: str
    node: str
    fstype: str
    opts: Tuple[str, ...] = ()


def mounts(text: str) -> List[Mount]:
    """``mount --libxo json``, in mount order."""
    found = _listed(text, "mount(8)", "mount", "mounted")
    return [
        Mount(str(one.get("special", "")), str(one["node"]), str(one["fstype"]), tuple(map(str, one.get("opts") or ())))
        for one in found
        if "node" in one and "fstype" in one and isinstance(one.get("opts") or [], list)
    ]


@dataclass(frozen=True)
class Held:
    """An address of an interface."""

    ip: str
    prefix: int


@dataclass(frozen=True)
class Interface:
    """An interface and its addresses; of a bridge its members too."""

    name: str
    addresses: Tuple[Held, ...] = ()
    groups: Tuple[str, ...] = ()
    members: Tuple[str, ...] = ()


def interfaces(text: str) -> Dict[str, Interface]:
    """``ifconfig -a -f inet:cidr,inet6:cidr``."""
    found: Dict[str, Interface] = {}
    name = ""
    held: List[Held] = []
    members: List[str] = []
    groups: Tuple[str, ...] = ()
    for line in [*lines(text), "end: flags="]:
        head = re.match(r"(\S+): flags=", line)
        if head:
            if name:
                found[name] = Interface(name, tuple(held), groups, tuple(members))
            name, held, groups, members = head.group(1), [], (), []
            continue
        address = re.match(r"\s+inet6? ([0-9a-fA-F:.]+)(?:%\S+?)?/(\d+)", line)
        if address:
            held.append(Held(address.group(1), int(address.group(2))))
        elif line.strip().startswith("groups:"):
            groups = tuple(line.split()[1:])
        elif line.startswith("\tmember: "):
            members.append(line.split()[1])
    return found


def datasets(text: str, columns: Sequence[str]) -> Dict[str, Mapping[str, str]]:
    """``zfs list -Hp -o COLUMNS``, by name."""
    found: Dict[str, Mapping[str, str]] = {}
    for line in filter(None, lines(text)):
        fields = line.split("\t")
        found[fields[0]] = dict(zip(columns, fields))
    return found


def rctl_rules(text: str) -> List[str]:
    """``rctl``: the rules, amounts as plain integers."""
    return [line.strip() for line in lines(text) if line.strip()]


def amount(text: str) -> int:
    """A number with a unit, 1024-based, as expand_number(3) reads it.

    :raises ValueError: when it is none.
    """
    found = re.fullmatch(r"([0-9]{1,20}(?:\.[0-9]{1,20})?)([a-z]?)b?", text.strip().lower())
    if not found or found.group(2) not in UNITS:
        raise ValueError(f"{text!r} is not an amount")
    scaled = float(found.group(1)) if "." in found.group(1) else int(found.group(1))
    return int(scaled * 1024 ** UNITS[found.group(2)])


@dataclass(frozen=True)
class Socket:
    """A listening socket."""

    user: str
    command: str
    pid: int
    proto: str
    address: str
    port: str


def sockets(text: str) -> List[Socket]:
    """``sockstat --libxo json -4 -6 -l``."""
    found = []
    for one in _listed(text, "sockstat(1)", "sockstat", "socket"):
        local = one.get("local")
        if not isinstance(local, dict) or not {"address", "port"} <= set(local) or "proto" not in one:
            continue
        pid = str(one.get("pid") or 0)
        found.append(Socket(
            str(one.get("user", "")), str(one.get("command", "")), int(pid) if re.fullmatch("[0-9]{1,9}", pid) else 0,
            str(one["proto"]), str(local["address"]), str(local["port"]),
        ))
    return found


_SOCKET = re.compile(
    r"(\S+) +(\S.{0,15}?) +([0-9]{1,9}|\?) +(?:[0-9]+|\?) +([a-z]+[46]+|[a-z]+) +(\S+):([0-9]{1,5}|\*)(?: .*)?", re.DOTALL
)


def sockets_in_text(text: str) -> List[Socket]:
    """``sockstat -4 -6 -l -q -w`` of a FreeBSD whose sockstat(1) has no ``--libxo``. ``?`` stands for the kernel."""
    found = (_SOCKET.fullmatch(line) for line in lines(text))
    known = [["" if word == "?" else word for word in one.groups()] for one in found if one]
    return [Socket(user, name, int(pid or 0), proto, address, port) for user, name, pid, proto, address, port in known]


def processes(text: str) -> List[Tuple[int, int, str]]:
    """``ps -o jid,pid,command``: the jail, the process and what it calls itself. A line of another form is no process."""
    found = (re.fullmatch(r"\s*([0-9]{1,9})\s+([0-9]{1,9})(?:[ ]+(.*))?", line, re.DOTALL) for line in lines(text))
    return [(int(one.group(1)), int(one.group(2)), one.group(3) or "") for one in found if one]


def cpulist(text: str) -> FrozenSet[int]:
    """A list of CPUs such as ``0-3,6``, see cpuset(1).

    :raises ValueError: when it is none.
    """
    found: List[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*([0-9]{1,4})(?:-([0-9]{1,4}))?\s*", part)
        if not match or int(match.group(2) or match.group(1)) < int(match.group(1)):
            raise ValueError(f"{text!r} is not a list of CPUs")
        found += range(int(match.group(1)), int(match.group(2) or match.group(1)) + 1)
    return frozenset(found)
