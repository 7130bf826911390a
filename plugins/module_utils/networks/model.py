# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a network of a host is, and what must hold among those of a host. Nothing here touches a host."""

from __future__ import annotations

import ipaddress
import json
import re
from dataclasses import asdict, dataclass, fields
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple, Union

from ansible_collections.cellblock.jails.plugins.module_utils.errors import InputError
from ansible_collections.cellblock.jails.plugins.module_utils.formats import rc_conf
from ansible_collections.cellblock.jails.plugins.module_utils.jails.model import INTERFACE

MARK = "# cellblock.jails.network "
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,14}")
BRIDGE = re.compile(r"bridge\d{1,4}")
Net = Union[ipaddress.IPv4Network, ipaddress.IPv6Network]


@dataclass(frozen=True)
class Network:
    """A network of a host.

    :param bridge: the bridge that its jails are members of; "" for one of shared-stack jails.
    :param interface: the interface that carries addresses of shared-stack jails, such as lo1; "" for a bridge.
    :param ip4: the host's own address in it, with its prefix; likewise ``ip6``. "" for none.
    :param net4: its subnet; likewise ``net6``.
    :param fleet: what tells the MAC addresses of its jails from those of other fleets.
    :param routed: whether its packets pass by the host as they are.
    :param firewall: of the host: ``pf`` or ``ipfw``.
    :param instance: the number of its NAT in ipfw, and ``nat_ip`` the address that its packets leave with; "" for that of ``via``.
    :param made: whether the bridge, or the interface, is ours to remove.
    """

    name: str
    bridge: str = ""
    interface: str = ""
    uplink: str = ""
    vlan: int = 0
    ip4: str = ""
    ip6: str = ""
    net4: str = ""
    net6: str = ""
    gateway4: str = ""
    gateway6: str = ""
    nat: bool = False
    routed: bool = False
    via: str = ""
    private: bool = False
    mtu: int = 0
    pfil_member: bool = False
    firewall: str = "pf"
    instance: int = 0
    nat_ip: str = ""
    fleet: str = ""
    made: bool = True

    @property
    def device(self) -> str:
        """The interface by which the host sees it."""
        return self.bridge or self.interface

    @property
    def port(self) -> str:
        """The uplink as the bridge has it: the interface, or a VLAN of it."""
        return f"{self.uplink}.{self.vlan}" if self.vlan else self.uplink

    @property
    def isolated(self) -> bool:
        """Whether its packets stay in it, although the host, which has an address there, forwards others."""
        return bool(self.bridge and (self.ip4 or self.ip6)) and not (self.nat or self.uplink or self.routed)

    def subnet(self, family: str) -> Optional[Net]:
        """The subnet of ``inet`` or ``inet6``."""
        text = self.net6 if family == "inet6" else self.net4
        return ipaddress.ip_network(text) if text else None

    def gateway(self, family: str) -> str:
        """Where a jail's packets go out."""
        given = self.gateway6 if family == "inet6" else self.gateway4
        own = self.ip6 if family == "inet6" else self.ip4
        return given or own.partition("/")[0]

    def line(self) -> str:
        """The mark in rc.conf."""
        told = {key: value for key, value in asdict(self).items() if value != getattr(Network(""), key)}
        return MARK + json.dumps(told, sort_keys=True)


def network_from(options: Mapping[str, Any]) -> Network:
    """Check one declared network.

    :raises InputError: saying which network and option, and how to mend it.
    """
    name = str(options.get("name") or "")
    where = f"network {name}"
    if not NAME.fullmatch(name):
        raise InputError(f"{name!r} is not a network's name", where, "At most 15 letters, digits, '_' and '-', beginning with a letter")
    given = {key: value for key, value in options.items() if value is not None and key != "state"}
    for key in ("bridge", "interface", "uplink", "via"):
        _check_interface(given.get(key), f"{where}, {key}")
    if given.get("bridge") and not BRIDGE.fullmatch(given["bridge"]):
        raise InputError(f"{given['bridge']!r} is not a bridge's name", f"{where}, bridge", "bridge0 to bridge9999")
    found = Network(name=name, **{key: value for key, value in given.items() if key not in ("name", "net4", "net6", "ip4", "ip6")})
    texts: Dict[str, str] = {}
    for family, ip, net in (("inet", "ip4", "net4"), ("inet6", "ip6", "net6")):
        texts[ip], texts[net] = _subnet(given.get(ip), given.get(net), family, where)
    found = Network(**{**asdict(found), **texts})
    _check_kind(found, where)
    return found


def _check_interface(name: Optional[str], where: str) -> None:
    if name is not None and not INTERFACE.fullmatch(name):
        raise InputError(f"{name!r} is not an interface's name", where, "At most 15 letters, digits, _ and .")


def _subnet(address: Optional[str], net: Optional[str], family: str, where: str) -> Tuple[str, str]:
    """The host's address and the subnet, each in its one spelling."""
    option = "ip6" if family == "inet6" else "ip4"
    try:
        whole = ipaddress.ip_network(net) if net else None
    except ValueError as error:
        raise InputError(f"{net!r} is not a subnet", f"{where}, {option.replace('ip', 'net')}", f"Such as 10.1.0.0/24: {error}") from error
    if not address:
        return "", str(whole or "")
    try:
        own = ipaddress.ip_interface(address)
    except ValueError as error:
        raise InputError(f"{address!r} is not an address", f"{where}, {option}", "Such as 10.1.0.1/24") from error
    if "/" not in address or own.network.prefixlen == own.max_prefixlen:
        raise InputError(f"{address} says no subnet", f"{where}, {option}", "Give the prefix, such as 10.1.0.1/24")
    for one in (own, whole):
        if one is not None and (one.version == 6) != (family == "inet6"):
            raise InputError(f"{one} is of the other family", f"{where}, {option}", "Use ip4 and ip6 for each")
    if whole is not None and own.network != whole:
        raise InputError(f"{address} is not in {whole}", f"{where}, {option}", "Let the address and the subnet agree")
    wide = own.network.prefixlen >= own.max_prefixlen - 1
    if own.ip in (own.network.network_address, own.network.broadcast_address) and not wide and family == "inet":
        raise InputError(f"{own.ip} is no host's address in {own.network}", f"{where}, {option}", "Take another")
    return str(own), str(own.network)


def _check_kind(network: Network, where: str) -> None:
    """What options can stand together."""
    if network.interface and (network.bridge or network.uplink or network.vlan or network.private):
        raise InputError("interface stands for shared-stack jails, and has no bridge", where, "Drop interface, or bridge, uplink, vlan and private")
    if network.uplink and network.nat:
        raise InputError("it has an uplink and nat: packets go out by one way", where, "Drop one of them")
    if network.nat and not network.net4:
        raise InputError("nat needs an IPv4 subnet", where, "Give ip4, the host's address in it, such as 10.1.0.1/24")
    if network.nat and not network.ip4 and network.bridge:
        raise InputError("nat needs the host as gateway", where, "Give ip4, the host's address in it")
    if network.routed and (network.nat or network.uplink):
        raise InputError("its packets go out by one way", where, "Drop routed, or nat, or uplink")
    if network.via and not network.nat:
        raise InputError("via is the interface of nat", where, "Set nat: true, or drop via")
    if network.vlan and not network.uplink:
        raise InputError("a VLAN is one of an uplink", f"{where}, vlan", "Name the uplink")
    if network.vlan and not 1 <= network.vlan <= 4094:
        raise InputError(f"{network.vlan} is not a VLAN", f"{where}, vlan", "1 to 4094")
    if network.mtu and not 1280 <= network.mtu <= 9216:
        raise InputError(f"{network.mtu} is not an MTU", f"{where}, mtu", "1280 to 9216")
    for family in ("inet", "inet6"):
        given = network.gateway6 if family == "inet6" else network.gateway4
        net = network.subnet(family)
        try:
            there = not given or (net is not None and ipaddress.ip_address(given) in net)
        except ValueError:
            there = False
        if not there:
            raise InputError(f"the gateway {given} is not in {net or 'any subnet of it'}", where, "Give one of its addresses")


def check_networks(networks: Sequence[Network]) -> None:
    """What must hold among the networks of a host: names, devices, subnets."""
    seen: Dict[str, str] = {}
    for network in networks:
        for what, value in (("name", network.name), ("device", network.device), ("uplink", network.port)):
            other = seen.setdefault(f"{what} {value}", network.name) if value else network.name
            if other != network.name or (what == "name" and sum(one.name == network.name for one in networks) > 1):
                raise InputError(f"its {what} {value} is that of network {other} too", f"network {network.name}", "Give each its own")
        for other_network in networks:
            if other_network.name >= network.name:
                continue
            for family in ("inet", "inet6"):
                one, two = network.subnet(family), other_network.subnet(family)
                if one is not None and two is not None and one.version == two.version and one.overlaps(two):
                    raise InputError(f"{one} overlaps {two} of network {other_network.name}", f"network {network.name}", "Give each a subnet of its own")


def networks_of(text: str) -> Dict[str, Network]:
    """The networks of ours in an rc.conf, by name."""
    known = {one.name for one in fields(Network)}
    found: Dict[str, Network] = {}
    for line in rc_conf.groups(text, MARK):
        try:
            told = json.loads(line[len(MARK):])
        except ValueError:
            continue
        if isinstance(told, dict) and isinstance(told.get("name"), str):
            found[told["name"]] = Network(**{key: value for key, value in told.items() if key in known})
    return found


def firewall_of(networks: Mapping[str, Network], rc_text: str) -> str:
    """Which firewall of the host is used: ``pf`` or ``ipfw``."""
    scripts = rc_conf.values(rc_text).get("firewall_coscripts", "")
    return "ipfw" if "/cellblock/ipfw.sh" in scripts or any(one.firewall == "ipfw" for one in networks.values()) else "pf"


def variables(network: Network) -> Dict[str, str]:
    """Its variables of rc.conf(5), by which it comes back at boot."""
    if not network.device:
        return {}
    found: Dict[str, str] = {}
    words: List[str] = []
    if network.bridge and network.mtu:
        words.append(f"mtu {network.mtu}")
    if network.ip4:
        words.append(f"inet {network.ip4}")
    if network.port:
        words.append(f"addm {network.port}")
    if network.made or words:
        found[f"ifconfig_{word(network.device)}"] = " ".join([*words, "up"])
    if network.ip6:
        found[f"ifconfig_{word(network.device)}_ipv6"] = f"inet6 {network.ip6} auto_linklocal"
    return found


def word(interface: str) -> str:
    """An interface's name inside a variable, as network.subr has it."""
    return re.sub(r"[-./+]", "_", interface)
