# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What both sides of a move keep of it until it has ended: names, marks, and a directory of the host."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any, Dict, List, Mapping, Optional

from ansible_collections.cellblock.jails.plugins.module_utils.engine import noted, storage
from ansible_collections.cellblock.jails.plugins.module_utils.engine.commands import CommandError
from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.errors import Refused
from ansible_collections.cellblock.jails.plugins.module_utils.jails import boot
from ansible_collections.cellblock.jails.plugins.module_utils.jails import definition as definitions
from ansible_collections.cellblock.jails.plugins.module_utils.jails.definition import RC_CONF, Definition

FACT = "moving"  # of a mark
# How far it came, on the side that a jail leaves: it still runs there; it is down and cannot start; it runs elsewhere.
SENDING, STOPPED, GONE = "sending", "stopped", "gone"
# And on the side that it comes to: it is received; it stands in its place; it runs.
ARRIVING, PLACED, HERE = "arriving", "placed", "here"
HOME = f"{noted.TOP}/moves"
GUARD = "/usr/bin/false it has moved to another host"


def prefix(move: str) -> str:
    """What the snapshots of a move are called, before their number."""
    return f"cellblock-move-{move}-"


def home(name: str) -> str:
    """Where a side keeps what it needs."""
    return f"{HOME}/{name}"


def noting(definition: Definition, said: Optional[Mapping[str, Any]]) -> Definition:
    """The same with another word on its move; None takes it away."""
    return definition.noting(FACT, said)


def fenced(definition: Definition) -> Definition:
    """The same as nothing starts it."""
    said = {**(definition.meta.get(FACT) or {}), "boot": bool(definition.meta.get("boot", True))}
    return replace(definition.barred(GUARD), meta={**definition.meta, "boot": False, FACT: said})


def unfenced(definition: Definition) -> Definition:
    """The same as it starts."""
    meta, said = dict(definition.meta), dict(definition.meta.get(FACT) or {})
    if "boot" in said:
        meta["boot"] = said.pop("boot")
        meta[FACT] = said
    return replace(definition.unbarred(GUARD), meta=meta)


def leaving(definition: Definition) -> Dict[str, Any]:
    """What a mark says of a move from here."""
    said = definition.meta.get(FACT)
    return dict(said) if isinstance(said, dict) and said.get("to") else {}


def put(host: Host, definition: Definition) -> None:
    """Write a definition of ours that is there already, whatever its style."""
    if definition.style == "jail_conf":
        host.write(definitions.conf_path(definition.name), definition.conf())
    else:
        host.write(RC_CONF, boot.put(host.read(RC_CONF) or "", definition.name, definition))


def read(host: Host, name: str) -> Definition:
    """A definition of ours as it stands now."""
    found = definitions.read_conf(name, host.read(definitions.conf_path(name)) or "")
    groups = definitions.rc_groups(host.read(RC_CONF) or "") if found is None else {}
    if name in groups:
        facts, lines = groups[name]
        found = definitions.read_rc(name, facts, lines, host.read(definitions.fstab_path(name)) or "")
    if found is None:
        raise Refused("it is not there, or not ours", f"jail {name}", "Name a jail that this collection made")
    return found


# -- the side that it comes to: there is no definition yet


def load(host: Host, name: str) -> Dict[str, Any]:
    """What this side noted of a jail that comes."""
    return noted.read(host, f"{home(name)}/arriving.json")


def save(host: Host, name: str, said: Mapping[str, Any]) -> None:
    """Note it."""
    noted.write(host, f"{home(name)}/arriving.json", said)


def drop_home(host: Host, name: str) -> None:
    """Keep nothing any more."""
    for entry in host.listdir(home(name)):
        host.remove(f"{home(name)}/{entry}")
    host.rmdir(home(name))
    if host.isdir(HOME) and not host.listdir(HOME):
        host.rmdir(HOME)


# -- snapshots of ours


def snapshots(host: Host, dataset: str) -> Dict[str, str]:
    """The snapshots of a dataset, oldest first, and their guids; none where there is no dataset."""
    told = host.ask(["zfs", "list", "-H", "-t", "snapshot", "-d", "1", "-o", "name,guid", "-s", "createtxg", dataset])
    if told.rc != 0 and "does not exist" not in told.err:
        raise CommandError(told)
    lines = [line.split("\t") for line in told.out.splitlines() if "@" in line]
    return {words[0].partition("@")[2]: words[1] for words in lines}


def drop_snapshots(host: Host, datasets: "List[str]", move: str, kept: Optional[str] = None) -> None:
    """Destroy the snapshots of a move; others' stay, and those that others made clones of."""
    for dataset in datasets:
        for name in snapshots(host, dataset):
            if name.startswith(prefix(move)) and name != kept:
                held = host.ask(["zfs", "holds", "-H", f"{dataset}@{name}"]).out
                if re.search(rf"\t{storage.HOLD}\t", held):
                    host.ask(["zfs", "release", storage.HOLD, f"{dataset}@{name}"])
                result = host.ask(["zfs", "destroy", f"{dataset}@{name}"])
                if result.rc != 0 and not any(word in result.err for word in ("does not exist", "could not find", "clones", "busy")):
                    raise CommandError(result)
