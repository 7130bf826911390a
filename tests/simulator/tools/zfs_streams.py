# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""zfs(8) send, receive, hold and bookmark. A stream carries the true tree; what of it was cut off is noticed.

A stream here: a line of magic, a line of JSON, an archive, its digest.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Tuple

from ..core import Refusal, SimulatedHost
from . import zfs_trees as trees

Answer = Tuple[int, str, str]
Words = List[str]
MAGIC = b"SIMULATED ZFS STREAM\n"
DIGEST = 32
USAGE = """
usage:
\treceive [-vMnsFhu] [-o <property>=<value>] ... [-x <property>] ...
\t    <filesystem|volume|snapshot>
\treceive [-vMnsFhu] [-o <property>=<value>] ... [-x <property>] ...\x20
\t    [-d | -e] <filesystem>
\treceive -A <filesystem|volume>

For the property list, run: zfs set|get

For the delegated permission list, run: zfs allow|unallow

For further help on a command or topic, run: zfs help [<topic>]
"""


def stored(host: SimulatedHost, name: str) -> Path:
    """Where the tree of a snapshot or bookmark is."""
    return host.root / ".snapshots" / name.replace("/", "%")


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


# -- send


def send(host: SimulatedHost, rest: Words, props: Mapping[str, str], options: Mapping[str, str], flags: str, stdin: str) -> Answer:
    """zfs-send(8)."""
    if "-t" in options:
        return _resume(host, options["-t"], flags)
    if not rest:
        raise Refusal("missing snapshot argument", 2)
    name, datasets = rest[0], host.state["datasets"]
    if name not in datasets:
        raise Refusal(f"cannot open '{name}': dataset does not exist")
    dataset = name.partition("@")[0]
    origin = options.get("-i", "")
    origin = dataset + origin if origin[:1] in ("@", "#") else origin
    if origin and origin not in datasets:
        raise Refusal(f"cannot open '{origin}': dataset does not exist")
    if origin and datasets[origin]["txg"] >= datasets[name]["txg"]:
        raise Refusal(f"warning: cannot send '{name}': not an earlier snapshot from the same fs")
    if "p" in flags and "w" not in flags and datasets[dataset]["props"].get("encryption", "off") != "off":
        raise Refusal(
            f"cannot send {name}: encrypted dataset {dataset} may not be sent with properties without the raw flag\n"
            f"warning: cannot send '{name}': backup failed"
        )
    head, body = _made(host, name, origin, "p" in flags, "w" in flags)
    if "n" in flags:
        return 0, _estimate(name, origin, head["estimate"], "P" in flags), ""
    return 0, _text(_stream(head, body)), ""


def _made(host: SimulatedHost, name: str, origin: str, with_props: bool, raw: bool) -> Tuple[Dict[str, Any], bytes]:
    """A stream's head and archive."""
    datasets = host.state["datasets"]
    top = stored(host, name)
    after = trees.looks(top)
    before = trees.looks(stored(host, origin)) if origin else {}
    paths, gone = trees.changed(before, after, top) if origin else (list(after), [])
    one = datasets[name.partition("@")[0]]
    return {
        "toname": name, "toguid": datasets[name]["guid"], "fromguid": datasets[origin]["guid"] if origin else "",
        "gone": gone, "flags": datasets[name].get("flags", []), "raw": raw,
        "clone": bool(origin) and origin.replace("#", "@").partition("@")[0] != name.partition("@")[0],
        "encryption": one["props"].get("encryption", "off") if raw else "off",
        "props": {key: value for key, value in one["props"].items() if with_props and key not in ("encryption", "keylocation")},
        "estimate": trees.size({path: look for path, look in after.items() if before.get(path) != look}),
    }, trees.pack(top, paths)


def _estimate(name: str, origin: str, size: int, parsable: bool) -> str:
    if parsable:
        return f"incremental\t{origin}\t{name}\t{size}\nsize\t{size}\n" if origin else f"full\t{name}\t{size}\nsize\t{size}\n"
    return f"{'incremental' if origin else 'full'} send of {name} estimated size is {size}\ntotal estimated size is {size}\n"


def _stream(head: Mapping[str, Any], body: bytes) -> bytes:
    words = json.dumps({**head, "length": len(body)}).encode() + b"\n"
    return MAGIC + words + body + hashlib.sha256(words + body).digest()


def _token(head: Mapping[str, Any], bytes_there: int) -> str:
    told = json.dumps({"toname": head["toname"], "toguid": head["toguid"], "fromguid": head["fromguid"], "raw": head["raw"], "bytes": bytes_there})
    return f"1-{hashlib.sha256(told.encode()).hexdigest()[:9]}-{len(told):x}-{told.encode().hex()}"


def _resume(host: SimulatedHost, token: str, flags: str) -> Answer:
    """What is left of a stream that was cut."""
    try:
        told = json.loads(bytes.fromhex(token.rsplit("-", 1)[1]))
    except (ValueError, IndexError):
        raise Refusal("cannot resume send: resume token is corrupt (incorrect checksum)", 255) from None
    datasets = host.state["datasets"]
    name = told["toname"]
    if datasets.get(name, {}).get("guid") != told["toguid"]:
        raise Refusal(f"cannot resume send: '{name}' used in the initial send no longer exists", 255)
    dataset = name.partition("@")[0]
    origin = next((other for other, two in datasets.items() if told["fromguid"] and two.get("guid") == told["fromguid"] and other.startswith(dataset)), "")
    if told["fromguid"] and not origin:
        raise Refusal(f"cannot resume send: incremental source {int(told['fromguid']):#x} no longer exists", 255)
    head, body = _made(host, name, origin, False, told["raw"])
    rest = body[told["bytes"]:]
    contents = (
        f"resume token contents:\nnvlist version: 0\n\tobject = 0x2\n\toffset = 0x0\n\tbytes = {told['bytes']:#x}\n"
        f"\ttoguid = {int(told['toguid']):#x}\n\ttoname = {name}\n"
    )
    if "n" in flags:
        return 0, contents + _estimate(name, origin, len(rest), "P" in flags), ""
    return 0, _text(_stream({**head, "resumed": told["bytes"]}, rest)), ""


# -- receive


def receive(host: SimulatedHost, rest: Words, props: Mapping[str, str], options: Mapping[str, str], flags: str, stdin: str) -> Answer:
    """zfs-receive(8)."""
    target = rest[0]
    name, _at, snapshot = target.partition("@")
    if "A" in flags:
        return _abort(host, name)
    data = _bytes(stdin)
    end = data.find(b"\n", len(MAGIC))
    if not data.startswith(MAGIC) or end < 0:
        raise Refusal("cannot receive: failed to read from stream")
    words = data[len(MAGIC):end + 1]
    head = json.loads(words)
    body, digest = data[end + 1:][:head["length"]], data[end + 1 + head["length"]:]
    kind = "incremental" if head["fromguid"] else "new filesystem"
    snapshot = snapshot or head["toname"].partition("@")[2]
    if head["fromguid"] and f"{name}@{snapshot}" in host.state["datasets"] and host.state["datasets"][f"{name}@{snapshot}"]["guid"] == head["toguid"]:
        return 0, "", ""  # it is there: seen on 15.1
    one = _taker(host, name, head, kind)
    whole = len(digest) == DIGEST and hashlib.sha256(words + body).digest() == digest
    partial = (one or {}).get("partial")
    start = bytes.fromhex(partial["body"]) if partial and "resumed" in head else b""
    quota = _quota(host, name)
    if quota and len(start) + len(body) > quota:
        _keep_partial(host, name, head, b"", props, flags)
        raise Refusal(f"cannot receive {kind} stream: destination {name} space quota exceeded.")
    if not whole:
        _cut(host, name, head, start + body, props, flags, kind, len(digest) == DIGEST)
    _land(host, name, snapshot, head, start + body, props, options, flags)
    return 0, "", ""


def _quota(host: SimulatedHost, name: str) -> int:
    place = name
    while place:
        quota = int(host.state["datasets"].get(place, {"props": {}})["props"].get("quota", "0"))
        if quota:
            return quota
        place = place.rpartition("/")[0]
    return 0


def _taker(host: SimulatedHost, name: str, head: Mapping[str, Any], kind: str) -> Optional[Dict[str, Any]]:
    """The dataset that a stream is for; None when it makes a new one."""
    datasets = host.state["datasets"]
    one: Optional[Dict[str, Any]] = datasets.get(name)
    if "resumed" in head:
        if one is None or "partial" not in one:
            raise Refusal("cannot receive resume stream: kernel modules must be upgraded to receive this stream.")
        return one
    if one is not None and not head["fromguid"]:
        raise Refusal(f"cannot receive new filesystem stream: destination '{name}' exists\nmust specify -F to overwrite it")
    if one is not None and "partial" in one:
        raise Refusal(f'cannot receive {kind} stream: destination {name} contains partially-complete state from "zfs receive -s".')
    parent = name.rpartition("/")[0]
    if one is None and parent not in datasets:
        raise Refusal(f"cannot open '{parent}': dataset does not exist\ncannot receive {kind} stream: unable to restore to destination")
    if one is None and not head["fromguid"]:
        return None
    origins = [other for other, two in datasets.items() if two["type"] == "snapshot" and two["guid"] == head["fromguid"]]
    if one is None:
        if not origins or not head["clone"]:
            raise Refusal(f"cannot receive incremental stream: destination '{name}' does not exist")
        return None
    _fits(host, name, head)
    return one


def _fits(host: SimulatedHost, name: str, head: Mapping[str, Any]) -> None:
    from .zfs import home, nested

    datasets = host.state["datasets"]
    own = sorted((two["txg"], other) for other, two in datasets.items() if other.startswith(f"{name}@"))
    if not any(datasets[other]["guid"] == head["fromguid"] for _txg, other in own):
        raise Refusal(f"cannot receive incremental stream: most recent snapshot of {name} does not\nmatch incremental source")
    base = next(other for _txg, other in own if datasets[other]["guid"] == head["fromguid"])
    now = trees.looks(home(host, name), nested(host, name))
    later = [other for txg, other in own if txg > datasets[base]["txg"]]
    if any(trees.looks(stored(host, other)) != trees.looks(stored(host, base)) for other in later) or now != trees.looks(stored(host, base)):
        raise Refusal(f"cannot receive incremental stream: destination {name} has been modified\nsince most recent snapshot")


def _keep_partial(host: SimulatedHost, name: str, head: Mapping[str, Any], body: bytes, props: Mapping[str, str], flags: str) -> str:
    """What stays of a stream that was cut, with -s; its token."""
    if "s" not in flags:
        return ""
    from .zfs import new_dataset

    if name not in host.state["datasets"]:
        new_dataset(host, name, "filesystem", dict(props))
        host.state["datasets"][name]["inconsistent"] = True
    token = _token(head, len(body))
    host.state["datasets"][name]["partial"] = {"token": token, "body": body.hex(), "props": dict(head["props"])}
    return token


def _cut(
    host: SimulatedHost, name: str, head: Mapping[str, Any], body: bytes, props: Mapping[str, str], flags: str, kind: str, flipped: bool
) -> None:
    if flipped:
        body = body[: len(body) // 2]
    token = _keep_partial(host, name, head, body, props, flags)
    if not token:
        raise Refusal(f"cannot receive {kind} stream: {'checksum mismatch' if flipped else 'incomplete stream'}")
    raise Refusal(
        f"cannot receive {kind} stream: checksum mismatch or incomplete stream.\nPartially received snapshot is saved.\n"
        f"A resuming stream can be generated on the sending system by running:\n    zfs send -t {token}"
    )


def _abort(host: SimulatedHost, name: str) -> Answer:
    one = host.state["datasets"].get(name)
    if one is None:
        raise Refusal(f"cannot open '{name}': dataset does not exist{USAGE}", 2)
    if "partial" not in one:
        raise Refusal(f"'{name}' does not have any resumable receive state to abort")
    if one.get("inconsistent"):
        del host.state["datasets"][name]
    else:
        del one["partial"]
    return 0, "", ""


def _land(
    host: SimulatedHost, name: str, snapshot: str, head: Mapping[str, Any], body: bytes, props: Mapping[str, str],
    options: Mapping[str, Any], flags: str,
) -> None:
    """A whole stream becomes a snapshot, and the dataset what is in it."""
    from .zfs import home, mount_one, new_dataset, normal

    datasets = host.state["datasets"]
    old = datasets.get(name)
    fresh = old is None or bool(old.get("inconsistent"))
    carried = dict((old or {}).get("partial", {}).get("props") or head["props"])
    excluded = list(options.get("excluded", ()))
    received = {key: value for key, value in carried.items() if key not in excluded and key not in props}
    if old is None:
        origins = [other for other, two in datasets.items() if two["type"] == "snapshot" and two["guid"] == head["fromguid"]]
        new_dataset(host, name, "filesystem", {}, origins[0] if head["fromguid"] else props.get("origin", ""))
    one = datasets[name]
    for key in ("partial", "inconsistent"):
        one.pop(key, None)
    local = {key: value for key, value in props.items() if key != "origin"}
    one["props"].update({**received, **normal(name, local)})
    if head["encryption"] != "off":
        one["props"].update({"encryption": head["encryption"], "keystatus": "unavailable", "keylocation": "prompt"})
    one["received"] = {**one.get("received", {}), **received}
    new_dataset(host, f"{name}@{snapshot}", "snapshot", {})
    datasets[f"{name}@{snapshot}"].update({"guid": head["toguid"], "flags": head["flags"]})
    kept = stored(host, f"{name}@{snapshot}")
    base = next((other for other, two in datasets.items() if head["fromguid"] and two["type"] == "snapshot" and two["guid"] == head["fromguid"]
                 and (other.startswith(f"{name}@") or fresh)), "")
    if base:
        trees.copy(stored(host, base), kept)
    kept.mkdir(parents=True, exist_ok=True)
    trees.unpack(body, kept, head["gone"])
    place = home(host, name)
    trees.empty(place)
    trees.copy(kept, place)
    if fresh and "u" not in flags and one["props"].get("canmount", "on") == "on":
        mount_one(host, name)


# -- holds and bookmarks


def hold(host: SimulatedHost, rest: Words, props: Mapping[str, str], options: Mapping[str, str], flags: str, stdin: str) -> Answer:
    """zfs-hold(8) hold: all or none."""
    tag, names = rest[0], rest[1:]
    for name in names:
        one = host.state["datasets"].get(name)
        if one is None:
            raise Refusal(f"cannot hold snapshot '{name}': dataset does not exist")
        if tag in one.get("holds", []):
            raise Refusal(f"cannot hold snapshot '{name}': tag already exists on this dataset")
    for name in names:
        host.state["datasets"][name].setdefault("holds", []).append(tag)
    return 0, "", ""


def release(host: SimulatedHost, rest: Words, props: Mapping[str, str], options: Mapping[str, str], flags: str, stdin: str) -> Answer:
    """zfs-hold(8) release."""
    tag, names = rest[0], rest[1:]
    for name in names:
        one = host.state["datasets"].get(name)
        if one is None:
            raise Refusal(f"cannot release hold from snapshot '{name}': dataset does not exist")
        if tag not in one.get("holds", []):
            raise Refusal(f"cannot release hold from snapshot '{name}': no such tag on this dataset")
    for name in names:
        one = host.state["datasets"][name]
        one["holds"].remove(tag)
        if not one["holds"]:
            del one["holds"]
    return 0, "", ""


def holds(host: SimulatedHost, rest: Words, props: Mapping[str, str], options: Mapping[str, str], flags: str, stdin: str) -> Answer:
    """zfs-hold(8) holds -H."""
    out = ""
    for name in rest:
        if "@" not in name:
            raise Refusal(f"'{name}' is not a snapshot\nno datasets available")
        if name not in host.state["datasets"]:
            raise Refusal(f"cannot open '{name}': dataset does not exist")
        out += "".join(f"{name}\t{tag}\tFri Nov 27 07:38 2026\n" for tag in host.state["datasets"][name].get("holds", []))
    return 0, out, ""


def bookmark(host: SimulatedHost, rest: Words, props: Mapping[str, str], options: Mapping[str, str], flags: str, stdin: str) -> Answer:
    """zfs-bookmark(8). Its tree is kept here, where FreeBSD keeps but a time."""
    source, made = rest
    if source not in host.state["datasets"]:
        raise Refusal(f"cannot open '{source}': dataset does not exist\nusage:\n\tbookmark <snapshot|bookmark> <newbookmark>", 2)
    if made in host.state["datasets"]:
        raise Refusal(f"cannot create bookmark '{made}': bookmark exists")
    one = host.state["datasets"][source]
    host.state["datasets"][made] = {"type": "bookmark", "props": {}, "origin": "", "txg": one["txg"], "guid": one["guid"]}
    trees.copy(stored(host, source), stored(host, made))
    return 0, "", ""


def drop(host: SimulatedHost, name: str) -> None:
    """The tree of a snapshot or bookmark goes."""
    shutil.rmtree(stored(host, name), ignore_errors=True)


STREAMS = {"send": send, "receive": receive, "recv": receive, "hold": hold, "release": release, "holds": holds, "bookmark": bookmark}
