# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host keeps for later runs below /var/db/cellblock: JSON, for root alone."""

from __future__ import annotations

import json
import posixpath
from typing import Any, Dict, Mapping

from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host

TOP = "/var/db/cellblock"


def read(host: Host, path: str) -> Dict[str, Any]:
    """A note; nothing where there is none that can be read."""
    try:
        found = json.loads(host.read(path) or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def write(host: Host, path: str, said: Mapping[str, Any]) -> None:
    """Keep a note, and make its directory."""
    make_private(host, posixpath.dirname(path))
    host.write(path, json.dumps(said, sort_keys=True) + "\n", 0o600)


def make_private(host: Host, directory: str) -> None:
    """Make a directory below the top, and those between, which nobody else may enter."""
    place = posixpath.dirname(TOP)
    for name in posixpath.relpath(directory, place).split("/"):
        place = f"{place}/{name}"
        if not host.isdir(place):
            host.makedirs(place, 0o700)
