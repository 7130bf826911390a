# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A shared-stack jail's own loopback: the interface that carries it."""

from __future__ import annotations

from typing import Any, FrozenSet, List, Mapping, Optional, Sequence

from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.engine.plan import Step
from ansible_collections.cellblock.jails.plugins.module_utils.jails.aspects.aspect import Aspect
from ansible_collections.cellblock.jails.plugins.module_utils.jails.definition import Definition
from ansible_collections.cellblock.jails.plugins.module_utils.jails.loopback import DEVICE
from ansible_collections.cellblock.jails.plugins.module_utils.jails.model import Jail
from ansible_collections.cellblock.jails.plugins.module_utils.jails.scene import Change, Draft, Scene, SharedFiles
from ansible_collections.cellblock.jails.plugins.module_utils.networks.join import GROUP
from ansible_collections.cellblock.jails.plugins.module_utils.networks.options import OF_JAILS

# The hook that comes before jail(8) puts addresses on interfaces: it makes a boot need no more than the jail itself.
HOOK = f"/sbin/ifconfig {DEVICE} > /dev/null 2>&1 || /sbin/ifconfig {DEVICE} create group {GROUP} up"


class Loopback(Aspect):
    """A private address on lo1 as the first, so that the jail's localhost is its own."""

    name = "loopback"
    options = OF_JAILS["loopback"]
    facts = ("loopback",)

    def declare(self, jail: Jail, options: Mapping[str, Any]) -> Optional[bool]:
        """Whether it has one; the address is among the jail's."""
        return True if any(address.interface == DEVICE for address in jail.addresses[:1]) else None

    def define(self, scene: Scene, jail: Jail, old: Optional[Definition], draft: Draft) -> None:
        """The hook, and the mark."""
        if self.name in jail.own:
            draft.params["exec.prepare"] = [HOOK, *draft.params.get("exec.prepare", [])]
            draft.meta[self.name] = True

    def prepare(self, change: Change) -> List[Step]:
        """A running jail is given the address in place, so the interface must be there."""
        if self.name not in change.jail.own or DEVICE in change.scene.seen.interfaces or not change.ends_running:
            return []

        def do(host: Host) -> None:
            if host.ask(["ifconfig", DEVICE]).rc:
                host.run(["ifconfig", DEVICE, "create", "group", GROUP, "up"])

        return [Step(f"create interface {DEVICE}", do)]

    def settle(self, scene: Scene, changes: Sequence[Change], failed: FrozenSet[str], files: SharedFiles) -> List[Step]:
        """The interface goes with the last that needs it, if it is ours."""
        found = scene.seen.interfaces.get(DEVICE)
        touched = {change.jail.name for change in changes}
        still = any(name not in touched and self.name in facts for name, facts in scene.marks.items())
        for change in changes:
            stands = change.stands(change.jail.name in failed)
            still = still or (stands is not None and self.name in stands.meta)
        if still or found is None or GROUP not in found.groups:
            return []

        def do(host: Host) -> None:
            if " inet" not in host.ask(["ifconfig", DEVICE, "inet"]).out.replace("\t", " "):
                host.ask(["ifconfig", DEVICE, "destroy"])

        return [Step(f"destroy interface {DEVICE}, which no jail needs any more", do)]
