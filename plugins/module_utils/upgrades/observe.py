# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What upgrades need to know of a host besides its jails, in a number of commands that does not grow with them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Dict, FrozenSet, List, Mapping, Optional, Sequence, Tuple

from ansible_collections.cellblock.jails.plugins.module_utils.engine import ask
from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.engine.walk import Walk
from ansible_collections.cellblock.jails.plugins.module_utils.errors import HostError
from ansible_collections.cellblock.jails.plugins.module_utils.formats import outputs
from ansible_collections.cellblock.jails.plugins.module_utils.jails.definition import Definition
from ansible_collections.cellblock.jails.plugins.module_utils.jails.observe import observe
from ansible_collections.cellblock.jails.plugins.module_utils.jails.sight import JailSight
from ansible_collections.cellblock.jails.plugins.module_utils.upgrades import views
from ansible_collections.cellblock.jails.plugins.module_utils.upgrades.keeping import PREFIX, beside
from ansible_collections.cellblock.jails.plugins.module_utils.upgrades.merging import Bases

COLUMNS = ("name", "type", "available", "used", "creation", "origin", "mountpoint")


@dataclass
class Sight(JailSight):
    """What is there for upgrades.

    :param bases: the bases in their usual place, and their versions, by path.
    :param datasets: those of the jails' roots, what is below them and their snapshots.
    :param free: bytes that are free where roots of plain directories stand, by path.
    :param sizes: bytes that such roots hold.
    :param busy: the jids in which something runs.
    :param bookmarks: of the jails' datasets.
    :param kept: the copies that were made of roots, by root.
    """

    bases: Dict[str, str] = field(default_factory=dict)
    datasets: Dict[str, Mapping[str, str]] = field(default_factory=dict)
    free: Dict[str, int] = field(default_factory=dict)
    sizes: Dict[str, int] = field(default_factory=dict)
    busy: FrozenSet[str] = frozenset()
    bookmarks: FrozenSet[str] = frozenset()
    kept: FrozenSet[str] = frozenset()
    _compared: Dict[Tuple[str, str, bool], Bases] = field(default_factory=dict)

    def path_of(self, base: str) -> str:
        """Where a base stands, by name or path."""
        return base if base.startswith("/") else f"{self.storage_path}/basejails/{base}"

    def stood(self, host: Host, definition: Definition, path: str) -> str:
        """Where the base is as a jail has it: a clone has the snapshot that it was made of."""
        dataset = self.dataset(definition)
        snapshot = self.datasets.get(dataset or "", {}).get("origin", "-").partition("@")[2]
        found = f"{path}/.zfs/snapshot/{snapshot}"
        return found if definition.meta.get("root") == "clone" and snapshot and host.isdir(found) else path

    def base_dataset(self, path: str) -> Optional[str]:
        """The dataset of a base, by where it stands."""
        datasets = self.seen.datasets or {}
        return next((name for name, one in datasets.items() if one["type"] == "filesystem" and one["mountpoint"] == path), None)

    def is_whole_cut(self, dataset: str, root: str) -> bool:
        """Whether another dataset can take a jail's dataset's place: nothing of others hangs on it."""
        hangs = [name for name in self.datasets if name.startswith((f"{dataset}/", f"{dataset}@"))]
        hangs = [name for name in hangs if not name.startswith(f"{dataset}@{PREFIX}")]
        marked = any(name.startswith(f"{dataset}#") for name in self.bookmarks)
        top = (self.seen.datasets or {}).get(dataset.rpartition("/")[0], {}).get("mountpoint")
        return not hangs and not marked and root == f"{top}/{dataset.rpartition('/')[2]}"

    def version(self, host: Host, path: str) -> str:
        """The version of a tree, read once."""
        if path not in self.bases:
            self.bases[path] = ask.version(host, path)
        return self.bases[path]

    def compare(self, host: Host, old: str, new: str, thin: bool) -> Bases:
        """Where two bases differ, for thin jails or for others; found once."""
        key = (old, new, thin)
        if key not in self._compared:
            enters = views.enters_thin if thin else views.enters
            walks = Walk.of(host, old), Walk.of(host, new)
            stamps = [views.thin(walk.survey(enters)) if thin else views.whole(walk.survey(enters)) for walk in walks]
            self._compared[key] = Bases.compare(*walks, *stamps)
        return self._compared[key]


def look(host: Host, storage_path: str, dataset: Optional[str], names: Optional[Sequence[str]]) -> Sight:
    """Read it.

    :param names: the jails that matter; None for all of ours.
    """
    seen = observe(host, [], storage_path, dataset)
    found = Sight(seen, seen.ours(), storage_path)
    wanted = [one for name, one in found.ours.items() if names is None or name in names]
    for name in host.listdir(f"{storage_path}/basejails"):
        path = f"{storage_path}/basejails/{name}"
        if not name.startswith(".") and not name.endswith(".partial") and host.isdir(path):
            found.bases[path] = ask.version(host, path)
    tops = sorted({top for top in map(found.dataset, wanted) if top is not None})
    if tops:
        found.datasets = ask.datasets(host, tops, COLUMNS)
        found.bookmarks = frozenset(host.ask(["zfs", "list", "-H", "-t", "bookmark", "-r", "-o", "name", *tops]).out.split())
    plain = sorted({one.root for one in wanted if found.dataset(one) is None and host.isdir(one.root)})
    if plain:
        found.free, found.sizes = _free(host, plain), _sizes(host, plain)
    found.kept = frozenset(root for root in [one.root for one in wanted] if root and host.isdir(beside(root, "before")))
    running = [jid for jid, _pid, _command in outputs.processes(host.run(["ps", "ax", "-o", "jid,pid,command"]).out)]
    found.busy = frozenset(str(jid) for jid in running)
    return found


def _free(host: Host, paths: Sequence[str]) -> Dict[str, int]:
    """See df(1): a line for each, in their order."""
    lines = host.run(["df", "-Pk", *paths]).out.split("\n")[1:]
    found: Dict[str, int] = {}
    for path, line in zip(paths, lines):
        words = line.split()
        numbers = [word for word in words if word.lstrip("-").isdigit()]
        if len(numbers) < 3:
            raise HostError(f"df(1) answered {line!r}", path)
        found[path] = int(numbers[2]) * 1024
    return found


def _sizes(host: Host, paths: Sequence[str]) -> Dict[str, int]:
    found = {}
    for line in host.ask(["du", "-skx", *paths]).out.splitlines():
        size, _tab, path = line.partition("\t")
        if size.strip().isdigit():
            found[path] = int(size) * 1024
    return found


def below(found: Sight, dataset: str) -> List[str]:
    """A dataset and those in it, parents first."""
    inner = [name for name, one in found.datasets.items() if name.startswith(f"{dataset}/") and one["type"] != "snapshot"]
    return [dataset, *sorted(inner)]
