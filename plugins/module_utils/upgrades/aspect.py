# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an upgraded jail keeps of its upgrade: a fact in its mark, and what it was before."""

from __future__ import annotations

from typing import List, Optional

from ansible_collections.cellblock.jails.plugins.module_utils.engine.plan import Step
from ansible_collections.cellblock.jails.plugins.module_utils.errors import Refused
from ansible_collections.cellblock.jails.plugins.module_utils.jails.aspects.aspect import Aspect
from ansible_collections.cellblock.jails.plugins.module_utils.jails.definition import Definition
from ansible_collections.cellblock.jails.plugins.module_utils.jails.model import Jail
from ansible_collections.cellblock.jails.plugins.module_utils.jails.scene import Change, Draft, Scene

UNFINISHED = ("begun", "changed", "open", "back", "restored")


class Upgrades(Aspect):
    """Nothing that is declared: jail_upgrade makes it, and a later run of jails must not undo it."""

    name = "upgrade"
    facts = ("upgrade",)

    def define(self, scene: Scene, jail: Jail, old: Optional[Definition], draft: Draft) -> None:
        """The mark keeps it."""
        if old is not None and old.meta.get(self.name):
            draft.meta[self.name] = old.meta[self.name]

    def check(self, change: Change) -> None:
        """An upgrade that was cut off has to end first; one that is done is not undone by an old declaration."""
        noted = change.old.meta.get(self.name) if change.old is not None else None
        if not isinstance(noted, dict) or change.old is None:
            return
        where = f"jail {change.jail.name}"
        if noted.get("phase") in UNFINISHED:
            raise Refused(
                f"its upgrade to {noted.get('to') or noted.get('is')} was cut off", where,
                "Run jail_upgrade again, which goes on, or with state: rolled_back, which takes it back",
            )
        base = change.old.meta.get("base")
        if noted.get("phase") == "done" and noted.get("to") == base and change.jail.base == noted.get("from") and change.jail.base != base:
            raise Refused(
                f"it was upgraded from base {change.jail.base} to {base}, and is declared with the old one", where,
                f"Declare base: {base}, or take the upgrade back by jail_upgrade with state: rolled_back",
            )

    def remove(self, change: Change) -> List[Step]:
        """What was kept of it goes with it."""
        noted = change.old.meta.get(self.name) if change.old is not None else None
        kept = noted.get("keep") if isinstance(noted, dict) else None
        if not kept or not (kept.get("copy") or kept.get("aside")) or change.old is None:
            return []
        from ansible_collections.cellblock.jails.plugins.module_utils.upgrades.keeping import Keep

        keep = Keep.read(str(change.old.meta.get("path")), kept)
        return [Step(f"remove {kept.get('aside') or kept['copy']}, what it was before its upgrade", keep.drop)]
