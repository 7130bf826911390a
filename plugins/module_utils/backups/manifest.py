# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a set says of itself: the jail as it was declared and defined, and each stream with its size and digest.

Pure: text in, text out. A set is a directory ``DESTINATION/JAIL/STAMP`` with this as ``manifest.json``, written last.
"""

from __future__ import annotations

import datetime
import json
import re
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple, Type, TypeVar

from ansible_collections.cellblock.jails.plugins.module_utils.errors import FormatError

FORMAT = 1
NAME = "manifest.json"
STAMP = re.compile(r"\d{8}T\d{6}Z")
FILE = re.compile(r"[a-z0-9][A-Za-z0-9._-]*")
SNAPSHOT = "cellblock-backup-"  # what follows is the stamp, and the destination's id
MOST = 16 << 20  # bytes of a manifest that are read
Thing = TypeVar("Thing")


@dataclass(frozen=True)
class Stream:
    """One file of a set.

    :param name: the file's, such as ``root.zfs.zst``.
    :param method: ``zfs`` or ``tar``; ``mtree`` for the list of all that the jail had, see mtree(5); ``list`` for paths that are gone.
    :param size: bytes of the file; sha256 is of these.
    :param plain: bytes before the filters.
    :param path: where it belongs below the jail's root: "" for the root itself, ``data`` for a dataset mounted there.
    :param dataset: the dataset that it was, for the record.
    :param guid: the snapshot that it makes, by its guid; "" for a tar.
    :param since: the guid of the snapshot that it builds on; "" where it is whole by itself.
    :param raw: whether it was sent raw, as an encrypted dataset is.
    :param properties: what was set on the dataset itself, less our marks and its place.
    :param filters: the commands that it passed through, compression first.
    :param readers: the commands that undo them, in the order of use.
    :param held: the snapshot of the destination that it is, dataset and all, in place of a file; then ``sha256`` is "".
    :param gone: for an increment of tar: the file of the set with the paths that are gone since, each ended by NUL.
    """

    name: str
    method: str
    size: int
    sha256: str
    plain: int
    path: str = ""
    dataset: str = ""
    guid: str = ""
    since: str = ""
    raw: bool = False
    properties: Mapping[str, str] = field(default_factory=dict)
    filters: Sequence[Sequence[str]] = ()
    readers: Sequence[Sequence[str]] = ()
    held: str = ""
    gone: str = ""


@dataclass(frozen=True)
class Proof:
    """A set that was restored for a test.

    :param at: when, as a stamp.
    :param passed: whether it was as its manifest says.
    :param said: what was wrong; "" when nothing was.
    :param host: where.
    """

    at: str
    passed: bool
    said: str = ""
    host: str = ""


@dataclass(frozen=True)
class Manifest:
    """A set.

    :param stamp: when its snapshot was taken, or its jail was stopped, UTC.
    :param host: the host's name.
    :param release: the host's release, as uname(1) says.
    :param collection: the version of this collection.
    :param consistent: ``snapshot`` or ``stopped``.
    :param parent: the stamp of the set that it cannot be restored without; "" for one that stands by itself.
    :param style: how the jail was defined: ``jail_conf`` or ``rc_conf``.
    :param mark: the facts of its mark; the options that it was declared with are among them.
    :param parameters: the definition's, as jail(8) has them.
    :param definition: the text of its definition, for people.
    :param fstab: the text of its fstab on the host.
    :param limits: its rules of rctl(8).
    :param rulesets: the rules of its devfs ruleset, by name or number.
    :param networks: the declared networks it is in, by name.
    :param base: its base: name, version, path, root (kind), guid of the base's snapshot, digest of its mtree(5).
    :param packages: those that are installed in it, ``name-version``.
    :param estimate: bytes that its streams were expected to have, before the filters.
    :param seconds: how long it was down for it.
    :param readers: for sets that a command keeps: what reads a stream, with ``{stream}`` in it.
    :param proofs: its restore tests, oldest first.
    """

    jail: str
    stamp: str
    streams: Tuple[Stream, ...]
    host: str = ""
    release: str = ""
    collection: str = ""
    consistent: str = "snapshot"
    parent: str = ""
    style: str = "jail_conf"
    mark: Mapping[str, Any] = field(default_factory=dict)
    parameters: Mapping[str, Sequence[str]] = field(default_factory=dict)
    definition: str = ""
    fstab: str = ""
    limits: Sequence[str] = ()
    rulesets: Mapping[str, Sequence[str]] = field(default_factory=dict)
    networks: Mapping[str, Any] = field(default_factory=dict)
    base: Mapping[str, str] = field(default_factory=dict)
    packages: Sequence[str] = ()
    estimate: int = 0
    seconds: float = 0.0
    readers: Sequence[str] = ()
    proofs: Tuple[Proof, ...] = ()

    @property
    def size(self) -> int:
        """Bytes of its files."""
        return sum(stream.size for stream in self.streams)

    @property
    def last_proof(self) -> Optional[Proof]:
        """Its last restore test."""
        return self.proofs[-1] if self.proofs else None

    def data(self) -> List[Stream]:
        """The streams of the jail, its root first."""
        return [stream for stream in self.streams if stream.method in ("zfs", "tar")]

    def find(self, name: str) -> Stream:
        """A stream by its file's name."""
        return next(stream for stream in self.streams if stream.name == name)

    def proved(self, proof: Proof) -> Manifest:
        """The same with one more restore test; the last ten are kept."""
        return replace(self, proofs=(*self.proofs, proof)[-10:])


def stamp_of(seconds: float) -> str:
    """A time as a stamp."""
    return datetime.datetime.fromtimestamp(int(seconds), datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")


def time_of(stamp: str) -> datetime.datetime:
    """A stamp's time."""
    return datetime.datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=datetime.timezone.utc)


def set_path(destination: str, jail: str, stamp: str) -> str:
    """Where a set is."""
    return f"{destination}/{jail}/{stamp}"


def growing_path(destination: str, jail: str, stamp: str) -> str:
    """Where a set is until it is whole; what ends so is no set."""
    return f"{destination}/{jail}/.{stamp}.partial"


# -- text


def render(manifest: Manifest) -> str:
    """The text."""
    return json.dumps({"format": FORMAT, **asdict(manifest)}, indent=1, sort_keys=True, ensure_ascii=True) + "\n"


def parse(text: str, where: str) -> Manifest:
    """The set that a text tells of.

    :param where: the file, for errors.
    :raises FormatError: it is no manifest, of another format, or lacks what one has.
    """
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise FormatError("is no manifest: it is no JSON", where, "The set was cut off or changed; use another") from error
    if not isinstance(found, dict) or not isinstance(found.get("format"), int):
        raise FormatError("is no manifest of a set: it has no format", where, "Name the manifest.json of a set that jail_backup made")
    if found["format"] != FORMAT:
        raise FormatError(f"is of format {found['format']}, this collection reads {FORMAT}", where, "Use the collection that made it, or a newer one")
    found = {key: value for key, value in found.items() if key != "format"}
    manifest = _made(Manifest, {
        **found, "streams": _list(found, "streams", Stream, where), "proofs": _list(found, "proofs", Proof, where),
    }, where)
    _check(manifest, where)
    return manifest


def _list(found: Mapping[str, Any], key: str, kind: Type[Thing], where: str) -> Tuple[Thing, ...]:
    value = found.get(key, [])
    if not isinstance(value, list):
        raise FormatError(f"has {key} that are no list", where, "The set was changed by hand; use another")
    return tuple(_made(kind, one, where) for one in value)


KINDS: Dict[str, Tuple[type, ...]] = {
    "str": (str,), "int": (int,), "float": (int, float), "bool": (bool,), "Mapping": (dict,), "Sequence": (list,), "Tuple": (tuple,),
}


def _made(kind: Type[Thing], found: Any, where: str) -> Thing:
    """A dataclass of what was read: all its words there, each of its type, none besides."""
    fix = "The set was cut off or changed; use another"
    if not isinstance(found, dict):
        raise FormatError(f"has a {kind.__name__} that is none", where, fix)
    known = {one.name: str(one.type) for one in fields(kind)}  # type: ignore[arg-type]
    unknown = sorted(set(found) - set(known))
    if unknown:
        raise FormatError(f"has words that this collection does not know: {', '.join(unknown)}", where, "Use a newer collection")
    for name, value in found.items():
        wanted = KINDS[known[name].partition("[")[0]]
        if not isinstance(value, wanted) or (isinstance(value, bool) and wanted[0] is not bool):
            raise FormatError(f"has a {name} that is no {wanted[0].__name__}", where, fix)
    try:
        return kind(**{name: _frozen(value) for name, value in found.items()})
    except TypeError as error:
        raise FormatError(f"lacks what a set has: {str(error).rpartition(':')[2].strip()}", where, fix) from error


def _frozen(value: Any) -> Any:
    return tuple(_frozen(one) for one in value) if isinstance(value, (list, tuple)) else value


def _check(manifest: Manifest, where: str) -> None:
    fix = "The set was changed by hand; use another"
    for what, stamp in (("stamp", manifest.stamp), ("parent", manifest.parent)):
        if not STAMP.fullmatch(stamp) and (what == "stamp" or stamp):
            raise FormatError(f"has the {what} '{stamp}', which is no time", where, fix)
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", manifest.jail):
        raise FormatError(f"is of a jail called '{manifest.jail}'", where, fix)
    names = [stream.name for stream in manifest.streams]
    for stream in manifest.streams:
        if not FILE.fullmatch(stream.name) or stream.name == NAME or names.count(stream.name) > 1:
            raise FormatError(f"names a stream '{stream.name}'", where, fix)
        digested = re.fullmatch(r"[0-9a-f]{64}", stream.sha256) or (stream.held and not stream.sha256)
        if stream.method not in ("zfs", "tar", "mtree", "list") or not digested or stream.size < 0:
            raise FormatError(f"says of stream {stream.name} what cannot be", where, fix)
        if any(part in ("", ".", "..") for part in stream.path.split("/") if stream.path):
            raise FormatError(f"has stream {stream.name} for the path '{stream.path}', which leads out of the jail", where, fix)
        if stream.gone and stream.gone not in names:
            raise FormatError(f"lacks the file {stream.gone} of stream {stream.name}", where, fix)
    if not manifest.data():
        raise FormatError("has no stream of the jail", where, fix)


# -- chains


def former(mark: Mapping[str, Any]) -> List[str]:
    """The names that a jail had, whose sets are its own too."""
    found = mark.get("former")
    return [str(name) for name in found] if isinstance(found, (list, tuple)) else []


def chain(sets: Sequence[Manifest], last: Manifest) -> List[Manifest]:
    """What a set needs to be restored: itself and those it builds on, the full one first.

    :raises FormatError: one of them is not there.
    """
    by_stamp = {one.stamp: one for one in sets if one.jail in (last.jail, *former(last.mark))}
    found = [last]
    while found[0].parent:
        parent = by_stamp.get(found[0].parent)
        if parent is None or parent.stamp >= found[0].stamp:
            raise FormatError(
                f"builds on set {found[0].parent}, which is not there", f"set {found[0].stamp} of jail {last.jail}",
                "Use a full set, or one whose sets are all there",
            )
        found.insert(0, parent)
    return found
