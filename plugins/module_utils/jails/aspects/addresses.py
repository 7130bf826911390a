# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A jail's network as jail(8) has it: addresses of the host, or a network stack of its own."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Dict, Iterable, List, Mapping, Optional, Sequence, Tuple

from ansible_collections.cellblock.jails.plugins.module_utils.engine.plan import Step
from ansible_collections.cellblock.jails.plugins.module_utils.errors import Faults, InputError
from ansible_collections.cellblock.jails.plugins.module_utils.formats import fields
from ansible_collections.cellblock.jails.plugins.module_utils.jails import drift, loopback, params, runtime
from ansible_collections.cellblock.jails.plugins.module_utils.jails.aspects.aspect import Always
from ansible_collections.cellblock.jails.plugins.module_utils.jails.definition import Definition
from ansible_collections.cellblock.jails.plugins.module_utils.jails.model import Address, Jail, Params
from ansible_collections.cellblock.jails.plugins.module_utils.jails.scene import Change, Draft, Scene

NETWORK = ("vnet", "ip4", "ip6")
ADDRESSES = ("ip4.addr", "ip6.addr")
# Networks that stand for public ones in texts; nobody's private ones, though Python says so.
DOCUMENTED = ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32")


class Addresses(Always):
    """Which addresses a jail has, and whether its network is its own."""

    name = "addresses"
    at_start = ("vnet.interface",)

    def define(self, scene: Scene, jail: Jail, old: Optional[Definition], draft: Draft) -> None:
        """Addresses that come and go with the jail name their interface."""
        hosts = _hosts_own(scene, jail, old)
        if hosts:
            draft.meta["host_addresses"] = hosts
        for address in jail.addresses:
            param = "ip6.addr" if address.family == "inet6" else "ip4.addr"
            owned = replace(address, interface=None) if address.ip in hosts else address
            draft.params.setdefault(param, []).append(owned.conf())
        gone = _dropped(jail, old)
        if gone:
            draft.meta["dropped"] = gone

    def check(self, change: Change) -> None:
        """Interfaces must be there, and who is to bring an address must be known."""
        others, faults = _others_own(change), Faults()
        faults.each(change.jail.addresses, lambda address: _check_address(change, address, others))
        faults.tell()
        for family, localhost in (("inet", "127.0.0.1"), ("inet6", "::1")):
            _warn_of_localhost(change, family, localhost)

    def weigh(self, change: Change) -> Iterable[str]:
        """Whether it shares the host's network is settled at its start."""
        new, running = change.wanted, change.running
        if new is None or running is None:
            return
        own, runs_own = "vnet" in new.params, running.get("vnet") == "new"
        # Unsaid, a jail has the addresses that are given, if any.
        found = {} if own or runs_own else {"ip4": ["disable"], "ip6": ["disable"]}
        found.update((name, new.params[name]) for name in NETWORK if name in new.params)
        for name, values in found.items():
            known = params.find(name)
            if known is not None and known.kernel and not known.live and not params.same(name, values, params.running(name, running)):
                yield name
        if own != runs_own:
            yield "vnet"

    def kept(self, waits: Sequence[str]) -> Sequence[str]:
        """The network stays as it is until the restart."""
        return (*NETWORK, *ADDRESSES, "vnet.interface") if set(waits) & set(NETWORK) else ()

    def alter(self, change: Change) -> List[Step]:
        """Change the addresses of a running jail, on their interfaces too."""
        if change.wanted is None or change.running is None or set(change.waits) & set(NETWORK):
            return []
        steps, interfaces = [], change.scene.seen.interfaces
        for param in ADDRESSES:
            new = _addresses(change.wanted, param)
            now = [str(ip) for ip in change.running.get(param) or []]
            on_host = all(address.interface is None or runtime.has_address(interfaces, address) for address in new)
            dropped = change.wanted.meta.get("dropped", ())
            if drift.holds(param, [address.ip for address in new], change.wanted.params, {param: now}, dropped) and on_host:
                continue
            old = _addresses(change.old, param) if change.old is not None else []
            there = [address for address in old if runtime.has_address(interfaces, address)]
            known = {*dropped, *(address.ip for address in (*old, *new))}
            steps.append(_address_step(change.jail.name, param, there, new, now, [ip for ip in now if ip not in known]))
        return steps


def _warn_of_localhost(change: Change, family: str, localhost: str) -> None:
    """The first address of a jail that shares the host's network is its localhost: told when a public one comes to be that."""
    if change.wanted is None or "vnet" in change.wanted.params:
        return
    param = ADDRESSES[family == "inet6"]
    now, before = _addresses(change.wanted, param)[:1], _addresses(change.old, param)[:1] if change.old is not None else []
    if not now or [one.ip for one in now] == [one.ip for one in before]:
        return
    import ipaddress

    first = ipaddress.ip_address(now[0].ip)
    if first.is_global or any(first in ipaddress.ip_network(one) for one in DOCUMENTED):
        change.scene.warnings.append(
            f"jail {change.jail.name}: {now[0].ip} is public and its first address, so what listens on {localhost} inside answers there. "
            "Let a private address come first: 'loopback: true' gives it one"
        )


def _check_address(change: Change, address: Address, others: Mapping[str, str]) -> None:
    interfaces, where = change.scene.seen.interfaces, f"jail {change.jail.name}, {address.conf()}"
    there = f"this host has {', '.join(sorted(interfaces))}"
    made = address.interface == loopback.DEVICE and "loopback" in change.jail.own  # by the jail itself
    if address.interface is not None and address.interface not in interfaces and not made:
        raise InputError(f"interface {address.interface} does not exist", where, f"T{there[1:]}")
    if address.ip in others:
        raise InputError(
            f"it is the address of jail {others[address.ip]}", where,
            "Give each jail its own, or let both name the address without an interface on a host that has it",
        )
    if address.interface is None and not runtime.has_address(interfaces, address, anywhere=True):
        raise InputError(
            "no interface of this host has it, and none is named to put it on", where,
            f"Say interface: NAME, or write NAME|{address.ip}; {there}",
        )


def _addresses(definition: Definition, param: str) -> List[Address]:
    return [Address.parse(text, None, param) for text in definition.params.get(param, [])]


def _owners(scene: Scene) -> Dict[str, List[str]]:
    """Addresses that come and go with jails of ours, and with which: as they are declared, else as they run."""
    found: Dict[str, List[str]] = {}
    declared = {jail.name for jail in scene.jails}
    for name in scene.marks:
        running = scene.seen.running.get(name)
        if name not in declared and running is not None and running.get("vnet") != "new":
            shared = set(scene.marks[name].get("host_addresses", ()))
            for ip in (str(ip) for param in ADDRESSES for ip in running.get(param) or []):
                if ip not in shared:
                    found.setdefault(ip, []).append(name)
    for jail in scene.jails:
        for address in jail.addresses if jail.state != "absent" else ():
            if address.interface is not None:
                found.setdefault(address.ip, []).append(jail.name)
    return found


def _others_own(change: Change) -> Dict[str, str]:
    """Which of its addresses come and go with another jail, and with which."""
    scene = change.scene
    if scene.owners is None:  # once for all jails
        scene.owners = _owners(scene)
    mine = set() if change.old is None else set(change.old.meta.get("host_addresses", ()))
    found: Dict[str, str] = {}
    for ip in {address.ip for address in change.jail.addresses} - mine:
        others = [name for name in scene.owners.get(ip, ()) if name != change.jail.name]
        if others:
            found[ip] = others[-1]
    return found


def _hosts_own(scene: Scene, jail: Jail, old: Optional[Definition]) -> List[str]:
    """The declared addresses that the host had before the jail: jail(8) would take them away at its stop."""
    had = set(old.meta.get("host_addresses", ())) if old is not None else set()
    known = {address.ip for address in runtime.own_addresses(old)} if old is not None else set()
    found = []
    for address in jail.addresses:
        there = address.interface is not None and runtime.has_address(scene.seen.interfaces, address, anywhere=True)
        if there and address.ip not in known and (address.ip in had or jail.name not in scene.seen.running):
            found.append(address.ip)
    return sorted(found)


def _address_step(name: str, param: str, old: List[Address], new: List[Address], now: List[str], others: List[str]) -> Step:
    after = [*(address.ip for address in new), *others]
    return Step(
        f"change the running jail: {param}",
        lambda host: runtime.bring_addresses(host, name, param, old, new, others), None, f"jail {name}, running",
        f"{param}: {', '.join(now)}\n", f"{param}: {', '.join(after)}\n",
    )


def _dropped(jail: Jail, old: Optional[Definition]) -> List[str]:
    """The addresses that were declared, are not any more, and that a running jail may still have."""
    if old is None:
        return []
    new = {address.ip for address in jail.addresses}
    found = [str(ip) for ip in old.meta.get("dropped", ())]
    found += [address.ip for param in ADDRESSES for address in _addresses(old, param)]
    return [ip for ip in dict.fromkeys(found) if ip not in new]


def _of_family(option: Any, family: str, interface: Optional[str], where: str) -> Tuple[Address, ...]:
    faults = Faults()
    texts = [option] if isinstance(option, str) else list(option or [])
    found = faults.each(texts, lambda text: _of_text(str(text), family, interface, where))
    faults.tell()
    return tuple(found)


def _of_text(text: str, family: str, interface: Optional[str], where: str) -> Address:
    address = Address.parse(text, interface, f"{where}, {family}")
    if (address.family == "inet6") != (family == "ip6"):
        raise InputError(f"{address.ip} is of the other family", f"{where}, {family}", "Use ip4 and ip6 for each")
    return address


def declared(options: Mapping[str, Any], where: str) -> Tuple[Params, Tuple[Address, ...]]:
    """The parameters of the jail's network, addresses aside, and the addresses."""
    found: Params = {}
    addresses: List[Address] = []
    faults = Faults()
    vnet = bool(options.get("vnet") or options.get("networks"))
    for family in ("ip4", "ip6"):
        option = options.get(family)
        if option in ("inherit", "none", "disable", ["inherit"], ["none"], ["disable"]):
            word = option if isinstance(option, str) else option[0]
            found[family] = ["inherit" if word == "inherit" else "disable"]
        else:
            with faults:
                addresses.extend(_of_family(option, family, options.get("interface"), where))
    faults.tell()
    if options.get("loopback") is not None:
        addresses[:0] = loopback.declared(options, addresses, where)
    if vnet and (addresses or found):
        raise InputError(
            "a vnet jail has its own network stack, ip4 and ip6 do not apply", where,
            "Give them by networks, or set them inside (rc_conf: ifconfig_...), or drop vnet",
        )
    if vnet:
        found["vnet"] = ["new"]
    if options.get("vnet_interfaces"):
        if not vnet:
            raise InputError("vnet_interfaces without vnet", where, "Set vnet: true")
        found["vnet.interface"] = [fields.check("interface", str(name), f"{where}, vnet_interfaces") for name in options["vnet_interfaces"]]
    return found, tuple(addresses)
