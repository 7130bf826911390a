# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A jail's ports and bandwidth, held by the host's firewall."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, FrozenSet, List, Mapping, Optional, Sequence, Tuple

from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.engine.plan import Step, write_step
from ansible_collections.cellblock.jails.plugins.module_utils.errors import InputError
from ansible_collections.cellblock.jails.plugins.module_utils.jails.aspects.aspect import Aspect
from ansible_collections.cellblock.jails.plugins.module_utils.jails.definition import Definition
from ansible_collections.cellblock.jails.plugins.module_utils.jails.model import Jail
from ansible_collections.cellblock.jails.plugins.module_utils.jails.observed import Observed
from ansible_collections.cellblock.jails.plugins.module_utils.jails.scene import Change, Draft, Scene
from ansible_collections.cellblock.jails.plugins.module_utils.networks import dummynet, firewall, ipfw, pf
from ansible_collections.cellblock.jails.plugins.module_utils.networks.aspect import joins_in, known_networks
from ansible_collections.cellblock.jails.plugins.module_utils.networks.model import Network, firewall_of, networks_of
from ansible_collections.cellblock.jails.plugins.module_utils.networks.names import unit
from ansible_collections.cellblock.jails.plugins.module_utils.networks.options import OF_JAILS
from ansible_collections.cellblock.jails.plugins.module_utils.networks.traffic import (
    Bandwidth,
    Port,
    asked,
    bandwidth_from,
    check_ports,
    port_of,
    ports_from,
)


@dataclass(frozen=True)
class Traffic:
    """What a jail asks of the firewall."""

    ports: Tuple[Port, ...] = ()
    bandwidth: Bandwidth = Bandwidth()


class Rules(Aspect):
    """One anchor of pf(4) and two pipes of dummynet(4) for each jail, loaded by hooks of its start."""

    name = "traffic"
    options = OF_JAILS["traffic"]
    facts = ("traffic",)

    def declare(self, jail: Jail, options: Mapping[str, Any]) -> Optional[Traffic]:
        """Ports and bandwidth."""
        where = f"jail {jail.name}"
        if len(pf.label(jail.name, "")) > pf.LABEL_MAX - 2:
            raise InputError("its name is too long for an anchor of pf", where, "At most 50 characters")
        found = Traffic(ports_from(options.get("ports") or (), where), bandwidth_from(options.get("bandwidth") or {}, where))
        return None if found == Traffic() else found

    def observe(self, host: Host, seen: Observed, jails: Sequence[Jail]) -> None:
        """The firewall, in five questions for any number of jails."""
        kind = firewall_of(networks_of(seen.rc_conf), seen.rc_conf)
        seen.own[self.name] = firewall.observe(host, kind, any(jail.own.get(self.name) for jail in jails))

    def check_host(self, scene: Scene) -> None:
        """No port is wanted twice; the firewall is there, and asks our anchors."""
        wanted = {jail.name: jail.own[self.name] for jail in scene.jails if self.name in jail.own and jail.state != "absent"}
        found: firewall.Firewall = scene.seen.own[self.name]
        own = {jail.name: _own_addresses(jail) for jail in scene.jails}
        declared = {jail.name for jail in scene.jails}
        others = {name: [port_of(told) for told in _traffic(facts).get("ports", ())] for name, facts in scene.marks.items() if name not in declared}
        check_ports({**others, **{name: traffic.ports for name, traffic in wanted.items()}}, found.listeners if wanted else (), own, set(others))
        if not wanted or scene.request.assume.get("networks"):
            return
        if found.running is None:
            raise InputError(
                f"{found.kind}(4) is not loaded, and ports and bandwidth of {', '.join(wanted)} need it", "firewall",
                f"Let jail_networks manage it (firewall: {found.kind}, manage: true), or load it by host_prepare_kernel_modules",
            )
        if found.one_pass:
            raise InputError(f"{ipfw.ONE_PASS} is 1: what a port lets in would pass by the host's own rules", "firewall", "Set it to 0, or manage: true")
        if not found.running:
            scene.warnings.append(f"{found.kind} is loaded but not enabled: no port is open and no bandwidth is limited until it is")
        if found.uncalled and found.kind == "pf":
            scene.warnings.append(
                f"pf.conf as it is loaded does not call the anchors of jails, their rules do nothing. It lacks: {'; '.join(found.uncalled)}"
            )

    def define(self, scene: Scene, jail: Jail, old: Optional[Definition], draft: Draft) -> None:
        """Hooks that load and empty the anchor, and the mark."""
        traffic: Optional[Traffic] = jail.own.get(self.name)
        if traffic is None:
            return
        pipes = _pipes(scene, jail, old) if traffic.bandwidth != Bandwidth() else (0, 0)
        told = [port.told() for port in traffic.ports]
        draft.meta["traffic"] = {"ports": told, "asked": asked(traffic.ports, traffic.bandwidth), **({"pipe": pipes[0]} if pipes[0] else {})}
        if scene.seen.own[self.name].kind == "ipfw":  # all rules are loaded at once, and by rc.d/ipfw at boot
            draft.meta["traffic"].update({"nats": _nats_of(scene, jail, old)} if told else {})
            return
        anchor = pf.jail_anchor(jail.name)
        before = ["/sbin/kldload -n pf"]
        after = [f"{pf.LOAD}{anchor} -f /dev/null", f"/sbin/pfctl -q -k label -k {pf.label(jail.name, '')[:-1]}"]
        if pipes[0]:
            before += ["/sbin/kldload -n dummynet", f"/sbin/dnctl {_pipes_path(jail.name)}"]
            after.append(f"/sbin/dnctl pipe delete {' '.join(str(pipe) for pipe, _rate in dummynet.pairs(pipes, traffic.bandwidth))}")
        before.append(f"{pf.LOAD}{anchor} -f {pf.path(anchor)}")
        draft.params["exec.prestart"] = [*draft.params.get("exec.prestart", []), *before]
        draft.params["exec.poststop"] = [*draft.params.get("exec.poststop", []), *after]

    def check(self, change: Change) -> None:
        """Addresses must be there, and bridged packets must be seen."""
        traffic: Optional[Traffic] = change.jail.own.get(self.name)
        if traffic is None:
            return
        subject, where = _subject(change), f"jail {change.jail.name}"
        hosts = _host_addresses(change.scene)
        for port in traffic.ports:
            if subject.target(port) is None:
                fix = f"It has {', '.join(subject.addresses) or 'none that is fixed'}"
                raise InputError(f"{port.told()} leads to no address of it", f"{where}, ports", fix)
            if port.address not in hosts and port.address not in subject.addresses:
                raise InputError(f"{port.address} is on no interface of this host", f"{where}, ports", "Give the address that the world knows")
            if ":" in port.address and port.address not in subject.addresses:
                raise InputError(f"{port.address} is not its own, and IPv6 is not translated", f"{where}, ports", "Let the port's address be the jail's")
        if traffic.bandwidth == Bandwidth():
            return
        if not subject.addresses:
            raise InputError("its bandwidth is limited by its addresses, and none is fixed", f"{where}, bandwidth", "Give it fixed addresses")
        for address, network in subject.networks.items():
            if network.uplink and not network.pfil_member:
                raise InputError(
                    f"frames between {network.bridge} and {network.uplink} pass no firewall of the host, and {address} no limit", f"{where}, bandwidth",
                    f"Set pfil_member: true for network {network.name}; all bridges of the host are then filtered",
                )

    def prepare(self, change: Change) -> List[Step]:
        """The files that hooks load."""
        traffic = change.jail.own.get(self.name)
        if traffic is None and not _had(change):
            return []
        files: Mapping[str, str] = change.scene.seen.own[self.name].files
        return [step for path, text in _wanted(change).items() for step in write_step(path, files.get(path), text or None)]

    def alter(self, change: Change) -> List[Step]:
        """Change the rules of a running jail in one transaction; what a port let in ends with it."""
        if (change.jail.own.get(self.name) is None and not _had(change)) or change.scene.seen.own[self.name].kind == "ipfw":
            return []
        return firewall.alter(change.jail.name, change.scene.seen.own[self.name], *_texts(change), _ended(change), _dropped(change))

    def remove(self, change: Change) -> List[Step]:
        """The files; the hooks of the stop have emptied the anchor."""
        if not _had(change):
            return []
        name, found = change.jail.name, change.scene.seen.own[self.name]
        steps = firewall.forget(name, found, _dropped(change, True)) if change.running is None and found.kind == "pf" else []
        return [*steps, *firewall.drop_files(_paths(name), found)]

    def report(self, seen: Observed, name: str, facts: Mapping[str, Any]) -> Mapping[str, Any]:
        """Ports, bandwidth, and whether what is loaded is what its file says: by a digest, never by a listing."""
        found: Optional[firewall.Firewall] = seen.own.get(self.name)
        if found is None or not _traffic(facts):
            return {}
        limits = firewall.limits(found, name, int(_traffic(facts).get("pipe", 0)))
        drift = firewall.drift(found, name) if name in seen.running else []
        return {"ports": list(_traffic(facts).get("ports", ())), "bandwidth": limits, **({"drift": drift} if drift else {})}

    def report_host(self, seen: Observed) -> Mapping[str, Any]:
        """The firewall that does it."""
        found: Optional[firewall.Firewall] = seen.own.get(self.name)
        return {} if found is None else {"firewall": {"kind": found.kind, "running": bool(found.running)}}

    def settle(self, scene: Scene, changes: Sequence[Change], failed: FrozenSet[str], files: Any) -> List[Step]:
        """A creation that failed leaves no file. All rules of ipfw are loaded as they are for what stands."""
        lost = [change.jail.name for change in changes if change.jail.name in failed and change.is_new and self.name in change.jail.own]
        paths = [path for name in lost for path in _paths(name)]
        steps = [firewall.drop_made(paths)] if paths else []
        found: firewall.Firewall = scene.seen.own[self.name]
        if found.kind == "pf":
            return steps
        from ansible_collections.cellblock.jails.plugins.module_utils.networks import ipfw_host

        texts: Dict[str, Optional[str]] = {}
        for change in changes:
            path = ipfw.path(pf.jail_anchor(change.jail.name))
            if change.jail.name not in failed:
                texts[path] = None if change.jail.state == "absent" or change.wanted is None else _wanted(change)[path]
            elif change.is_new:
                texts[path] = None
        return [*steps, *ipfw_host.whole(found, ipfw_host.fragments(found, texts))]


def _pipes_path(name: str) -> str:
    return f"{pf.FOLDER}/{pf.jail_anchor(name)}.pipes"


def _paths(name: str) -> Sequence[str]:
    return (pf.path(pf.jail_anchor(name)), _pipes_path(name), ipfw.path(pf.jail_anchor(name)))


def _traffic(facts: Mapping[str, Any]) -> Mapping[str, Any]:
    return facts.get("traffic") or {}


def _had(change: Change) -> Mapping[str, Any]:
    return (change.old.meta.get("traffic") or {}) if change.old is not None else {}


def _pipes(scene: Scene, jail: Jail, old: Optional[Definition]) -> Tuple[int, int]:
    given: Dict[str, int] = scene.seen.own.setdefault("pipes", {})
    if jail.name not in given:
        taken = set(given.values()) | {
            int(facts["traffic"].get("pipe", 0)) for name, facts in scene.marks.items() if name != jail.name and facts.get("traffic")
        }
        mine = int((old.meta.get("traffic") or {}).get("pipe", 0)) if old is not None else 0
        if not mine or mine in taken:
            taken |= {pipe - pipe % 2 for pipe in scene.seen.own["traffic"].pipes}
            mine = unit(taken, dummynet.PIPES, jail.name)
        given[jail.name] = mine
    return given[jail.name], given[jail.name] + 1


def _host_addresses(scene: Scene) -> Dict[str, str]:
    """The interface of each address of the host."""
    found = {held.ip: name for name, interface in scene.seen.interfaces.items() for held in interface.addresses}
    for network in known_networks(scene).values():
        for text in (network.ip4, network.ip6):
            if text:
                found.setdefault(text.partition("/")[0], network.device)
    return found


def _subject(change: Change) -> pf.Subject:
    known, device = known_networks(change.scene), {}
    networks: Dict[str, Network] = {}
    for member in joins_in(change.scene, change.jail, change.old):
        for address in member.addresses():
            networks[address] = known[member.network]
            device[address] = member.outer if known[member.network].uplink else member.bridge
    hosts = _host_addresses(change.scene)
    for own in change.jail.addresses:
        device[own.ip] = own.interface or hosts.get(own.ip, "lo0")
        networks.update((own.ip, one) for one in known.values() if one.interface and one.interface == device[own.ip])
    if change.jail.own["traffic"].bandwidth == Bandwidth():
        return pf.Subject(change.jail.name, tuple(device), device, networks)
    return pf.Subject(change.jail.name, tuple(device), device, networks, _pipes(change.scene, change.jail, change.old))


def _nats_of(scene: Scene, jail: Jail, old: Optional[Definition]) -> Dict[str, int]:
    """The instance of ipfw's NAT of each port: that which it has, or one that is free."""
    given: Dict[str, Dict[str, int]] = scene.seen.own.setdefault("nats", {})
    if jail.name not in given:
        had = _traffic(old.meta if old is not None else {}).get("nats") or {}
        taken = {network.instance for network in known_networks(scene).values()} | {number for nats in given.values() for number in nats.values()}
        for name, facts in scene.marks.items():
            taken |= set((_traffic(facts).get("nats") or {}).values()) if name != jail.name else set()
        mine: Dict[str, int] = {}
        for port in jail.own["traffic"].ports:
            told = port.told()
            mine[told] = had[told] if told in had and had[told] not in taken else unit(taken | set(had.values()), ipfw.INSTANCES, jail.name, told)
            taken.add(mine[told])
        given[jail.name] = mine
    return given[jail.name]


def _wanted(change: Change) -> Dict[str, str]:
    """The files of a jail that stays; "" for none."""
    found = dict.fromkeys(_paths(change.jail.name), "")
    traffic: Optional[Traffic] = change.jail.own.get("traffic")
    pf_path, pipes_path, ipfw_path = _paths(change.jail.name)
    if traffic is not None and change.scene.seen.own["traffic"].kind == "ipfw":
        nats = _nats_of(change.scene, change.jail, change.old)
        found[ipfw_path] = ipfw.of_jail(_subject(change), traffic.ports, traffic.bandwidth, _host_addresses(change.scene), nats)
    else:
        found[pf_path], found[pipes_path] = _texts(change)
    return found


def _texts(change: Change) -> Tuple[str, str]:
    """The anchor, and the pipes, as files."""
    traffic: Optional[Traffic] = change.jail.own.get("traffic")
    if traffic is None:
        return "", ""
    subject = _subject(change)
    pipes = dummynet.pairs(subject.pipes, traffic.bandwidth)
    lines = [" ".join(dummynet.config(pipe, rate)[1:]) for pipe, rate in pipes]
    return pf.of_jail(subject, traffic.ports, traffic.bandwidth, _host_addresses(change.scene)), "".join(f"{line}\n" for line in lines)


def _ended(change: Change) -> List[str]:
    """The labels of ports that are no longer."""
    traffic: Optional[Traffic] = change.jail.own.get("traffic")
    still = {port.told() for port in traffic.ports} if traffic is not None else set()
    return [pf.label(change.jail.name, told) for told in _had(change).get("ports", ()) if told not in still]


def _dropped(change: Change, all_of_them: bool = False) -> List[int]:
    """The pipes that are no longer."""
    pipe = int(_had(change).get("pipe", 0))
    traffic: Optional[Traffic] = None if all_of_them else change.jail.own.get("traffic")
    if not pipe:
        return []
    limits = traffic.bandwidth if traffic is not None else Bandwidth()
    return [number for number, rate in ((pipe, limits.to_jail), (pipe + 1, limits.from_jail)) if not rate]


def _own_addresses(jail: Jail) -> List[str]:
    """The addresses that are the jail's alone: what its own programs listen on there is no daemon's."""
    joined = [text.partition("/")[0] for wish in jail.own.get("networks", ()) for text in (wish.ip4, wish.ip6)]
    return [*joined, *(address.ip for address in jail.addresses)]
