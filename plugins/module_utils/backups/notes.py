# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host knows of its jails' last sets, wherever these are: jail_info tells it."""

from __future__ import annotations

from typing import Any, Dict, List

from ansible_collections.cellblock.jails.plugins.module_utils.engine import noted as notes
from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host

STATE = f"{notes.TOP}/backups"  # a directory for each destination, by its id


def note(host: Host, destination: str, jail: str, facts: Dict[str, Any]) -> None:
    """Keep the facts of a jail's last set in a destination.

    :param destination: its id.
    """
    notes.write(host, f"{STATE}/{destination}/last/{jail}.json", facts)


def noted(host: Host) -> Dict[str, List[Dict[str, Any]]]:
    """The facts of the last sets of each jail, the newest first."""
    found: Dict[str, List[Dict[str, Any]]] = {}
    for destination in host.listdir(STATE):
        for entry in host.listdir(f"{STATE}/{destination}/last"):
            facts = notes.read(host, f"{STATE}/{destination}/last/{entry}")
            if isinstance(facts.get("set"), str):
                found.setdefault(entry[: -len(".json")], []).append(facts)
    return {jail: sorted(sets, key=lambda facts: str(facts["set"]), reverse=True) for jail, sets in found.items()}


def told(host: Host, jails: List[Dict[str, Any]]) -> None:
    """Add what is known to what jail_info tells of jails."""
    known = noted(host)
    for jail in jails:
        sets = known.get(str(jail["name"]), []) if jail["managed"] else []
        jail["last_backup"] = {**sets[0], "others": sets[1:]} if sets else None
