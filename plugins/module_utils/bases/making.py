# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How bases are made, updated and taken away: what the steps do."""

from __future__ import annotations

import json
import posixpath
from typing import List

from ansible_collections.cellblock.jails.plugins.module_utils.bases.base import Base
from ansible_collections.cellblock.jails.plugins.module_utils.bases.observe import OURS, beside, users_of_old
from ansible_collections.cellblock.jails.plugins.module_utils.bases.sources import Source
from ansible_collections.cellblock.jails.plugins.module_utils.engine import ask, storage
from ansible_collections.cellblock.jails.plugins.module_utils.engine.commands import CommandError
from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.engine.plan import Step
from ansible_collections.cellblock.jails.plugins.module_utils.errors import HostError


def mark_text(base: Base, kind: str) -> str:
    return json.dumps({"base": base.name, "source": kind}, sort_keys=True) + "\n"


def naming(growing: str, dataset: str) -> Step:
    return Step(f"rename dataset {growing} to {dataset}", lambda host: storage.rename_dataset(host, growing, dataset))


def parent_dataset(host: Host, dataset: str) -> List[str]:
    """Have the dataset that bases stand in; its name when it was made."""
    parent = posixpath.dirname(dataset)
    result = host.ask(["zfs", "create", parent])
    if result.rc != 0 and "already exists" not in result.err:
        raise CommandError(result)
    return [parent] if result.rc == 0 else []


def parent_directory(host: Host, path: str) -> List[str]:
    """Have the directory that a base stands in; what was made for it, deepest first."""
    made = []
    parent = posixpath.dirname(path)
    while host.lstat(parent) is None:
        made.append(parent)
        parent = posixpath.dirname(parent)
    if made:
        host.makedirs(made[0])
    return made


def make_dataset(host: Host, base: Base, dataset: str, source: Source) -> None:
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


def make_directory(host: Host, base: Base, source: Source, mark: str) -> None:
    growing = beside(base.path, "partial")
    storage.remove_tree(host, growing, ask.mounts(host))
    host.makedirs(growing)
    source.fill(host, growing)
    host.write(beside(base.path, "json"), mark)
    host.rmdir(base.path)  # an empty one may be there
    host.rename(growing, base.path)


def snapshot_step(dataset: str, path: str) -> Step:
    taken: List[str] = []

    def do(host: Host) -> None:
        taken.append(f"{dataset}@{ask.version(host, path) or 'base'}")
        storage.snapshot(host, taken[0])

    def undo(host: Host) -> None:
        for name in taken:
            storage.destroy_dataset(host, name)

    return Step(f"take a snapshot of dataset {dataset} at its patch level", do, undo)


def update_dataset(host: Host, base: Base, dataset: str, source: Source) -> None:
    """Update in place; the snapshot before it is what a failing or killed update is rolled back to."""
    before = f"{dataset}@{storage.BEFORE_UPDATE}"
    storage.snapshot(host, before)
    if source.update(host, base.path):
        level = f"{dataset}@{ask.version(host, base.path) or 'base'}"
        listed = host.run(["zfs", "list", "-Hp", "-t", "snapshot", "-d", "1", "-o", "name", dataset]).out.split()
        names = [level, *(f"{level}-{number}" for number in range(2, len(listed) + 2))]
        storage.snapshot(host, next(name for name in names if name not in listed))
    storage.destroy_dataset(host, before)


def roll_back(host: Host, before: str) -> None:
    storage.rollback(host, before)
    storage.destroy_dataset(host, before)


def update_directory(host: Host, base: Base, source: Source) -> None:
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
    if not users_of_old(host, base.path, mounts):
        storage.remove_tree(host, old, mounts)


def removal(where: str, what: str, path: str) -> Step:
    return Step(f"remove {what} of {where}", lambda host: storage.remove_tree(host, path, ask.mounts(host)))


def remove(host: Host, path: str) -> None:
    """Remove a plain base: first its name, so that nothing stands on half of one, last its mark."""
    mounts = ask.mounts(host)
    for leftover in (beside(path, "partial"), beside(path, "old")):
        storage.remove_tree(host, leftover, mounts)
    if host.isdir(path):
        host.rename(path, beside(path, "partial"))
        storage.remove_tree(host, beside(path, "partial"), mounts)
    host.remove(beside(path, "json"))


def destruction(name: str) -> Step:
    return Step(f"destroy {name}", lambda host: storage.destroy_dataset(host, name), None, name, f"{name}\n", "")
