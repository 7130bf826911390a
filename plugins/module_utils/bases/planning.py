# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bases for jails: a whole FreeBSD system below one name, that jails are mounted, cloned or copied from.

A base grows under another name (``NAME.partial`` as a dataset, ``.NAME.partial`` as a directory) and is
renamed when it is whole. A dataset of ours carries ``cellblock:base`` and ``cellblock:state``, a plain
directory has a mark ``.NAME.json`` beside it.
"""

from __future__ import annotations

import json
import posixpath
import re
from dataclasses import dataclass, field
from typing import Any, Dict, List, Mapping, Optional

from ansible_collections.cellblock.jails.plugins.module_utils.bases.sources import (
    Base,
    Source,
    maker,
    updater,
)
from ansible_collections.cellblock.jails.plugins.module_utils.engine import ask, storage
from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import CommandError, Host
from ansible_collections.cellblock.jails.plugins.module_utils.engine.plan import Plan, Step, write_step
from ansible_collections.cellblock.jails.plugins.module_utils.errors import HostError, InputError, Refused
from ansible_collections.cellblock.jails.plugins.module_utils.formats import outputs
from ansible_collections.cellblock.jails.plugins.module_utils.jails import definition

COLUMNS = (
    "name", "type", "origin", "used", "createtxg", "mountpoint",
    "cellblock:jail", "cellblock:base", "cellblock:state", "cellblock:source",
)
OURS = ("cellblock:base", "cellblock:state", "cellblock:source")
ADOPTED = "adopted"


@dataclass
class Seen:
    """What the host has of a base.

    :param dataset: the base's dataset, there or to be; None for a plain directory.
    :param kind: what it was made of; None when it is not ours.
    """

    mounts: List[outputs.Mount] = field(default_factory=list)
    datasets: Dict[str, Mapping[str, str]] = field(default_factory=dict)
    dataset: Optional[str] = None
    mark: Optional[str] = None
    there: bool = False
    filled: bool = False
    kind: Optional[str] = None
    version: str = ""
    partial: bool = False
    old: bool = False

    def levels(self) -> List[str]:
        """The snapshots of the base's patch levels, oldest first."""
        names = [
            name for name in self.datasets
            if name.startswith(f"{self.dataset}@") and storage.LEVEL.fullmatch(name.partition("@")[2])
        ]
        return sorted(names, key=lambda name: int(self.datasets[name]["createtxg"]))

    def broken(self) -> bool:
        """Whether an update of the base's dataset was killed."""
        before = self.datasets.get(f"{self.dataset}@{storage.BEFORE_UPDATE}")
        levels = self.levels()
        return before is not None and not (
            levels and int(self.datasets[levels[-1]]["createtxg"]) > int(before["createtxg"])
        )

    @property
    def found(self) -> Optional[Mapping[str, str]]:
        """The properties of the base's dataset, if it is there."""
        return self.datasets.get(self.dataset) if self.dataset is not None else None


def beside(path: str, suffix: str) -> str:
    """A hidden name beside a plain base."""
    parent, name = posixpath.split(path)
    return f"{parent}/.{name}.{suffix}"


def look(host: Host, base: Base) -> Seen:
    """Read what the host has of a base, in a constant number of commands."""
    seen = Seen(mounts=ask.mounts(host), mark=host.read(beside(base.path, "json")))
    if base.storage_dataset is not None:
        seen.datasets = _datasets(host, base, base.storage_dataset)
        seen.dataset = _dataset_of(base, base.storage_dataset, seen)
    root = base.path
    seen.there = host.isdir(root)
    seen.old = host.isdir(beside(root, "old"))
    if seen.mark is not None and not seen.there and seen.old:
        root = beside(root, "old")  # died between the two renames of an update
    seen.filled = seen.there and bool(host.listdir(root))
    seen.version = ask.version(host, root)
    seen.kind = _kind(seen, base.name)
    seen.partial = host.isdir(beside(base.path, "partial")) or f"{seen.dataset}.partial" in seen.datasets
    return seen


def _datasets(host: Host, base: Base, dataset: str) -> Dict[str, Mapping[str, str]]:
    # A clone of a base may stand anywhere in the pool.
    top = dataset.partition("/")[0] if base.state == "absent" else dataset
    return ask.datasets(host, [top], COLUMNS)


def _dataset_of(base: Base, top: str, seen: Seen) -> Optional[str]:
    home = f"{top}/basejails/{base.name}"
    for name, found in seen.datasets.items():
        if found["type"] == "filesystem" and found["mountpoint"] == base.path and name != f"{home}.partial":
            return name
    if home in seen.datasets:
        raise Refused(
            f"its dataset {home} is mounted at {seen.datasets[home]['mountpoint']}, not at {base.path}",
            f"base {base.name}", "Set its mountpoint, or give 'path'",
        )
    return None if seen.mark is not None else home


def _kind(seen: Seen, name: str) -> Optional[str]:
    if seen.found is not None:
        ours = seen.found["cellblock:base"] == name and seen.found["cellblock:state"] != "partial"
        return seen.found["cellblock:source"] if ours else None
    if seen.mark is None or not (seen.there or seen.old):
        return None
    try:
        return str(json.loads(seen.mark)["source"])
    except (ValueError, KeyError, TypeError):
        return "sets"


# -- the plan


def plan(host: Host, base: Base, check_mode: bool) -> Plan:
    """The way to a base.

    :param check_mode: what earlier tasks would have made may be missing yet.
    :raises InputError: what is asked for cannot be.
    :raises Refused: something would be lost, or is not ours.
    """
    seen = look(host, base)
    result = Plan()
    if base.state == "absent":
        result.before = _absent(host, base, seen, result.warnings)
    else:
        _check_storage(base, seen, check_mode, result.warnings)
        result.before = Planner(host, base, seen, check_mode).steps()
    result.facts = {"base": told(base, seen)}
    return result


def told(base: Base, seen: Seen) -> Dict[str, Any]:
    """What a base is, JSON-safe."""
    dataset = seen.dataset
    levels = seen.levels()
    there = seen.kind is not None
    return {
        "name": base.name,
        "path": base.path,
        "dataset": dataset,
        "snapshot": levels[-1] if levels else None,
        "version": seen.version if there and seen.version else None,
        "kind": seen.kind,
        "size": int(seen.found["used"]) if there and seen.found is not None else None,
    }


def adopts(base: Base) -> bool:
    """Whether what stands at the base's path is to be taken as it is."""
    return base.source == "directory" and base.directory in (None, base.path)


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
            steps = [_naming(growing, seen.dataset)]
        else:
            if not self.check_mode:
                source.check(self.host)
            steps = [*source.steps(), self._make_step(source)]
        if seen.dataset is not None:
            steps.append(_snapshot_step(seen.dataset, base.path))
        if base.state == "latest" and not source.made_newest():
            steps.append(self._update_step(source, "its newest patch level"))
        return steps

    def _make_step(self, source: Source) -> Step:
        base, dataset = self.base, self.seen.dataset
        place = f"dataset {dataset}" if dataset is not None else base.path
        mark = _mark(base, source.kind)
        parents: List[str] = []

        def do(host: Host) -> None:
            if dataset is not None:
                parents.extend(_parent_dataset(host, dataset))
                _make_dataset(host, base, dataset, source)
            else:
                parents.extend(_parent_directory(host, base.path))
                _make_directory(host, base, source, mark)

        def undo(host: Host) -> None:
            if dataset is not None:
                for name in (f"{dataset}.partial", dataset, *parents):
                    storage.destroy_dataset(host, name)
            else:
                _remove(host, base.path)
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
                beside(base.path, "json"), self.seen.mark, _mark(base, ADOPTED), f"adopt {base.path} as {self.where}"
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
            steps.append(Step(what, lambda host: _roll_back(host, before)))
        elif before in seen.datasets:
            steps.append(_destruction(before))
        if seen.dataset is None and not seen.there:
            steps.append(Step(
                f"put {self.where} back in place", lambda host: host.rename(beside(base.path, "old"), base.path)
            ))
        elif seen.old and not _users_of_old(self.host, base.path, seen.mounts):
            steps.append(_removal(self.where, "the tree before its last update", beside(base.path, "old")))
        if seen.dataset is None and seen.partial:
            steps.append(_removal(self.where, "a broken update", beside(base.path, "partial")))
        return steps

    def _snapshot_missing(self) -> List[Step]:
        dataset, version = self.seen.dataset, self.seen.version
        if dataset is None or self.seen.broken() or f"{dataset}@{version or 'base'}" in self.seen.datasets:
            return []
        return [_snapshot_step(dataset, self.base.path)]

    def _update(self, kind: str) -> List[Step]:
        if self.base.state != "latest":
            return []
        source = updater(self.host, self.base, kind, self.seen.version)
        root = self.base.path if self.seen.there else beside(self.base.path, "old")
        broken = self.seen.broken()
        words = "its newest patch level" if broken else source.look(self.host, root, self.check_mode)
        if words is None:
            return []
        if self.seen.dataset is None and _users_of_old(self.host, self.base.path, self.seen.mounts):
            raise Refused(
                "jails still run on the tree before its last update", self.where, "Restart them, then update again"
            )
        return [self._update_step(source, words)]

    def _update_step(self, source: Source, words: str) -> Step:
        base, dataset = self.base, self.seen.dataset

        def do(host: Host) -> None:
            if dataset is not None:
                _update_dataset(host, base, dataset, source)
            else:
                _update_directory(host, base, source)

        def undo(host: Host) -> None:
            if dataset is not None:
                _roll_back(host, f"{dataset}@{storage.BEFORE_UPDATE}")
            else:
                storage.remove_tree(host, beside(base.path, "partial"), ask.mounts(host))

        return Step(f"update {self.where} to {words}", do, undo, self.where, f"{self.seen.version}\n", f"{words}\n")


def _mark(base: Base, kind: str) -> str:
    return json.dumps({"base": base.name, "source": kind}, sort_keys=True) + "\n"


# -- what the steps do


def _naming(growing: str, dataset: str) -> Step:
    return Step(f"rename dataset {growing} to {dataset}", lambda host: storage.rename_dataset(host, growing, dataset))


def _parent_dataset(host: Host, dataset: str) -> List[str]:
    """Have the dataset that bases stand in; its name when it was made."""
    parent = posixpath.dirname(dataset)
    result = host.ask(["zfs", "create", parent])
    if result.rc != 0 and "already exists" not in result.err:
        raise CommandError(result)
    return [parent] if result.rc == 0 else []


def _parent_directory(host: Host, path: str) -> List[str]:
    """Have the directory that a base stands in; what was made for it, deepest first."""
    made = []
    parent = posixpath.dirname(path)
    while host.lstat(parent) is None:
        made.append(parent)
        parent = posixpath.dirname(parent)
    if made:
        host.makedirs(made[0])
    return made


def _make_dataset(host: Host, base: Base, dataset: str, source: Source) -> None:
    growing = f"{dataset}.partial"
    storage.destroy_dataset(host, growing)
    properties = dict(zip(OURS, (base.name, "partial", source.kind)))
    own_place = base.path != f"{base.storage_path}/basejails/{base.name}"
    if own_place:
        properties["mountpoint"] = f"{base.path}.partial"
    storage.create_dataset(host, growing, properties)
    if not host.isdir(f"{base.path}.partial"):
        raise HostError(
            f"dataset {growing} is not mounted", f"{base.path}.partial", "Mount its parents, see 'zfs mount'",
        )
    source.fill(host, f"{base.path}.partial")
    whole = {"cellblock:state": "ready"}
    if own_place:
        whole["mountpoint"] = base.path
    storage.set_properties(host, growing, whole)
    storage.rename_dataset(host, growing, dataset)


def _make_directory(host: Host, base: Base, source: Source, mark: str) -> None:
    growing = beside(base.path, "partial")
    storage.remove_tree(host, growing, ask.mounts(host))
    host.makedirs(growing)
    source.fill(host, growing)
    host.write(beside(base.path, "json"), mark)
    host.rmdir(base.path)  # an empty one may be there
    host.rename(growing, base.path)


def _snapshot_step(dataset: str, path: str) -> Step:
    taken: List[str] = []

    def do(host: Host) -> None:
        taken.append(f"{dataset}@{ask.version(host, path) or 'base'}")
        storage.snapshot(host, taken[0])

    def undo(host: Host) -> None:
        for name in taken:
            storage.destroy_dataset(host, name)

    return Step(f"take a snapshot of dataset {dataset} at its patch level", do, undo)


def _update_dataset(host: Host, base: Base, dataset: str, source: Source) -> None:
    """Update in place; the snapshot before it is what a failing or killed update is rolled back to."""
    before = f"{dataset}@{storage.BEFORE_UPDATE}"
    storage.snapshot(host, before)
    if source.update(host, base.path):
        level = f"{dataset}@{ask.version(host, base.path) or 'base'}"
        listed = host.run(["zfs", "list", "-Hp", "-t", "snapshot", "-d", "1", "-o", "name", dataset]).out.split()
        names = [level, *(f"{level}-{number}" for number in range(2, len(listed) + 2))]
        storage.snapshot(host, next(name for name in names if name not in listed))
    storage.destroy_dataset(host, before)


def _roll_back(host: Host, before: str) -> None:
    storage.rollback(host, before)
    storage.destroy_dataset(host, before)


def _update_directory(host: Host, base: Base, source: Source) -> None:
    """Update a copy, then let it take the base's place: what fails or is killed leaves the base as it was."""
    growing, old = beside(base.path, "partial"), beside(base.path, "old")
    for leftover in (growing, old):
        storage.remove_tree(host, leftover, ask.mounts(host))
    host.makedirs(growing)
    storage.copy_tree(host, base.path, growing)
    source.update(host, growing)
    host.rename(base.path, old)
    host.rename(growing, base.path)
    mounts = ask.mounts(host)
    if not _users_of_old(host, base.path, mounts):
        storage.remove_tree(host, old, mounts)


def _users_of_old(host: Host, path: str, mounts: List[outputs.Mount]) -> List[str]:
    """Mount points that still show the tree before an update; nullfs(4) keeps the inode number."""
    old = beside(path, "old")
    users = []
    for mount in _mounts_of(path, mounts):
        was, now = host.lstat(old + mount.special[len(path):]), host.lstat(mount.node)
        if was is not None and now is not None and was.st_ino == now.st_ino:
            users.append(mount.node)
    return users


def _mounts_of(path: str, mounts: List[outputs.Mount]) -> List[outputs.Mount]:
    """Where a tree, or something in it, is mounted by nullfs(4)."""
    return [mount for mount in mounts if mount.fstype == "nullfs" and f"{mount.special}/".startswith(f"{path}/")]


def _removal(where: str, what: str, path: str) -> Step:
    return Step(f"remove {what} of {where}", lambda host: storage.remove_tree(host, path, ask.mounts(host)))


def _remove(host: Host, path: str) -> None:
    """Remove a plain base: first its name, so that nothing stands on half of one, last its mark."""
    mounts = ask.mounts(host)
    for leftover in (beside(path, "partial"), beside(path, "old")):
        storage.remove_tree(host, leftover, mounts)
    if host.isdir(path):
        host.rename(path, beside(path, "partial"))
        storage.remove_tree(host, beside(path, "partial"), mounts)
    host.remove(beside(path, "json"))


# -- absent


def _absent(host: Host, base: Base, seen: Seen, warnings: List[str]) -> List[Step]:
    where = f"base {base.name}"
    leftover = f"{seen.dataset}.partial"
    steps = []
    if seen.datasets.get(leftover, {}).get("cellblock:base") == base.name:
        steps.append(_destruction(leftover))
    if seen.kind is None:
        if seen.found is not None or (seen.filled and seen.mark is None):
            if adopts(base):
                return []  # it was never adopted, or is forgotten
            raise Refused(
                f"{seen.dataset or base.path} was not made by us", where, "It is not ours to remove; remove it by hand",
            )
        if seen.mark is not None or (seen.dataset is None and seen.partial):
            steps.append(Step(f"remove what is left of {where}", lambda host: _remove(host, base.path)))
        return steps
    _refuse_standing(host, base, seen, warnings)
    if seen.kind == ADOPTED:
        return [*steps, *_forget(base, seen, where)]
    if seen.dataset is None:
        return [Step(
            f"remove {where} at {base.path}", lambda host: _remove(host, base.path), None,
            where, f"{seen.version or base.path}\n", "",
        )]
    names = storage.doomed(
        seen.datasets, seen.dataset,
        lambda name: name in (storage.BEFORE_UPDATE, "base") or storage.LEVEL.fullmatch(name) is not None, where,
    )
    return [*steps, *(_destruction(name) for name in names)]


def _destruction(name: str) -> Step:
    return Step(f"destroy {name}", lambda host: storage.destroy_dataset(host, name), None, name, f"{name}\n", "")


def _forget(base: Base, seen: Seen, where: str) -> List[Step]:
    """An adopted tree was there before us, and stays."""
    dataset = seen.dataset
    if dataset is None:
        return write_step(beside(base.path, "json"), seen.mark, None, f"forget {where}, which stays at {base.path}")
    return [Step(
        f"forget {where}, which stays as dataset {dataset}",
        lambda host: storage.forget_properties(host, dataset, OURS), None, where, f"{ADOPTED}: {dataset}\n", "",
    )]


def _refuse_standing(host: Host, base: Base, seen: Seen, warnings: List[str]) -> None:
    """Refuse while jails stand on the base, naming all of them."""
    standing: Dict[str, str] = {}
    copies = []
    for name, facts in marks(host).items():
        if _base_path(base, facts.get("base")) == base.path:
            if facts.get("root") == "thick":
                copies.append(name)
            else:
                standing[name] = str(facts.get("root"))
    for dataset, found in seen.datasets.items():
        if seen.dataset is not None and found["origin"].startswith(f"{seen.dataset}@"):
            jail = found["cellblock:jail"]
            standing.setdefault(jail if jail != "-" else dataset, f"clone {dataset}")
    used = [f"{mount.node} (nullfs)" for mount in _mounts_of(base.path, seen.mounts)]
    where = f"base {base.name}"
    if standing or used:
        listed = [f"{name} ({root})" for name, root in sorted(standing.items())] + ([] if standing else used)
        raise Refused(f"jails stand on it: {', '.join(listed)}", where, "Remove these jails first")
    below = [mount.node for mount in seen.mounts if mount.node.startswith(f"{base.path}/")]
    if below:
        raise Refused(f"something is mounted in it: {', '.join(below)}", where, "Unmount it first")
    if copies:
        warnings.append(f"jails that are copies of {where} stay: {', '.join(sorted(copies))}")


def _base_path(base: Base, named: Any) -> str:
    text = str(named or "")
    return text if text.startswith("/") else f"{base.storage_path}/basejails/{text}"


def marks(host: Host) -> Dict[str, Dict[str, Any]]:
    """The facts of all jails of ours, by name, in either boot style."""
    found = {name: facts for name, (facts, _lines) in definition.rc_groups(host.read("/etc/rc.conf") or "").items()}
    for entry in host.listdir(definition.CONF_DIR):
        if re.fullmatch(r"[^.].*\.conf", entry):
            facts = definition.read_mark((host.read(f"{definition.CONF_DIR}/{entry}") or "").partition("\n")[0])
            if facts is not None:
                found[entry[:-5]] = facts
    return found


def verify(host: Host, base: Base, made: Plan) -> None:
    """After a run: the facts as they are now."""
    made.facts["base"] = told(base, look(host, base))
