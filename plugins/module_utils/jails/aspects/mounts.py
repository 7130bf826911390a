# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is mounted in a jail's root."""

from __future__ import annotations

from typing import List, Mapping, Optional

from ansible_collections.cellblock.jails.plugins.module_utils.engine.plan import Step
from ansible_collections.cellblock.jails.plugins.module_utils.formats import fstab
from ansible_collections.cellblock.jails.plugins.module_utils.jails import roots
from ansible_collections.cellblock.jails.plugins.module_utils.jails.aspects.aspect import Always
from ansible_collections.cellblock.jails.plugins.module_utils.jails.definition import Definition
from ansible_collections.cellblock.jails.plugins.module_utils.jails.model import BASE_MOUNT, Jail
from ansible_collections.cellblock.jails.plugins.module_utils.jails.scene import Change, Draft, Scene


class Mounts(Always):
    """Declared mounts, the base of a thin jail, and the directories that they need."""

    name = "mounts"
    held = ("mount", "mount.devfs", "mount.fdescfs", "mount.procfs", "mount.fstab")

    def look(self, jail: Jail) -> Mapping[str, int]:
        """The mount points."""
        return dict.fromkeys((*jail.own_points(), *jail.declared_points()), 0)

    def define(self, scene: Scene, jail: Jail, old: Optional[Definition], draft: Draft) -> None:
        """The base comes first, so that others can be mounted over it."""
        mounts = [fstab.render_line(entry) for entry in jail.mounts]
        if jail.root == "thin":
            base = fstab.Entry(jail.base_path(scene.request.storage_path), f"{jail.path}/{BASE_MOUNT}", "nullfs", "ro", 0, 0)
            mounts.insert(0, fstab.render_line(base))
        if mounts:
            draft.params["mount"] = mounts

    def prepare(self, change: Change) -> List[Step]:
        """Make the mount points."""
        return roots.make_mount_points(change.jail, change.files)
