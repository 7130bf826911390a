# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host lacks that a jail comes to: all of it told at once, before anything is touched."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict

from ansible_collections.cellblock.jails.plugins.module_utils.engine import ask, storage
from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.errors import Faults, HostError, InputError, Refused
from ansible_collections.cellblock.jails.plugins.module_utils.jails.planning import Planner
from ansible_collections.cellblock.jails.plugins.module_utils.jails.request import Request
from ansible_collections.cellblock.jails.plugins.module_utils.jails.scene import Scene
from ansible_collections.cellblock.jails.plugins.module_utils.moves import keys
from ansible_collections.cellblock.jails.plugins.module_utils.moves.journal import ARRIVING, FACT, GONE
from ansible_collections.cellblock.jails.plugins.module_utils.moves.offer import features
from ansible_collections.cellblock.jails.plugins.module_utils.networks.join import joins_of

if TYPE_CHECKING:
    from ansible_collections.cellblock.jails.plugins.module_utils.moves.target import Target

STREAMED = ("large_blocks", "embedded_data", "lz4_compress", "zstd_compress", "large_microzap")


def check(target: Target, host: Host) -> None:
    """Refuse with all that it lacks at once."""
    where, faults = f"jail {target.name}", Faults()
    with faults:
        keys.check(host)
    with faults:
        if target.noted and target.noted.get("id") != target.move:
            raise Refused("another move of a jail of this name was cut off here", where, "Give it up first: jail_move_state=aborted")
    with faults:
        if target.stands is not None or target.name in target.seen.running or target.name in target.seen.confs:
            copy = target.stands is not None and (target.stands.meta.get(FACT) or {}).get("phase") == GONE
            raise Refused(
                "what it was before it moved away is still here" if copy else "a jail of this name is here", where,
                "Remove it by state: absent" if copy else "Rename or remove one of them",
            )
    with faults:
        if not target.noted and (target.place.path in target.seen.filled or target.place.dataset in (target.seen.datasets or {})):
            raise Refused(f"{target.place.path} is taken", where, "Move away what stands there")
    with faults:
        _check_release(target)
    with faults:
        _check_space(target, host)
    with faults:
        _check_rulesets(target)
    with faults:
        _check_addresses(target)
    with faults:
        _check_planned(target)
    faults.tell()


def _check_space(target: Target, host: Host) -> None:
    need = target.offer.size
    if target.place.dataset is not None:
        free = int(host.run(["zfs", "get", "-Hp", "-o", "value", "available", str(target.storage_dataset)]).out.strip())
        if free < need and not target.noted:
            raise HostError(f"it needs {need} bytes, and {target.storage_dataset} has {free}", "space", "Make room, or raise the quota")


def _check_release(target: Target) -> None:
    told = target.offer.release
    if told.isdigit() and int(told) // 100000 > target.seen.osreldate // 100000:
        raise InputError(f"it comes from FreeBSD {int(told) // 100000}, which is newer than this host", f"jail {target.name}", "Upgrade this host first")


def _check_rulesets(target: Target) -> None:
    for name in target.offer.rulesets:
        if name not in target.seen.rulesets and "devfs_ruleset" not in target.asked:
            raise InputError(f"this host has no devfs ruleset {name}", "devfs_ruleset", "Make it with devfs_rulesets, with the rules that the source has")


def _check_addresses(target: Target) -> None:
    held = {found.ip: name for name, interface in target.seen.interfaces.items() for found in interface.addresses}
    for address in target.jail.addresses:
        if address.interface is not None and address.ip in held:
            raise InputError(f"{address.ip} is in use on {held[address.ip]}", "ip4", "Free it, or give another in jail_move_options")
        if address.interface is not None and address.interface not in target.seen.interfaces:
            raise InputError(f"this host has no interface {address.interface}", "ip4", "Give its addresses anew in jail_move_options")
    for name, facts in target.seen.marks().items():
        taken = {address for one in joins_of(facts) for address in one.addresses()}
        wanted = {str(one.get(key, "")).partition("/")[0] for one in target.offer.options.get("networks") or () for key in ("ip4", "ip6")}
        if taken & wanted - {""}:
            raise InputError(f"{', '.join(sorted(taken & wanted))} is given to jail {name}", "networks", "Give another in jail_move_options")


def _check_planned(target: Target) -> None:
    """Whatever a declaration of this jail would be refused for here."""
    base = target.jail.base_path(target.storage_path)
    if target.jail.root == "thin" and not target.place.base_kind and base not in target.seen.directories:
        raise InputError(f"its base {base} is not here", "base", "Make it at the same path, or name another base in jail_move_options")
    assume: Dict[str, Any] = {"bases": [target.jail.base] if target.jail.base else []}
    request = Request([target.jail], target.storage_path, target.storage_dataset, whole=False, assume=assume)
    target.seen.filled.discard(target.place.path)
    target.seen.datasets = {name: found for name, found in (target.seen.datasets or {}).items() if name.partition("@")[0] != target.place.dataset}
    Planner(Scene(request, target.seen, [target.jail], target.seen.marks())).plan()


def tell(target: Target, host: Host) -> None:
    """What is sent, and how."""
    place, offer, tells = target.place, target.offer, []
    if place.base_kind:
        tells.append(f"base {offer.base['name']} is not here, and is sent first")
    if target.jail.root == "clone" and place.kind == "zfs" and not place.clone:
        tells.append("no base here has the snapshot that it is a clone of: all of it is sent, and shares nothing")
    if target.jail.root != offer.root:
        tells.append(f"its root is {offer.root}, and becomes {target.jail.root} here: declare it so")
    missing = sorted(set(target.jail.depend) - set(target.seen.marks()))
    if missing:
        tells.append(f"it depends on {', '.join(missing)}, which this host has not")
    if offer.dependants:
        tells.append(f"{', '.join(offer.dependants)} on {offer.host} depend on it")
    if place.kind == "tar" and offer.dataset is not None and storage.acls(ask.mounts(host), place.path) != "nfsv4acls":
        tells.append("its file system here has no NFSv4 ACLs: what has one comes with its mode alone")
    flags = ""
    if place.kind == "zfs" and target.storage_dataset is not None and not offer.raw:
        have = features(host, target.storage_dataset, ("active", "enabled"))
        lacks = [name for name in STREAMED if name in offer.features and name not in have]
        flags = "" if lacks else "Lec"
        if "large_microzap" in lacks:
            raise HostError(f"its pool lacks the feature large_microzap, which that of {offer.host} uses", str(target.storage_dataset), "zpool upgrade it")
        if lacks:
            tells.append(f"the pool lacks {', '.join(lacks)}: blocks are sent larger than they are")
    target.told.update(
        id=target.move, phase=ARRIVING if target.noted else "", host=host.run(["sysctl", "-n", "kern.hostname"]).out.strip(), kind=place.kind,
        streams=place.streams(), base_kind=place.base_kind, clone=place.clone, flags=flags, bytes=offer.size, tells=tells,
        host_keys=keys.host_keys(host), datasets={}, path=place.path,
    )
