# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Taking over loses nothing: what another's definition says is declared too, or kept, or the taking over is refused with its words."""

from __future__ import annotations

import os.path
import re
from dataclasses import dataclass, replace
from typing import Any, Dict, List, Optional, Sequence, Set

from ansible_collections.cellblock.jails.plugins.module_utils.errors import CellblockError, Refused
from ansible_collections.cellblock.jails.plugins.module_utils.formats import fstab, jail_conf
from ansible_collections.cellblock.jails.plugins.module_utils.jails import definition as definitions
from ansible_collections.cellblock.jails.plugins.module_utils.jails import drift, next_boot
from ansible_collections.cellblock.jails.plugins.module_utils.jails.model import LIVE_HOOKS, Jail, Params
from ansible_collections.cellblock.jails.plugins.module_utils.jails.observed import RC_CONF
from ansible_collections.cellblock.jails.plugins.module_utils.jails.scene import Change, Scene

# Where a declaration always says something, or that is compared as something else.
ASIDE = {"persist", "exec.clean", "exec.consolelog", "interface", "mount.fstab", "mount", "ip4.addr", "ip6.addr", "devfs_ruleset"}
USUAL = {
    "exec.start": (["/bin/sh /etc/rc"],), "exec.stop": (["/bin/sh /etc/rc.shutdown jail"], ["/bin/sh /etc/rc.shutdown"]),
    "exec.jail_user": (["root"],), "exec.system_user": (["root"],), "exec.fib": (["0"],), "exec.timeout": (["0"],), "stop.timeout": (["10"],),
}


@dataclass(frozen=True)
class Theirs:
    """A jail's definition in another's hand.

    :param others: the other jails that the same file defines.
    :param legacy: whether it is made of variables of rc.conf(5).
    """

    place: str
    params: Params
    jid: Optional[str] = None
    others: Sequence[str] = ()
    legacy: bool = False


def number(scene: Scene, jail: Jail) -> Optional[str]:
    """The number that their definition fixes, which rules of ipfw(8) and others may name."""
    return next((one.jid for one in _found(scene, jail) if one.jid is not None), None)


def check(change: Change) -> None:
    """Refuse to take a jail over while something would be lost by it.

    :raises Refused: with the words that are not declared, or what else stands in the file.
    """
    jail, where = change.jail, f"jail {change.jail.name}"
    found = _found(change.scene, jail)
    if not found and change.running is not None and change.wanted is not None:  # by a tool of its own, or by hand
        beyond = drift.beyond(change.wanted.params, change.running, change.scene.seen.sysctl)
        found = [Theirs("the running jail", {name: [str(change.running[name])] for name in beyond})]
    for theirs in found:
        log, now = theirs.params.get("exec.consolelog", [""])[-1], (change.wanted.params if change.wanted else {}).get("exec.consolelog", [""])[-1]
        if log and log != now:
            change.scene.warnings.append(f"{where}: its console log moves from {log} to {now or 'nowhere'}")
        if theirs.others:
            raise Refused(
                f"{theirs.place} defines {', '.join(theirs.others)} too, and makes place for ours", where,
                f"Move the others to files of their own, such as {definitions.conf_path(theirs.others[0])}",
            )
        lost = _lost(change, theirs)
        if lost:
            raise Refused(
                f"{theirs.place} says what the declaration does not, and it would be lost: {'; '.join(lost)}", where,
                f"Declare it too, or take it out of {theirs.place} first",
            )


def _found(scene: Scene, jail: Jail) -> List[Theirs]:
    """The definitions that count now, or make place for ours."""
    name, seen = jail.name, scene.seen
    path, place = definitions.conf_path(name), seen.elsewhere(name)
    found = []
    if place == RC_CONF:
        text = next_boot.legacy_text(name, seen.variables.values, seen.boot_files)
        place = seen.variables.setter(f"jail_{definitions.infix(name)}_rootdir")
        found += [Theirs(place, one["params"], legacy=True) for one in _read(scene, text, "/var/run/jail.conf", name)]
    elif place is not None and place != path and seen.boot_files.text(place):
        found += [replace(one, others=()) for one in _in_file(scene, place, name)]
    if name in seen.confs:
        found += _in_file(scene, path, name)
    return found


def _in_file(scene: Scene, path: str, name: str) -> List[Theirs]:
    jids: Dict[str, str] = {}
    jails = _read(scene, scene.seen.boot_files.text(path) or "", path, name, jids)
    others = [str(one["name"]) for one in jails if one["name"] != name]
    own = [Theirs(path, one["params"], jids.get(name), others) for one in jails if one["name"] == name]
    return own or [Theirs(path, {}, None, others)]


def _read(scene: Scene, text: str, path: str, name: str, jids: Optional[Dict[str, str]] = None) -> List[Dict[str, Any]]:
    try:
        return jail_conf.parse(text, "/", path, [], scene.seen.boot_files, jids)
    except CellblockError as error:
        raise Refused(f"{path} cannot be read, and so not what would be lost: {error.what}", f"jail {name}", "Mend it, or move it away") from error


def _lost(change: Change, theirs: Theirs) -> List[str]:
    """The words of their definition that the declaration does not carry."""
    wanted = drift.plain(change.wanted.params if change.wanted is not None else {})
    found, legacy = drift.plain(theirs.params), theirs.legacy
    lost = [*_lost_addresses(change.jail, found), *_lost_mounts(change, found, wanted)]
    ruleset = found.get("devfs_ruleset", ["0"])
    if change.jail.ruleset is None and "devfs_ruleset" in wanted and ruleset not in (["0"], wanted["devfs_ruleset"]):
        lost.append(f"devfs_ruleset = {ruleset[-1]}")
    for name in sorted(found.keys() - ASIDE):
        said = [one for one in found[name] if not (legacy and re.fullmatch(r"sleep +\d+ *", one))]
        if legacy and definitions.RC_ALWAYS.get(name) == said or said in (wanted.get(name), drift.unsaid(name), *USUAL.get(name, ())):
            continue
        if name == "path" and change.jail.path in (os.path.normpath(said[-1]), (change.running or {}).get("path")):
            continue  # by another spelling, or through a link
        if not _is_declared(change.jail, name, wanted) and said:
            lost.append(f"{name} = {', '.join(said)}")
    return lost


def _is_declared(jail: Jail, name: str, wanted: Params) -> bool:
    """Whether the declaration speaks of a parameter by itself."""
    now = wanted.get(name)
    if name == "depend":
        return bool(jail.depend)
    if name == "path":
        return False
    if name == "host.hostname":
        return now != [jail.name]
    if name in ("vnet", "ip4", "ip6"):
        return now is not None or bool(jail.addresses) or "vnet" in wanted
    if name == "vnet.interface" and "networks" in jail.own:
        return True
    return any(not one.startswith(LIVE_HOOKS) for one in now or ()) and now not in USUAL.get(name, ())


def _lost_addresses(jail: Jail, found: Params) -> List[str]:
    """Addresses of a family of which the declaration says nothing."""
    said: Set[str] = {"ip6.addr" if address.family == "inet6" else "ip4.addr" for address in jail.addresses}
    if "vnet" in jail.params:
        return []
    return [
        f"{name} = {', '.join(found[name])}" for name in ("ip4.addr", "ip6.addr")
        if found.get(name) and name not in said and name[:3] not in jail.params
    ]


def _lost_mounts(change: Change, found: Params, wanted: Params) -> List[str]:
    lines = list(found.get("mount", []))
    for path in found.get("mount.fstab", []):
        lines += (change.scene.seen.boot_files.text(path) or "").split("\n")
    points = {line.split()[1] for line in wanted.get("mount", [])}
    try:
        entries = [fstab.parse_line(line) for line in lines]
    except ValueError as error:
        return [f"mounts ({error})"]
    rendered = [fstab.render_line(entry) for entry in entries if entry is not None]
    return [f"mount = {line}" for line in rendered if line.split()[1] not in points]
