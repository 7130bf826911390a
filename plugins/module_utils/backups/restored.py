# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a jail's mark keeps of its restore: nothing that is declared, and a later run of jails must not undo it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, List, Mapping, Optional

from ansible_collections.cellblock.jails.plugins.module_utils.engine.plan import Step
from ansible_collections.cellblock.jails.plugins.module_utils.errors import Refused
from ansible_collections.cellblock.jails.plugins.module_utils.jails.aspects.aspect import Aspect
from ansible_collections.cellblock.jails.plugins.module_utils.jails.definition import Definition
from ansible_collections.cellblock.jails.plugins.module_utils.jails.model import Jail
from ansible_collections.cellblock.jails.plugins.module_utils.jails.observed import Observed
from ansible_collections.cellblock.jails.plugins.module_utils.jails.scene import Change, Draft, Scene

FACT = "restored"
PROOF = "proof"  # of a set of the jail, see verifying.py
BEGUN, OPEN, DONE = "begun", "open", "done"
GUARD = "/usr/bin/false its restore was cut off"  # no boot starts half of a jail


@dataclass(frozen=True)
class Noted:
    """What the mark is to say while the restore is under way."""

    said: Mapping[str, Any] = field(default_factory=dict)


class Restored(Aspect):
    """The fact stays; what was cut off has to end first."""

    name = FACT
    facts = (FACT, PROOF)

    def define(self, scene: Scene, jail: Jail, old: Optional[Definition], draft: Draft) -> None:
        """The mark keeps it; a jail that is being restored is guarded."""
        noted: Optional[Noted] = jail.own.get(self.name)
        if noted is not None:
            draft.meta[self.name] = dict(noted.said)
            draft.params["exec.prestart"] = [GUARD, *draft.params.get("exec.prestart", [])]
        elif old is not None and old.meta.get(self.name):
            draft.meta[self.name] = old.meta[self.name]
        if old is not None and old.meta.get(PROOF):
            draft.meta[PROOF] = old.meta[PROOF]

    def check(self, change: Change) -> None:
        """A restore that was cut off has to end first."""
        noted = change.old.meta.get(self.name) if change.old is not None else None
        if isinstance(noted, dict) and noted.get("phase") == BEGUN and self.name not in change.jail.own:
            raise Refused(
                f"its restore from set {noted.get('set')} was cut off", f"jail {change.jail.name}",
                "Run jail_restore again, which ends it",
            )

    def remove(self, change: Change) -> List[Step]:
        """What stood before it goes with it."""
        from ansible_collections.cellblock.jails.plugins.module_utils.backups.aside import Aside

        noted = change.old.meta.get(self.name) if change.old is not None else None
        aside = Aside.read(noted.get("aside")) if isinstance(noted, dict) else None
        return [Step(f"remove {aside.name}, what it was before its restore", aside.drop)] if aside is not None else []

    def report(self, seen: Observed, name: str, facts: Mapping[str, Any]) -> Mapping[str, Any]:
        """When it was restored and from what, and the last test of its backups."""
        noted, proof = facts.get(self.name), facts.get(PROOF)
        told = {self.name: {key: noted.get(key) for key in ("set", "of", "at", "phase")}} if isinstance(noted, dict) else {}
        return {**told, **({"last_proof": proof} if isinstance(proof, dict) else {})}
