# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A restore as a test: under a name of its own, without a network, compared, and gone again. The result is noted."""

from __future__ import annotations

import datetime
import time
from dataclasses import replace
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence

from ansible_collections.cellblock.jails.plugins.module_utils.backups import restoring
from ansible_collections.cellblock.jails.plugins.module_utils.backups.declared import Options, options_of
from ansible_collections.cellblock.jails.plugins.module_utils.backups.filling import SetFilling
from ansible_collections.cellblock.jails.plugins.module_utils.backups.manifest import Manifest, Proof, stamp_of, time_of
from ansible_collections.cellblock.jails.plugins.module_utils.backups.reading import Reader
from ansible_collections.cellblock.jails.plugins.module_utils.backups.restore_plan import Planner, definition_of
from ansible_collections.cellblock.jails.plugins.module_utils.backups.restored import FACT, PROOF
from ansible_collections.cellblock.jails.plugins.module_utils.backups.restoring import Subject
from ansible_collections.cellblock.jails.plugins.module_utils.backups.wishes import Wish
from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.engine.plan import Plan, Step
from ansible_collections.cellblock.jails.plugins.module_utils.errors import CellblockError, Refused
from ansible_collections.cellblock.jails.plugins.module_utils.formats.secrets import hide
from ansible_collections.cellblock.jails.plugins.module_utils.jails import definition as definitions
from ansible_collections.cellblock.jails.plugins.module_utils.jails import runtime
from ansible_collections.cellblock.jails.plugins.module_utils.jails.definition import Definition
from ansible_collections.cellblock.jails.plugins.module_utils.jails.model import CONSOLE_LOG, Jail
from ansible_collections.cellblock.jails.plugins.module_utils.jails.observed import Observed
from ansible_collections.cellblock.jails.plugins.module_utils.upgrades import marking

SUFFIX = "-verify"
SAID = 400  # characters of what was wrong that are kept
INSIDE = ("start", "stop", "timeout", "jail_user", "system_jail_user", "system_user")  # commands that run in the jail, and how
APART = ("ip4", "ip6", "vnet", "host.", "zfs", "interface")


def name_of(jail: str) -> str:
    """What a jail is called while it is tested."""
    return f"{jail.replace('.', '_')}{SUFFIX}"


def declared(host: Host, manifest: Manifest) -> Options:
    """The options of a jail that is tested: what is in it as it was, and nothing by which it could reach anybody or change the host."""
    found = options_of(definition_of(manifest), same=False)
    params = {key: value for key, value in (found.get("params") or {}).items() if not key.startswith(APART)}
    mounts = []
    for mount in found.get("mounts") or ():
        if mount["type"] == "nullfs" and host.lstat(mount["src"]) is not None:
            mounts.append({**mount, "opts": "ro"})
        elif mount["type"] == "tmpfs":
            mounts.append(mount)
    commands = {key: value for key, value in (found.get("exec") or {}).items() if key in INSIDE}
    return {
        "root": found.get("root"), "base": found.get("base"), "params": params, "exec": commands, "mounts": mounts, "vnet": True, "boot": False,
    }


class Verifier(Planner):
    """Plans the tests of one host."""

    def plan(self) -> Plan:
        """The whole plan."""
        wishes = self.request.wishes
        if wishes is None:
            wishes = tuple(map(self.request.wish, self.finder.jails()))
        named = tuple(replace(wish, name=name_of(wish.jail), start=True) for wish in wishes if not self._is_proved(wish))
        self.request = replace(self.request, wishes=named, again=True, fresh=False)
        return super().plan()

    def _is_proved(self, wish: Wish) -> bool:
        """Whether a set of the jail passed its test since."""
        since = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(hours=self.request.older_than)
        sets = self.finder.sets(wish.jail)
        recent = any(proof.passed and time_of(proof.at) >= since for one in sets for proof in one.proofs)
        if recent and self.request.older_than:
            self.told[wish.jail] = {"changed": False, "did": "", "set": sets[-1].stamp}
        return recent and bool(self.request.older_than)

    def options(self, manifest: Manifest, wish: Wish) -> Options:
        """Those of the test."""
        found = declared(self.host, manifest)
        path = {"path": f"{self.request.storage_path}/{wish.name}"} if found["root"] == "existing" else {}
        return {**found, **path, **wish.declare, "name": wish.name, "state": "started"}

    def _subject(self, seen: Observed, jail: Jail, wish: Wish, reader: Reader) -> Subject:
        left = seen.definition(jail.name)
        if left is not None and not (left.meta.get(FACT) or {}).get("test"):
            raise Refused(f"there is a jail {jail.name}, and it is no test of ours", f"jail {wish.jail}", "Call it otherwise")
        found = super()._subject(seen, jail, wish, reader)
        filling = SetFilling(reader, False, True, self.request.key)
        first = list(found.first)
        if left is not None:
            first.append(Step(f"take away {jail.name}, left of a test that was cut off", self._removal(replace(found, filling=filling))))
        return replace(found, filling=filling, old=None, ran=False, aside=None, is_aside=False, going_on=False, first=first)

    def clear(self, seen: Observed, subject: Subject) -> None:
        """What is left of a test is taken away before."""
        name, path, dataset = subject.jail.name, subject.jail.path, self._dataset(subject.jail)
        seen.running.pop(name, None)
        seen.confs.pop(name, None)
        seen.directories -= {path}
        seen.filled -= {path}
        seen.seen.pop(name, None)
        seen.mounts = [mount for mount in seen.mounts if mount.node != path and not mount.node.startswith(f"{path}/")]
        if dataset is not None:
            kept = {key: value for key, value in (seen.datasets or {}).items() if key.partition("@")[0] != dataset and not key.startswith(f"{dataset}/")}
            seen.datasets = kept

    def said(self, subject: Subject) -> Dict[str, Any]:
        """In its mark."""
        return {**subject.noted("begun"), "test": True}

    def steps(self, subject: Subject, made: Sequence[Step], new: Definition) -> List[Step]:
        """Make it, start it, wait, note it, take it away; what fails is noted too."""
        whole = restoring.lane(subject, made, new, self._dataset(subject.jail))[:-1]  # but for the note in its own mark
        note = self._note(subject)
        steps = [replace(step, do=_heard(step.do, note)) for step in whole]
        steps.append(Step(f"note in the manifest of set {subject.set} that it passed", lambda host: note(host, True, "")))
        return [*steps, Step(f"remove {subject.jail.name}", self._removal(subject), None, f"jail {subject.jail.name}", "running\n", "")]

    def _removal(self, subject: Subject) -> Callable[[Host], None]:
        name, dataset = subject.jail.name, self._dataset(subject.jail)

        def do(host: Host) -> None:
            path = definitions.conf_path(name)
            definition = definitions.read_conf(name, host.read(path) or "") or Definition(name, "jail_conf", {}, {"path": [subject.jail.path]})
            runtime.stop(host, definition, leaves=True)
            runtime.wait_dead(host, name)
            restoring.remove_root(host, subject, dataset)
            host.remove(CONSOLE_LOG.format(name=name))
            host.remove(path)

        return do

    def _note(self, subject: Subject) -> Callable[[Host, bool, str], None]:
        filling = subject.filling
        last, place = filling.reader.chain.last, filling.reader.chain.place
        where = self.jail_of(last.jail)

        def note(host: Host, passed: bool, said: str) -> None:
            proof = Proof(stamp_of(time.time()), passed, hide(said)[:SAID], host.run(["sysctl", "-n", "kern.hostname"]).out.strip())
            place.update(host, last.proved(proof))
            if where is not None:
                fact = {"set": last.stamp, "at": proof.at, "passed": passed, **({"said": proof.said} if said else {})}
                marking.put(host, replace(where, meta={**where.meta, PROOF: fact}))

        return note

    def jail_of(self, name: str) -> Optional[Definition]:
        """The jail that a set is of, when this host has it."""
        return self.ours.get(name)

    def _tell(self, result: Plan, finishing: Mapping[str, List[Step]]) -> None:
        super()._tell(result, finishing)
        told = dict(self.told)
        for name, subject in self.subjects.items():
            told[subject.of] = {"changed": True, "did": f"tested set {subject.set}", "set": subject.set, "of": subject.of, "as": name}
        result.facts = {"jails": told}


def _heard(do: Callable[[Host], None], note: Callable[[Host, bool, str], None]) -> Callable[[Host], None]:
    """The same, and what fails is noted."""

    def heard(host: Host) -> None:
        try:
            do(host)
        except (CellblockError, OSError) as error:
            note(host, False, str(error))
            raise

    return heard
