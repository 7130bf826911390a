# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A jail that is declared by its name and state only: it is stopped or started by the definition that stands, and all else stays."""

from __future__ import annotations

from dataclasses import replace

from ansible_collections.cellblock.jails.plugins.module_utils.engine.plan import write_step
from ansible_collections.cellblock.jails.plugins.module_utils.errors import InputError, Refused
from ansible_collections.cellblock.jails.plugins.module_utils.jails import definition as definitions
from ansible_collections.cellblock.jails.plugins.module_utils.jails import life, runtime
from ansible_collections.cellblock.jails.plugins.module_utils.jails.aspects import boot
from ansible_collections.cellblock.jails.plugins.module_utils.jails.model import Jail
from ansible_collections.cellblock.jails.plugins.module_utils.jails.ownership import refuse_foreign
from ansible_collections.cellblock.jails.plugins.module_utils.jails.scene import Change, Scene


def change(scene: Scene, jail: Jail, falls: bool = False) -> Change:
    """What becomes of it.

    :param falls: whether its parent stops.
    :raises CellblockError: it is not there, or not ours.
    """
    name, seen, where = jail.name, scene.seen, f"jail {jail.name}"
    old, facts = seen.definition(name), scene.marks.get(name, {})
    if old is None:
        refuse_foreign(scene, jail)
        raise InputError(
            "it is not there, and a new thin jail needs a base", where,
            "Name one in 'base'; the basejail module makes them. Name and state alone are enough for a jail that is there",
        )
    if old.lost:
        raise Refused(f"{definitions.conf_path(name)} cannot be read any more", where, "Declare the jail whole, once: that writes it anew")
    if (facts.get("moving") or {}).get("phase") in ("stopped", "gone") and jail.state != "stopped":
        raise Refused(f"it has moved to {facts['moving'].get('to')}", where, "Start it there, or run the playbook move again when that was cut off")
    jail = replace(jail, path=str(facts.get("path") or ""), depend=tuple(map(str, facts.get("depend") or ())))
    made = Change(scene, jail, old, wanted=old, new=old, running=seen.running.get(name))
    made.stops = made.running is not None and (falls or jail.state in ("stopped", "restarted"))
    if made.ends_running and not made.live:
        boot.check_needs(made)
    if made.stops:
        made.steps.append(life.stop(old))
        if made.note and old.style == "jail_conf":  # what waited comes now
            made.new = old.without("waits")
            made.steps += write_step(definitions.conf_path(name), seen.confs[name], made.new.conf())
    elif made.running is None and made.ends_running:
        made.steps += life.left_mounted(seen, old, runtime.unmount)
    if made.live:
        made.waits = sorted(made.note.get("names", ()))
    elif made.ends_running:
        made.steps.append(life.start(made.new or old))
    return made
