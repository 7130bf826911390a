# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``was``: everything of a jail comes to its new name, or nothing does."""

from __future__ import annotations

import json
import re
from typing import Any, Dict, List, Optional

import pytest

from .machine import Failed, Killed, Machine, Simulated
from .test_networks import LAN, member, net, networks

__all__ = ["net"]

KID = {"name": "cbdb.kid", "root": "empty", "boot": False, "params": {"persist": True}}


@pytest.fixture(params=["jail_conf", "rc_conf"])
def style(request: Any) -> str:
    return str(request.param)


def old(machine: Machine, style: str = "jail_conf", **options: Any) -> Dict[str, Any]:
    return machine.db(boot_style=style, boot_order=50, limits={"maxproc": 100}, params={"children.max": 5, "persist": True}, **options)


def new(machine: Machine, style: str = "jail_conf", **options: Any) -> Dict[str, Any]:
    return {**old(machine, style, **options), "name": "cbsql", "was": "cbdb"}


def all_old(machine: Machine, style: str, **options: Any) -> List[Dict[str, Any]]:
    return [old(machine, style, **options), KID, machine.web(depend=["cbdb"], boot_style=style)]


def all_new(machine: Machine, style: str, **options: Any) -> List[Dict[str, Any]]:
    return [new(machine, style, **options), {**KID, "name": "cbsql.kid"}, machine.web(depend=["cbsql"], boot_style=style)]


def mark(machine: Machine, name: str) -> Dict[str, Any]:
    text = (machine.read(f"/etc/jail.conf.d/{name}.conf") or "") + (machine.read("/etc/rc.conf") or "")
    lines = [json.loads(line[len("# cellblock.jails "):]) for line in text.splitlines() if line.startswith("# cellblock.jails {")]
    return next(dict(one) for one in lines if one.get("name") == name)


def everything(machine: Machine) -> str:
    """All of the host that could speak of a jail."""
    picture = machine.picture()
    picture["/etc/rc.conf"] = sorted((machine.read("/etc/rc.conf") or "").splitlines())
    confs = {name: machine.read(f"/etc/jail.conf.d/{name}") for name in machine.names("/etc/jail.conf.d")}
    fstabs = {name: machine.read(f"/etc/{name}") for name in picture["fstabs"]}
    own = machine.run("zfs", "list", "-H", "-r", "-o", "name,cellblock:jail,mountpoint", machine.dataset) if machine.dataset else ""
    return json.dumps([picture, confs, fstabs, own, [name for name in machine.names("/var/log") if name.startswith("jail_")]])


def test_all_that_is_called_by_the_old_name_has_the_new_one(machine: Machine, style: str) -> None:
    machine.jails(all_old(machine, style))
    machine.write(machine.path("root/data", "cbdb"), "kept\n")
    machine.jails(all_new(machine, style))
    assert {"cbsql", "cbsql.kid", "cbweb"} == set(machine.running())
    assert machine.read(machine.path("root/data", "cbsql")) == "kept\n"
    left = everything(machine)
    assert mark(machine, "cbsql")["former"] == ["cbdb"] and "renaming" not in mark(machine, "cbsql")
    left = re.sub(r'\\*"former\\*": \[\\*"cbdb(\.kid)?\\*"\]', "", left)
    assert "cbdb" not in left, left[max(left.find("cbdb") - 200, 0):][:400]
    if machine.limits_work:
        assert "jail:cbsql:maxproc:deny=100" in machine.rules()
    assert machine.jails(all_new(machine, style))["steps"] == []
    machine.boot()
    assert {"cbsql", "cbweb"} == set(machine.running())


def test_check_mode_shows_the_same_and_touches_nothing(machine: Machine, style: str) -> None:
    machine.jails(all_old(machine, style))
    before = everything(machine)
    shown = machine.module("jails", check=True, jails=all_new(machine, style), **machine.storage)["steps"]
    assert everything(machine) == before and "cbdb" in machine.running()
    assert machine.jails(all_new(machine, style))["steps"] == shown


def test_its_place_in_the_order_of_boot_stays(machine: Machine, style: str) -> None:
    declared = [{**old(machine, style), "boot_order": 100}, machine.web()]
    machine.jails(declared)
    machine.module("jail", **{**new(machine, style), "boot_order": 100}, **machine.storage)
    assert 'jail_list="cbsql cbweb"' in (machine.read("/etc/rc.conf") or "")


def test_what_is_not_declared_goes_along(machine: Machine, style: str) -> None:
    machine.jails(all_old(machine, style))
    machine.module("jail", **new(machine, style), **machine.storage)
    assert {"cbsql", "cbsql.kid", "cbweb"} == set(machine.running())
    assert mark(machine, "cbweb")["depend"] == ["cbsql"]
    assert machine.jails(all_new(machine, style))["steps"] == []


def test_present_runs_again_when_it_ran_and_only_then(machine: Machine) -> None:
    machine.jails([old(machine)])
    machine.jails([new(machine, state="present")])
    assert "cbsql" in machine.running()
    machine.jails([{**new(machine), "was": None, "state": "stopped"}])
    machine.jails([{**old(machine), "was": "cbsql", "state": "present"}])
    assert not machine.running()


def test_a_name_that_is_taken_is_refused(machine: Machine) -> None:
    machine.jails([old(machine), {**old(machine), "name": "cbsql", "ip4": [], "limits": {}}])
    before = everything(machine)
    with pytest.raises(Failed, match="cbdb and cbsql are both there"):
        machine.jails([{**new(machine), "ip4": []}])
    assert everything(machine) == before


def test_a_new_host_gets_it_under_its_name(machine: Machine) -> None:
    machine.jails([new(machine)])
    assert set(machine.running()) == {"cbsql"}
    assert machine.jails([new(machine)])["steps"] == []


def test_what_fails_later_takes_it_back(machine: Machine, style: str) -> None:
    machine.jails([old(machine, style), KID])
    before = everything(machine)
    with pytest.raises(Failed):
        machine.jails([new(machine, style, exec={"prestart": ["/usr/bin/false"]})])
    assert everything(machine) == before and {"cbdb", "cbdb.kid"} == set(machine.running())


def test_a_run_that_was_killed_is_finished_by_the_next(machine: Machine, style: str) -> None:
    declared, at = all_new(machine, style), {"jail_conf": 1, "rc_conf": 2}[style] + (1 if machine.dataset else 0)
    expected: Optional[str] = None
    while True:
        machine.jails(all_old(machine, style))
        try:
            machine.module("jails", jails=declared, kill_at=at, **machine.storage)
            break
        except Killed:
            pass
        told = machine.jails(declared)
        assert {"cbsql", "cbsql.kid", "cbweb"} == set(machine.running()), (at, told["steps"])
        if expected is None:
            expected = everything(machine)
        assert everything(machine) == expected, at
        assert machine.jails(declared)["steps"] == [], at
        machine.jails([], prune=True, prune_share=100)
        at += 7 if isinstance(machine, Simulated) else 7
    assert at > 7


def renamed_with_ports(machine: Machine, address: str) -> None:
    """A jail with an interface, a port and a bandwidth of its own gets another name."""
    web = member(machine, ports=[{"address": address, "port": "8080", "to": 80}], bandwidth={"in": "10M"})
    renamed = {**web, "name": "cbwww", "was": "cbweb"}
    mac = machine.jails([web])["jails"]["cbweb"]["networks"][0]["mac"]
    files = machine.names("/usr/local/etc/cellblock")
    told = machine.jails([renamed])
    assert told["jails"]["cbwww"]["networks"][0]["mac"] == mac
    assert machine.names("/usr/local/etc/cellblock") == [name.replace("cbweb", "cbwww") for name in files]
    found = next(one for one in machine.module("jail_info", **machine.storage)["jails"] if one["name"] == "cbwww")
    assert "8080" in str(found["ports"]) and not found["drift"]
    assert machine.jails([renamed])["steps"] == []


def test_its_interface_and_its_ports_go_along(net: Machine) -> None:
    networks(net, LAN)
    renamed_with_ports(net, "10.99.7.1")
