# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Replicas: a jail as it was a while ago, on another host, where nothing writes to it until it takes the jail's place."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from typing import Any, Dict, List, Mapping, Optional

from ansible_collections.cellblock.jails.plugins.module_utils.backups import manifest as manifests
from ansible_collections.cellblock.jails.plugins.module_utils.engine import noted, storage
from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.engine.lock import locked
from ansible_collections.cellblock.jails.plugins.module_utils.engine.plan import Lane, Plan, Step
from ansible_collections.cellblock.jails.plugins.module_utils.errors import HostError, InputError, Refused
from ansible_collections.cellblock.jails.plugins.module_utils.jails import runtime
from ansible_collections.cellblock.jails.plugins.module_utils.moves import journal, keys
from ansible_collections.cellblock.jails.plugins.module_utils.moves.arriving import Place
from ansible_collections.cellblock.jails.plugins.module_utils.moves.journal import PLACED
from ansible_collections.cellblock.jails.plugins.module_utils.moves.offer import Offer, features
from ansible_collections.cellblock.jails.plugins.module_utils.moves.sending import Sender
from ansible_collections.cellblock.jails.plugins.module_utils.moves.source import Wish
from ansible_collections.cellblock.jails.plugins.module_utils.upgrades import closing

FACT = "replica"  # of a mark: when it was last sent, by the host that has it
PREFIX = "cellblock-replica-"
HOME = f"{noted.TOP}/replicas"
STREAMED = ("large_blocks", "embedded_data", "lz4_compress", "zstd_compress", "large_microzap")
PROMOTED = "promoted"
HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def time_of(name: str) -> int:
    """When a snapshot of ours was taken."""
    return int(manifests.time_of(name[len(PREFIX):]).timestamp())


# -- the side that has the jail


class Origin:
    """Sends what is new since the last time."""

    def __init__(self, host: Host, offer: Offer, wish: Wish) -> None:
        self.name, self.offer, self.wish = offer.name, offer, wish
        self.definition = journal.read(host, offer.name)
        self.told: Dict[str, Any] = {}
        if journal.leaving(self.definition):
            raise Refused("it is about to move to another host", f"jail {offer.name}", "Let the move end first")
        if offer.dataset is None:
            raise Refused("its root is no dataset, and replicas are made of snapshots", f"jail {offer.name}", "Use jail_backup for it")

    def begin(self) -> Plan:
        """A new key for each run."""
        streams = list(self.wish.there.get("streams") or ())
        step = Step(f"make keys for a replica on {self.wish.there.get('host')}", lambda host: self.told.update(keys=dict(keys.make(host, self.name, streams))))
        return Plan(lanes=[Lane(self.name, [step])], facts={"replica": self.told})

    def send(self) -> Plan:
        """A snapshot, and what is new in it. It needs no lock of the host, and may take long."""
        sender = Sender(self.name, self.offer, "", self.wish.there, self.wish.limit)
        sender.prefix = PREFIX
        to = str(self.wish.there.get("host"))

        def do(host: Host) -> None:
            name = f"{PREFIX}{manifests.stamp_of(time.time())}"
            first = next(iter(self.offer.datasets.values()))["dataset"]
            if name not in journal.snapshots(host, str(first)):
                sender.take(host, name)
            self.told["bytes"] = sender.newest(host, self._ssh(host))
            self.told["snapshot"] = name
            with locked(host, 300):
                now = journal.read(host, self.name)
                said = {**(now.meta.get(FACT) or {}), to: time_of(name)}
                journal.put(host, replace(now, meta={**now.meta, FACT: said}))
            journal.drop_home(host, self.name)

        return Plan(inside=[Lane(self.name, [Step(f"bring its replica on {to} up to date", do)])], facts={"replica": self.told})

    def _ssh(self, host: Host) -> Any:
        return lambda stream: keys.ssh(host, self.name, stream, self.wish.address, self.wish.port, list(self.wish.there.get("host_keys") or ()))


# -- the side that keeps it


class Keeper:
    """Keeps replicas of jails of other hosts, and lets one take the jail's place."""

    def __init__(self, host: Host, name: str, origin: str, offer: Optional[Offer], storage_path: str, storage_dataset: Optional[str]) -> None:
        if not HOST.fullmatch(origin):
            raise InputError(f"{origin!r} is no host's name", "origin", "Give the name that the host has itself, as hostname(1) says it")
        if storage_dataset is None:
            raise InputError("replicas are datasets", "storage_dataset", "Give the dataset of the jails of this host")
        self.name, self.origin, self.storage_path, self.storage_dataset = name, origin, storage_path.rstrip("/"), storage_dataset
        self.file = f"{HOME}/{origin}/{name}.json"
        self.noted = noted.read(host, self.file)
        if offer is None and not self.noted:
            raise Refused(f"there is no replica of it from {origin}", f"jail {name}", "Look into " + HOME)
        self.offer = offer if offer is not None else Offer.read(self.noted["offer"])
        self.top = f"{storage_dataset}/replicas:{origin}"
        path = self.offer.path if self.offer.path != f"{self.offer.storage_path}/{name}" else f"{self.storage_path}/{name}"
        self.place = Place(name, "", self.offer, "zfs", path, f"{self.top}/{name}")
        self.told: Dict[str, Any] = {}

    def _save(self, host: Host, **more: Any) -> None:
        self.noted = {**self.noted, "offer": self._kept(), **more}
        noted.write(host, self.file, self.noted)

    def _kept(self) -> Dict[str, Any]:
        """The offer, without what is another at each time."""
        return {**self.offer.told(), "move": "", "size": 0, "ran": True, "busy": True}

    def open(self, host: Host) -> Plan:
        """Make room, and tell what is there."""
        if self.noted.get("phase") == PROMOTED:
            raise Refused("it was promoted, and runs here", f"jail {self.name}", f"Remove it on {self.origin}, or move it back from here")
        if self.offer.dataset is None:
            raise Refused("its root is no dataset, and replicas are made of snapshots", f"jail {self.name}", "Use jail_backup for it")
        keys.check(host)
        have = features(host, self.storage_dataset, ("active", "enabled"))
        lacks = [name for name in STREAMED if name in self.offer.features and name not in have]
        self.told.update(
            host=host.run(["sysctl", "-n", "kern.hostname"]).out.strip(), kind="zfs", streams=self.place.streams(), clone=False,
            flags="" if lacks or self.offer.raw else "Lec", host_keys=keys.host_keys(host), **self.place.there(host),
        )
        steps = [] if storage.is_there(host, self.top) else [
            Step(f"create dataset {self.top}", lambda host: storage.create_dataset(host, self.top, {"canmount": "off"})),
        ]
        if self.noted.get("offer") != self._kept():
            steps.append(Step(f"keep its definition in {self.file}", self._save))
        return Plan(lanes=[Lane(self.name, steps)] if steps else [], facts={"replica": self.told})

    def allow(self, public: Mapping[str, str]) -> Plan:
        """Let the origin's keys receive."""
        step = Step(
            f"let keys of {self.origin} receive {', '.join(self.place.streams())}, and do nothing else",
            lambda host: keys.allow(host, self.name, self.place.commands(), public), lambda host: keys.revoke(host, self.name),
        )
        return Plan(lanes=[Lane(self.name, [step])])

    def close(self, host: Host) -> Plan:
        """Take the keys away, and snapshots that are older than the newest whole one."""

        def do(host: Host) -> None:
            keys.revoke(host, self.name)
            for name in self.place.datasets().values():
                for old in self._snapshots(host, name)[:-1]:
                    host.ask(["zfs", "destroy", f"{name}@{old}"])

        older = any(len(self._snapshots(host, name)) > 1 for name in self.place.datasets().values())
        if not older and not keys.allowed(host, self.name):
            return Plan()
        return Plan(lanes=[Lane(self.name, [Step("take away keys and older snapshots of its replica", do)])])

    def _snapshots(self, host: Host, dataset: str) -> List[str]:
        return [name for name in journal.snapshots(host, dataset) if name.startswith(PREFIX)]

    def promote(self, host: Host) -> Plan:
        """Let it take the jail's place: what was written since is lost, and that is said."""
        target = f"{self.storage_dataset}/{self.name}"
        begun, there = self.noted.get("phase") == PROMOTED, storage.is_there(host, target)
        whole = f"{PREFIX}{manifests.stamp_of(int(self.noted['at']))}" if begun else self._whole(host)
        at = time_of(whole)
        self._tell(at)
        if begun and there and journal.load(host, self.name).get("phase") != PLACED:
            return Plan(facts={"replica": self.told})
        if there and not begun:
            raise Refused(f"dataset {target} is there", f"jail {self.name}", "Remove or rename the jail that has it")
        lost = f"all that was written after {manifests.stamp_of(at)} is lost"
        return Plan(
            lanes=[Lane(self.name, [
                Step(f"let the replica of {self.origin} take its place: {lost}", lambda host: self._take(host, whole, target), None, target, "", f"{whole}\n"),
            ])],
            facts={"replica": self.told},
            warnings=[f"jail {self.name}: {lost}. When {self.origin} comes back, remove the jail there before it starts: it must not run on both"],
        )

    def _take(self, host: Host, whole: str, target: str) -> None:
        """Stand where a jail would; done twice is done once."""
        if runtime.alive(host, self.name):  # a run that was cut off had begun to try it
            closing.stop(host, journal.read(host, self.name), quite=True)
        self._save(host, phase=PROMOTED, at=time_of(whole))
        journal.save(host, self.name, {"id": self.told["id"], "phase": PLACED, "offer": self.offer.told()})
        if not storage.is_there(host, target):
            for name in self.place.datasets().values():
                host.ask(["zfs", "receive", "-A", name])  # what came in part is of no use any more
                storage.rollback(host, f"{name}@{whole}")
            storage.rename_dataset(host, str(self.place.dataset), target)
        place = replace(self.place, dataset=target)
        place.put(host)
        for name in place.datasets().values():
            for taken in self._snapshots(host, name):
                host.ask(["zfs", "destroy", f"{name}@{taken}"])

    def _tell(self, at: int) -> None:
        self.told.update(
            at=at, age=max(0, int(time.time()) - at), offer={**self.offer.told(), "phase": "stopped", "ran": True}, id=f"replica-{self.origin}",
        )

    def _whole(self, host: Host) -> str:
        """The newest snapshot that all of its datasets have."""
        listed = [set(self._snapshots(host, name)) for name in self.place.datasets().values()]
        common = set.intersection(*listed) if listed else set()
        if not common:
            raise HostError("no replica of it has come whole", f"jail {self.name}", "Restore it from a backup")
        return max(common)
