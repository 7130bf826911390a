# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a jail's mark keeps of a move; where it has left, nothing starts it, and nobody takes it for what is declared."""

from __future__ import annotations

from typing import Any, List, Mapping, Optional

from ansible_collections.cellblock.jails.plugins.module_utils.engine.plan import Step
from ansible_collections.cellblock.jails.plugins.module_utils.errors import Refused
from ansible_collections.cellblock.jails.plugins.module_utils.jails.aspects.aspect import Aspect
from ansible_collections.cellblock.jails.plugins.module_utils.jails.definition import Definition
from ansible_collections.cellblock.jails.plugins.module_utils.jails.model import Jail
from ansible_collections.cellblock.jails.plugins.module_utils.jails.observed import Observed
from ansible_collections.cellblock.jails.plugins.module_utils.jails.scene import Change, Draft, Scene
from ansible_collections.cellblock.jails.plugins.module_utils.moves.journal import FACT, GONE, SENDING


class Moves(Aspect):
    """Nothing that is declared: jail_move makes it."""

    name = FACT
    facts = (FACT,)

    def define(self, scene: Scene, jail: Jail, old: Optional[Definition], draft: Draft) -> None:
        """The mark keeps it."""
        noted = jail.own.get(FACT) or (old.meta.get(FACT) if old is not None else None)
        if noted:
            draft.meta[FACT] = dict(noted)

    def check(self, change: Change) -> None:
        """What has left is not here any more."""
        noted = change.old.meta.get(FACT) if change.old is not None else None
        if isinstance(noted, dict) and noted.get("to") and noted.get("phase") != SENDING:
            gone = noted.get("phase") == GONE
            raise Refused(
                f"it has moved to {noted['to']}" if gone else f"its move to {noted['to']} is under way", f"jail {change.jail.name}",
                "Take it out of what is declared for this host" if gone else "Run the playbook move again, which ends it",
            )

    def remove(self, change: Change) -> List[Step]:
        """While it is on its way, its only whole copy may be here."""
        noted = change.old.meta.get(FACT) if change.old is not None else None
        if isinstance(noted, dict) and noted.get("to") and noted.get("phase") != GONE:
            raise Refused(
                f"its move to {noted['to']} is under way", f"jail {change.jail.name}", "Let the playbook move end it, or give it up: jail_move_state=aborted",
            )
        return []

    def report(self, seen: Observed, name: str, facts: Mapping[str, Any]) -> Mapping[str, Any]:
        """Where it went, or came from."""
        noted = facts.get(FACT)
        return {"move": {key: noted[key] for key in ("from", "to", "phase", "at") if key in noted}} if isinstance(noted, dict) else {}
