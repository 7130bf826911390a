# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bases, devfs rulesets, and the host's own settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict

import pytest

from .machine import Failed, Machine, Remote, Simulated

BASICS = ["include $devfsrules_hide_all", "include $devfsrules_unhide_basic", "include $devfsrules_unhide_login"]


def dist(machine: Machine) -> str:
    """The directory of the host with a release's sets."""
    return Remote.DIST if machine.real else "/var/dist"


# -- bases


def test_a_base_comes_whole_and_goes_whole(machine: Machine) -> None:
    options: Dict[str, Any] = {"name": "second", "source": "sets", "url": dist(machine), **machine.storage}
    predicted = machine.module("basejail", check=True, **options)
    assert "second" not in machine.names(f"{machine.place}/basejails")
    done = machine.module("basejail", **options)
    assert done["steps"] == predicted["steps"] != []
    assert "libc.so.7" in machine.names(f"{machine.place}/basejails/second/lib")
    assert machine.module("basejail", **options)["changed"] is False
    machine.module("basejail", name="second", state="absent", **machine.storage)
    assert "second" not in machine.names(f"{machine.place}/basejails")


def test_a_set_that_is_not_what_its_manifest_says_is_refused(machine: Machine) -> None:
    manifest = str(machine.read(f"{dist(machine)}/MANIFEST"))
    sets = f"{dist(machine)}-broken"
    machine.write(f"{sets}/MANIFEST", manifest)
    machine.write(f"{sets}/base.txz", "not what it says")
    try:
        with pytest.raises(Failed, match="sha256|checksum|MANIFEST"):
            machine.module("basejail", name="second", url=sets, **machine.storage)
        with pytest.raises(Failed, match="sha256"):
            machine.module("basejail", name="second", url=dist(machine), manifest_sha256="0" * 64, **machine.storage)
        assert "second" not in machine.names(f"{machine.place}/basejails")
    finally:
        machine.run("rm", "-r", sets)


def test_a_base_that_is_killed_while_it_grows_is_finished_by_the_next_run(machine: Machine) -> None:
    from .machine import Killed

    options: Dict[str, Any] = {"name": "second", "source": "sets", "url": dist(machine), **machine.storage}
    number = 0
    while True:
        try:
            machine.module("basejail", kill_at=number, **options)
            break
        except Killed:
            machine.module("basejail", **options)
        assert machine.module("basejail", **options)["changed"] is False, f"killed before command {number}"
        machine.module("basejail", name="second", state="absent", **machine.storage)
        number += 1
    assert number > 2
    machine.module("basejail", name="second", state="absent", **machine.storage)


# -- devfs rulesets


def test_a_ruleset_is_made_loaded_changed_and_removed(machine: Machine) -> None:
    options: Dict[str, Any] = {"name": "devfsrules_cb", "number": 4242, "rules": [*BASICS, "path 'bpf*' unhide"]}
    predicted = machine.module("devfs_ruleset", check=True, **options)
    done = machine.module("devfs_ruleset", **options)
    assert done["steps"] == predicted["steps"] and done["number"] == 4242
    try:
        shown = machine.run("devfs", "rule", "-s", "4242", "show")
        assert "include 1" in shown and "path bpf* unhide" in shown
        assert machine.module("devfs_ruleset", **options)["changed"] is False
        machine.run("devfs", "rule", "-s", "4242", "delset")
        assert machine.module("devfs_ruleset", **options)["changed"] is True
        machine.module("devfs_ruleset", **{**options, "rules": [*BASICS, "path mem unhide mode 600"]})
        shown = machine.run("devfs", "rule", "-s", "4242", "show")
        assert "bpf" not in shown and "path mem" in shown
        machine.run("service", "devfs", "restart")
        assert machine.run("devfs", "rule", "-s", "4242", "show") == shown
    finally:
        machine.module("devfs_ruleset", name="devfsrules_cb", state="absent")
    assert "4242" not in machine.run("devfs", "rule", "showsets").split()


TRAPS = [
    ({"name": "devfsrules_cb", "rules": ["include $devfsrules_jail"]}, "hide"),
    ({"name": "dash-ed", "rules": BASICS}, "dash|name"),
    ({"name": "devfsrules_cb", "number": 70000, "rules": BASICS}, "range|65535"),
    ({"name": "devfsrules_cb", "number": 4, "rules": BASICS}, "devfsrules_jail"),
    ({"name": "devfsrules_cb", "rules": ["path mem unhid"]}, "unhid"),
    ({"name": "devfsrules_cb", "rules": ["include $devfsrules_nope"]}, "devfsrules_nope"),
    ({"name": "devfsrules_cb", "rules": ["hide", "unhide path 'bpf*'"]}, "Conditions come first"),
    ({"name": "devfsrules_cb", "rules": ["hide", "include devfsrules_jail"]}, "is no number"),
    ({"name": "devfsrules_cb", "rules": ["hide", "path 'bpf*'"]}, "without an action"),
]


@pytest.mark.parametrize("options, message", TRAPS, ids=[message for _options, message in TRAPS])
def test_a_ruleset_that_would_be_a_trap_is_refused(machine: Machine, options: Dict[str, Any], message: str) -> None:
    before = machine.picture()
    with pytest.raises(Failed, match=message):
        machine.module("devfs_ruleset", **options)
    assert machine.picture() == before


# -- settings


def test_settings_are_brought_and_what_waits_for_a_reboot_is_said(machine: Machine) -> None:
    fibs = int(machine.run("sysctl", "-n", "net.fibs")) + 1
    options: Dict[str, Any] = {"rc_conf": {"cb_odd": 'a "b" $c', "cb_flag": True}, "loader_conf": {"cb_tunable": "7"}, "fibs": fibs}
    predicted = machine.module("host_settings", check=True, **options)
    done = machine.module("host_settings", **options)
    assert done["steps"] == predicted["steps"]
    assert machine.run("sysctl", "-n", "net.fibs").strip() == str(fibs)
    assert machine.run("sysrc", "-n", "cb_odd") == 'a "b" $c\n'
    assert 'cb_tunable="7"' in str(machine.read("/boot/loader.conf"))
    assert machine.module("host_settings", **options)["changed"] is False
    machine.module("host_settings", rc_conf={"cb_odd": None, "cb_flag": None}, loader_conf={"cb_tunable": None})
    assert "cb_" not in str(machine.read("/etc/rc.conf")) + str(machine.read("/boot/loader.conf"))


def test_listeners_are_told(machine: Machine) -> None:
    told = machine.module("listeners_info")
    assert {one["address"] for one in told["open"]} == {"*"} and 22 in {one["port"] for one in told["open"]}


def test_listeners_are_the_same_where_sockstat_knows_no_json(tmp_path: Path) -> None:
    """FreeBSD 14.0 and 14.1."""
    machine = Simulated(tmp_path / "host", "ufs")
    machine.sim.state["services"] = {"rpcbind": [("tcp4", "*", 111), ("udp6", "*", 111)], "nfsd": [("tcp46", "*", 2049), ("udp4", "*", 2049)]}
    told = machine.module("listeners_info")
    assert {one["program"] for one in told["open"]} == {"rpcbind", "nfsd", "kernel"}
    machine.sim.state["sysctl"]["kern.osreldate"] = "1400097"
    assert machine.module("listeners_info") == told


def test_faults_of_all_parts_of_a_host_are_told_at_once(machine: Machine) -> None:
    with pytest.raises(Failed) as caught:
        machine.module("host", settings={"fibs": 0}, services={"addresses": ["10.99.99.99"]})
    assert [line.partition(":")[0] for line in str(caught.value).splitlines()] == ["fibs", "addresses"]
    with pytest.raises(Failed) as caught:
        machine.module("host", networks={"networks": [{"name": "9bad"}, {"name": "lan", "ip4": "10.1.0.300/24"}]})
    assert [line.partition(":")[0] for line in str(caught.value).splitlines()] == ["network 9bad", "network lan, ip4"]
    with pytest.raises(Failed) as caught:
        machine.module("basejails", basejails=[{"name": "a b"}, {"name": "x", "sets": ["a/b"]}], **machine.storage)
    assert len(str(caught.value).splitlines()) == 2


def test_a_jail_does_not_start_with_a_ruleset_that_was_emptied(machine: Machine) -> None:
    """One that is in use is emptied by devfs(8) rather than deleted, and then hides nothing."""
    rules = [*BASICS, "path 'bpf*' unhide"]
    machine.module("devfs_ruleset", name="cb_bpf", number=4243, rules=rules)
    own = machine.web(root="empty", base=None, devfs_ruleset="cb_bpf")
    try:
        machine.jails([own])
        machine.run("devfs", "rule", "-s", "4243", "delset")
        for check in (True, False):
            with pytest.raises(Failed, match="ruleset 4243 is not loaded"):
                machine.jails([{**own, "state": "restarted"}], check=check)
        machine.module("devfs_ruleset", name="cb_bpf", number=4243, rules=rules)
        machine.jails([{**own, "state": "restarted"}])
    finally:
        machine.jails([], prune=True)
        machine.module("devfs_ruleset", name="cb_bpf", number=4243, state="absent")


def test_a_number_of_freebsds_that_another_ruleset_took_is_told(machine: Machine) -> None:
    before = machine.read("/etc/devfs.rules")
    machine.write("/etc/devfs.rules", (before or "") + "[theirs=5]\nadd path 'bpf*' unhide\n")
    quiet = {"vnet": True, "ip4": None, "state": "present", "exec": {"start": "", "stop": ""}}
    for asked in ({}, {"devfs_ruleset": "devfsrules_jail_vnet"}):
        assert "gives its number to theirs" in str(machine.jails([machine.web(**quiet, **asked)], check=True).get("warnings"))
    assert "theirs" not in str(machine.jails([machine.web(**quiet, devfs_ruleset="theirs")], check=True).get("warnings"))
    if before is None:
        machine.run("rm", "/etc/devfs.rules")
    else:
        machine.write("/etc/devfs.rules", before)


def test_directories_where_files_are_wanted_are_passed_over(machine: Machine) -> None:
    places = ("/etc/fstab.old", "/etc/jail.conf.d/old.conf", "/etc/jail.old.conf")
    for place in places:
        machine.write(f"{place}/.keep", "")
    machine.jails([machine.web(exec={"start": "", "stop": ""})])
    machine.module("jail_info", **machine.storage)
    machine.jails([], prune=True)
    for place in places:
        machine.run("rm", "-r", place)
