# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Take the steps of a plan: in order, lanes side by side, undoing what a failing lane leaves."""

from __future__ import annotations

from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Dict, List, Sequence, Set

from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.engine.plan import Lane, Plan, Step
from ansible_collections.cellblock.jails.plugins.module_utils.errors import CellblockError


class StepFailed(CellblockError):
    """A step failed. Says which, in the tool's own words, and what could not be undone."""

    def __init__(self, step: Step, cause: CellblockError, leftovers: Sequence[str]) -> None:
        text = f"{step.what}: {cause.what}"
        if leftovers:
            text += "; left behind: " + "; ".join(leftovers)
        super().__init__(text, cause.where, cause.fix)
        self.step = step


def take_steps(host: Host, steps: Sequence[Step], states: Dict[int, str]) -> None:
    """Take steps one by one; when one fails, undo the earlier ones backwards and raise :class:`StepFailed`.

    :param states: learns what became of each step.
    """
    taken: List[Step] = []
    for step in steps:
        try:
            taken.append(step)  # a step that fails half way is undone too
            step.do(host)
            states[id(step)] = "taken"
        except (CellblockError, OSError) as error:
            states[id(step)] = "failed"
            cause = error if isinstance(error, CellblockError) else CellblockError(str(error))
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


def _take_lanes(
    host: Host, lanes: Sequence[Lane], states: Dict[int, str], width: int, failed: Dict[str, CellblockError]
) -> None:
    waiting = [lane for lane in lanes if lane.steps]
    running: Dict[Future[None], str] = {}
    names = {lane.name for lane in waiting} | set(failed)
    ended: Set[str] = set(failed)
    with ThreadPoolExecutor(max_workers=max(1, width)) as pool:
        while waiting or running:
            for lane in list(waiting):
                needs = [need for need in lane.needs if need in names]
                broken = [need for need in needs if need in failed]
                if broken:
                    failed[lane.name] = CellblockError(f"not done: it depends on {', '.join(broken)}, which failed", lane.name)
                    ended.add(lane.name)
                    waiting.remove(lane)
                elif all(need in ended for need in needs):
                    running[pool.submit(take_steps, host, lane.steps, states)] = lane.name
                    waiting.remove(lane)
            if not running:
                continue
            done, _rest = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                name = running.pop(future)
                ended.add(name)
                error = future.exception()
                if isinstance(error, CellblockError):
                    failed[name] = error
                elif error is not None:
                    raise error
