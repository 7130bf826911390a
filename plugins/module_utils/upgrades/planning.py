# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan of upgrades: which jails go, in which order, and what becomes of those whose upgrade was cut off."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Dict, List, Mapping, Optional, Tuple

from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.engine.plan import Lane, Plan, Step, apart
from ansible_collections.cellblock.jails.plugins.module_utils.errors import CellblockError, InputError, Refused
from ansible_collections.cellblock.jails.plugins.module_utils.jails.definition import Definition
from ansible_collections.cellblock.jails.plugins.module_utils.upgrades import marking, transaction
from ansible_collections.cellblock.jails.plugins.module_utils.upgrades.judging import Judge
from ansible_collections.cellblock.jails.plugins.module_utils.upgrades.keeping import Keep
from ansible_collections.cellblock.jails.plugins.module_utils.upgrades.merging import resolved
from ansible_collections.cellblock.jails.plugins.module_utils.upgrades.model import (
    BACK,
    DONE,
    FACT,
    LATEST,
    OPEN,
    RESTORED,
    UNWELL,
    Request,
    Wish,
    unfinished,
)
from ansible_collections.cellblock.jails.plugins.module_utils.upgrades.observe import Sight, look
from ansible_collections.cellblock.jails.plugins.module_utils.upgrades.subject import Side, Subject


class Planner:
    """Plans what is asked of the jails of one host."""

    def __init__(self, host: Host, request: Request) -> None:
        self.host, self.request = host, request
        self.sight: Sight = look(host, request.storage_path, request.storage_dataset, list(request.wishes) if request.wishes is not None else None)
        self.subjects: List[Subject] = []
        self.told: Dict[str, Dict[str, Any]] = {}
        self.judge = Judge(host, request, self.sight, self.told)

    def plan(self) -> Plan:
        """The whole plan."""
        result = Plan()
        lanes: Dict[str, List[Step]] = {}
        for wish in self._wishes():
            told = self.told.setdefault(wish.name, {"changed": False})
            try:
                found = self._subject(wish)
                if found is None:
                    continue
                subject, steps = found
            except CellblockError as error:
                result.refused[wish.name] = error
                told["refused"] = str(error)
                continue
            self.subjects.append(subject)
            lanes[wish.name] = steps
            told.update(self._facts(subject), changed=True)
        result.warnings = [
            f"base {base} is not there yet; when an earlier task makes it, what it brings shows only then" for base in sorted(self.judge.missing)
        ]
        stops = {one.name: [follower.name for follower in one.followers] for one in self.subjects}
        result.lanes = apart([Lane(name, steps) for name, steps in lanes.items()], stops)
        result.facts = {"jails": self.told}
        return result

    def _wishes(self) -> List[Wish]:
        """In the order in which they go: what others need comes first."""
        ours, wishes = self.sight.ours, self.request.wishes
        if wishes is None:
            marked = [name for name, one in ours.items() if one.meta.get("base") or FACT in one.meta]
            wishes = {name: replace(self.request.every, name=name) for name in sorted(marked)}
        placed: Dict[str, Wish] = {}

        def place(name: str, trail: Tuple[str, ...]) -> None:
            for need in self._needs(name):
                if need in wishes and need not in placed and need not in trail:
                    place(need, (*trail, name))
            placed.setdefault(name, wishes[name])

        for name in wishes:
            place(name, ())
        return list(placed.values())

    def _needs(self, name: str) -> List[str]:
        mark = self.sight.seen.marks().get(name, {})
        outer = name.rpartition(".")[0]
        return [*([outer] if outer else []), *(str(one) for one in mark.get("depend") or ())]

    def _subject(self, wish: Wish) -> Optional[Tuple[Subject, List[Step]]]:
        definition = self.sight.ours.get(wish.name)
        where = f"jail {wish.name}"
        if definition is None:
            raise InputError("there is no such jail of ours", where, "See jail_info")
        if definition.lost:
            raise Refused("its definition cannot be read", where, "Declare it once by the jails module")
        definition = marking.unguarded(definition)
        cut = unfinished(definition.meta)
        if cut is not None:
            return self._resume(wish, definition, cut)
        if self.request.state == "rolled_back":
            return self._roll_back(wish, definition)
        new = self.judge.target(wish, definition)
        if new is None:
            return None
        subject = self.judge.forward(wish, definition, self.judge.stands_on(definition), new, None)
        return subject, transaction.forward(subject)

    def _resume(self, wish: Wish, definition: Definition, cut: Mapping[str, Any]) -> Tuple[Subject, List[Step]]:
        told = self.told.setdefault(wish.name, {})
        old, new = self._side(cut, "from", "was"), self._side(cut, "to", "is")
        same = self.request.state == "upgraded" and cut.get("phase") not in (BACK, RESTORED) and _names(wish, new)
        if same:
            told["resumed"] = "goes on"
            try:
                subject = self.judge.forward(wish, definition, old, new, cut)
                return subject, transaction.forward(subject)
            except CellblockError as error:
                why = f"it cannot go on: {error}"
        else:
            why = "it was cut off, and is asked for no longer" if cut.get("phase") not in (BACK, RESTORED) else "that was cut off"
        if cut.get("phase") == OPEN:
            why = "it was cut off when it was open"
        subject = self._backward(wish, definition, old, new, cut)
        told["resumed"] = "taken back"
        return subject, transaction.backward(subject, why)

    def _side(self, noted: Mapping[str, Any], base: str, version: str) -> Side:
        named = noted.get(base)
        return Side(named, self.sight.path_of(str(named)) if named else "", str(noted.get(version) or ""))

    def _roll_back(self, wish: Wish, definition: Definition) -> Optional[Tuple[Subject, List[Step]]]:
        noted = definition.meta.get(FACT)
        if not isinstance(noted, dict) or noted.get("phase") not in (DONE, UNWELL):
            return None
        subject = self._backward(wish, definition, self._side(noted, "from", "was"), self._side(noted, "to", "is"), noted)
        if subject.old.path and subject.old.path not in self.sight.bases and not self.sight.version(self.host, subject.old.path):
            raise Refused(f"base {subject.old.base} is gone", f"jail {wish.name}", "Make it again, or restore the jail from a backup")
        if not self.judge.is_kept(subject.keep):
            raise Refused("nothing is kept of what it was", f"jail {wish.name}", "Upgrade it again, or restore it from a backup")
        self.told[wish.name]["loses"] = {"since": noted.get("at"), "bytes": self._written(subject.keep)}
        return subject, transaction.backward(subject, "that was asked for")

    def _written(self, keep: Keep) -> Optional[int]:
        """Bytes that were written since; None where nothing tells."""
        since = f"written@{keep.snapshot}" if keep.snapshot else "written"
        written = [self.host.ask(["zfs", "get", "-Hp", "-o", "value", since, dataset]).out.strip() for dataset in keep.datasets]
        return sum(map(int, written)) if written and all(value.isdigit() for value in written) else None

    def _backward(self, wish: Wish, definition: Definition, old: Side, new: Side, noted: Mapping[str, Any]) -> Subject:
        running = self.sight.seen.running.get(wish.name)
        keep = Keep.read(definition.root, noted.get("keep"))
        cut = noted if noted.get("phase") not in (DONE, UNWELL) else None
        keep = keep if self.judge.is_kept(keep) or (cut is not None and keep.wanted and cut.get("phase") == BACK) else replace(keep, wanted=False, datasets=())
        return Subject(
            marking.on_base(definition, old.base, old.path) if old.base else definition, definition, wish, old, new, keep,
            ran=bool(cut.get("ran")) if cut is not None else running is not None, running=running is not None, busy=False,
            followers=self.judge.followers(wish.name, cut), resumed=noted,
        )

    # -- told

    def _facts(self, one: Subject) -> Dict[str, Any]:
        return {
            "way": one.way.kind, "from": str(one.old), "to": str(one.new), "merged": resolved(one.merge.changes),
            "kept": [f"/{path}" for path in one.merge.kept], "restarts": [one.name, *(other.name for other in one.followers)],
        }


def _names(wish: Wish, new: Side) -> bool:
    return wish.to in (new.base, new.path, new.version, LATEST) or wish.to is None


def finished(planner: Planner, failed: Dict[str, CellblockError]) -> None:
    """After a run: what failed and took nothing back."""
    for one in planner.subjects:
        if one.outcome.late and one.name not in failed:
            failed[one.name] = one.outcome.late[0]
        if one.outcome.down is not None:
            planner.told[one.name]["down"] = round(one.outcome.down, 1)
        planner.told[one.name]["outcome"] = "failed" if one.name in failed else "done"
