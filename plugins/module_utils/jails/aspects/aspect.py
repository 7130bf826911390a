# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a capability of a jail is, from its options to what is told of it."""

from __future__ import annotations

from typing import Any, Callable, FrozenSet, Iterable, List, Mapping, Optional, Sequence

from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.engine.plan import Step
from ansible_collections.cellblock.jails.plugins.module_utils.jails.definition import Definition
from ansible_collections.cellblock.jails.plugins.module_utils.jails.model import Jail
from ansible_collections.cellblock.jails.plugins.module_utils.jails.observed import Observed
from ansible_collections.cellblock.jails.plugins.module_utils.jails.scene import Change, Draft, Scene, SharedFiles


class Aspect:
    """A capability of a jail. It holds nothing itself, and what it does not override does nothing.

    Only ``observe`` sees the host. All else is pure: it reads the scene, and returns steps, whose own functions are given
    the host when they are taken. What only these functions need is imported in them.

    :cvar name: where it keeps what is its own: ``jail.own[name]`` and ``seen.own[name]``.
    :cvar options: its options of a jail, an argument spec; documented in ``doc_fragments``.
    :cvar facts: its keys in a jail's mark.
    :cvar held: parameters that jail(8) reads again to undo them when the jail stops: a change waits for a restart, and what the
        running jail has is noted until then, see stopping.py.
    :cvar at_start: parameters that only a start uses: a change waits for a restart.
    """

    name = ""
    options: Mapping[str, Mapping[str, Any]] = {}
    facts: Sequence[str] = ()
    held: Sequence[str] = ()
    at_start: Sequence[str] = ()

    # -- declared

    def declare(self, jail: Jail, options: Mapping[str, Any]) -> Any:
        """What it makes of its options, checked, to be found in ``jail.own``; asked only when one of them is given.

        :raises InputError: for what cannot be.
        """

    def concerns(self, jails: Sequence[Jail], marks: Mapping[str, Mapping[str, Any]]) -> bool:
        """Whether it matters in this run: it is declared for a jail, or a jail has it by its mark."""
        if any(self.name in jail.own for jail in jails):
            return True
        return bool(self.facts) and any(fact in mark for mark in marks.values() for fact in self.facts)

    def loaded(self) -> Aspect:
        """The aspect itself, where this only stands for it."""
        return self

    # -- observed

    def observe(self, host: Host, seen: Observed, jails: Sequence[Jail]) -> None:
        """Read what it needs into ``seen.own``, in a number of commands that does not grow with the jails."""

    def recast(self, seen: Observed, jails: Sequence[Jail]) -> None:
        """Let all that follows see the host as its first steps will leave it; before roots are looked at."""

    def look(self, jail: Jail) -> Mapping[str, int]:
        """Paths below the jail's root that it wants to see, and how many bytes of each at most."""
        return {}

    # -- decided

    def check_host(self, scene: Scene) -> None:
        """Refuse what this host cannot have, once for all jails."""

    def define(self, scene: Scene, jail: Jail, old: Optional[Definition], draft: Draft) -> None:
        """Add its parameters and its facts to the jail's definition."""

    def check(self, change: Change) -> None:
        """Refuse what this host cannot have for this jail, or what cannot become of what stands."""

    def weigh(self, change: Change) -> Iterable[str]:
        """What of the change of a running jail waits for a restart, besides ``held`` and ``at_start``."""
        return ()

    def kept(self, waits: Sequence[str]) -> Sequence[str]:
        """The parameters that a stop of the running jail has to know as they were while these wait."""
        return self.held

    def lost(self, change: Change) -> Iterable[str]:
        """What the jail has, and its declaration does not name any more, in the words of the options."""
        return ()

    # -- planned: the phases of a jail that stays

    def before_stop(self, change: Change) -> List[Step]:
        """While the jail still runs, when it is about to stop or to leave."""
        return []

    def prepare(self, change: Change) -> List[Step]:
        """All that must stand before a start. The jail is down, unless it is ``live``."""
        return []

    def alter(self, change: Change) -> List[Step]:
        """Change the jail in place; asked only when it goes on running."""
        return []

    def after_start(self, change: Change) -> List[Step]:
        """What has to be before the jail counts as started; asked when this run starts it. Its failure takes the start back."""
        return []

    def inside(self, change: Change) -> List[Step]:
        """What runs inside of a jail that runs when all is done, for as long as it likes: without the host's lock."""
        return []

    # -- removed

    def remove(self, change: Change) -> List[Step]:
        """Take away what it made, when the jail has stopped for good. Refuse rather than lose what is not ours."""
        return []

    # -- of the host as a whole

    def share(self, scene: Scene, changes: Sequence[Change], files: SharedFiles) -> None:
        """Change shared files before any jail is touched."""

    def settle(self, scene: Scene, changes: Sequence[Change], failed: FrozenSet[str], files: SharedFiles) -> List[Step]:
        """Change shared files when all jails are done; steps for what is no file. What failed must leave nothing there."""
        return []

    # -- told

    def tell(self, change: Change) -> Mapping[str, Any]:
        """What the module returns of it, under the jail's name."""
        return {}

    def report(self, seen: Observed, name: str, facts: Mapping[str, Any]) -> Mapping[str, Any]:
        """What jail_info tells of a jail by its mark; ``drift`` is added to what the jail drifted by."""
        return {}

    def report_host(self, seen: Observed) -> Mapping[str, Any]:
        """What jail_info tells of the host."""
        return {}

    def reboot_waits(self, scene: Scene, changes: Sequence[Change]) -> Sequence[str]:
        """What waits for a reboot of the host."""
        return ()


class Always(Aspect):
    """One that every jail has."""

    def concerns(self, jails: Sequence[Jail], marks: Mapping[str, Mapping[str, Any]]) -> bool:
        """It always matters."""
        return True


class Later(Aspect):
    """Stands for an aspect whose file is not read before it matters: what a run does not need costs it nothing."""

    def __init__(
        self, name: str, load: Callable[[], Aspect], options: Optional[Mapping[str, Mapping[str, Any]]] = None, facts: Sequence[str] = (),
    ) -> None:
        self.name, self.options, self.facts, self._load = name, options or {}, facts, load

    def loaded(self) -> Aspect:
        """The aspect itself."""
        return self._load()
