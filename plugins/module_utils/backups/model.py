# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked for: which jails, where to, in which form."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
from dataclasses import dataclass, replace
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from ansible_collections.cellblock.jails.plugins.module_utils.backups.retention import Keep
from ansible_collections.cellblock.jails.plugins.module_utils.errors import InputError
from ansible_collections.cellblock.jails.plugins.module_utils.formats.outputs import amount

COMPRESSORS: Mapping[str, Tuple[str, Tuple[str, ...], Tuple[str, ...]]] = {
    "zstd": ("zst", ("zstd", "-q", "-c"), ("zstd", "-q", "-d", "-c")),
    "gzip": ("gz", ("gzip", "-c"), ("gzip", "-d", "-c")),
    "xz": ("xz", ("xz", "-c"), ("xz", "-d", "-c")),
}
DESTINATION: Dict[str, Dict[str, Any]] = {
    "path": {"type": "path"},
    "dataset": {"type": "str"},
    "host": {"type": "str"},
    "port": {"type": "int"},
    "identity_file": {"type": "path"},
    "command": {"type": "list", "elements": "str"},
    "read": {"type": "list", "elements": "str"},
    "remove": {"type": "list", "elements": "str"},
}
ENCRYPT: Dict[str, Dict[str, Any]] = {
    "command": {"type": "list", "elements": "str", "required": True},
    "decrypt": {"type": "list", "elements": "str", "required": True},
    "suffix": {"type": "str", "default": "enc"},
}
KEEP: Dict[str, Dict[str, Any]] = {
    **{name: {"type": "int"} for name in ("last", "hourly", "daily", "weekly", "monthly", "yearly")}, "within": {"type": "str"},
}
PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]*")


@dataclass(frozen=True)
class Destination:
    """Where sets are.

    :param path: a directory; on another host with ``host``.
    :param dataset: a dataset of ZFS that takes streams; likewise.
    :param host: as ssh(1) is given it.
    :param command: takes a stream on its input; ``{jail}``, ``{set}`` and ``{stream}`` stand for the names.
    :param read: gives a stream on its output; ``remove`` takes it away.
    """

    path: str = ""
    dataset: str = ""
    host: str = ""
    port: int = 0
    identity_file: str = ""
    command: Tuple[str, ...] = ()
    read: Tuple[str, ...] = ()
    remove: Tuple[str, ...] = ()

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Destination:
        """Check what is given.

        :raises InputError: it is not one place, or no place.
        """
        given: Dict[str, Any] = {key: (tuple(value) if isinstance(value, list) else value) for key, value in options.items() if value not in (None, [], "")}
        kinds = [kind for kind in ("path", "dataset", "command") if kind in given]
        if len(kinds) != 1:
            raise InputError(f"has {' and '.join(kinds) or 'no place'}", "destination", "Give one of path, dataset and command")
        one = cls(**given)
        if one.host.startswith("-") or re.search(r"\s", one.host):
            raise InputError(f"'{one.host}' is no host", "destination.host", "Give such as root@backup.example.org")
        if one.path and not one.path.startswith("/"):
            raise InputError(f"'{one.path}' is no path", "destination.path", "Begin it with /")
        if one.dataset and not all(PART.fullmatch(part) for part in one.dataset.split("/")):
            raise InputError(f"'{one.dataset}' is no dataset", "destination.dataset", "Give such as tank/backups")
        for name in ("command", "read", "remove") if one.command else ():
            words = getattr(one, name)
            if (words or name != "remove") and not any("{stream}" in word for word in words):
                raise InputError("does not name the stream", f"destination.{name}", "Put {stream} into one of its words, such as {jail}/{set}/{stream}")
        return replace(one, path=one.path.rstrip("/") or one.path)

    @property
    def id(self) -> str:
        """A short name of it: snapshots of ours are called by it, so that two destinations do not take each other's."""
        words = [self.path, self.dataset, self.host.rpartition("@")[2], self.port, self.command]
        return hashlib.sha256(json.dumps(words).encode()).hexdigest()[:8]

    @property
    def ssh(self) -> Tuple[str, ...]:
        """The words before a command that runs on its host; none for this host."""
        if not self.host:
            return ()
        port = ["-p", str(self.port)] if self.port else []
        key = ["-i", self.identity_file, "-o", "IdentitiesOnly=yes"] if self.identity_file else []
        return ("ssh", "-o", "BatchMode=yes", "-o", "ServerAliveInterval=15", "-o", "ServerAliveCountMax=4", *port, *key, "--", self.host)

    def words(self) -> str:
        """It in words."""
        place = self.path or self.dataset or self.command[0]
        return f"{self.host}:{place}" if self.host else place


@dataclass(frozen=True)
class Filters:
    """What streams pass through on their way into files, and on their way back."""

    suffix: str = ""
    filters: Tuple[Tuple[str, ...], ...] = ()
    readers: Tuple[Tuple[str, ...], ...] = ()

    @classmethod
    def of(cls, compress: str, encrypt: Optional[Mapping[str, Any]], level: Optional[int] = None) -> Filters:
        """Compressed first, then encrypted: what is encrypted does not shrink."""
        made = cls()
        if compress != "none":
            suffix, there, back = COMPRESSORS[compress]
            level_words = (f"-{level}",) if level is not None else ()
            made = cls(f".{suffix}", ((*there, *level_words),), (back,))
        if encrypt:
            suffix = str(encrypt["suffix"])
            if not re.fullmatch(r"[A-Za-z0-9]+", suffix) or not encrypt["command"] or not encrypt["decrypt"]:
                raise InputError("needs a suffix of letters, a command and what undoes it", "encrypt", "Such as age, [age, -r, KEY], [age, -d, -i, FILE]")
            there, back = tuple(encrypt["command"]), tuple(encrypt["decrypt"])
            made = cls(f"{made.suffix}.{suffix}", (*made.filters, there), (back, *made.readers))
        return made


@dataclass(frozen=True)
class Wish:
    """What is asked for of one jail.

    :param method: ``auto``, ``zfs`` or ``tar``.
    :param consistent: ``auto``, ``snapshot`` or ``stopped``.
    :param before: commands inside, before the state is taken; ``after`` those after it.
    """

    name: str
    method: str = "auto"
    consistent: str = "auto"
    before: Tuple[Tuple[str, ...], ...] = ()
    after: Tuple[Tuple[str, ...], ...] = ()


OWN = ("method", "consistent", "before", "after")


@dataclass(frozen=True)
class Request:
    """What a module call asks for.

    :param wishes: by name; None for all jails of ours.
    :param increments: how many sets may build on a full one before the next full one.
    :param limit: bytes in a second.
    :param bookmark: whether only a bookmark is kept of where a set ended.
    """

    destination: Destination
    every: Wish
    wishes: Optional[Mapping[str, Wish]] = None
    filters: Filters = Filters()
    keep: Optional[Keep] = None
    incremental: bool = True
    increments: int = 6
    raw: bool = False
    limit: Optional[int] = None
    bookmark: bool = False
    storage_path: str = "/usr/jails"
    storage_dataset: Optional[str] = None

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> Request:
        """Check a module's options.

        :raises InputError: for what cannot be meant.
        """
        destination = Destination.of(options["destination"])
        every = _wish(Wish(""), {key: options.get(key) for key in OWN})
        wishes: Dict[str, Wish] = {}
        for given in options.get("jails") or ():
            words = {"name": given} if isinstance(given, str) else dict(given)
            unknown = sorted(set(words) - {"name", *OWN})
            name = str(words.pop("name", ""))
            if unknown or not name:
                raise InputError(f"does not take {', '.join(unknown)}" if unknown else "has a jail without a name", "jails", "See the documentation")
            if name in wishes:
                raise InputError("is named twice", f"jail {name}", "Name it once")
            wishes[name] = _wish(replace(every, name=name), words)
        compress = str(options.get("compress") or "auto")
        if compress == "auto":
            compress = "none" if destination.dataset else "zstd"
        filters = Filters.of(compress, options.get("encrypt"), options.get("compress_level"))
        if destination.dataset and filters.filters:
            raise InputError("a dataset takes no filters", "compress and encrypt", "Leave them out: ZFS compresses, and raw: true keeps what is encrypted so")
        keep = Keep.of(options.get("keep"))
        if keep is not None and destination.command and not destination.remove:
            raise InputError("the command's sets cannot be removed", "keep", "Give destination.remove too, or let the command's own retention do it")
        limit = _limit(options.get("limit"))
        return cls(
            destination, every, wishes if options.get("jails") is not None else None, filters, keep, bool(options.get("incremental", True)),
            int(options.get("increments", 6)), bool(options.get("raw")), limit, options.get("source") == "bookmark",
            str(options["storage_path"]), options.get("storage_dataset"),
        )


def _limit(text: Any) -> Optional[int]:
    try:
        return amount(str(text)) or None if text else None
    except ValueError as error:
        raise InputError(f"'{text}' is no amount", "limit", "Give bytes in a second, such as 20M") from error


def _wish(every: Wish, options: Mapping[str, Any]) -> Wish:
    changes: Dict[str, Any] = {key: value for key, value in options.items() if value is not None}
    for key, known in (("method", ("auto", "zfs", "tar")), ("consistent", ("auto", "snapshot", "stopped"))):
        if changes.get(key, "auto") not in known:
            raise InputError(f"'{changes[key]}' is none of {', '.join(known)}", key, "Give one of these")
    for key in ("before", "after"):
        if key in changes:
            changes[key] = tuple(_argv(line, key) for line in changes[key])
    return replace(every, **changes)


def _argv(line: Any, key: str) -> Tuple[str, ...]:
    try:
        words: Sequence[str] = [str(word) for word in line] if isinstance(line, list) else shlex.split(str(line))
    except ValueError as error:
        raise InputError(f"'{line}' is no command: {error}", key, "Close its quotes") from error
    if not words:
        raise InputError("has an empty command", key, "Name a program")
    return tuple(words)


def put_in(words: Sequence[str], jail: str, stamp: str, stream: str) -> List[str]:
    """A command of the operator's with the names in it: each stays one argument."""
    known = {"{jail}": jail, "{set}": stamp, "{stream}": stream}
    return [re.sub(r"\{(?:jail|set|stream)\}", lambda found: known[found.group(0)], word) for word in words]
