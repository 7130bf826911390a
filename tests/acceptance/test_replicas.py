# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Replicas: brought up to date, cut and gone on with, and one that takes the place of a jail whose host is lost."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Dict, Optional

import pytest

from .conductor import PLAYBOOKS, Conductor
from .machine import Failed, Killed
from .test_moves import KEYS, Pair, _storage


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    """Two simulated hosts with ZFS."""
    found = Pair(tmp_path, "zfs-zfs")
    found.one.jails([found.web()])
    return found


def replicate(pair: Pair, kill_at: Optional[int] = None, **variables: Any) -> Conductor:
    conductor = Conductor({"one": pair.one, "two": pair.two}, "one", {
        "jail_replicate_to": "two", "jail_replicate_name": "cbweb", "jail_replicate_target": _storage(pair.two), **variables,
    }, kill_at)
    conductor.run("tasks/replicate_jail.yml")
    return conductor


def promote(pair: Pair, check: bool = False, kill_at: Optional[int] = None) -> Conductor:
    conductor = Conductor({"one": pair.one, "two": pair.two}, "two", {
        "jail_promote_of": "jailhost1", "jail_promote_name": "cbweb", "jail_promote_gate": {"every": 0.0, "within": 5}, "ansible_check_mode": check,
    }, kill_at)
    conductor.run("tasks/promote_jail.yml")
    return conductor


def info(pair: Pair) -> Dict[str, Any]:
    return next(dict(one) for one in pair.one.module("jail_info", **pair.one.storage)["jails"] if one["name"] == "cbweb")


def snapshots(machine: Any) -> int:
    told: str = machine.run("zfs", "list", "-H", "-r", "-t", "snapshot", "-o", "name", machine.dataset)
    return told.count("@cellblock-replica-")


def test_a_replica_is_brought_up_to_date_and_nothing_else_is_left(pair: Pair, monkeypatch: Any) -> None:
    clock = [1795770000.0]
    monkeypatch.setattr("time.time", lambda: clock[0])
    for text in ("one\n", "two\n", "three\n"):
        pair.one.write(pair.one.path("root/data"), text)
        replicate(pair)
        clock[0] += 3600
    assert snapshots(pair.one) == snapshots(pair.two) == 1
    assert (pair.two.read(KEYS) or "") == "" and pair.one.names("/var/db/cellblock/moves") == []
    assert pair.two.running() == {} and "cbweb" not in pair.two.names(pair.two.place)
    assert info(pair)["replicas"] == [{"to": "jailhost2", "at": 1795777200, "age": 3600}]
    assert pair.one.jails([pair.web()])["steps"] == []
    assert pair.two.jails([], prune=True, prune_share=100)["steps"] == []


def test_it_takes_the_place_of_a_jail_whose_host_is_lost(pair: Pair) -> None:
    pair.one.write(pair.one.path("root/data"), "kept\n")
    replicate(pair)
    pair.one.write(pair.one.path("root/data"), "lost\n")
    before = pair.two.picture()
    told = promote(pair, check=True).steps
    assert "all that was written after" in told[0] and pair.two.picture() == before
    promote(pair)
    assert "cbweb" in pair.two.running() and pair.two.read(pair.two.path("root/data")) == "kept\n"
    assert "10.99.0.20/32" in pair.two.addresses() and snapshots(pair.two) == 0
    assert promote(pair).steps == []
    with pytest.raises(Failed, match="it was promoted, and runs here"):
        replicate(pair)


def test_what_was_cut_goes_on_where_it_was(pair: Pair) -> None:
    pair.one.write(pair.one.path("root/data"), "data\n" * 4000)
    pair.one.sim.cut_once("ssh", after=9000)
    with pytest.raises(Failed):
        replicate(pair)
    assert (pair.two.read(KEYS) or "") == "" and "replicas" not in info(pair)
    with pytest.raises(Failed, match="no replica of it has come whole"):
        promote(pair)
    replicate(pair)
    promote(pair)
    assert pair.two.read(pair.two.path("root/data")) == "data\n" * 4000


def test_a_run_that_was_killed_is_ended_by_the_next(tmp_path: Path) -> None:
    for at in range(3, 200, 9):
        pair = Pair(tmp_path / str(at), "zfs-zfs")
        pair.one.jails([pair.web()])
        pair.one.write(pair.one.path("root/data"), f"{at}\n")
        try:
            replicate(pair, kill_at=at)
            break
        except Killed:
            pass
        replicate(pair)
        assert snapshots(pair.one) == snapshots(pair.two) == 1 and (pair.two.read(KEYS) or "") == "", at
    assert at > 30


def test_a_promotion_that_was_killed_is_ended_by_the_next(tmp_path: Path) -> None:
    for at in range(2, 200, 11):
        pair = Pair(tmp_path / str(at), "zfs-zfs")
        pair.one.jails([pair.web()])
        replicate(pair)
        try:
            promote(pair, kill_at=at)
            break
        except Killed:
            pass
        promote(pair)
        assert "cbweb" in pair.two.running() and "10.99.0.20/32" in pair.two.addresses(), at
    assert at > 20


def test_a_jail_with_a_replica_can_be_removed(pair: Pair) -> None:
    replicate(pair)
    pair.one.jails([{"name": "cbweb", "state": "absent"}])
    assert pair.one.names(pair.one.place) == ["basejails"]


def test_a_plain_root_is_refused(tmp_path: Path) -> None:
    pair = Pair(tmp_path, "ufs-zfs")
    pair.one.jails([pair.web()])
    with pytest.raises(Failed, match="replicas are made of snapshots"):
        replicate(pair)


def test_the_commands_for_a_lost_host_are_those_of_the_playbook() -> None:
    told = (Path(__file__).resolve().parents[2] / "docs" / "move.md").read_text()
    top = told[:told.index("## One jail")]
    given = set(re.findall(r"\b(jail_promote_\w+)(?:=|\")", top))
    tasks = (PLAYBOOKS / "promote.yml").read_text() + (PLAYBOOKS / "tasks" / "promote_jail.yml").read_text()
    needed = set(re.findall(r"\{\{ (jail_promote_\w+)(?: \| default\(\[\]\))? \}\}", tasks)) - {"jail_promote_name"}
    assert top.count("cellblock.jails.promote") == 2 and given == needed
