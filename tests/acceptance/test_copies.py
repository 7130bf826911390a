# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A jail that begins as a copy of another: its state, and an identity of its own."""

from __future__ import annotations

from typing import Any, Dict

import pytest

from .machine import BASE, Failed, Killed, Machine, Simulated

# What tells one system from another, and what passes with a boot.
IDENTITY = (
    "etc/ssh/ssh_host_ed25519_key", "etc/ssh/ssh_host_ed25519_key.pub", "etc/hostid", "etc/machine-id", "var/db/dhclient.leases.em0",
    "var/db/entropy/saved-entropy.1", "boot/entropy", "entropy", "var/run/daemon.pid", "var/run/deep/er/socket",
)
STATE = {"etc/cb.conf": "mine\n", "usr/local/etc/own.conf": "own\n", "var/db/data/1": "one\n", "root/.profile": "mine\n"}


def copy(machine: Machine, **options: Any) -> Dict[str, Any]:
    return {"name": "cbcopy", "base": BASE, "ip4": [f"{machine.interface}|10.99.0.40"], "copy_of": "cbweb", **options}


def source(machine: Machine, **options: Any) -> Dict[str, Any]:
    """Make a jail with state and an identity; returns its declaration."""
    web = machine.web(**options)
    machine.jails([web])
    for path, text in STATE.items():
        machine.write(machine.path(path), text)
    for path in IDENTITY:
        if not (web.get("root", "thin") == "thin" and path.startswith("boot/")):  # which a thin jail has of its base
            machine.write(machine.path(path), "secret\n")
    return web


def is_a_copy(machine: Machine, name: str = "cbcopy") -> None:
    for path, text in STATE.items():
        assert machine.read(machine.path(path, name)) == text, path
    for path in IDENTITY:
        assert machine.read(machine.path(path, name)) is None or path.startswith("boot/"), path


@pytest.fixture(params=["thin", "whole"])
def root(request: Any, storage: str) -> str:
    """A root that mounts its base, and one that has all of it."""
    return "thin" if request.param == "thin" else "clone" if storage == "zfs" else "thick"


def test_a_copy_has_the_state_and_an_identity_of_its_own(machine: Machine, root: str) -> None:
    web = source(machine, root=root)
    declared = [web, copy(machine, root=root)]
    shown = machine.module("jails", check=True, jails=declared, **machine.storage)
    before = machine.picture()
    told = machine.jails(declared)
    assert told["steps"] == shown["steps"] and any("copy of jail cbweb" in step for step in told["steps"])
    is_a_copy(machine)
    assert "cbcopy" in machine.running() and "10.99.0.40/32" in machine.addresses()
    assert machine.jails(declared)["steps"] == []
    after = machine.picture()
    kept = [name for name in after["datasets"] if "cbcopy" not in name]
    assert kept == before["datasets"], "nothing is left on what was copied"
    machine.jails([{"name": "cbweb", "state": "absent"}, copy(machine, root=root)])
    assert machine.jails([copy(machine, root=root)])["steps"] == []
    assert machine.read(machine.path("etc/cb.conf", "cbcopy")) == "mine\n"


@pytest.mark.storage("zfs")
def test_a_copy_of_a_clone_shares_its_base_and_no_snapshot(machine: Machine) -> None:
    web = source(machine, root="clone")
    machine.jails([web, copy(machine, root="clone", quota="2G")])
    origins = machine.run("zfs", "get", "-H", "-o", "value", "origin", f"{machine.dataset}/cbweb", f"{machine.dataset}/cbcopy").split()
    assert origins[0] == origins[1] and f"/basejails/{BASE}@" in origins[0]
    assert machine.run("zfs", "get", "-Hp", "-o", "value", "quota", f"{machine.dataset}/cbcopy").strip() == str(2 << 30)
    assert "@cellblock" not in machine.run("zfs", "list", "-H", "-r", "-t", "snapshot", "-o", "name", str(machine.dataset))


@pytest.mark.parametrize("kind", ["clone", "thick"])
@pytest.mark.storage("zfs")
def test_a_thick_copy_stands_alone(machine: Machine, kind: str) -> None:
    machine.jails([source(machine, root=kind), copy(machine, root="thick")])
    is_a_copy(machine)
    assert machine.run("zfs", "get", "-H", "-o", "value", "origin", f"{machine.dataset}/cbcopy").strip() == "-"


def test_both_in_one_run_on_a_host_that_has_neither(machine: Machine) -> None:
    declared = [copy(machine), machine.web()]
    steps = machine.jails(declared)["steps"]
    assert set(machine.running()) == {"cbweb", "cbcopy"}, steps
    assert machine.jails(declared)["steps"] == []


def test_what_only_one_of_them_may_have_is_refused(machine: Machine) -> None:
    web = source(machine, params={"host.hostuuid": "11111111-2222-3333-4444-555555555555"})
    for options, words in (
        ({"ip4": ["10.99.0.20"]}, "is the address of jail cbweb"),
        ({"params": {"host.hostuuid": "11111111-2222-3333-4444-555555555555"}}, "host.hostuuid is that of jail cbweb"),
        ({"hostname": "cbweb"}, "host.hostname is that of jail cbweb"),
        ({"root": "thick"}, "Declare root: thin and base"),
        ({"copy_of": "cbnone"}, "there is no jail cbnone of ours"),
        ({"copy_of": "cbcopy"}, "cannot be a copy of itself"),
        ({"copy_of": "cbdb"}, "depends on its own copy"),
        ({"copy_hook": ["renew.sh"]}, "not the path of a program"),
    ):
        before = machine.picture()
        with pytest.raises(Failed, match=words):
            machine.jails([web, copy(machine, **options), machine.db(depend=["cbcopy"])])
        assert machine.picture() == before


def test_an_address_that_the_jail_gives_itself_is_refused(machine: Machine) -> None:
    web = {"name": "cbweb", "base": BASE, "vnet": True, "state": "stopped", "rc_conf": {"ifconfig_epair0b": "inet 10.0.0.5/24"}}
    machine.jails([web])
    other = {"name": "cbcopy", "base": BASE, "vnet": True, "state": "stopped", "copy_of": "cbweb"}
    with pytest.raises(Failed, match="ifconfig_epair0b"):
        machine.jails([web, other])
    machine.jails([web, {**other, "rc_conf": {"ifconfig_epair0b": "inet 10.0.0.6/24"}}])
    assert "10.0.0.6" in str(machine.read(machine.path("etc/rc.conf", "cbcopy")))


def test_a_jail_that_is_there_does_not_become_a_copy(machine: Machine) -> None:
    web = source(machine)
    other = copy(machine)
    other.pop("copy_of")
    machine.jails([web, other])
    assert machine.jails([web, copy(machine)])["steps"] == []


def test_the_hook_runs_before_it_is_whole_and_a_failing_one_leaves_no_copy(machine: Machine) -> None:
    web = source(machine)
    before = machine.picture()
    with pytest.raises(Failed):
        machine.jails([web, copy(machine, copy_hook=["/usr/bin/false"])])
    assert machine.picture() == before
    machine.jails([web, copy(machine, copy_hook=["/usr/bin/true"])])
    is_a_copy(machine)
    assert set(machine.running()) == {"cbweb", "cbcopy"}


@pytest.mark.parametrize("hook", [[], ["/usr/bin/true"]], ids=["plain", "hook"])
def test_killed_anywhere_the_next_run_ends_the_same(machine: Machine, root: str, hook: Any) -> None:
    web = source(machine, root=root)
    before = machine.picture()
    declared = [web, copy(machine, root=root, copy_hook=hook)]
    at = 0
    while True:
        try:
            machine.module("jails", kill_at=at, jails=declared, **machine.storage)
            break
        except Killed:
            pass
        machine.jails(declared)
        is_a_copy(machine)
        assert set(machine.running()) == {"cbweb", "cbcopy"}, at
        machine.jails([web], prune=True, prune_share=100)
        assert machine.picture() == before, at
        at += 1 if isinstance(machine, Simulated) else 7
    assert at > 4


def test_killed_and_no_longer_wanted_nothing_is_left(machine: Machine, root: str) -> None:
    web = source(machine, root=root)
    before = machine.picture()
    at = 0
    while True:
        try:
            machine.module("jails", kill_at=at, jails=[web, copy(machine, root=root)], **machine.storage)
            break
        except Killed:
            pass
        machine.jails([web], prune=True, prune_share=100)
        assert machine.picture() == before, at
        at += 1 if isinstance(machine, Simulated) else 7


def test_a_hostile_jail_gains_nothing_by_being_copied(machine: Machine) -> None:
    web = source(machine)
    machine.write("/var/cb-outside/ssh_host_rsa_key", "the host's\n")
    machine.run("rm", "-rx", machine.path("etc/ssh"))
    machine.link("/var/cb-outside", machine.path("etc/ssh"))
    with pytest.raises(Failed, match="identity of its own"):
        machine.jails([web, copy(machine)])
    assert machine.read("/var/cb-outside/ssh_host_rsa_key") == "the host's\n"
    machine.run("rm", machine.path("etc/ssh"))
    machine.link("/var/cb-outside/ssh_host_rsa_key", machine.path("etc/hostid"))
    machine.link("/etc", machine.path("var/run/etc"))
    machine.write(machine.path(f"var/run/{'deep/' * 200}file"), "x")
    machine.jails([web, copy(machine)])
    is_a_copy(machine)
    assert machine.read("/var/cb-outside/ssh_host_rsa_key") == "the host's\n" and machine.read("/etc/rc.conf")
    machine.run("rm", "-rx", "/var/cb-outside")
