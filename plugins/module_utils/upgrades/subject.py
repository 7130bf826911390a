# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One jail on its way from one base to another: everything that its steps need to know."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, List, Mapping, Optional, Sequence

from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.errors import CellblockError
from ansible_collections.cellblock.jails.plugins.module_utils.jails.definition import Definition
from ansible_collections.cellblock.jails.plugins.module_utils.upgrades.cloning import Cut
from ansible_collections.cellblock.jails.plugins.module_utils.upgrades.keeping import Keep
from ansible_collections.cellblock.jails.plugins.module_utils.upgrades.merging import Bases, Merge
from ansible_collections.cellblock.jails.plugins.module_utils.upgrades.model import Wish

MERGE, RELEASE, PACKAGES = "merge", "freebsd-update", "pkg"


class Way:
    """How the system of a root is changed in place, when it is not merged with a base."""

    kind = MERGE

    def words(self) -> str:
        """What is done, in words."""
        return ""

    def fetch(self, host: Host) -> None:
        """What can be done while the jail still runs."""

    def bring(self, host: Host) -> None:
        """Change the root; the jail is down. Twice is once."""


@dataclass(frozen=True)
class Side:
    """What a jail stands on, before or after.

    :param base: as the mark names it; None for a jail without one.
    :param path: where it stands.
    """

    base: Optional[str]
    path: str
    version: str

    def __str__(self) -> str:
        if self.base is None:
            return self.version or "an unknown release"
        return f"{self.base} ({self.version})" if self.version and self.version != self.base else self.base


@dataclass
class Outcome:
    """What a run learns on the way.

    :param said: why it failed, in its last words.
    :param late: failures that take nothing back.
    :param stopped: when its stop began, by a clock that only goes forward.
    :param down: how many seconds nobody reached it.
    """

    said: str = ""
    stopped: Optional[float] = None
    down: Optional[float] = None
    late: List[CellblockError] = field(default_factory=list)


@dataclass(frozen=True)
class Subject:
    """A jail that is upgraded.

    :param before: its definition as it was.
    :param after: its definition on the new base.
    :param ran: whether it ran, and so is to run again.
    :param busy: whether anything ran in it.
    :param followers: what runs and cannot while it is down: those in it, those that depend on it; in the order of their stop.
    :param cut: how a clone comes to a new one, when that is a clean cut.
    :param carried: bytes that are copied for it.
    :param kept_already: whether what was is kept already, by a run that was cut off.
    :param resumed: what the mark says of that run.
    :param previous: what was kept of the upgrade before, and goes when this one is done.
    """

    before: Definition
    after: Definition
    wish: Wish
    old: Side
    new: Side
    keep: Keep
    ran: bool
    running: bool
    busy: bool
    followers: Sequence[Definition] = ()
    bases: Optional[Bases] = None
    merge: Merge = Merge()
    way: Way = field(default_factory=Way)
    cut: Optional[Cut] = None
    carried: int = 0
    kept_already: bool = False
    resumed: Optional[Mapping[str, Any]] = None
    previous: Optional[Keep] = None
    outcome: Outcome = field(default_factory=Outcome)

    @property
    def name(self) -> str:
        """Its name."""
        return self.before.name

    @property
    def root(self) -> str:
        """Where its root is."""
        return self.before.root

    def noted(self, phase: str, at: int, **more: Any) -> Dict[str, Any]:
        """What the mark is to say."""
        said: Dict[str, Any] = {
            "phase": phase, "from": self.old.base, "to": self.new.base, "was": self.old.version, "is": self.new.version,
            "way": self.way.kind, "keep": self.keep.noted(), "ran": self.ran, "at": at,
        }
        if self.followers:
            said["followers"] = [one.name for one in self.followers]
        return {**said, **more}
