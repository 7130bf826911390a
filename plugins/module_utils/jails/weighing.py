# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a change a running jail cannot take, whether that restarts it, and what its file says meanwhile."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, List, Mapping, Optional, Sequence, Set

from ansible_collections.cellblock.jails.plugins.module_utils.jails.aspects.aspect import Aspect
from ansible_collections.cellblock.jails.plugins.module_utils.jails.definition import Definition
from ansible_collections.cellblock.jails.plugins.module_utils.jails.model import LIVE_HOOKS
from ansible_collections.cellblock.jails.plugins.module_utils.jails.scene import Change, differing


def waits(change: Change, aspects: Sequence[Aspect]) -> List[str]:
    """The parameters whose change waits for a restart."""
    old, new, running = change.old, change.wanted, change.running
    if running is None or new is None:
        return []
    found: Set[str] = set()
    for aspect in aspects:
        found.update(aspect.weigh(change))
        if old is not None:
            found.update(differing(aspect.held, old, new))
            found.update(name for name in aspect.at_start if _at_start(old, name) != _at_start(new, name))
    if old is not None:
        found.update(set(noted(change, old, running)) & _at_starts(aspects))
    return sorted(found)


def noted(change: Change, old: Definition, running: Mapping[str, Any]) -> List[str]:
    """What was noted as waiting, if the jail still lives the life that it was noted in."""
    note = old.meta.get("waits") or {}
    current = note.get("jid") == str(running.get("jid")) and note.get("boot") == change.scene.seen.boot
    return list(note.get("names", [])) if current else []


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
    """The definition that is written: what a running jail holds on to stays, and what waits is noted."""
    old, running = change.old, change.running
    if running is None or change.stops or not change.waits:
        reverted = running is not None and not change.stops and old is not None and noted(change, old, running)
        return new if reverted else _keep_stale(old, new)
    found = dict(new.params)
    if old is not None:
        for name in (name for aspect in aspects for name in aspect.kept(change.waits)):
            found.pop(name, None)
            if name in old.params:
                found[name] = old.params[name]
        found = {name: found[name] for name in [*new.params, *found] if name in found}
    # What the kernel cannot be asked about: what the file no longer shows, or does not show yet.
    at_start = _at_starts(aspects)
    names = [name for name in change.waits if name in at_start or found.get(name) != new.params.get(name)]
    meta = dict(new.meta)
    if names:
        meta["waits"] = {"jid": str(running.get("jid")), "boot": change.scene.seen.boot, "names": names}
    return replace(new, params=found, meta=meta)


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
