# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`make benchmark` without a host: what a call of `jails` that changes nothing costs beside a bare `ping`, on the host alone.

Both run as ansible-core ships them, in turns, on the oldest and the newest Python that is here, on a simulated host whose tools
answer at once what the same host answered before. Then what 200 declared jails cost beside one. The first call of each, which
plans, is not counted: those after it are told again, see engine/recall.py.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple

TREE = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TREE.parents[2]), str(TREE / "tests")]

from ansible.executor.module_common import modify_module  # noqa: E402
from ansible.parsing.dataloader import DataLoader  # noqa: E402
from ansible.plugins.loader import init_plugin_loader, module_loader  # noqa: E402
from ansible.template import Templar  # noqa: E402
from kit import pythons  # noqa: E402

init_plugin_loader([str(TREE.parents[2])])

from ansible_collections.cellblock.jails.plugins.module_utils.engine.apply import take  # noqa: E402
from ansible_collections.cellblock.jails.plugins.module_utils.engine.commands import Result  # noqa: E402
from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host  # noqa: E402
from ansible_collections.cellblock.jails.plugins.module_utils.jails.planning import plan  # noqa: E402
from ansible_collections.cellblock.jails.plugins.module_utils.jails.request import Request  # noqa: E402
from ansible_collections.cellblock.jails.tests.simulator import SimulatedHost, door  # noqa: E402

ENTER = TREE / "tests" / "simulator" / "bin" / "enter"
TOOLS = "/sbin"
Argv = Tuple[str, ...]


def declared(number: int) -> List[Dict[str, Any]]:
    """Jails with what jails commonly have."""
    return [
        {"name": f"j{place}", "root": "empty", "ip4": [f"lo0|127.1.{place // 250}.{place % 250 + 1}/32"], "rc_conf": {"sshd_enable": "NO"}, "boot": False}
        for place in range(number)
    ]


def shipped(name: str, options: Dict[str, Any]) -> bytes:
    """A module as it goes to a host."""
    found = module_loader.find_plugin_with_context(name)
    return bytes(modify_module(
        module_name=found.resolved_fqcn, module_path=found.plugin_resolved_path, module_args=options,
        templar=Templar(loader=DataLoader(), variables={}), task_vars={"ansible_python_interpreter": "/usr/local/bin/python3"},
        module_compression="ZIP_DEFLATED", async_timeout=0, environment=None, become_plugin=None,
    ).b_module_data)


class Replayed:
    """A simulated host with jails, its tools replaced by what they answered to a run that changed nothing."""

    def __init__(self, root: Path, number: int) -> None:
        self.root = root
        door.lay_out(root)
        simulated = SimulatedHost(root)
        request = Request.from_options({"jails": declared(number)}, check_mode=False)
        for _pass in range(2):
            take(Host(simulated.runner, str(root)), plan(Host(simulated.runner, str(root)), request))
        answers: Dict[Argv, Result] = {}

        def asked(argv: Sequence[str], stdin: Optional[bytes], env: Any, timeout: Optional[float]) -> Result:
            answers[tuple(argv)] = result = simulated.runner(argv, stdin, env, timeout)
            return result

        steps = plan(Host(asked, str(root)), request).told()
        assert not steps, steps
        self._lay(answers)

    def _lay(self, answers: Dict[Argv, Result]) -> None:
        kept = self.root / "answers"
        kept.mkdir()
        cases: Dict[str, List[str]] = {}
        for place, (argv, result) in enumerate(answers.items()):
            (kept / str(place)).write_text(result.out)
            cases.setdefault(argv[0], []).append(f"'{' '.join(argv[1:])}') /bin/cat /answers/{place}; exit {result.rc} ;;")
        for name, lines in cases.items():
            tool = self.root / TOOLS.strip("/") / name
            tool.unlink(missing_ok=True)
            tool.write_text("\n".join(["#!/bin/sh", 'case "$*" in', *lines, "esac", "exit 127", ""]))
            tool.chmod(0o755)

    def timed(self, python: Path, module: bytes) -> float:
        """Seconds that a module takes here."""
        started = time.monotonic()
        self.told(python, module)
        return time.monotonic() - started

    def told(self, python: Path, module: bytes) -> Dict[str, Any]:
        """What a module answers here."""
        prefix = str(Path(os.path.realpath(python)).parents[1])
        unshare = ["unshare", "--mount", "--propagation", "private", *([] if os.geteuid() == 0 else ["--map-root-user"])]
        argv = [*unshare, "--", str(ENTER), str(self.root), prefix, str(TREE.parents[2]), "/usr/local/bin/python3", "-"]
        done = subprocess.run(argv, input=module, capture_output=True, check=False)
        assert done.returncode == 0, (done.stdout[-2000:] + done.stderr[-2000:]).decode()
        return dict(json.loads(done.stdout))


def medians(turns: int, cases: Dict[str, Tuple[Replayed, bytes]], python: Path) -> Dict[str, float]:
    """Each case's median, taken in turns: a host is noisier from minute to minute than from call to call."""
    taken: Dict[str, List[float]] = {name: [] for name in cases}
    for _turn in range(turns + 1):
        for name, (host, module) in cases.items():
            taken[name].append(host.timed(python, module))
    return {name: statistics.median(times[1:]) for name, times in taken.items()}


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--jails", type=int, default=200)
    asked = parser.parse_args()
    known = {version: path for version, path in pythons().items() if version >= (3, 9)}
    with tempfile.TemporaryDirectory() as place:
        one, many = (Replayed(Path(place) / str(number), number) for number in (1, asked.jails))
        cases = {
            "ping": (one, shipped("ansible.builtin.ping", {})),
            "one": (one, shipped("cellblock.jails.jails", {"jails": declared(1)})),
            "many": (many, shipped("cellblock.jails.jails", {"jails": declared(asked.jails)})),
        }
        sizes = {name: len(module) // 1024 for name, (_host, module) in cases.items()}
        print(f"shipped: ping {sizes['ping']} KiB, jails {sizes['one']} KiB")
        print(f"{'Python':>8} {'ping':>8} {'no-op':>8} {'/ ping':>8} {asked.jails:>5} jails {'/ one':>8}")
        for version in (min(known), max(known)):
            took = medians(asked.turns, cases, known[version])
            print(
                f"{'.'.join(map(str, version)):>8} {took['ping']:>7.2f}s {took['one']:>7.2f}s {took['one'] / took['ping']:>8.2f}"
                f" {took['many']:>10.2f}s {took['many'] / took['one']:>8.2f}"
            )


if __name__ == "__main__":
    main()
