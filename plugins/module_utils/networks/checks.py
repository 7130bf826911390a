# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host cannot have, told before anything is touched."""

from __future__ import annotations

import ipaddress
from typing import List, Mapping, Optional, Sequence, Set

from ansible_collections.cellblock.jails.plugins.module_utils.errors import InputError, Refused
from ansible_collections.cellblock.jails.plugins.module_utils.networks.links import Link
from ansible_collections.cellblock.jails.plugins.module_utils.networks.model import Network


def check_host(
    network: Network, old: Optional[Network], at_boot: bool, links: Mapping[str, Link], users: Mapping[str, Sequence[str]], devices: Set[str],
) -> List[str]:
    """Refuse what this host cannot have; the names of networks that wait for a boot.

    :param users: the jails in each network.
    :param devices: of networks of ours, which another may go out by.
    """
    where = f"network {network.name}"
    for what, name in (("via", network.via), ("uplink", network.uplink)):
        if name and name not in links and name not in devices:
            raise InputError(f"interface {name} does not exist", f"{where}, {what}", f"This host has {', '.join(sorted(links))}")
    if old is not None and old.device != network.device and users.get(network.name):
        raise Refused(f"jails {', '.join(users[network.name])} are members of {old.device}", where, "Let them leave first, or keep the bridge")
    _check_bridges(network, links, where)
    _check_addresses(network, links, devices, where)
    return _check_uplink(network, at_boot, links, where)


def _check_bridges(network: Network, links: Mapping[str, Link], where: str) -> None:
    for name, link in links.items():
        if name != network.bridge and network.port and network.port in link.members:
            raise InputError(f"{network.port} is a member of {name} already", f"{where}, uplink", f"Use bridge: {name}, or take it out")
    for member in links[network.bridge].members if network.bridge in links else ():
        held = links[member].addresses if member in links and member != network.port else ()
        if held:
            raise InputError(
                f"its member {member} has {', '.join(held)}: an address belongs on the bridge", f"{where}, bridge", f"Move it to {network.bridge}",
            )


def _check_addresses(network: Network, links: Mapping[str, Link], devices: Set[str], where: str) -> None:
    """None of its addresses, nor a part of its subnets, is that of another interface."""
    own = {text.partition("/")[0] for text in (network.ip4, network.ip6)}
    for name, link in links.items():
        if name in (network.device, network.port) or name == network.uplink and not network.vlan:
            continue
        for address in link.addresses:
            if address.partition("/")[0] in own:
                raise InputError(f"{address} is an address of {name} already", where, "Give the network another, or take it away there")
            there = ipaddress.ip_interface(address)
            wide = name not in devices and not there.is_loopback and there.network.prefixlen < there.max_prefixlen
            subnet = network.subnet("inet6" if there.version == 6 else "inet")
            if wide and network.device not in (name, "") and subnet is not None and _overlap(subnet, address):
                raise InputError(f"{subnet} overlaps {there.network} of {name}", where, "Give it a subnet of its own, or let that interface be its uplink")


def _overlap(subnet: object, address: str) -> bool:
    there = ipaddress.ip_interface(address).network
    if isinstance(subnet, ipaddress.IPv4Network):
        return isinstance(there, ipaddress.IPv4Network) and subnet.overlaps(there)
    return isinstance(subnet, ipaddress.IPv6Network) and isinstance(there, ipaddress.IPv6Network) and subnet.overlaps(there)


def _check_uplink(network: Network, at_boot: bool, links: Mapping[str, Link], where: str) -> List[str]:
    held = links[network.port].addresses if network.port in links else ()
    if not held:
        return []
    if set(held) <= {network.ip4, network.ip6} and at_boot:
        return [network.name]
    moving = bool(set(held) & {network.ip4, network.ip6})
    raise Refused(
        f"{network.port} has {', '.join(held)}, and a member of a bridge must have no address"
        + ("; moving it now would cut the connections to it" if moving else ""), f"{where}, uplink",
        "Give the network all of these addresses (ip4, ip6), with at_boot: true they move when the host boots next" if not moving
        else "Set at_boot: true, it moves when the host boots next; or move it by hand from the console",
    )


def cut_by(had: Mapping[str, Network], after: Sequence[Network], session: Sequence[str], at_boot: bool) -> Set[str]:
    """The networks whose address is that of the connection by which they would be taken away, or be given another: at the next boot.

    :param session: client, its port, host, its port; empty at a console.
    """
    stay = {text.partition("/")[0] for network in after for text in (network.ip4, network.ip6) if text}
    found: Set[str] = set()
    for name, network in had.items():
        lost = {text.partition("/")[0] for text in (network.ip4, network.ip6) if text} - stay
        if len(session) == 4 and session[2] in lost:
            still = name in {one.name for one in after}
            if still or not at_boot:
                raise Refused(
                    f"{session[2]} is the address of this very connection, which would be cut", f"network {name}",
                    "Do it from the console" if still else "Set at_boot: true, it goes when the host boots next; or do it from the console",
                )
            found.add(name)
    return found
