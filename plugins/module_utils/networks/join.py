# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a jail joins networks of its host: which addresses, which interface, and the hooks that do it without us at boot."""

from __future__ import annotations

import ipaddress
from dataclasses import asdict, dataclass
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from ansible_collections.cellblock.jails.plugins.module_utils.errors import InputError
from ansible_collections.cellblock.jails.plugins.module_utils.networks.model import Network
from ansible_collections.cellblock.jails.plugins.module_utils.networks.names import check_mac

GROUP = "cellblock"  # of interfaces of ours, see ifconfig(8)
DHCP, SLAAC, AUTO = "dhcp", "slaac", "auto"


@dataclass(frozen=True)
class Wish:
    """A declared membership.

    :param ip4: an address with or without its prefix, ``dhcp``, or "".
    :param ip6: likewise, or ``slaac``.
    :param gateway: whether packets for elsewhere go out here.
    :param via: gateways that are given, by family.
    """

    network: str
    ip4: str = ""
    ip6: str = ""
    gateway: bool = False
    via: Tuple[str, ...] = ()
    mac: str = AUTO


@dataclass(frozen=True)
class Join:
    """A membership as it is made: it stands in the jail's mark."""

    network: str
    bridge: str
    unit: int
    mac: str
    ip4: str = ""
    ip6: str = ""
    route4: str = ""
    route6: str = ""
    mtu: int = 0
    private: bool = False

    @property
    def outer(self) -> str:
        """The host's end."""
        return f"epair{self.unit}a"

    @property
    def inner(self) -> str:
        """The jail's end."""
        return f"epair{self.unit}b"

    @property
    def outer_mac(self) -> str:
        """The host's end has the same address but for one bit, and so is as unique."""
        first = int(self.mac[:2], 16) ^ 0x04
        return f"{first:02x}{self.mac[2:]}"

    def fact(self) -> Dict[str, Any]:
        """As the mark has it."""
        return {key: value for key, value in asdict(self).items() if value}

    def addresses(self) -> List[str]:
        """The fixed addresses."""
        return [text.partition("/")[0] for text in (self.ip4, self.ip6) if text not in ("", DHCP, SLAAC)]


def joins_of(facts: Mapping[str, Any]) -> List[Join]:
    """The memberships in a mark."""
    return [Join(**one) for one in facts.get("networks") or ()]


def wishes_from(given: Sequence[Mapping[str, Any]], where: str) -> Tuple[Wish, ...]:
    """Check the declared memberships of a jail."""
    found: List[Wish] = []
    for number, options in enumerate(given, 1):
        here = f"{where}, networks[{number}]"
        wish = _wish(options, here)
        if any(other.network == wish.network for other in found):
            raise InputError(f"it joins {wish.network} twice", here, "Name each network once")
        found.append(wish)
    for family, index in (("IPv4", 4), ("IPv6", 6)):
        leading = [wish.network for wish in found if wish.gateway and (wish.ip4 if index == 4 else wish.ip6)]
        if len(leading) > 1:
            raise InputError(f"{' and '.join(leading)} are both its gateway for {family}", f"{where}, networks", "Let one have gateway: true")
    return tuple(found)


def _wish(options: Mapping[str, Any], where: str) -> Wish:
    name, gateway = str(options.get("name") or ""), options.get("gateway")
    if not name:
        raise InputError("it names no network", where, "Give name")
    via: Tuple[str, ...] = ()
    if gateway is not None and not isinstance(gateway, bool) and str(gateway).lower() not in ("true", "false", "yes", "no"):
        via = tuple(_plain(str(one), where) for one in (gateway if isinstance(gateway, (list, tuple)) else [gateway]))
    ip4, ip6 = str(options.get("ip4") or ""), str(options.get("ip6") or "")
    mac = str(options.get("mac") or AUTO)
    return Wish(
        name, ip4 if ip4 == DHCP else _address(ip4, 4, where), ip6 if ip6 == SLAAC else _address(ip6, 6, where),
        bool(via) or str(gateway).lower() in ("true", "yes"), via, mac if mac == AUTO else check_mac(mac, f"{where}, mac"),
    )


def _plain(text: str, where: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError as error:
        raise InputError(f"{text!r} is not a gateway", f"{where}, gateway", "true, or an address") from error


def _address(text: str, version: int, where: str) -> str:
    if not text:
        return ""
    here, word = f"{where}, ip{version}", DHCP if version == 4 else SLAAC
    try:
        found = ipaddress.ip_interface(text)
    except ValueError as error:
        raise InputError(f"{text!r} is not an address", here, f"Such as {'10.1.0.20/24' if version == 4 else '2001:db8::20/64'}, or {word}") from error
    if found.version != version or found.ip.is_multicast or found.ip.is_unspecified or found.ip.is_loopback:
        raise InputError(f"{text} is not an IPv{version} address of a host", here, "Use ip4 and ip6 for each")
    return str(found) if "/" in text else str(found.ip)


def joined(wish: Wish, network: Network, unit: int, mac: str, where: str) -> Join:
    """A membership with all that its network settles.

    :raises InputError: for what cannot be in this network.
    """
    if not network.bridge:
        raise InputError(f"{network.name} is a network of shared-stack jails", where, f"Give the jail an address of it: ip4: [{network.interface}|...]")
    ip4 = wish.ip4 if wish.ip4 in ("", DHCP) else _placed(wish.ip4, network, "inet", where)
    ip6 = wish.ip6 if wish.ip6 in ("", SLAAC) else _placed(wish.ip6, network, "inet6", where)
    routes = {"inet": "", "inet6": ""}
    for family, address, automatic in (("inet", ip4, DHCP), ("inet6", ip6, SLAAC)):
        if not wish.gateway or address in ("", automatic):
            continue
        given = [one for one in wish.via if (":" in one) == (family == "inet6")]
        routes[family] = given[0] if given else network.gateway(family)
        if not routes[family] and not wish.via and not any(network.gateway(one) for one in routes):
            raise InputError(f"network {network.name} has no gateway", where, "Give gateway its address, or let the network have one")
        _check_gateway(routes[family], address, where)
    return Join(
        network.name, network.bridge, unit, mac, ip4, ip6, routes["inet"], routes["inet6"],
        network.mtu, network.private,
    )


def _placed(text: str, network: Network, family: str, where: str) -> str:
    """An address with its network's prefix; it must be in it, and not the host's."""
    found, net = ipaddress.ip_interface(text), network.subnet(family)
    if net is None:
        if "/" not in text:
            raise InputError(f"{text} has no prefix, and {network.name} no subnet", where, "Give the prefix")
        return text
    own = network.ip6 if family == "inet6" else network.ip4
    if found.ip not in net:
        raise InputError(f"{found.ip} is not in {net}, the subnet of {network.name}", where, "Give an address of it")
    if "/" in text and found.network.prefixlen != net.prefixlen:
        raise InputError(f"{text} has another prefix than {net}", where, f"Leave it out, or give /{net.prefixlen}")
    if str(found.ip) == own.partition("/")[0]:
        raise InputError(f"{found.ip} is the host's own address in {network.name}", where, "Take another")
    if family == "inet" and net.prefixlen < 31 and found.ip in (net.network_address, net.broadcast_address):
        raise InputError(f"{found.ip} is no host's address in {net}", where, "Take another")
    return f"{found.ip}/{net.prefixlen}"


def _check_gateway(gateway: str, address: str, where: str) -> None:
    if not gateway:
        return
    own = ipaddress.ip_interface(address)
    if ipaddress.ip_address(gateway) not in own.network or gateway == str(own.ip):
        raise InputError(f"the gateway {gateway} cannot be reached from {address}", where, "Give one of the same subnet")


# -- hooks: FreeBSD's own words, in which nothing is pasted but names that we made


def prestart(join: Join) -> List[str]:
    """Make the pair, in place of what a failed start may have left, and let the host's end into the bridge."""
    left = f"/sbin/ifconfig -g {GROUP} | /usr/bin/grep -qx {join.outer} && /sbin/ifconfig {join.outer} destroy"
    mtu = f" mtu {join.mtu}" if join.mtu else ""
    private = f" private {join.outer}" if join.private else ""
    return [
        f"{left}; /sbin/ifconfig epair{join.unit} create group {GROUP} > /dev/null",
        f"/sbin/ifconfig {join.outer} ether {join.outer_mac}{mtu} up",
        f"/sbin/ifconfig {join.inner} ether {join.mac}{mtu}",
        f"/sbin/ifconfig {join.bridge} addm {join.outer}{private}",
    ]


def created(join: Join, jail: str) -> List[str]:
    """Set a root's addresses from the host, which has no rc(8) to do it. The interface moves in before."""
    own = f"/sbin/ifconfig -j {jail} {join.inner}"
    lines = [f"/sbin/ifconfig {join.inner} vnet {jail}"]
    lines += [f"{own} inet {join.ip4} up"] if join.ip4 else []
    lines += [f"{own} inet6 -ifdisabled", f"{own} inet6 {join.ip6} up"] if join.ip6 else []
    lines += [f"/sbin/route -q -j {jail} add default {join.route4}"] if join.route4 else []
    lines += [f"/sbin/route -q -j {jail} -6 add default {join.route6}"] if join.route6 else []
    return lines


def poststop(join: Join) -> List[str]:
    """Take the pair away; the other end goes with it, wherever it is."""
    return [f"/sbin/ifconfig {join.outer} destroy"]


def inside(joins: Sequence[Join], gone: Sequence[Join]) -> Dict[str, Optional[str]]:
    """The variables of the jail's own rc.conf; None for those of pairs that it had."""
    found: Dict[str, Optional[str]] = {}
    for join in gone:
        found[f"ifconfig_{join.inner}"] = found[f"ifconfig_{join.inner}_ipv6"] = None
        for have, name in ((join.route4, "defaultrouter"), (join.route6, "ipv6_defaultrouter")):
            if have:
                found[name] = None
        if join.ip6 == SLAAC:
            found["rtsold_enable"] = None
    for join in joins:
        mtu = f" mtu {join.mtu}" if join.mtu else ""
        found[f"ifconfig_{join.inner}"] = (
            "SYNCDHCP" if join.ip4 == DHCP else f"inet {join.ip4}{mtu}" if join.ip4 else f"up{mtu}"
        )
        found[f"ifconfig_{join.inner}_ipv6"] = (
            "inet6 accept_rtadv" if join.ip6 == SLAAC else f"inet6 {join.ip6}" if join.ip6 else None
        )
        if join.route4:
            found["defaultrouter"] = join.route4
        if join.route6:
            found["ipv6_defaultrouter"] = join.route6
        if join.ip6 == SLAAC:
            found["rtsold_enable"] = "YES"
    return found
