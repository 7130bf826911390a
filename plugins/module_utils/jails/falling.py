# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What falls with a jail that stops: the kernel takes the jails that run in it along, and what depends on it goes on without."""

from __future__ import annotations

from typing import Collection, List, Sequence

from ansible_collections.cellblock.jails.plugins.module_utils.errors import Faults, Refused
from ansible_collections.cellblock.jails.plugins.module_utils.jails.scene import Change, Scene


def falls(name: str, down: Collection[str]) -> bool:
    """Whether a jail runs in one of these."""
    return any(name.startswith(f"{one}.") for one in down)


def tell(scene: Scene, changes: Sequence[Change]) -> None:
    """Warn of what falls, or goes on alone, and is not of this run.

    :raises Refused: a jail is to be removed in which another of ours runs, which stays.
    """
    about, faults = {change.jail.name for change in changes}, Faults()
    for change in changes:
        name, leaves = change.jail.name, change.jail.state == "absent"
        if change.running is None or not (change.stops or leaves):
            continue
        rest = [other for other in sorted(scene.marks) if other in scene.seen.running and other not in about]
        inner: List[str] = [other for other in rest if falls(other, [name])]
        with faults:
            if inner and leaves:
                raise Refused(f"{', '.join(inner)} runs in it", f"jail {name}", "Remove or stop it first")
        if inner:
            scene.warnings.append(f"jail {name}: {', '.join(inner)} runs in it, and ends with it. Declare it in the same run, and it comes back")
        others = [other for other in rest if name in (scene.marks[other].get("depend") or ())]
        if others:
            how = "without it" if leaves or not change.ends_running else "while it is down"
            scene.warnings.append(f"jail {name}: {', '.join(others)} depends on it, and goes on {how}")
    faults.tell()
