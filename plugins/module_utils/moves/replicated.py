# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a jail's mark keeps of its replicas, and how far they are behind."""

from __future__ import annotations

import time
from typing import Any, Mapping, Optional

from ansible_collections.cellblock.jails.plugins.module_utils.jails.aspects.aspect import Aspect
from ansible_collections.cellblock.jails.plugins.module_utils.jails.definition import Definition
from ansible_collections.cellblock.jails.plugins.module_utils.jails.model import Jail
from ansible_collections.cellblock.jails.plugins.module_utils.jails.observed import Observed
from ansible_collections.cellblock.jails.plugins.module_utils.jails.scene import Draft, Scene

FACT = "replica"


class Replicas(Aspect):
    """Nothing that is declared: jail_replica makes it."""

    name = FACT
    facts = (FACT,)

    def define(self, scene: Scene, jail: Jail, old: Optional[Definition], draft: Draft) -> None:
        """The mark keeps it."""
        if old is not None and old.meta.get(FACT):
            draft.meta[FACT] = old.meta[FACT]

    def report(self, seen: Observed, name: str, facts: Mapping[str, Any]) -> Mapping[str, Any]:
        """When each was last brought up to date, and how many seconds ago."""
        noted, now = facts.get(FACT), int(time.time())
        if not isinstance(noted, dict):
            return {}
        return {"replicas": [{"to": to, "at": at, "age": max(0, now - int(at))} for to, at in sorted(noted.items())]}
