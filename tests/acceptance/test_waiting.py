# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What waits for a restart comes by any restart, and what the running jail held is undone by whoever stops it."""

from __future__ import annotations

from typing import Any, Dict

import pytest

from .machine import BASE, Machine

QUIET: Dict[str, Any] = {"exec": {"start": "/usr/bin/true", "stop": "/usr/bin/true"}}
STYLES = pytest.mark.parametrize("style", ["jail_conf", "rc_conf"])


def by_hand(machine: Machine) -> None:
    """What an operator does who knows nothing of us."""
    machine.run("service", "jail", "onestop", "cbweb")
    machine.run("service", "jail", "onestart", "cbweb")


def by_boot(machine: Machine) -> None:
    """The host goes down and comes up."""
    machine.boot()


def by_jail(machine: Machine) -> None:
    """jail(8) alone."""
    machine.ask("jail", "-f", "/etc/jail.conf.d/cbweb.conf", "-r", "cbweb")
    machine.ask("jail", "-f", "/etc/jail.conf.d/cbweb.conf", "-c", "cbweb")


def below(machine: Machine) -> Any:
    """What is mounted in the jail."""
    return {node[len(machine.path("")):] for node in machine.mounted() if node.startswith(machine.path(""))}


@STYLES
@pytest.mark.parametrize("restart", [by_hand, by_boot, by_jail])
def test_mounts_that_wait_come_by_any_restart(machine: Machine, style: str, restart: Any) -> None:
    if (style, restart) == ("rc_conf", by_jail):
        pytest.skip("rc.d/jail writes jail(8)'s file")
    share = f"{machine.place}/basejails/{BASE}/usr/share"
    old = [{"src": share, "dest": "/mnt"}, {"type": "tmpfs", "dest": "/tmp", "opts": "rw"}, {"type": "tmpfs", "dest": "/mnt/zoneinfo"}]
    new = [{"type": "tmpfs", "dest": "/mnt"}, {"src": share, "dest": "/media"}]
    web = machine.web(root="thin", boot_style=style, **QUIET)
    machine.jails([{**web, "mounts": old}])
    plain = {"basejail", "dev"}
    assert below(machine) == plain | {"mnt", "tmp", "mnt/zoneinfo"}
    told = machine.jails([{**web, "mounts": new}])
    assert told["jails"]["cbweb"]["restart_waits"] == ["mount"]
    assert below(machine) == plain | {"mnt", "tmp", "mnt/zoneinfo"}
    assert machine.jails([{**web, "mounts": new}])["steps"] == []
    assert str(told["diff"]).count("/media") and str(told["diff"]).count("umount")
    restart(machine)
    assert below(machine) == plain | {"mnt", "media"}
    told = machine.jails([{**web, "mounts": new}])
    assert told["steps"] == [] and told["jails"]["cbweb"]["restart_waits"] == []
    machine.run("service", "jail", "onestop", "cbweb")
    assert below(machine) == set()
    machine.jails([], prune=True)


@STYLES
@pytest.mark.parametrize("after", ["restart", "removal", "revert"])
def test_mounts_that_wait_end_in_our_hands_too(machine: Machine, style: str, after: str) -> None:
    web = machine.web(root="thin", boot_style=style, **QUIET)
    old = {**web, "mounts": [{"type": "tmpfs", "dest": "/tmp", "opts": "rw"}]}
    new = {**web, "mounts": [{"type": "tmpfs", "dest": "/media", "opts": "rw"}], "params": {"mount.devfs": False}}
    machine.jails([old])
    machine.jails([new])
    assert below(machine) == {"basejail", "dev", "tmp"}
    if after == "restart":
        told = machine.jails([{**new, "restart": "if_needed"}])
        assert "cbweb: stop" in told["steps"] and below(machine) == {"basejail", "media"}
        assert "umount" not in str(machine.read("/etc/jail.conf.d/cbweb.conf")) + str(machine.read("/etc/rc.conf"))
    elif after == "revert":
        assert machine.jails([old])["jails"]["cbweb"]["restart_waits"] == []
        assert machine.jails([old])["steps"] == []
        by_hand(machine)
        assert below(machine) == {"basejail", "dev", "tmp"}
    machine.jails([], prune=True)
    assert below(machine) == set()


@pytest.mark.parametrize("restart", [by_hand, by_boot, by_jail])
def test_a_network_that_waits_comes_by_any_restart(machine: Machine, restart: Any) -> None:
    shared = machine.web(ip4=[f"{machine.interface}|10.99.0.20", f"{machine.interface}|10.99.0.21"], **QUIET)
    own = {**{key: value for key, value in shared.items() if key != "ip4"}, "vnet": True}
    before = machine.addresses()
    machine.jails([shared])
    told = machine.jails([own])
    assert "vnet" in told["jails"]["cbweb"]["restart_waits"]
    assert machine.addresses() - before == {"10.99.0.20/32", "10.99.0.21/32"}
    assert machine.jails([own])["steps"] == []
    info = next(one for one in machine.module("jail_info", **machine.storage)["jails"] if one["name"] == "cbweb")
    assert "vnet" in info["restart_waits"] and [one for one in info["drift"] if one["parameter"].endswith(".addr")] == []
    restart(machine)
    assert machine.running()["cbweb"]["vnet"] == "new" and machine.addresses() == before
    assert machine.jails([own])["steps"] == []
    assert "vnet" in machine.jails([shared])["jails"]["cbweb"]["restart_waits"]
    restart(machine)
    assert machine.addresses() - before == {"10.99.0.20/32", "10.99.0.21/32"}
    assert machine.jails([shared])["steps"] == []
    machine.jails([], prune=True)
    assert machine.addresses() == before


@STYLES
def test_a_privilege_given_by_hand_is_drift_and_is_taken_back(machine: Machine, style: str) -> None:
    web = machine.web(boot_style=style, params={"allow.mlock": True}, **QUIET)
    machine.jails([web])
    machine.run("jail", "-m", "name=cbweb", "allow.raw_sockets=1", "allow.chflags=1", "enforce_statfs=1", "children.max=7", "allow.sysvipc=1")
    info = next(one for one in machine.module("jail_info", **machine.storage)["jails"] if one["name"] == "cbweb")
    names = {one["parameter"] for one in info["drift"]}
    assert names >= {"allow.raw_sockets", "allow.chflags", "enforce_statfs", "children.max", "allow.sysvipc"}
    predicted = machine.jails([web], check=True)["steps"]
    assert machine.jails([web])["steps"] == predicted != []
    kernel = machine.running()["cbweb"]
    assert not any(kernel[name] for name in ("allow.raw_sockets", "allow.chflags", "allow.sysvipc")) and kernel["allow.mlock"]
    assert (kernel["enforce_statfs"], kernel["children.max"], kernel["sysvshm"]) == ("2", "0", "disable")
    assert machine.jails([web])["steps"] == []
    info = next(one for one in machine.module("jail_info", **machine.storage)["jails"] if one["name"] == "cbweb")
    assert info["drift"] == []
    machine.jails([], prune=True)
