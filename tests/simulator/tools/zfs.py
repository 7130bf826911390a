# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""zfs(8), zpool(8)."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any, Dict, List, Tuple

from ansible_collections.cellblock.jails.plugins.module_utils.formats.outputs import amount

from ..core import Refusal, SimulatedHost, tool

Answer = Tuple[int, str, str]
SIZES = ("quota", "refquota", "reservation", "refreservation")


def mountpoint(host: SimulatedHost, name: str) -> str:
    """A dataset's mountpoint: its own, or below its parent's."""
    found = host.state["datasets"][name]["props"].get("mountpoint")
    if found is not None:
        return str(found)
    parent, _slash, last = name.rpartition("/")
    above = mountpoint(host, parent) if parent in host.state["datasets"] else f"/{parent}"
    return f"{above}/{last}" if parent else f"/{name}"


def _mount(host: SimulatedHost, name: str) -> None:
    point = mountpoint(host, name)
    if point in ("none", "legacy"):
        return
    host.real(point).mkdir(parents=True, exist_ok=True)
    host.state["mounts"].append({"special": name, "node": point, "fstype": "zfs", "opts": ["local", "nfsv4acls"]})


def _kept(host: SimulatedHost, snapshot: str) -> Path:
    return host.root / ".snapshots" / snapshot.replace("/", "%")


def property_of(host: SimulatedHost, name: str, column: str) -> str:
    """A property as ``zfs list -p`` shows it."""
    one = host.state["datasets"][name]
    if column in ("name",):
        return name
    if column == "type":
        return str(one["type"])
    if column == "origin":
        return str(one.get("origin") or "-")
    if one["type"] == "snapshot" and ":" not in column and column not in ("used", "referenced", "refer", "createtxg", "creation", "clones"):
        return "-"
    if column == "mountpoint":
        return mountpoint(host, name)
    if column == "mounted":
        return "yes" if any(mount["special"] == name for mount in host.state["mounts"]) else "no"
    if column in ("used", "refer", "referenced"):
        return "24576"
    if column in ("avail", "available"):
        quota = int(one["props"].get("quota", "0"))
        return str(min(quota, 20189393408) if quota else 20189393408)
    if column == "creation":
        return str(1795000000 + int(one["txg"]))
    if column == "written" or column.startswith("written@"):
        return "8192"
    if column == "createtxg":
        return str(one["txg"])
    if column == "clones":
        clones = [other for other, two in host.state["datasets"].items() if two.get("origin") == name]
        return ",".join(clones) or "-"
    if column in SIZES:
        return str(one["props"].get(column, "0"))
    if ":" in column:
        place = name
        while place:  # user properties are inherited
            props = host.state["datasets"].get(place, {"props": {}})["props"]
            if column in props:
                return str(props[column])
            place = place.rpartition("@" if "@" in place else "/")[0]
        return "-"
    return str(one["props"].get(column, "off"))


@tool("zfs")
def zfs(host: SimulatedHost, args: List[str], stdin: str) -> Answer:
    """zfs(8)."""
    verb, words = args[0], list(args[1:])
    options: List[str] = []
    props: Dict[str, str] = {}
    rest: List[str] = []
    flags = ""
    while words:
        word = words.pop(0)
        if word == "-o" and verb in ("create", "clone"):
            key, _equals, value = words.pop(0).partition("=")
            props[key] = value
        elif word in ("-o", "-t", "-s", "-S", "-d"):
            options += [word, words.pop(0)]
        elif word.startswith("-"):
            flags += word[1:]
        else:
            rest.append(word)
    handler = VERBS.get(verb)
    if handler is None:
        raise Refusal(f"unrecognized command '{verb}'", 2)
    return 0, handler(host, rest, props, dict(zip(options[::2], options[1::2])), flags), ""


def _normal(name: str, props: Dict[str, str]) -> Dict[str, str]:
    found = dict(props)
    for key in SIZES:
        if key in found:
            try:
                found[key] = "0" if found[key] == "none" else str(amount(found[key]))
            except ValueError:
                raise Refusal(f"cannot set property for '{name}': bad numeric value '{found[key]}'", 255) from None
    return found


def _need(host: SimulatedHost, name: str) -> Dict[str, Any]:
    if name not in host.state["datasets"]:
        raise Refusal(f"cannot open '{name}': dataset does not exist")
    return dict(host.state["datasets"][name])


def _new(host: SimulatedHost, name: str, kind: str, props: Dict[str, str], origin: str = "") -> None:
    what = "snapshot " if kind == "snapshot" else ""
    if name in host.state["datasets"]:
        raise Refusal(f"cannot create {what}'{name}': dataset already exists")
    parent = name.rpartition("/")[0]
    if kind != "snapshot" and parent and parent not in host.state["datasets"]:
        raise Refusal(f"cannot create '{name}': parent does not exist")
    host.state["txg"] += 1
    host.state["datasets"][name] = {"type": kind, "props": _normal(name, props), "origin": origin, "txg": host.state["txg"]}


def _create(host: SimulatedHost, rest: List[str], props: Dict[str, str], options: Dict[str, str], flags: str) -> str:
    name = rest[0]
    pool = name.partition("/")[0]
    if pool != name and pool not in host.state["datasets"]:
        raise Refusal(f"cannot create '{name}': no such pool '{pool}'")
    if "p" in flags:
        if name in host.state["datasets"]:
            return ""
        parent = name.rpartition("/")[0]
        if parent and parent not in host.state["datasets"]:
            _create(host, [parent], {}, {}, "p")
    _new(host, name, "filesystem", props)
    _mount(host, name)
    return ""


def _snapshot(host: SimulatedHost, rest: List[str], props: Dict[str, str], options: Dict[str, str], flags: str) -> str:
    for name in rest:  # all or none
        _need(host, name.partition("@")[0])
        if name in host.state["datasets"]:
            raise Refusal(f"cannot create snapshot '{name}': dataset already exists")
    for name in rest:
        _new(host, name, "snapshot", props)
        shutil.copytree(host.real(mountpoint(host, name.partition("@")[0])), _kept(host, name), symlinks=True)
    return ""


def _bookmark(host: SimulatedHost, rest: List[str], props: Dict[str, str], options: Dict[str, str], flags: str) -> str:
    host.state["datasets"][rest[1]] = {**_need(host, rest[0]), "type": "bookmark", "props": {}}
    return ""


def _clone(host: SimulatedHost, rest: List[str], props: Dict[str, str], options: Dict[str, str], flags: str) -> str:
    snapshot, name = rest
    _need(host, snapshot)
    _new(host, name, "filesystem", props, snapshot)
    point = host.real(mountpoint(host, name))
    point.mkdir(parents=True, exist_ok=True)
    shutil.copytree(_kept(host, snapshot), point, symlinks=True, dirs_exist_ok=True)
    _mount(host, name)
    source = mountpoint(host, snapshot.partition("@")[0])
    target = mountpoint(host, name)
    host.state["flags"] += [target + flag[len(source):] for flag in host.state["flags"] if flag.startswith(source + "/")]
    return ""


def _destroy(host: SimulatedHost, rest: List[str], props: Dict[str, str], options: Dict[str, str], flags: str) -> str:
    name = rest[0]
    one = _need(host, name)
    datasets = host.state["datasets"]
    if one["type"] == "bookmark":
        del datasets[name]
        return ""
    if one["type"] == "snapshot":
        clones = [other for other, two in datasets.items() if two.get("origin") == name]
        if clones:
            listed = "\n".join(clones)
            raise Refusal(
                f"cannot destroy '{name}': snapshot has dependent clones\n"
                f"use '-R' to destroy the following datasets:\n{listed}"
            )
        shutil.rmtree(_kept(host, name))
        del datasets[name]
        return ""
    for mark in [other for other in datasets if other.startswith(name + "#")]:
        del datasets[mark]  # they go with their dataset, unasked
    below = [other for other in datasets if other.startswith((name + "/", name + "@"))]
    if below and "r" not in flags:
        listed = "\n".join(below)
        raise Refusal(
            f"cannot destroy '{name}': filesystem has children\nuse '-r' to destroy the following datasets:\n{listed}"
        )
    for other in reversed(below):
        _destroy(host, [other], {}, {}, "")
    point = mountpoint(host, name)
    if any(mount["node"].startswith(point + "/") for mount in host.state["mounts"]):
        raise Refusal(f"cannot unmount '{point}': pool or dataset is busy")
    if any(jail["path"] == point for jail in [*host.state["jails"].values(), *host.state["dying"]]):
        raise Refusal(f"cannot unmount '{point}': pool or dataset is busy")
    host.state["mounts"] = [mount for mount in host.state["mounts"] if mount["special"] != name]
    shutil.rmtree(_home(host, name), ignore_errors=True)
    host.state["flags"] = [flag for flag in host.state["flags"] if not flag.startswith(point + "/")]
    del datasets[name]
    return ""


def _home(host: SimulatedHost, name: str) -> Path:
    """Where the files of a dataset are: at its mountpoint, or out of sight."""
    point = mountpoint(host, name)
    return host.root / ".snapshots" / f"unmounted%{name.replace('/', '%')}" if point in ("none", "legacy") else host.real(point)


def _moved(host: SimulatedHost, name: str, before: Path) -> None:
    """After a change of its mountpoint: mounted anew, its files there."""
    host.state["mounts"] = [mount for mount in host.state["mounts"] if mount["special"] != name]
    after = _home(host, name)
    if before.is_dir() and before != after:
        after.parent.mkdir(parents=True, exist_ok=True)
        if after.is_dir() and not os.listdir(after):
            after.rmdir()
        before.rename(after)
    _mount(host, name)


def _set(host: SimulatedHost, rest: List[str], props: Dict[str, str], options: Dict[str, str], flags: str) -> str:
    name = rest[-1]
    _need(host, name)
    given = dict(word.split("=", 1) for word in rest[:-1])
    before = _home(host, name)
    host.state["datasets"][name]["props"].update(_normal(name, given))
    if "mountpoint" in given:
        _moved(host, name, before)
    return ""


def _list(host: SimulatedHost, rest: List[str], props: Dict[str, str], options: Dict[str, str], flags: str) -> str:
    columns = options.get("-o", "name,used,avail,refer,mountpoint").split(",")
    kinds = options.get("-t", "filesystem,volume").split(",")
    names = list(host.state["datasets"])
    if rest:
        for top in rest:
            _need(host, top)
        names = [name for name in names if any(name == top or name.startswith((top + "/", top + "@", top + "#")) for top in rest)]
        if "-d" in options:
            names = [name for name in names if name.count("/") + name.count("@") <= rest[0].count("/") + int(options["-d"])]
        elif "r" not in flags:
            names = list(rest)
    names = [name for name in names if "all" in kinds or host.state["datasets"][name]["type"] in kinds]
    names.sort(key=lambda name: (name.partition("@")[0], host.state["datasets"][name]["txg"] if "@" in name else 0))
    for key, reverse in (("-s", False), ("-S", True)):
        if key in options:
            names.sort(key=lambda name: host.state["datasets"][name]["txg"], reverse=reverse)
    return "".join("\t".join(property_of(host, name, column) for column in columns) + "\n" for name in names)


def _setter(host: SimulatedHost, name: str, key: str) -> str:
    """The nearest dataset above that has a property of its own; the pool when none has."""
    parent = name.rpartition("/")[0]
    if not parent or key in host.state["datasets"].get(parent, {"props": {}})["props"]:
        return parent or name
    return _setter(host, parent, key)


def _get(host: SimulatedHost, rest: List[str], props: Dict[str, str], options: Dict[str, str], flags: str) -> str:
    columns = options.get("-o", "name,property,value,source").split(",")
    lines = []
    local = host.state["datasets"].get(rest[1], {"props": {}})["props"]
    keys = list(local) if (rest[0], options.get("-s")) == ("all", "local") else rest[0].split(",")
    for name, key in ((name, key) for name in rest[1:] for key in keys):
        one = _need(host, name)
        source = "local" if key in one["props"] else "default"
        if key == "mountpoint" and source == "default":
            source = f"inherited from {_setter(host, name, key)}"
        shown = {"name": name, "property": key, "value": property_of(host, name, key), "source": source}
        lines.append("\t".join(shown[column] for column in columns) + "\n")
    return "".join(lines)


def _rename(host: SimulatedHost, rest: List[str], props: Dict[str, str], options: Dict[str, str], flags: str) -> str:
    old, new = rest
    _need(host, old)
    before = _home(host, old)
    datasets = host.state["datasets"]
    host.state["datasets"] = {
        (new + name[len(old):] if name == old or name.startswith((old + "/", old + "@", old + "#")) else name): one
        for name, one in datasets.items()
    }
    for one in host.state["datasets"].values():
        if (one.get("origin") or "").startswith((old + "/", old + "@")):
            one["origin"] = new + one["origin"][len(old):]
    after = _home(host, new)
    if before.is_dir() and before != after:
        shutil.move(str(before), str(after))
    kept_as = old.replace("/", "%")
    kept_there = (host.root / ".snapshots").iterdir() if (host.root / ".snapshots").is_dir() else ()
    for kept in [one for one in kept_there if one.name.startswith((f"{kept_as}@", f"{kept_as}%"))]:
        kept.rename(kept.with_name(new.replace("/", "%") + kept.name[len(old.replace("/", "%")):]))
    moved = [mount for mount in host.state["mounts"] if mount["special"] == old or mount["special"].startswith(old + "/")]
    for mount in moved:  # unmounted and mounted anew
        name = new + mount["special"][len(old):]
        mount.update({"special": name, "node": mountpoint(host, name)})
    host.state["mounts"] = [mount for mount in host.state["mounts"] if mount not in moved] + moved
    return ""


def _rollback(host: SimulatedHost, rest: List[str], props: Dict[str, str], options: Dict[str, str], flags: str) -> str:
    name = rest[0]
    taken = _need(host, name)["txg"]
    dataset = name.partition("@")[0]
    newer = [
        other for other, two in host.state["datasets"].items()
        if other.startswith((dataset + "@", dataset + "#")) and two["txg"] > taken
    ]
    if newer:
        listed = "\n".join(newer)
        raise Refusal(
            f"cannot rollback to '{name}': more recent snapshots or bookmarks exist\n"
            f"use '-r' to force deletion of the following snapshots and bookmarks:\n{listed}"
        )
    point = host.real(mountpoint(host, dataset))
    for entry in list(point.iterdir()):
        shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
    shutil.copytree(_kept(host, name), point, symlinks=True, dirs_exist_ok=True)
    return ""


def _inherit(host: SimulatedHost, rest: List[str], props: Dict[str, str], options: Dict[str, str], flags: str) -> str:
    key, name = rest
    _need(host, name)
    before = _home(host, name)
    host.state["datasets"][name]["props"].pop(key, None)
    if key == "mountpoint":
        _moved(host, name, before)
    return ""


def _unmount(host: SimulatedHost, rest: List[str], props: Dict[str, str], options: Dict[str, str], flags: str) -> str:
    host.state["mounts"] = [mount for mount in host.state["mounts"] if mount["special"] != rest[0]]
    return ""


VERBS = {
    "bookmark": _bookmark, "create": _create, "snapshot": _snapshot, "clone": _clone, "destroy": _destroy, "set": _set, "list": _list,
    "get": _get, "rename": _rename, "unmount": _unmount, "umount": _unmount,
    "rollback": _rollback, "inherit": _inherit,
}


@tool("zpool")
def zpool(host: SimulatedHost, args: List[str], stdin: str) -> Answer:
    """zpool(8) list."""
    pools = [name for name in host.state["datasets"] if "/" not in name and "@" not in name]
    lines = [f"{pool}\t20937965568\t94260736\t20843704832\t-\t-\t0\t0\t1.00\tONLINE\t-\n" for pool in pools]
    return 0, "".join(lines), ""
