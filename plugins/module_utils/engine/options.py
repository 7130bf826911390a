# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of several modules; plugins/doc_fragments/attributes.py documents them."""

from __future__ import annotations

from typing import Any, Dict

STORAGE_OPTIONS: Dict[str, Any] = {"storage_path": {"type": "path", "default": "/usr/jails"}, "storage_dataset": {"type": "str"}}
PARALLEL_OPTION: Dict[str, Any] = {"parallel": {"type": "int", "default": 1}}
