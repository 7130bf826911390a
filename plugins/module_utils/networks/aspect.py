# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A jail's membership in networks of its host."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any, Dict, Iterable, List, Mapping, Optional, Sequence, Set, Tuple

from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.engine.plan import Step
from ansible_collections.cellblock.jails.plugins.module_utils.errors import InputError
from ansible_collections.cellblock.jails.plugins.module_utils.jails.aspects.aspect import Aspect
from ansible_collections.cellblock.jails.plugins.module_utils.jails.definition import Definition
from ansible_collections.cellblock.jails.plugins.module_utils.jails.model import Jail
from ansible_collections.cellblock.jails.plugins.module_utils.jails.observed import Observed
from ansible_collections.cellblock.jails.plugins.module_utils.jails.scene import Change, Draft, Scene
from ansible_collections.cellblock.jails.plugins.module_utils.networks import join as joins
from ansible_collections.cellblock.jails.plugins.module_utils.networks.join import AUTO, Join, Wish
from ansible_collections.cellblock.jails.plugins.module_utils.networks.model import Network, network_from, networks_of
from ansible_collections.cellblock.jails.plugins.module_utils.networks.names import UNITS, mac, unit
from ansible_collections.cellblock.jails.plugins.module_utils.networks.options import OF_JAILS

HOOKS = ("exec.prestart", "exec.created", "exec.poststop", "vnet.interface")
RC_CONF = "etc/rc.conf"


def known_networks(scene: Scene) -> Dict[str, Network]:
    """The networks of the host; in check mode also those that an earlier task would have made."""
    assumed = [network_from(one) for one in scene.request.assume.get("networks") or ()]
    return {**networks_of(scene.seen.rc_conf), **{network.name: network for network in assumed}}


def joins_in(scene: Scene, jail: Jail, old: Optional[Definition]) -> List[Join]:
    """The memberships of a declared jail: what its mark has stays, what is new is derived."""
    known = known_networks(scene)
    had = {one.network: one for one in joins.joins_of(old.meta if old is not None else {})}
    found: List[Join] = []
    for wish in jail.own.get("networks", ()):
        where = f"jail {jail.name}, networks, {wish.network}"
        network = known.get(wish.network)
        if network is None:
            raise InputError(
                f"this host has no network {wish.network}", where,
                f"It has {', '.join(sorted(known)) or 'none'}; the jail_networks module makes them",
            )
        found.append(joins.joined(wish, network, _unit(scene, jail, wish, had), _mac(scene, jail, wish, network, had), where))
    return found


def _unit(scene: Scene, jail: Jail, wish: Wish, had: Mapping[str, Join]) -> int:
    given: Dict[Tuple[str, str], int] = scene.seen.own.setdefault("epairs", {})
    key = (jail.name, wish.network)
    if key not in given:
        taken = set(given.values())
        for name, facts in scene.marks.items():
            taken |= {one.unit for one in joins.joins_of(facts) if name != jail.name or one.network != wish.network}
        if wish.network in had and had[wish.network].unit not in taken:
            given[key] = had[wish.network].unit
        else:
            taken |= {int(found.group(1)) for found in (re.match(r"epair(\d+)[ab]$", name) for name in scene.seen.interfaces) if found}
            given[key] = unit(taken, UNITS, jail.name, wish.network)
    return given[key]


def _mac(scene: Scene, jail: Jail, wish: Wish, network: Network, had: Mapping[str, Join]) -> str:
    if wish.mac != AUTO:
        return wish.mac
    if wish.network in had:
        return had[wish.network].mac
    return mac(network.fleet, str(scene.seen.own.get("networks", "")), jail.name, wish.network)


class Networks(Aspect):
    """An epair(4) for each network, made and taken away by hooks of the jail: they work at boot, and without us."""

    name = "networks"
    options = OF_JAILS["networks"]
    facts = ("networks",)
    at_start = ("networks",)

    def declare(self, jail: Jail, options: Mapping[str, Any]) -> Optional[Tuple[Wish, ...]]:
        """The memberships."""
        found = joins.wishes_from(options["networks"], f"jail {jail.name}")
        if any(wish.ip4 == joins.DHCP for wish in found) and not options.get("bpf"):
            raise InputError("dhclient(8) needs bpf(4) to ask for an address", f"jail {jail.name}, networks", "Set bpf: true")
        return found or None

    def observe(self, host: Host, seen: Observed, jails: Sequence[Jail]) -> None:
        """The host's name, which tells its jails' addresses from those of another host's jails."""
        seen.own[self.name] = host.ask(["sysctl", "-n", "kern.hostname"]).out.strip()

    def look(self, jail: Jail) -> Mapping[str, int]:
        """The jail's own rc.conf."""
        return {} if jail.root == "empty" else {RC_CONF: 1 << 20}

    def check_host(self, scene: Scene) -> None:
        """Every address of an interface is one of its kind, and so is every IP address in a network."""
        holders: Dict[str, str] = {}
        declared = {jail.name for jail in scene.jails}
        members: List[Tuple[str, Join]] = [
            (name, one) for name, facts in scene.marks.items() if name not in declared for one in joins.joins_of(facts)
        ]
        for jail in scene.jails:
            if jail.state != "absent":
                members += [(jail.name, one) for one in joins_in(scene, jail, scene.seen.definition(jail.name))]
        for name, member in members:
            for what in (member.mac, member.outer_mac, *member.addresses()):
                other = holders.setdefault(what, name)
                if other != name:
                    raise InputError(f"{what} is given to jail {other} too", f"jail {name}, networks, {member.network}", "Give each its own")

    def define(self, scene: Scene, jail: Jail, old: Optional[Definition], draft: Draft) -> None:
        """Hooks of the host, the interfaces, and the mark."""
        members, params = joins_in(scene, jail, old), draft.params
        if not members:
            return
        before = [line for member in members for line in joins.prestart(member)]
        after = [line for member in members for line in joins.poststop(member)]
        params["exec.prestart"] = [*before, *params.get("exec.prestart", [])]
        params["exec.poststop"] = [*params.get("exec.poststop", []), *after]
        if jail.root == "empty":
            inside = [line for member in members for line in joins.created(member, jail.name)]
            params["exec.created"] = [*inside, *params.get("exec.created", [])]
        else:
            params["vnet.interface"] = [*params.get("vnet.interface", []), *(member.inner for member in members)]
        draft.meta["networks"] = [member.fact() for member in members]

    def check(self, change: Change) -> None:
        """A root without rc(8) cannot ask for addresses; the others are told in their rc.conf."""
        jail = change.jail
        new = joins.joins_of(change.wanted.meta if change.wanted is not None else {})
        had = joins.joins_of(change.old.meta if change.old is not None else {})
        if jail.root == "empty":
            asking = [one.network for one in new if one.ip4 == joins.DHCP or one.ip6 == joins.SLAAC]
            if asking:
                raise InputError("nothing in an empty root asks for addresses", f"jail {jail.name}, networks, {asking[0]}", "Give fixed ones")
            return
        gone = [one for one in had if one.unit not in {other.unit for other in new}]
        variables = {**joins.inside(new, [*gone, *had]), **joins.inside(new, [])}
        if variables:
            change.jail = replace(jail, inside=replace(jail.inside, rc_conf={**variables, **jail.inside.rc_conf}))

    def weigh(self, change: Change) -> Iterable[str]:
        """A running jail keeps the interfaces that it was started with."""
        if change.wanted is not None and change.old is not None:
            had = joins.joins_of(change.old.meta)
            lost = any(one.outer not in change.scene.seen.interfaces for one in had)
            if lost or change.wanted.meta.get("networks") != change.old.meta.get("networks"):
                yield self.name

    def kept(self, waits: Sequence[str]) -> Sequence[str]:
        """Its stop undoes what its start did."""
        return HOOKS if {"networks", *HOOKS} & set(waits) else ()

    def prepare(self, change: Change) -> List[Step]:
        """The bridges must be there when the jail starts."""
        if not change.ends_running or change.live or change.wanted is None:
            return []
        known = known_networks(change.scene)
        for member in joins.joins_of(change.wanted.meta):
            assumed = any(one.get("name") == member.network for one in change.scene.request.assume.get("networks") or ())
            if member.bridge not in change.scene.seen.interfaces and member.network in known and not assumed:
                raise InputError(
                    f"{member.bridge} of network {member.network} is not there", f"jail {change.jail.name}",
                    "Run the jail_networks module, which makes it",
                )
        return []

    def alter(self, change: Change) -> List[Step]:
        """Let it in again where a bridge was made anew under it, such as by a restart of rc.d/netif."""
        if self.name in change.waits or change.old is None:
            return []
        seen, steps = change.scene.seen.interfaces, []
        for member in joins.joins_of(change.old.meta):
            if member.bridge not in seen:
                change.scene.warnings.append(
                    f"jail {change.jail.name} reaches nobody in network {member.network}: {member.bridge} is not there. jail_networks makes it"
                )
            elif member.outer not in seen[member.bridge].members:
                steps.append(_rejoin(member))
        return steps

    def remove(self, change: Change) -> List[Step]:
        """What a failed stop left of its pairs."""
        had = joins.joins_of(change.old.meta if change.old is not None else {})
        there: Set[str] = {one.outer for one in had if one.outer in change.scene.seen.interfaces}
        if change.running is not None or not there:
            return []

        def do(host: Host) -> None:
            for name in sorted(there):
                host.ask(["ifconfig", name, "destroy"])

        return [Step(f"destroy {', '.join(sorted(there))}, left of it", do)]

    def report(self, seen: Observed, name: str, facts: Mapping[str, Any]) -> Mapping[str, Any]:
        """Its memberships; a running jail has its end of each pair, and its bridge the other."""
        made = joins.joins_of(facts)
        asked = made if name in seen.running and not facts.get("waits") else []
        lost = [one for one in asked if one.bridge not in seen.interfaces or one.outer not in seen.interfaces[one.bridge].members]
        drift = [{"parameter": "networks", "file": [one.outer], "kernel": []} for one in lost]
        return {"networks": [{"name": one.network, **_told(one)} for one in made], **({"drift": drift} if drift else {})} if made else {}

    def report_host(self, seen: Observed) -> Mapping[str, Any]:
        """The networks, with the jails in them."""
        members: Dict[str, List[Dict[str, str]]] = {}
        for name, facts in seen.marks().items():
            for one in joins.joins_of(facts):
                members.setdefault(one.network, []).append({"name": name, **_told(one)})
        found = [
            {
                "name": network.name, "device": network.device, "there": network.device in seen.interfaces, "uplink": network.port,
                "ip4": network.ip4 or network.net4, "ip6": network.ip6 or network.net6, "nat": network.via if network.nat else "",
                "private": network.private, "jails": members.get(network.name, []),
            }
            for network in networks_of(seen.rc_conf).values()
        ]
        return {"networks": found} if found else {}

    def tell(self, change: Change) -> Mapping[str, Any]:
        """Which interfaces and addresses it has."""
        made = joins.joins_of(change.wanted.meta if change.wanted is not None else {})
        return {"networks": [{"name": one.network, **_told(one)} for one in made]} if made else {}


def _rejoin(member: Join) -> Step:
    def do(host: Host) -> None:
        private = ["private", member.outer] if member.private else []
        host.run(["ifconfig", member.bridge, "addm", member.outer, *private])

    def undo(host: Host) -> None:
        host.run(["ifconfig", member.bridge, "deletem", member.outer])

    return Step(f"let {member.outer} into {member.bridge} again", do, undo)


def _told(one: Join) -> Dict[str, str]:
    return {"interface": one.inner, "mac": one.mac, "ip4": one.ip4, "ip6": one.ip6}
