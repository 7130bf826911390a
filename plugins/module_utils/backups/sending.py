# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a jail's state becomes streams: zfs-send(8) of its datasets, or tar(1) of its tree with a list of mtree(8)."""

from __future__ import annotations

import datetime
import functools
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Dict, List, Optional, Sequence, Set

from ansible_collections.cellblock.jails.plugins.module_utils.backups.datasets import InDataset
from ansible_collections.cellblock.jails.plugins.module_utils.backups.manifest import Stream
from ansible_collections.cellblock.jails.plugins.module_utils.backups.model import Filters
from ansible_collections.cellblock.jails.plugins.module_utils.backups.subject import Subject
from ansible_collections.cellblock.jails.plugins.module_utils.engine import streams
from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.engine.plan import Step
from ansible_collections.cellblock.jails.plugins.module_utils.errors import HostError
from ansible_collections.cellblock.jails.plugins.module_utils.formats import mtree

SLACK = 1 << 20  # bytes by which an estimate may be wrong in any case
TAR = ("tar", "-c", "-f", "-", "--format", "pax", "--one-file-system", "--acls", "--xattrs", "--fflags")
# Properties that only mean something where a dataset is, or are marks of ours.
PLACED = ("mountpoint", "canmount", "readonly", "sharenfs", "sharesmb", "jailed", "keylocation")


def steps(one: Subject) -> List[Step]:
    """One step for each dataset, or for the tree."""
    if one.method == "zfs":
        return [_dataset(one, dataset, number) for number, dataset in enumerate(one.datasets)]
    trees = [(dataset, f"{_point(one, dataset)}/.zfs/snapshot/{one.snapshot}") for dataset in one.datasets] or [("", one.root)]
    since = f" that changed since set {one.parent.stamp}" if one.parent is not None else ""
    return [
        Step(f"archive what is in {path}{since}", functools.partial(_tree, one=one, dataset=dataset, path=path, number=number))
        for number, (dataset, path) in enumerate(trees)
    ]


def _point(one: Subject, dataset: str) -> str:
    return next((mount.node for mount in one.sight.seen.mounts if mount.special == dataset), one.root)


def _word(number: int) -> str:
    return "root" if number == 0 else f"dataset{number}"


# -- datasets


def _dataset(one: Subject, dataset: str, number: int) -> Step:
    base = one.bases.get(dataset, "")
    since = f" since {base.rpartition('/')[2]}" if base else ""

    def do(host: Host) -> None:
        snapshot = f"{dataset}@{one.snapshot}"
        sending = ["zfs", "send", *(["-w"] if one.request.raw else ["-Lec"]), *(["-i", base] if base else [])]
        expected = _expected(host, [*sending[:2], "-nP", *sending[2:], snapshot])
        one.outcome.estimate += expected
        made = Stream(
            f"{_word(number)}.zfs{one.request.filters.suffix}", "zfs", 0, "", 0, one.place_of(dataset), dataset, _guid(host, snapshot),
            one.sight.points.get(base, ""), one.request.raw, _properties(host, dataset),
        )
        if isinstance(one.place, InDataset):
            made = _receive(host, one, one.place, [*sending, snapshot], made, bool(base))
        else:
            made = put(host, one, [[*sending, snapshot]], None, made)
        refuse_short(one, made, expected)
        one.outcome.streams.append(made)

    return Step(f"send {dataset}{since}", do)


def _expected(host: Host, argv: Sequence[str]) -> int:
    """The size that zfs-send(8) expects of a stream."""
    for line in host.run(argv).out.splitlines():
        word, _tab, size = line.partition("\t")
        if word == "size" and size.strip().isdigit():
            return int(size)
    return 0


def _guid(host: Host, snapshot: str) -> str:
    return host.run(["zfs", "get", "-Hp", "-o", "value", "guid", snapshot]).out.strip()


def _properties(host: Host, dataset: str) -> Dict[str, str]:
    """What was set on a dataset itself, as far as it is worth as much elsewhere."""
    said = host.run(["zfs", "get", "-Hp", "-s", "local", "-o", "property,value", "all", dataset]).out
    told = dict(line.split("\t", 1) for line in said.split("\n") if line.count("\t") == 1)
    return {key: value for key, value in told.items() if key not in PLACED and not key.startswith("cellblock:")}


def _receive(host: Host, one: Subject, place: InDataset, sending: Sequence[str], made: Stream, grows: bool) -> Stream:
    """Into a dataset, the one that the sets before are in, or a new one."""
    newest = one.held.get(made.path, "") if grows else ""
    top = newest.partition("@")[0] or f"{place.destination.dataset}/{one.name}:{one.stamp}{'/' + made.path if made.path else ''}"
    there = streams.flow(host, [list(sending), place.receive(top, not grows)], counted=[1], limit=one.request.limit, where=f"jail {one.name}")
    held = f"{top}@{one.snapshot}"
    place.prove_held(host, held, made.guid)
    return Stream(**{**made.__dict__, "size": there.passed[1].size, "plain": there.passed[1].size, "held": held, "since": ""})


# -- into files


def put(
    host: Host, one: Subject, stages: Sequence[Sequence[str]], source: Optional[str], made: Stream, filters: Optional[Filters] = None,
) -> Stream:
    """Let a stream pass through the filters into a file of the set."""
    used = one.request.filters if filters is None else filters
    tail, target = one.place.sink(one.name, one.stamp, made.name)
    plain, stored = len(stages), len(stages) + len(used.filters)
    there = streams.flow(
        host, [*stages, *used.filters, *tail], source=source, target=target, counted=[plain], digested=[stored],
        limit=one.request.limit, where=f"jail {one.name}",
    )
    passed = there.passed[stored]
    one.place.prove(host, one.name, one.stamp, made.name, passed)
    return Stream(**{
        **made.__dict__, "size": passed.size, "sha256": passed.sha256, "plain": there.passed[plain].size, "filters": used.filters, "readers": used.readers,
    })


def refuse_short(one: Subject, made: Stream, expected: int) -> None:
    """Raise when a stream is far from what was expected, whatever the commands said."""
    if made.plain + SLACK < expected // 4:  # seen on 15.1: a small increment is a third of what zfs-send(8) says
        raise HostError(
            f"{made.name} has {made.plain} bytes, {expected} were expected", f"jail {one.name}", "Run again; if it stays so, look at the pool and the disk",
        )


# -- trees


def _tree(host: Host, one: Subject, dataset: str, path: str, number: int) -> None:
    suffix, word = one.request.filters.suffix, _word(number)
    archive = Stream(f"{word}.tar{suffix}", "tar", 0, "", 0, one.place_of(dataset) if dataset else "", dataset)
    if one.parent is None:
        with ThreadPoolExecutor(max_workers=1) as pool:  # both read all of it, the second from memory
            listing = pool.submit(_listed, host, one, path, number)
            made = put(host, one, [[*TAR, "-C", path, "."]], None, archive)
            listed = listing.result()
    else:
        listed = _listed(host, one, path, number)
        before = one.state(one.parent.stamp, number)
        made = _changed(host, one, path, archive, _looks(host, before), _looks(host, listed), _touched(host, path, before))
    one.outcome.streams.append(made)
    one.outcome.estimate += made.plain
    one.outcome.streams.append(put(host, one, [], listed, Stream(f"{word}.mtree{suffix}", "mtree", 0, "", 0, archive.path)))


def _touched(host: Host, path: str, since: str) -> Set[str]:
    """What was touched since a list was begun: another ACL or extended attribute is nothing that mtree(8) tells of."""
    with host.scratch() as scratch:
        streams.flow(host, [["find", "-x", path, "-newercm", since, "-print0"]], target=f"{scratch}/paths", where=path)
        return {found[len(path):].lstrip("/") for found in (host.read(f"{scratch}/paths") or "").split("\0")}


def _changed(
    host: Host, one: Subject, path: str, archive: Stream, before: Dict[str, bytes], after: Dict[str, bytes], touched: Set[str],
) -> Stream:
    """What is new, changed or touched, and a file of the paths that are gone."""
    changed, lost = mtree.differences(before, after)
    changed = sorted({*changed, *(name for name in touched if name in after and after[name][12:] != b"socket")})
    with host.scratch() as scratch:
        names, gone = f"{scratch}/names", f"{scratch}/gone"
        host.write(names, "".join(f"./{name}\0" for name in changed if name != ".") + ".\0", 0o600)
        host.write(gone, "".join(f"{name}\0" for name in lost), 0o600)
        made = put(host, one, [[*TAR, "-n", "--null", "-C", path, "-T", "-"]], names, archive)
        told = put(host, one, [], gone, Stream(archive.name.replace(".tar", ".gone", 1), "list", 0, "", 0))
    one.outcome.streams.append(told)
    return replace(made, gone=told.name)


def _listed(host: Host, one: Subject, path: str, number: int) -> str:
    """The list of what is there, kept on this host for the next increment, with the time at which it was true."""
    began = datetime.datetime.fromtimestamp(one.outcome.taken or time.time(), datetime.timezone.utc)
    listed = one.state(one.stamp, number)
    host.makedirs(listed.rpartition("/")[0], 0o700)
    host.remove(listed)
    with host.scratch() as scratch:
        streams.flow(host, [["mtree", "-c", "-x", "-k", mtree.KEYS, "-p", path]], target=f"{scratch}/list", where=f"jail {one.name}")
        streams.put_lines(host, listed, mtree.comparable(streams.lines(host, f"{scratch}/list")))
    host.run(["touch", "-d", f"{began:%Y-%m-%dT%H:%M:%S.%fZ}", listed])
    return listed


def _looks(host: Host, path: str) -> Dict[str, bytes]:
    return mtree.looks(streams.lines(host, path), path)
