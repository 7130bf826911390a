# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a jail's traffic the host's firewall handles: ports let in, and a bandwidth. Checked values only."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Any, Collection, Dict, List, Mapping, Optional, Sequence, Tuple

from ansible_collections.cellblock.jails.plugins.module_utils.errors import InputError
from ansible_collections.cellblock.jails.plugins.module_utils.jails.model import INTERFACE

RATE_MAX = 4294967295  # dnctl(8): above it, "bandwidth too large"
UNITS = {"": 1, "k": 1000, "m": 1000**2, "g": 1000**3}


@dataclass(frozen=True)
class Port:
    """A port, or a range, of an address of the host that leads to a jail.

    :param target: the jail's address; "" for the jail's first of that family.
    :param sources: who may connect; empty for all.
    """

    proto: str
    first: int
    last: int
    to: int
    address: str
    target: str = ""
    interface: str = ""
    sources: Tuple[str, ...] = ()
    reflect: bool = False

    @property
    def family(self) -> str:
        """As pf.conf(5) names it."""
        return "inet6" if ":" in self.address else "inet"

    @property
    def outer(self) -> str:
        """The port or range, as pf.conf(5) writes it."""
        return str(self.first) if self.first == self.last else f"{self.first}:{self.last}"

    @property
    def inner(self) -> str:
        """The jail's port or range."""
        last = self.to + self.last - self.first
        return str(self.to) if self.first == self.last else f"{self.to}:{last}"

    def told(self) -> str:
        """For people, and for labels."""
        return f"{self.proto}/{self.address}/{self.outer}".replace(":", "-") if self.family == "inet" else f"{self.proto}/{self.address}/{self.outer}"

    def meets(self, other: Port) -> bool:
        """Whether both want the same port of the same address."""
        return (self.proto, self.address) == (other.proto, other.address) and self.first <= other.last and other.first <= self.last


@dataclass(frozen=True)
class Bandwidth:
    """How much a jail may receive and send, in bit/s; 0 for no limit."""

    to_jail: int = 0
    from_jail: int = 0


def asked(ports: Sequence[Port], bandwidth: Bandwidth) -> Dict[str, Any]:
    """The options that these came from; a backup makes a jail of them."""
    told = [
        {
            "proto": port.proto, "port": port.outer.replace(":", "-"), "address": port.address, **({"to": port.to} if port.to != port.first else {}),
            **{key: value for key, value in (("target", port.target), ("interface", port.interface), ("from", list(port.sources))) if value},
            **({"reflect": True} if port.reflect else {}),
        }
        for port in ports
    ]
    rates = {key: str(rate) for key, rate in (("in", bandwidth.to_jail), ("out", bandwidth.from_jail)) if rate}
    return {key: value for key, value in (("ports", told), ("bandwidth", rates)) if value}


def port_of(told: str) -> Port:
    """A port as it is told in a mark, as far as it is told."""
    proto, address, numbers = told.split("/")
    first, _dash, last = numbers.replace(":", "-").partition("-")
    return Port(proto, int(first), int(last or first), int(first), address)


def ports_from(given: Sequence[Mapping[str, Any]], where: str) -> Tuple[Port, ...]:
    """Check the declared ports of a jail."""
    found: List[Port] = []
    for number, options in enumerate(given, 1):
        port = _port(options, f"{where}, ports[{number}]")
        same = [other for other in found if other.meets(port)]
        if same:
            raise InputError(f"{port.told()} meets {same[0].told()}", f"{where}, ports[{number}]", "Give each port once")
        found.append(port)
    return tuple(found)


def _port(options: Mapping[str, Any], where: str) -> Port:
    address, target = _address(options.get("address"), f"{where}, address"), ""
    if options.get("target"):
        target = _address(options["target"], f"{where}, target")
        if (":" in target) != (":" in address):
            raise InputError(f"{target} is of another family than {address}", f"{where}, target", "pf translates no IPv6 to IPv4 here")
    matched = re.fullmatch(r"(\d{1,5})(?:[-:](\d{1,5}))?", str(options.get("port") or "").strip())
    first, last = (int(matched.group(1)), int(matched.group(2) or matched.group(1))) if matched else (0, 0)
    to = int(options.get("to") or first)
    if not 1 <= first <= last <= 65535 or not 1 <= to <= to + last - first <= 65535:
        raise InputError(f"{options.get('port')!r} to {to} is not a port or a range", f"{where}, port", "Such as 80 or 2000-2999")
    if ":" in address and to != first:
        raise InputError("IPv6 is let in as it is, its port is not changed", f"{where}, to", "Drop 'to'")
    interface = str(options.get("interface") or "")
    if interface and not INTERFACE.fullmatch(interface):
        raise InputError(f"{interface!r} is not an interface's name", f"{where}, interface", "At most 15 letters, digits, _ and .")
    sources = tuple(_source(str(text), address, f"{where}, from") for text in options.get("from") or ())
    proto = str(options.get("proto") or "tcp")
    if proto not in ("tcp", "udp"):
        raise InputError(f"{proto!r} is not a protocol of ports", f"{where}, proto", "tcp or udp")
    return Port(proto, first, last, to, address, target, interface, sources, bool(options.get("reflect")))


def _address(text: Any, where: str) -> str:
    try:
        found = ipaddress.ip_address(str(text))
    except ValueError as error:
        raise InputError(f"{text!r} is not an address", where, "Give the one address that answers, not a name and not a subnet") from error
    if found.is_unspecified or found.is_multicast:
        raise InputError(f"{text} is not an address of a host", where, "Give the one address that answers")
    return str(found)


def _source(text: str, address: str, where: str) -> str:
    try:
        net = ipaddress.ip_network(text, strict=False)
    except ValueError as error:
        raise InputError(f"{text!r} is neither an address nor a subnet", where, "Such as 192.0.2.0/24") from error
    if (net.version == 6) != (":" in address):
        raise InputError(f"{text} is of another family than {address}", where, "Give sources of its family")
    return str(net)


def bandwidth_from(given: Mapping[str, Any], where: str) -> Bandwidth:
    """Check a declared bandwidth."""
    return Bandwidth(_rate(given.get("in"), f"{where}, bandwidth.in"), _rate(given.get("out"), f"{where}, bandwidth.out"))


def _rate(text: Any, where: str) -> int:
    if text is None or str(text) in ("", "0", "none"):
        return 0
    matched = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kKmMgG]?)(?:bit/s|bps)?", str(text).strip())
    if not matched:
        raise InputError(f"{text!r} is not a rate", where, "Bits a second, such as 50M; k, M and G count in thousands")
    rate = int(float(matched.group(1)) * UNITS[matched.group(2).lower()])
    if rate > RATE_MAX:
        raise InputError(f"{text} is more than dummynet can hold", where, "At most 4.29G; drop it for no limit")
    if rate < 8000:
        raise InputError(f"{text} lets hardly a packet through", where, "Bits a second, such as 50M")
    return rate


def check_ports(
    ports: Mapping[str, Sequence[Port]], listeners: Sequence[Tuple[str, str, int]] = (), own: Optional[Mapping[str, Sequence[str]]] = None,
    standing: Collection[str] = (),
) -> None:
    """No two jails of a host, and no jail and a daemon of the host, want the same port of the same address.

    :param ports: by jail.
    :param listeners: sockets of the host's own daemons: protocol, address (* for all), port.
    :param standing: the jails that are not declared now; they come first, and of them nothing is asked.
    :param own: by jail, the addresses that are its own: a daemon that listens on all is not asked there.
    """
    placed: List[Tuple[str, Port]] = []
    for jail, wanted in ports.items():
        for port in wanted:
            for other, taken in placed:
                if other != jail and taken.meets(port):
                    raise InputError(f"{port.told()} is a port of jail {other} too", f"jail {jail}, ports", "Give each its own address or port")
            placed.append((jail, port))
            if jail in standing:
                continue
            shared = port.address not in (own or {}).get(jail, ())
            for proto, address, number in listeners:
                meets = address == port.address or (address == "*" and shared)
                if proto == port.proto and port.first <= number <= port.last and meets:
                    raise InputError(
                        f"a daemon of the host listens on {proto}/{address}/{number}", f"jail {jail}, ports",
                        "Move the daemon with host_prepare, or choose another port",
                    )
