# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is sent, and in which order: a snapshot after another, or a tree in two passes."""

from __future__ import annotations

import json
import re
import time
from dataclasses import asdict
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence

from ansible_collections.cellblock.jails.plugins.module_utils.engine import ask, storage
from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.engine.streams import StreamError, flow
from ansible_collections.cellblock.jails.plugins.module_utils.engine.walk import SECOND, Stamp, Walk
from ansible_collections.cellblock.jails.plugins.module_utils.errors import HostError
from ansible_collections.cellblock.jails.plugins.module_utils.moves import journal
from ansible_collections.cellblock.jails.plugins.module_utils.moves.offer import Offer

ROUNDS = 5  # increments while it runs, at most
SMALL = 16 << 20  # bytes of an increment after which another is not worth it
Stamps = Dict[str, Stamp]
Ssh = Callable[[str], List[str]]
LIVE = (".zfs", ".snap")


class Sender:
    """Sends the streams of one jail."""

    def __init__(self, name: str, offer: Offer, move: str, there: Mapping[str, Any], limit: Optional[int]) -> None:
        self.name, self.offer, self.move, self.there, self.limit = name, offer, move, there, limit
        self.where, self.prefix = f"jail {name}", journal.prefix(move)

    # -- datasets

    def rounds(self, host: Host, ssh: Ssh) -> List[int]:
        """A full stream and increments, until what is left is small; bytes of each."""
        sent: List[int] = []
        for number in range(ROUNDS):
            if number or not self._mine(host):
                self._snapshot(host)
            sent.append(self.newest(host, ssh))
            if number and sent[-1] < SMALL:
                break
        return sent

    def last(self, host: Host) -> Dict[str, str]:
        """The last snapshot, taken once; its guids, by stream."""
        noted = f"{journal.home(self.name)}/last"
        name = host.read(noted)
        if name is None or name not in self._mine(host):
            name = self._snapshot(host)
            host.write(noted, name, 0o600)
        return {stream: journal.snapshots(host, str(one["dataset"]))[name] for stream, one in self.offer.datasets.items()}

    def newest(self, host: Host, ssh: Ssh) -> int:
        """Bring the other side to the newest snapshot; what was cut goes on where it was."""
        passed = 0
        for stream, one in self.offer.datasets.items():
            passed += self._bring(host, stream, str(one["dataset"]), str(one.get("origin") or ""), ssh(stream))
        return passed

    def _mine(self, host: Host) -> List[str]:
        found = journal.snapshots(host, str(next(iter(self.offer.datasets.values()))["dataset"]))
        return [name for name in found if name.startswith(self.prefix)]

    def _snapshot(self, host: Host) -> str:
        """One more snapshot of all of it, at one point in time, held until it is needed no more."""
        mine = self._mine(host)
        number = max([int(name.rpartition("-")[2]) for name in mine], default=0) + 1
        return self.take(host, f"{self.prefix}{number}")

    def take(self, host: Host, name: str) -> str:
        """A snapshot of this name."""
        names = [f"{one['dataset']}@{name}" for one in self.offer.datasets.values()]
        host.run(["zfs", "snapshot", *names], where=self.where)
        host.run(["zfs", "hold", storage.HOLD, *names], where=self.where)
        return name

    def _bring(self, host: Host, stream: str, dataset: str, origin: str, ssh: Sequence[str]) -> int:
        told = (self.there.get("datasets") or {}).setdefault(stream, {})
        have: Dict[str, str] = told.setdefault("snapshots", {})
        passed, token = 0, told.pop("token", None)
        if token:
            passed += self._pass(host, ["zfs", "send", "-t", token], ssh)
            found = re.search(r"toname = \S+@(\S+)", host.ask(["zfs", "send", "-nvt", token]).out)
            if found:
                have[found.group(1)] = journal.snapshots(host, dataset).get(found.group(1), "")
        own = journal.snapshots(host, dataset)
        mine = [name for name in own if name.startswith(self.prefix)]
        newest = mine[-1]
        if own[newest] in have.values():
            return passed
        common = [name for name in mine if own[name] in have.values()]
        words = ["zfs", "send", *self._flags()]
        if common:
            words += ["-i", f"@{common[-1]}"]
        elif origin and self.there.get("clone"):
            words += ["-i", origin]
        passed += self._pass(host, [*words, f"{dataset}@{newest}"], ssh)
        have[newest] = own[newest]
        self._forget(host, dataset, [name for name in mine if name != newest])
        return passed

    def _flags(self) -> List[str]:
        if self.offer.raw:
            return ["-w"]
        return [f"-{self.there['flags']}"] if self.there.get("flags") else []

    def _forget(self, host: Host, dataset: str, names: Sequence[str]) -> None:
        for name in names:
            host.ask(["zfs", "release", storage.HOLD, f"{dataset}@{name}"])
            host.ask(["zfs", "destroy", f"{dataset}@{name}"])

    def _pass(self, host: Host, argv: Sequence[str], ssh: Sequence[str]) -> int:
        try:
            return flow(host, [argv, ssh], counted=[1], limit=self.limit, where=self.where).passed[1].size
        except StreamError as error:
            said = str(error)
            if "no longer exists" in said:
                raise HostError(
                    f"what was sent of it cannot be gone on with: {error.what}", self.where, "Run again with jail_move_restart=true, which sends it anew",
                ) from error
            if "partially-complete" in said or "resume" in said or "incomplete stream" in said or "Broken pipe" in said or "255" in said:
                raise HostError(f"the stream was cut: {error.what}", self.where, "Run again, it goes on where it was") from error
            raise

    def base(self, host: Host, ssh: Sequence[str]) -> int:
        """The base goes first."""
        base, token = self.offer.base, (self.there.get("base") or {}).get("token")
        if self.there.get("base_kind") == "zfs":
            if token:
                return self._pass(host, ["zfs", "send", "-t", token], ssh)
            return self._pass(host, ["zfs", "send", *self._flags(), str(base["snapshot"])], ssh)
        return self._pass(host, self._tar(host, str(base["path"])), ssh)

    # -- trees

    def first_pass(self, host: Host, ssh: Sequence[str]) -> int:
        """All of it, as it is while it runs; what changes meanwhile comes with the second pass."""
        noted, began = f"{journal.home(self.name)}/first", int(time.time())
        host.remove(noted)
        before = survey(host, self.offer.path)
        try:
            passed = flow(host, [self._tar(host, self.offer.path), ssh], counted=[1], limit=self.limit, where=self.where).passed[1].size
        except StreamError as error:
            # tar(1) answers 1 when a file goes away or changes under it; it is sent again then.
            if any(result.argv[0] != "tar" or result.rc != 1 for result in error.results):
                raise
            passed = 0
        host.write(noted, f"{began}\n{text_of(before)}", 0o600)
        return passed

    def survey(self, host: Host, ssh: Sequence[str]) -> int:
        """A list of all that it has, now that nothing changes it."""
        path = f"{journal.home(self.name)}/second"
        host.write(path, text_of(survey(host, self.offer.path)), 0o600)
        return flow(host, [ssh], source=path, counted=[0], limit=self.limit, where=self.where).passed[0].size

    def second_pass(self, host: Host, ssh: Sequence[str]) -> int:
        """What is not as it was when the first pass began."""
        home = journal.home(self.name)
        began, _end, listed = (host.read(f"{home}/first") or "0\n").partition("\n")
        was, now = read_text(listed), read_text(host.read(f"{home}/second") or "")
        since = int(began) - 2
        paths = [path for path, stamp in now.items() if stamp.kind != "other" and _moved(was.get(path), stamp, since)]
        if not paths:
            return 0
        host.write(f"{home}/paths", "".join(f"./{path}\0" for path in paths), 0o600)
        argv = ["tar", "-cf", "-", *self._packing(host, self.offer.path), "--no-recursion", "--null", "-C", self.offer.path, "-T", f"{home}/paths"]
        return self._pass(host, argv, ssh)

    def _packing(self, host: Host, path: str) -> List[str]:
        own = storage.acls(ask.mounts(host), path)
        return storage.packing(own == self.there.get("acls", own))

    def _tar(self, host: Host, path: str) -> List[str]:
        return ["tar", "-cf", "-", *self._packing(host, path), "-C", path, "."]


def _moved(was: Optional[Stamp], now: Stamp, since: int) -> bool:
    return was != now or (now.kind == "file" and now.mtime // SECOND >= since)


def survey(host: Host, path: str) -> Stamps:
    """All that is in a tree; of sockets, pipes and devices only that they are there."""
    found = Walk.of(host, path).survey(lambda inside: inside not in LIVE)
    return {inside: stamp for inside, stamp in found.items() if inside not in LIVE}


def text_of(found: Stamps) -> str:
    """A survey as a file: a line of JSON each, so that no name can break it."""
    return "".join(json.dumps([path, {key: value for key, value in asdict(stamp).items() if key != "shared"}]) + "\n" for path, stamp in found.items())


def read_text(text: str) -> Stamps:
    """A survey that was kept."""
    return {path: Stamp(**words) for path, words in map(json.loads, text.splitlines())}
