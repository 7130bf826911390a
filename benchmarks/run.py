# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`make benchmark HOST=root@address[:port]`: what jails cost, beside the bare floor, as ratios.

No-op and create of 1, 20 and 100 clone jails, beside ``zfs clone`` and ``jail -c`` in a shell, one after another and four side by side
by xargs(1), and beside a bare Ansible ping; a
task in a jail through jexec, beside the same task on the host over plain ssh; and how much a jail that has booted holds.
With ``--networks`` also what networks cost, by pf; with ``--upgrades`` how long thin jails are down for an upgrade, beside by hand; with
``--backups`` how fast sets are made, beside zfs-send(8) and tar(1).
Needs ZFS, a base (``BASE``) in ``DATASET/basejails``, and a host without jails of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, Dict, List, Tuple

from backups import Backups
from networks import Networks
from upgrades import Upgrades

TREE = Path(__file__).resolve().parents[1]
COLLECTIONS = TREE / "build" / "collections"


class Bench:
    """A host, and how long things take there, in seconds."""

    def __init__(self, asked: argparse.Namespace, place: Path) -> None:
        self.asked, self.place = asked, place
        target, _colon, port = asked.host.partition(":")
        self.user, _at, self.address = target.rpartition("@")
        self.port = port or "22"
        host = {
            "ansible_host": self.address, "ansible_port": self.port, "ansible_user": self.user or "root",
            "ansible_python_interpreter": asked.python,
        }
        inside = {
            **host, "ansible_connection": "cellblock.jails.jexec", "ansible_jail_host": self.address, "ansible_jail_name": "benchjexec",
        }
        (place / "inventory.json").write_text(json.dumps({"all": {"hosts": {"bench": host, "inside": inside}}}))

    @property
    def environment(self) -> Dict[str, str]:
        """What Ansible needs here."""
        path = os.pathsep.join([str(TREE / "build" / "venv" / "bin"), os.environ.get("PATH", "")])
        return {**os.environ, "PATH": path, "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS), "ANSIBLE_PIPELINING": "1"}

    def timed(self, words: List[str]) -> float:
        started = time.monotonic()
        subprocess.run(words, env=self.environment, check=True, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
        return time.monotonic() - started

    def answer(self, name: str, arguments: Dict[str, Any]) -> Dict[str, Any]:
        """What a module answers, and in how many ``seconds``."""
        words = ["ansible", "-i", str(self.place / "inventory.json"), "bench", "-m", name, "-a", json.dumps(arguments)]
        started = time.monotonic()
        done = subprocess.run(words, env=self.environment, check=True, capture_output=True, stdin=subprocess.DEVNULL, text=True)
        return {**json.loads(done.stdout.partition("=>")[2]), "seconds": time.monotonic() - started}

    def module(self, name: str, arguments: Dict[str, Any], host: str = "bench") -> float:
        words = ["ansible", "-i", str(self.place / "inventory.json"), host, "-m", name]
        return self.timed(words + (["-a", json.dumps(arguments)] if arguments else []))

    def asked_shell(self, command: str) -> str:
        """What a command of the host answers."""
        return subprocess.run(self.ssh(command), check=True, capture_output=True, stdin=subprocess.DEVNULL, text=True).stdout

    def shell(self, command: str) -> float:
        return self.timed(self.ssh(command))

    def ssh(self, command: str) -> List[str]:
        return ["ssh", "-p", self.port, f"{self.user or 'root'}@{self.address}", command]

    def busy(self) -> bool:
        """Whether the host runs jails."""
        return bool(self.asked_shell("jls name").strip())

    def jails(self, number: int) -> float:
        declared = [{"name": f"bench{place}", "root": "clone", "base": self.asked.base, "boot": False} for place in range(number)]
        return self.bring(declared)

    def bring(self, declared: List[Dict[str, Any]]) -> float:
        """Have just these jails."""
        where = {"storage_path": self.asked.path, "storage_dataset": self.asked.dataset, "prune": True, "prune_share": 100}
        return self.module("cellblock.jails.jails", {"jails": declared, **where})

    def floor(self, number: int, abreast: int = 1) -> float:
        """The same jails by zfs(8) and jail(8) alone, one after another or so many side by side, which is the honest floor of ours."""
        snapshot = f"$(zfs list -Ht snapshot -o name -S createtxg {self.asked.dataset}/basejails/{self.asked.base} | head -1)"
        start = f"jail -c name=floor% path={self.asked.path}/floor% mount.devfs persist exec.start='/bin/sh /etc/rc' >/dev/null"
        made = self.shell(f'seq {number} | s={snapshot} xargs -P {abreast} -I % sh -c "zfs clone \\$s {self.asked.dataset}/floor% && {start}"')
        self.shell(
            f'seq {number} | xargs -P 4 -I % sh -c "jail -r floor%; umount {self.asked.path}/floor%/dev; zfs destroy {self.asked.dataset}/floor%"'
        )
        return made

    def no_op(self, number: int) -> Tuple[float, float]:
        """A run that changes nothing, and a bare module call: medians of five, in turns."""
        idle, ping = zip(*((self.jails(number), self.module("ansible.builtin.ping", {})) for _turn in range(5)))
        return statistics.median(idle), statistics.median(ping)

    def roots(self) -> Dict[str, int]:
        """Bytes that a jail of its own holds after its first boot: a clone, and a thin one."""
        declared = [
            {"name": f"bench{root}", "root": root, "base": self.asked.base, "boot": False, "rc_conf": {"sendmail_enable": "NONE"}}
            for root in ("clone", "thin")
        ]
        self.bring(declared)
        self.asked_shell("sync; sleep 6")  # ZFS accounts for a transaction group when it is written
        used = {root: int(self.asked_shell(f"zfs get -Hpo value used {self.asked.dataset}/bench{root}")) for root in ("clone", "thin")}
        used["thin, by du"] = int(self.asked_shell(f"du -skxA {self.asked.path}/benchthin").split()[0]) * 1024
        self.bring([])
        return used

    def jexec(self) -> float:
        """A task in a jail, as a multiple of the same task on its host."""
        jail = {
            "name": "benchjexec", "root": "clone", "base": self.asked.base, "boot": False, "exec": {"start": "", "stop": ""},
            "mounts": [{"src": "/usr/local", "dest": "/usr/local", "opts": "ro"}],
        }
        self.bring([jail])
        taken: Dict[str, List[float]] = {"bench": [], "inside": []}
        for _turn in range(6):
            for host, times in taken.items():
                times.append(self.module("ansible.builtin.command", {"_raw_params": "true"}, host))
        self.bring([])
        return min(taken["inside"]) / min(taken["bench"])


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("host", help="root@address[:port]")
    parser.add_argument("--dataset", default="zroot/jails")
    parser.add_argument("--path", default="/usr/jails")
    parser.add_argument("--base", default="15.1-RELEASE")
    parser.add_argument("--python", default="/usr/local/bin/python3")
    parser.add_argument("--sizes", type=int, nargs="+", default=[1, 20, 100])
    parser.add_argument("--networks", action="store_true", help="also networks: loads pf, and enables it meanwhile")
    parser.add_argument("--upgrades", type=int, default=0, metavar="NUMBER", help="also an upgrade of so many thin jails, such as 20")
    parser.add_argument("--backups", type=int, default=0, metavar="MB", help="also a set of a jail of so many megabytes, such as 1024")
    parser.add_argument("--force", action="store_true", help="even when the host has jails: prune spares those of others")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        bench = Bench(asked, Path(place))
        if not asked.force and bench.busy():
            raise SystemExit("This host has jails of its own; give --force to measure beside them.")
        print(f"{'jails':>6} {'create':>8} {'/ loop':>8} {'/ side by side':>15} {'no-op':>8} {'/ ping':>8}   goals: 1.15 side by side, 1.35 ping")
        for number in asked.sizes:
            loop, abreast = bench.floor(number), bench.floor(number, 4)
            create = bench.jails(number)
            idle, ping = bench.no_op(number)
            print(f"{number:>6} {create:>7.2f}s {create / loop:>8.2f} {create / abreast:>15.2f} {idle:>7.2f}s {idle / ping:>8.2f}", flush=True)
            bench.jails(0)
        print(f"a task through jexec / the same over plain ssh: {bench.jexec():.2f}")
        if asked.networks:
            Networks(bench).measure()
        if asked.upgrades:
            Upgrades(bench).measure(asked.upgrades)
        if asked.backups:
            Backups(bench).measure(asked.backups)
        print("held after the first boot: " + ", ".join(f"{name} {size >> 10} KiB" for name, size in bench.roots().items()))


if __name__ == "__main__":
    main()
