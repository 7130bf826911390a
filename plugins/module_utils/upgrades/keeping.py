# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a jail was before its upgrade: snapshots of its datasets, or a copy of its root; and the way back to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Optional, Tuple

from ansible_collections.cellblock.jails.plugins.module_utils.engine import ask, storage
from ansible_collections.cellblock.jails.plugins.module_utils.engine.commands import CommandError
from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.engine.walk import Walk, refresh
from ansible_collections.cellblock.jails.plugins.module_utils.jails.roots import BEFORE_UPGRADE

PLACE = "cellblock:mountpoint"
ASIDE = "aside"  # the state of a dataset that no jail is
PREFIX = BEFORE_UPGRADE  # of our snapshots; what follows is what the jail was upgraded to


def beside(root: str, word: str) -> str:
    """A place beside a root; no jail's name begins with a dot."""
    parent, _slash, name = root.rpartition("/")
    return f"{parent}/.{name}.{word}"


@dataclass(frozen=True)
class Keep:
    """What is kept of a jail.

    :param root: its root.
    :param datasets: its datasets, the root's own first; none for a plain directory, which is copied.
    :param snapshot: the name of their snapshots.
    :param wanted: whether anything is kept.
    :param aside: what the only dataset is called from then on, when a new one takes its place; no snapshot is taken then.
    """

    root: str
    datasets: Tuple[str, ...] = ()
    snapshot: str = ""
    wanted: bool = True
    aside: str = ""

    def noted(self) -> Optional[Dict[str, Any]]:
        """As the mark keeps it."""
        if not self.wanted:
            return None
        if self.aside:
            return {"aside": self.aside, "datasets": list(self.datasets)}
        return {"snapshot": self.snapshot, "datasets": list(self.datasets)} if self.datasets else {"copy": beside(self.root, "before")}

    @classmethod
    def read(cls, root: str, noted: Optional[Mapping[str, Any]]) -> Keep:
        """What a mark says is kept."""
        if not noted:
            return cls(root, wanted=False)
        return cls(root, tuple(noted.get("datasets") or ()), str(noted.get("snapshot") or ""), aside=str(noted.get("aside") or ""))

    def words(self) -> str:
        """What is taken, in words."""
        if self.datasets:
            return f"take snapshot {self.snapshot} of {', '.join(self.datasets)}"
        return f"copy {self.root} to {beside(self.root, 'before')}"

    def names(self) -> List[str]:
        """The snapshots, or the dataset."""
        return [self.aside] if self.aside else [f"{dataset}@{self.snapshot}" for dataset in self.datasets]

    def begin(self, host: Host) -> None:
        """Copy what can be copied while the jail runs, so that it is down for what changed meanwhile only."""
        growing = beside(self.root, "keeping")
        storage.remove_tree(host, growing)
        host.makedirs(growing, 0o700)
        try:
            storage.copy_tree(host, self.root, growing)
        except CommandError:  # a file went away under tar(1): all is copied again then
            storage.remove_tree(host, growing)

    def take(self, host: Host, since: Optional[int] = None) -> None:
        """Keep what is there now, all of it or nothing; fine when that was done.

        :param since: when :meth:`begin` began, in seconds.
        """
        if self.datasets:
            result = host.ask(["zfs", "snapshot", *self.names()])
            if result.rc != 0 and "dataset already exists" not in result.err:
                raise CommandError(result)
            return
        before, growing = beside(self.root, "before"), beside(self.root, "keeping")
        if host.isdir(before):
            return
        if since is None or not host.isdir(growing):
            storage.remove_tree(host, growing)
            host.makedirs(growing, 0o700)
            storage.copy_tree(host, self.root, growing)
        else:
            refresh(Walk.of(host, self.root), Walk.of(host, growing), since - 2)
        host.rename(growing, before)

    def drop(self, host: Host) -> None:
        """Keep it no longer. What others cloned or snapshotted of it stays."""
        if self.aside:
            listed = host.ask(["zfs", "list", "-H", "-t", "snapshot", "-d", "1", "-o", "name", self.aside]).out.split()
            for name in listed:
                if name.partition("@")[2].startswith(PREFIX):
                    host.ask(["zfs", "destroy", name])
        for name in self.names():
            result = host.ask(["zfs", "destroy", name])
            if result.rc != 0 and not any(words in result.err for words in ("does not exist", "could not find", "clones", "busy", "has children")):
                raise CommandError(result)
        if self.wanted and not self.datasets:
            for word in ("before", "keeping", "failed"):
                storage.remove_tree(host, beside(self.root, word))

    def restore(self, host: Host) -> None:
        """Bring back what was kept. The jail is down. Fine when that was done before."""
        if self.aside:
            _come_back(host, self.datasets[0], self.aside)
            return
        for dataset in self.datasets:
            _restore(host, dataset, self.snapshot, [one for one in self.datasets if one.startswith(f"{dataset}/")])
        if self.wanted and not self.datasets:
            self._swap(host)

    def _swap(self, host: Host) -> None:
        before, failed = beside(self.root, "before"), beside(self.root, "failed")
        if host.isdir(before):
            if host.isdir(self.root):
                storage.remove_tree(host, failed, ask.mounts(host))
                host.rename(self.root, failed)
            host.rename(before, self.root)
        storage.remove_tree(host, failed, ask.mounts(host))


def aside(dataset: str, snapshot: str) -> str:
    """Where a dataset goes that cannot be rolled back: no jail's name has a colon."""
    return f"{dataset}:after-{snapshot[len(PREFIX):]}"


def _restore(host: Host, dataset: str, snapshot: str, below: List[str]) -> None:
    """Bring one dataset back; what was snapshotted since by others is never destroyed for it."""
    away = aside(dataset, snapshot)
    there = host.ask(["zfs", "list", "-H", "-o", "name", "-t", "filesystem,volume", "-r", dataset.rpartition("/")[0]]).out.split()
    if dataset in there and away not in there:
        result = host.ask(["zfs", "rollback", f"{dataset}@{snapshot}"])
        if result.rc == 0:
            return
        if "more recent snapshots" not in result.err:
            raise CommandError(result)
        storage.rename_dataset(host, dataset, away)
        there.remove(dataset)
    if dataset not in there:
        _clone_back(host, dataset, f"{away}@{snapshot}", away)
    for one in below:
        if one.count("/") == dataset.count("/") + 1 and one not in there:
            storage.rename_dataset(host, away + one[len(dataset):], one)


def _clone_back(host: Host, dataset: str, snapshot: str, away: str) -> None:
    """Let a clone of what was kept take a dataset's name and properties."""
    hide(host, away)
    storage.clone(host, snapshot, dataset, local_properties(host, away))


def local_properties(host: Host, dataset: str) -> Dict[str, str]:
    """What was set on a dataset itself, before it was hidden too: a clone does not have it."""
    own = _set_on(host, dataset)
    if own.get("cellblock:state") == ASIDE:
        own.pop("mountpoint", None)
        place = own.pop(PLACE, None)
        own.update({"cellblock:state": "ready", **({"mountpoint": place} if place else {})})
    return own


def _set_on(host: Host, dataset: str) -> Dict[str, str]:
    said = host.run(["zfs", "get", "-Hp", "-s", "local", "-o", "property,value", "all", dataset]).out
    return dict(line.split("\t", 1) for line in said.split("\n") if line.count("\t") == 1)


def hide(host: Host, dataset: str) -> None:
    """Let a dataset be mounted nowhere, and be no jail's; where it was mounted by its own word is noted."""
    own = _set_on(host, dataset)
    if own.get("cellblock:state") != ASIDE:
        place = {PLACE: own["mountpoint"]} if "mountpoint" in own else {}
        storage.set_properties(host, dataset, {**place, "mountpoint": "none", "cellblock:state": ASIDE})


def move_aside(host: Host, dataset: str, name: str) -> None:
    """Let a dataset be called otherwise, and be mounted no more."""
    storage.rename_dataset(host, dataset, name)
    hide(host, name)


def _come_back(host: Host, dataset: str, kept: str) -> None:
    """Let a dataset that was moved aside have its name again; what took its place goes, unless others hold on to it."""
    there = host.ask(["zfs", "list", "-H", "-o", "name", "-t", "filesystem", "-r", dataset.rpartition("/")[0]]).out.split()
    if f"{dataset}:next" in there:
        storage.destroy_dataset(host, f"{dataset}:next")
    failed = f"{dataset}:failed"
    if kept in there:
        if dataset in there:
            move_aside(host, dataset, failed)
        storage.rename_dataset(host, kept, dataset)
    if _set_on(host, dataset).get("cellblock:state") == ASIDE:
        storage.set_properties(host, dataset, {"cellblock:state": "ready"})
        storage.forget_properties(host, dataset, ["mountpoint"])
    host.ask(["zfs", "destroy", failed])
