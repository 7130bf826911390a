# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring a network's interfaces to what is declared, while the host runs."""

from __future__ import annotations

from typing import List, Mapping, Optional, Sequence

from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.engine.plan import Step
from ansible_collections.cellblock.jails.plugins.module_utils.errors import HostError
from ansible_collections.cellblock.jails.plugins.module_utils.networks.join import GROUP
from ansible_collections.cellblock.jails.plugins.module_utils.networks.links import Link
from ansible_collections.cellblock.jails.plugins.module_utils.networks.model import Network


def live(old: Optional[Network], new: Optional[Network], there: Mapping[str, Link]) -> List[Step]:
    """The steps from what is there.

    :param old: as it was declared before; None for a new one.
    :param new: as it is declared; None when it goes.
    """
    if new is None:
        return _take_away(old, there) if old is not None else []
    steps = _take_away(old, there) if old is not None and old.device != new.device else []
    link = there.get(new.device)
    if new.vlan and new.port not in there:
        steps.append(_step(f"create {new.port}", [["ifconfig", new.port, "create", "group", GROUP, "up"]], [["ifconfig", new.port, "destroy"]]))
    elif new.uplink and not there[new.uplink].up:
        steps.append(_step(f"bring {new.uplink} up", [["ifconfig", new.uplink, "up"]], []))
    if link is None:
        steps.append(_step(f"create {new.device}", [["ifconfig", new.device, "create", "group", GROUP]], [["ifconfig", new.device, "destroy"]]))
        link = Link(new.device)
    steps += _words(new, link)
    steps += _addresses(old if old is not None and old.device == new.device else None, new, link)
    if not link.up:
        steps.append(_step(f"bring {new.device} up", [["ifconfig", new.device, "up"]], []))
    return steps


def _words(new: Network, link: Link) -> List[Step]:
    steps: List[Step] = []
    if new.mtu and link.mtu != new.mtu and new.bridge:
        back = [["ifconfig", new.bridge, "mtu", str(link.mtu)]] if link.mtu else []
        steps.append(_step(f"set mtu {new.mtu} of {new.bridge}", [["ifconfig", new.bridge, "mtu", str(new.mtu)]], back))
    if new.port and new.port not in link.members:
        steps.append(Step(
            f"add {new.port} to {new.bridge}", lambda host: _add(host, new.bridge, new.port),
            lambda host: _run(host, [["ifconfig", new.bridge, "deletem", new.port]]),
        ))
    return steps


def _addresses(old: Optional[Network], new: Network, link: Link) -> List[Step]:
    steps: List[Step] = []
    for family, now, wanted in (("inet", old.ip4 if old else "", new.ip4), ("inet6", old.ip6 if old else "", new.ip6)):
        if wanted and wanted not in link.addresses:
            first = [["ifconfig", new.device, "inet6", "auto_linklocal", "-ifdisabled"]] if family == "inet6" else []
            steps.append(_step(
                f"give {new.device} {wanted}", [*first, ["ifconfig", new.device, family, wanted, "alias"]],
                [["ifconfig", new.device, family, wanted.partition("/")[0], "-alias"]],
            ))
        if now and now != wanted and now in link.addresses:
            address = now.partition("/")[0]
            steps.append(_step(
                f"take {now} off {new.device}", [["ifconfig", new.device, family, address, "-alias"]], [["ifconfig", new.device, family, now, "alias"]],
            ))
    return steps


def _take_away(old: Network, there: Mapping[str, Link]) -> List[Step]:
    """What was made for it; a bridge that was there before only loses what we gave it."""
    steps: List[Step] = []
    link = there.get(old.device)
    if link is not None and old.made:
        steps.append(_step(f"destroy {old.device}", [["ifconfig", old.device, "destroy"]], []))
    elif link is not None:
        for family, address in (("inet", old.ip4), ("inet6", old.ip6)):
            if address and address in link.addresses:
                words = ["ifconfig", old.device, family, address.partition("/")[0], "-alias"]
                steps.append(_step(f"take {address} off {old.device}", [words], [["ifconfig", old.device, family, address, "alias"]]))
        if old.port in link.members:
            steps.append(_step(f"take {old.port} out of {old.device}", [["ifconfig", old.device, "deletem", old.port]], []))
    if old.vlan and old.port in there and GROUP in there[old.port].groups:
        steps.append(_step(f"destroy {old.port}", [["ifconfig", old.port, "destroy"]], []))
    return steps


def _step(what: str, do: Sequence[Sequence[str]], undo: Sequence[Sequence[str]]) -> Step:
    return Step(what, lambda host: _run(host, do), (lambda host: _run(host, undo)) if undo else None)


def _run(host: Host, commands: Sequence[Sequence[str]]) -> None:
    for argv in commands:
        host.run(argv)


def _add(host: Host, bridge: str, member: str) -> None:
    """Let it in, unless devd(8) was faster: it starts rc.d/netif for a bridge that appears and that rc.conf knows."""
    done = host.ask(["ifconfig", bridge, "addm", member])
    if done.rc and f"member: {member} " not in host.ask(["ifconfig", bridge]).out:
        raise HostError(f"did not take {member}: {done.said()}", bridge, "Is it a member of another bridge, or of another MTU?")
