# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run does with one jail, in a few words."""

from __future__ import annotations

from typing import List

from ansible_collections.cellblock.jails.plugins.module_utils.jails.scene import Change

MOST = 160  # characters of the details


def did(change: Change) -> str:
    """Such as ``made and started``, or ``restarted: mounts``; "" when nothing is done."""
    steps = [step.what for step in (*change.steps, *change.inside)]
    if not steps:
        return ""
    if change.jail.state == "absent":
        return "removed"
    verbs = ["taken over" if change.jail.adopt else "made"] if change.is_new else []
    verbs += [] if change.is_new and "start" not in steps else _moves(steps)
    details = "" if change.is_new else _shortened(_details(change))
    if not verbs:
        return f"changed: {details}"
    return " and ".join(verbs) + (f": {details}" if details else "")


def _moves(steps: List[str]) -> List[str]:
    moves = {step for step in steps if step in ("start", "stop")}
    return ["restarted"] if len(moves) == 2 else [{"start": "started", "stop": "stopped"}[move] for move in moves]


def _details(change: Change) -> List[str]:
    """The parameters that differ, or that waited for this restart, and the steps that are no file of the host's."""
    old, new = change.old, change.new
    names = set(map(str, change.note.get("names", ()))) if change.stops else set()
    if old is not None and new is not None:
        names |= {name for name in {*old.params, *new.params} if old.params.get(name) != new.params.get(name)}
    told = [step.what for step in (*change.steps, *change.inside)]
    rest = [what for what in told if what not in ("start", "stop") and not what.startswith(("note its ", "change the running jail: "))]
    files = [what for what in rest if not (names and what.startswith("write /etc/jail.conf.d/"))]
    return [*sorted(names), *files]


def _shortened(words: List[str]) -> str:
    text = ", ".join(words)
    return text if len(text) <= MOST else text[: MOST - 1] + "…"
