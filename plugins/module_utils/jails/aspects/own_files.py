# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The jail's own files: rc.conf, resolv.conf, time zone, root's password, aliases, keys."""

from __future__ import annotations

from typing import List

from ansible_collections.cellblock.jails.plugins.module_utils.engine.plan import Step
from ansible_collections.cellblock.jails.plugins.module_utils.errors import InputError
from ansible_collections.cellblock.jails.plugins.module_utils.jails import inside
from ansible_collections.cellblock.jails.plugins.module_utils.jails.aspects.aspect import Always
from ansible_collections.cellblock.jails.plugins.module_utils.jails.scene import Change


class OwnFiles(Always):
    """Files below the jail's root, kept from outside."""

    name = "own_files"

    def check(self, change: Change) -> None:
        """The host must know the time zone."""
        zone = change.jail.inside.timezone
        if zone is not None and zone in change.scene.seen.missing_zones:
            raise InputError(f"time zone {zone} is not in {inside.ZONES}", f"jail {change.jail.name}", "See tzsetup(8)")

    def prepare(self, change: Change) -> List[Step]:
        """Bring them to what is declared."""
        jail = change.jail
        return inside.plan(jail.path, jail.name, jail.inside, change.scene.seen.resolv_conf, change.files, change.live)
