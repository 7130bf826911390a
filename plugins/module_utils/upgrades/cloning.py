# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A clone moves to a new clone of the new base: what it is not alike its old base in is carried over, the rest is shared anew."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, Mapping, Optional, Set, Tuple

from ansible_collections.cellblock.jails.plugins.module_utils.engine import storage
from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.engine.streams import flow
from ansible_collections.cellblock.jails.plugins.module_utils.engine.walk import Stamp, Walk
from ansible_collections.cellblock.jails.plugins.module_utils.errors import HostError
from ansible_collections.cellblock.jails.plugins.module_utils.jails import runtime
from ansible_collections.cellblock.jails.plugins.module_utils.upgrades import applying
from ansible_collections.cellblock.jails.plugins.module_utils.upgrades.keeping import local_properties, move_aside
from ansible_collections.cellblock.jails.plugins.module_utils.upgrades.merging import Bases, Rules, merge
from ansible_collections.cellblock.jails.plugins.module_utils.upgrades.views import DATABASES

MOST = 1 << 30  # bytes; what is carried over is copied while the jail is down
NEVER = (".zfs", ".snap")


@dataclass(frozen=True)
class Own:
    """What a jail has otherwise than its base.

    :param there: what it added or changed.
    :param gone: what it took away.
    """

    there: Mapping[str, Stamp]
    gone: Tuple[str, ...]

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(stamp.size for stamp in self.there.values())

    @classmethod
    def of(cls, base: Walk, ours: Walk) -> Own:
        """What differs: in a clone, what nobody touched is alike to the nanosecond."""
        was, now = (walk.survey(lambda path: path not in NEVER) for walk in (base, ours))
        there = {path: stamp for path, stamp in now.items() if path not in NEVER and _differs(was.get(path), stamp)}
        return cls(there, tuple(sorted((path for path in was if path not in now), key=lambda path: -path.count("/"))))


def _differs(was: Optional[Stamp], now: Stamp) -> bool:
    if was is None or was.kind != now.kind or was.shape() != now.shape():
        return True
    return now.kind != "directory" and (was.size, was.mtime, was.target, was.flags) != (now.size, now.mtime, now.target, now.flags)


@dataclass(frozen=True)
class Cut:
    """The way of a clone to a new one.

    :param dataset: the jail's.
    :param base: the new base's dataset.
    :param aside: what the old one is called from then on.
    """

    dataset: str
    root: str
    base: str
    aside: str

    @property
    def growing(self) -> str:
        """What the new one is called until it is whole."""
        return f"{self.dataset}:next"

    def make(self, host: Host, name: str, bases: Bases, rules: Rules) -> None:
        """Make the new one, carry over what is the jail's own, and let it take the old one's place."""
        storage.destroy_dataset(host, self.growing)
        own = local_properties(host, self.dataset)
        storage.clone(host, storage.newest_snapshot(host, self.base), self.growing, {**own, "cellblock:state": "partial"})
        root = f"{self.root}:next"
        if not host.isdir(f"{root}/etc"):
            raise HostError(f"dataset {self.growing} is not mounted at {root}", f"jail {name}", "Mount its parents, see 'zfs mount'")
        self._carry(host, name, root, bases, rules)
        storage.set_properties(host, self.growing, {"cellblock:state": own.get("cellblock:state", "ready")})
        runtime.wait_dead(host, name)  # a closed connection holds the root for a while
        move_aside(host, self.dataset, self.aside)
        storage.rename_dataset(host, self.growing, self.dataset)

    def _carry(self, host: Host, name: str, root: str, bases: Bases, rules: Rules) -> None:
        ours, new = Walk.of(host, self.root), Walk.of(host, root)
        found = merge(bases, ours, rules)
        if found.conflicts:
            raise applying.conflicted(name, found.conflicts)
        decided = {change.path: change for change in found.changes}
        taken = {path for path, change in decided.items() if change.act in ("take", "remove")}
        own = Own.of(bases.old, ours)
        names: Dict[Tuple[int, int], str] = {}
        for path, stamp in own.there.items():
            if path not in taken and stamp.kind != "other":
                new.bring(ours, path, stamp, names)
        self._carry_acls(host, new, root, {path for path in own.there if path not in taken})
        for path in own.gone:
            if path not in taken:
                new.discard(path)
        for change in found.changes:
            there = new.stamp(change.path)
            # Most of it came with the clone; the base may have moved on since its snapshot.
            if change.act != "take" or there is None or _differs(there, change.stamp):
                applying.bring(new, bases.new, change, names)
        databases = {source for path, source in DATABASES.items() if path in own.there}
        applying.rebuild(host, root, sorted({*found.databases, *databases}))

    def _carry_acls(self, host: Host, new: Walk, root: str, carried: Set[str]) -> None:
        """What has an ACL comes once more by tar(1), which knows of them."""
        with host.scratch() as scratch:
            found, names = f"{scratch}/found", f"{scratch}/names"
            flow(host, [["find", "-x", self.root, "-acl", "-print0"]], target=found, where=self.root)
            paths = [path[len(self.root) + 1:] for path in (host.read(found) or "").split("\0")]
            paths = [path for path in paths if path in carried]
            if not paths:
                return
            for path in paths:
                new.loosen(path)
            host.write(names, "".join(f"./{path}\0" for path in paths), 0o600)
            packing = ["tar", "-cf", "-", *storage.packing(), "--no-recursion", "--null", "-C", host.real(self.root), "-T", host.real(names)]
            host.pipe(packing, storage.unpacking(host.real(root)), where=self.root)
