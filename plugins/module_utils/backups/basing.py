# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bases in a destination: thin jails mount theirs, so it is there too, once for all that stand on it, as a set of its own."""

from __future__ import annotations

import hashlib
from typing import Any, Dict, List, Mapping, Optional, Sequence

from ansible_collections.cellblock.jails.plugins.module_utils.backups import describing, sending
from ansible_collections.cellblock.jails.plugins.module_utils.backups.manifest import Manifest, Stream
from ansible_collections.cellblock.jails.plugins.module_utils.backups.model import Request, Wish
from ansible_collections.cellblock.jails.plugins.module_utils.backups.observe import Sight
from ansible_collections.cellblock.jails.plugins.module_utils.backups.places import Place, Shelf
from ansible_collections.cellblock.jails.plugins.module_utils.backups.subject import Subject
from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.engine.plan import Lane, Step
from ansible_collections.cellblock.jails.plugins.module_utils.engine.walk import SECOND, Walk
from ansible_collections.cellblock.jails.plugins.module_utils.jails.definition import Definition
from ansible_collections.cellblock.jails.plugins.module_utils.jails.roots import LEFT_OUT

BASES = "basejails"  # what their sets are of; no jail can be called so


def digest(host: Host, path: str) -> str:
    """What tells a base from another: names, kinds, sizes, owners, modes and times of all that is in it, the tools' own state aside.

    Two hosts that extracted the same release have the same.
    """
    found = hashlib.sha256()
    for name, stamp in Walk.of(host, path).survey(lambda one: one not in LEFT_OUT and one != ".zfs").items():
        if name not in LEFT_OUT and name != ".zfs":
            size = (stamp.size, stamp.mtime // SECOND) if stamp.kind == "file" else (0, 0)
            found.update(repr((name, stamp.kind, stamp.shape(), size, stamp.target)).encode("utf-8", "surrogateescape"))
    return found.hexdigest()


def needed(host: Host, sight: Sight, definitions: Sequence[Definition]) -> Dict[str, str]:
    """The paths of the bases that thin jails stand on, each with its digest."""
    paths = {describing.base_path(sight, one) for one in definitions if one.meta.get("root") == "thin" and one.meta.get("base")}
    for path in sorted(paths - set(sight.bases)):
        if host.isdir(path):
            sight.bases[path] = digest(host, path)
    return {path: sight.bases[path] for path in sorted(paths) if path in sight.bases}


def find(shelf: Shelf, base: Mapping[str, str]) -> Optional[Manifest]:
    """The set of a base: of the same content, else of the same name and version."""
    sets = list(reversed(shelf.sets.get(BASES, [])))
    same = [one for one in sets if base.get("digest") and one.base.get("digest") == base["digest"]]
    alike = [one for one in sets if (one.base.get("name"), one.base.get("version")) == (base.get("name"), base.get("version"))]
    return next(iter([*same, *alike]), None)


def lanes(
    request: Request, place: Place, sight: Sight, shelf: Shelf, stamps: Sequence[str], wanted: Mapping[str, str], told: Dict[str, Dict[str, Any]],
) -> List[Lane]:
    """What makes the sets of bases that are not there yet.

    :param stamps: for each of them.
    :param told: learns, by path, which set is that of each base, and what files it has.
    """
    for kept in shelf.sets.get(BASES, []):
        for path in (path for path, found in wanted.items() if found == kept.base.get("digest")):
            told[path] = {"set": kept.stamp, "files": [stream.name for stream in kept.streams]}
    there = {one.base.get("digest") for one in shelf.sets.get(BASES, [])}
    missing = {path: found for path, found in wanted.items() if found not in there}
    left = shelf.growing.get(BASES, ())
    steps: List[Step] = [_take_away(place, stamp) for stamp in left] if missing else []
    for (path, found), stamp in zip(missing.items(), stamps):
        definition = Definition(BASES, "jail_conf", {"root": "base", "base": path}, {"path": [path]})
        one = Subject(definition, Wish(BASES), request, place, sight, stamp, path, "tar", False, False)
        told[path] = {"set": stamp, "files": []}
        steps += _steps(one, found, told[path])
    steps += [_remove(place, one) for one in _unused(shelf, wanted)] if request.keep is not None else []
    return [Lane(BASES, steps)] if steps else []


def _unused(shelf: Shelf, wanted: Mapping[str, str]) -> List[Manifest]:
    """Bases that no set stands on any more, as the destination is before this run."""
    used = {one.base.get("digest") for jail, sets in shelf.sets.items() if jail != BASES for one in sets} | set(wanted.values())
    return [one for one in shelf.sets.get(BASES, []) if one.base.get("digest") not in used]


def _remove(place: Place, gone: Manifest) -> Step:
    what = f"remove set {gone.stamp} of base {gone.base.get('name')}, which no set stands on"
    return Step(what, lambda host: place.drop(host, gone), None, f"{BASES}/{gone.stamp}", f"{gone.size} bytes\n", "")


def _take_away(place: Place, stamp: str) -> Step:
    return Step(f"take away what a run that was cut left of set {stamp}", lambda host: place.drop_growing(host, BASES, stamp))


def _steps(one: Subject, found: str, told: Dict[str, Any]) -> List[Step]:
    place, stamp, path = one.place, one.stamp, one.root

    def undo(host: Host) -> None:
        if not one.outcome.whole:
            place.drop_growing(host, BASES, stamp)

    def archive(host: Host) -> None:
        left_out = [f"--exclude=./{name}" for name in LEFT_OUT]
        made = Stream(f"root.tar{one.request.filters.suffix}", "tar", 0, "", 0)
        one.outcome.streams.append(sending.put(host, one, [[*sending.TAR, *left_out, "-C", path, "."]], None, made))

    def finish(host: Host) -> None:
        base = {"name": path.rpartition("/")[2], "path": path, "version": describing.version(host, path), "digest": found, "root": "base"}
        streams, sight = tuple(one.outcome.streams), one.sight
        place.finish(host, Manifest(BASES, stamp, streams, sight.hostname, sight.release, describing.VERSION, "stopped", base=base))
        one.outcome.whole = True
        told["files"] = [stream.name for stream in streams]

    return [
        Step(f"begin set {stamp} of base {path}", lambda host: place.begin(host, BASES, stamp), undo),
        Step(f"archive {path}", archive), Step(f"make it whole: set {stamp} of base {path}", finish),
    ]
