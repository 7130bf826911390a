# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a change a running jail cannot take, whether that restarts it, and what its file notes meanwhile."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Dict, List, Optional, Sequence, Set

from ansible_collections.cellblock.jails.plugins.module_utils.jails.aspects.aspect import Aspect
from ansible_collections.cellblock.jails.plugins.module_utils.jails.definition import Definition
from ansible_collections.cellblock.jails.plugins.module_utils.jails.model import LIVE_HOOKS
from ansible_collections.cellblock.jails.plugins.module_utils.jails.scene import Change, differing


def waits(change: Change, aspects: Sequence[Aspect]) -> List[str]:
    """The parameters whose change waits for a restart."""
    old, new = change.old, change.wanted
    if change.running is None or new is None:
        return []
    found: Set[str] = set()
    for aspect in aspects:
        found.update(aspect.weigh(change))
        if old is not None and change.started is not None:
            found.update(differing(aspect.held, change.started, new))
            found.update(name for name in aspect.at_start if _at_start(old, name) != _at_start(new, name))
    found.update(set(change.note.get("names", ())) & _at_starts(aspects))
    return sorted(found)


def restarts(change: Change) -> bool:
    """Whether the change restarts the jail."""
    policy, state, old, new = change.jail.restart, change.jail.state, change.old, change.wanted
    if state == "restarted":
        return True
    if state not in ("started", "present") or policy == "never":
        return False
    differs = old is not None and new is not None and (old.params != new.params or old.style != new.style)
    return bool(change.waits) or (policy == "always" and differs)


def written(change: Change, new: Definition, aspects: Sequence[Aspect]) -> Definition:
    """The definition that is written: what the next start brings, a note of what waits for it, and what the next stop has to undo."""
    started, running = change.started, change.running
    if running is None or change.stops or not change.waits:
        ends = change.note and (not change.stops or "was" in change.note)
        return new if ends else _keep_stale(change.old, new)
    was: Dict[str, List[str]] = {}
    if started is not None:
        for name in differing([name for aspect in aspects for name in aspect.kept(change.waits)], started, new):
            was[name] = list(started.params.get(name, []))
    # What the kernel cannot be asked about.
    at_start = _at_starts(aspects)
    names = [name for name in change.waits if name in at_start or name in was]
    note: Dict[str, Any] = {"jid": str(running.get("jid")), "boot": change.scene.seen.boot, "names": names}
    if was:
        note["was"] = was
    return replace(new, meta={**new.meta, "waits": note}) if names else new


def _keep_stale(old: Optional[Definition], new: Definition) -> Definition:
    """A note of an earlier life of the jail says nothing any more; it is no reason to write either."""
    if old is not None and "waits" in old.meta and old.without("waits") == new:
        return old
    return new


def _at_starts(aspects: Sequence[Aspect]) -> Set[str]:
    return {name for aspect in aspects for name in aspect.at_start}


def _at_start(definition: Definition, name: str) -> List[str]:
    """What only a start uses; CPUs, rules and pipes are given to a running jail too."""
    return [value for value in definition.params.get(name, []) if not value.startswith(LIVE_HOOKS)]
