# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of a base, shared by the modules; documented in doc_fragments/base.py."""

from __future__ import annotations

from typing import Any, Dict

Options = Dict[str, Dict[str, Any]]

BASE: Options = {
    "name": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["present", "latest", "absent"], "default": "present"},
    "path": {"type": "path"},
    "source": {"type": "str", "choices": ["sets", "src", "pkgbase", "directory"]},
    "release": {"type": "str"},
    "arch": {"type": "str"},
    "url": {"type": "str"},
    "sets": {"type": "list", "elements": "str", "default": ["base"]},
    "manifest_sha256": {"type": "str"},
    "retries": {"type": "int", "default": 3},
    "timeout": {"type": "int", "default": 60},
    "cache_path": {"type": "path", "default": "/var/cache/cellblock"},
    "src_path": {"type": "path", "default": "/usr/src"},
    "make_args": {"type": "list", "elements": "str", "default": []},
    "make_world": {"type": "bool", "default": False},
    "packages": {"type": "list", "elements": "str", "default": ["FreeBSD-set-minimal-jail"]},
    "fingerprints": {"type": "str"},
    "directory": {"type": "path"},
}
