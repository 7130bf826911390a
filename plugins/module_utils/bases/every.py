# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan for several bases: the host is read once for all of them, and each is a lane of its own."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Sequence

from ansible_collections.cellblock.jails.plugins.module_utils.bases import planning
from ansible_collections.cellblock.jails.plugins.module_utils.bases.base import Base
from ansible_collections.cellblock.jails.plugins.module_utils.bases.observe import Common, look, told
from ansible_collections.cellblock.jails.plugins.module_utils.bases.options import BASE
from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.engine.options import STORAGE_OPTIONS
from ansible_collections.cellblock.jails.plugins.module_utils.engine.plan import Lane, Plan
from ansible_collections.cellblock.jails.plugins.module_utils.errors import CellblockError, Faults, HostError, InputError


def bases_from(options: Mapping[str, Any]) -> List[Base]:
    """Check a module's options: all of them, before anything is looked at.

    :raises InputError: for what cannot be, with the name of its base.
    """
    found: List[Base] = []
    faults = Faults()
    for given in options["basejails"]:
        with faults:
            try:
                found.append(Base.from_options({**{name: given[name] for name in BASE}, **{name: options[name] for name in STORAGE_OPTIONS}}))
            except InputError as error:
                raise InputError(error.what, f"base {given['name']}, {error.where}", error.fix) from error
            if found[-1].name in [base.name for base in found[:-1]]:
                raise InputError("it is declared twice", f"base {given['name']}", "Declare each base once")
    faults.tell()
    return found


def plan(host: Host, bases: Sequence[Base], check_mode: bool) -> Plan:
    """The way to all of them. What the host fails to tell of one stops no other.

    :raises CellblockError: what is asked for cannot be; nothing has been touched.
    """
    made, common, faults = Plan(), Common(host, *bases[:1]), Faults()
    told_of: Dict[str, Dict[str, Any]] = {}
    coming: Dict[str, str] = {}
    for base in bases:
        part = None
        try:
            with faults:
                part = planning.plan(host, base, check_mode, common, coming)
        except HostError as error:
            made.refused[base.name] = error
        if part is None:
            continue
        needed = coming.get(base.directory or "")
        made.lanes.append(Lane(base.name, part.before, [needed] if needed else []))
        made.warnings += [warning for warning in part.warnings if warning not in made.warnings]
        told_of[base.name] = {**part.facts["base"], "changed": bool(part.before)}
        if part.before:
            coming[base.path] = base.name
    faults.tell()
    made.facts = {"basejails": told_of}
    return made


def verify(host: Host, bases: Sequence[Base], made: Plan, failed: Mapping[str, CellblockError]) -> None:
    """After a run: the facts as they are now."""
    common = Common(host, *bases[:1])
    for base in bases:
        facts = made.facts["basejails"].get(base.name)
        if facts is not None:
            facts.update(told(base, look(host, base, common)), changed=facts["changed"] and base.name not in failed)
