# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The way into a jail: ssh to its host, the host's escalation, jexec(8)."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ansible.errors import AnsibleConnectionFailure
from ansible.module_utils.common.text.converters import to_text

from ansible_collections.cellblock.jails.plugins.module_utils.errors import FormatError
from ansible_collections.cellblock.jails.plugins.plugin_utils import diagnosis, remote, survey
from ansible_collections.cellblock.jails.plugins.plugin_utils.escalation import Escalation
from ansible_collections.cellblock.jails.plugins.plugin_utils.talk import Gate, Talk

# A host's answer about its jails is never as long.
LONGEST_SURVEY = 32 << 20


@dataclass
class Order:
    """One command or transfer.

    :param script: what the jail's shell is to run.
    :param user: the user in the jail; None for root.
    :param source: opens what is sent.
    :param sink: where output goes instead of memory.
    :param gate: the jail's own escalation.
    :param terminal: ask for a terminal.
    """

    script: str
    user: str | None
    source: Any = None
    sink: Any = None
    gate: Gate | None = None
    terminal: bool = False


@dataclass
class Answer:
    """What came of it; ``entered`` says whether the jail was."""

    rc: int
    out: bytes
    err: bytes
    entered: bool


@dataclass(frozen=True)
class Settings:
    """What the connection's options say of the way."""

    place: diagnosis.Place
    escalation: Escalation
    jexec: str
    environment: remote.Environment
    stopped: str
    root: str | None
    seconds: float
    most: int


class Entrance:
    """The way into one jail.

    :param settings: gives the options, anew for every task.
    :param ssh: runs a command line on the host: the line, what is said meanwhile, whether with a terminal.
    :param shell: core's shell plugin, for become plugins.
    """

    def __init__(
        self,
        settings: Callable[[], Settings],
        ssh: Callable[[str, Talk, bool], tuple[int, bytes, bytes]],
        shell: Callable[[], Any],
    ) -> None:
        self._settings, self._ssh, self._shell = settings, ssh, shell
        self.root: str | None = None
        self._no_home: dict[str, str] = {}  # users without a home in the jail, and where it would be

    @property
    def terminal(self) -> bool:
        """Whether the host's escalation needs a terminal."""
        return self._settings().escalation.terminal

    def reach(self, order: Order, sought: bool = False) -> Answer:
        """Take an order to the jail; raise when the jail could not be entered.

        :param sought: whether a way to a jail that was not there has been found before.
        """
        settings = self._settings()
        answer = self._attempt(order, settings)
        if answer.entered or answer.rc == 0:
            return answer
        said = to_text(answer.err + answer.out)
        missing = diagnosis.NO_HOME.search(said.replace("\r", ""))
        if missing and order.user and order.user not in self._no_home:
            self._no_home[order.user] = missing[1]
            return self.reach(order, sought)
        if diagnosis.NO_JAIL.search(said):
            if not sought and self._find_a_way(settings):
                return self.reach(order, True)
            if settings.stopped == "start":
                raise AnsibleConnectionFailure(diagnosis.not_started(settings.place))
        raise self._refusal(said, answer.rc, settings)

    def _refusal(self, said: str, code: int, settings: Settings) -> AnsibleConnectionFailure:
        text = diagnosis.refusal(said, code, settings.place, settings.jexec, settings.escalation.asks)
        return AnsibleConnectionFailure(text)

    def _attempt(self, order: Order, settings: Settings) -> Answer:
        """Once through ssh, the host's escalation and jexec."""
        mark, escalation = f"cellblock-in-{secrets.token_hex(8)}", settings.escalation
        data = order.source is not None or order.sink is not None
        own = order.gate.become if order.gate else None
        terminal = order.terminal or escalation.terminal or bool(own and own.require_tty and own.expect_prompt())
        script = settings.environment.script(order.script, mark, terminal and data)
        door = f"cellblock-door-{secrets.token_hex(16)}"
        ours = escalation.asks and self.root is None and remote.says_marks(settings.jexec)
        line = escalation.wrap(
            self._line(order, script, settings, door if ours else None), self._shell(), door, terminal, ours
        )
        gates = [escalation.gate(door, terminal)] if escalation.asks else []
        # Through a terminal nothing is sent before the jail has set it to carry bytes unharmed.
        gates += [Gate(mark.encode())] if terminal and data else []
        gates += [order.gate] if order.gate else []
        talk = Talk(
            gates, order.source, order.sink, terminal and not data, 2.0 + settings.seconds, settings.most
        )
        rc, out, err = self._ssh(line, talk, terminal)
        if terminal and data and talk.passed >= len(gates) - bool(order.gate):
            return Answer(rc, out, err, True)
        err, entered = _without(err, mark)
        if not entered:
            out, entered = _without(out, mark)
        return Answer(rc, out, err, entered)

    def _line(self, order: Order, script: str, settings: Settings, door: str | None) -> str:
        if self.root is not None:
            return remote.chroot(self.root, order.user, script)
        home = self._no_home.get(order.user or "")
        return remote.jexec(settings.jexec, settings.place.jail, order.user, script, home, door)

    # -- when it is not there

    def _look(self) -> list[dict[str, Any]]:
        """The jails of the host; none when they cannot be told."""
        nonce = f"cellblock-{secrets.token_hex(8)}"
        rc, out, _err = self._ssh(remote.sh(survey.script(nonce)), Talk(most=LONGEST_SURVEY), False)
        try:
            return survey.read(to_text(out), nonce) if rc == 0 else []
        except FormatError:
            return []

    def _find_a_way(self, settings: Settings) -> bool:
        """What to do about a jail that is not there: true to try again, otherwise raise."""
        place, jails = settings.place, self._look()
        found = next((jail for jail in jails if place.jail in (jail["name"], str(jail["jid"]))), None)
        if found is None:
            raise AnsibleConnectionFailure(diagnosis.no_jail(place, [str(jail["name"]) for jail in jails]))
        if found["state"] == "running":
            return True  # it came back between two questions
        if found["state"] == "stopped" and settings.stopped == "chroot":
            self.root = settings.root or str(found["path"])
        elif found["state"] == "stopped" and settings.stopped == "start":
            self._start(settings)  # service(8) answers 0 whatever happened; the next attempt tells
        else:
            raise AnsibleConnectionFailure(diagnosis.not_running(place, found))
        return True

    def _start(self, settings: Settings) -> None:
        escalation, door = settings.escalation, f"cellblock-door-{secrets.token_hex(16)}"
        line = escalation.wrap(remote.sh(remote.start(settings.place.jail)), self._shell(), door, escalation.terminal)
        gates = [escalation.gate(door, escalation.terminal)] if escalation.asks else []
        talk = Talk(gates, keep_open=escalation.terminal, patience=2.0 + settings.seconds, most=settings.most)
        rc, out, err = self._ssh(line, talk, escalation.terminal)
        if rc != 0:
            raise self._refusal(to_text(err + out), rc, settings)


def _without(text: bytes, mark: str) -> tuple[bytes, bool]:
    """A text without the line that says that the jail was entered, and whether it was there."""
    found = re.search(re.escape(mark.encode()) + rb"\r?\n", text)
    return (text[: found.start()] + text[found.end() :], True) if found else (text, False)
