# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The order of the jails of a run: each has a lane of steps, and lanes that it must wait for."""

from __future__ import annotations

from typing import List, Sequence, Tuple

from ansible_collections.cellblock.jails.plugins.module_utils.engine.plan import Lane
from ansible_collections.cellblock.jails.plugins.module_utils.jails.model import Jail, needs
from ansible_collections.cellblock.jails.plugins.module_utils.jails.scene import Change, Scene


def lanes(scene: Scene, changes: Sequence[Change]) -> List[Lane]:
    """Removals last and children before parents; what starts, in its order."""
    leaving = [change for change in changes if change.jail.state == "absent"]
    staying = [change for change in changes if change.jail.state != "absent"]
    ordered = staying + sorted(leaving, key=lambda change: -change.jail.name.count("."))
    return [Lane(change.jail.name, change.steps, _needs(scene, change.jail)) for change in ordered]


def _needs(scene: Scene, jail: Jail) -> Tuple[str, ...]:
    if jail.state == "absent":
        return tuple(other.name for other in scene.jails if _goes_before(scene, other, jail))
    around = [
        other.name for other in scene.jails
        if other.state != "absent" and other.path and jail.path.startswith(f"{other.path}/") and other.name not in needs(jail)
    ]
    return (*needs(jail), *around)


def _goes_before(scene: Scene, other: Jail, jail: Jail) -> bool:
    """Whether another jail leaves before one: it is its child, stands in its root, or depends on it."""
    if other.state != "absent" or other.name == jail.name:
        return False
    mark, path = scene.marks.get(other.name, {}), str(scene.marks.get(jail.name, {}).get("path"))
    inside = str(mark.get("path")).startswith(f"{path}/")
    return other.name.startswith(f"{jail.name}.") or inside or jail.name in mark.get("depend", ())
