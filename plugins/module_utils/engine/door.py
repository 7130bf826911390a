# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every module's main() does: plan, take the plan unless in check mode, tell."""

from __future__ import annotations

import contextlib
from typing import Any, Callable, Dict, Optional

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.engine.lock import locked
from ansible_collections.cellblock.jails.plugins.module_utils.engine.plan import Plan
from ansible_collections.cellblock.jails.plugins.module_utils.engine.recall import NO_RECALL, Recall
from ansible_collections.cellblock.jails.plugins.module_utils.engine.watch import Watch
from ansible_collections.cellblock.jails.plugins.module_utils.errors import CellblockError
from ansible_collections.cellblock.jails.plugins.module_utils.formats.secrets import hide

LOCK_OPTION: Dict[str, Any] = {"lock_timeout": {"type": "int", "default": 300}}


def serve(
    module: AnsibleModule,
    planner: Callable[[Host], Plan],
    width: int = 1,
    verify: Optional[Callable[[Host, Dict[str, CellblockError]], None]] = None,
    alone: str = "",
    ended: Optional[Callable[[Dict[str, CellblockError]], None]] = None,
    recall: Recall = NO_RECALL,
) -> None:
    """Plan, take, and exit or fail: the only place where a module ends.

    Check mode is the plan, not taken; diff is the plan's before and after.

    :param width: how many lanes are taken at once.
    :param verify: looks at the host after a run that changed it, and adds what failed after all.
    :param ended: is told what failed, when all is done.
    :param alone: a second lock, held to the end of what runs without the host's too: one such run at a time.
    :param recall: keeps what was read for a run that changes nothing.
    """
    host, watch = Host(), recall.watch()
    plan = Plan()
    failed: Dict[str, CellblockError] = {}
    try:
        patience = module.params.get("lock_timeout", 300)
        with locked(host, patience, alone) if alone and not module.check_mode else contextlib.nullcontext():
            with contextlib.nullcontext() if module.check_mode else locked(host, patience):
                plan = _planned(host, planner, watch)
                failed = plan.refused if module.check_mode else _taken(host, plan, width, verify)
            if plan.inside and not module.check_mode:
                from ansible_collections.cellblock.jails.plugins.module_utils.engine.apply import take_inside

                take_inside(host, plan, width, failed)
            if ended is not None and not module.check_mode:
                ended(failed)
    except CellblockError as error:
        module.fail_json(msg=shown(str(error)), **_told(plan, module.check_mode, True))
        return
    for warning in plan.warnings:
        module.warn(shown(warning))
    told = _told(plan, module.check_mode, bool(failed))
    if failed:
        told["failures"] = {name: shown(str(error)) for name, error in sorted(failed.items())}
        module.fail_json(msg="; ".join(told["failures"].values()), **told)
    recall.keep(host, watch, module, told, [shown(warning) for warning in plan.warnings])
    module.exit_json(**told)


def _planned(host: Host, planner: Callable[[Host], Plan], watch: Optional[Watch]) -> Plan:
    host.watch = watch
    try:
        return planner(host)
    finally:
        host.watch = None


def _taken(
    host: Host, plan: Plan, width: int, verify: Optional[Callable[[Host, Dict[str, CellblockError]], None]],
) -> Dict[str, CellblockError]:
    """Take a plan; where there is nothing to take, not even what takes it is read."""
    if not plan.refused and not any(True for _step in plan.steps()):
        return {}
    from ansible_collections.cellblock.jails.plugins.module_utils.engine.apply import take

    failed = take(host, plan, width)
    if verify is not None and any(True for _step in plan.steps()):
        verify(host, failed)
    return failed


def shown(text: str) -> str:
    """A text as it may be told: without secrets, and what a jail put into it speaks to nobody's terminal."""
    return "".join(char if char.isprintable() or char in "\n\t" else repr(char)[1:-1] for char in hide(text))


def _told(plan: Plan, check_mode: bool, failed: bool) -> Dict[str, Any]:
    """What the module returns of a plan. After a failure only what was taken and stands counts as done."""
    state = "taken" if failed and not check_mode else None
    diff = [{key: shown(text) for key, text in one.items()} for one in plan.diff(state)]
    told: Dict[str, Any] = {"steps": [shown(step) for step in plan.told(state)], "diff": diff, **plan.facts}
    told["changed"] = bool(told["steps"])
    if state is not None:
        unfinished = {word: [shown(step) for step in plan.told(word.replace("_", " "))] for word in ("failed", "undone", "not_reached")}
        told["unfinished"] = {word: steps for word, steps in unfinished.items() if steps}
    return told
