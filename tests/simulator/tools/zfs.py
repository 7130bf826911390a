# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""zfs(8), zpool(8)."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Any, Dict, List, Tuple

from ansible_collections.cellblock.jails.plugins.module_utils.formats.outputs import amount

from ..core import Refusal, SimulatedHost, tool
from . import zfs_trees as trees
from .zfs_streams import STREAMS, drop
from .zfs_streams import stored as _kept

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


def _mounted(host: SimulatedHost, name: str) -> str:
    """Where a dataset is mounted; "" when it is not."""
    return next((mount["node"] for mount in host.state["mounts"] if mount["special"] == name), "")


def nested(host: SimulatedHost, name: str) -> List[str]:
    """The paths in a dataset at which others are mounted."""
    point = _mounted(host, name)
    zfs_nodes = [mount["node"] for mount in host.state["mounts"] if mount["fstype"] == "zfs"]
    return [node[len(point) + 1:] for node in zfs_nodes if point and node.startswith(point + "/")]


def mount_one(host: SimulatedHost, name: str) -> None:
    """Mount a dataset; its files come to its mount point."""
    point, before = mountpoint(host, name), home(host, name)
    if point in ("none", "legacy"):
        return
    target = host.real(point)
    target.mkdir(parents=True, exist_ok=True)
    if before.is_dir() and before != target:
        trees.copy(before, target)
        shutil.rmtree(before)
    host.state["mounts"].append({"special": name, "node": host.resolved(point), "fstype": "zfs", "opts": ["local", "nfsv4acls"]})


def property_of(host: SimulatedHost, name: str, column: str) -> str:
    """A property as ``zfs list -p`` shows it."""
    one = host.state["datasets"][name]
    if column in ("name",):
        return name
    if column == "type":
        return str(one["type"])
    if column == "origin":
        return str(one.get("origin") or "-")
    if column in ("guid", "createtxg"):
        return str(one["guid" if column == "guid" else "txg"])
    if one["type"] != "filesystem" and ":" not in column and column not in ("used", "referenced", "refer", "creation", "clones", "userrefs"):
        return "-"
    if column == "userrefs":
        return str(len(one.get("holds", []))) if one["type"] == "snapshot" else "-"
    if column == "receive_resume_token":
        return str(one.get("partial", {}).get("token", "-"))
    if column in ("encryption", "keystatus", "keylocation", "canmount", "inconsistent"):
        usual = {"encryption": "off", "keystatus": "-", "keylocation": "none", "canmount": "on", "inconsistent": "0"}[column]
        return "1" if column == "inconsistent" and one.get("inconsistent") else str(one["props"].get(column, usual))
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
        return _written(host, name, column.partition("@")[2])
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


def _written(host: SimulatedHost, name: str, since: str) -> str:
    """What was written since a snapshot, the last one by default."""
    own = sorted((two["txg"], other) for other, two in host.state["datasets"].items() if other.startswith(f"{name}@{since}"))
    before = trees.looks(_kept(host, own[-1][1])) if own else {}
    after = trees.looks(home(host, name), nested(host, name))
    if before == after:
        return "0"
    return str(8192 + trees.size({path: look for path, look in after.items() if before.get(path) != look}) // 512 * 512)


@tool("zfs")
def zfs(host: SimulatedHost, args: List[str], stdin: str) -> Answer:
    """zfs(8)."""
    verb = args[0]
    props, options, flags, rest = _words(verb, list(args[1:]))
    if verb in STREAMS:
        return STREAMS[verb](host, rest, props, options, flags, stdin)
    handler = VERBS.get(verb)
    if handler is None:
        raise Refusal(f"unrecognized command '{verb}'", 2)
    return 0, handler(host, rest, props, options, flags), ""


# The letters of options that take a value; -o is a property where something is made.
VALUED = {"send": "it", "receive": "ox", "recv": "ox", "create": "o", "clone": "o", "snapshot": "o", "destroy": "", "mount": "o", "load-key": "L"}


def _words(verb: str, words: List[str]) -> Tuple[Dict[str, str], Dict[str, Any], str, List[str]]:
    """Properties, options with a value, flags, and what is left."""
    props: Dict[str, str] = {}
    options: Dict[str, Any] = {}
    flags, rest = "", []
    while words:
        word = words.pop(0)
        if not word.startswith("-") or word == "-":
            rest.append(word)
            continue
        for place, letter in enumerate(word[1:], 2):
            if letter not in VALUED.get(verb, "otsSd"):
                flags += letter
                continue
            value = word[place:] or words.pop(0)
            if letter == "o" and verb in VALUED:
                key, _equals, text = value.partition("=")
                props[key] = text
            elif letter == "x":
                options.setdefault("excluded", []).append(value)
            else:
                options[f"-{letter}"] = value
            break
    return props, options, flags, rest


def normal(name: str, props: Dict[str, str]) -> Dict[str, str]:
    """Properties as zfs(8) keeps them."""
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


def new_dataset(host: SimulatedHost, name: str, kind: str, props: Dict[str, str], origin: str = "") -> None:
    """A dataset or snapshot comes to be."""
    what = "snapshot " if kind == "snapshot" else ""
    if name in host.state["datasets"]:
        raise Refusal(f"cannot create {what}'{name}': dataset already exists")
    parent = name.rpartition("/")[0]
    if kind != "snapshot" and parent and parent not in host.state["datasets"]:
        raise Refusal(f"cannot create '{name}': parent does not exist")
    host.state["txg"] += 1
    unique = f"{host.root}{name}{host.state['txg']}".encode()
    host.state["datasets"][name] = {
        "type": kind, "props": normal(name, props), "origin": origin, "txg": host.state["txg"],
        "guid": str(int(hashlib.sha256(unique).hexdigest()[:15], 16)),
    }


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
    new_dataset(host, name, "filesystem", props)
    mount_one(host, name)
    return ""


def _snapshot(host: SimulatedHost, rest: List[str], props: Dict[str, str], options: Dict[str, str], flags: str) -> str:
    for name in rest:  # all or none
        _need(host, name.partition("@")[0])
        if name in host.state["datasets"]:
            none = "\nno snapshots were created" if len(rest) > 1 else ""
            raise Refusal(f"cannot create snapshot '{name}': dataset already exists{none}")
    for name in rest:
        new_dataset(host, name, "snapshot", props)
        dataset = name.partition("@")[0]
        trees.copy(home(host, dataset), _kept(host, name), nested(host, dataset))
        point = _mounted(host, dataset)
        host.state["datasets"][name]["flags"] = [flag[len(point):] for flag in host.state["flags"] if point and flag.startswith(point + "/")]
    return ""


def _clone(host: SimulatedHost, rest: List[str], props: Dict[str, str], options: Dict[str, str], flags: str) -> str:
    snapshot, name = rest
    _need(host, snapshot)
    new_dataset(host, name, "filesystem", props, snapshot)
    trees.copy(_kept(host, snapshot), home(host, name))
    if "canmount" not in props or props["canmount"] == "on":
        mount_one(host, name)
    source = mountpoint(host, snapshot.partition("@")[0])
    target = mountpoint(host, name)
    host.state["flags"] += [target + flag[len(source):] for flag in host.state["flags"] if flag.startswith(source + "/")]
    return ""


def _destroy(host: SimulatedHost, rest: List[str], props: Dict[str, str], options: Dict[str, str], flags: str) -> str:
    name = rest[0]
    if "#" in name and name not in host.state["datasets"]:
        raise Refusal(f"bookmark '{name}' does not exist.")
    one = _need(host, name)
    datasets = host.state["datasets"]
    held = [other for other, two in datasets.items() if two.get("holds") and (other == name or other.startswith(f"{name}@") and "r" in flags)]
    if held and host.osreldate < 1500000:
        raise Refusal(f"cannot destroy snapshot {held[0]}: dataset is busy")
    if held:
        raise Refusal(f"cannot destroy snapshot {held[0]}: it's being held. Run 'zfs holds -r {held[0]}' to see holders.")
    if one["type"] == "bookmark":
        drop(host, name)
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
        drop(host, name)
        del datasets[name]
        return ""
    for mark in [other for other in datasets if other.startswith(name + "#")]:
        drop(host, mark)
        del datasets[mark]  # they go with their dataset, unasked
    below = [other for other in datasets if other.startswith((name + "/", name + "@"))]
    if below and "r" not in flags:
        if host.osreldate < 1500000:  # snapshots come by their dataset, the newest first
            below.sort(key=lambda other: "@" in other)
            below[:] = [one for one in below if "@" not in one] + [one for one in reversed(below) if "@" in one]
        listed = "\n".join(below)
        raise Refusal(
            f"cannot destroy '{name}': filesystem has children\nuse '-r' to destroy the following datasets:\n{listed}"
        )
    for other in reversed(below):
        _destroy(host, [other], {}, {}, "")
    point, place = mountpoint(host, name), home(host, name)
    _not_busy(host, name)
    host.state["mounts"] = [mount for mount in host.state["mounts"] if mount["special"] != name]
    shutil.rmtree(place, ignore_errors=True)
    host.state["flags"] = [flag for flag in host.state["flags"] if not flag.startswith(point + "/")]
    del datasets[name]
    return ""


def _not_busy(host: SimulatedHost, name: str) -> None:
    point = _mounted(host, name)
    if not point:
        return
    if any(mount["node"].startswith(point + "/") for mount in host.state["mounts"]):
        raise Refusal(f"cannot unmount '{point}': pool or dataset is busy")
    _not_held(host, point)


def _not_held(host: SimulatedHost, point: str, code: int = 1) -> None:
    """A jail holds its root until it is quite gone."""
    dying = [jail for jail in host.state["dying"] if not jail.get("freed")]
    if point and any(jail["path"] == point for jail in [*host.state["jails"].values(), *dying]):
        raise Refusal(f"cannot unmount '{point}': pool or dataset is busy", code)


def home(host: SimulatedHost, name: str) -> Path:
    """Where the files of a dataset are: where it is mounted, or out of sight."""
    point = _mounted(host, name)
    return host.real(point) if point else host.root / ".snapshots" / f"unmounted%{name.replace('/', '%')}"


def _moved(host: SimulatedHost, name: str, before: Path) -> None:
    """After a change of its mountpoint: mounted anew, its files there."""
    was = _mounted(host, name)
    host.state["mounts"] = [mount for mount in host.state["mounts"] if mount["special"] != name]
    hidden = home(host, name)
    if was and before.is_dir():
        hidden.parent.mkdir(parents=True, exist_ok=True)
        before.rename(hidden)
    if was or hidden.is_dir() and host.state["datasets"][name]["props"].get("canmount", "on") == "on":
        mount_one(host, name)


def _set(host: SimulatedHost, rest: List[str], props: Dict[str, str], options: Dict[str, str], flags: str) -> str:
    name = rest[-1]
    _need(host, name)
    given = dict(word.split("=", 1) for word in rest[:-1])
    before = home(host, name)
    if "mountpoint" in given:
        _not_held(host, _mounted(host, name), 255)
    host.state["datasets"][name]["props"].update(normal(name, given))
    for key in given:
        host.state["datasets"][name].get("received", {}).pop(key, None)
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
    received = host.state["datasets"].get(rest[1], {}).get("received", {})
    keys = [key for key in local if key not in received] if (rest[0], options.get("-s")) == ("all", "local") else rest[0].split(",")
    for name, key in ((name, key) for name in rest[1:] for key in keys):
        one = _need(host, name)
        source = "received" if key in one.get("received", {}) else "local" if key in one["props"] else "default"
        if key == "mountpoint" and source == "default":
            source = f"inherited from {_setter(host, name, key)}"
        shown = {"name": name, "property": key, "value": property_of(host, name, key), "source": source}
        lines.append("\t".join(shown[column] for column in columns) + "\n")
    return "".join(lines)


def _rename(host: SimulatedHost, rest: List[str], props: Dict[str, str], options: Dict[str, str], flags: str) -> str:
    old, new = rest
    _need(host, old)
    datasets = host.state["datasets"]
    moved = [mount for mount in host.state["mounts"] if mount["special"] == old or mount["special"].startswith(old + "/")]
    if new in datasets:
        raise Refusal(f"cannot rename '{old}': dataset already exists")
    if "u" not in flags:
        for mount in moved:
            _not_held(host, mount["node"])
    host.state["datasets"] = {
        (new + name[len(old):] if name == old or name.startswith((old + "/", old + "@", old + "#")) else name): one
        for name, one in datasets.items()
    }
    for one in host.state["datasets"].values():
        if (one.get("origin") or "").startswith((old + "/", old + "@")):
            one["origin"] = new + one["origin"][len(old):]
    kept_as = old.replace("/", "%")
    kept_there = (host.root / ".snapshots").iterdir() if (host.root / ".snapshots").is_dir() else ()
    starts = (f"{kept_as}@", f"{kept_as}#", f"{kept_as}%", f"unmounted%{kept_as}%")
    for kept in [one for one in kept_there if one.name.startswith(starts) or one.name in (kept_as, f"unmounted%{kept_as}")]:
        kept.rename(kept.with_name(kept.name.replace(kept_as, new.replace("/", "%"), 1)))
    for mount in moved:  # unmounted and mounted anew
        name = new + mount["special"][len(old):]
        before, point = host.real(mount["node"]), mount["node"] if "u" in flags else mountpoint(host, name)
        if before.is_dir() and before != host.real(point):
            host.real(point).parent.mkdir(parents=True, exist_ok=True)
            shutil.move(str(before), str(host.real(point)))
        mount.update({"special": name, "node": point})
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
    trees.empty(home(host, dataset))
    trees.copy(_kept(host, name), home(host, dataset))
    return ""


def _inherit(host: SimulatedHost, rest: List[str], props: Dict[str, str], options: Dict[str, str], flags: str) -> str:
    key, name = rest
    if key == "canmount":
        raise Refusal("'canmount' property cannot be inherited")
    _need(host, name)
    before = home(host, name)
    host.state["datasets"][name]["props"].pop(key, None)
    if key == "mountpoint":
        _moved(host, name, before)
    return ""


def _unmount(host: SimulatedHost, rest: List[str], props: Dict[str, str], options: Dict[str, str], flags: str) -> str:
    name = rest[-1]
    before = home(host, name)
    if not _mounted(host, name):
        raise Refusal(f"cannot unmount '{name}': not currently mounted")
    if "f" in flags:  # nobody of ours does it under a jail that runs
        assert all(jail["path"] != _mounted(host, name) for jail in host.state["jails"].values())
        for jail in host.state["dying"]:
            jail["freed"] = jail.get("freed") or jail["path"] == _mounted(host, name)
    _not_busy(host, name)
    host.state["mounts"] = [mount for mount in host.state["mounts"] if mount["special"] != name]
    home(host, name).parent.mkdir(parents=True, exist_ok=True)
    before.rename(home(host, name))
    before.mkdir()
    return ""


def _mount(host: SimulatedHost, rest: List[str], props: Dict[str, str], options: Dict[str, str], flags: str) -> str:
    name = rest[-1]
    one = _need(host, name)
    if _mounted(host, name):
        raise Refusal(f"cannot mount '{name}': filesystem already mounted")
    if one["props"].get("keystatus") == "unavailable":
        raise Refusal(f"cannot mount '{name}': encryption key not loaded")
    mount_one(host, name)
    return ""


def _load_key(host: SimulatedHost, rest: List[str], props: Dict[str, str], options: Dict[str, str], flags: str) -> str:
    name, location = rest[-1], options.get("-L", "")
    one = _need(host, name)
    if one["props"].get("keystatus") != "unavailable":
        raise Refusal(f"Key load error: Key already loaded for '{name}'.", 255)
    if not location.startswith("file://") or not host.real(location[len("file://"):]).is_file():
        raise Refusal(f"Key load error: Failed to open key material file: No such file or directory\nUnable to load key for '{name}'", 255)
    one["props"]["keystatus"] = "available"
    host.state["datasets"][name]["props"]["keystatus"] = "available"
    return ""


JAIL_USAGE = """\
invalid jail id or name
usage:
\tjail <jailid|jailname> <filesystem>

For the property list, run: zfs set|get

For the delegated permission list, run: zfs allow|unallow

For further help on a command or topic, run: zfs help [<topic>]
"""


def _jail(host: SimulatedHost, rest: List[str], props: Dict[str, str], options: Dict[str, str], flags: str) -> str:
    if rest[0] not in {name for jail in host.state["jails"].values() for name in (jail["jid"], jail["name"])}:
        raise Refusal(JAIL_USAGE, 2)
    _need(host, rest[1])
    return ""


VERBS = {
    "jail": _jail, "load-key": _load_key, "mount": _mount, "create": _create, "snapshot": _snapshot, "clone": _clone,
    "destroy": _destroy, "set": _set, "list": _list, "get": _get, "rename": _rename, "unmount": _unmount, "umount": _unmount,
    "rollback": _rollback, "inherit": _inherit,
}


@tool("zpool")
def zpool(host: SimulatedHost, args: List[str], stdin: str) -> Answer:
    """zpool(8) list, and get of features."""
    if args[0] == "get":
        found = host.state.get("features", {"lz4_compress": "active", "large_blocks": "enabled", "embedded_data": "active", "zstd_compress": "enabled"})
        return 0, "".join(f"feature@{name}\t{state}\n" for name, state in found.items()), ""
    pools = [name for name in host.state["datasets"] if "/" not in name and "@" not in name]
    lines = [f"{pool}\t20937965568\t94260736\t20843704832\t-\t-\t0\t0\t1.00\tONLINE\t-\n" for pool in pools]
    return 0, "".join(lines), ""
