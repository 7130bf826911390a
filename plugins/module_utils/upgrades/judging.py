# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes of one jail: which way it goes, what that needs, and what stops it before it is touched."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Dict, List, Mapping, Optional, Set

from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.engine.walk import Walk
from ansible_collections.cellblock.jails.plugins.module_utils.errors import InputError, Refused
from ansible_collections.cellblock.jails.plugins.module_utils.jails import life
from ansible_collections.cellblock.jails.plugins.module_utils.jails.definition import Definition
from ansible_collections.cellblock.jails.plugins.module_utils.upgrades import applying, marking, ways
from ansible_collections.cellblock.jails.plugins.module_utils.upgrades.cloning import MOST, Cut, Own
from ansible_collections.cellblock.jails.plugins.module_utils.upgrades.keeping import PREFIX, Keep, aside
from ansible_collections.cellblock.jails.plugins.module_utils.upgrades.merging import merge
from ansible_collections.cellblock.jails.plugins.module_utils.upgrades.model import FACT, LATEST, Request, Wish, order, too_new
from ansible_collections.cellblock.jails.plugins.module_utils.upgrades.observe import Sight, below
from ansible_collections.cellblock.jails.plugins.module_utils.upgrades.subject import Side, Subject

SPARE = 16 << 20  # bytes that are to be free beside what is needed


class Judge:
    """Judges the jails of one host, one by one.

    :param told: what the module returns of each; it learns of conflicts and space.
    """

    def __init__(self, host: Host, request: Request, sight: Sight, told: Dict[str, Dict[str, Any]]) -> None:
        self.host, self.request, self.sight, self.told = host, request, sight, told
        self.missing: Set[str] = set()  # bases that an earlier task may make

    def stands_on(self, definition: Definition) -> Side:
        base = definition.meta.get("base")
        path = self.sight.path_of(str(base)) if base else ""
        own = self.sight.version(self.host, path if definition.meta.get("root") == "thin" else definition.root)
        return Side(str(base) if base else None, path, own)

    def target(self, wish: Wish, definition: Definition) -> Optional[Side]:
        """What it is to stand on; None when it does."""
        to, where = str(wish.to), f"jail {wish.name}"
        old = self.stands_on(definition)
        if to == LATEST:
            return self._latest(definition, old)
        path = self.sight.path_of(to)
        if path in self.sight.bases or (to.startswith("/") and self.sight.version(self.host, path)):
            if definition.meta.get("root") not in ("thin", "clone", "thick"):
                raise Refused("it was made of no base, so nothing tells what of it is its own", where, "Give a release, or latest")
            return None if path == old.path else Side(to, path, self.sight.version(self.host, path))
        if definition.meta.get("root") in ("thin", "clone") or order(to) is None:
            if self.request.check_mode:
                self.missing.add(to)
                return None
            raise InputError(f"base {to} is not there ({path})", where, "Make it with basejail")
        return None if old.version.partition("-p")[0] == to else Side(None, "", to)

    def _latest(self, definition: Definition, old: Side) -> Optional[Side]:
        own = order(old.version)
        if definition.meta.get("root") not in ("thin", "clone"):
            running = definition.name in self.sight.seen.running
            return ways.latest(self.host, definition, definition.root, old, running)
        found = [
            (level, path) for path, version in self.sight.bases.items() for level in [order(version)]
            if own is not None and level is not None and level[:4] == own[:4] and level > own and path.startswith(f"{self.sight.storage_path}/")
        ]
        if not found:
            return None
        path = max(found)[1]
        return Side(path.rpartition("/")[2], path, self.sight.bases[path])

    def forward(self, wish: Wish, definition: Definition, old: Side, new: Side, cut: Optional[Mapping[str, Any]]) -> Subject:
        """All that the steps need; refuses what must not be begun."""
        self._check_release(wish.name, old, new)
        running = self.sight.seen.running.get(wish.name)
        thin = definition.meta.get("root") == "thin"
        before = marking.on_base(definition, old.base, old.path) if old.base else definition
        after = marking.on_base(definition, new.base, new.path) if new.base else definition
        keep = self._keep(wish, definition, new) if cut is None else Keep.read(definition.root, cut.get("keep"))
        previous = definition.meta.get(FACT)
        subject = Subject(
            before, after, wish, old, new, keep,
            ran=bool(cut["ran"]) if cut is not None else running is not None,
            running=running is not None,
            busy=str((running or {}).get("jid")) in self.sight.busy if cut is None else "command" not in definition.params and bool(
                definition.params.get("exec.start")) and definition.params.get("persist") != ["true"],
            followers=self.followers(wish.name, cut),
            resumed=cut, kept_already=cut is not None and self.is_kept(keep),
            previous=Keep.read(definition.root, previous["keep"]) if cut is None and isinstance(previous, dict) and previous.get("keep") else None,
        )
        was, becomes = order(old.version), order(new.version)
        if was is not None and becomes is not None and was[0] != becomes[0]:
            self.told.setdefault(wish.name, {})["reinstall"] = ways.installed(self.host, wish.name, subject.root, subject.running)
        if new.base is None:
            return replace(subject, way=ways.in_place(self.host, subject))
        bases = self.sight.compare(self.host, self.sight.stood(self.host, definition, old.path), new.path, thin)
        found = merge(bases, self._own_root(wish.name, subject.root), wish.merge)
        if found.conflicts:
            self.told.setdefault(wish.name, {})["conflicts"] = [
                {"path": f"/{one.path}", "why": one.why, "hunks": [str(hunk) for hunk in one.hunks]} for one in found.conflicts
            ]
            raise applying.conflicted(wish.name, found.conflicts)
        return self._with_space(self._cut(replace(subject, bases=bases, merge=found)))

    def _cut(self, one: Subject) -> Subject:
        """A clone comes to a new clone where that is a clean cut: nothing hangs on its dataset, and little is to be copied."""
        base = self.sight.base_dataset(one.new.path)
        if one.before.meta.get("root") != "clone" or base is None or not one.keep.datasets or one.bases is None:
            return one
        if one.resumed is not None:
            goes_on = bool(one.keep.aside) and not one.kept_already
            return replace(one, cut=Cut(one.keep.datasets[0], one.root, base, one.keep.aside)) if goes_on else one
        dataset = one.keep.datasets[0]
        if not self.sight.is_whole_cut(dataset, one.root):
            return one
        own = Own.of(one.bases.old, Walk.of(self.host, one.root))
        if own.size > MOST:
            return one
        name = f"{dataset}:before-{one.keep.snapshot[len(PREFIX):]}"
        name = f"{name}-2" if name in (self.sight.seen.datasets or {}) else name
        return replace(one, cut=Cut(dataset, one.root, base, name), keep=replace(one.keep, aside=name, snapshot=""), carried=own.size)

    def _own_root(self, name: str, root: str) -> Walk:
        walk = Walk.of(self.host, root)
        for path in ("etc", "var"):
            found = walk.stamp(path)
            if found is None or found.kind != "directory":
                raise Refused(f"{root}/{path} is no directory", f"jail {name}", "Look at what its root did there")
        return walk

    def _check_release(self, name: str, old: Side, new: Side) -> None:
        where = f"jail {name}"
        if too_new(new.version, self.sight.seen.osreldate):
            raise Refused(
                f"{new} is newer than the kernel of the host, __FreeBSD_version {self.sight.seen.osreldate}", where, "Upgrade the host first",
            )
        was, becomes = order(old.version), order(new.version)
        if was is not None and becomes is not None and becomes < was:
            raise Refused(f"{new} is older than {old}", where, "An upgrade is taken back by state: rolled_back")

    def _keep(self, wish: Wish, definition: Definition, new: Side) -> Keep:
        root = definition.root
        if wish.rollback == "none":
            return Keep(root, wanted=False)
        dataset = self.sight.dataset(definition)
        if dataset is None:
            if self.sight.seen.outer(root) is not None:
                raise Refused("its root stands in another jail's, where no copy is safe", f"jail {wish.name}", "Set rollback: none to go without")
            return Keep(root)
        word = f"{PREFIX}{(new.base or new.version).rpartition('/')[2]}"
        datasets = below(self.sight, dataset)
        taken = {name.partition("@")[2] for name in self.sight.datasets if "@" in name}
        names = [word, *(f"{word}-{number}" for number in range(2, 100))]
        return Keep(root, tuple(datasets), next(one for one in names if one not in taken))

    def is_kept(self, keep: Keep) -> bool:
        """Whether what a jail was is there; its dataset may have been moved aside meanwhile."""
        if not keep.datasets:
            return keep.root in self.sight.kept
        there = {*self.sight.datasets, *(self.sight.seen.datasets or {})}
        return bool({keep.names()[0], f"{aside(keep.datasets[0], keep.snapshot)}@{keep.snapshot}"} & there)

    def _with_space(self, subject: Subject) -> Subject:
        """Refuse when there is no room for what is kept and what comes."""
        need, where = subject.merge.size + subject.carried + SPARE, f"jail {subject.name}"
        if subject.keep.datasets:
            free = int(self.sight.datasets[subject.keep.datasets[0]]["available"])
        elif subject.root in self.sight.free:
            free = self.sight.free[subject.root]
            need += self.sight.sizes.get(subject.root, 0) if subject.keep.wanted and not subject.kept_already else 0
        else:
            return subject
        self.told.setdefault(subject.name, {})["space"] = {"need": need, "free": free}
        if need > free:
            raise Refused(
                f"it needs {need >> 20} MB, and {free >> 20} MB are free", where,
                "Make room, raise its quota, or set rollback: none" if not subject.keep.datasets else "Make room, or raise its quota",
            )
        return subject

    def followers(self, name: str, cut: Optional[Mapping[str, Any]]) -> List[Definition]:
        """What runs in it or depends on it, in the order of their stop."""
        alive = {*self.sight.seen.running, *((cut or {}).get("followers") or ())}
        return life.followers(name, self.sight.ours, self.sight.seen.marks(), alive)
