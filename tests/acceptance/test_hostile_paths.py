# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whoever is root in a jail moves directories and plants links on the way to roots that stand in its own."""

from __future__ import annotations

from typing import Any, Dict

import pytest

from .machine import Failed, Machine

QUIET: Dict[str, Any] = {"exec": {"start": "", "stop": ""}}


def kid(machine: Machine, **more: Any) -> Dict[str, Any]:
    """A jail whose root stands in cbweb's."""
    return {
        "name": "cbkid", "root": "thick", "base": "acceptance", "path": machine.path("jails/cbkid"), "boot": False, "state": "stopped",
        **QUIET, **more,
    }


def plant(machine: Machine) -> None:
    """What root of cbweb does: another directory of the host takes the place of the one that its inner jails stand in."""
    machine.write("/home/cbvictim/cbkid/kept", "untouched")
    machine.run("mv", machine.path("jails"), machine.path("elsewhere"))
    machine.link("/home/cbvictim", machine.path("jails"))


def untouched(machine: Machine) -> bool:
    return machine.names("/home/cbvictim/cbkid") == ["kept"] and machine.read("/home/cbvictim/cbkid/kept") == "untouched"


@pytest.mark.parametrize("declared", ["running", "stopped", "undeclared"])
@pytest.mark.parametrize("how", ["absent", "prune"])
@pytest.mark.storage("ufs")
def test_a_removal_does_not_follow_a_planted_link(machine: Machine, how: str, declared: str) -> None:
    web = machine.web(**QUIET)
    machine.jails([web])
    machine.jails([web, kid(machine)])
    if declared != "running":
        machine.jails([{**web, "state": "stopped"}, kid(machine)])
    plant(machine)
    try:
        outer = [] if declared == "undeclared" and how == "absent" else [{**web, "state": "started" if declared == "running" else "stopped"}]
        leaving = [{"name": "cbkid", "state": "absent"}] if how == "absent" else []
        machine.answer("jails", {"jails": [*outer, *leaving], "prune": how == "prune", **machine.storage})
        assert untouched(machine)
    finally:
        machine.run("rm", "-r", "/home/cbvictim")
        machine.run("rm", machine.path("jails"))
        machine.run("mv", machine.path("elsewhere"), machine.path("jails"))


@pytest.mark.parametrize("root", ["thin", "thick", "empty"])
@pytest.mark.parametrize("declared", [True, False])
def test_a_creation_does_not_follow_a_planted_link(machine: Machine, root: str, declared: bool) -> None:
    web = machine.web(**QUIET)
    machine.jails([web])
    machine.jails([{**web, "state": "stopped"}])
    machine.write("/home/cbvictim/kept", "untouched")
    machine.link("/home/cbvictim", machine.path("jails"))
    child = kid(machine, root=root, **({"base": None} if root == "empty" else {}))
    outer = [{**web, "state": "stopped"}] if declared else []
    try:
        told = machine.answer("jails", {"jails": [*outer, child], **machine.storage})
        assert told["failed"] and "not followed" in told["msg"]
        assert machine.names("/home/cbvictim") == ["kept"]
    finally:
        machine.run("rm", "-r", "/home/cbvictim")


@pytest.mark.parametrize("root", ["thick", "thin"])
def test_a_root_in_another_jails_comes_and_goes(machine: Machine, root: str) -> None:
    web, inner = machine.web(**QUIET), kid(machine, root=root)
    machine.jails([web, inner])
    assert machine.jails([web, inner])["steps"] == []
    assert "etc" in machine.names(machine.path("jails/cbkid"))
    with pytest.raises(Failed, match="cbkid"):
        machine.jails([inner], prune=True)
    assert "cbweb" in machine.running()
    machine.jails([], prune=True)
    assert "cbkid" not in str(machine.names(machine.place))


def test_a_root_that_was_planted_away_does_not_keep_its_jail_running(machine: Machine) -> None:
    web, inner = machine.web(**QUIET), kid(machine, root="empty", base=None, state="started")
    machine.jails([web, inner])
    machine.run("mv", machine.path("jails"), machine.path("elsewhere"))
    machine.link("/etc", machine.path("jails"))
    try:
        with pytest.raises(Failed, match="not followed"):
            machine.jails([web, inner])
        machine.jails([web, {**inner, "state": "stopped"}])
        assert "cbkid" not in machine.running()
    finally:
        machine.run("rm", machine.path("jails"))
        machine.run("mv", machine.path("elsewhere"), machine.path("jails"))


# -- what a root is made of


@pytest.mark.storage("zfs")
def test_a_name_is_enough_to_remove_a_jail_on_zfs(machine: Machine) -> None:
    machine.jails([machine.web(root="clone")])
    machine.module("jails", jails=[{"name": "cbweb", "state": "absent"}])
    assert f"{machine.dataset}/cbweb" not in machine.run("zfs", "list", "-H", "-o", "name")
    assert "cbweb" not in machine.running()


@pytest.mark.storage("zfs")
def test_a_foreign_snapshot_stands_in_the_way_without_the_dataset_option_too(machine: Machine) -> None:
    machine.jails([machine.web(root="clone")])
    machine.run("zfs", "snapshot", f"{machine.dataset}/cbweb@kept")
    with pytest.raises(Failed, match="cbweb@kept"):
        machine.module("jails", jails=[{"name": "cbweb", "state": "absent"}])
    assert "cbweb" in machine.running() and "etc" in machine.names(machine.path(""))
    machine.run("zfs", "destroy", f"{machine.dataset}/cbweb@kept")


@pytest.mark.storage("zfs")
def test_another_storage_than_the_jails_is_refused_by_name(machine: Machine) -> None:
    machine.jails([machine.web(root="thick")])
    with pytest.raises(Failed, match=f"cbweb: its root is dataset {machine.dataset}/cbweb, not a plain directory"):
        machine.module("jails", jails=[machine.web(root="thick")], storage_path=machine.place)
    with pytest.raises(Failed, match="cbweb: its root is"):
        machine.module("jails", jails=[machine.web(root="thick")], storage_path="/usr/other")
