# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules for pf(4): one anchor for each network and each jail, rendered whole; the old syntax, which 14 and 15 read.

Translation and filter rules of a jail stand in one anchor, so that they change together. A first rule that matches nothing
carries a digest of the text: listings differ from what was loaded, and are never compared.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Dict, List, Mapping, Optional, Sequence, Set, Tuple

from ansible_collections.cellblock.jails.plugins.module_utils.networks.model import Network
from ansible_collections.cellblock.jails.plugins.module_utils.networks.traffic import Bandwidth, Port

ROOT = "cellblock"
FOLDER = "/usr/local/etc/cellblock"
CONF = "/etc/pf.conf"
SCRIPT = "/usr/local/etc/rc.d/cellblock_networks"
BEGIN, END = "# cellblock.jails: begin\n", "# cellblock.jails: end\n"
TRANSLATION = (f'nat-anchor "{ROOT}/*"', f'rdr-anchor "{ROOT}/*"')
FILTER = (f'anchor "{ROOT}/*"',)
LOAD = f"/sbin/pfctl -q -a {ROOT}/"  # what a hook of ours begins with
FILTERS = r"(?:anchor|antispoof|block|match|pass|load\s+anchor)\b"
LABEL_MAX = 63


def network_anchor(name: str) -> str:
    """The anchor of a network; after those of jails, whose own translation comes first."""
    return f"n-{name}"


def jail_anchor(name: str) -> str:
    """The anchor of a jail."""
    return f"j-{name}"


def path(anchor: str) -> str:
    """The file that an anchor is loaded from, at every start of a jail and at boot."""
    return f"{FOLDER}/{anchor}.pf"


def label(jail: str, what: str) -> str:
    """The label of a jail's connections through one port; pf kills them by it."""
    text = f"{ROOT}:{jail}:{what}"
    return text if len(text) <= LABEL_MAX else f"{ROOT}:{hashlib.sha256(text.encode()).hexdigest()[:40]}"


def digest(rules: str) -> str:
    """What tells one text of rules from another."""
    return hashlib.sha256(rules.encode()).hexdigest()[:12]


def signed(anchor: str, translation: Sequence[str], filters: Sequence[str]) -> str:
    """A whole anchor: its rules, and the one that says which they are; "" for none."""
    if not translation and not filters:
        return ""
    told = digest("".join(f"{rule}\n" for rule in (*translation, *filters)))
    sign = f'match in on lo0 inet proto 254 from 127.0.0.1 to 127.0.0.1 label "{ROOT}={anchor}={told}"'
    return "".join(f"{rule}\n" for rule in (*translation, sign, *filters))


def loaded(listing: str) -> Dict[str, str]:
    """The digests of the anchors of ours in a recursive listing, by anchor."""
    return dict(re.findall(rf'label "{ROOT}=([A-Za-z0-9_.-]+)=([0-9a-f]{{12}})"', listing))


def sign_of(text: str) -> str:
    """The digest that a rendered anchor carries."""
    return next(iter(loaded(text).values()), "")


def of_network(network: Network) -> str:
    """A network's anchor: its packets leave with the host's address, or not at all."""
    anchor = network_anchor(network.name)
    if network.nat:
        return signed(anchor, [f"nat on {network.via} inet from {network.net4} to ! {network.net4} -> ({network.via}:0)"], [])
    near = [("inet", net) for net in (network.net4,) if net] + [("inet6", f"{net}, fe80::/10, ff00::/8") for net in (network.net6,) if net]
    tables: List[str] = []
    rules: List[str] = []
    for family, nets in near if network.isolated else ():
        tables.append(f"table <near_{family}> const {{ {nets} }}")
        rules.append(f"block drop in quick on {network.bridge} {family} from any to ! <near_{family}>")
        rules.append(f"block drop out quick on {network.bridge} {family} from ! <near_{family}> to any")
    return signed(anchor, tables, rules)


def script() -> str:
    """What loads the anchors of networks at boot, after pf and before jails; those of jails are loaded by their starts."""
    return f"""\
#!/bin/sh
# Written by cellblock.jails.
# PROVIDE: cellblock_networks
# REQUIRE: pf
# BEFORE: jail
# KEYWORD: nojail

. /etc/rc.subr

name="cellblock_networks"
desc="Anchors of pf for the networks of jails"
start_cmd="cellblock_networks_start"
stop_cmd=":"

cellblock_networks_start()
{{
\tfor file in {FOLDER}/n-*.pf; do
\t\t[ -r "$file" ] || continue
\t\tanchor="${{file##*/}}"
\t\t/sbin/pfctl -q -a "{ROOT}/${{anchor%.pf}}" -f "$file"
\tdone
}}

load_rc_config $name
run_rc_command "$1"
"""


@dataclass(frozen=True)
class Subject:
    """A jail as its rules see it.

    :param addresses: the jail's own addresses.
    :param device: by address, the interface by which the host sees it: a bridge, or what carries an alias.
    :param networks: by address, its network of ours, if it has one.
    :param pipes: the numbers of its pipes, towards it and from it.
    """

    name: str
    addresses: Sequence[str]
    device: Mapping[str, str]
    networks: Mapping[str, Network]
    pipes: Tuple[int, int] = (0, 0)

    def target(self, port: Port) -> Optional[str]:
        """The address that a port leads to."""
        if port.target:
            return port.target if port.target in self.addresses else None
        if port.address in self.addresses:
            return port.address
        return next((one for one in self.addresses if (":" in one) == (":" in port.address)), None)


def of_jail(subject: Subject, ports: Sequence[Port], bandwidth: Bandwidth, host_interfaces: Mapping[str, str]) -> str:
    """A jail's anchor.

    :param host_interfaces: the interface of each address of the host.
    """
    translation: List[str] = []
    filters: List[str] = []
    if bandwidth != Bandwidth():
        nat, limits = _limits(subject, bandwidth)
        translation += nat
        filters += limits
    for port in ports:
        target = subject.target(port)
        if target is None:
            continue
        on = port.interface or host_interfaces.get(port.address, "")
        redirect, passing = _opened(subject, port, target, f"on {on} " if on else "")
        translation += redirect
        filters += passing
    ordered = [rule for rule in translation if rule.startswith("nat")] + [rule for rule in translation if rule.startswith("rdr")]
    return signed(jail_anchor(subject.name), ordered, filters)


def _opened(subject: Subject, port: Port, target: str, on: str) -> Tuple[List[str], List[str]]:
    """One port: what is translated, and what is let through."""
    told = label(subject.name, port.told())
    sources = "{ " + ", ".join(port.sources) + " }" if port.sources else "any"
    translated: List[str] = []
    if target != port.address:
        to = f"{target} port {port.inner if port.first == port.last else f'{port.to}:*'}"
        outer = f"{port.address} port {port.outer}"
        translated.append(f"rdr {on}{port.family} proto {port.proto} from {sources} to {outer} -> {to}")
        network = subject.networks.get(target)
        if port.reflect and network is not None and network.bridge:
            inside = f"{port.family} proto {port.proto} from {network.net4} to"
            own = network.ip4.partition("/")[0]
            translated.append(f"nat on {network.bridge} {inside} {target} port {port.inner} -> {own}")
            translated.append(f"rdr on {network.bridge} {inside} {outer} -> {to}")
        elif port.reflect:
            translated.append(f"rdr on lo0 {port.family} proto {port.proto} from any to {outer} -> {to}")
    labels = f'label "{told}" label "{ROOT}:{subject.name}"'  # of the port, and of all that the jail lets in
    rest = f"{port.family} proto {port.proto} from {sources} to {target} port {port.inner} flags S/SA keep state {labels}"
    if port.proto == "udp":
        rest = rest.replace(" flags S/SA", "")
    filters = [f"pass in quick {on}{rest}"]
    network = subject.networks.get(target)
    if network is not None and network.bridge:  # the second time that a forwarded packet is seen
        filters.append(f"pass out quick on {network.bridge} {rest.replace(f'from {sources}', 'from any')}")
        if port.reflect and target != port.address:
            filters.append(f"pass in quick on {network.bridge} {rest.replace(f'from {sources}', f'from {network.net4}')}")
    return translated, filters


def _limits(subject: Subject, bandwidth: Bandwidth) -> Tuple[List[str], List[str]]:
    """Pipes for what goes in and out. They match and pass nothing by themselves: the operator's policy stays."""
    to_jail = subject.pipes[0] if bandwidth.to_jail else 0
    from_jail = subject.pipes[1] if bandwidth.from_jail else 0
    nat: List[str] = []
    rules: List[str] = []
    for address in subject.addresses:
        device, network = subject.device.get(address, ""), subject.networks.get(address)
        family = "inet6" if ":" in address else "inet"
        kind = f"{family} proto {{ tcp, udp }}" if family == "inet6" else family  # neighbour discovery must not wait
        routed = network is not None and bool(network.bridge)
        # What the jail sends comes into the host by a bridge, and leaves it by an interface of addresses.
        sends, gets = ("in", "out") if routed else ("out", "in")
        source = f"from {address} to any"
        if network is not None and network.interface and network.nat:
            tag = f"{ROOT}-{subject.name}"[:LABEL_MAX]
            nat.append(f"nat on {network.via} inet from {address} to ! {network.net4} tag {tag} -> ({network.via}:0)")
            rules.append(f"match out on {network.via} inet tagged {tag} dnpipe ({from_jail}, {to_jail})")
            rules.append(f"match in on {network.via} inet from any to {address} dnpipe ({to_jail}, {from_jail})")
            continue
        rules.append(f"match {sends} on {device} {kind} {source} dnpipe ({from_jail}, {to_jail})")
        rules.append(f"match {gets} on {device} {kind} from any to {address} dnpipe ({to_jail}, {from_jail})")
    return nat, rules


def missing(text: str, lines: Sequence[str] = (*TRANSLATION, *FILTER)) -> List[str]:
    """The lines that call our anchors and are not in a pf.conf, or in what pfctl lists of it."""
    there = _rules(text)
    return [line for line in lines if line not in there]


def others(text: str) -> Set[str]:
    """What pfctl lists besides the lines that call our anchors."""
    return _rules(text) - {*TRANSLATION, *FILTER, ""}


def _rules(text: str) -> Set[str]:
    return {re.sub(r"\s+all$", "", re.sub(r"\s+", " ", line.strip())) for line in text.splitlines()}


def with_calls(text: str) -> str:
    """A pf.conf that calls our anchors: translation before its first filter rule, ours last, all between marks."""
    wanted = missing(text)
    if not wanted:
        return text
    text += "" if not text or text.endswith("\n") else "\n"
    translation = [line for line in TRANSLATION if line in wanted]
    filters = [line for line in FILTER if line in wanted]
    if translation:
        place, continued = len(text), False
        here = 0
        for line in text.splitlines(keepends=True):
            if not continued and re.match(rf"\s*{FILTERS}", line):
                place = here
                break
            continued = line.rstrip("\n").endswith("\\")
            here += len(line)
        text = text[:place] + BEGIN + "".join(f"{line}\n" for line in translation) + END + text[place:]
    return text + (BEGIN + "".join(f"{line}\n" for line in filters) + END if filters else "")


def without_calls(text: str) -> str:
    """A pf.conf without what stands between our marks."""
    return re.sub(rf"(?ms)^{re.escape(BEGIN)}.*?^{re.escape(END)}", "", text)
