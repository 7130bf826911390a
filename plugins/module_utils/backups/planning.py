# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan of backups: which sets are made of which jails, what they build on, and which sets go."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from typing import Any, Dict, List, Mapping, Optional, Tuple

from ansible_collections.cellblock.jails.plugins.module_utils.backups import basing, retention, taking
from ansible_collections.cellblock.jails.plugins.module_utils.backups import manifest as manifests
from ansible_collections.cellblock.jails.plugins.module_utils.backups.datasets import InDataset
from ansible_collections.cellblock.jails.plugins.module_utils.backups.manifest import SNAPSHOT, STAMP, Manifest
from ansible_collections.cellblock.jails.plugins.module_utils.backups.model import Request, Wish
from ansible_collections.cellblock.jails.plugins.module_utils.backups.observe import Sight, look
from ansible_collections.cellblock.jails.plugins.module_utils.backups.places import Place, Shelf, place_of
from ansible_collections.cellblock.jails.plugins.module_utils.backups.subject import Subject
from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.engine.plan import Lane, Plan, apart
from ansible_collections.cellblock.jails.plugins.module_utils.errors import CellblockError, FormatError, InputError, Refused
from ansible_collections.cellblock.jails.plugins.module_utils.jails import life
from ansible_collections.cellblock.jails.plugins.module_utils.jails.definition import Definition

GUARD = re.compile(r"/usr/bin/false its \w+ was cut off")  # what upgrades, restores and renames let no boot start


class Planner:
    """Plans the sets that are asked for."""

    def __init__(self, host: Host, request: Request) -> None:
        self.host, self.request = host, request
        names = None if request.wishes is None else list(request.wishes)
        self.sight: Sight = look(host, request.storage_path, request.storage_dataset, names)
        self.place: Place = place_of(host, request.destination)
        self.place.check(host)
        self.shelf: Shelf = self.place.shelf(host)
        self.stamp = self._stamp(time.time())
        self.told: Dict[str, Dict[str, Any]] = {}
        self.bases: Dict[str, Dict[str, Any]] = {}
        self.subjects: List[Subject] = []

    def _stamp(self, now: float) -> str:
        """This moment, or a second after the newest of ours: no two sets share one."""
        known = [one.stamp for sets in self.shelf.sets.values() for one in sets]
        known += [stamp for stamps in self.shelf.growing.values() for stamp in stamps]
        known += [stamp for stamp in self.shelf.taken if STAMP.fullmatch(stamp)]
        words = [name.partition(SNAPSHOT)[2].partition("-")[0] for name in self.sight.points]
        known += [word for word in words if STAMP.fullmatch(word)]
        newest = max(known, default="")
        seconds = manifests.time_of(newest).timestamp() + 1 if newest else 0
        return manifests.stamp_of(max(now, seconds))

    def plan(self) -> Plan:
        """The whole plan."""
        result = Plan()
        for wish in self._wishes():
            try:
                one = self._subject(wish)
            except CellblockError as error:
                result.refused[wish.name] = error
                self.told[wish.name] = {"changed": False, "refused": str(error)}
                continue
            self.subjects.append(one)
            first, streams = taking.steps(one)
            result.lanes.append(Lane(wish.name, first))
            if streams:
                result.inside.append(Lane(wish.name, streams))
            self.told[wish.name] = self._facts(one)
        result.lanes = apart(result.lanes, {one.name: [other.name for other in one.followers] for one in self.subjects})
        wanted = basing.needed(self.host, self.sight, [one.definition for one in self.subjects])
        seconds = manifests.time_of(self.stamp).timestamp()
        stamps = [manifests.stamp_of(seconds + number) for number in range(len(wanted))]
        result.inside = [*basing.lanes(self.request, self.place, self.sight, self.shelf, stamps, wanted, self.bases), *result.inside]
        result.warnings = list(self.shelf.odd)
        result.facts = {"jails": self.told, "bases": self.bases, "destination": self.request.destination.words()}
        return result

    def _wishes(self) -> List[Wish]:
        if self.request.wishes is not None:
            return list(self.request.wishes.values())
        return [replace(self.request.every, name=name) for name in sorted(self.sight.ours)]

    def _subject(self, wish: Wish) -> Subject:
        definition = self.sight.ours.get(wish.name)
        where = f"jail {wish.name}"
        if definition is None:
            raise InputError("there is no such jail of ours", where, "See jail_info")
        if definition.lost:
            raise Refused("its definition cannot be read", where, "Declare it once by the jails module")
        cut = next((hook for hook in definition.params.get("exec.prestart", []) if GUARD.fullmatch(hook)), "")
        if cut:
            raise Refused(f"half of a change stands there: {cut.partition(' ')[2]}", where, "End it first, by the same module")
        datasets = tuple(self.sight.datasets(definition))
        root, running = definition.root, wish.name in self.sight.seen.running
        method = wish.method if wish.method != "auto" else "zfs" if datasets else "tar"
        stops = wish.consistent == "stopped" or not datasets
        self._refuse(wish, definition, datasets, method, root)
        one = Subject(
            definition, wish, self.request, self.place, self.sight, self.stamp, root, method, stops, running, datasets,
            followers=self._followers(definition) if stops and running else (), left=self.shelf.growing.get(wish.name, ()),
        )
        return self._retained(self._increment(one))

    def _refuse(self, wish: Wish, definition: Definition, datasets: Tuple[str, ...], method: str, root: str) -> None:
        where = f"jail {wish.name}"
        if method == "zfs" and not datasets:
            raise Refused("its root is no dataset", where, "Use method: tar, or auto")
        if wish.consistent == "snapshot" and not datasets:
            raise Refused("its root is a plain directory, of which there is no snapshot", where, "Use consistent: stopped, or auto")
        if self.request.destination.dataset and method != "zfs":
            raise Refused("a dataset as destination takes no tar", where, "Use a directory as destination for it")
        if method == "tar" and self.host.outer(root) not in (None, root):
            raise Refused("its root stands in another jail's, whose root user could change the way to it", where, "Use a dataset for it, and method: zfs")
        if not self.host.isdir(root) and not datasets:
            raise Refused(f"its root {root} is not there", where, "Run the jails module, or restore it")

    def _followers(self, definition: Definition) -> List[Definition]:
        return life.followers(definition.name, self.sight.ours, self.sight.seen.marks(), self.sight.seen.running)

    # -- what it builds on

    def _increment(self, one: Subject) -> Subject:
        """The newest set of which this host still has where it ended; a full set when there is none, or enough build on it."""
        if not self.request.incremental:
            return one
        if isinstance(self.place, InDataset):
            return self._goes_on(one, self.shelf.sets.get(one.name, []))
        sets = self._sets(one)
        for parent in reversed(sets):
            try:
                chain = manifests.chain(sets, parent)
            except FormatError:
                continue
            if len(chain) > self.request.increments:
                return one
            found = self._bases(one, parent)
            if found is not None:
                return replace(one, parent=parent, bases=found)
        return one

    def _sets(self, one: Subject) -> List[Manifest]:
        """Its sets, those too that it had under other names, oldest first."""
        own = self.shelf.sets.get(one.name, [])
        names = {one.name, *manifests.former(one.definition.meta), *(manifests.former(own[-1].mark) if own else ())}
        return sorted((found for name in names for found in self.shelf.sets.get(name, [])), key=lambda found: found.stamp)

    def _bases(self, one: Subject, parent: Manifest) -> Optional[Dict[str, str]]:
        """Where the increments of its datasets begin; None when it cannot be an increment of this set."""
        streams = {stream.path: stream for stream in parent.data()}
        if one.method == "tar":
            paths = {one.place_of(dataset): number for number, dataset in enumerate(one.datasets)} or {"": 0}
            same = set(paths) == set(streams) and all(stream.method == "tar" for stream in streams.values())
            return {} if same and all(self.host.lstat(one.state(parent.stamp, number)) is not None for number in paths.values()) else None
        found: Dict[str, str] = {}
        for dataset in one.datasets:
            stream = streams.get(one.place_of(dataset))
            if stream is None:
                continue
            if stream.method != "zfs" or stream.raw != self.request.raw:
                return None
            base = self._point(dataset, stream.guid)
            if base:
                found[dataset] = base
        return found if one.datasets[0] in found else None

    def _point(self, dataset: str, guid: str) -> str:
        """The snapshot or bookmark of a dataset with a guid; a snapshot when there are both."""
        names = [name for name, one in self.sight.points.items() if one == guid and name.startswith((f"{dataset}@", f"{dataset}#"))]
        return min(names, key=lambda name: "#" in name, default="")

    def _goes_on(self, one: Subject, sets: List[Manifest]) -> Subject:
        """In a dataset, streams go on from the newest set only: what came before it is there."""
        newest = sets[-1] if sets else None
        found = self._bases(one, newest) if newest is not None else None
        if newest is None or not found:
            return one
        held = {stream.path: stream.held for stream in newest.data() if stream.held}
        return replace(one, bases={dataset: base for dataset, base in found.items() if one.place_of(dataset) in held}, held=held)

    # -- what goes

    def _retained(self, one: Subject) -> Subject:
        parent = one.parent.stamp if one.parent is not None else ""
        new = Manifest(one.name, one.stamp, (), parent=parent)
        gone = retention.doomed([*self._sets(one), new], self.request.keep)
        tail = f"-{self.request.destination.id}"
        older = [name for dataset in one.datasets for name in self.sight.of_ours(dataset, tail)]
        return replace(one, gone=gone, older=[name for name in older if not any(f"{SNAPSHOT}{stamp}-" in name for stamp in one.left)])

    # -- told

    def _facts(self, one: Subject) -> Dict[str, Any]:
        new = Manifest(one.name, one.stamp, (), parent=one.parent.stamp if one.parent is not None else "")
        stay = retention.kept([*self._sets(one), new], self.request.keep)
        return {
            "changed": True, "set": one.stamp, "method": one.method, "parent": new.parent, "increment": bool(one.parent or one.bases),
            "stops": [one.name, *(other.name for other in one.followers)] if one.stops and one.running else [],
            "kept": stay, "removed": [gone.stamp for gone in one.gone],
        }

    def finished(self, failed: Mapping[str, CellblockError]) -> None:
        """After a run: what became of each."""
        for one in self.subjects:
            made = one.outcome
            self.told[one.name].update({
                "outcome": "done" if made.whole and one.name not in failed else "failed", "estimate": made.estimate, "down": round(made.down, 1),
                "size": sum(stream.size for stream in made.streams), "plain": sum(stream.plain for stream in made.streams),
                "files": [stream.held or stream.name for stream in made.streams],
            })
