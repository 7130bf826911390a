# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Started means reachable: a new IPv6 address is tentative for a second or two, and nothing can be bound to it."""

from __future__ import annotations

import re
from typing import Any, List, Mapping, Sequence, Tuple

from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.engine.plan import Step
from ansible_collections.cellblock.jails.plugins.module_utils.errors import HostError
from ansible_collections.cellblock.jails.plugins.module_utils.jails.aspects.aspect import Aspect
from ansible_collections.cellblock.jails.plugins.module_utils.jails.model import Jail
from ansible_collections.cellblock.jails.plugins.module_utils.jails.scene import Change

PATIENCE = 15.0  # seconds; one probe of duplicate address detection takes about one


class Reachable(Aspect):
    """Wait for the addresses of a jail that was started."""

    name = "reachable"

    def concerns(self, jails: Sequence[Jail], marks: Mapping[str, Mapping[str, Any]]) -> bool:
        """Where a jail has IPv6."""
        return any(address.family == "inet6" for jail in jails for address in jail.addresses) or any(jail.own.get("networks") for jail in jails)

    def after_start(self, change: Change) -> List[Step]:
        """Ask ifconfig(8) until none of its addresses is tentative."""
        if change.wanted is None:
            return []
        from ansible_collections.cellblock.jails.plugins.module_utils.networks import join as joins

        name = change.jail.name
        asked: List[Tuple[Sequence[str], str]] = [
            (["-j", name, member.inner], member.ip6.partition("/")[0])
            for member in joins.joins_of(change.wanted.meta) if member.ip6 not in ("", joins.SLAAC)
        ]
        asked += [([address.interface], address.ip) for address in change.jail.addresses if address.family == "inet6" and address.interface]
        if not asked:
            return []
        return [Step("wait until its IPv6 addresses can be used", lambda host: _wait(host, name, asked))]


def _wait(host: Host, name: str, asked: Sequence[Tuple[Sequence[str], str]]) -> None:
    left = list(asked)
    said = ""

    def settled() -> bool:
        nonlocal said
        for words, address in list(left):
            listed = host.ask(["ifconfig", *words, "inet6"]).out
            said = next((line for line in listed.splitlines() if re.match(rf"\s*inet6 {re.escape(address)}(?:%\S+)? ", line)), "")
            if "duplicated" in said:
                raise HostError(f"{address} is used by another on its network already", f"jail {name}", "Give it an address of its own")
            if "tentative" not in said:  # nor one that the jail's own start did not set
                left.remove((words, address))
        return not left

    if not host.wait_until(settled, PATIENCE):
        raise HostError(
            f"{left[0][1]} cannot be used yet after {PATIENCE:g} s: {said.strip()}", f"jail {name}",
            "Is the interface up, and IPv6 not disabled on it?",
        )
