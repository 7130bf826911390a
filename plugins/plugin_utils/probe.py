# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask many hosts for their jails at once: one ssh command each, through core's own ssh plugin."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ansible import constants as C
from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.module_utils.common.text.converters import to_text
from ansible.playbook.play_context import PlayContext
from ansible.plugins.loader import connection_loader

from ansible_collections.cellblock.jails.plugins.module_utils.errors import CellblockError
from ansible_collections.cellblock.jails.plugins.plugin_utils import diagnosis, remote, survey
from ansible_collections.cellblock.jails.plugins.plugin_utils.shown import shown
from ansible_collections.cellblock.jails.plugins.plugin_utils.talk import Talk

# The longest answer that is read.
LONGEST = 16 << 20


class Watch:
    """In the place of a command's input: none; an end to the process when its time is up or it says too much."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._end_of_all: float | None = None
        self._timer: threading.Timer | None = None
        self.expired = False
        self.talk = Talk(most=LONGEST)

    def __len__(self) -> int:
        return 1

    def start(self, stdin: Any, _data: Any, process: Any) -> None:
        """Core's ssh plugin calls it where it would write the input, at every try."""
        self.stop()
        now = time.monotonic()
        self._end_of_all = self._end_of_all or now + self._seconds
        self._timer = threading.Timer(max(self._end_of_all - now, 0.0), self._end, (process,))
        self._timer.daemon = True
        self._timer.start()
        self.talk.run(stdin, process)

    def _end(self, process: Any) -> None:
        self.expired = True
        process.kill()

    def stop(self) -> None:
        """The process ended."""
        if self._timer is not None:
            self._timer.cancel()


def ssh_plugin(host: str) -> Any:
    """Core's ssh plugin for a host, its options not yet set."""
    context = PlayContext()
    context.remote_addr = host
    return connection_loader.get("ansible.builtin.ssh", context)


def ssh_variables() -> set[str]:
    """The variables that core's ssh plugin takes its options from."""
    ssh = ssh_plugin("")
    return set(C.config.get_plugin_vars("connection", ssh._load_name))


class Question:
    """One host's. It is made in the main thread, because plugins are not loaded by several at once.

    :param variables: the host's variables, from which core's ssh plugin takes its options.
    :param seconds: the time for everything.
    """

    def __init__(self, variables: Mapping[str, Any], seconds: float) -> None:
        self._seconds, self._watch = seconds, Watch(seconds)
        self._ssh = ssh_plugin(str(variables["inventory_hostname"]))
        self._ssh.set_options(var_options=dict(variables))
        self._run = self._ssh._bare_run
        self._ssh._bare_run = self._bare_run
        self._ssh._send_initial_data = self._watch.start

    def _bare_run(self, cmd: list[bytes], in_data: Any, sudoable: bool = True, checkrc: bool = True) -> tuple[int, bytes, bytes]:
        # Core's own words for a failure have what it read itself, and the watch has read before it.
        rc, out, err = self._run(cmd, in_data, sudoable=sudoable, checkrc=False)
        return rc, self._watch.talk.out + out, self._watch.talk.err + err

    def _place(self) -> diagnosis.Place:
        user, port = self._ssh.get_option("remote_user"), self._ssh.get_option("port")
        return diagnosis.Place("", str(self._ssh.get_option("host")), str(user or ""), int(port) if port else None)

    def ask(self) -> list[dict[str, Any]] | AnsibleError:
        """The jails of the host, or why they cannot be told. Whatever a host answers, others do not suffer by it."""
        nonce = f"cellblock-{secrets.token_hex(8)}"
        try:
            rc, out, err = self._ssh.exec_command(remote.sh(survey.script(nonce)), in_data=self._watch, sudoable=False)
            if rc == 0:
                return survey.read(to_text(out), nonce)
            error = AnsibleError(shown(to_text(err).strip()) or f"jls(8) failed with exit code {rc}")
        except AnsibleConnectionFailure as raised:
            place = self._place()
            error = AnsibleError(f"{place.login}: {diagnosis.unreachable(str(raised.message), place)}")
        except (AnsibleError, CellblockError) as raised:
            error = AnsibleError(shown(str(raised)))
        except Exception as raised:  # of an answer that nobody thought of
            error = AnsibleError(f"its answer cannot be read: {type(raised).__name__}: {shown(str(raised), 200)}")
        finally:
            self._watch.stop()
        return AnsibleError(f"no answer within {self._seconds:g} s") if self._watch.expired else error


def ask_all(
    hosts: Mapping[str, Mapping[str, Any]], seconds: float, parallel: int
) -> dict[str, list[dict[str, Any]] | AnsibleError]:
    """The jails of every host, or why they cannot be told, in the order of the hosts."""
    questions: dict[str, Question | AnsibleError] = {}
    for name, variables in hosts.items():
        try:
            questions[name] = Question(variables, seconds)
        except AnsibleError as error:
            questions[name] = error
    with ThreadPoolExecutor(max(1, parallel)) as pool:
        return dict(zip(questions, pool.map(_answer, questions.values()), strict=True))


def _answer(question: Question | AnsibleError) -> list[dict[str, Any]] | AnsibleError:
    return question.ask() if isinstance(question, Question) else question
