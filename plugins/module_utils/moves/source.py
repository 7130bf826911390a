# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The side that a jail leaves: it sends while the jail runs, stops it, sends the rest, and keeps a copy that cannot start."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Dict, List, Mapping, Optional

from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.engine.plan import Lane, Plan, Step
from ansible_collections.cellblock.jails.plugins.module_utils.errors import Refused
from ansible_collections.cellblock.jails.plugins.module_utils.formats import rc_conf
from ansible_collections.cellblock.jails.plugins.module_utils.jails import rc_variables, runtime
from ansible_collections.cellblock.jails.plugins.module_utils.jails.definition import Definition
from ansible_collections.cellblock.jails.plugins.module_utils.moves import journal, keys
from ansible_collections.cellblock.jails.plugins.module_utils.moves.journal import GONE, SENDING, STOPPED
from ansible_collections.cellblock.jails.plugins.module_utils.moves.offer import BASE, ROOT, SURVEY, Offer
from ansible_collections.cellblock.jails.plugins.module_utils.moves.sending import Sender


@dataclass(frozen=True)
class Wish:
    """What the other side told, and how to reach it.

    :param address: as this host reaches it.
    :param there: what it has, as its module call told.
    :param limit: bytes in a second.
    """

    address: str = ""
    port: int = 22
    there: Mapping[str, Any] = None  # type: ignore[assignment]
    limit: Optional[int] = None


class Source:
    """The phases of this side. Each is a plan of its own, and done twice is done once."""

    def __init__(self, host: Host, name: str, offer: Offer, move: str, wish: Wish) -> None:
        self.name, self.offer, self.move, self.wish = name, offer, move, wish
        self.definition = journal.read(host, name)
        self.noted: Dict[str, Any] = journal.leaving(self.definition)
        self.told: Dict[str, Any] = {}

    def plan(self, phase: str) -> Plan:
        """The plan of a phase."""
        made = {"begin": self.begin, "send": self.send, "stop": self.stop, "rest": self.rest, "gone": self.gone, "back": self.back}[phase]()
        plan = Plan(facts={"move": self.told})
        # A stream may take hours: it needs no lock of the host.
        where = plan.inside if phase in ("send", "rest") else plan.lanes
        where += [Lane(self.name, made)] if made else []
        return plan

    # -- phases

    def begin(self) -> List[Step]:
        """Note it, and make the keys; a new key for each run."""
        streams = list(self.wish.there.get("streams") or ())

        def do(host: Host) -> None:
            if not self.noted:
                said = {"id": self.move, "phase": SENDING, "to": self.wish.there.get("host"), "ran": self.offer.ran, "busy": self.offer.busy}
                journal.put(host, journal.noting(self.definition, said))
            self.told["keys"] = dict(keys.make(host, self.name, streams))

        def undo(host: Host) -> None:
            if not self.noted:
                journal.put(host, self.definition)
                journal.drop_home(host, self.name)

        return [Step(f"begin its move to {self.wish.there.get('host')}, with keys for {', '.join(streams)}", do, undo)]

    def send(self) -> List[Step]:
        """Send what can be sent while it runs."""
        if self.noted.get("phase") != SENDING:
            return []
        sender = Sender(self.name, self.offer, self.move, self.wish.there, self.wish.limit)

        def do(host: Host) -> None:
            self._base(host, sender)
            if self.wish.there.get("kind") == "zfs":
                self.told["rounds"] = sender.rounds(host, lambda stream: self._ssh(host, stream))
            elif not self.noted.get("passed"):
                self.told["rounds"] = [sender.first_pass(host, self._ssh(host, ROOT))]
                journal.put(host, journal.noting(self.definition, {**self.noted, "passed": True}))

        return [Step(f"send it to {self.wish.there.get('host')}, while it runs", do)]

    def stop(self) -> List[Step]:
        """Fence it, stop it, and take the last snapshot: from now on nothing starts it here."""
        phase = self.noted.get("phase")
        if phase not in (SENDING, STOPPED):
            raise Refused("its move was not begun", f"jail {self.name}", "Run the playbook from its beginning")
        steps = [self._fence()] if phase == SENDING else []
        steps.append(Step(
            "stop", self._down, None, f"jail {self.name}", "running\n" if self.offer.ran else "", "stopped\n",
        ))
        sender = Sender(self.name, self.offer, self.move, self.wish.there, self.wish.limit)
        if self.wish.there.get("kind") == "zfs":
            steps.append(Step("take its last snapshot", lambda host: self.told.update(identities=sender.last(host))))
        return steps

    def rest(self) -> List[Step]:
        """Send what is left, now that it is down."""
        sender = Sender(self.name, self.offer, self.move, self.wish.there, self.wish.limit)
        part = str(self.wish.there.get("part") or "")

        def do(host: Host) -> None:
            if runtime.alive(host, self.name):
                raise Refused("it runs", f"jail {self.name}", "Run the playbook from its beginning")
            if self.wish.there.get("kind") == "zfs":
                self._base(host, sender)
                self.told["rounds"] = [sender.newest(host, lambda stream: self._ssh(host, stream))]
            elif part == SURVEY:
                self._base(host, sender)
                self.told["rounds"] = [sender.survey(host, self._ssh(host, SURVEY))]
            else:
                self.told["rounds"] = [sender.second_pass(host, self._ssh(host, ROOT))]

        return [Step(f"send {'a list of all that it has' if part == SURVEY else 'the rest'} to {self.wish.there.get('host')}", do)]

    def gone(self) -> List[Step]:
        """It runs elsewhere: what is here is a copy, to be removed by hand when nobody wants it any more."""
        if self.noted.get("phase") == GONE:
            return []
        if self.noted.get("phase") != STOPPED:
            raise Refused("it was not stopped here", f"jail {self.name}", "Run the playbook from its beginning")
        kept: Dict[str, Any] = {key: self.noted[key] for key in ("id", "to", "boot") if key in self.noted}

        def do(host: Host) -> None:
            datasets = self._datasets()
            for dataset in datasets:
                host.run(["zfs", "set", "canmount=noauto", dataset])
            journal.drop_snapshots(host, datasets + self._bases(), self.move)
            journal.drop_home(host, self.name)
            journal.put(host, journal.noting(self.definition, {**kept, "phase": GONE}))

        return [Step(f"note that it has moved to {self.noted.get('to')}", do)]

    def back(self) -> List[Step]:
        """It stays here after all."""
        if not self.noted:
            return []
        if self.noted.get("phase") == GONE:
            raise Refused(f"it runs on {self.noted.get('to')}", f"jail {self.name}", "Move it back from there")
        original = journal.noting(journal.unfenced(self.definition), None)

        def do(host: Host) -> None:
            journal.drop_snapshots(host, self._datasets() + self._bases(), self.move)
            journal.drop_home(host, self.name)
            self._listed(host, True)
            journal.put(host, original)

        def start(host: Host) -> None:
            journal.put(host, journal.noting(original, {**self.noted, "phase": SENDING}))
            if not runtime.alive(host, self.name):
                runtime.start(host, original)

        steps = [Step("start", start, None, f"jail {self.name}", "stopped\n", "running\n")] if self.noted.get("ran") else []
        return [*steps, Step("note that it stays here", do)]

    # -- what they are made of

    def _ssh(self, host: Host, stream: str) -> List[str]:
        return keys.ssh(host, self.name, stream, self.wish.address, self.wish.port, list(self.wish.there.get("host_keys") or ()))

    def _base(self, host: Host, sender: Sender) -> None:
        if BASE in (self.wish.there.get("streams") or ()) and not self.wish.there.get("base_there"):
            self.told["base"] = sender.base(host, self._ssh(host, BASE))

    def _datasets(self) -> List[str]:
        return [str(one["dataset"]) for one in self.offer.datasets.values()]

    def _bases(self) -> List[str]:
        return [str(self.offer.base["dataset"])] if self.offer.base.get("dataset") else []

    def _fence(self) -> Step:
        def do(host: Host) -> None:
            listed = self._listed(host, False)
            self.noted = {**self.noted, "phase": STOPPED, **({"place": listed} if listed is not None else {})}
            journal.put(host, journal.fenced(journal.noting(self.definition, self.noted)))

        def undo(host: Host) -> None:
            self._listed(host, True)
            journal.put(host, self.definition)
            if self.offer.ran and not runtime.alive(host, self.name):
                runtime.start(host, self.definition)

        return Step("let nothing start it here any more", do, undo)

    def _down(self, host: Host) -> None:
        runtime.stop(host, _without_guard(self.definition))
        runtime.wait_dead(host, self.name)

    def _listed(self, host: Host, back: bool) -> Optional[int]:
        """Take it out of jail_list, or put it back where it was; the place that it had."""
        variables = rc_variables.load(host)
        path, words = variables.place("jail_list"), variables.values.get("jail_list", "").split()
        if path is None or (self.name in words) == back or (back and "place" not in self.noted):
            return None
        place = words.index(self.name) if not back else min(int(self.noted["place"]), len(words))
        words = [word for word in words if word != self.name] if not back else [*words[:place], self.name, *words[place:]]
        host.write(path, rc_conf.edit(variables.texts.get(path, ""), {"jail_list": " ".join(words)}))
        return place


def _without_guard(definition: Definition) -> Definition:
    return replace(journal.unfenced(definition), meta=definition.meta)
