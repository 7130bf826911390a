# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules for ipfw(8): a fragment for each network and each jail, and all of them as one text, whose set is swapped whole.

Numbers put rules into their order: what comes in is translated, limited, let in; what goes out is limited, translated, let
out. All of them go on with the host's own rules but those that let a declared port in: net.inet.ip.fw.one_pass must be 0.
Nothing is kept as a state, so a port that is gone lets nothing through any more; its translations go with its instance.
"""

from __future__ import annotations

import hashlib
import re
from typing import Dict, List, Mapping, Sequence, Tuple

from ansible_collections.cellblock.jails.plugins.module_utils.networks import dummynet
from ansible_collections.cellblock.jails.plugins.module_utils.networks.model import Network
from ansible_collections.cellblock.jails.plugins.module_utils.networks.pf import FOLDER, ROOT, Subject
from ansible_collections.cellblock.jails.plugins.module_utils.networks.traffic import Bandwidth, Port

SET, SPARE = 28, 29
SESSION, NAT_IN, PORT_IN, PIPE, LET, PORT_OUT, NAT_OUT, LET_OUT, SIGN = range(39, 48)
APART = LET  # what an isolated network does not let through, after what ports of its jails let in
INSTANCES = range(10000, 30000, 2)  # of NAT: in pairs, the second for jails of the same network
RULES = f"{FOLDER}/ipfw.rules"
SCRIPT = f"{FOLDER}/ipfw.sh"
ENABLED = ("net.inet.ip.fw.enable", "net.inet6.ip6.fw.enable")
ONE_PASS = "net.inet.ip.fw.one_pass"
ACCEPT = "net.inet.ip.fw.default_to_accept"
MODULES = ("ipfw", "ipfw_nat", "dummynet")


def path(anchor: str) -> str:
    """The file of a fragment."""
    return f"{FOLDER}/{anchor}.ipfw"


def of_network(network: Network) -> str:
    """A network's fragment: its packets leave with the host's address, or not at all."""
    if network.isolated:
        near = [("ip4", net) for net in (network.net4,) if net] + [("ip6", f"{net},fe80::/10,ff00::/8") for net in (network.net6,) if net]
        ways = ("from any to not {0} in recv {1}", "from not {0} to any out xmit {1}")
        return _lines([], [(APART, f"deny {family} {way.format(nets, network.bridge)}") for family, nets in near for way in ways])
    if not network.nat:
        return ""
    own = network.nat_ip
    rule = f"nat {network.instance} ip4 from {network.net4} to not {network.net4} out xmit {network.via}"
    back = f"nat {network.instance} ip4 from any to {own or 'me'} in recv {network.via}"
    return _lines([f"nat {network.instance} config {f'ip {own}' if own else f'if {network.via}'} same_ports"], [(NAT_IN, back), (NAT_OUT, rule)])


def of_jail(
    subject: Subject, ports: Sequence[Port], bandwidth: Bandwidth, host_interfaces: Mapping[str, str], instances: Mapping[str, int],
) -> str:
    """A jail's fragment.

    :param host_interfaces: the interface of each address of the host.
    :param instances: by what a port is told as, its NAT instance.
    """
    configs = [" ".join(dummynet.config(pipe, rate)[1:]) for pipe, rate in dummynet.pairs(subject.pipes, bandwidth)]
    rules = _limits(subject, bandwidth)
    for port in ports:
        target = subject.target(port)
        if target is None:
            continue
        on = port.interface or host_interfaces.get(port.address, "")
        if target != port.address:
            instance = instances[port.told()]
            ends = f"{target}:{_dashed(port.inner)} {port.address}:{_dashed(port.outer)}"
            configs.append(f"nat {instance} config ip {port.address} redirect_port {port.proto} {ends}")
            more, translated = _translated(subject, port, target, on, instance)
            configs += more
            rules += translated
        rules += _let(subject, port, target, on)
    return _lines(configs, rules)


def _lines(configs: Sequence[str], rules: Sequence[Tuple[int, str]]) -> str:
    return "".join(f"{line}\n" for line in [*configs, *(f"add {number} set {SPARE} {rule}" for number, rule in rules)])


def _dashed(text: str) -> str:
    return text.replace(":", "-")


def _translated(subject: Subject, port: Port, target: str, on: str, instance: int) -> Tuple[List[str], List[Tuple[int, str]]]:
    """A port's way in and out through its instance; likewise for jails of the same network, where it is reflected."""
    outer, inner = f"{port.address} {_dashed(port.outer)}", f"{target} {_dashed(port.inner)}"
    recv, xmit = (f" recv {on}", f" xmit {on}") if on else ("", "")
    rules = [(PORT_IN, f"nat {instance} {port.proto} from {source} to {outer} in{recv}") for source in port.sources or ("any",)]
    rules.append((PORT_OUT, f"nat {instance} {port.proto} from {inner} to any out{xmit}"))
    network = subject.networks.get(target)
    if port.reflect and network is not None and network.bridge:
        own, net, bridge = network.ip4.partition("/")[0], network.net4, network.bridge
        return [f"nat {instance + 1} config ip {own}"], [
            *rules,
            (NAT_IN, f"nat {instance + 1} {port.proto} from {inner} to {own} in recv {bridge}"),
            (PORT_IN, f"nat {instance} {port.proto} from {net} to {outer} in recv {bridge}"),
            (PORT_IN, f"nat {instance + 1} {port.proto} from {net} to {inner} out xmit {bridge} not src-ip {own}"),
            (PORT_OUT, f"nat {instance} {port.proto} from {inner} to {net} out xmit {bridge}"),
        ]
    if port.reflect:
        rules.append((PORT_IN, f"nat {instance} {port.proto} from any to {outer} in recv lo0"))
        rules.append((PORT_OUT, f"nat {instance} {port.proto} from {inner} to any out xmit lo0"))
    return [], rules


def _let(subject: Subject, port: Port, target: str, on: str) -> List[Tuple[int, str]]:
    """Let a port's packets in, and the answers out, each time that they are seen."""
    inner, answers = f"{target} {_dashed(port.inner)}", " established" if port.proto == "tcp" else ""
    recv, xmit = (f" recv {on}", f" xmit {on}") if on else ("", "")
    rules = [(LET, f"allow {port.proto} from {source} to {inner} in{recv}") for source in port.sources or ("any",)]
    rules.append((LET_OUT, f"allow {port.proto} from {port.address} {_dashed(port.outer)} to any{answers} out{xmit}"))
    network = subject.networks.get(target)
    if network is not None and network.bridge:
        rules.append((LET, f"allow {port.proto} from any to {inner} out xmit {network.bridge}"))
        rules.append((LET, f"allow {port.proto} from {inner} to any{answers} in recv {network.bridge}"))
        if port.reflect and target != port.address:
            rules.append((LET, f"allow {port.proto} from {network.net4} to {inner} in recv {network.bridge}"))
            rules.append((LET_OUT, f"allow {port.proto} from {port.address} {_dashed(port.outer)} to {network.net4}{answers} out xmit {network.bridge}"))
    return rules


def _limits(subject: Subject, bandwidth: Bandwidth) -> List[Tuple[int, str]]:
    """Pipes for what goes in and out."""
    rules: List[Tuple[int, str]] = []
    for address in subject.addresses if bandwidth != Bandwidth() else ():
        device, network = subject.device.get(address, ""), subject.networks.get(address)
        kind = "{ tcp or udp }" if ":" in address else "ip4"  # neighbour discovery must not wait
        routed = network is not None and bool(network.bridge)
        if network is not None and network.interface and network.nat:
            device = network.via
        # What the jail sends comes into the host by a bridge, and leaves it by an interface of addresses.
        sends, gets = (f"in recv {device}", f"out xmit {device}") if routed else (f"out xmit {device}", f"in recv {device}")
        if bandwidth.from_jail:
            rules.append((PIPE, f"pipe {subject.pipes[1]} {kind} from {address} to any {sends}"))
        if bandwidth.to_jail:
            rules.append((PIPE, f"pipe {subject.pipes[0]} {kind} from any to {address} {gets}"))
    return rules


def session_rules(session: Sequence[str]) -> str:
    """Let one connection through, whatever the host's own rules know of it."""
    if not session:
        return ""
    client, port, here, own = session
    if not all(re.fullmatch(r"[0-9A-Fa-f:.]+", word) for word in (client, here)) or not (port.isdigit() and own.isdigit()):
        return ""
    return _lines([], [(SESSION, f"allow tcp from {client} {port} to {here} {own} in"), (SESSION, f"allow tcp from {here} {own} to {client} {port} out")])


def composed(fragments: Sequence[str]) -> str:
    """All fragments as one text: instances and pipes first, then rules by number, then the change of sets; "" for none."""
    lines = [line for fragment in fragments for line in fragment.splitlines() if line]
    configs = [line for line in lines if not line.startswith("add ")]
    rules = sorted((line for line in lines if line.startswith("add ")), key=lambda line: int(line.split()[1]))
    if not lines:
        return ""
    told = hashlib.sha256("\n".join([*configs, *rules]).encode()).hexdigest()[:12]
    sign = f"add {SIGN} set {SPARE} count 254 from any to any // {ROOT}={told}"
    return "".join(f"{line}\n" for line in [*configs, f"set disable {SPARE}", *rules, sign, f"set swap {SET} {SPARE}"])


def loaded(listing: str) -> str:
    """The digest of the text that a listing of our set comes from; "" for none."""
    found = re.search(rf"// {ROOT}=([0-9a-f]{{12}})", listing)
    return found.group(1) if found else ""


def numbers(text: str) -> Dict[str, List[str]]:
    """The instances and pipes that a text configures."""
    return {kind: sorted(set(re.findall(rf"(?m)^{kind} (\d+) config ", text)), key=int) for kind in ("nat", "pipe")}


def changed(before: str, after: str) -> str:
    """A text without the instances that are there as it says: while one is configured, packets are lost."""
    had = {line for line in before.splitlines() if line.startswith("nat ")}
    return "".join(line for line in after.splitlines(keepends=True) if line.rstrip("\n") not in had)


def script() -> str:
    """What rc.d/ipfw runs when it has started: a coscript, see rc.conf(5). TSO is off where packets are translated."""
    found = r"sed -n 's/^add .* nat .* xmit \([A-Za-z0-9_.]*\).*/\1/p' " + f"{RULES} | sort -u"
    spare = f"/sbin/ipfw -q delete set {SPARE} 2> /dev/null"
    lines = [
        "#!/bin/sh", "# Written by cellblock.jails.", '[ "$1" = quietstart ] || exit 0', f"[ -r {RULES} ] || exit 0",
        f"/sbin/kldload -n {' '.join(MODULES)}", f"/sbin/sysctl -q {ONE_PASS}=0",
        f"for name in $({found}); do /sbin/ifconfig $name -tso 2> /dev/null; done", spare, f"/sbin/ipfw -q {RULES}", spare,
    ]
    return "".join(f"{line}\n" for line in lines)
