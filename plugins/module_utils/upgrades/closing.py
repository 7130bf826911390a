# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A jail that is tried before anybody can reach it.

Its addresses are on the host's loopback, or its interfaces in no bridge; its ports are not open.
"""

from __future__ import annotations

import ipaddress
import re
import shlex
from dataclasses import replace
from typing import Optional

from ansible_collections.cellblock.jails.plugins.module_utils.engine import ask
from ansible_collections.cellblock.jails.plugins.module_utils.engine.commands import CommandError
from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.errors import HostError
from ansible_collections.cellblock.jails.plugins.module_utils.jails import runtime
from ansible_collections.cellblock.jails.plugins.module_utils.jails.definition import Definition
from ansible_collections.cellblock.jails.plugins.module_utils.jails.stopping import addresses as own_addresses
from ansible_collections.cellblock.jails.plugins.module_utils.networks.join import DHCP, SLAAC, joins_of
from ansible_collections.cellblock.jails.plugins.module_utils.upgrades.model import parts

LOOPBACK = "lo0"
FAMILIES = ("ip4.addr", "ip6.addr")
# A hook of ours that opens a jail's ports, see networks/rules.py.
OPENS = re.compile(r"/sbin/pfctl -q -a cellblock/\S+ -f /\S+")
# One that lets the host's end of a jail's epair into a bridge, see networks/join.py.
JOINS = re.compile(r"/sbin/ifconfig \S+ addm \S+(?: private \S+)?")
NEVER_STOPS = ("exec.start", "exec.poststart", "command")


def why_open(definition: Definition) -> Optional[str]:
    """Why a jail can be reached as soon as it runs; None when it can be tried in private."""
    params = definition.params
    if has_stack(definition):
        members = joins_of(definition.meta)
        others = set(params.get("vnet.interface", [])) - {member.inner for member in members}
        if others or not members:
            return "it has a network stack of its own, and interfaces that we did not make"
        return "it asks its network for addresses" if any({member.ip4, member.ip6} & {DHCP, SLAAC} for member in members) else None
    if any(params.get(family) == ["inherit"] for family in ("ip4", "ip6")):
        return "it has all addresses of the host"
    for text in (text for family in FAMILIES for text in params.get(family, [])):
        if "|" not in text and not ipaddress.ip_address(parts([text])[0]).is_loopback:
            return f"{text} is an address of the host's own"
    return None


def has_stack(definition: Definition) -> bool:
    """Whether a jail has a network stack of its own."""
    return definition.params.get("vnet", ["inherit"]) != ["inherit"]


def closed(definition: Definition) -> Definition:
    """The definition of the same jail as nobody outside the host can reach it."""
    if why_open(definition) is not None:
        return definition
    params = {name: list(values) for name, values in definition.params.items()}
    for family in FAMILIES:
        if family in params:
            params[family] = [_on_loopback(text) for text in params[family]]
    if "exec.prestart" in params:
        params["exec.prestart"] = [hook for hook in params["exec.prestart"] if not _is_opening(hook)]
    return replace(definition, params=params)


def bare(definition: Definition) -> Definition:
    """The same, but nothing of its own is started: for work inside."""
    params = {name: values for name, values in definition.params.items() if name not in NEVER_STOPS}
    return replace(definition, params={**params, "persist": ["true"]})


def _on_loopback(text: str) -> str:
    if "|" not in text:
        return text
    address = parts([text])[0]
    return f"{LOOPBACK}|{address}/{128 if ':' in address else 32}"


def start(host: Host, definition: Definition) -> None:
    """Start a jail by a definition that stands in no file."""
    name = definition.name
    if definition.style == "rc_conf":
        host.run(["service", "jail", "oneconfig", name], where=f"jail {name}")  # its stop reads that file
    result = host.ask(["jail", "-f", "-", "-c", name], stdin=definition.conf(), timeout=runtime.START_TIMEOUT)
    if result.rc != 0 and not runtime.alive(host, name):
        runtime.clean_up(host, definition)
        log = (definition.params.get("exec.consolelog") or [""])[-1]
        raise HostError(f"did not start: {result.said()}", f"jail {name}", f"Its own words are in {log}" if log else None)


def stop(host: Host, definition: Definition, quite: bool = False) -> None:
    """Stop a jail that may have been started closed, and take away what that left.

    :param quite: whether to wait until nothing refers to its root any more; a closed TCP connection may.
    """
    runtime.stop(host, definition)
    runtime.clean_up(host, closed(definition))
    if quite or runtime.wants_interfaces(definition):
        runtime.wait_dead(host, definition.name, interfaces=runtime.wants_interfaces(definition))


def open_up(host: Host, definition: Definition) -> None:
    """Bring the addresses to where they belong, and open the ports; fine when that was done."""
    inner, interfaces = closed(definition), ask.interfaces(host)
    if inner == definition:
        return
    for away in own_addresses(inner.params):
        if away.interface == LOOPBACK and away not in own_addresses(definition.params) and runtime.has_address(interfaces, away):
            runtime.remove_address(host, away)
    for address in own_addresses(definition.params):
        if not runtime.has_address(interfaces, address):
            runtime.add_address(host, address)
    for hook in filter(_is_opening, definition.params.get("exec.prestart", [])):
        result = host.ask(shlex.split(hook))
        if result.rc != 0 and not (JOINS.fullmatch(hook) and "exists" in result.err):
            raise CommandError(result, f"jail {definition.name}")


def _is_opening(hook: str) -> bool:
    return bool(OPENS.fullmatch(hook) or JOINS.fullmatch(hook))
