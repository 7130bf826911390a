# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A call that changes nothing is told again without being planned, and only while planning would tell the same.

Wherever a case of this suite is told again on the simulated host, ``Simulated.answer`` plans it in check mode too, and
holds the two answers against each other.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Callable, Dict, List

import pytest

from . import door
from .machine import Machine, Simulated

KEPT = "/var/cache/cellblock"
MOUNTED = {"src": "/var/cbsource", "dest": "/mnt"}


def declared(machine: Machine) -> Dict[str, Any]:
    return machine.web(
        rc_conf={"sshd_enable": "NO"}, resolv_conf="copy", mounts=[MOUNTED], limits={"maxproc": 50} if machine.limits_work else {},
        params={"allow.raw_sockets": True, "sysvshm": "new"}, timezone="UTC", **({"quota": "2G"} if machine.dataset else {}),
    )


@pytest.fixture
def settled(machine: Machine) -> Any:
    """A host as it is declared, of which a call is kept."""
    machine.write(f"{MOUNTED['src']}/here", "")
    for _again in range(2):
        machine.jails([declared(machine)])
    yield machine
    machine.jails([], prune=True, prune_share=100)
    machine.run("rm", "-r", MOUNTED["src"], KEPT)


def recalled() -> bool:
    return door.RECALLED == ["jails"]


def test_it_is_told_again_by_the_same_questions(settled: Machine) -> None:
    assert settled.jails([declared(settled)])["changed"] is False
    if isinstance(settled, Simulated):
        assert recalled()
        asked = settled.commands()
        settled.run("rm", "-r", KEPT)
        settled.jails([declared(settled)])
        assert settled.commands() == asked and not recalled()


def stop(machine: Machine) -> None:
    machine.run("jail", "-r", "cbweb")


def edit(machine: Machine, path: str, old: str, new: str) -> None:
    text = machine.read(path) or ""
    assert old in text
    machine.write(path, text.replace(old, new))


def drop_rules(machine: Machine) -> None:
    if not machine.limits_work:
        pytest.skip("no limits here")
    machine.run("rctl", "-r", "jail:cbweb")


def spend_quota(machine: Machine) -> None:
    if not machine.dataset:
        pytest.skip("no datasets here")
    machine.run("zfs", "set", "quota=3G", f"{machine.dataset}/cbweb")


DRIFTS: Dict[str, Callable[[Machine], Any]] = {
    "stopped": stop,
    "its definition": lambda machine: edit(machine, "/etc/jail.conf.d/cbweb.conf", "nullfs rw", "nullfs ro"),
    "its rc.conf": lambda machine: machine.write(machine.path("/etc/rc.conf"), 'sshd_enable="YES"\n'),
    "its resolv.conf": lambda machine: machine.write(machine.path("/etc/resolv.conf"), "nameserver 10.0.0.99\n"),
    "a parameter": lambda machine: machine.run("jail", "-m", "name=cbweb", "allow.raw_sockets=0"),
    "its address": lambda machine: machine.run("ifconfig", machine.interface, "inet", "10.99.0.20", "-alias"),
    "the boot": lambda machine: edit(machine, "/etc/rc.conf", 'jail_list="cbweb"', 'jail_list=""'),
    "its mount": lambda machine: machine.run("umount", machine.path("/mnt")),
    "its limits": drop_rules,
    "its quota": spend_quota,
}
# What is told of them is told anew, but they are no drift: a restart waits, or nothing is to do.
TOLD = {"its mount", "its address"}


@pytest.mark.parametrize("drift", sorted(DRIFTS))
def test_whatever_is_not_as_declared_is_seen(settled: Machine, drift: str) -> None:
    settled.jails([declared(settled)])
    DRIFTS[drift](settled)
    predicted = settled.jails([declared(settled)], check=True)
    done = settled.jails([declared(settled)])
    assert done["steps"] == predicted["steps"] and door.RECALLED == []
    assert done["changed"] or drift in TOLD


def test_other_options_are_another_call(settled: Machine) -> None:
    assert settled.jails([settled.web(**{**declared(settled), "rc_conf": {"sshd_enable": "YES"}})])["changed"]
    assert settled.jails([declared(settled)])["changed"]


def test_check_mode_plans_and_keeps_nothing(machine: Machine) -> None:
    machine.jails([machine.web()])
    for _again in range(2):
        assert machine.jails([machine.web()], check=True)["steps"] == []
    assert machine.names(KEPT) == []


def test_no_secret_is_kept(machine: Machine) -> None:
    secret = "$6$" + "s" * 8 + "$" + "h" * 86
    for _again in range(2):
        machine.jails([machine.web(root_password=secret)])
    kept = [machine.read(f"{KEPT}/{name}") or "" for name in machine.names(KEPT)]
    assert kept and not any(secret in text for text in kept)
    assert machine.run("find", KEPT, "-perm", "-040").strip() == "" == machine.run("find", KEPT, "-perm", "-004").strip()
    machine.run("rm", "-r", KEPT)


def spoilt(text: str) -> List[str]:
    """Files that nobody wrote whole."""
    whole = json.loads(text)
    odd = [5, [["a"]], [[[], "write", ["/etc/motd", "x"], {}, "y"]], [[[], "look", [], {}, "y"]], [["/"], "look", ["etc"], {}, "y"]]
    return [
        "", "[]", "null", text[:-10], "{}", json.dumps({**whole, "told": []}), *(json.dumps({**whole, "questions": asked}) for asked in odd),
    ]


def test_what_is_kept_is_not_trusted_further_than_it_goes(settled: Machine) -> None:
    if not isinstance(settled, Simulated):
        pytest.skip("the files are the same on any host")
    name, = settled.names(KEPT)
    text = settled.read(f"{KEPT}/{name}") or ""
    for odd in spoilt(text):
        settled.write(f"{KEPT}/{name}", odd)
        assert settled.jails([declared(settled)])["changed"] is False and not recalled()
        assert settled.read("/etc/motd") is None
    settled.write(f"{KEPT}/{name}", text)
    folder: Path = settled.sim.real(KEPT)
    folder.chmod(0o770)
    assert settled.jails([declared(settled)])["changed"] is False and not recalled()


def test_only_the_newest_are_kept(machine: Machine) -> None:
    machine.jails([machine.web()])
    for number in range(40):
        machine.write(f"{KEPT}/old{number}.json", "{}")
    machine.run("chmod", "700", KEPT)
    machine.jails([machine.web()])
    assert len(machine.names(KEPT)) == 32
    machine.run("rm", "-r", KEPT)
