# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the rooms that keep and change whole jails see of a host, each with what it reads besides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, Optional

from ansible_collections.cellblock.jails.plugins.module_utils.jails.definition import Definition
from ansible_collections.cellblock.jails.plugins.module_utils.jails.observed import Observed


@dataclass
class JailSight:
    """What is there.

    :param ours: the definitions of ours.
    """

    seen: Observed
    ours: Dict[str, Definition]
    storage_path: str

    def dataset(self, definition: Definition) -> Optional[str]:
        """The dataset that is a jail's root."""
        mounted = [mount.special for mount in self.seen.mounts if mount.node == definition.root and mount.fstype == "zfs"]
        return self.seen.dataset_of(definition.name, definition.meta) or (mounted[-1] if mounted else None)
