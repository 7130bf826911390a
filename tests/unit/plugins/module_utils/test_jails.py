# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What users see of the module jails: plans, convergence, removal, failure, kill, guards."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Dict, List, Optional

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.cellblock.jails.plugins.module_utils import info, jails
from ansible_collections.cellblock.jails.plugins.module_utils.apply import take
from ansible_collections.cellblock.jails.plugins.module_utils.errors import CellblockError, InputError, Refused
from ansible_collections.cellblock.jails.plugins.module_utils.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.plan import Plan
from ansible_collections.cellblock.jails.tests.simulator import SimulatedHost, SimulatedKill, fresh_host
from ansible_collections.cellblock.jails.tests.simulator.tools.system import reboot

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


# -- what a run brings


@pytest.mark.parametrize("style", ["jail_conf", "rc_conf"])
@pytest.mark.parametrize("root", ["thin", "thick"])
def test_a_declared_jail_runs_and_the_second_run_has_nothing_to_do(machine: Machine, style: str, root: str) -> None:
    full = dict(FULL, params={"allow.raw_sockets": True, "children.max": 2}) if style == "rc_conf" else FULL
    declared = [web(root=root, boot_style=style, **full)]
    machine.run(declared)
    jail = machine.sim.running()["web"]
    assert jail["ip4.addr"] == ["10.0.0.20"] and jail["allow.raw_sockets"] and jail["children.max"] == "2"
    assert ["10.0.0.20", 32] in machine.sim.state["interfaces"]["rl0"]
    assert machine.text("/usr/jails/web/etc/fstab") == ""
    assert 'network_interfaces=""' in machine.text("/usr/jails/web/etc/rc.conf")
    assert machine.text("/usr/jails/web/etc/resolv.conf") == "nameserver 10.10.10.1\n"
    assert os.readlink(machine.sim.real("/usr/jails/web/etc/localtime")) == "/usr/share/zoneinfo/Europe/Athens"
    assert "root:$6$salt$hash:" in machine.text("/usr/jails/web/etc/master.passwd")
    assert "$6$" not in machine.text("/usr/jails/web/etc/passwd")
    assert "root: ops@example.org\n" in machine.text("/usr/jails/web/etc/mail/aliases")
    assert "jail:web:memoryuse:deny=536870912" in machine.sim.state["rctl"]
    assert jail["cpus"] == "0-1"
    before = machine.sim.picture()
    assert machine.run(declared) == []
    assert machine.sim.picture() == before


def test_a_clone_costs_one_zfs_command(tmp_path: Path) -> None:
    machine = Machine(tmp_path / "host", "zfs")
    machine.run([web(root="clone", quota="1G")])
    changing = [argv for argv in machine.sim.commands if argv[0] == "zfs" and argv[1] not in ("list", "get")]
    assert [argv[1] for argv in changing] == ["clone"]
    assert machine.sim.state["datasets"]["zroot/jails/web"]["props"]["quota"] == str(1 << 30)
    assert machine.run([web(root="clone", quota="2G")]) == ["web: set quota of zroot/jails/web to 2147483648"]


@pytest.mark.parametrize("style", ["jail_conf", "rc_conf"])
def test_the_same_jails_come_up_after_a_reboot_in_the_same_order(machine: Machine, style: str) -> None:
    declared = [
        web(boot_style=style), {"name": "db", "base": BASE, "ip4": ["rl0|10.0.0.30/24"], "boot_style": style},
        {"name": "first", "base": BASE, "ip4": ["rl0|10.0.0.31"], "boot_order": 5, "boot_style": style},
    ]
    machine.run(declared)
    assert 'jail_list="first web db"' in machine.text("/etc/rc.conf")
    machine.sim.real("/etc/rc.conf").write_text(machine.text("/etc/rc.conf") + 'jail_enable="YES"\n')
    reboot(machine.sim)
    started = sorted(machine.sim.state["jails"].values(), key=lambda jail: int(jail["jid"]))
    assert [jail["name"] for jail in started] == ["first", "web", "db"]
    assert machine.run(declared) == []


def test_others_entries_of_jail_list_stay(machine: Machine) -> None:
    rc = machine.sim.real("/etc/rc.conf")
    rc.write_text(rc.read_text() + 'jail_list="old"  # by hand\n')
    machine.run([web()])
    assert 'jail_list="old web"  # by hand\n' in rc.read_text()
    machine.run([], prune=True)
    assert 'jail_list="old"  # by hand\n' in rc.read_text()


# -- changes


def test_what_can_change_live_changes_live(machine: Machine) -> None:
    machine.run([web(params={"allow.raw_sockets": True})])
    jid = machine.sim.running()["web"]["jid"]
    machine.run([web(ip4=["10.0.0.21"], hostname="new.example.org", params={"securelevel": 2})])
    jail = machine.sim.running()["web"]
    assert jail["jid"] == jid
    assert (jail["host.hostname"], jail["securelevel"], jail["allow.raw_sockets"]) == ("new.example.org", "2", False)
    held = [ip for ip, _prefix in machine.sim.state["interfaces"]["rl0"]]
    assert "10.0.0.21" in held and "10.0.0.20" not in held
    assert machine.run([web(ip4=["10.0.0.21"], hostname="new.example.org", params={"securelevel": 2})]) == []


@pytest.mark.parametrize("change", [{"exec": {"start": "/bin/sh /etc/rc", "prestart": "/usr/bin/true"}}, {"mounts": [{"src": "/var/log", "dest": "/mnt"}]}])
def test_what_needs_a_restart_waits_or_restarts_by_policy(machine: Machine, change: Dict[str, Any]) -> None:
    machine.run([web()])
    jid = machine.sim.running()["web"]["jid"]
    machine.run([web(**change)])
    plan = machine.plan([web(**change)])
    assert plan.told() == [] and plan.facts["jails"]["web"]["restart_waits"]
    assert machine.sim.running()["web"]["jid"] == jid
    machine.run([web(restart="if_needed", **change)])
    assert machine.sim.running()["web"]["jid"] != jid
    plan = machine.plan([web(restart="if_needed", **change)])
    assert plan.told() == [] and plan.facts["jails"]["web"]["restart_waits"] == []
    machine.run([], prune=True)
    assert not [node for node in machine.sim.nodes() if "/web/" in node]


def test_a_change_of_one_jail_restarts_no_other(machine: Machine) -> None:
    db = {"name": "db", "base": BASE, "ip4": ["rl0|10.0.0.30"], "depend": ["web"]}
    machine.run([web(), db])
    jid = machine.sim.running()["db"]["jid"]
    machine.run([web(state="restarted"), db])
    assert machine.sim.running()["db"]["jid"] == jid


def test_states(machine: Machine) -> None:
    machine.run([web(state="present")])
    assert machine.sim.running() == {}
    machine.run([web(state="started")])
    machine.run([web(state="stopped")])
    assert machine.sim.running() == {} and ["10.0.0.20", 32] not in machine.sim.state["interfaces"]["rl0"]
    assert machine.run([web(state="stopped")]) == []


# -- removal, ours and others'


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


def test_an_address_that_the_host_had_before_stays(machine: Machine) -> None:
    machine.sim.run(["ifconfig", "rl0", "inet", "10.0.0.20/24", "alias"])
    machine.run([web()])
    assert machine.sim.running()["web"]["ip4.addr"] == ["10.0.0.20"]
    assert machine.run([web()]) == []
    machine.run([web(state="stopped")])
    assert ["10.0.0.20", 24] in machine.sim.state["interfaces"]["rl0"]


@pytest.mark.parametrize("state", ["started", "absent"])
def test_a_foreign_jail_is_refused_with_the_reason(machine: Machine, state: str) -> None:
    conf = machine.sim.real("/etc/jail.conf.d/web.conf")
    conf.parent.mkdir()
    conf.write_text('web { path = "/"; persist; }\n')
    before = machine.sim.picture()
    with pytest.raises(Refused, match="was not made by us"):
        machine.run([web(state=state)])
    assert machine.run([], prune=True) == []
    assert machine.sim.picture() == before


def test_a_directory_that_is_there_is_not_taken_over(machine: Machine) -> None:
    precious = machine.sim.real("/usr/jails/web/precious")
    precious.parent.mkdir()
    precious.write_text("data")
    with pytest.raises(Refused, match="root: existing"):
        machine.run([web()])
    assert precious.read_text() == "data"


def test_destroy_refuses_while_something_foreign_is_mounted_inside(machine: Machine) -> None:
    machine.run([web()])
    machine.sim.run(["mount", "-t", "nullfs", "/home", "/usr/jails/web/mnt"])
    before = machine.sim.picture()
    with pytest.raises(Refused, match="/usr/jails/web/mnt"):
        machine.run([], prune=True)
    assert machine.sim.picture() == before


def test_destroy_refuses_snapshots_clones_and_children(tmp_path: Path) -> None:
    machine = Machine(tmp_path / "host", "zfs")
    machine.run([web(root="clone")])
    for made, gone in (
        (["create", "zroot/jails/web/data"], ["destroy", "zroot/jails/web/data"]),
        (["snapshot", "zroot/jails/web@kept"], None),
    ):
        machine.sim.run(["zfs", *made])
        with pytest.raises(Refused, match=made[1]):
            machine.run([], prune=True)
        if gone:
            machine.sim.run(["zfs", *gone])
    assert "web: destroy zroot/jails/web@kept" in machine.run([{"name": "web", "state": "absent", "destroy_snapshots": True}])


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


def test_a_failing_jail_does_not_stop_the_others(machine: Machine) -> None:
    bad = web(exec={"start": "/usr/bin/false"})
    good = {"name": "db", "base": BASE, "ip4": ["rl0|10.0.0.30"]}
    failed = machine.try_run([bad, good])
    assert set(failed) == {"web"} and "/usr/bin/false: failed" in str(failed["web"])
    assert set(machine.sim.running()) == {"db"}
    assert 'jail_list="db"' in machine.text("/etc/rc.conf")


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


def test_check_touches_nothing_and_tells_what_the_run_does(machine: Machine) -> None:
    declared = [web(**FULL), {"name": "db", "base": BASE, "ip4": ["rl0|10.0.0.30"], "boot_style": "rc_conf"}]
    before = machine.sim.picture()
    told = machine.plan(declared).told()
    assert machine.sim.picture() == before
    assert machine.run(declared) == told


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


# -- a hostile root


@pytest.mark.parametrize("place", ["etc", "etc/resolv.conf", "etc/rc.conf", "var", "var/db", "root", "root/.ssh", "etc/mail"])
def test_links_planted_by_the_jail_are_never_followed(machine: Machine, place: str) -> None:
    machine.run([web(), {"name": "db", "base": BASE, "ip4": ["rl0|10.0.0.30"]}])
    outside = machine.sim.real("/home/victim")
    outside.mkdir()
    for name in ("resolv.conf", "rc.conf", "master.passwd", "zoneinfo", "authorized_keys", "aliases"):
        (outside / name).write_text("untouched")
    planted = machine.sim.real(f"/usr/jails/web/{place}")
    if planted.exists():
        os.rename(planted, planted.with_name("moved-away"))
    target = outside / "resolv.conf" if place.endswith(".conf") else outside
    os.symlink(target, planted)
    failed = machine.try_run([web(**FULL), {"name": "db", "base": BASE, "ip4": ["rl0|10.0.0.31"]}])
    assert all(path.read_text() == "untouched" for path in outside.iterdir())
    assert failed == {} or "not followed" in str(failed["web"])
    assert machine.sim.running()["db"]["ip4.addr"] == ["10.0.0.31"]


def test_a_fifo_in_the_way_does_not_hang(machine: Machine) -> None:
    machine.run([web(resolv_conf="copy")])
    path = machine.sim.real("/usr/jails/web/etc/resolv.conf")
    path.unlink()
    os.mkfifo(path)
    machine.run([web(resolv_conf="copy")])
    assert path.read_text() == "nameserver 10.10.10.1\n"


# -- bad input


@pytest.mark.parametrize(
    "options, message",
    [
        ({"name": "7"}, "all digits"), ({"name": "a.b", "boot": False}, "neither declared"), ({"name": "φ"}, "ASCII"),
        ({"name": "x" * 256}, "longer"), ({"name": "-rf"}, "misread"), ({"name": "a b"}, "misread"),
        ({"ip4": ["224.0.0.1"]}, "not an address of a host"), ({"ip4": ["300.1.1.1"]}, "not an IP address"),
        ({"ip4": ["nope0|10.0.0.9"]}, "does not exist"), ({"params": {"allow.raw_socket": True}}, "allow.raw_sockets"),
        ({"params": {"allow.mount": "maybe"}}, "maybe"), ({"limits": {"memory": "1G"}}, "memory"),
        ({"limits": {"wallclock": 5}}, "cannot deny"), ({"vnet": True}, "own network stack"), ({"base": None}, "needs a base"),
        ({"devfs_ruleset": "devfsrules_jial"}, "devfsrules_jail"), ({"devfs_ruleset": "77"}, "not loaded"),
        ({"root_password": "plain"}, "crypt"), ({"timezone": "Nowhere/City"}, "tzsetup"), ({"path": "/usr/jails/../x"}, "clean"),
        ({"fib": 3}, "net.fibs"), ({"mounts": ["/a /b nullfs ro 0 0"]}, "not below"), ({"depend": ["nope"]}, "nope"),
    ],
)
def test_bad_input_is_refused_before_anything_is_touched(tmp_path: Path, options: Dict[str, Any], message: str) -> None:
    machine = Machine(tmp_path / "host")
    before = machine.sim.picture()
    with pytest.raises(InputError, match=message):
        machine.run([web(**options)])
    assert machine.sim.picture() == before


VALUES = st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\0"), max_size=40)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(hook=VALUES.filter(lambda text: text.strip()), variable=VALUES, meta=VALUES.map(lambda text: text.replace(",", ";")))
def test_odd_values_arrive_unharmed(tmp_path_factory: Any, hook: str, variable: str, meta: str) -> None:
    machine = Machine(tmp_path_factory.mktemp("odd") / "host")
    declared = [web(root="empty", base=None, state="present", exec={"poststop": hook}, rc_conf={"v": variable}, params={"meta.k": meta})]
    machine.run(declared)
    assert machine.run(declared) == []
    found = info.gather(machine.host, "/usr/jails", None, False)["jails"][0]["defined"]
    assert found["exec.poststop"] == [hook] and found["meta.k"] == [meta]
