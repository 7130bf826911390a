# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Managed jails that nobody declares go, unless that looks like a list that came out too short."""

from __future__ import annotations

from typing import Any, List, Mapping

from ansible_collections.cellblock.jails.plugins.module_utils.errors import Refused
from ansible_collections.cellblock.jails.plugins.module_utils.jails.model import Jail
from ansible_collections.cellblock.jails.plugins.module_utils.jails.request import Request

FEW = 3


def pruned(request: Request, marks: Mapping[str, Any]) -> List[Jail]:
    """The jails that a run with ``prune`` removes besides those that are declared absent.

    :raises Refused: more than a few would go, and more than the share of the host's jails that is allowed.
    """
    if not request.prune:
        return []
    gone = {name for name, facts in marks.items() if (facts.get("moving") or {}).get("to")}  # a copy of what runs elsewhere
    going = sorted(set(marks) - gone - {jail.name for jail in (*request.jails, *request.as_they_are)})
    if len(going) > FEW and len(going) * 100 > request.prune_share * len(marks):
        raise Refused(
            f"it would remove {len(going)} of the {len(marks)} managed jails of this host, more than {request.prune_share} %: "
            + ", ".join(going),
            "prune", "If that is meant, set prune_share to 100 for this run. Else look at where the list of jails comes from",
        )
    return [Jail(name, "absent") for name in going]
