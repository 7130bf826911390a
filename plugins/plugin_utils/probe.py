# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask many hosts for their jails at once: one ssh command each, through core's own ssh plugin."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ansible import constants as C
from ansible.errors import AnsibleError
from ansible.module_utils.common.text.converters import to_text
from ansible.playbook.play_context import PlayContext
from ansible.plugins.loader import connection_loader

from ansible_collections.cellblock.jails.plugins.module_utils.errors import CellblockError
from ansible_collections.cellblock.jails.plugins.plugin_utils import remote, survey


class Watch:
    """In the place of a command's input: none, and an end to the process when its time is up."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._timer: threading.Timer | None = None
        self.expired = False

    def __len__(self) -> int:
        return 1

    def start(self, stdin: Any, _data: Any, process: Any) -> None:
        """Core's ssh plugin calls it where it would write the input."""
        stdin.close()
        self.stop()
        self._timer = threading.Timer(self._seconds, self._end, (process,))
        self._timer.daemon = True
        self._timer.start()

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
        self._seconds = seconds
        self._ssh = ssh_plugin(str(variables["inventory_hostname"]))
        self._ssh.set_options(var_options=dict(variables))

    def ask(self) -> list[dict[str, Any]] | AnsibleError:
        """The jails of the host, or why they cannot be told."""
        watch, nonce = Watch(self._seconds), f"cellblock-{secrets.token_hex(8)}"
        self._ssh._send_initial_data = watch.start
        try:
            rc, out, err = self._ssh.exec_command(remote.sh(survey.script(nonce)), in_data=watch, sudoable=False)
            if rc == 0:
                return survey.read(to_text(out), nonce)
            error = AnsibleError(to_text(err).strip() or f"jls(8) failed with exit code {rc}")
        except AnsibleError as raised:
            error = raised
        except CellblockError as raised:
            error = AnsibleError(str(raised))
        finally:
            watch.stop()
        return AnsibleError(f"no answer within {self._seconds:g} s") if watch.expired else error


def ask_all(
    hosts: Mapping[str, Mapping[str, Any]], seconds: float, parallel: int
) -> dict[str, list[dict[str, Any]] | AnsibleError]:
    """The jails of every host, or why they cannot be told, in the order of the hosts."""
    questions = {name: Question(variables, seconds) for name, variables in hosts.items()}
    with ThreadPoolExecutor(max(1, parallel)) as pool:
        return dict(zip(questions, pool.map(Question.ask, questions.values()), strict=True))
