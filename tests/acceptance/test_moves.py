# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Moves between two hosts: all of a jail arrives, it never runs on both, and whatever cuts them off, the same run ends them."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, Dict, List, Optional

import pytest

from .conductor import Conductor
from .machine import BASE, Failed, Killed, Simulated
from .test_networks import LAN, member, networks

EVERY = int(os.environ.get("CELLBLOCK_KILL_EVERY", "29"))  # how many commands from one kill to the next; 1 for all of them
KEYS = "/root/.ssh/authorized_keys"


class Pair:
    """Two hosts that reach each other.

    :param storages: of both, such as ``zfs-ufs``.
    """

    def __init__(self, root: Path, storages: str) -> None:
        first, _dash, second = storages.partition("-")
        self.one, self.two = Simulated(root / "one", first), Simulated(root / "two", second)
        for machine in (self.one, self.two):
            machine.sim.peers.update(one=self.one.sim, two=self.two.sim)
            machine.write("/etc/ssh/ssh_host_ed25519_key.pub", "ssh-ed25519 AAAAhost root@host\n")
        self.two.sim.state["sysctl"]["kern.hostname"] = "jailhost2"
        self.cuts = 0

    def web(self, **options: Any) -> Dict[str, Any]:
        return self.one.web(**{"root": self.one.clone, "limits": {"maxproc": 100}, **options})

    def move(self, kill_at: Optional[int] = None, check: bool = False, to: str = "two", **variables: Any) -> Conductor:
        machines = {"one": self.one, "two": self.two}
        conductor = Conductor(machines, "one" if to == "two" else "two", {
            "jail_move_to": to, "jail_move_name": "cbweb", "jail_move_target": {**_storage(machines[to])}, "ansible_check_mode": check,
            "jail_move_gate": {"every": 0.0, "within": 5}, **variables,
        }, kill_at)
        conductor.before = lambda phase: self.never_both()
        try:
            conductor.run("tasks/move_jail.yml")
        finally:
            self.never_both()
        return conductor

    def move_until(self, last: str) -> None:
        """A move whose control node goes away before a phase."""

        def before(phase: str) -> None:
            if phase == last:
                raise Killed()

        conductor = Conductor({"one": self.one, "two": self.two}, "one", {
            "jail_move_to": "two", "jail_move_name": "cbweb", "jail_move_target": _storage(self.two),
        })
        conductor.before = before
        with pytest.raises(Killed):
            conductor.run("tasks/move_jail.yml")

    def never_both(self) -> None:
        assert not ("cbweb" in self.one.running() and "cbweb" in self.two.running())

    def moved(self) -> None:
        """It runs there, nothing of the move is left, and nothing starts it here."""
        assert "cbweb" not in self.one.running() and "cbweb" in self.two.running()
        assert "10.99.0.20/32" in self.two.addresses() and "10.99.0.20/32" not in self.one.addresses()
        if self.two.limits_work:
            assert "jail:cbweb:maxproc:deny=100" in self.two.rules()
        self.clean()
        self.one.boot()
        assert "cbweb" not in self.one.running()
        self.two.boot()
        assert "cbweb" in self.two.running()

    def stayed(self) -> None:
        """It runs here, and nothing of the move is left."""
        assert "cbweb" in self.one.running() and "cbweb" not in self.two.running()
        self.clean()
        assert self.two.names("/usr/jails") == ["basejails"] and self.two.names("/etc/jail.conf.d") == []
        assert "jail_list=\"cbweb\"" in str(self.one.read("/etc/rc.conf"))

    def clean(self) -> None:
        for machine in (self.one, self.two):
            assert "cellblock-move" not in (machine.read(KEYS) or "")
            assert machine.names("/var/db/cellblock/moves") == []
            assert not [name for name in machine.names(machine.place) if name.startswith(".")]
            if machine.dataset:
                told = machine.run("zfs", "list", "-H", "-r", "-t", "all", "-o", "name,receive_resume_token", machine.dataset)
                assert "cellblock-move" not in told and "\t1-" not in told


def _storage(machine: Simulated) -> Dict[str, Any]:
    return {"jail_storage_path": machine.place, **({"jail_storage_dataset": machine.dataset} if machine.dataset else {})}


@pytest.fixture(params=["zfs-zfs", "zfs-ufs", "ufs-ufs", "ufs-zfs"])
def pair(request: Any, tmp_path: Path) -> Pair:
    """Two simulated hosts."""
    return Pair(tmp_path, str(request.param))


def count(pair: Pair, number: int) -> None:
    """What the jail writes while it runs."""
    path = pair.one.path("var/db/counter")
    if "cbweb" in pair.one.running():
        pair.one.write(path, (pair.one.read(path) or "") + f"{number}\n")


def test_all_that_it_wrote_arrives(pair: Pair) -> None:
    pair.one.jails([pair.web()])
    numbers: List[int] = []

    def beat(phase: str) -> None:
        pair.never_both()
        if "cbweb" in pair.one.running():
            numbers.append(len(numbers))
            count(pair, numbers[-1])

    pair.one.write(pair.one.path("root/gone"), "gone\n")
    pair.one.fifo(pair.one.path("root/fifo"))
    conductor = Conductor({"one": pair.one, "two": pair.two}, "one", {
        "jail_move_to": "two", "jail_move_name": "cbweb", "jail_move_target": _storage(pair.two), "jail_move_gate": {"every": 0.0, "within": 5},
    })

    def before(phase: str) -> None:
        beat(phase)
        if phase == "stop":
            pair.one.run("rm", pair.one.path("root/gone"))

    conductor.before = before
    conductor.run("tasks/move_jail.yml")
    assert pair.two.read(pair.two.path("var/db/counter")) == "".join(f"{number}\n" for number in numbers) and len(numbers) > 3
    assert {"fifo", "gone"} & set(pair.two.names(pair.two.path("root"))) == {"fifo"}
    pair.moved()
    assert pair.move().steps == []


def test_check_mode_tells_what_is_sent_and_touches_nothing(pair: Pair) -> None:
    pair.one.jails([pair.web()])
    before = pair.one.picture(), pair.two.picture()
    pair.two.module("basejail", name=BASE, state="absent", **pair.two.storage)
    without = pair.two.picture()
    told: List[str] = pair.move(check=True).steps
    assert told == [f"cbweb: make room for it at {'zroot/jails/cbweb' if pair.two.dataset else '/usr/jails/cbweb'}"]
    assert (pair.one.picture(), pair.two.picture()) == (before[0], without)


def test_its_base_is_sent_where_it_lacks(pair: Pair) -> None:
    pair.two.module("basejail", name=BASE, state="absent", **pair.two.storage)
    pair.one.jails([pair.web(root="thin")])
    pair.move()
    pair.moved()
    assert BASE in pair.two.names("/usr/jails/basejails")
    with pytest.raises(Failed, match="cbweb"):
        pair.two.module("basejail", name=BASE, state="absent", **pair.two.storage)


@pytest.mark.parametrize("pair", ["zfs-zfs"], indirect=True)
def test_a_clone_stays_a_clone_of_its_base(pair: Pair) -> None:
    pair.two.module("basejail", name=BASE, state="absent", **pair.two.storage)
    pair.one.jails([pair.web(root="clone", quota="2G")])
    pair.move()
    assert pair.two.jails([pair.web(root="clone", quota="2G")])["steps"] == []
    pair.moved()
    told = pair.two.run("zfs", "get", "-Hp", "-o", "value", "origin,quota", "zroot/jails/cbweb").split()
    assert told[0].startswith(f"zroot/jails/basejails/{BASE}@") and told[1] == str(2 << 30)


def test_a_run_that_was_killed_on_either_host_is_ended_by_the_next(pair: Pair) -> None:
    at = {"zfs-zfs": 0, "zfs-ufs": 7, "ufs-ufs": 13, "ufs-zfs": 19}[f"{'zfs' if pair.one.dataset else 'ufs'}-{'zfs' if pair.two.dataset else 'ufs'}"]
    while True:
        pair.one.jails([pair.web()])
        pair.one.write(pair.one.path("root/data"), f"{at}\n")
        try:
            pair.move(kill_at=at)
            break
        except Killed:
            pass
        pair.move()
        assert pair.two.read(pair.two.path("root/data")) == f"{at}\n", at
        pair.moved()
        for machine in (pair.one, pair.two):
            machine.jails([{"name": "cbweb", "state": "absent"}])
        at += EVERY
    assert at > 60
    pair.moved()


@pytest.mark.parametrize("after", [0, 700, 9000])
def test_a_connection_that_is_cut_goes_on_where_it_was(pair: Pair, after: int) -> None:
    pair.one.jails([pair.web()])
    pair.one.write(pair.one.path("root/data"), "data\n" * 4000)
    pair.one.sim.cut_once("ssh", after=after)
    with pytest.raises(Failed):
        pair.move()
    assert "cbweb" in pair.one.running() and "cellblock-move" not in (pair.two.read(KEYS) or "")
    pair.move()
    assert pair.two.read(pair.two.path("root/data")) == "data\n" * 4000
    pair.moved()


def test_what_is_not_well_there_runs_here_again(pair: Pair) -> None:
    pair.one.jails([pair.web()])
    pair.one.write(pair.one.path("root/data"), "data\n")
    with pytest.raises(Failed, match="is not well after"):
        pair.move(jail_move_gate={"every": 0.0, "within": 1, "sockets": ["tcp/81"]})
    pair.stayed()
    assert pair.one.read(pair.one.path("root/data")) == "data\n"
    assert pair.one.jails([pair.web()])["steps"] == []
    pair.move()
    pair.moved()


def test_a_move_that_is_given_up_leaves_nothing(pair: Pair) -> None:
    pair.one.jails([pair.web()])
    pair.one.sim.cut_once("ssh", after=700)
    with pytest.raises(Failed):
        pair.move()
    pair.move(jail_move_state="aborted")
    pair.stayed()


def test_nothing_starts_what_has_left(pair: Pair) -> None:
    pair.one.jails([pair.web()])
    pair.move()
    for declared in (pair.web(), {"name": "cbweb", "state": "started"}):
        with pytest.raises(Failed, match="it has moved to jailhost2"):
            pair.one.jails([declared])
    assert pair.one.jails([], prune=True, prune_share=100)["steps"] == []
    pair.one.ask("service", "jail", "onestart", "cbweb")
    assert "cbweb" not in pair.one.running()
    pair.one.jails([{"name": "cbweb", "state": "absent"}])
    assert pair.one.names(pair.one.place) == ["basejails"]


def test_it_comes_back_by_the_same_way(pair: Pair) -> None:
    pair.one.jails([pair.web()])
    pair.move()
    pair.one.jails([{"name": "cbweb", "state": "absent"}])
    pair.two.write(pair.two.path("root/data"), "from there\n")
    pair.move(to="one")
    assert "cbweb" in pair.one.running() and pair.one.read(pair.one.path("root/data")) == "from there\n"


def test_what_the_other_host_lacks_is_told_at_once(pair: Pair) -> None:
    pair.one.sim.state["interfaces"]["em9"] = []
    pair.one.jails([pair.web(ip4=["em9|10.99.0.20"])])
    pair.two.jails([pair.two.db(ip4=["rl0|10.99.0.21"])])
    with pytest.raises(Failed) as failure:
        pair.move(jail_move_options={"ip4": ["em9|10.99.0.21", "rl0|10.99.0.21"]})
    assert "em9" in str(failure.value)
    assert "cbweb" in pair.one.running()
    pair.move(jail_move_options={"ip4": ["rl0|10.99.0.22"]})
    assert "10.99.0.22/32" in pair.two.addresses()


def test_a_key_of_a_move_does_nothing_else(pair: Pair) -> None:
    pair.one.jails([pair.web()])
    seen: List[str] = []

    def look(phase: str) -> None:
        if phase == "send":
            seen.append(pair.two.read(KEYS) or "")

    pair.two.write(KEYS, "ssh-ed25519 AAAAmine ops@example.org\n")
    conductor = Conductor({"one": pair.one, "two": pair.two}, "one", {
        "jail_move_to": "two", "jail_move_name": "cbweb", "jail_move_target": _storage(pair.two), "jail_move_gate": {"every": 0.0, "within": 5},
    })
    conductor.before = look
    conductor.run("tasks/move_jail.yml")
    lines = [line for line in seen[0].splitlines() if "cellblock" in line]
    assert lines and all(line.startswith('restrict,expiry-time="') and 'command="' in line for line in lines)
    assert pair.two.read(KEYS) == "ssh-ed25519 AAAAmine ops@example.org\n"


DOC = Path(__file__).resolve().parents[2] / "docs" / "move.md"


def test_it_stays_by_the_command_for_a_target_that_is_lost(pair: Pair) -> None:
    pair.one.jails([pair.web()])
    pair.one.sim.cut_once("ssh", after=0)
    with pytest.raises(Failed):
        pair.move()
    pair.move_until("rest")
    assert "cbweb" not in pair.one.running()
    words = re.findall(r'-m cellblock.jails.jail_move -a "([^"]*)"', DOC.read_text())
    assert len(words) == 1
    options = dict(word.split("=", 1) for word in words[0].split())
    pair.one.module("jail_move", **{**options, "name": "cbweb"}, **pair.one.storage)
    assert "cbweb" in pair.one.running() and pair.one.names("/var/db/cellblock/moves") == []
    assert pair.one.jails([pair.web()])["steps"] == []
    assert 'jail_list="cbweb"' in str(pair.one.read("/etc/rc.conf"))


def test_the_old_boot_style_moves_along(pair: Pair) -> None:
    pair.one.jails([pair.web(boot_style="rc_conf")])
    pair.move()
    assert "jail_cbweb_rootdir" in str(pair.two.read("/etc/rc.conf"))
    pair.moved()


def test_one_that_does_not_run_stays_so(pair: Pair) -> None:
    pair.one.jails([pair.web(state="stopped")])
    pair.move()
    assert pair.two.running() == {} and "cbweb" in pair.two.names(pair.two.place)
    pair.clean()
    pair.two.jails([{"name": "cbweb", "state": "started"}])
    assert "10.99.0.20/32" in pair.two.addresses()


def test_its_interfaces_keep_their_addresses(pair: Pair) -> None:
    for machine in (pair.one, pair.two):
        machine.run("kldload", "-n", "pf", "dummynet")
    networks(pair.one, LAN)
    web = {**member(pair.one), "depend": [], "root": "thin"}
    mac = pair.one.jails([web])["jails"]["cbweb"]["networks"][0]["mac"]
    with pytest.raises(Failed, match="this host has no network cblan"):
        pair.move(check=True)
    networks(pair.two, LAN)
    pair.move()
    found = next(one for one in pair.two.module("jail_info", **pair.two.storage)["jails"] if one["name"] == "cbweb")
    assert found["state"] == "running" and found["networks"][0]["mac"] == mac and found["move"]["from"] == "jailhost1"
    pair.clean()
