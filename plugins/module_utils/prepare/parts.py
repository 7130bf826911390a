# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan for a whole host: its parts one after another, then the look at what listens."""

from __future__ import annotations

from typing import Any, Callable, Dict, Mapping

from ansible_collections.cellblock.jails.plugins.module_utils.engine.foresight import one_after_another
from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.engine.plan import Plan
from ansible_collections.cellblock.jails.plugins.module_utils.errors import CellblockError, Faults, HostError


def plan(host: Host, options: Mapping[str, Any], check_mode: bool) -> Plan:
    """Read the host, and say what has to be done for the parts that are given.

    :raises CellblockError: a part cannot be had; nothing has been touched.
    """
    faults = Faults()
    asked = [name for name in ("storage", "settings", "devfs_rulesets", "services", "networks") if options.get(name) is not None]
    given = dict(faults.each(asked, lambda name: (name, _planner(name, options[name]))))
    faults.tell()
    made = one_after_another(host, given)
    made.facts["reboot"] = [what for name in given for what in made.facts[name].get("reboot", ())]
    if options.get("listeners") is not None and (check_mode or not any(lane.steps for lane in made.lanes)):
        made.facts["listeners"] = _listeners(host, options, made)
    return made


def verify(host: Host, options: Mapping[str, Any], made: Plan, failed: Dict[str, CellblockError]) -> None:
    """After a run: what listens now."""
    if options.get("listeners") is None:
        return
    try:
        made.facts["listeners"] = _listeners(host, options, None)
    except HostError as error:
        failed["listeners"] = error


def _listeners(host: Host, options: Mapping[str, Any], foreseen: "Plan | None") -> Dict[str, Any]:
    """Who would answer on a jail's address, less what a plan that is not taken would bind."""
    from ansible_collections.cellblock.jails.plugins.module_utils.host.listeners import report

    planned = foreseen.facts.get("services", {}).get("bound", ()) if foreseen is not None else ()
    asked = options["listeners"]
    return report(host, asked["allow"], planned, asked["fail"]).facts


def _planner(name: str, options: Mapping[str, Any]) -> Callable[[Host], Plan]:
    """The planner of a part. Each is imported when it is asked for."""
    if name == "storage":
        from ansible_collections.cellblock.jails.plugins.module_utils.host import storage

        return lambda host: storage.plan_from(host, options)
    if name == "settings":
        from ansible_collections.cellblock.jails.plugins.module_utils.host import settings

        return lambda host: settings.plan_from(host, options)
    if name == "services":
        from ansible_collections.cellblock.jails.plugins.module_utils.host import services

        return lambda host: services.plan_from(host, options)
    if name == "networks":
        from ansible_collections.cellblock.jails.plugins.module_utils.networks import planning

        asked = planning.Request.from_options(options)
        return lambda host: planning.plan(host, asked)
    from ansible_collections.cellblock.jails.plugins.module_utils.host import rulesets

    return lambda host: rulesets.plan_all(host, options["rulesets"], options["prune"])
