# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan for all networks of a host: (wanted, observed) -> steps. Deciding touches nothing."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Set

from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.engine.plan import Plan, Step, write_step
from ansible_collections.cellblock.jails.plugins.module_utils.errors import Faults, InputError, Refused
from ansible_collections.cellblock.jails.plugins.module_utils.formats import rc_conf
from ansible_collections.cellblock.jails.plugins.module_utils.jails.definition import CONF_DIR, rc_groups, read_mark
from ansible_collections.cellblock.jails.plugins.module_utils.networks import firewall, guard, ipfw, ipfw_host, pf
from ansible_collections.cellblock.jails.plugins.module_utils.networks.checks import check_host, cut_by
from ansible_collections.cellblock.jails.plugins.module_utils.networks.join import joins_of
from ansible_collections.cellblock.jails.plugins.module_utils.networks.links import Link, links
from ansible_collections.cellblock.jails.plugins.module_utils.networks.live import live
from ansible_collections.cellblock.jails.plugins.module_utils.networks.model import (
    MARK,
    Network,
    check_networks,
    firewall_of,
    network_from,
    networks_of,
    variables,
    word,
)
from ansible_collections.cellblock.jails.plugins.module_utils.networks.names import unit

RC_CONF = "/etc/rc.conf"
SYSCTL_CONF = "/etc/sysctl.conf"
PFIL = "net.link.bridge.pfil_member"
SYSCTLS = ("net.inet.ip.forwarding", "net.inet6.ip6.forwarding", PFIL)
BRIDGES = range(0, 10000)


@dataclass(frozen=True)
class Request:
    """What a module call asks for.

    :param whole: whether networks of ours that are not named go.
    :param manage: whether pf.conf, and enabling pf, are ours.
    :param at_boot: whether an address moves from an uplink to its bridge at the next boot.
    :param firewall: of the host, ``pf`` or ``ipfw``; "" for that which it uses.
    """

    networks: Sequence[Network] = ()
    absent: Sequence[str] = ()
    whole: bool = False
    manage: bool = False
    at_boot: bool = False
    patience: int = 60
    firewall: str = ""

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> Request:
        """Check a module's options."""
        given = [one for one in options["networks"] if one.get("state") != "absent"]
        faults = Faults()
        found = faults.each(given, lambda one: replace(network_from(one), fleet=str(options.get("fleet") or "")))
        faults.tell()
        names = [network.name for network in found]
        absent = [str(one["name"]) for one in options["networks"] if one.get("state") == "absent"]
        twice = sorted({name for name in [*names, *absent] if [*names, *absent].count(name) > 1})
        if twice:
            raise InputError("it is declared twice", f"network {twice[0]}", "Declare each network once")
        patience = int(options.get("confirm_timeout") or 60)
        if not 10 <= patience <= 3600:
            raise InputError(f"{patience} s are no time to confirm in", "confirm_timeout", "10 to 3600")
        kinds = {str(one["firewall"]) for one in given if one.get("firewall")} | ({str(options["firewall"])} if options.get("firewall") else set())
        if len(kinds) > 1:
            raise InputError("pf and ipfw are both declared", "firewall", "Let one firewall do it for all networks of a host")
        return cls(
            found, absent, bool(options.get("prune")), bool(options.get("manage")), bool(options.get("at_boot")), patience, next(iter(kinds), ""),
        )


@dataclass
class Seen:
    """What the host is."""

    rc_text: str = ""
    sysctl_conf: str = ""
    links: Mapping[str, Link] = field(default_factory=dict)
    sysctl: Mapping[str, str] = field(default_factory=dict)
    users: Mapping[str, List[str]] = field(default_factory=dict)  # the jails of each network
    way_out: str = ""
    pf_conf: Optional[str] = None
    firewall: firewall.Firewall = firewall.Firewall()
    instances: Set[int] = field(default_factory=set)  # of ipfw's NAT, which ports of jails have
    loader_conf: Optional[str] = None
    script: Optional[str] = None
    guard: guard.Guard = guard.Guard()


def observe(host: Host, request: Request) -> Seen:
    """Read the host, in a number of commands that grows with nothing."""
    seen = Seen(rc_text=host.read(RC_CONF) or "", sysctl_conf=host.read(SYSCTL_CONF) or "")
    seen.links = links(host.run(["ifconfig", "-a", "-f", "inet:cidr,inet6:cidr"]).out)
    told = (line.partition(": ") for line in host.ask(["sysctl", *SYSCTLS]).out.splitlines())
    seen.sysctl = {name.strip(): value.strip() for name, _colon, value in told}
    users: Dict[str, List[str]] = {}
    for name, facts in _marks(host, seen.rc_text).items():
        for member in joins_of(facts):
            users.setdefault(member.network, []).append(name)
        seen.instances |= set(((facts.get("traffic") or {}).get("nats") or {}).values())
    seen.users = users
    if any(network.nat and not network.via for network in request.networks):
        seen.way_out = host.ask(["route", "-n", "get", "default"]).out.partition("interface: ")[2].split("\n")[0].strip()
    kind = request.firewall or firewall_of(networks_of(seen.rc_text), seen.rc_text)
    seen.firewall, seen.guard = firewall.observe(host, kind), guard.observe(host, kind)
    seen.pf_conf, seen.loader_conf, seen.script = host.read(seen.guard.conf), host.read(ipfw_host.LOADER_CONF), host.read(pf.SCRIPT)
    return seen


def _marks(host: Host, rc_text: str) -> Dict[str, Mapping[str, Any]]:
    found: Dict[str, Mapping[str, Any]] = {name: facts for name, (facts, _lines) in rc_groups(rc_text).items()}
    for entry in host.listdir(CONF_DIR):
        facts = read_mark((host.read(f"{CONF_DIR}/{entry}") or "").partition("\n")[0]) if entry.endswith(".conf") else None
        if facts is not None:
            found[entry[:-5]] = facts
    return found


def plan(host: Host, request: Request) -> Plan:
    """Read the host once, and say what has to be done.

    :raises CellblockError: when the request cannot be met; nothing has been touched.
    """
    return decide(request, observe(host, request))


def decide(request: Request, seen: Seen) -> Plan:
    """The plan."""
    had = networks_of(seen.rc_text)
    kind = request.firewall or firewall_of(had, seen.rc_text)
    taken = {one.device for one in [*had.values(), *request.networks]} | set(seen.links)
    taken |= set(rc_conf.values(seen.rc_text).get("cloned_interfaces", "").split())
    given = {one.device: one.ip4.partition("/")[0] for one in [*had.values(), *request.networks] if one.device and one.ip4}
    wanted = [_settled(replace(network, firewall=kind), had.get(network.name), taken, seen, given) for network in request.networks]
    named = {network.name for network in wanted} | set(request.absent)
    kept = [replace(network, firewall=kind) for name, network in had.items() if name not in named and not request.whole]
    gone = [replace(network, firewall=kind) for name, network in had.items() if name not in {one.name for one in [*wanted, *kept]}]
    after = [*kept, *wanted]
    check_networks(after)
    if any(network.firewall != kind and (network.nat or network.isolated) for network in had.values()):
        raise Refused(f"its networks use {'pf' if kind == 'ipfw' else 'ipfw'}", "firewall", "Take them away first, then declare them anew")
    made = Plan()
    moves: List[str] = []
    for network in wanted:
        moves += check_host(network, had.get(network.name), request.at_boot, seen.links, seen.users, {one.device for one in after})
    for network in gone:
        if seen.users.get(network.name):
            raise Refused(f"jails {', '.join(seen.users[network.name])} are in it", f"network {network.name}", "Let them leave it first")
    made.before += write_step(RC_CONF, seen.rc_text or None, _rc_text(seen, had, after, gone), f"set networks in {RC_CONF}")
    cut = cut_by(had, after, seen.guard.session, request.at_boot)
    for network in gone:
        made.before += live(network, None, seen.links) if network.name not in cut else []
    for network in wanted:
        if network.name not in moves:
            made.before += live(had.get(network.name), network, seen.links)
    made.before += _kernel(after, seen)
    if kind == "ipfw":
        made.before += _fragments(after, gone, request, seen, made)
    else:
        made.before += _rules(after, gone, seen)
        if any(network.nat for network in after) or request.manage:
            made.before += guard.steps(request.manage, request.patience, seen.pf_conf, seen.firewall, seen.guard, made)
    made.facts["reboot"] = [f"the address of {network.uplink} moves to {network.bridge}" for network in wanted if network.name in moves]
    made.facts["reboot"] += [f"{network.device} goes" for network in gone if network.name in cut]
    made.facts["networks"] = {network.name: {"device": network.device, "subnet": network.net4 or network.net6, "via": network.via} for network in after}
    return made


def _settled(network: Network, old: Optional[Network], taken: Set[str], seen: Seen, given: Mapping[str, str]) -> Network:
    """A declared network with what the host settles: its bridge, and the way out.

    :param given: the addresses of networks' devices, which may be made by this run.
    """
    if not network.device:
        device = old.bridge if old is not None and old.bridge else next(f"bridge{number}" for number in BRIDGES if f"bridge{number}" not in taken)
        taken.add(device)
        network = replace(network, bridge=device)
    if network.nat and not network.via:
        if not seen.way_out:
            raise InputError("no default route tells where NAT goes out", f"network {network.name}", "Name the interface in via")
        network = replace(network, via=seen.way_out)
    if network.nat and network.firewall == "ipfw":
        network = _instance(network, old, seen, given)
    if old is not None and old.device == network.device:
        return replace(network, made=old.made)
    return replace(network, made=network.device not in seen.links)


def _instance(network: Network, old: Optional[Network], seen: Seen, given: Mapping[str, str]) -> Network:
    """Its NAT in ipfw: a number, and the address of its way out, which jails' aliases would take from it, unless DHCP may change it."""
    number = old.instance if old is not None and old.instance else 0
    if not number:
        number = unit(seen.instances, ipfw.INSTANCES, f"network {network.name}")
        seen.instances.add(number)
    link, words = seen.links.get(network.via), rc_conf.values(seen.rc_text).get(f"ifconfig_{word(network.via)}", "")
    there = [address.partition("/")[0] for address in (link.addresses if link is not None else ()) if ":" not in address]
    there = [given[network.via]] if network.via in given else there
    kept = [old.nat_ip] if old is not None and old.nat_ip in there else there[:1]
    return replace(network, instance=number, nat_ip="" if "DHCP" in words.upper() else "".join(kept))


def _rc_text(seen: Seen, had: Mapping[str, Network], after: Sequence[Network], gone: Sequence[Network]) -> str:
    """rc.conf with these networks: each a group of its own, and the lists that all share."""
    text = seen.rc_text
    for network in gone:
        text = _put(text, network, None)
    found = rc_conf.values(text)
    cloned = found.get("cloned_interfaces", "").split()
    ours = {name for network in had.values() for name in _clones(network)}
    names = [name for network in after for name in _clones(network)]
    lists = [name for name in cloned if name not in ours or name in names]
    lists += [name for name in names if name not in lists]
    changes: Dict[str, Optional[str]] = {}
    if lists != cloned:
        changes["cloned_interfaces"] = " ".join(lists) or None
    if any(_forwards(network) for network in after) and not rc_conf.yes(found.get("gateway_enable")):
        changes["gateway_enable"] = "YES"
    if any(_forwards(network) and network.ip6 for network in after) and not rc_conf.yes(found.get("ipv6_gateway_enable")):
        changes["ipv6_gateway_enable"] = "YES"
    for network in after:
        uplink = f"ifconfig_{network.uplink}"
        if network.uplink and (uplink not in found or _moved(network, found[uplink])):
            changes[uplink] = "up"
            if network.ip6 and network.ip6.partition("/")[0] in found.get(f"{uplink}_ipv6", ""):
                changes[f"{uplink}_ipv6"] = None
        if network.vlan and found.get(f"ifconfig_{network.uplink}_{network.vlan}") != "up":
            changes[f"ifconfig_{network.uplink}_{network.vlan}"] = "up"
    for network in gone:
        if network.vlan:
            changes[f"ifconfig_{network.uplink}_{network.vlan}"] = None
        elif network.uplink and found.get(f"ifconfig_{network.uplink}") == "up":  # the host's address goes back
            changes.update({f"ifconfig_{network.uplink}": f"inet {network.ip4}"} if network.ip4 else {})
            changes.update({f"ifconfig_{network.uplink}_ipv6": f"inet6 {network.ip6}"} if network.ip6 else {})
    text = rc_conf.edit(text, changes)
    for network in after:
        text = _put(text, had.get(network.name), network)
    return text


def _moved(network: Network, words: str) -> bool:
    return bool(network.ip4) and network.ip4.partition("/")[0] in words.replace("/", " ").split()


def _put(text: str, old: Optional[Network], new: Optional[Network]) -> str:
    """rc.conf with a network's group in place of the one that it has, at the end if it has none; None takes it away."""
    group = rc_conf.put_group("", new.line(), variables(new)) if new is not None else ""
    for line in rc_conf.groups(text, MARK):
        if old is not None and old.name in networks_of(line + "\n"):
            span = rc_conf.find_group(text, line, f"ifconfig_{word(old.device)}")
            if span is not None:
                return text[:span[0]] + group + text[span[1]:]
    return text + ("" if not text or text.endswith("\n") or not group else "\n") + group


def _clones(network: Network) -> List[str]:
    """What rc.d/netif is to make."""
    vlan = [network.port] if network.vlan else []
    return vlan + ([network.device] if network.made else [])


def _forwards(network: Network) -> bool:
    return network.nat or network.routed


def _kernel(after: Sequence[Network], seen: Seen) -> List[Step]:
    wanted: Dict[str, str] = {}
    if any(_forwards(network) for network in after):
        wanted["net.inet.ip.forwarding"] = "1"
    if any(_forwards(network) and network.ip6 for network in after):
        wanted["net.inet6.ip6.forwarding"] = "1"
    if any(network.pfil_member for network in after):
        wanted[PFIL] = "1"
    steps = [
        Step(
            f"set sysctl {name}={value}", _sysctl(name, value), _sysctl(name, seen.sysctl.get(name, "0")),
            f"sysctl {name}", f"{seen.sysctl.get(name, '')}\n", f"{value}\n",
        )
        for name, value in wanted.items() if seen.sysctl.get(name) != value
    ]
    if PFIL in wanted and not re.search(rf"(?m)^{re.escape(PFIL)}=1$", seen.sysctl_conf):
        rest = re.sub(rf"(?m)^{re.escape(PFIL)}=.*\n?", "", seen.sysctl_conf)
        steps += write_step(SYSCTL_CONF, seen.sysctl_conf or None, f"{rest}{PFIL}=1\n")
    return steps


def _sysctl(name: str, value: str) -> Callable[[Host], None]:
    def do(host: Host) -> None:
        host.run(["sysctl", f"{name}={value}"])

    return do


def _rules(after: Sequence[Network], gone: Sequence[Network], seen: Seen) -> List[Step]:
    """The anchors of networks: their files, what loads them at boot, and what is loaded."""
    texts = {**{one.name: "" for one in gone}, **{one.name: pf.of_network(_in_use(one, after)) for one in after}}
    steps = _script(seen.script, pf.script() if any(texts.values()) else None)
    for name, rules in texts.items():
        anchor = pf.network_anchor(name)
        steps += write_step(pf.path(anchor), seen.firewall.files.get(pf.path(anchor)), rules or None)
        steps += firewall.load_step(anchor, seen.firewall, rules)
    return steps


def _in_use(network: Network, after: Sequence[Network]) -> Network:
    """One that another goes out by is not isolated."""
    return replace(network, routed=True) if network.isolated and any(other.via == network.device for other in after) else network


def _script(before: Optional[str], after: Optional[str]) -> List[Step]:
    if before == after:
        return []

    def put(host: Host, text: Optional[str]) -> None:
        if text is None:
            host.remove(pf.SCRIPT)
        else:
            host.write(pf.SCRIPT, text, 0o755)

    what = f"{'write' if after else 'remove'} {pf.SCRIPT}"
    return [Step(what, lambda host: put(host, after), lambda host: put(host, before), pf.SCRIPT, before or "", after or "")]


def _fragments(after: Sequence[Network], gone: Sequence[Network], request: Request, seen: Seen, made: Plan) -> List[Step]:
    """ipfw: the fragments of networks, and all rules with those of jails."""
    changes: Dict[str, Optional[str]] = {ipfw.path(pf.network_anchor(one.name)): None for one in gone}
    changes.update((ipfw.path(pf.network_anchor(one.name)), ipfw.of_network(_in_use(one, after)) or None) for one in after)
    steps = [step for path, text in changes.items() for step in write_step(path, seen.firewall.files.get(path), text)]
    texts = ipfw_host.fragments(seen.firewall, changes)
    if texts or request.manage or seen.firewall.digest or seen.firewall.files.get(ipfw.SCRIPT):
        steps += ipfw_host.steps(request.manage, request.patience, seen.firewall, seen.guard, texts, seen.loader_conf, made)
    return steps
