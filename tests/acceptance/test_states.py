# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A jail that is there needs no more than its name and a state; a declaration that leaves things out says what goes."""

from __future__ import annotations

from typing import Any, Dict, List

import pytest

from ansible_collections.cellblock.jails.plugins.module_utils.jails import runtime

from .machine import Failed, Machine

REST = {"params": {"allow.raw_sockets": True}, "restart": "if_needed"}


def only(machine: Machine, check: bool = False, **options: Any) -> Dict[str, Any]:
    return machine.module("jail", check, name="cbweb", **options)


def test_name_and_state_are_enough(machine: Machine) -> None:
    machine.jails([machine.web(**REST), machine.db()])
    before = machine.picture()
    first = machine.running()["cbweb"]["jid"]
    assert only(machine, state="started")["steps"] == []
    assert only(machine, check=True, state="restarted")["steps"] == ["cbweb: stop", "cbweb: start"]
    assert only(machine, state="restarted")["steps"] == ["cbweb: stop", "cbweb: start"]
    assert machine.running()["cbweb"]["jid"] != first and machine.picture() == before
    assert only(machine, state="stopped")["steps"] == ["cbweb: stop"]
    assert only(machine, state="stopped")["steps"] == [] and "cbweb" not in machine.running()
    assert only(machine)["steps"] == ["cbweb: start"] and machine.picture() == before
    assert machine.jails([machine.web(**REST), machine.db()])["steps"] == []
    only(machine, state="absent")
    assert list(machine.running()) == ["cbdb"] and "cbweb" not in machine.names(machine.place)


def test_what_waits_comes_with_a_restart_by_name(machine: Machine) -> None:
    machine.write(machine.place + "/source/here", "")
    mount = {"src": f"{machine.place}/source", "dest": "/mnt"}
    machine.jails([machine.web()])
    told = machine.jails([machine.web(mounts=[mount])])
    assert told["jails"]["cbweb"]["restart_waits"] == ["mount"]
    assert only(machine, state="started")["jails"]["cbweb"]["restart_waits"] == ["mount"]
    only(machine, state="restarted")
    assert machine.path("/mnt") in machine.mounted()
    assert machine.jails([machine.web(mounts=[mount])])["steps"] == []
    machine.jails([], prune=True, prune_share=100)
    machine.run("rm", "-r", machine.place + "/source")


def test_a_list_takes_both_and_prunes_neither(machine: Machine) -> None:
    machine.jails([machine.web(), machine.db()])
    told = machine.jails([{"name": "cbweb", "state": "stopped"}, machine.db()], prune=True)
    assert told["steps"] == ["cbweb: stop"]
    refused = {"name": "cbweb", "state": "started"}
    assert machine.jails([refused, machine.db(depend=["cbweb"])])["steps"][-1] != ""
    assert set(machine.running()) == {"cbweb", "cbdb"}


def test_what_is_not_there_is_no_jail_by_its_name_alone(machine: Machine) -> None:
    for state in ("started", "restarted", "stopped"):
        with pytest.raises(Failed) as caught:
            only(machine, state=state)
        assert "it is not there, and a new thin jail needs a base" in str(caught.value)
    assert only(machine, state="absent")["steps"] == []


def test_what_is_left_out_is_named_before_it_goes(machine: Machine) -> None:
    whole = machine.web(params={"allow.raw_sockets": True}, mounts=[{"type": "tmpfs", "dest": "/tmp"}], limits={"maxproc": 500})
    machine.jails([whole])
    for check in (True, False):
        named = lost(machine.module("jails", check, jails=[machine.web()], **machine.storage))
        assert len(named) == 1
        for what in ("params.allow.raw_sockets", f"mounts ({machine.path('/tmp')})", "limits.maxproc", "leave all else as it is"):
            assert what in named[0]
    assert [lost(machine.jails([machine.web(**more)])) for more in ({}, {"hostname": "x"})] == [[], []]


def lost(told: Dict[str, Any]) -> List[str]:
    return [warning for warning in told.get("warnings", ()) if "no longer declared goes" in warning]


def test_the_log_of_a_removed_jail_goes_and_another_s_place_is_told(machine: Machine) -> None:
    log, own = "/var/log/jail_cbweb_console.log", "/var/log/cellblock-acceptance.log"
    machine.jails([machine.web(), machine.db(params={"exec.consolelog": own})])
    for path in (log, f"{log}.0.bz2", own):
        machine.write(path, "words\n")
    told = machine.jails([{"name": "cbweb", "state": "absent"}, {"name": "cbdb", "state": "absent"}])
    assert f"cbweb: remove {log}" in told["steps"] and f"cbweb: remove {log}.0.bz2" in told["steps"]
    assert [machine.read(path) for path in (log, f"{log}.0.bz2", own)] == [None, None, "words\n"]
    assert f"jail cbdb: its console log {own} stays" in told["warnings"]
    machine.run("rm", own)


def test_a_flavour_shows_as_a_count_and_a_digest(machine: Machine) -> None:
    flavour = "/var/tmp/cbflavour"
    machine.write(f"{flavour}/etc/issue", "one\n")
    machine.write(f"{flavour}/root/notes", "two\n")

    def planned() -> str:
        told = machine.module("jails", True, jails=[machine.web(flavour=flavour)], **machine.storage)
        return str(next(step for step in told["steps"] if "flavour" in step))

    first = planned()
    assert f"with flavour {flavour}: 2 files, sha256 " in first and planned() == first
    machine.write(f"{flavour}/root/notes", "three\n")
    assert planned() != first
    machine.run("rm", "-r", flavour)


def test_a_jail_that_somebody_is_connected_to_stops_starts_and_goes(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is dying for a minute or two after its stop, and holds its root as long."""
    monkeypatch.setattr(runtime, "PATIENCE", 0.0)  # of the simulated host
    machine.jails([machine.web(root=machine.clone)])
    for state in ("restarted", "stopped"):
        machine.linger("cbweb", "10.99.0.20")
        only(machine, state=state)
    only(machine, state="started")
    machine.linger("cbweb", "10.99.0.20")
    only(machine, state="absent")
    assert "cbweb" not in machine.names(machine.place)


def test_a_jail_that_was_stopped_by_hand_and_is_dying_still_goes(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "PATIENCE", 0.0)  # of the simulated host
    machine.jails([machine.web(root=machine.clone)])
    machine.linger("cbweb", "10.99.0.20")
    machine.run("jail", "-f", "/etc/jail.conf.d/cbweb.conf", "-r", "cbweb")
    only(machine, state="absent")
    assert "cbweb" not in machine.names(machine.place)


QUIET: Dict[str, Any] = {"exec": {"start": "", "stop": ""}}


def family(machine: Machine) -> List[Dict[str, Any]]:
    parent = machine.web(params={"children.max": 5}, **QUIET)
    return [parent, {"name": "cbweb.kid", "root": "empty", "path": f"{machine.place}/kid", "boot": False, **QUIET}]


def test_a_child_goes_down_before_its_parent_and_comes_back_after_it(machine: Machine) -> None:
    parent, child = family(machine)
    machine.jails([parent, child])
    around = ["cbweb.kid: stop", "cbweb: stop", "cbweb: start", "cbweb.kid: start"]
    assert machine.jails([{**parent, "state": "restarted"}, child])["steps"] == around
    assert machine.jails([{"name": "cbweb", "state": "restarted"}, child])["steps"] == around
    assert machine.jails([{"name": "cbweb", "state": "restarted"}, {"name": "cbweb.kid"}])["steps"] == around
    assert list(machine.running()) == ["cbweb", "cbweb.kid"]
    machine.jails([], prune=True)


def test_what_falls_with_a_jail_is_told_and_what_runs_in_it_keeps_it(machine: Machine) -> None:
    parent, child = family(machine)
    machine.jails([parent, child, machine.db(depend=["cbweb"], **QUIET)])
    with pytest.raises(Failed, match="cbweb.kid runs in it"):
        only(machine, state="absent")
    told = str(only(machine, state="restarted")["warnings"])
    assert "cbweb.kid runs in it, and ends with it" in told and "cbdb depends on it, and goes on while it is down" in told
    assert "goes on without it" in str(only(machine, state="absent")["warnings"])
    machine.jails([], prune=True)
