# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps that make a set: what fails before it is whole is taken back, and what was killed the next run takes away."""

from __future__ import annotations

import time
from typing import List, Sequence, Tuple

from ansible_collections.cellblock.jails.plugins.module_utils.backups import describing, notes, sending
from ansible_collections.cellblock.jails.plugins.module_utils.backups import manifest as manifests
from ansible_collections.cellblock.jails.plugins.module_utils.backups.manifest import SNAPSHOT, Manifest
from ansible_collections.cellblock.jails.plugins.module_utils.backups.subject import Subject
from ansible_collections.cellblock.jails.plugins.module_utils.engine import storage
from ansible_collections.cellblock.jails.plugins.module_utils.engine.commands import CommandError
from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.engine.plan import Step
from ansible_collections.cellblock.jails.plugins.module_utils.errors import CellblockError
from ansible_collections.cellblock.jails.plugins.module_utils.jails import runtime
from ansible_collections.cellblock.jails.plugins.module_utils.jails.definition import Definition

HOOK_TIMEOUT = 3600.0


def steps(one: Subject) -> Tuple[List[Step], List[Step]]:
    """The steps that need the host to themselves, and those that last: streams need no lock where a snapshot holds still."""
    first = [_take_away(one, stamp) for stamp in one.left]
    first.append(Step(f"begin set {one.stamp}: {one.words()}", lambda host: one.place.begin(host, one.name, one.stamp), lambda host: _undo(host, one)))
    first += _down(one)
    if one.datasets:
        first.append(_snapshot(one))
    streams = sending.steps(one)
    last = [_finish(one), *_older(one), *[_remove(one, gone) for gone in one.gone]]
    if one.stops and not one.datasets:
        return [*first, *streams, *_up(one), *last], []
    # What is taken without the lock takes back all of the set when it fails.
    guard = Step(f"send set {one.stamp}", lambda host: None, lambda host: _undo(host, one))
    return [*first, *_up(one)], [guard, *streams, *last]


# -- what died


def _take_away(one: Subject, stamp: str) -> Step:
    def do(host: Host) -> None:
        tail = f"@{SNAPSHOT}{stamp}-{one.request.destination.id}"
        for name in [name for name in one.sight.points if name.endswith(tail) and name.partition("@")[0] in one.datasets]:
            let_go(host, name)
        one.place.drop_growing(host, one.name, stamp)

    return Step(f"take away what a run that was cut left of set {stamp}", do)


def let_go(host: Host, name: str) -> None:
    """Release and destroy a snapshot of ours, or destroy a bookmark; fine when it is not there. One that others hold or clone stays."""
    if "@" in name:
        host.ask(["zfs", "release", storage.HOLD, name])
    result = host.ask(["zfs", "destroy", name])
    if result.rc != 0 and not any(words in result.err for words in ("does not exist", "could not find", "clones", "held", "busy")):
        raise CommandError(result)


def _undo(host: Host, one: Subject) -> None:
    """Nothing of a set that did not become whole is left."""
    if one.outcome.whole:
        return
    for name in one.snapshots:
        let_go(host, name)
    for entry in host.listdir(one.states):
        if entry.startswith(f"{one.stamp}."):
            host.remove(f"{one.states}/{entry}")
    one.place.drop_growing(host, one.name, one.stamp)


# -- standing still


def _down(one: Subject) -> List[Step]:
    if not one.stops or not one.running:
        return []

    def stop(host: Host) -> None:
        _hooks(host, one, one.wish.before)
        one.outcome.stopped = time.monotonic()
        runtime.stop(host, one.definition)

    def start(host: Host) -> None:
        if not runtime.alive(host, one.name):
            runtime.start(host, one.definition)
            _hooks(host, one, one.wish.after)

    found = [_follower(follower, False) for follower in one.followers]
    return [*found, Step("stop, for its state to stand still", stop, start, f"jail {one.name}", "running\n", "stopped\n")]


def _up(one: Subject) -> List[Step]:
    if not one.stops or not one.running:
        return []

    def start(host: Host) -> None:
        if not runtime.alive(host, one.name):
            runtime.start(host, one.definition)
        one.outcome.down = time.monotonic() - (one.outcome.stopped or time.monotonic())
        _hooks(host, one, one.wish.after)

    found = [Step("start", start, None, f"jail {one.name}", "stopped\n", "running\n")]
    return found + [_follower(follower, True) for follower in reversed(one.followers)]


def _follower(follower: Definition, up: bool) -> Step:
    """Start or stop a jail that needs this one."""
    if up:
        return Step(f"start {follower.name}", lambda host: runtime.start(host, follower), None, f"jail {follower.name}", "stopped\n", "running\n")
    return Step(
        f"stop {follower.name}, which needs it", lambda host: runtime.stop(host, follower), lambda host: runtime.start(host, follower),
        f"jail {follower.name}", "running\n", "stopped\n",
    )


def _hooks(host: Host, one: Subject, commands: Sequence[Sequence[str]]) -> None:
    for argv in commands:
        host.run(["jexec", "-l", one.name, *argv], timeout=HOOK_TIMEOUT, where=f"jail {one.name}")


def _snapshot(one: Subject) -> Step:
    """One snapshot of all its datasets at one time, between the hooks; those after it run whatever happens."""
    inside = one.running and not one.stops

    def do(host: Host) -> None:
        failed: List[CellblockError] = []
        try:
            if inside:
                _hooks(host, one, one.wish.before)
            one.outcome.taken = time.time()
            host.run(["zfs", "snapshot", *one.snapshots], where=f"jail {one.name}")
        finally:
            for argv in one.wish.after if inside else ():
                try:
                    _hooks(host, one, (argv,))
                except CellblockError as error:
                    failed.append(error)
        if failed:
            raise failed[0]
        host.run(["zfs", "hold", storage.HOLD, *one.snapshots], where=f"jail {one.name}")

    what = f"take snapshot {one.snapshot} of {', '.join(one.datasets)}"
    hooks = [*(("before",) if inside and one.wish.before else ()), *(("after",) if inside and one.wish.after else ())]
    return Step(f"{what}, with what is to run inside {' and '.join(hooks)}" if hooks else what, do)


# -- whole


def _finish(one: Subject) -> Step:
    def do(host: Host) -> None:
        made = Manifest(
            one.name, one.stamp, tuple(one.outcome.streams), consistent="stopped" if one.stops or not one.running else "snapshot",
            parent=one.parent.stamp if one.parent is not None else "", estimate=one.outcome.estimate, seconds=round(one.outcome.down, 1),
            readers=one.request.destination.read, **describing.words_of(host, one.sight, one.definition),
        )
        manifests.parse(manifests.render(made), f"set {one.stamp}")
        one.place.finish(host, made)
        one.outcome.whole = True
        notes.note(host, one.request.destination.id, one.name, {
            "set": one.stamp, "at": manifests.time_of(one.stamp).isoformat(), "destination": one.request.destination.words(),
            "increment": bool(one.parent or one.bases), "size": made.size, "consistent": made.consistent,
        })

    label = f"{one.request.destination.words()}/{one.name}/{one.stamp}"
    return Step(f"make it whole: set {one.stamp} with its manifest", do, None, label, "", f"{one.words()}\n")


def _older(one: Subject) -> List[Step]:
    """What the next increment does not need."""
    marks = [(name, name.replace("@", "#")) for name in one.snapshots] if one.request.bookmark and one.method == "zfs" else []
    if not one.older and not marks and one.method != "tar":
        return []

    def do(host: Host) -> None:
        for snapshot, mark in marks:
            result = host.ask(["zfs", "bookmark", snapshot, mark])
            if result.rc != 0 and "exists" not in result.err:
                raise CommandError(result)
        for name, _mark in marks:
            let_go(host, name)
        for name in one.older:
            let_go(host, name)
        for entry in host.listdir(one.states):
            if not entry.startswith(f"{one.stamp}."):
                host.remove(f"{one.states}/{entry}")

    names = ", ".join(name.rpartition("/")[2] for name in one.older)
    return [Step(f"let go of {names}" if names else "forget what the set before had", do)]


def _remove(one: Subject, gone: Manifest) -> Step:
    label = f"{one.request.destination.words()}/{one.name}/{gone.stamp}"
    return Step(f"remove set {gone.stamp}, which nothing keeps", lambda host: one.place.drop(host, gone), None, label, f"{gone.size} bytes\n", "")
