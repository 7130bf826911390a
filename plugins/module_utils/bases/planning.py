# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bases for jails: a whole FreeBSD system below one name, that jails are mounted, cloned or copied from.

A base grows under another name (``NAME.partial`` as a dataset, ``.NAME.partial`` as a directory) and is
renamed when it is whole. A dataset of ours carries ``cellblock:base`` and ``cellblock:state``, a plain
directory has a mark ``.NAME.json`` beside it.
"""

from __future__ import annotations

from typing import Container, List, Optional

from ansible_collections.cellblock.jails.plugins.module_utils.bases.base import Base, adopts
from ansible_collections.cellblock.jails.plugins.module_utils.bases.making import (
    destruction,
    make_dataset,
    make_directory,
    mark_text,
    naming,
    parent_dataset,
    parent_directory,
    removal,
    remove,
    roll_back,
    snapshot_step,
    update_dataset,
    update_directory,
)
from ansible_collections.cellblock.jails.plugins.module_utils.bases.observe import ADOPTED, OURS, Common, Seen, beside, look, told, users_of_old
from ansible_collections.cellblock.jails.plugins.module_utils.bases.sources import Source, maker, updater
from ansible_collections.cellblock.jails.plugins.module_utils.engine import ask, storage
from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.engine.plan import Plan, Step, write_step
from ansible_collections.cellblock.jails.plugins.module_utils.errors import HostError, InputError, Refused


def plan(host: Host, base: Base, check_mode: bool, common: Optional[Common] = None, coming: Container[str] = ()) -> Plan:
    """The way to a base.

    :param check_mode: what earlier tasks would have made may be missing yet.
    :param common: what was asked already for all bases of the host.
    :param coming: directories that are made before it.
    :raises InputError: what is asked for cannot be.
    :raises Refused: something would be lost, or is not ours.
    """
    seen = look(host, base, common)
    result = Plan()
    if base.state == "absent":
        from ansible_collections.cellblock.jails.plugins.module_utils.bases.removal import absent

        result.before = absent(host, base, seen, result.warnings)
    else:
        _check_storage(base, seen, check_mode, result.warnings)
        result.before = Planner(host, base, seen, check_mode or base.directory in coming).steps()
        if result.before and base.unproved is not None:
            result.warnings.append(base.unproved)
    result.facts = {"base": told(base, seen)}
    return result


def _check_storage(base: Base, seen: Seen, check_mode: bool, warnings: List[str]) -> None:
    top = base.storage_dataset
    if top is None:
        return
    found = seen.datasets.get(top)
    fix = "Make it with the host_storage module, or 'zfs create'"
    if found is None:
        if not check_mode:
            raise InputError(f"dataset {top} is not there", "storage_dataset", fix)
        warnings.append(f"dataset {top} is not there yet; it is taken for granted that an earlier task makes it")
    elif found["mountpoint"] != base.storage_path:
        raise InputError(
            f"dataset {top} is mounted at {found['mountpoint']}, not at storage_path {base.storage_path}",
            "storage_dataset", "Let both name the same place",
        )


class Planner:
    """Plans a base that is to be there."""

    def __init__(self, host: Host, base: Base, seen: Seen, check_mode: bool) -> None:
        self.host = host
        self.base = base
        self.seen = seen
        self.check_mode = check_mode
        self.where = f"base {base.name}"

    def steps(self) -> List[Step]:
        """All steps."""
        if self.seen.kind is None:
            return self._adopt() if adopts(self.base) else self._make()
        if self.seen.found is not None and not self.seen.filled:
            raise HostError(
                f"its dataset {self.seen.dataset} is empty or not mounted", self.where, "Mount it, see 'zfs mount'"
            )
        self._refuse_conversion(self.seen.kind)
        return [*self._mend(), *self._snapshot_missing(), *self._update(self.seen.kind)]

    def _refuse_conversion(self, kind: str) -> None:
        fix = "Make a base of another name, or remove this one first"
        asked = self.base.source
        if asked is not None and asked != kind and not (asked == "directory" and kind == ADOPTED):
            raise Refused(f"it was made of {kind}, and cannot become of {asked}", self.where, fix)
        release = self.base.release
        if release is not None and self.seen.version and not self.seen.version.startswith(release):
            raise Refused(f"it is {self.seen.version}, and cannot become {release}", self.where, fix)

    # -- a new base

    def _make(self) -> List[Step]:
        seen, base = self.seen, self.base
        fix = "Move it away, or take it as it is with source: directory"
        if seen.found is not None:
            raise Refused(f"dataset {seen.dataset} is there, and was not made by us", self.where, fix)
        growing = f"{seen.dataset}.partial"
        grown = seen.datasets.get(growing, {})
        whole = grown.get("cellblock:state") == "ready"  # died just before it got its name
        if grown.get("cellblock:base", base.name) != base.name:
            raise Refused(f"dataset {growing} is there, and was not made by us", self.where, "Rename or destroy it")
        if seen.filled and not (whole and grown["mountpoint"] == base.path):
            raise Refused(f"{base.path} is there, and was not made by us", self.where, fix)
        source = maker(self.host, base, base.source or "sets")
        if whole and seen.dataset is not None:
            steps = [naming(growing, seen.dataset)]
        else:
            if not self.check_mode:
                source.check(self.host)
            steps = [*source.steps(), self._make_step(source)]
        if seen.dataset is not None:
            steps.append(snapshot_step(seen.dataset, base.path))
        if base.state == "latest" and not source.made_newest():
            steps.append(self._update_step(source, "its newest patch level"))
        return steps

    def _make_step(self, source: Source) -> Step:
        base, dataset = self.base, self.seen.dataset
        place = f"dataset {dataset}" if dataset is not None else base.path
        mark = mark_text(base, source.kind)
        parents: List[str] = []

        def do(host: Host) -> None:
            if dataset is not None:
                parents.extend(parent_dataset(host, dataset))
                make_dataset(host, base, dataset, source)
            else:
                parents.extend(parent_directory(host, base.path))
                make_directory(host, base, source, mark)

        def undo(host: Host) -> None:
            if dataset is not None:
                for name in (f"{dataset}.partial", dataset, *parents):
                    storage.destroy_dataset(host, name)
            else:
                remove(host, base.path)
                for directory in parents:
                    host.rmdir(directory)

        return Step(
            f"make {self.where} of {source.words()} at {place}", do, undo,
            self.where, "", f"{source.kind}: {source.words()}\n",
        )

    # -- one that is there already

    def _adopt(self) -> List[Step]:
        base, dataset = self.base, self.seen.dataset if self.seen.found is not None else None
        if not self.seen.version and not (self.check_mode and not self.seen.there):
            raise Refused(
                "is no FreeBSD system: bin/freebsd-version is missing", base.path, "Name the root of one in 'path'",
            )
        for key in ("cellblock:jail", "cellblock:base"):
            taken = self.seen.datasets.get(dataset or "", {}).get(key, "-")
            if taken not in ("-", base.name):
                raise Refused(f"it is {key[len('cellblock:'):]} {taken} already", base.path, "Choose another tree")
        self.seen.dataset = dataset
        if dataset is None:
            return write_step(
                beside(base.path, "json"), self.seen.mark, mark_text(base, ADOPTED), f"adopt {base.path} as {self.where}"
            )
        properties = dict(zip(OURS, (base.name, "ready", ADOPTED)))
        adopting = Step(
            f"adopt dataset {dataset} as {self.where}", lambda host: storage.set_properties(host, dataset, properties),
            lambda host: storage.forget_properties(host, dataset, OURS), self.where, "", f"{ADOPTED}: {dataset}\n",
        )
        return [adopting, *self._snapshot_missing()]

    def _mend(self) -> List[Step]:
        """What a killed update left."""
        base, seen = self.base, self.seen
        steps = []
        before = f"{seen.dataset}@{storage.BEFORE_UPDATE}"
        if seen.broken():
            what = f"roll {seen.dataset} back to before a broken update"
            steps.append(Step(what, lambda host: roll_back(host, before)))
        elif before in seen.datasets:
            steps.append(destruction(before))
        if seen.dataset is None and not seen.there:
            steps.append(Step(
                f"put {self.where} back in place", lambda host: host.rename(beside(base.path, "old"), base.path)
            ))
        elif seen.old and not users_of_old(self.host, base.path, seen.mounts):
            steps.append(removal(self.where, "the tree before its last update", beside(base.path, "old")))
        if seen.dataset is None and seen.partial:
            steps.append(removal(self.where, "a broken update", beside(base.path, "partial")))
        return steps

    def _snapshot_missing(self) -> List[Step]:
        dataset, version = self.seen.dataset, self.seen.version
        if dataset is None or self.seen.broken() or f"{dataset}@{version or 'base'}" in self.seen.datasets:
            return []
        return [snapshot_step(dataset, self.base.path)]

    def _update(self, kind: str) -> List[Step]:
        if self.base.state != "latest":
            return []
        source = updater(self.host, self.base, kind, self.seen.version)
        root = self.base.path if self.seen.there else beside(self.base.path, "old")
        broken = self.seen.broken()
        words = "its newest patch level" if broken else source.look(self.host, root, self.check_mode)
        if words is None:
            return []
        if self.seen.dataset is None and users_of_old(self.host, self.base.path, self.seen.mounts):
            raise Refused(
                "jails still run on the tree before its last update", self.where, "Restart them, then update again"
            )
        return [self._update_step(source, words)]

    def _update_step(self, source: Source, words: str) -> Step:
        base, dataset = self.base, self.seen.dataset

        def do(host: Host) -> None:
            if dataset is not None:
                update_dataset(host, base, dataset, source)
            else:
                update_directory(host, base, source)

        def undo(host: Host) -> None:
            if dataset is not None:
                roll_back(host, f"{dataset}@{storage.BEFORE_UPDATE}")
            else:
                storage.remove_tree(host, beside(base.path, "partial"), ask.mounts(host))

        return Step(f"update {self.where} to {words}", do, undo, self.where, f"{self.seen.version}\n", f"{words}\n")


def verify(host: Host, base: Base, made: Plan) -> None:
    """After a run: the facts as they are now."""
    made.facts["base"] = told(base, look(host, base))
