# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an upgrade is asked to be, checked, and what a jail's mark keeps of it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Dict, List, Mapping, Optional, Tuple

from ansible_collections.cellblock.jails.plugins.module_utils.engine.spec import own_words
from ansible_collections.cellblock.jails.plugins.module_utils.errors import InputError

FACT = "upgrade"  # its key in a jail's mark
LATEST = "latest"
# How far an upgrade came, as the mark has it.
BEGUN, CHANGED, OPEN, DONE = "begun", "changed", "open", "done"
BACK, RESTORED, TAKEN_BACK, UNWELL = "back", "restored", "taken back", "not well"
UNFINISHED = (BEGUN, CHANGED, OPEN, BACK, RESTORED)
RELEASE = re.compile(r"(\d+)\.(\d+)-([A-Z]+)(\d*)(?:-p(\d+))?")

GATE: Dict[str, Dict[str, Any]] = {
    "within": {"type": "int", "default": 60},
    "times": {"type": "int", "default": 3},
    "every": {"type": "float", "default": 0.5},
    "processes": {"type": "bool"},
    "sockets": {"type": "list", "elements": "str", "default": []},
    "services": {"type": "list", "elements": "str", "default": []},
    "commands": {"type": "list", "elements": "str", "default": []},
    "tcp": {"type": "list", "elements": "str", "default": []},
    "http": {"type": "list", "elements": "str", "default": []},
}
# What can be said of one jail, and all but its name of all of them.
JAIL: Dict[str, Dict[str, Any]] = {
    "name": {"type": "str", "required": True},
    "to": {"type": "str"},
    "merge": {"type": "dict"},
    "gate": {"type": "dict", "options": GATE},
    "packages": {"type": "str", "choices": ["keep", "upgrade"]},
    "rollback": {"type": "str", "choices": ["keep", "none"]},
}


@dataclass(frozen=True)
class Gate:
    """What must hold of an upgraded jail: so many times in a row, within so many seconds.

    :param processes: whether something must run in it; None when something ran in it before.
    :param sockets: as ``tcp/80``: what must listen.
    :param tcp: as ``80`` or ``10.0.0.20:80``: what must take a connection from the host.
    """

    within: int = 60
    times: int = 3
    every: float = 0.5
    processes: Optional[bool] = None
    sockets: Tuple[str, ...] = ()
    services: Tuple[str, ...] = ()
    commands: Tuple[str, ...] = ()
    tcp: Tuple[str, ...] = ()
    http: Tuple[str, ...] = ()

    @classmethod
    def of(cls, options: Mapping[str, Any], where: str) -> Gate:
        """Check them."""
        given: Dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in options.items() if value is not None}
        found = cls(**given)
        if found.within < 1 or found.times < 1 or found.every < 0:
            raise InputError("within and times are at least 1, every at least 0", where)
        for socket in found.sockets:
            if not re.fullmatch(r"(tcp|udp)/\d{1,5}", socket):
                raise InputError(f"{socket!r} is no socket", f"{where}, sockets", "Write it as tcp/80 or udp/53")
        for address in found.tcp:
            if not re.fullmatch(r"([0-9A-Za-z.:\[\]_-]+:)?\d{1,5}", address):
                raise InputError(f"{address!r} is no port", f"{where}, tcp", "Write it as 80 or 10.0.0.20:80")
        for url in found.http:
            if not re.fullmatch(r"https?://[!-~]+", url):
                raise InputError(f"{url!r} is no URL", f"{where}, http", "Write it as http://10.0.0.20/")
        for service in found.services:
            if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", service):
                raise InputError(f"{service!r} is no service", f"{where}, services", "A name that service(8) takes")
        return found


@dataclass(frozen=True)
class Wish:
    """What is asked of one jail.

    :param to: a base's name or path, a release, or ``latest``.
    :param merge: who is right at a path where both changed it.
    """

    name: str
    to: Optional[str] = None
    merge: Mapping[str, str] = field(default_factory=dict)
    gate: Gate = Gate()
    packages: str = "keep"
    rollback: str = "keep"


@dataclass(frozen=True)
class Request:
    """What a module call asks for.

    :param wishes: by jail; None for each jail of ours that can be upgraded.
    :param every: what is asked of those that are not named.
    """

    wishes: Optional[Mapping[str, Wish]]
    every: Wish
    state: str = "upgraded"
    storage_path: str = "/usr/jails"
    storage_dataset: Optional[str] = None
    check_mode: bool = False

    @classmethod
    def from_options(cls, options: Mapping[str, Any], check_mode: bool) -> Request:
        """Check a module's options."""
        state = str(options["state"])
        given = options.get("jails")
        found = [_wish(options, one) for one in given or ()]
        wishes: Optional[Dict[str, Wish]] = None if given is None else {wish.name: wish for wish in found}
        every = _wish(options, "")
        if state == "upgraded" and any(wish.to is None for wish in (wishes or {"": every}).values()):
            raise InputError("what to upgrade to is missing", "to", "Give a base, a release, or latest")
        return cls(
            wishes, every, state, str(options.get("storage_path") or "/usr/jails").rstrip("/"), options.get("storage_dataset"), check_mode,
        )


def _wish(options: Mapping[str, Any], given: Any) -> Wish:
    own = own_words(JAIL, given, options)
    where = f"jail {own['name']}" if own["name"] else "gate"
    for path, rule in own["merge"].items():
        if rule not in ("keep", "take"):
            raise InputError(f"{path}: {rule!r} is no rule", f"{where}, merge", "Write keep or take")
    return Wish(
        str(own["name"]), own["to"], {str(key): str(value) for key, value in own["merge"].items()}, Gate.of(own["gate"], f"{where}, gate"),
        own["packages"] or "keep", own["rollback"] or "keep",
    )


def order(version: str) -> Optional[Tuple[int, ...]]:
    """A release as numbers that can be compared, such as 15.1-RELEASE-p2; None for what is none."""
    found = RELEASE.fullmatch(version)
    if found is None:
        return None
    major, minor, branch, number, patch = found.groups()
    stage = {"ALPHA": 0, "BETA": 1, "RC": 2, "RELEASE": 3}.get(branch, 3)
    return int(major), int(minor), stage, int(number or 0), int(patch or 0)


def too_new(version: str, osreldate: int) -> bool:
    """Whether a userland is of a newer release than the kernel of the host."""
    found = order(version)
    return found is not None and osreldate > 0 and found[0] * 100 + found[1] > osreldate // 1000


def unfinished(mark: Mapping[str, Any]) -> Optional[Mapping[str, Any]]:
    """What a mark says of an upgrade that was cut off."""
    noted = mark.get(FACT)
    return noted if isinstance(noted, dict) and noted.get("phase") in UNFINISHED else None


def parts(addresses: List[str]) -> List[str]:
    """Addresses of jail.conf without interface and prefix."""
    return [re.sub(r"^.*\||[/ ].*$", "", text) for text in addresses]
