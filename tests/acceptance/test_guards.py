# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is never done: to others' jails, to files, by bad input, by a run that dies, by a hostile root."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any, Dict, List

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from .machine import BASE, Failed, Killed, Machine
from .test_jails import INSIDE

# -- others' jails


def test_an_address_that_the_host_had_before_stays(machine: Machine) -> None:
    machine.run("ifconfig", machine.interface, "inet", "10.99.0.20/24", "alias")
    try:
        machine.jails([machine.web()])
        assert machine.running()["cbweb"]["ip4.addr"] == ["10.99.0.20"]
        assert machine.jails([machine.web()])["steps"] == []
        machine.jails([machine.web(state="stopped")])
        assert "10.99.0.20/24" in machine.addresses()
    finally:
        machine.run("ifconfig", machine.interface, "inet", "10.99.0.20", "-alias")


def test_a_storage_that_is_reached_by_a_link_is_called_by_it(machine: Machine) -> None:
    linked = f"{machine.place}-by-link"
    machine.link(machine.place, linked)
    storage = {**machine.storage, "storage_path": linked}
    jails = [machine.web(root=root, name=f"cb{root}", ip4=[], exec={"start": "", "stop": ""}) for root in ("thin", "thick")]
    try:
        machine.module("jails", jails=jails, **storage)
        assert machine.module("jails", jails=jails, **storage)["steps"] == []
        told = [one for one in machine.module("jail_info", **storage)["jails"] if one["name"] == "cbthin"]
        assert [(one["drift"], one["path"], one["mounts"] != []) for one in told] == [([], f"{linked}/cbthin", True)]
        machine.run("jail", "-R", "cbthin")
        machine.module("jails", jails=[{**jail, "state": "restarted"} for jail in jails], **storage)
        machine.module("jails", jails=[{"name": jail["name"], "state": "absent"} for jail in jails], **storage)
        assert [node for node in machine.mounted() if "cbth" in node] == []
    finally:
        machine.run("rm", linked)


def test_a_list_that_came_out_empty_removes_nothing(machine: Machine) -> None:
    jails = [machine.web(name=f"cb{number}", ip4=[], state="stopped") for number in range(6)]
    machine.jails(jails)
    with pytest.raises(Failed, match=r"6 of the 6 managed jails of this host, more than 50 %: cb0, cb1, .*prune_share to 100"):
        machine.jails([], prune=True)
    with pytest.raises(Failed, match="5 of the 6"):
        machine.jails(jails[:1], prune=True, prune_share=80)
    assert len(machine.jails(jails[:3], prune=True)["jails"]) == 6
    assert len(machine.jails(jails, check=True)["steps"]) > 0
    machine.jails(jails)
    machine.jails([], prune=True, prune_share=100)
    assert machine.jails([], prune=True)["steps"] == []


@pytest.mark.parametrize("state", ["started", "absent"])
def test_a_foreign_jail_is_refused_with_the_reason(machine: Machine, state: str) -> None:
    conf = "/etc/jail.conf.d/cbweb.conf"
    machine.write(conf, 'cbweb { path = "/"; persist; }\n')
    try:
        with pytest.raises(Failed, match="was not made by us"):
            machine.jails([machine.web(state=state)])
        assert machine.jails([], prune=True)["steps"] == []
        assert machine.read(conf) == 'cbweb { path = "/"; persist; }\n'
    finally:
        machine.run("rm", conf)


def test_a_jail_that_somebody_runs_is_left_alone(machine: Machine) -> None:
    machine.run("jail", "-c", "name=cbweb", "path=/", "persist")
    try:
        with pytest.raises(Failed, match="was not made by us"):
            machine.jails([machine.web()])
        assert machine.running()["cbweb"]["path"] == "/"
    finally:
        machine.run("jail", "-r", "cbweb")


def test_a_directory_that_is_there_is_not_taken_over(machine: Machine) -> None:
    machine.write(machine.path("precious"), "data")
    try:
        with pytest.raises(Failed, match="root: existing"):
            machine.jails([machine.web()])
        assert machine.read(machine.path("precious")) == "data"
    finally:
        machine.run("rm", "-r", machine.path("").rstrip("/"))


def test_destroy_refuses_while_something_foreign_is_mounted_inside(machine: Machine) -> None:
    machine.jails([machine.web()])
    machine.run("mount", "-t", "nullfs", "/etc", machine.path("mnt"))
    try:
        with pytest.raises(Failed, match=machine.path("mnt")):
            machine.jails([], prune=True)
        assert "cbweb" in machine.running()
    finally:
        machine.run("umount", machine.path("mnt"))


@pytest.mark.storage("zfs")
def test_destroy_refuses_snapshots_and_children(machine: Machine) -> None:
    machine.jails([machine.web(root="clone")])
    top = f"{machine.dataset}/cbweb"
    machine.run("zfs", "create", f"{top}/data")
    with pytest.raises(Failed, match=f"{top}/data"):
        machine.jails([], prune=True)
    machine.run("zfs", "destroy", f"{top}/data")
    machine.run("zfs", "snapshot", f"{top}@kept")
    with pytest.raises(Failed, match=f"{top}@kept"):
        machine.jails([], prune=True)
    steps = machine.jails([{"name": "cbweb", "state": "absent", "destroy_snapshots": True}])["steps"]
    assert f"cbweb: destroy {top}@kept" in steps


# -- bad input

BAD: List[Any] = [
    ({"name": "7"}, "all digits"), ({"name": "a.b", "boot": False}, "neither declared"), ({"name": "φ"}, "ASCII"),
    ({"name": "x" * 256}, "longer"), ({"name": "-rf"}, "misread"), ({"name": "a b"}, "misread"),
    ({"ip4": ["224.0.0.1"]}, "not an address of a host"), ({"ip4": ["300.1.1.1"]}, "not an IP address"),
    ({"ip4": ["nope0|10.0.0.9"]}, "does not exist"), ({"params": {"allow.raw_socket": True}}, "allow.raw_sockets"),
    ({"params": {"allow.mount": "maybe"}}, "maybe"), ({"limits": {"memory": "1G"}}, "memory"),
    ({"limits": {"wallclock": 5}}, "cannot deny"), ({"vnet": True}, "own network stack"), ({"base": None}, "needs a base"),
    ({"devfs_ruleset": "devfsrules_jial"}, "devfsrules_jail"), ({"devfs_ruleset": "77"}, "not loaded"),
    ({"root_password": "plain"}, "crypt"), ({"timezone": "Nowhere/City"}, "tzsetup"), ({"path": "/usr/jails/../x"}, "clean"),
    ({"fib": 99}, "net.fibs"), ({"mounts": ["/a /b nullfs ro 0 0"]}, "not below"), ({"depend": ["nope"]}, "nope"),
    ({"base": "nope-RELEASE"}, "basejail"),
]


@pytest.mark.parametrize("options, message", BAD, ids=[str(message) for _options, message in BAD])
def test_bad_input_is_refused_before_anything_is_touched(machine: Machine, options: Dict[str, Any], message: str) -> None:
    before = machine.picture()
    for check in (True, False):
        with pytest.raises(Failed, match=message):
            machine.jails([machine.web(**options)], check=check)
    assert machine.picture() == before


META = 1500000  # the release that brought the parameters meta and env


def need_meta(machine: Machine) -> None:
    """Leave out a case where the host is older."""
    if machine.osreldate < META:
        pytest.skip("FreeBSD 15 brought meta and env")


VALUES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=40)


@settings(max_examples=10)
@given(
    hook=VALUES.map(lambda text: f"/usr/bin/true {text};"), variable=VALUES,
    meta=VALUES.map(lambda text: text.replace(",", ";").replace("\n", " ")),
)
def test_odd_values_arrive_unharmed(machine: Machine, hook: str, variable: str, meta: str) -> None:
    params = {"meta.k": meta} if machine.osreldate >= META else {}
    odd = {"exec": {"start": "", "stop": "", "poststop": hook}, "rc_conf": {"v": variable}, "params": params}
    declared = [machine.web(root="empty", base=None, state="present", **odd)]
    machine.jails(declared)
    assert machine.jails(declared)["steps"] == []
    defined = machine.module("jail_info", **machine.storage)["jails"][0]["defined"]
    assert defined["exec.poststop"] == [hook] and defined.get("meta.k", [meta]) == [meta]
    machine.jails([], prune=True)


def test_odd_values_reach_the_kernel_unharmed(machine: Machine) -> None:
    need_meta(machine)
    meta = "owner=ops\nnote=a, b; \"c\" 'd' $e \\ # é\n"
    machine.jails([machine.web(root="empty", base=None, params={"meta": meta, "env": "a=b"})])
    jail = machine.running()["cbweb"]
    assert (jail["meta"], jail["env"]) == (meta, "a=b")
    assert machine.jails([machine.web(root="empty", base=None, params={"meta": meta, "env": "a=b"})])["steps"] == []


def test_keys_of_meta_add_to_the_whole(machine: Machine) -> None:
    need_meta(machine)
    declared = [machine.web(root="empty", base=None, params={"meta": {"a": "1", "k": "old"}, "meta.k": "new", "env.b": "2"})]
    machine.jails(declared)
    jail = machine.running()["cbweb"]
    assert (jail["meta"], jail["env"]) == ("a=1\nk=new", "b=2")
    assert machine.jails(declared)["steps"] == []


# -- runs that die, and runs at once


def test_a_run_killed_at_any_step_is_finished_by_the_next(machine: Machine) -> None:
    first = [machine.web(root=machine.clone), machine.db(root="thick")]
    changed = [machine.web(root=machine.clone, ip4=[f"{machine.interface}|10.99.0.22"], restart="always", hostname="other")]
    for before, declared in (([], first), (first, changed)):
        number = 0
        while True:
            machine.jails([], prune=True)
            if before:
                machine.jails(before)
            try:
                machine.jails(declared, prune=True, kill_at=number)
                break
            except Killed:
                machine.jails(declared, prune=True)
            assert set(machine.running()) == {jail["name"] for jail in declared}, f"killed before command {number}"
            assert machine.jails(declared, prune=True)["steps"] == [], f"killed before command {number}"
            number += 1
        assert number > 5


@pytest.mark.freebsd
def test_two_runs_at_once_wait_for_each_other(machine: Machine) -> None:
    with ThreadPoolExecutor(2) as pool:
        runs = [pool.submit(machine.jails, [jail]) for jail in (machine.web(), machine.db())]
        assert all(run.result()["changed"] for run in runs)
    assert set(machine.running()) == {"cbweb", "cbdb"}


# -- a hostile root


@pytest.mark.parametrize("place", ["etc", "etc/resolv.conf", "etc/rc.conf", "var", "var/db", "root", "root/.ssh", "etc/mail"])
def test_links_planted_by_the_jail_are_never_followed(machine: Machine, place: str) -> None:
    names = ("resolv.conf", "rc.conf", "master.passwd", "zoneinfo", "authorized_keys", "aliases")
    machine.jails([machine.web(), machine.db()])
    for name in names:
        machine.write(f"/home/cbvictim/{name}", "untouched")
    machine.link("/home/cbvictim/resolv.conf" if place.endswith(".conf") else "/home/cbvictim", machine.path(place))
    try:
        changed = machine.db(ip4=[f"{machine.interface}|10.99.0.33"])
        told = machine.answer("jails", {"jails": [machine.web(**INSIDE), changed], **machine.storage})
        assert {machine.read(f"/home/cbvictim/{name}") for name in names} == {"untouched"}
        assert machine.names("/home/cbvictim") == sorted(names)
        assert not told.get("failed") or "not followed" in told["failures"]["cbweb"]
        assert machine.running()["cbdb"]["ip4.addr"] == ["10.99.0.33"]
    finally:
        machine.run("rm", "-r", "/home/cbvictim")


@pytest.mark.parametrize("root", ["sub", "sub/inner"])
def test_a_link_that_a_parent_jail_plants_does_not_move_its_childs_root(machine: Machine, root: str) -> None:
    machine.write("/home/cbvictim/inner/kept", "untouched")
    machine.jails([machine.web()])
    machine.link("/home/cbvictim", machine.path("sub"))
    child = {"name": "cbweb.kid", "root": "empty", "path": machine.path(root), "boot": False, "exec": {"start": "", "stop": ""}}
    try:
        with pytest.raises(Failed, match="not followed"):
            machine.jails([machine.web(), child])
        assert machine.names("/home/cbvictim") == ["inner"] and machine.names("/home/cbvictim/inner") == ["kept"]
    finally:
        machine.run("rm", "-r", "/home/cbvictim")


def test_a_fifo_in_the_way_does_not_hang(machine: Machine) -> None:
    machine.jails([machine.web(resolv_conf="copy")])
    machine.fifo(machine.path("etc/resolv.conf"))
    machine.jails([machine.web(resolv_conf="copy")])
    assert machine.read(machine.path("etc/resolv.conf")) == machine.read("/etc/resolv.conf")


# -- failures


def test_a_definition_that_was_edited_beyond_reading_is_written_anew(machine: Machine) -> None:
    declared, conf = [machine.web(mounts=[{"src": "/etc", "dest": "/mnt", "opts": "ro"}])], "/etc/jail.conf.d/cbweb.conf"
    machine.jails(declared)
    text, jid = str(machine.read(conf)), machine.running()["cbweb"]["jid"]
    for restart in ("never", "always"):
        machine.jails([*declared, machine.db(root="empty", base=None, state="present")])
        machine.write(conf, text.rstrip().rstrip("}"))
        with pytest.raises(Failed, match="cannot be read any more"):
            machine.jails([], prune=True)
        assert machine.names("/etc/jail.conf.d") == ["cbweb.conf"] and "cbweb" in machine.running()  # the other one is gone
        declared[0]["restart"] = restart
        told = machine.jails(declared)
        assert machine.read(conf) == text and told["jails"]["cbweb"]["restart_waits"] == []
        assert machine.jails(declared)["steps"] == [] and machine.running()["cbweb"]["jid"] == jid
    machine.write(conf, text.rstrip().rstrip("}"))
    machine.jails([{**declared[0], "state": "stopped"}])
    assert "cbweb" not in machine.running() and machine.path("mnt") not in machine.mounted()


def test_a_start_that_fails_leaves_nothing_and_says_the_tools_own_words(machine: Machine) -> None:
    before = machine.picture()
    with pytest.raises(Failed, match="/usr/bin/false"):
        machine.jails([machine.web(exec={"start": "/usr/bin/false"}, mounts=[{"src": "/etc", "dest": "/mnt"}])])
    after = machine.picture()
    before.pop("/etc/rc.conf"), after.pop("/etc/rc.conf")
    assert after == before


def test_a_start_that_fails_is_undone_by_the_hooks_that_follow_a_stop(machine: Machine) -> None:
    hooks = {"prestart": f"ifconfig {machine.interface} inet 10.99.0.77/32 alias", "poststop": f"ifconfig {machine.interface} inet 10.99.0.77 -alias"}
    with pytest.raises(Failed, match="/usr/bin/false"):
        machine.jails([machine.web(exec={"start": "/usr/bin/false", "stop": "", **hooks})])
    assert "10.99.0.77/32" not in machine.addresses()


def test_what_is_in_a_jail_cannot_prevent_its_removal_but_a_hook_of_the_host_can(machine: Machine) -> None:
    stuck = {"start": "", "stop": "/usr/bin/false"}
    machine.jails([machine.web(exec=stuck)])
    with pytest.raises(Failed, match="did not stop: .*/usr/bin/false"):
        machine.jails([machine.web(exec=stuck, state="stopped")])
    machine.jails([machine.web(exec={**stuck, "prestop": "/usr/bin/false"})])
    with pytest.raises(Failed, match="did not stop: .*/usr/bin/false"):
        machine.jails([], prune=True)
    assert "cbweb" in machine.running() and machine.names(machine.path("")) != []
    machine.jails([machine.web(exec=stuck)])
    machine.jails([], prune=True)
    assert machine.running() == {} and machine.names(machine.path("")) == []


def test_a_base_with_jails_is_not_removed(machine: Machine) -> None:
    machine.jails([machine.web(root=machine.clone)])
    with pytest.raises(Failed, match="cbweb"):
        machine.module("basejail", name=BASE, state="absent", **machine.storage)
    assert "cbweb" in machine.running()


QUIET: Dict[str, Any] = {"exec": {"start": "/usr/bin/true", "stop": "/usr/bin/true"}}
OTHERS = {
    "in /etc/jail.conf, by a variable": ("/etc/jail.conf", '$top = "{path}/srv";\npath = "$top/$name";\nother {{ persist; }}\n'),
    "in a file of its own, by a variable": ("/etc/jail.conf.d/other.conf", 'other {{ path = "{path}/srv/$name"; persist; }}\n'),
    "in rc.conf": ("/etc/rc.conf.local", 'jail_other_rootdir="{path}/srv/other"\njail_other_hostname="other"\n'),
}


@pytest.mark.parametrize("how", OTHERS)
def test_a_root_stays_while_somebodys_jail_stands_in_it(machine: Machine, how: str) -> None:
    place, text = OTHERS[how]
    jail = machine.web(root="thick", state="stopped", **QUIET)
    machine.jails([jail])
    machine.write(machine.path("srv/other/etc/precious"), "data")
    before = machine.read(place)
    machine.write(place, text.format(path=machine.path("").rstrip("/")))
    with pytest.raises(Failed, match="srv/other"):
        machine.jails([], prune=True)
    assert machine.read(machine.path("srv/other/etc/precious")) == "data"
    machine.run("rm", place)
    if before is not None:
        machine.write(place, before)
    machine.jails([], prune=True)


@pytest.mark.storage("ufs")
def test_what_is_mounted_over_a_root_stays(machine: Machine) -> None:
    machine.jails([machine.web(root="thick", state="stopped", **QUIET)])
    machine.write(f"{machine.place}/theirs/data", "x")
    machine.run("mount", "-t", "nullfs", f"{machine.place}/theirs", machine.path("").rstrip("/"))
    with pytest.raises(Failed, match="something foreign is mounted there"):
        machine.jails([], prune=True)
    assert machine.read(f"{machine.place}/theirs/data") == "x"
    machine.run("umount", machine.path("").rstrip("/"))
    machine.jails([], prune=True)
    machine.run("rm", "-r", f"{machine.place}/theirs")


@pytest.mark.storage("ufs")
def test_a_link_in_the_place_of_a_root_is_refused_and_stays(machine: Machine) -> None:
    machine.write(f"{machine.place}/elsewhere/precious", "x")
    machine.link(f"{machine.place}/elsewhere", machine.path("").rstrip("/"))
    for root in ({}, {"root": "existing", "base": None}):
        with pytest.raises(Failed, match="is a link"):
            machine.jails([machine.web(**QUIET, **root)])
    assert machine.read(machine.path("precious")) == "x"
    machine.run("rm", machine.path("").rstrip("/"))
    machine.run("rm", "-r", f"{machine.place}/elsewhere")


def test_a_root_stays_while_another_jail_uses_what_is_in_it(machine: Machine) -> None:
    shared = {"src": machine.path("var/log", "cbdb"), "dest": "/mnt", "opts": "ro"}
    database, thin = machine.db(root="thick", **QUIET), {"name": "cbthin", "base": machine.path("", "cbdb").rstrip("/"), "vnet": True, **QUIET}
    web = machine.web(mounts=[shared], **QUIET)
    machine.jails([database])
    machine.jails([database, web, {**thin, "state": "stopped"}])
    with pytest.raises(Failed, match="cbthin is a thin jail of"):
        machine.jails([web, {**thin, "state": "stopped"}], prune=True)
    with pytest.raises(Failed, match="cbdb/var/log is mounted at"):
        machine.jails([web], prune=True)
    machine.jails([], prune=True)


def test_a_mount_that_nobody_would_see_is_refused_or_told(machine: Machine) -> None:
    for behind in ("/bin/x", "/usr/share/x", "/etc/rc.d/x"):
        with pytest.raises(Failed, match="is a link into the base of a thin jail"):
            machine.jails([machine.web(mounts=[{"src": "/var/log", "dest": behind}], **QUIET)])
    hidden = [{"src": "/var/log", "dest": "/mnt/inner"}, {"src": "/var/tmp", "dest": "/mnt"}, {"dest": "/dev/shm", "type": "tmpfs"}]
    told = str(machine.jails([machine.web(mounts=hidden, **QUIET)], check=True)["warnings"])
    assert "/mnt/inner is hidden" in told and "/dev/shm is hidden" in told


def test_names_that_rc_d_jail_cannot_tell_apart_are_refused_in_other_runs_too(machine: Machine) -> None:
    machine.jails([machine.web(name="cb-web", state="present", **QUIET)])
    with pytest.raises(Failed, match="cannot tell it from cb-web"):
        machine.module("jail", **{**machine.db(name="cb_web", **QUIET), **machine.storage})
    machine.jails([], prune=True)


def test_a_storage_path_with_a_slash_at_its_end_is_the_same(machine: Machine) -> None:
    options = {**machine.storage, "storage_path": f"{machine.place}/"}
    machine.module("jails", jails=[machine.web(**QUIET)], **options)
    assert machine.jails([machine.web(**QUIET)])["steps"] == []
    machine.jails([], prune=True)


def test_a_link_to_a_file_that_becomes_empty_stays(machine: Machine) -> None:
    if not machine.limits_work or machine.read("/etc/rctl.conf") is not None:
        return
    place = f"{machine.place}/rctl.conf"
    machine.write(place, "")
    machine.link(place, "/etc/rctl.conf")
    limited = [machine.web(limits={"maxproc": 20}, **QUIET)]
    machine.jails(limited)
    assert "maxproc" in str(machine.read(place)) and machine.jails(limited)["steps"] == []
    machine.jails([], prune=True)
    assert machine.read(place) == "" == machine.read("/etc/rctl.conf")
    machine.run("rm", "/etc/rctl.conf", place)


def test_a_quote_that_is_open_is_told_with_its_file(machine: Machine) -> None:
    machine.write("/etc/rc.conf.local", 'x="open\n')
    with pytest.raises(Failed, match="/etc/rc.conf.local, line 1: an unterminated quote"):
        machine.jails([machine.web(**QUIET)])
    machine.run("rm", "/etc/rc.conf.local")


def test_a_definition_that_was_copied_by_hand_is_not_ours_and_keeps_its_root(machine: Machine) -> None:
    machine.jails([machine.web(**QUIET)])
    place = "/etc/jail.conf.d/cbcopy.conf"
    machine.write(place, str(machine.read("/etc/jail.conf.d/cbweb.conf")).replace('"cbweb" {', '"cbcopy" {').replace("10.99.0.20", "10.99.0.90"))
    told = {one["name"]: one["managed"] for one in machine.module("jail_info", **machine.storage)["jails"]}
    assert told == {"cbweb": True, "cbcopy": False}
    assert machine.jails([machine.web(**QUIET)], prune=True)["steps"] == []
    with pytest.raises(Failed, match="is the root of cbcopy too"):
        machine.jails([], prune=True)
    assert machine.read(place) is not None and list(machine.running()) == ["cbweb"]
    machine.run("rm", place)
    machine.jails([], prune=True)


def test_a_root_is_one_jails(machine: Machine) -> None:
    same = f"{machine.place}/same"
    with pytest.raises(Failed, match="is the root of jail cbweb too"):
        machine.jails([machine.web(path=same, **QUIET), machine.db(path=same, **QUIET)], check=True)


def test_a_jail_that_somebody_put_into_our_file_is_not_lost(machine: Machine) -> None:
    place = "/etc/jail.conf.d/cbweb.conf"
    machine.jails([machine.web(**QUIET)])
    ours = str(machine.read(place))
    machine.write(place, ours + 'guest { path = "/"; persist; }\n')
    assert machine.jails([machine.web(**QUIET)])["steps"] == []
    for declared in ([], [machine.web(hostname="other", **QUIET)], [machine.web(boot_style="rc_conf", **QUIET)]):
        with pytest.raises(Failed, match="defines guest too, which would be lost"):
            machine.jails(declared, prune=True)
    assert "guest" in str(machine.read(place))
    machine.write(place, ours)
    machine.jails([], prune=True)


def test_a_line_above_our_mark_makes_a_jail_nobody_elses(machine: Machine) -> None:
    place = "/etc/jail.conf.d/cbweb.conf"
    machine.jails([machine.web(**QUIET)])
    ours = str(machine.read(place))
    machine.write(place, f"# looked at by bob\n{ours}")
    assert machine.jails([machine.web(**QUIET)])["steps"] == []
    machine.write(place, f"\ufeff{ours}")  # jail(8) would read nothing of it
    machine.jails([machine.web(**QUIET)])
    assert machine.read(place) == ours
    machine.jails([], prune=True)
