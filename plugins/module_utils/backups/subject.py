# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One jail on its way into a set: everything that its steps need to know."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Dict, List, Optional, Sequence, Tuple

from ansible_collections.cellblock.jails.plugins.module_utils.backups.manifest import SNAPSHOT, Manifest, Stream
from ansible_collections.cellblock.jails.plugins.module_utils.backups.model import Request, Wish
from ansible_collections.cellblock.jails.plugins.module_utils.backups.notes import STATE
from ansible_collections.cellblock.jails.plugins.module_utils.backups.observe import Sight
from ansible_collections.cellblock.jails.plugins.module_utils.backups.places import Place
from ansible_collections.cellblock.jails.plugins.module_utils.jails.definition import Definition


@dataclass
class Outcome:
    """What a run learns on the way.

    :cvar taken: when the snapshot was about to be taken.
    """

    streams: List[Stream] = field(default_factory=list)
    estimate: int = 0
    taken: Optional[float] = None
    stopped: Optional[float] = None
    down: float = 0.0
    whole: bool = False


@dataclass(frozen=True)
class Subject:
    """A jail of which a set is made.

    :param datasets: of its root; none where it is a plain directory, or is taken as one.
    :param method: ``zfs`` or ``tar``.
    :param stops: whether it is down while its state is taken.
    :param parent: the set that the new one is an increment of, if it is one.
    :param bases: for each dataset the snapshot or bookmark that its increment begins at.
    :param held: in a dataset as destination, the newest snapshot of each path that an increment goes on from.
    :param followers: what runs and cannot while it is down.
    :param left: the stamps of what runs that died left.
    :param gone: sets that go when this one is whole.
    :param older: snapshots and bookmarks that are needed no more then.
    """

    definition: Definition
    wish: Wish
    request: Request
    place: Place
    sight: Sight
    stamp: str
    root: str
    method: str
    stops: bool
    running: bool
    datasets: Tuple[str, ...] = ()
    parent: Optional[Manifest] = None
    bases: Dict[str, str] = field(default_factory=dict)
    held: Dict[str, str] = field(default_factory=dict)
    followers: Sequence[Definition] = ()
    left: Sequence[str] = ()
    gone: Sequence[Manifest] = ()
    older: Sequence[str] = ()
    outcome: Outcome = field(default_factory=Outcome)

    @property
    def name(self) -> str:
        """Its name."""
        return self.definition.name

    @property
    def snapshot(self) -> str:
        """What its snapshots are called."""
        return f"{SNAPSHOT}{self.stamp}-{self.request.destination.id}"

    @property
    def snapshots(self) -> List[str]:
        """Its snapshots."""
        return [f"{dataset}@{self.snapshot}" for dataset in self.datasets]

    def state(self, stamp: str, number: int = 0) -> str:
        """Where this host keeps the list of what a set of tar has: the next one is an increment by it."""
        return f"{self.states}/{stamp}.{number}.mtree"

    @property
    def states(self) -> str:
        """The directory of these lists."""
        return f"{STATE}/{self.request.destination.id}/lists/{self.name}"

    def place_of(self, dataset: str) -> str:
        """Where a dataset belongs below the jail's root."""
        return dataset[len(self.datasets[0]) + 1:]

    def words(self) -> str:
        """The set in words."""
        what = f"increment of set {self.parent.stamp}" if self.parent is not None else "full set"
        return f"{what} in {self.request.destination.words()}"
