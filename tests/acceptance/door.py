# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Calls one module of the collection, its whole main(), the way Ansible does.

Runs in the tests' own process for the simulated host, and as a program on a real one, which answers a line of JSON for
each that it reads: ``{"module": ..., "options": {...}, "kill_at": ...}``, or ``{"commands": [...], "folders": [...],
"files": [...]}`` to look at many things at once.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import signal
import sys
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, Sequence
from unittest import mock

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.testing import patch_module_args

from ansible_collections.cellblock.jails.plugins.module_utils.engine import commands as hosts
from ansible_collections.cellblock.jails.plugins.module_utils.engine import recall
from ansible_collections.cellblock.jails.plugins.module_utils.engine.commands import Result
from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host

PLUGINS = "ansible_collections.cellblock.jails.plugins"
RECALLED: List[str] = []  # the calls that were told again without being planned


@contextlib.contextmanager
def _hosts_from(module: Any, make: Callable[[], Host]) -> Iterator[None]:
    """Whoever asks for the host, the module or its door, gets this one."""
    with contextlib.ExitStack() as stack:
        for holder in (module, importlib.import_module(f"{PLUGINS}.module_utils.engine.door"), recall):
            if hasattr(holder, "Host"):
                stack.enter_context(mock.patch.object(holder, "Host", make))
        # Here it does not come in Ansible's archive, which says which code it is.
        stack.enter_context(mock.patch.object(recall, "_code", lambda: "these tests"))
        yield


@contextlib.contextmanager
def _noting(name: str) -> Iterator[None]:
    """Note whether the call is told again as the last one was."""
    class Told(recall._Told):
        def exit_json(self, **told: Any) -> None:
            RECALLED.append(name)
            super().exit_json(**told)

    with mock.patch.object(recall, "_Told", Told):
        yield


def call(name: str, options: Mapping[str, Any], make: Callable[[], Host]) -> Dict[str, Any]:
    """What the module answers."""
    module = importlib.import_module(f"{PLUGINS}.modules.{name}")
    said = io.StringIO()
    warned: List[str] = []
    with contextlib.ExitStack() as stack:
        stack.enter_context(_hosts_from(module, make))
        stack.enter_context(_noting(name))
        stack.enter_context(patch_module_args(dict(options)))
        stack.enter_context(contextlib.redirect_stdout(said))
        # Where Ansible's controller is loaded too, its module_utils would hand warnings to it.
        stack.enter_context(mock.patch.object(AnsibleModule, "warn", lambda _self, warning: warned.append(warning)))
        stack.enter_context(contextlib.suppress(SystemExit))
        module.main()
    told = dict(json.loads(said.getvalue().strip().splitlines()[-1]))
    return {**told, "warnings": warned} if warned else told


def killed_at(number: int) -> Callable[[], Host]:
    """A host whose process dies before its command of this number, those of streams counted too."""
    count = [0]

    def next_one() -> None:
        if count[0] == number:
            os.kill(os.getpid(), signal.SIGKILL)
        count[0] += 1

    def runner(argv: Sequence[str], stdin: Optional[bytes], env: Mapping[str, str], timeout: Optional[float]) -> Result:
        next_one()
        return hosts.run_command(argv, stdin, env, timeout)

    def spawner(argv: Sequence[str], stdin: int, stdout: int, stderr: int, env: Mapping[str, str]) -> hosts.Process:
        next_one()
        return hosts.spawn_command(argv, stdin, stdout, stderr, env)

    return lambda: Host(runner, "/", spawner)


def look(commands: Sequence[Sequence[str]], folders: Sequence[str], files: Sequence[str]) -> Dict[str, Any]:
    """What commands answer, and what is in directories and files; each in the order in which it was asked for."""
    host = Host()
    answers = [host.ask(argv) for argv in commands]
    return {
        "commands": [[answer.rc, answer.out, answer.err] for answer in answers],
        "folders": [host.listdir(path) for path in folders],
        "files": [host.read(path) for path in files],
    }


def main() -> None:
    """The program."""
    for line in sys.stdin:
        asked = json.loads(line)
        if "commands" in asked:
            print(json.dumps(look(**asked)), flush=True)
            continue
        make = Host if asked["kill_at"] is None else killed_at(asked["kill_at"])
        print(json.dumps(call(asked["module"], asked["options"], make)), flush=True)


if __name__ == "__main__":
    main()
