# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The CPUs that a jail may use."""

from __future__ import annotations

from typing import List

from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.engine.plan import Step
from ansible_collections.cellblock.jails.plugins.module_utils.errors import InputError
from ansible_collections.cellblock.jails.plugins.module_utils.formats.outputs import cpulist
from ansible_collections.cellblock.jails.plugins.module_utils.jails.aspects.aspect import Always
from ansible_collections.cellblock.jails.plugins.module_utils.jails.model import cpus
from ansible_collections.cellblock.jails.plugins.module_utils.jails.scene import Change


class Cpus(Always):
    """A hook of the jail's start gives it its CPUs; a running jail is given them in place."""

    name = "cpus"

    def check(self, change: Change) -> None:
        """The host must have them."""
        count, wanted = change.scene.seen.sysctl.get("hw.ncpu", ""), cpus(change.wanted.params) if change.wanted is not None else None
        missing = sorted(cpu for cpu in cpulist(wanted) if cpu >= int(count)) if wanted and wanted != "all" and count.isdigit() else []
        if missing:
            raise InputError(
                f"CPU {', '.join(map(str, missing))} is not there: this host has 0-{int(count) - 1}", f"jail {change.jail.name}, cpuset",
                "Give CPUs that it has",
            )

    def alter(self, change: Change) -> List[Step]:
        """Give them to what runs in the jail already."""
        name, new, running = change.jail.name, change.wanted, change.running
        now = change.scene.seen.cpus.get(str(running["jid"])) if running is not None else None
        before, after = None if change.old is None else cpus(change.old.params), None if new is None else cpus(new.params)
        if now is None or (after is None and before is None) or (after is not None and cpulist(after) == now):
            return []
        wanted = after or "all"

        def do(host: Host) -> None:
            from ansible_collections.cellblock.jails.plugins.module_utils.jails import cpusets

            cpusets.give(host, name, wanted)

        return [Step(
            f"give the running jail CPUs {wanted}", do, None,
            f"CPUs of jail {name}", f"{', '.join(map(str, sorted(now)))}\n", f"{wanted}\n",
        )]
