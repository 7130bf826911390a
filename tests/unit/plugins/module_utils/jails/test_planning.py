# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What users see of the module jails: plans, convergence, removal, failure, kill, guards."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Optional

import pytest

from ansible_collections.cellblock.jails.plugins.module_utils.engine.apply import take
from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.engine.plan import Plan
from ansible_collections.cellblock.jails.plugins.module_utils.errors import CellblockError, InputError
from ansible_collections.cellblock.jails.plugins.module_utils.jails import planning as jails
from ansible_collections.cellblock.jails.tests.simulator import SimulatedHost, SimulatedKill, fresh_host

BASE = "15.1-RELEASE"


class Machine:
    """A simulated host with a base, and the module's engine on it."""

    def __init__(self, root: Path, storage: str = "ufs", **words: Any) -> None:
        root.mkdir(parents=True, exist_ok=True)
        self.sim: SimulatedHost = fresh_host(root, storage, **words)
        self.dataset = "zroot/jails" if storage == "zfs" else None
        base = f"/usr/jails/basejails/{BASE}"
        if self.dataset:
            self.sim.run(["zfs", "create", "-p", f"{self.dataset}/basejails/{BASE}"])
        else:
            self.sim.real(base).mkdir(parents=True)
        assert self.sim.run(["tar", "-xpf", "/var/dist/base.txz", "-C", base])[0] == 0
        if self.dataset:
            self.sim.run(["zfs", "snapshot", f"{self.dataset}/basejails/{BASE}@p1"])
        self.sim.commands.clear()

    @property
    def host(self) -> Host:
        return Host(self.sim.runner, str(self.sim.root))

    def request(self, declared: List[Dict[str, Any]], **options: Any) -> jails.Request:
        options = {"jails": declared, "storage_dataset": self.dataset, **options}
        return jails.Request.from_options(options, options.pop("check_mode", False))

    def plan(self, declared: List[Dict[str, Any]], **options: Any) -> Plan:
        return jails.plan(self.host, self.request(declared, **options))

    def run(self, declared: List[Dict[str, Any]], **options: Any) -> List[str]:
        """Plan and take; returns the steps in words, raises the first failure."""
        failed = self.try_run(declared, **options)
        for error in failed.values():
            raise error
        return self.told

    def try_run(self, declared: List[Dict[str, Any]], **options: Any) -> Dict[str, CellblockError]:
        request = self.request(declared, **options)
        plan = jails.plan(self.host, request)
        self.told = plan.told()
        failed = take(self.host, plan, 1)
        if self.told:
            jails.verify(self.host, request, failed)
        return failed

    def text(self, path: str) -> str:
        return self.sim.real(path).read_text()


@pytest.fixture(params=["ufs", "zfs"])
def machine(request: Any, tmp_path: Path) -> Machine:
    return Machine(tmp_path / "host", request.param, racct=True)


def web(**options: Any) -> Dict[str, Any]:
    return {"name": "web", "base": BASE, "interface": "rl0", "ip4": ["10.0.0.20"], **options}


FULL = {
    "rc_conf": {"rpcbind_enable": "NO", "network_interfaces": "", "motd": 'a "b" $c `d` \\ é'}, "resolv_conf": "copy",
    "timezone": "Europe/Athens", "root_password": "$6$salt$hash", "aliases": {"root": "ops@example.org"},
    "authorized_keys": ["ssh-ed25519 AAAA me"], "limits": {"memoryuse": "512M", "maxproc": 100}, "cpuset": "0-1",
    "params": {"allow.raw_sockets": True, "children.max": 2, "meta": "owner=ops\nnote=a, b"}, "fib": 0,
}


def test_a_clone_costs_one_zfs_command(tmp_path: Path) -> None:
    machine = Machine(tmp_path / "host", "zfs")
    machine.run([web(root="clone", quota="1G")])
    changing = [argv for argv in machine.sim.commands if argv[0] == "zfs" and argv[1] not in ("list", "get")]
    assert [argv[1] for argv in changing] == ["clone"]
    assert machine.sim.state["datasets"]["zroot/jails/web"]["props"]["quota"] == str(1 << 30)
    assert machine.run([web(root="clone", quota="2G")]) == ["web: set quota of zroot/jails/web to 2147483648"]


# -- removal


def test_removal_leaves_nothing(machine: Machine) -> None:
    before = machine.sim.picture()
    declared = [web(**FULL), {"name": "db", "base": BASE, "root": "thick", "ip4": ["rl0|10.0.0.30"], "boot_style": "rc_conf"}]
    machine.run(declared)
    machine.run([], prune=True)
    after = machine.sim.picture()
    for files in (before["files"], after["files"]):
        for shared in ("/etc/jail.conf.d", "/etc/rc.conf"):
            files.pop(shared, None)
    assert after == before
    assert 'jail_list=""' in machine.text("/etc/rc.conf")


# -- failure and death


@pytest.mark.parametrize("command", [["jail"], ["rctl", "-a"], ["pwd_mkdb"]])
def test_a_create_that_fails_leaves_nothing_and_says_what_failed(machine: Machine, command: List[str]) -> None:
    before = machine.sim.picture()
    machine.sim.fail_once(*command, says="tool: its own words")
    failed = machine.try_run([web(**FULL)])
    assert "tool: its own words" in str(failed["web"])
    after = machine.sim.picture()
    for files in (before["files"], after["files"]):
        files.pop("/etc/jail.conf.d", None)
    assert after == before
    machine.run([web(**FULL)])
    assert "web" in machine.sim.running()


def test_a_change_of_addresses_that_fails_takes_back_its_own_and_leaves_the_hosts(machine: Machine) -> None:
    machine.run([web(ip4=["rl0|10.99.0.20"])])
    machine.sim.run(["ifconfig", "rl0", "inet", "10.99.0.21/24", "alias"])
    before = [list(held) for held in machine.sim.state["interfaces"]["rl0"]]
    machine.sim.fail_once("jail", "-m")
    assert "web" in machine.try_run([web(ip4=["rl0|10.99.0.21", "rl0|10.99.0.22"])])
    assert [list(held) for held in machine.sim.state["interfaces"]["rl0"]] == before


def _kills(root: Path, storage: str, first: Optional[List[Dict[str, Any]]], declared: List[Dict[str, Any]]) -> None:
    """Kill before each command of a run, run again, and compare with the end of an unbroken run."""
    whole = Machine(root / "whole", storage, racct=True)
    if first is not None:
        whole.run(first, prune=True)
    whole.sim.commands.clear()
    whole.run(declared, prune=True)
    total, end = len(whole.sim.commands), whole.sim.picture()
    for place in range(total):
        broken = Machine(root / f"killed{place}", storage, racct=True)
        if first is not None:
            broken.run(first, prune=True)
        broken.sim.commands.clear()
        broken.sim.kill_at = place
        with pytest.raises(SimulatedKill):
            broken.run(declared, prune=True)
        broken.sim.kill_at = None
        broken.run(declared, prune=True)
        assert broken.sim.picture() == end, f"killed before command {place}"
        assert broken.run(declared, prune=True) == []


@pytest.mark.parametrize("storage", ["ufs", "zfs"])
def test_a_killed_run_is_finished_by_the_next(tmp_path: Path, storage: str) -> None:
    root = "clone" if storage == "zfs" else "thin"
    declared = [web(root=root, limits={"maxproc": 50}), {"name": "db", "base": BASE, "root": "thick", "ip4": ["rl0|10.0.0.30"]}]
    _kills(tmp_path / "create", storage, None, declared)
    _kills(tmp_path / "change", storage, declared, [web(root=root, ip4=["10.0.0.22"], restart="always", limits={"maxproc": 60})])


# -- plans


def test_check_on_a_fresh_host_takes_earlier_tasks_at_their_word(tmp_path: Path) -> None:
    sim = fresh_host(tmp_path / "host")
    options = {"jails": [web()], "assume": {"bases": [BASE]}}
    told = jails.plan(Host(sim.runner, str(sim.root)), jails.Request.from_options(options, True)).told()
    assert told == Machine(tmp_path / "other").run([web()])
    with pytest.raises(InputError, match="basejail"):
        jails.plan(Host(sim.runner, str(sim.root)), jails.Request.from_options(options, False))


def test_no_secret_in_steps_or_diff(machine: Machine) -> None:
    plan = machine.plan([web(**FULL)])
    assert "$6$" not in repr(plan.told()) + repr(plan.diff())


def test_commands_of_a_no_op_do_not_grow(tmp_path: Path) -> None:
    counts = []
    for number in (1, 20, 200):
        machine = Machine(tmp_path / str(number), "zfs")
        declared = [
            {"name": f"j{place}", "root": "empty", "ip4": [f"rl0|10.1.{place // 200}.{place % 200 + 1}"]} for place in range(number)
        ]
        machine.run(declared)
        machine.sim.commands.clear()
        assert machine.run(declared) == []
        counts.append(len(machine.sim.commands))
    assert counts[0] == counts[1] == counts[2] <= 6
