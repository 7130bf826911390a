# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a call of jail_move asks for, and the plan of its phase."""

from __future__ import annotations

from typing import Any, Dict, Mapping

from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.engine.plan import Plan
from ansible_collections.cellblock.jails.plugins.module_utils.engine.spec import faults
from ansible_collections.cellblock.jails.plugins.module_utils.errors import InputError
from ansible_collections.cellblock.jails.plugins.module_utils.formats.outputs import amount
from ansible_collections.cellblock.jails.plugins.module_utils.jails.observe import observe
from ansible_collections.cellblock.jails.plugins.module_utils.moves import offer as offers
from ansible_collections.cellblock.jails.plugins.module_utils.moves.source import Source, Wish
from ansible_collections.cellblock.jails.plugins.module_utils.moves.target import Target
from ansible_collections.cellblock.jails.plugins.module_utils.upgrades.model import GATE, Gate

OF_SOURCE = ("begin", "send", "stop", "rest", "gone", "back")
OF_TARGET = ("open", "look", "allow", "prune", "place", "start", "demote", "forget", "close")
PHASES = ("offer", *OF_SOURCE, *OF_TARGET)
# What moves and replicas are told alike; plugins/doc_fragments/moves.py documents it.
BETWEEN_HOSTS: Dict[str, Any] = {
    "name": {"type": "str", "required": True},
    "there": {"type": "dict", "default": {}},
    "keys": {"type": "dict", "default": {}, "no_log": False},
    "address": {"type": "str", "default": ""},
    "port": {"type": "int", "default": 22},
    "limit": {"type": "str"},
}


def plan(host: Host, options: Mapping[str, Any]) -> Plan:
    """The plan of a phase."""
    name, phase = str(options["name"]), str(options["phase"])
    path, dataset = str(options["storage_path"]).rstrip("/"), options.get("storage_dataset")
    if phase == "offer" or phase in OF_SOURCE:
        if phase in ("gone", "back"):
            offer = _kept(host, name, path, dataset)
        else:
            offer = offers.make(host, observe(host, [], path, dataset), name, path)
        if phase == "offer":
            return Plan(facts={"move": offer.told()})
        return Source(host, name, offer, str(options["id"] or offer.move), _wish(options)).plan(phase)
    if not options.get("offer"):
        raise InputError("it needs what the source offers", "offer", "Give move of the phase offer")
    told = offers.Offer.read(options["offer"])
    target = Target(host, told, str(options["id"] or told.move), path, dataset, options["options"])
    return target.plan(phase, host, options["keys"], options["identities"], _gate(options["gate"]), bool(options["restart"]))


def _kept(host: Host, name: str, path: str, dataset: Any) -> offers.Offer:
    """What is known of a jail without asking whether it may leave."""
    return offers.make(host, observe(host, [], path, dataset), name, path, goes=False)


OF_REPLICAS = ("begin", "send", "open", "allow", "close", "promote")


def replica(host: Host, options: Mapping[str, Any]) -> Plan:
    """The plan of a phase of a replica."""
    from ansible_collections.cellblock.jails.plugins.module_utils.moves.replicas import Keeper, Origin

    name, phase = str(options["name"]), str(options["phase"])
    path, dataset = str(options["storage_path"]).rstrip("/"), options.get("storage_dataset")
    if phase in ("begin", "send"):
        origin = Origin(host, offers.make(host, observe(host, [], path, dataset), name, path), _wish(options))
        return origin.begin() if phase == "begin" else origin.send()
    told = offers.Offer.read(options["offer"]) if options.get("offer") else None
    keeper = Keeper(host, name, str(options["origin"] or (told.host if told else "")), told, path, dataset)
    if phase == "allow":
        return keeper.allow(options["keys"])
    return {"open": keeper.open, "close": keeper.close, "promote": keeper.promote}[phase](host)


def _wish(options: Mapping[str, Any]) -> Wish:
    limit = options.get("limit")
    try:
        most = amount(str(limit)) if limit else None
    except ValueError as error:
        raise InputError(f"{limit!r} is not an amount", "limit", "Bytes in a second, such as 50M") from error
    return Wish(str(options["address"]), int(options["port"]), dict(options["there"]), most)


def _gate(given: Mapping[str, Any]) -> Gate:
    found = faults(GATE, given)
    if found:
        raise InputError("; ".join(found), "gate")
    return Gate.of(given, "gate")
