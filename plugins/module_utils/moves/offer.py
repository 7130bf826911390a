# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a jail is made of that leaves its host: all that the other side must know to take it."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Optional, Tuple

from ansible_collections.cellblock.jails.plugins.module_utils.backups.declared import options_of
from ansible_collections.cellblock.jails.plugins.module_utils.engine import storage
from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.errors import InputError, Refused
from ansible_collections.cellblock.jails.plugins.module_utils.formats import devfs_rules
from ansible_collections.cellblock.jails.plugins.module_utils.jails.definition import Definition
from ansible_collections.cellblock.jails.plugins.module_utils.jails.model import BASE_ROOTS
from ansible_collections.cellblock.jails.plugins.module_utils.jails.observe import DEVFS_RULES
from ansible_collections.cellblock.jails.plugins.module_utils.jails.observed import Observed
from ansible_collections.cellblock.jails.plugins.module_utils.moves.journal import leaving, unfenced
from ansible_collections.cellblock.jails.plugins.module_utils.upgrades.keeping import local_properties
from ansible_collections.cellblock.jails.plugins.module_utils.upgrades.model import unfinished

FORMAT = 1
ROOT, BASE, SURVEY = "root", "base", "survey"


@dataclass(frozen=True)
class Offer:
    """A jail that may leave.

    :param host: the host that it leaves.
    :param options: the options that it is declared by.
    :param datasets: of its root, the root's own first, by the name of their streams: below the root, and what is set on each.
    :param base: its base: name, path, and for a dataset its name, snapshot and guid.
    :param move: the move that is under way, and its phase.
    :param passed: whether a first pass of a plain root is done.
    """

    name: str
    host: str
    options: Mapping[str, Any]
    root: str
    path: str
    storage_path: str
    ran: bool
    busy: bool
    size: int
    release: str = ""
    dataset: Optional[str] = None
    datasets: Mapping[str, Mapping[str, Any]] = None  # type: ignore[assignment]
    raw: bool = False
    base: Mapping[str, Any] = None  # type: ignore[assignment]
    rulesets: Mapping[str, List[str]] = None  # type: ignore[assignment]
    features: Tuple[str, ...] = ()
    move: str = ""
    phase: str = ""
    passed: bool = False
    dependants: Tuple[str, ...] = ()

    def told(self) -> Dict[str, Any]:
        """As it goes from one module call to another."""
        return {"format": FORMAT, **{key: list(value) if isinstance(value, tuple) else value for key, value in vars(self).items()}}

    @classmethod
    def read(cls, told: Mapping[str, Any]) -> Offer:
        """What was told."""
        if told.get("format") != FORMAT:
            raise InputError("it is of another version of this collection", "offer", "Use the same on both hosts")
        words: Dict[str, Any] = {key: tuple(value) if key in ("features", "dependants") else value for key, value in told.items() if key != "format"}
        return cls(**words)


def make(host: Host, seen: Observed, name: str, storage_path: str, goes: bool = True) -> Offer:
    """Read a jail that may leave.

    :param goes: whether it is asked for; else it is only told what it is.
    :raises Refused: it cannot.
    """
    definition = seen.definition(name)
    if definition is None:
        raise Refused("it is not there, or not ours", f"jail {name}", "Name a jail that this collection made")
    if goes:
        _check(seen, name, definition)
    meta = definition.meta
    noted = leaving(definition)
    path = str(meta.get("path"))
    dataset = seen.dataset_of(name, meta)
    running = name in seen.running
    rules = sorted(rule for rule in seen.rctl_conf.split() if rule.startswith(f"jail:{name}:"))
    plain, move = options_of(unfenced(definition), rules), str(noted.get("id") or f"{int(time.time()):x}")
    return Offer(
        name, host.run(["sysctl", "-n", "kern.hostname"]).out.strip(), plain, str(meta.get("root")), path, storage_path,
        bool(noted.get("ran", running)), bool(noted.get("busy", running and _busy(host, name))), _size(host, dataset, path),
        _release(seen), dataset, _datasets(host, seen, dataset) if dataset else {},
        dataset is not None and _property(host, dataset, "encryption") not in ("off", "-"), _base(host, seen, meta, storage_path, dataset),
        _rulesets(host, plain), _features(host, dataset), move, str(noted.get("phase", "")), bool(noted.get("passed")),
        tuple(sorted(other for other, facts in seen.marks().items() if name in (facts.get("depend") or ()))),
    )


def _check(seen: Observed, name: str, definition: Definition) -> None:
    where = f"jail {name}"
    if definition.lost:
        raise Refused("its definition cannot be read any more", where, "Declare it once: that writes it anew")
    inner = sorted(other for other in {*seen.marks(), *seen.running} if other.startswith(f"{name}."))
    path = str(definition.meta.get("path"))
    inner += [other for root, other in seen.roots.items() if root.startswith(f"{path}/") and other not in inner]
    if inner:
        raise Refused(f"other jails are nested in it: {', '.join(inner)}", where, "Remove them first, and declare them on the other host")
    if unfinished(definition.meta) or definition.meta.get("renaming"):
        raise Refused("an upgrade or a renaming of it was cut off", where, "Let that end first")


def _busy(host: Host, name: str) -> bool:
    return bool(host.ask(["ps", "-J", name, "-o", "pid="]).out.strip())


def _property(host: Host, name: str, key: str) -> str:
    return host.run(["zfs", "get", "-Hp", "-o", "value", key, name]).out.strip()


def _size(host: Host, dataset: Optional[str], path: str) -> int:
    if dataset is not None:
        return int(_property(host, dataset, "used"))
    first = host.ask(["du", "-skx", path]).out.split("\t")[0].strip()
    return int(first) * 1024 if first.isdigit() else 0


def _release(seen: Observed) -> str:
    return seen.sysctl.get("kern.osreldate", "")


def _datasets(host: Host, seen: Observed, dataset: str) -> Dict[str, Dict[str, Any]]:
    """The root's dataset and those below it."""
    names = [name for name, found in (seen.datasets or {}).items() if name == dataset or name.startswith(f"{dataset}/")]
    names = sorted(name for name in names if "@" not in name)
    found: Dict[str, Dict[str, Any]] = {}
    for number, name in enumerate(names):
        own = {key: value for key, value in local_properties(host, name).items() if not key.startswith("cellblock:")}
        origin = (seen.datasets or {})[name].get("origin", "-")
        found[f"{ROOT}{number or ''}"] = {"dataset": name, "below": name[len(dataset):], "properties": own, "origin": "" if origin == "-" else origin}
    return found


def _base(host: Host, seen: Observed, meta: Mapping[str, Any], storage_path: str, dataset: Optional[str]) -> Dict[str, Any]:
    name = meta.get("base")
    if meta.get("root") not in BASE_ROOTS or not name or meta.get("root") == "thick":
        return {}
    path = str(name) if str(name).startswith("/") else f"{storage_path}/basejails/{name}"
    told: Dict[str, Any] = {"name": name, "path": path}
    origin = (seen.datasets or {}).get(dataset or "", {}).get("origin", "-")
    own = next((one for one, found in (seen.datasets or {}).items() if found.get("mountpoint") == path and found.get("type") == "filesystem"), None)
    if meta.get("root") == "clone" and origin != "-":
        told.update(dataset=origin.partition("@")[0], snapshot=origin, guid=_property(host, origin, "guid"))
    elif own is not None:
        snapshot = storage.newest_snapshot(host, own)
        told.update(dataset=own, snapshot=snapshot, guid=_property(host, snapshot, "guid"))
    if told.get("dataset"):
        said = host.run(["zfs", "get", "-Hp", "-o", "value", "cellblock:source", str(told["dataset"])]).out.strip()
        told["source"] = said if said != "-" else "adopted"
    return told


def _rulesets(host: Host, options: Mapping[str, Any]) -> Dict[str, List[str]]:
    """The rules of its devfs ruleset, where that is not FreeBSD's own; by name."""
    number = str(options.get("devfs_ruleset") or "")
    for path in DEVFS_RULES:
        for name, ruleset in devfs_rules.rulesets(host.read(path) or "").items():
            if number and str(ruleset.number) == number and ruleset.number > 5:
                return {name: list(map(str, ruleset.rules))}
    return {}


def _features(host: Host, dataset: Optional[str]) -> Tuple[str, ...]:
    return features(host, dataset, ("active",)) if dataset is not None else ()


def features(host: Host, dataset: str, states: Tuple[str, ...]) -> Tuple[str, ...]:
    """The features of a pool that are in one of these states."""
    told = host.ask(["zpool", "get", "-H", "-o", "property,value", "all", dataset.partition("/")[0]]).out
    found = re.findall(r"(?m)^feature@(\S+)\t(\S+)$", told)
    return tuple(sorted(name for name, state in found if state in states))
