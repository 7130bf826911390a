# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The side that a jail comes to: what it lacks, what it lets in, and how the jail is brought up there."""

from __future__ import annotations

import time
from typing import Any, Dict, List, Mapping, Optional

from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.engine.plan import Lane, Plan, Step
from ansible_collections.cellblock.jails.plugins.module_utils.errors import HostError, Refused
from ansible_collections.cellblock.jails.plugins.module_utils.jails import runtime
from ansible_collections.cellblock.jails.plugins.module_utils.jails.declaring import jail_from
from ansible_collections.cellblock.jails.plugins.module_utils.jails.model import Jail
from ansible_collections.cellblock.jails.plugins.module_utils.jails.observe import observe
from ansible_collections.cellblock.jails.plugins.module_utils.moves import journal, keys, lacks, trying
from ansible_collections.cellblock.jails.plugins.module_utils.moves.arriving import Place
from ansible_collections.cellblock.jails.plugins.module_utils.moves.journal import ARRIVING, FACT, GONE, HERE, PLACED
from ansible_collections.cellblock.jails.plugins.module_utils.moves.offer import Offer
from ansible_collections.cellblock.jails.plugins.module_utils.upgrades.model import Gate


class Target:
    """The phases of this side.

    :param asked: options of the jail that are other here.
    """

    def __init__(
        self, host: Host, offer: Offer, move: str, storage_path: str, storage_dataset: Optional[str], asked: Mapping[str, Any],
    ) -> None:
        self.offer, self.name, self.asked = offer, offer.name, dict(asked)
        self.storage_path, self.storage_dataset = storage_path.rstrip("/"), storage_dataset
        self.noted = journal.load(host, self.name)
        # Of a move that the source knows nothing of any more, nothing is worth keeping but its room.
        self.left = bool(self.noted) and self.noted.get("id") != move and not offer.phase and (self.noted.get("offer") or {}).get("host") == offer.host
        self.move = str(self.noted["id"]) if self.left else move
        self.told: Dict[str, Any] = {}
        self.jail = self._jail()
        self.seen = observe(host, [self.jail], self.storage_path, self.storage_dataset)
        self.stands = self.seen.definition(self.name)
        self.here = self.stands is not None and (self.stands.meta.get(FACT) or {}).get("id") == self.move and not self.left
        self.place = self._place(host)

    # -- what is there

    def _jail(self) -> Jail:
        options = {**self.offer.options, **self.asked, "name": self.name, "state": "stopped"}
        options.pop("path", None)
        if self.offer.path != f"{self.offer.storage_path}/{self.name}" or self.offer.root == "existing":
            options["path"] = self.asked.get("path") or self.offer.path
        if options.get("root") == "clone" and self.storage_dataset is None:
            options["root"] = "thick"
        if self.storage_dataset is not None and self.offer.dataset is not None:
            own = next(iter(self.offer.datasets.values()))["properties"]
            options = {**{key: own[key] for key in ("quota", "reservation") if own.get(key) not in (None, "0", "none")}, **options}
        if self.offer.rulesets and "devfs_ruleset" not in self.asked:
            options["devfs_ruleset"] = next(iter(self.offer.rulesets))
        jail = jail_from(options, self.storage_path)
        return Jail(**{**vars(jail), "own": {**jail.own, FACT: {"id": self.move, "from": self.offer.host, "at": int(time.time())}}})

    def _place(self, host: Host) -> Place:
        offer, dataset = self.offer, f"{self.storage_dataset}/{self.name}" if self.storage_dataset else None
        if offer.root == "existing":
            dataset = None
        kind = "zfs" if dataset is not None and offer.dataset is not None else "tar"
        base, base_kind, clone = self._base(host, kind)
        base_dataset = f"{self.storage_dataset}/basejails/{offer.base.get('name')}" if self.storage_dataset else None
        if base_kind == "zfs" and base_dataset is None:
            base_kind = "tar"
        return Place(self.name, self.move, offer, kind, self.jail.path, dataset, base, base_dataset, base_kind, clone)

    def _base(self, host: Host, kind: str) -> "tuple[str, str, bool]":
        """Where its base is here, how it has to be sent, and whether the root can be a clone of it."""
        base = self.offer.base
        if not base or self.jail.root == "thick":
            return "", "", False
        path = self.jail.base_path(self.storage_path)
        noted = self.noted.get("base_kind")
        there = path in self.seen.directories and not noted
        guid = base.get("guid")
        by_stream = kind == "zfs" and bool(guid)
        same = by_stream and self.jail.root == "clone" and guid in _guids(host, str(self.storage_dataset))
        if noted:
            return path, str(noted), by_stream and self.jail.root == "clone"
        if there or str(base["name"]).startswith("/"):
            return path, "", same
        return path, "zfs" if by_stream else "tar", by_stream and self.jail.root == "clone"

    # -- phases

    def plan(self, phase: str, host: Host, public: Mapping[str, str], identities: Mapping[str, str], wish: Gate, anew: bool) -> Plan:
        """The plan of a phase."""
        if phase == "start":
            return trying.start(self, wish)
        if phase == "look":
            return Plan(facts={"move": self.place.there(host)})
        steps = {
            "open": lambda: self.open(host, anew), "allow": lambda: self.allow(public), "prune": self.prune,
            "place": lambda: self.put(identities), "demote": self.demote, "forget": self.forget, "close": self.close,
        }[phase]()
        return Plan(lanes=[Lane(self.name, steps)] if steps else [], facts={"move": self.told}, warnings=list(self.told.get("tells", ())))

    def open(self, host: Host, anew: bool) -> List[Step]:
        """Refuse what this host lacks, make room, and tell what has come already."""
        if self.here:
            phase = HERE if self.noted.get("phase", HERE) == HERE else PLACED
            self.told.update(id=self.move, phase=phase, host=host.run(["sysctl", "-n", "kern.hostname"]).out.strip(), streams=[])
            # Its addresses must not be taken for the host's own when it is defined anew.
            cut = phase == PLACED and self.name in self.seen.running
            return [Step("stop what a run that was cut off left of it", lambda host: trying.stopped(self, host))] if cut else []
        if self.offer.phase == GONE:
            raise Refused(
                f"it left {self.offer.host} before, and is not here", f"jail {self.name}", "What stands there is what it was: remove it by state: absent",
            )
        lacks.check(self, host)
        lacks.tell(self, host)

        def do(host: Host) -> None:
            if self.noted.get("phase") == PLACED:
                self.place.take_back(host)
            journal.save(host, self.name, {"id": self.move, "phase": ARRIVING, "offer": self.offer.told(), "base_kind": self.place.base_kind})
            self.place.prepare(host, anew or self.left)
            self.told.update(self.place.there(host))

        return [Step(f"make room for it at {self.place.dataset or self.place.path}", do)]

    def allow(self, public: Mapping[str, str]) -> List[Step]:
        """Let the source's keys receive."""
        return [Step(
            f"let keys of {self.offer.host} receive {', '.join(self.place.streams())}, and do nothing else",
            lambda host: keys.allow(host, self.name, self.place.commands(), public), lambda host: keys.revoke(host, self.name),
        )]

    def prune(self) -> List[Step]:
        """Between the passes of a tree."""
        return [Step(f"take away from {self.place.growing} what it has no more", self.place.prune)] if self.place.kind == "tar" else []

    def put(self, identities: Mapping[str, str]) -> List[Step]:
        """Compare what came, and let it stand in its place."""
        if self.here or self.noted.get("phase") == PLACED:
            return []

        def do(host: Host) -> None:
            journal.save(host, self.name, {**self.noted, "phase": PLACED})
            self.place.put(host)

        def undo(host: Host) -> None:
            self.place.take_back(host)
            journal.save(host, self.name, {**self.noted, "phase": ARRIVING})

        base = [Step("let its base be one of this host's", self.place.settle_base)] if self.place.base_kind else []
        return [
            Step("take no more of it", lambda host: keys.revoke(host, self.name)),
            Step("compare what came with what was sent", lambda host: self.place.compare(host, identities)), *base,
            Step(f"let it stand at {self.place.path}", do, undo),
        ]

    def demote(self) -> List[Step]:
        """It was not well here: what came is as it was when it came, and the source may start it again."""
        if self.noted.get("phase") != PLACED or self.here:
            return []

        def do(host: Host) -> None:
            if runtime.alive(host, self.name):
                raise HostError("it runs", f"jail {self.name}", "Stop it first: it must not run on two hosts")
            self.place.take_back(host)
            journal.save(host, self.name, {**self.noted, "phase": ARRIVING})

        return [Step(f"take it away from {self.place.path} again", do)]

    def forget(self) -> List[Step]:
        """Give the move up: nothing of it stays here."""
        if self.here:
            raise Refused("it runs here", f"jail {self.name}", "Move it back from here")

        def do(host: Host) -> None:
            keys.revoke(host, self.name)
            if self.noted.get("phase") == PLACED:
                self.place.take_back(host)
            if self.place.kind == "zfs":
                self.place.drop_datasets(host)
            else:
                self.place.drop_tree(host)
            journal.drop_home(host, self.name)

        return [Step("take away what has come of it", do)] if self.noted else []

    def close(self) -> List[Step]:
        """Nothing of the move itself stays: no key, no snapshot, no journal."""

        def do(host: Host) -> None:
            keys.revoke(host, self.name)
            if self.here:
                datasets = list(self.place.datasets().values())
                journal.drop_snapshots(host, [*datasets, *([self.place.base_dataset] if self.place.base_dataset else [])], self.move)
                journal.drop_home(host, self.name)

        return [Step("take away keys and snapshots of the move", do)] if self.noted else []


def _guids(host: Host, top: str) -> List[str]:
    """The guids of all snapshots below a dataset: what streams may build on."""
    return host.run(["zfs", "list", "-H", "-t", "snapshot", "-r", "-o", "guid", top]).out.split()
