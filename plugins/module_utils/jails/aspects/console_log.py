# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a jail said on its console: the log that we gave it goes with it, another one is told of."""

from __future__ import annotations

import posixpath
from typing import Callable, List, Sequence

from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.engine.plan import Step
from ansible_collections.cellblock.jails.plugins.module_utils.jails.aspects.aspect import Always
from ansible_collections.cellblock.jails.plugins.module_utils.jails.model import CONSOLE_LOG, Jail
from ansible_collections.cellblock.jails.plugins.module_utils.jails.observed import Observed
from ansible_collections.cellblock.jails.plugins.module_utils.jails.scene import Change


class ConsoleLog(Always):
    """The file of exec.consolelog."""

    name = "console_log"

    def observe(self, host: Host, seen: Observed, jails: Sequence[Jail]) -> None:
        """Which logs there are, those that newsyslog(8) put aside too."""
        seen.own[self.name] = host.listdir(posixpath.dirname(CONSOLE_LOG))

    def remove(self, change: Change) -> List[Step]:
        """It goes, and what was put aside of it."""
        old, scene, name = change.old, change.scene, change.jail.name
        log = (old.params.get("exec.consolelog") or [""])[-1] if old is not None else ""
        ours = CONSOLE_LOG.format(name=name)
        if log != ours:
            if log:
                scene.warnings.append(f"jail {name}: its console log {log} stays")
            return []
        place, own = posixpath.split(ours)
        going = [f"{place}/{one}" for one in scene.seen.own.get(self.name, ()) if one == own or one.startswith(f"{own}.")]
        return [Step(f"remove {path}", _remover(path), None) for path in going]


def _remover(path: str) -> Callable[[Host], None]:
    return lambda host: host.remove(path)
