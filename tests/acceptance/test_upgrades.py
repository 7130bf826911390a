# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Upgrades as transactions: two bases of the host, one with changed files, stand for two releases."""

from __future__ import annotations

import random
from typing import Any, Dict, Iterator, List, Optional

import pytest

from ansible_collections.cellblock.jails.plugins.module_utils.formats.merge3 import merge3
from ansible_collections.cellblock.jails.plugins.module_utils.jails import runtime

from .machine import BASE, Failed, Killed, Machine, Remote, Simulated
from .test_networks import LAN, clean, member, networks

NEXT = "acceptance2"
GATE = {"every": 0.0, "within": 30}
# What the new base has otherwise: a file of its own, one changed, one gone.
CHANGED = {"etc/cb.conf": "one\ntwo\nthree, new\n", "etc/cb.new": "new\n", "etc/cb.same": "same\n", "COPYRIGHT": "new\n"}
BEFORE = {"etc/cb.conf": "one\ntwo\nthree\n", "etc/cb.gone": "gone\n", "etc/cb.same": "same\n", "COPYRIGHT": "old\n"}
OWN = "one, mine\ntwo\nthree\n"


def base_path(machine: Machine, base: str, inside: str) -> str:
    return f"{machine.place}/basejails/{base}/{inside}"


def put_bases(machine: Machine) -> None:
    """The files in which the bases differ."""
    for base, files in ((BASE, BEFORE), (NEXT, CHANGED)):
        for path, text in files.items():
            machine.write(base_path(machine, base, path), text)
    group = machine.read(base_path(machine, BASE, "etc/group")) or ""
    machine.write(base_path(machine, NEXT, "etc/group"), group + "cbnew:*:4242:\n")
    if machine.dataset:  # what clones are made of
        machine.run("zfs", "snapshot", f"{snapshots(machine)[0]}-2")


def snapshots(machine: Machine) -> List[str]:
    dataset = f"{machine.dataset}/basejails/{BASE}"
    return machine.run("zfs", "list", "-H", "-d", "1", "-t", "snapshot", "-o", "name", "-s", "createtxg", dataset).split()


def make_next(machine: Machine) -> None:
    machine.module("basejail", name=NEXT, source="directory", directory=f"{machine.place}/basejails/{BASE}", **machine.storage)


@pytest.fixture(scope="session")
def second(remote: Optional[Remote]) -> Iterator[None]:
    """The second base of a real host: it takes a while."""
    if remote is not None:
        make_next(remote)
        put_bases(remote)
    yield
    if remote is not None:
        remote.module("basejail", name=NEXT, state="absent", **remote.storage)


@pytest.fixture
def bases(second: None, machine: Machine) -> Iterator[Machine]:
    """A host with two bases."""
    if isinstance(machine, Simulated):
        make_next(machine)
        put_bases(machine)
    yield machine
    machine.jails([], prune=True, prune_share=100)
    if isinstance(machine, Simulated):
        machine.module("basejail", name=NEXT, state="absent", **machine.storage)
        if machine.dataset:
            machine.run("zfs", "destroy", snapshots(machine)[-1])


def upgrade(machine: Machine, check: bool = False, kill_at: Optional[int] = None, **options: Any) -> Dict[str, Any]:
    return machine.module(
        "jail_upgrade", check=check, kill_at=kill_at, **{"to": NEXT, "gate": GATE, **machine.storage, **options},
    )


def back(machine: Machine, check: bool = False, **options: Any) -> Dict[str, Any]:
    return machine.module("jail_upgrade", check=check, state="rolled_back", **machine.storage, **options)


def failing(machine: Machine, **options: Any) -> str:
    with pytest.raises(Failed) as failure:
        upgrade(machine, **options)
    return str(failure.value)


def upgraded(machine: Machine, jail: str = "cbweb") -> bool:
    """Whether a jail is whole on the new base; it must be whole on one of them."""
    new = machine.read(machine.path("etc/cb.new", jail)) == "new\n"
    gone = machine.read(machine.path("etc/cb.gone", jail))
    assert (gone is None) == new, "half way"
    assert machine.read(machine.path("COPYRIGHT", jail)) == ("new\n" if new else "old\n")
    assert "three, new\n" in str(machine.read(machine.path("etc/cb.conf", jail))) or not new
    return new


def info(machine: Machine, jail: str = "cbweb") -> Dict[str, Any]:
    found: List[Dict[str, Any]] = machine.module("jail_info", **machine.storage)["jails"]
    return next(one for one in found if one["name"] == jail)


@pytest.fixture(params=["thin", "thick"])
def root(request: Any) -> str:
    return str(request.param)


def test_a_clean_jail_comes_to_the_new_base_and_back(bases: Machine, root: str) -> None:
    bases.jails([bases.web(root=root)])
    told = upgrade(bases)
    assert told["jails"]["cbweb"]["outcome"] == "done" and upgraded(bases)
    assert "cbweb" in bases.running() and "10.99.0.20/32" in bases.addresses()
    assert "cbnew:*:4242:" in str(bases.read(bases.path("etc/group")))
    assert upgrade(bases)["steps"] == []
    assert bases.jails([bases.web(root=root, base=NEXT)])["steps"] == []
    back(bases)
    assert not upgraded(bases) and "cbweb" in bases.running() and "10.99.0.20/32" in bases.addresses()
    assert back(bases)["steps"] == []
    assert bases.jails([bases.web(root=root)])["steps"] == []


def origin(machine: Machine) -> str:
    return machine.run("zfs", "get", "-H", "-o", "value", "origin", f"{machine.dataset}/cbweb").strip().partition("@")[0].rpartition("/")[2]


@pytest.mark.storage("zfs")
def test_a_clone_comes_to_a_new_clone_with_all_that_is_its_own(bases: Machine) -> None:
    clone = bases.web(root="clone", quota="2G")
    bases.jails([clone])
    bases.write(bases.path("etc/cb.conf"), OWN)
    bases.write(bases.path("usr/local/own/file"), "mine\n")
    named = bases.path("usr/local/own/file"), bases.path("usr/local/own")
    if bases.real:
        bases.run("setfacl", "-m", "user:daemon:rwp:allow", *named)
    had = bases.run("getfacl", *named) if bases.real else ""
    bases.run("rm", bases.path("etc/cb.same"))
    assert upgrade(bases)["jails"]["cbweb"]["outcome"] == "done"
    assert upgraded(bases) and "cbweb" in bases.running() and origin(bases) == NEXT
    assert bases.read(bases.path("usr/local/own/file")) == "mine\n" and bases.read(bases.path("etc/cb.same")) is None
    assert (bases.run("getfacl", *named) if bases.real else "") == had
    assert bases.read(bases.path("etc/cb.conf")) == "one, mine\ntwo\nthree, new\n"
    assert bases.jails([{**clone, "base": NEXT}])["steps"] == []
    assert info(bases)["upgrade"]["rollback"]
    back(bases)
    assert not upgraded(bases) and origin(bases) == BASE and "cbweb" in bases.running()
    assert bases.read(bases.path("etc/cb.conf")) == OWN and bases.jails([clone])["steps"] == []


@pytest.mark.storage("zfs")
def test_a_clone_that_somebody_is_connected_to_comes_to_a_new_clone_or_back(bases: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "PATIENCE", 0.0)  # of the simulated host
    bases.jails([bases.web(root="clone")])
    bases.linger("cbweb", "10.99.0.20")
    assert "'/usr/bin/false' failed" in failing(bases, gate={**GATE, "within": 1, "commands": ["/usr/bin/false"]})
    assert not upgraded(bases) and origin(bases) == BASE and "cbweb" in bases.running()
    bases.linger("cbweb", "10.99.0.20")
    upgrade(bases)
    assert upgraded(bases) and origin(bases) == NEXT and "cbweb" in bases.running()
    bases.linger("cbweb", "10.99.0.20")
    back(bases)
    assert not upgraded(bases) and origin(bases) == BASE and "cbweb" in bases.running()


@pytest.mark.storage("zfs")
def test_a_clone_that_others_hold_on_to_is_merged_in_place(bases: Machine) -> None:
    bases.jails([bases.web(root="clone")])
    bases.run("zfs", "snapshot", f"{bases.dataset}/cbweb@hourly")
    upgrade(bases)
    assert upgraded(bases) and origin(bases) == BASE
    bases.run("zfs", "destroy", f"{bases.dataset}/cbweb@hourly")


@pytest.mark.storage("zfs")
def test_a_clone_that_was_killed_on_its_way_is_whole_after_the_next_run(bases: Machine) -> None:
    at = 0
    while True:
        bases.jails([bases.web(root="clone")])
        bases.write(bases.path("etc/cb.conf"), OWN)
        try:
            upgrade(bases, kill_at=at)
            break
        except Killed:
            pass
        told = back(bases) if at % 2 else upgrade(bases)
        if at % 2 == 0 and not upgraded(bases):
            assert told["jails"]["cbweb"]["resumed"] == "taken back"
            upgrade(bases)
        if at % 2 == 0:
            assert upgraded(bases) and bases.read(bases.path("etc/cb.conf")) == "one, mine\ntwo\nthree, new\n", at
        assert "cbweb" in bases.running() and "10.99.0.20/32" in bases.addresses(), at
        upgraded(bases)
        bases.jails([], prune=True, prune_share=100)
        at += 1 if isinstance(bases, Simulated) else 5
    assert at > 4


def test_check_mode_shows_all_of_it_and_touches_nothing(bases: Machine) -> None:
    bases.jails([bases.web()])
    bases.write(bases.path("etc/cb.conf"), OWN)
    before, running = bases.picture(), bases.running()
    shown = upgrade(bases, check=True)
    assert bases.picture() == before and bases.running() == running and not upgraded(bases)
    assert any("three, new" in str(one.get("after")) and "one, mine" in str(one.get("after")) for one in shown["diff"])
    assert shown["jails"]["cbweb"]["space"]["free"] > 0 and shown["jails"]["cbweb"]["restarts"] == ["cbweb"]
    assert upgrade(bases)["steps"] == shown["steps"]


def test_own_changes_stay_and_those_of_the_new_base_come(bases: Machine, root: str) -> None:
    bases.jails([bases.web(root=root)])
    bases.write(bases.path("etc/cb.conf"), OWN)
    bases.write(bases.path("etc/cb.mine"), "mine\n")
    bases.write(bases.path("etc/group"), str(bases.read(bases.path("etc/group"))) + "ops:*:5000:\n")
    bases.write(bases.path("etc/cb.gone"), "gone, but mine\n")
    upgrade(bases)
    assert bases.read(bases.path("etc/cb.conf")) == "one, mine\ntwo\nthree, new\n"
    assert bases.read(bases.path("etc/cb.mine")) == "mine\n"
    assert bases.read(bases.path("etc/cb.gone")) == "gone, but mine\n"
    group = str(bases.read(bases.path("etc/group")))
    assert "ops:*:5000:" in group and "cbnew:*:4242:" in group


def test_accounts_are_merged_by_name_and_their_databases_made_anew(bases: Machine) -> None:
    bases.jails([bases.web()])
    old = str(bases.read(base_path(bases, NEXT, "etc/master.passwd")))
    try:
        bases.write(base_path(bases, NEXT, "etc/master.passwd"), old + "cbnew:*:4242:4242::0:0:New:/nonexistent:/usr/sbin/nologin\n")
        bases.write(bases.path("etc/master.passwd"), old + "ops:*:5000:5000::0:0:Ops:/home/ops:/bin/sh\n")
        database = bases.run("sha256", "-q", bases.path("etc/spwd.db"))
        upgrade(bases)
        text = str(bases.read(bases.path("etc/master.passwd")))
        assert "\nops:" in text and "\ncbnew:" in text
        assert "\ncbnew:" in str(bases.read(bases.path("etc/passwd"))) and "\nops:" in str(bases.read(bases.path("etc/passwd")))
        assert bases.run("sha256", "-q", bases.path("etc/spwd.db")) != database
    finally:
        bases.write(base_path(bases, NEXT, "etc/master.passwd"), old)


def test_a_conflict_stops_the_jail_before_it_is_touched_and_a_rule_decides_it(bases: Machine) -> None:
    bases.jails([bases.web(), bases.db()])
    bases.write(bases.path("etc/cb.conf"), "one\ntwo\nthree, mine\n")
    jid = bases.running()["cbweb"]["jid"]
    with pytest.raises(Failed) as failure:
        upgrade(bases)
    told = failure.value.told
    assert "/etc/cb.conf" in told["msg"] and "line 3" in told["msg"]
    assert "three, mine" in told["jails"]["cbweb"]["conflicts"][0]["hunks"][0]
    assert bases.running()["cbweb"]["jid"] == jid and not upgraded(bases)
    assert upgraded(bases, "cbdb"), "the others go on"
    upgrade(bases, merge={"/etc/cb.conf": "keep"})
    assert bases.read(bases.path("etc/cb.conf")) == "one\ntwo\nthree, mine\n"
    back(bases, jails=["cbweb"])
    upgrade(bases, jails=[{"name": "cbweb", "merge": {"/etc": "take"}}])
    assert bases.read(bases.path("etc/cb.conf")) == "one\ntwo\nthree, new\n"


def test_a_gate_that_stays_shut_takes_it_back_and_says_why(bases: Machine, root: str) -> None:
    bases.jails([bases.web(root=root)])
    bases.write(bases.path("etc/cb.conf"), OWN)
    said = failing(bases, gate={**GATE, "within": 1, "commands": ["/usr/bin/false"]})
    assert "'/usr/bin/false' failed" in said
    assert not upgraded(bases) and bases.read(bases.path("etc/cb.conf")) == OWN
    assert "cbweb" in bases.running() and "10.99.0.20/32" in bases.addresses()
    assert "'/usr/bin/false' failed" in info(bases)["upgrade"]["said"]
    upgrade(bases, gate={**GATE, "commands": ["/usr/bin/true"]})
    assert upgraded(bases)


def test_it_is_tried_where_nobody_reaches_it(bases: Machine) -> None:
    bases.jails([bases.web()])
    steps = upgrade(bases)["steps"]
    assert steps.index("cbweb: start, reached by nobody yet") < steps.index("cbweb: open")


def test_a_stopped_jail_is_upgraded_and_stays_stopped(bases: Machine) -> None:
    bases.jails([bases.web(state="stopped")])
    upgrade(bases)
    assert upgraded(bases) and "cbweb" not in bases.running()
    back(bases)
    assert not upgraded(bases) and "cbweb" not in bases.running()


def test_what_depends_on_it_goes_down_first_and_comes_back(bases: Machine) -> None:
    bases.jails([bases.db(), bases.web(depend=["cbdb"])])
    steps = upgrade(bases, jails=["cbdb"])["steps"]
    assert steps.index("cbdb: stop cbweb, which depends on cbdb") < steps.index("cbdb: stop")
    assert steps.index("cbdb: open") < steps.index("cbdb: start cbweb")
    assert upgraded(bases, "cbdb") and not upgraded(bases) and set(bases.running()) == {"cbweb", "cbdb"}
    upgrade(bases, parallel=4)
    assert upgraded(bases) and set(bases.running()) == {"cbweb", "cbdb"}


def test_nested_jails_go_with_the_one_they_are_in(bases: Machine) -> None:
    bases.jails([bases.web(params={"children.max": 2}), {"name": "cbweb.in", "base": BASE, "boot": False, "params": {"persist": True}}])
    upgrade(bases, jails=["cbweb"])
    assert upgraded(bases) and set(bases.running()) == {"cbweb", "cbweb.in"}


def test_an_rc_conf_jail(bases: Machine) -> None:
    bases.jails([bases.web(boot_style="rc_conf")])
    upgrade(bases)
    assert upgraded(bases) and "cbweb" in bases.running()
    assert f"/{NEXT} " in str(bases.read("/etc/fstab.cbweb"))
    assert bases.jails([bases.web(boot_style="rc_conf", base=NEXT)])["steps"] == []
    back(bases)
    assert not upgraded(bases) and f"/{BASE} " in str(bases.read("/etc/fstab.cbweb"))


def test_an_old_declaration_does_not_undo_it(bases: Machine) -> None:
    bases.jails([bases.web()])
    upgrade(bases)
    with pytest.raises(Failed, match="was upgraded from base"):
        bases.jails([bases.web()])


def test_an_older_base_and_one_that_is_not_there_are_refused(bases: Machine) -> None:
    bases.jails([bases.web()])
    assert "is not there" in failing(bases, to="nosuch")
    assert "is not there yet" in upgrade(bases, check=True, to="nosuch")["warnings"][0]
    text = str(bases.read(base_path(bases, NEXT, "bin/freebsd-version")))
    try:
        bases.write(base_path(bases, NEXT, "bin/freebsd-version"), 'USERLAND_VERSION="99.0-RELEASE"\n')
        assert "newer than the kernel" in failing(bases)
        bases.write(base_path(bases, NEXT, "bin/freebsd-version"), 'USERLAND_VERSION="9.0-RELEASE"\n')
        assert "is older than" in failing(bases)
    finally:
        bases.write(base_path(bases, NEXT, "bin/freebsd-version"), text)
    assert not upgraded(bases)


@pytest.mark.storage("zfs")
def test_a_quota_that_is_too_small_is_found_before_anything_is_touched(bases: Machine) -> None:
    bases.jails([bases.web(quota="10M")])
    assert "MB are free" in failing(bases)
    assert not upgraded(bases) and "cbweb" in bases.running()


@pytest.mark.storage("zfs")
def test_newer_snapshots_and_bookmarks_survive_a_way_back(bases: Machine) -> None:
    bases.jails([bases.web()])
    upgrade(bases)
    dataset = f"{bases.dataset}/cbweb"
    bases.run("zfs", "snapshot", f"{dataset}@hourly")
    bases.run("zfs", "bookmark", f"{dataset}@hourly", f"{dataset}#sent")
    back(bases)
    assert not upgraded(bases) and "cbweb" in bases.running()
    aside = f"{dataset}:after-{NEXT}"
    assert f"{aside}@hourly" in bases.run("zfs", "list", "-H", "-r", "-t", "all", "-o", "name", str(bases.dataset))
    bases.jails([], prune=True, prune_share=100)
    bases.run("zfs", "destroy", "-r", aside)


@pytest.mark.storage("zfs")
def test_a_way_back_over_newer_snapshots_that_was_killed_is_finished(bases: Machine) -> None:
    at, aside = 0, f"{bases.dataset}/cbweb:after-{NEXT}"
    while True:
        bases.jails([bases.web()])
        upgrade(bases)
        bases.run("zfs", "snapshot", f"{bases.dataset}/cbweb@hourly")
        try:
            bases.module("jail_upgrade", kill_at=at, state="rolled_back", **bases.storage)
            ended = True
        except Killed:
            back(bases)
            ended = False
        assert not upgraded(bases) and "cbweb" in bases.running() and "10.99.0.20/32" in bases.addresses(), at
        bases.jails([], prune=True, prune_share=100)
        bases.run("zfs", "destroy", "-r", aside)
        if ended:
            break
        at += 1 if isinstance(bases, Simulated) else 5
    assert at > 4


def test_killed_at_any_command_the_next_run_ends_it(bases: Machine) -> None:
    """It goes on with the same wish, and takes back when it is asked for; either way the jail is whole and runs."""
    at = 0
    while True:
        bases.jails([bases.web()])
        bases.write(bases.path("etc/cb.conf"), OWN)
        try:
            upgrade(bases, kill_at=at)
            break
        except Killed:
            pass
        if at % 2:
            back(bases)
            assert not upgraded(bases) or not info(bases)["upgrade"]["phase"] == "taken back"
        upgrade(bases)
        assert upgraded(bases) and bases.read(bases.path("etc/cb.conf")) == "one, mine\ntwo\nthree, new\n"
        assert "cbweb" in bases.running() and "10.99.0.20/32" in bases.addresses()
        assert info(bases)["upgrade"]["phase"] == "done"
        back(bases)
        assert not upgraded(bases) and "10.99.0.20/32" in bases.addresses()
        bases.jails([], prune=True, prune_share=100)
        at += 1 if isinstance(bases, Simulated) else 4
    assert at > 4


def test_a_way_back_that_was_killed_is_finished(bases: Machine) -> None:
    at = 0
    while True:
        bases.jails([bases.web()])
        upgrade(bases)
        try:
            bases.module("jail_upgrade", kill_at=at, state="rolled_back", **bases.storage)
            break
        except Killed:
            back(bases)
        if info(bases)["upgrade"]["phase"] == "done":
            back(bases)
        assert not upgraded(bases) and "cbweb" in bases.running() and "10.99.0.20/32" in bases.addresses()
        bases.jails([], prune=True, prune_share=100)
        at += 1 if isinstance(bases, Simulated) else 4


def test_reading_does_not_grow_with_the_jails(bases: Machine) -> None:
    if not isinstance(bases, Simulated):
        pytest.skip("commands are counted on the simulated host")
    counts = []
    for number in (1, 8):
        bases.jails([bases.web(name=f"cb{one}", ip4=[f"{bases.interface}|10.99.1.{one}"]) for one in range(1, number + 1)], prune=True)
        upgrade(bases, check=True)
        counts.append(len(bases.sim.commands))
    assert counts[0] == counts[1]


def test_a_gate_that_hangs_is_not_waited_for(bases: Machine) -> None:
    """Inside, nothing is simulated: what hangs there is a real program on a real host."""
    bases.jails([bases.web()])
    if isinstance(bases, Simulated):
        bases.sim.fail_once("jexec", "-l", "cbweb", "/bin/sleep", says="timed out after 1 s")
    said = failing(bases, gate={**GATE, "within": 2, "times": 99, "commands": ["/bin/sleep 3600"]})
    assert "is not well after 2 s" in said and not upgraded(bases) and "cbweb" in bases.running()


def test_a_port_that_must_answer(bases: Machine) -> None:
    bases.jails([bases.web()])
    said = failing(bases, gate={**GATE, "within": 1, "tcp": ["4711"]})
    assert "10.99.0.20 port 4711 takes no connection" in said and not upgraded(bases)
    assert "nothing listens on tcp/4711" in failing(bases, gate={**GATE, "within": 1, "sockets": ["tcp/4711"]})


def test_a_jail_that_does_not_stop_stays_as_it_is(bases: Machine) -> None:
    bases.jails([bases.web(exec={"prestop": ["/usr/bin/false"]})])
    try:
        if "cbweb" in bases.running():
            assert "did not stop" in failing(bases)
            assert not upgraded(bases) and "cbweb" in bases.running()
    finally:
        bases.jails([bases.web(exec={"prestop": []})])


@pytest.mark.storage("ufs")
def test_no_room_for_a_copy_is_found_before_anything_is_touched(bases: Machine) -> None:
    if not isinstance(bases, Simulated):
        pytest.skip("the disk of a real host is not filled for this")
    bases.jails([bases.web()])
    bases.sim.state["free_kb"] = 100
    assert "MB are free" in failing(bases)
    assert not upgraded(bases) and "cbweb" in bases.running()
    del bases.sim.state["free_kb"]
    upgrade(bases, rollback="none")
    assert upgraded(bases)
    with pytest.raises(Failed, match="nothing is kept"):
        back(bases)


def updates(machine: Machine, *newest: str) -> None:
    if not isinstance(machine, Simulated):
        pytest.skip("no update server answers there")
    machine.sim.state["updates"] = {one.partition("-p")[0]: one for one in newest}


def version(machine: Machine) -> str:
    return str(machine.read(machine.path("bin/freebsd-version"))).split('"')[1]


def test_a_thick_jail_comes_to_its_newest_patch_level_where_it_stands(bases: Machine) -> None:
    updates(bases, "15.1-RELEASE-p3")
    bases.jails([bases.web(root="thick")])
    bases.write(bases.path("etc/cb.conf"), OWN)
    assert upgrade(bases, to="latest", check=True)["jails"]["cbweb"]["to"] == "15.1-RELEASE-p3"
    told = upgrade(bases, to="latest")
    assert told["jails"]["cbweb"]["way"] == "freebsd-update" and version(bases) == "15.1-RELEASE-p3"
    assert bases.read(bases.path("etc/cb.conf")) == OWN and upgrade(bases, to="latest")["steps"] == []
    assert bases.jails([bases.web(root="thick")])["steps"] == []
    back(bases)
    assert version(bases) == "15.1-RELEASE-p1"


def test_an_existing_jail_comes_to_a_release_by_as_many_installs_as_it_takes_wherever_it_is_killed(bases: Machine) -> None:
    updates(bases, "14.9-RELEASE-p1", "14.3-RELEASE-p2")
    at = 0
    while True:
        bases.jails([bases.web(root="thick")])
        bases.write(bases.path("bin/freebsd-version"), 'USERLAND_VERSION="14.3-RELEASE"\n')
        try:
            upgrade(bases, kill_at=at, to="14.9-RELEASE")
            break
        except Killed:
            upgrade(bases, to="14.9-RELEASE")
        assert version(bases) == "14.9-RELEASE-p1" and "cbweb" in bases.running(), at
        bases.jails([], prune=True, prune_share=100)
        at += 1
    assert version(bases) == "14.9-RELEASE-p1"


def test_a_newer_patch_level_of_a_base_beside_it_is_the_latest(bases: Machine) -> None:
    bases.jails([bases.web()])
    assert upgrade(bases, to="latest")["steps"] == []
    text = str(bases.read(base_path(bases, NEXT, "bin/freebsd-version")))
    own = text.split('USERLAND_VERSION="')[1].split('"')[0]
    try:
        bases.write(base_path(bases, NEXT, "bin/freebsd-version"), text.replace(own, own.split("-p")[0] + "-p99"))
        upgrade(bases, to="latest")
        assert upgraded(bases)
    finally:
        bases.write(base_path(bases, NEXT, "bin/freebsd-version"), text)


def test_twice_is_once_and_what_was_kept_of_the_upgrade_before_goes(bases: Machine) -> None:
    bases.jails([bases.web()])
    upgrade(bases)
    back(bases)
    upgrade(bases)
    assert upgraded(bases) and info(bases)["upgrade"]["rollback"]
    assert back(bases, check=True)["jails"]["cbweb"]["loses"]["since"] > 0


def test_a_jail_in_a_network_is_tried_outside_of_its_bridge(bases: Machine) -> None:
    bases.run("kldload", "-n", "pf", "dummynet")
    try:
        bridge = networks(bases, LAN)["networks"]["cblan"]["device"]
        bases.jails([member(bases, root="thin")])
        steps = upgrade(bases)["steps"]
        assert "cbweb: start, reached by nobody yet" in steps and upgraded(bases)
        assert "member: epair" in bases.run("ifconfig", bridge) and "cbweb" in bases.running()
        assert bases.jails([member(bases, root="thin", base=NEXT)])["steps"] == []
    finally:
        clean(bases)


def test_what_cannot_be_closed_and_serves_is_left_as_it_is(bases: Machine) -> None:
    bases.run("ifconfig", bases.interface, "inet", "10.99.0.20/32", "alias")
    try:
        bases.jails([bases.web(ip4=["10.99.0.20"])])
        gate = {**GATE, "within": 1, "commands": ["/usr/bin/false"]}
        serves = any(one["jid"] for one in bases.running().values()) and isinstance(bases, Simulated)
        said = failing(bases, gate=gate)
        if serves:  # syslogd, on its only address
            assert "may have served somebody" in said and upgraded(bases) and "cbweb" in bases.running()
            assert info(bases)["upgrade"]["phase"] == "not well" and info(bases)["upgrade"]["rollback"]
            back(bases)
        assert not upgraded(bases) and "cbweb" in bases.running()
    finally:
        bases.jails([], prune=True, prune_share=100)
        bases.run("ifconfig", bases.interface, "inet", "10.99.0.20", "-alias")


@pytest.mark.storage("ufs")
def test_most_of_a_copy_is_made_while_the_jail_runs(bases: Machine) -> None:
    bases.jails([bases.web()])
    bases.write(bases.path("var/db/kept"), "kept\n")
    steps = upgrade(bases)["steps"]
    copied = next(step for step in steps if step.endswith("while it runs"))
    assert steps.index(copied) < steps.index("cbweb: stop") < next(place for place, step in enumerate(steps) if "up to date" in step)
    bases.write(bases.path("var/db/kept"), "lost\n")
    back(bases)
    assert bases.read(bases.path("var/db/kept")) == "kept\n" and not upgraded(bases)


def test_packages_are_upgraded_with_nothing_else_running(bases: Machine) -> None:
    if not isinstance(bases, Simulated):
        pytest.skip("no repository answers there")
    bases.sim.state["packages"] = ["nginx-1.26", "FreeBSD-runtime-15.1"]
    bases.jails([bases.web(root="thick")])
    bases.write(bases.path("var/db/pkg/local.sqlite"), "")
    text = str(bases.read(base_path(bases, NEXT, "bin/freebsd-version")))
    bases.write(base_path(bases, NEXT, "bin/freebsd-version"), text.replace("15.1-RELEASE-p1", "15.1-RELEASE-p2"))
    upgrade(bases, packages="upgrade")
    assert [one[::2] for one in bases.sim.state["upgraded"]] == [["cbweb", 0]] and "cbweb" in bases.running() and upgraded(bases)


def test_a_system_of_packages_is_upgraded_inside(bases: Machine) -> None:
    if not isinstance(bases, Simulated):
        pytest.skip("no repository answers there")
    bases.sim.state.update(packages=["nginx-1.26", "FreeBSD-runtime-15.1"], newer=True)
    bases.jails([bases.web(root="thick")])
    bases.write(bases.path("var/db/pkg/local.sqlite"), "")
    told = upgrade(bases, to="latest")
    assert told["jails"]["cbweb"]["way"] == "pkg" and "-r FreeBSD-base" in bases.sim.state["upgraded"][0][1]
    assert bases.sim.state["upgraded"][0][2] == 0 and "cbweb" in bases.running()


def test_a_new_major_version_tells_what_to_install_again(bases: Machine) -> None:
    if not isinstance(bases, Simulated):
        pytest.skip("the old release is not there")
    bases.sim.state["packages"] = ["nginx-1.26"]
    bases.jails([bases.web(root="thick")])
    for path in (base_path(bases, BASE, "bin/freebsd-version"), bases.path("bin/freebsd-version")):
        bases.write(path, 'USERLAND_VERSION="14.3-RELEASE"\n')
    bases.write(bases.path("var/db/pkg/local.sqlite"), "")
    assert upgrade(bases, check=True)["jails"]["cbweb"]["reinstall"] == ["nginx-1.26"]


@pytest.mark.freebsd
def test_a_file_with_flags_is_replaced_and_has_them_again(bases: Machine) -> None:
    bases.jails([bases.web(root="thick", state="stopped")])
    new = base_path(bases, NEXT, "sbin/init")
    bases.run("chflags", "noschg", new)
    try:
        bases.run("sh", "-c", f"echo more >> {new} && chflags schg {new}")
        upgrade(bases)
        own = bases.path("sbin/init")
        assert bases.run("sha256", "-q", own) == bases.run("sha256", "-q", new)
        assert "schg" in bases.run("ls", "-lo", own)
        back(bases)
        assert bases.run("sha256", "-q", own) != bases.run("sha256", "-q", new) and "schg" in bases.run("ls", "-lo", own)
    finally:
        bases.run("chflags", "noschg", new)
        bases.run("cp", "-p", base_path(bases, BASE, "sbin/init"), new)


def test_a_boot_in_the_midst_of_it_starts_no_half_of_a_jail(bases: Machine) -> None:
    if not isinstance(bases, Simulated):
        pytest.skip("the host would have to boot")
    bases.jails([bases.web()])
    at, down = 0, 0
    while True:
        try:
            upgrade(bases, kill_at=at)
            break
        except Killed:
            bases.boot()
            phase = str((info(bases)["upgrade"] or {}).get("phase"))
            down += "cbweb" not in bases.running()
            assert "cbweb" in bases.running() or phase in ("begun", "changed"), at
            assert "cbweb" not in bases.running() or bases.read(bases.path("COPYRIGHT")) == "old\n" or phase in ("open", "done")
        upgrade(bases)
        assert upgraded(bases) and "cbweb" in bases.running()
        back(bases)
        at += 1
    assert down > 2


def edited(chance: random.Random, side: str) -> str:
    """A text of lines that are all different, some of them changed, added or taken away."""
    lines = []
    for number in range(12):
        what = chance.random()
        lines += [f"{number}\n"] if what < 0.8 else [f"{side} {number}\n"] if what < 0.88 else [f"{number}\n", f"{side} more\n"] if what < 0.94 else []
    return "".join(lines)


@pytest.mark.freebsd
def test_texts_are_merged_as_the_hosts_own_diff3_does(machine: Machine) -> None:
    chance = random.Random(13)
    old = "".join(f"{number}\n" for number in range(12))
    cases = [(edited(chance, "mine"), edited(chance, "new")) for _case in range(60)]
    script = "cd $(mktemp -d)\n"
    for ours, new in cases:
        for name, text in (("ours", ours), ("old", old), ("new", new)):
            script += f"cat > {name} <<'END'\n{text}END\n"
        script += "diff3 -E -m ours old new; echo \"=== $?\"\n"
    answers = machine.run("sh", "-s", stdin=script).split("=== ")
    answers = [f"{code.partition(chr(10))[0]}:{text}" for code, text in zip(answers[1:], [answers[0], *(one.partition("\n")[2] for one in answers[1:])])]
    for (ours, new), answer in zip(cases, answers):
        code, _colon, text = answer.partition(":")
        merged = merge3(old, new, ours)
        assert bool(merged.hunks) == (code == "1"), (ours, new, answer)
        assert merged.hunks or merged.text == text, (ours, new, answer)


def test_a_jail_of_a_base_from_source_comes_to_one_that_was_installed_beside_it(bases: Machine) -> None:
    if not isinstance(bases, Simulated):
        pytest.skip("a world has to be built first")
    newvers = "/usr/src/sys/conf/newvers.sh"
    bases.write(newvers, 'REVISION="15.1"\nBRANCH="RELEASE-p1"\n')
    bases.module("basejail", name="world1", source="src", **bases.storage)
    bases.jails([bases.web(base="world1", root="thick"), bases.db(base="world1")])
    bases.write(newvers, 'REVISION="15.1"\nBRANCH="RELEASE-p7"\n')
    bases.module("basejail", name="world2", source="src", **bases.storage)
    upgrade(bases, to="world2")
    assert version(bases) == "15.1-RELEASE-p7" and set(bases.running()) == {"cbweb", "cbdb"}
    bases.jails([], prune=True, prune_share=100)
    for name in ("world1", "world2"):
        bases.module("basejail", name=name, state="absent", **bases.storage)
