# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose a jail is: ours are changed, others' only when they are to be taken over."""

from __future__ import annotations

from ansible_collections.cellblock.jails.plugins.module_utils.errors import Refused
from ansible_collections.cellblock.jails.plugins.module_utils.jails import definition as definitions
from ansible_collections.cellblock.jails.plugins.module_utils.jails.model import Jail
from ansible_collections.cellblock.jails.plugins.module_utils.jails.scene import Scene


def refuse_foreign(scene: Scene, jail: Jail) -> None:
    """Refuse a jail that has no definition of ours, and is there all the same.

    :raises Refused: it was made by others.
    """
    where, name, seen = f"jail {jail.name}", jail.name, scene.seen
    if jail.adopt:
        _check_adoption(scene, jail)
        return
    fix = "Set adopt: true to take it over, or choose another name"
    if jail.state == "absent":
        fix = "It is not ours to remove; remove it by hand"
    if name in seen.confs:
        raise Refused(f"{definitions.conf_path(name)} was not made by us", where, fix)
    place = seen.elsewhere(name)
    if place is not None:
        raise Refused(f"it is defined in {place}, not by us", where, fix)
    if name in seen.running:
        raise Refused("a jail of this name runs, and was not made by us", where, fix)


def _check_adoption(scene: Scene, jail: Jail) -> None:
    """Taking over must leave one definition that counts: ours."""
    place, where = scene.seen.elsewhere(jail.name), f"jail {jail.name}"
    ours = definitions.conf_path(jail.name)
    if place is not None and place == scene.seen.rc.get(f"jail_{definitions.infix(jail.name)}_conf"):
        raise Refused(
            f"rc.d/jail reads {place} in place of {ours}", where,
            f"Take jail_{definitions.infix(jail.name)}_conf out of {scene.seen.variables.setter(f'jail_{definitions.infix(jail.name)}_conf')}",
        )
    if place == f"/etc/jail.{jail.name}.conf":
        raise Refused(f"rc.d/jail reads {place} in place of {ours}", where, f"Move {place} away, then adopt the jail")
    if place == scene.seen.whole_conf and scene.seen.includes:
        raise Refused(f"{place} defines it and includes jail.conf.d, it would be defined twice", where, f"Take its block out of {place}")
    if place == scene.seen.whole_conf:
        scene.warnings.append(f"{where}: {place} defines it too; what counts now is ours, take the old block out")
