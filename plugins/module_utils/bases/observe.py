# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host has of a base."""

from __future__ import annotations

import json
import posixpath
import re
from dataclasses import dataclass, field
from typing import Any, Dict, List, Mapping, Optional

from ansible_collections.cellblock.jails.plugins.module_utils.bases.base import Base
from ansible_collections.cellblock.jails.plugins.module_utils.engine import ask, storage
from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.errors import Refused
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


class Common:
    """What all bases of a host share, asked once."""

    def __init__(self, host: Host, base: Optional[Base] = None) -> None:
        self._host = host
        if base is not None:
            host.call_by(posixpath.dirname(posixpath.dirname(base.path)))
        self.mounts = ask.mounts(host)
        self._datasets: Dict[str, Dict[str, Mapping[str, str]]] = {}

    def datasets(self, top: str) -> Dict[str, Mapping[str, str]]:
        """A dataset and all below it."""
        if top not in self._datasets:
            self._datasets[top] = ask.datasets(self._host, [top], COLUMNS)
        return self._datasets[top]


def look(host: Host, base: Base, common: Optional[Common] = None) -> Seen:
    """Read what the host has of a base, in a constant number of commands; with what is common to all bases, in none."""
    common = common or Common(host, base)
    seen = Seen(mounts=common.mounts, mark=host.read(beside(base.path, "json")))
    if base.storage_dataset is not None:
        # A clone of a base may stand anywhere in the pool.
        seen.datasets = common.datasets(base.storage_dataset.partition("/")[0] if base.state == "absent" else base.storage_dataset)
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


def users_of_old(host: Host, path: str, mounts: List[outputs.Mount]) -> List[str]:
    """Mount points that still show the tree before an update; nullfs(4) keeps the inode number."""
    old = beside(path, "old")
    users = []
    for mount in mounts_of(path, mounts):
        was, now = host.lstat(old + mount.special[len(path):]), host.lstat(mount.node)
        if was is not None and now is not None and was.st_ino == now.st_ino:
            users.append(mount.node)
    return users


def mounts_of(path: str, mounts: List[outputs.Mount]) -> List[outputs.Mount]:
    """Where a tree, or something in it, is mounted by nullfs(4)."""
    return [mount for mount in mounts if mount.fstype == "nullfs" and f"{mount.special}/".startswith(f"{path}/")]


def marks(host: Host) -> Dict[str, Dict[str, Any]]:
    """The facts of all jails of ours, by name, in either boot style."""
    found = {name: facts for name, (facts, _lines) in definition.rc_groups(host.read("/etc/rc.conf") or "").items()}
    for entry in host.listdir(definition.CONF_DIR):
        if re.fullmatch(r"[^.].*\.conf", entry):
            facts = definition.read_mark((host.read(f"{definition.CONF_DIR}/{entry}") or "").partition("\n")[0])
            if facts is not None:
                found[entry[:-5]] = facts
    return found
