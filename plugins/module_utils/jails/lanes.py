# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The order of the jails of a run: each has a lane of steps, and lanes that it must wait for."""

from __future__ import annotations

from itertools import accumulate
from typing import List, Sequence, Tuple

from ansible_collections.cellblock.jails.plugins.module_utils.engine.plan import Lane
from ansible_collections.cellblock.jails.plugins.module_utils.jails.model import Jail, behind, needs
from ansible_collections.cellblock.jails.plugins.module_utils.jails.scene import Change, Scene


def lanes(scene: Scene, changes: Sequence[Change]) -> List[Lane]:
    """Removals last, children before parents, and in the reverse of the order of boot; what starts, in its order.

    Of jails that stop and depend on each other, the dependants go down first and come up last.
    """
    leaving = [change for change in changes if change.jail.state == "absent"]
    staying = [change for change in changes if change.jail.state != "absent"]
    boot = {name: place for place, name in enumerate(scene.seen.rc.get("jail_list", "").split())}
    leaving.sort(key=lambda change: (-change.jail.name.count("."), -boot.get(change.jail.name, -1)))
    lanes_of = [Lane(change.jail.name, change.steps, _needs(scene, change.jail)) for change in leaving]
    return [*_down_and_up(_in_order([_lane(scene, change) for change in staying])), *lanes_of]


def _in_order(staying: Sequence[Lane]) -> List[Lane]:
    """Each behind those that it needs, as the steps are told."""
    by_name = {lane.name: lane for lane in staying}
    return [by_name[name] for name in behind(list(by_name), lambda name: by_name[name].needs, lambda loop: None)]


def _lane(scene: Scene, change: Change) -> Lane:
    """All that a jail does before it is down goes first, for now."""
    stop = next((place for place, step in enumerate(change.steps) if step.what == "stop"), -1) + 1
    return Lane(change.jail.name, change.steps[stop:], _needs(scene, change.jail), change.steps[:stop])


def _down_and_up(staying: Sequence[Lane]) -> List[Lane]:
    """Only where dependants stop too must a stop go first; elsewhere each jail is down as shortly as can be."""
    stopping = {lane.name for lane in staying if lane.first}
    apart = {
        name for lane in staying if lane.first for need in lane.needs if need in stopping for name in (lane.name, need)
    }
    return [lane if lane.name in apart else Lane(lane.name, [*lane.first, *lane.steps], lane.needs) for lane in staying]


def _needs(scene: Scene, jail: Jail) -> Tuple[str, ...]:
    if jail.state == "absent":
        renamed = scene.seen.own.get("renaming")
        led = renamed.led(jail.name) if renamed is not None else None
        return tuple([other.name for other in scene.jails if _goes_before(scene, other, jail)] + ([led] if led else []))
    parents = set(accumulate(jail.path.split("/")[:-1], "{}/{}".format))
    copied = [jail.own["copy"].of] if "copy" in jail.own and jail.name in scene.fillings else []
    around = [other.name for other in scene.jails if other.path and other.path in parents and other.state != "absent" and other.name not in needs(jail)]
    return (*needs(jail), *around, *copied)


def _goes_before(scene: Scene, other: Jail, jail: Jail) -> bool:
    """Whether another jail leaves before one: it is its child, stands in its root, uses what is there, or depends on it."""
    if other.state != "absent" or other.name == jail.name:
        return False
    mark, path = scene.marks.get(other.name, {}), str(scene.marks.get(jail.name, {}).get("path"))
    inside = str(mark.get("path")).startswith(f"{path}/")
    made = scene.seen.definition(other.name)
    sources = [line.split()[0] for line in (made.params.get("mount", ()) if made is not None else ())]
    uses = any(f"{source}/".startswith(f"{path}/") for source in (*sources, mark.get("base")))
    return other.name.startswith(f"{jail.name}.") or inside or uses or jail.name in mark.get("depend", ())
