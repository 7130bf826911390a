# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Take the steps of a plan: in order, lanes side by side, undoing what a failing lane leaves."""

from __future__ import annotations

from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Dict, FrozenSet, List, Sequence, Set, Tuple

from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.engine.plan import Lane, Plan, Step
from ansible_collections.cellblock.jails.plugins.module_utils.errors import CellblockError


class StepFailed(CellblockError):
    """A step failed. Says which, in the tool's own words, and what could not be undone."""

    def __init__(self, step: Step, cause: CellblockError, leftovers: Sequence[str]) -> None:
        from ansible_collections.cellblock.jails.plugins.module_utils.engine.meanings import meaning

        text = f"{step.what}: {cause.what}"
        if leftovers:
            text += "; left behind: " + "; ".join(leftovers)
        super().__init__(text, cause.where, cause.fix or meaning("", cause.what) or None)
        self.step = step


def take_steps(host: Host, steps: Sequence[Step], states: Dict[int, str], earlier: Sequence[Step] = ()) -> None:
    """Take steps one by one; when one fails, undo the earlier ones backwards and raise :class:`StepFailed`.

    :param states: learns what became of each step.
    :param earlier: steps that were taken before, and are to be undone likewise.
    """
    taken: List[Step] = list(earlier)
    for step in steps:
        try:
            taken.append(step)  # a step that fails half way is undone too
            step.do(host)
            states[id(step)] = "taken"
        except (CellblockError, OSError) as error:
            states[id(step)] = "failed"
            cause = error if isinstance(error, CellblockError) else CellblockError(error.strerror or str(error), error.filename)
            raise StepFailed(step, cause, _undo(host, taken, states)) from error


def _undo(host: Host, taken: Sequence[Step], states: Dict[int, str]) -> List[str]:
    leftovers = []
    for step in reversed(taken):
        if step.undo is None:
            continue
        try:
            step.undo(host)
            if states[id(step)] == "taken":
                states[id(step)] = "undone"
        except (CellblockError, OSError) as error:
            leftovers.append(f"{step.what} (undo: {error})")
    return leftovers


def take(host: Host, plan: Plan, width: int = 1) -> Dict[str, CellblockError]:
    """Take a whole plan. Returns the failed lanes; what belongs to the host as a whole raises.

    :param width: how many lanes at once.
    """
    plan.settled = []
    take_steps(host, plan.before, plan.states)
    failed = dict(plan.refused)
    _take_lanes(host, plan.lanes, plan.states, width, failed)
    plan.settled = plan.settle(frozenset(failed))
    take_steps(host, plan.settled, plan.states)
    return failed


def take_inside(host: Host, plan: Plan, width: int, failed: Dict[str, CellblockError]) -> None:
    """Take what runs inside of jails, those of failed lanes aside.

    :param failed: learns what fails.
    """
    _take_lanes(host, [lane for lane in plan.inside if lane.name not in failed], plan.states, width, failed)


@dataclass(frozen=True)
class _Part:
    """A lane, or what of it goes first."""

    lane: Lane
    steps: Sequence[Step]
    taken: Sequence[Step]
    key: Tuple[str, bool]
    needs: FrozenSet[Tuple[str, bool]]


def _parts(lanes: Sequence[Lane], names: Set[str]) -> List[_Part]:
    """What goes first, goes before that of all that its lane needs, and before their lanes."""
    above: Dict[str, Set[Tuple[str, bool]]] = {}
    for lane in lanes:
        for need in lane.needs if lane.first else ():
            above.setdefault(need, set()).add((lane.name, True))
    parts = []
    for lane in lanes:
        waits = frozenset(above.get(lane.name, ()))
        if lane.first:
            parts.append(_Part(lane, lane.first, (), (lane.name, True), waits))
            waits |= {(lane.name, True)}
        needs = {(need, False) for need in lane.needs if need in names}
        parts.append(_Part(lane, lane.steps, lane.first, (lane.name, False), waits | needs))
    return parts


def _take_lanes(
    host: Host, lanes: Sequence[Lane], states: Dict[int, str], width: int, failed: Dict[str, CellblockError]
) -> None:
    todo = [lane for lane in lanes if lane.steps or lane.first]
    waiting = _parts(todo, {lane.name for lane in todo} | set(failed))
    running: Dict[Future[None], _Part] = {}
    ended: Set[Tuple[str, bool]] = {(name, False) for name in failed}
    with ThreadPoolExecutor(max_workers=max(1, width)) as pool:
        while waiting or running:
            before = len(waiting)
            for part in list(waiting):
                broken = sorted({name for name, _first in part.needs if name in failed})
                if broken:
                    _give_up(host, part, broken, states, failed)
                    ended.add(part.key)
                    waiting.remove(part)
                elif part.needs <= ended:
                    running[pool.submit(take_steps, host, part.steps, states, part.taken)] = part
                    waiting.remove(part)
            if not running and len(waiting) == before:  # they wait for each other, and somebody has to begin
                part = waiting.pop(0)
                running[pool.submit(take_steps, host, part.steps, states, part.taken)] = part
            if not running:
                continue
            done, _rest = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                part = running.pop(future)
                ended.add(part.key)
                error = future.exception()
                if isinstance(error, CellblockError):
                    failed[part.lane.name] = error
                elif error is not None:
                    raise error


def _give_up(
    host: Host, part: _Part, broken: Sequence[str], states: Dict[int, str], failed: Dict[str, CellblockError]
) -> None:
    """A part that cannot begin takes back what of its lane went first."""
    name = part.lane.name
    if name in failed:  # its own first part failed, and was undone
        return
    text = f"not done: it depends on {', '.join(broken)}, which failed"
    if not set(broken) & set(part.lane.needs):
        text = f"not done: {', '.join(broken)} had to go down before it, and failed"
    leftovers = _undo(host, part.taken, states)
    if leftovers:
        text += "; left behind: " + "; ".join(leftovers)
    failed[name] = CellblockError(text, name)
