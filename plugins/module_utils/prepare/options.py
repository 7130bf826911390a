# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of a host's parts, in their order; documented in doc_fragments/parts.py."""

from __future__ import annotations

from ansible_collections.cellblock.jails.plugins.module_utils.host.options import LISTENERS, RULESETS, SERVICES, SETTINGS, STORAGE, Options
from ansible_collections.cellblock.jails.plugins.module_utils.networks.options import NETWORKS

PARTS: Options = {
    "storage": {"type": "dict", "options": STORAGE},
    "settings": {"type": "dict", "options": SETTINGS},
    "devfs_rulesets": {"type": "dict", "options": RULESETS},
    "services": {"type": "dict", "options": SERVICES},
    "networks": {"type": "dict", "options": NETWORKS},
    "listeners": {"type": "dict", "options": LISTENERS},
}
