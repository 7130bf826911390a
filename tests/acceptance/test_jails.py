# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Declared jails in, running jails out: their lives, their changes, their boot."""

from __future__ import annotations

from typing import Any, Dict, Set

import pytest

from .machine import BASE, Failed, Machine

IDLE: Dict[str, Any] = {"exec": {"start": "", "stop": ""}}
INSIDE: Dict[str, Any] = {
    "rc_conf": {"rpcbind_enable": "NO", "network_interfaces": "", "motd": 'a "b" $c `d` \\ é'}, "resolv_conf": "copy",
    "timezone": "Europe/Athens", "root_password": "$6$salt$hash", "aliases": {"root": "ops@example.org"},
    "authorized_keys": ["ssh-ed25519 AAAA me"],
}
ROOTS = ["thin", "thick", pytest.param("clone", marks=pytest.mark.storage("zfs"))]
FULL: Dict[str, Any] = {
    **INSIDE, "limits": {"memoryuse": "512M", "maxproc": 100}, "cpuset": "0", "fib": 0,
    "params": {"allow.raw_sockets": True, "children.max": 2},
}


def full(machine: Machine, **options: Any) -> Dict[str, Any]:
    """A jail with everything that this host can give."""
    kept = {key: value for key, value in FULL.items() if key != "limits" or machine.limits_work}
    return machine.web(**kept, **options)


@pytest.mark.parametrize("style", ["jail_conf", "rc_conf"])
@pytest.mark.parametrize("root", ROOTS)
def test_a_declared_jail_runs_and_the_second_run_has_nothing_to_do(machine: Machine, style: str, root: str) -> None:
    declared = [full(machine, root=root, boot_style=style)]
    predicted = machine.jails(declared, check=True)
    assert machine.running() == {} and "cbweb" not in machine.names(machine.place)
    done = machine.jails(declared)
    assert done["changed"] and done["steps"] == predicted["steps"] and done["diff"] == predicted["diff"]
    assert "$6$" not in repr(done)
    jail = machine.running()["cbweb"]
    assert jail["ip4.addr"] == ["10.99.0.20"] and jail["allow.raw_sockets"] is True and jail["children.max"] == "2"
    assert jail["devfs_ruleset"] == "4" and jail["path"] == f"{machine.place}/cbweb" and jail["enforce_statfs"] == "2"
    assert "10.99.0.20/32" in machine.addresses()
    assert machine.read(machine.path("etc/fstab")) == ""
    assert 'network_interfaces=""' in str(machine.read(machine.path("etc/rc.conf")))
    assert machine.read(machine.path("etc/resolv.conf")) == machine.read("/etc/resolv.conf")
    assert "root:$6$salt$hash:" in str(machine.read(machine.path("etc/master.passwd")))
    assert "$6$" not in str(machine.read(machine.path("etc/passwd")))
    assert "root: ops@example.org\n" in str(machine.read(machine.path("etc/mail/aliases")))
    if machine.limits_work:
        assert {"jail:cbweb:memoryuse:deny=536870912", "jail:cbweb:maxproc:deny=100"} <= machine.rules()
    again = machine.jails(declared)
    assert (again["changed"], again["steps"]) == (False, [])
    assert machine.jails(declared, check=True)["changed"] is False


@pytest.mark.parametrize("style", ["jail_conf", "rc_conf"])
def test_an_empty_root_and_one_that_is_there(machine: Machine, style: str) -> None:
    empty: Dict[str, Any] = {"name": "cbempty", "root": "empty", "params": {"persist": True}, "boot_style": style}
    place = f"{machine.place}/cbgiven"
    machine.write(f"{place}/etc/keep", "kept")
    given: Dict[str, Any] = {
        "name": "cbgiven", "depend": ["cbempty"], "root": "existing", "path": place, "exec": {"start": "", "stop": ""},
        "params": {"mount.devfs": False}, "boot_style": style,
    }
    for jail, last in ((empty, 50), (given, 51)):
        jail["ip4"] = [f"{machine.interface}|10.99.0.{last}"]
    try:
        machine.jails([empty, given])
        assert list(machine.running()) == ["cbempty", "cbgiven"]
        assert machine.jails([empty, given])["changed"] is False
        machine.jails([], prune=True)
        assert machine.read(f"{place}/etc/keep") == "kept"
    finally:
        machine.run("rm", "-r", place)


def test_a_root_that_is_there_gets_the_mount_points_that_it_lacks(machine: Machine) -> None:
    place = f"{machine.place}/cbgiven"
    machine.write(f"{place}/etc/keep", "kept")
    declared = [{
        "name": "cbgiven", "root": "existing", "path": place, "exec": {"start": "", "stop": ""}, "params": {"mount.procfs": True},
        "ip4": [f"{machine.interface}|10.99.0.51"],
    }]
    try:
        predicted = machine.jails(declared, check=True)
        assert machine.jails(declared)["steps"] == predicted["steps"]
        assert {f"{place}/dev", f"{place}/proc"} <= machine.mounted()
        assert machine.jails(declared)["steps"] == []
        machine.jails([], prune=True)
    finally:
        machine.run("rm", "-r", place)


@pytest.mark.storage("zfs")
def test_quota_and_reservation_of_a_dataset(machine: Machine) -> None:
    machine.jails([machine.web(root="clone", quota="256M", reservation="1M")])
    told = machine.run("zfs", "get", "-Hp", "-o", "value", "quota,reservation", f"{machine.dataset}/cbweb").split()
    assert told == [str(256 << 20), str(1 << 20)]
    steps = machine.jails([machine.web(root="clone", quota="512M", reservation="1M")])["steps"]
    assert steps == [f"cbweb: set quota of {machine.dataset}/cbweb to {512 << 20}"]


@pytest.mark.parametrize("style", ["jail_conf", "rc_conf"])
def test_the_same_jails_come_up_after_a_boot_in_the_same_order(machine: Machine, style: str) -> None:
    first = {"name": "cbfirst", "base": BASE, "ip4": [f"{machine.interface}|10.99.0.31"], "boot_order": 5, "boot_style": style}
    declared = [machine.web(boot_style=style), machine.db(boot_style=style), first]
    machine.jails(declared)
    assert 'jail_list="cbfirst cbweb cbdb"' in str(machine.read("/etc/rc.conf"))
    machine.boot()
    assert list(machine.running()) == ["cbfirst", "cbweb", "cbdb"]
    assert machine.jails(declared)["steps"] == []


def test_a_parallel_start_that_would_not_keep_dependencies_is_warned_of(machine: Machine) -> None:
    text = str(machine.read("/etc/rc.conf"))
    machine.write("/etc/rc.conf", text + 'jail_parallel_start="YES"\n')
    web = machine.web(state="present")
    assert "cbdb" in str(machine.jails([web, machine.db(state="present", depend=["cbweb"])]).get("warnings"))
    machine.jails([], prune=True)
    machine.write("/etc/rc.conf", text)


def test_others_entries_of_jail_list_stay(machine: Machine) -> None:
    text = str(machine.read("/etc/rc.conf")).replace('jail_list=""\n', "")
    machine.write("/etc/rc.conf", text + 'jail_list="cbother"  # by hand\n')
    machine.jails([machine.web()])
    assert 'jail_list="cbother cbweb"  # by hand\n' in str(machine.read("/etc/rc.conf"))
    machine.jails([], prune=True)
    assert machine.read("/etc/rc.conf") == text + 'jail_list="cbother"  # by hand\n'
    machine.write("/etc/rc.conf", text)


def test_states(machine: Machine) -> None:
    machine.jails([machine.web(state="present")])
    assert machine.running() == {} and machine.addresses().isdisjoint({"10.99.0.20/32"})
    machine.jails([machine.web(state="started")])
    jid = machine.running()["cbweb"]["jid"]
    machine.jails([machine.web(state="restarted")])
    assert machine.running()["cbweb"]["jid"] != jid
    machine.jails([machine.web(state="stopped")])
    assert machine.running() == {} and "10.99.0.20/32" not in machine.addresses()
    assert not [node for node in machine.mounted() if node.startswith(machine.path(""))]
    assert machine.jails([machine.web(state="stopped")])["steps"] == []
    machine.jails([machine.web(state="absent")])
    assert "cbweb" not in machine.names(machine.place)


def test_one_jail_by_the_module_jail(machine: Machine) -> None:
    machine.jails([machine.db()])
    told = machine.module("jail", **machine.web(), **machine.storage)
    assert told["changed"] and set(machine.running()) == {"cbweb", "cbdb"}
    assert machine.module("jail", **machine.web(), **machine.storage)["changed"] is False
    machine.module("jail", name="cbweb", state="absent", **machine.storage)
    assert set(machine.running()) == {"cbdb"}


def test_mounts_of_every_kind_and_with_spaces(machine: Machine) -> None:
    source = "/var/tmp/cb source #1"
    machine.write(f"{source}/file", "seen")
    mounts = [
        {"src": source, "dest": "/mnt/with space", "opts": "ro"},
        {"type": "tmpfs", "dest": "/mnt/scratch", "opts": "rw,size=16m"},
        f"{source.replace(' ', chr(92) + '040').replace('#', chr(92) + '043')} {machine.path('mnt/line')} nullfs rw 0 0",
    ]
    declared = [machine.web(mounts=mounts, params={"mount.fdescfs": True, "mount.procfs": True})]
    try:
        machine.jails(declared)
        points = {machine.path(point) for point in ("mnt/with space", "mnt/scratch", "mnt/line", "dev", "dev/fd", "proc")}
        assert points <= machine.mounted()
        assert machine.jails(declared)["steps"] == []
        machine.jails([{**declared[0], "state": "stopped"}])
        assert not points & machine.mounted()
        machine.jails([{**declared[0], "state": "started"}])
        machine.jails([], prune=True, prune_share=100)
        assert machine.read(f"{source}/file") == "seen"
    finally:
        machine.run("rm", "-r", source)


def test_addresses_of_both_families(machine: Machine) -> None:
    card = machine.interface
    declared = [machine.web(ip4=[f"{card}|10.99.0.20/24", f"{card}|10.99.0.21"], ip6=[f"{card}|fd00:99:0:0::20/64", f"{card}|fd00:99::21"])]
    machine.jails(declared)
    jail = machine.running()["cbweb"]
    assert jail["ip4.addr"] == ["10.99.0.20", "10.99.0.21"] and jail["ip6.addr"] == ["fd00:99::20", "fd00:99::21"]
    assert {"10.99.0.20/24", "10.99.0.21/32", "fd00:99::20/64", "fd00:99::21/128"} <= machine.addresses()
    assert machine.jails(declared)["steps"] == []
    changed = [machine.web(interface=card, ip6=["fd00:99::22"], ip4=["10.99.0.20/24"])]
    machine.jails(changed)
    assert machine.running()["cbweb"]["ip6.addr"] == ["fd00:99::22"] and "fd00:99::22/128" in machine.addresses()
    assert not {"10.99.0.21/32", "fd00:99::20/64", "fd00:99::21/128"} & machine.addresses()
    assert machine.jails(changed)["steps"] == []


# -- changes


def test_what_can_change_live_changes_live(machine: Machine) -> None:
    machine.jails([machine.web(params={"allow.raw_sockets": True})])
    jid = machine.running()["cbweb"]["jid"]
    ip4 = [f"{machine.interface}|10.99.0.21"]
    changed = [machine.web(ip4=ip4, hostname="new.example.org", params={"securelevel": 2, "allow.mount": True, "enforce_statfs": 1})]
    machine.jails(changed)
    jail = machine.running()["cbweb"]
    assert jail["jid"] == jid
    assert (jail["host.hostname"], jail["securelevel"], jail["allow.raw_sockets"]) == ("new.example.org", "2", False)
    assert (jail["ip4.addr"], jail["allow.mount"], jail["enforce_statfs"]) == (["10.99.0.21"], True, "1")
    assert "10.99.0.21/32" in machine.addresses() and "10.99.0.20/32" not in machine.addresses()
    assert machine.jails(changed)["steps"] == []


SHM, ALL = {"sysvshm": "new"}, {"allow.sysvipc": True}


@pytest.mark.parametrize("first, then", [({**ALL, **SHM}, ALL), ({**ALL, **SHM}, SHM), (ALL, SHM), (SHM, ALL), (SHM, {})])
def test_system_v_ipc_becomes_what_a_new_jail_would_have(machine: Machine, first: Dict[str, Any], then: Dict[str, Any]) -> None:
    machine.jails([machine.web(params=first, **IDLE), machine.db(params=then, **IDLE)])
    declared = [machine.web(params=then, **IDLE), machine.db(params=then, **IDLE)]
    machine.jails(declared)
    web, db = ({name: jail[name] for name in ("allow.sysvipc", "sysvmsg", "sysvsem", "sysvshm")} for jail in machine.running().values())
    assert web == db
    assert machine.jails(declared)["steps"] == []


@pytest.mark.parametrize("change", ["hook", "mount"])
def test_what_needs_a_restart_waits_or_restarts_by_policy(machine: Machine, change: str) -> None:
    options: Dict[str, Any] = {"exec": {"prestart": "/usr/bin/true"}} if change == "hook" else {
        "mounts": [{"src": "/var/log", "dest": "/mnt", "opts": "ro"}]
    }
    machine.jails([machine.web()])
    jid = machine.running()["cbweb"]["jid"]
    machine.jails([machine.web(**options)])
    told = machine.jails([machine.web(**options)])
    assert told["steps"] == [] and told["jails"]["cbweb"]["restart_waits"]
    info = machine.module("jail_info", **machine.storage)["jails"]
    assert [jail["restart_waits"] for jail in info if jail["name"] == "cbweb"] == [told["jails"]["cbweb"]["restart_waits"]]
    assert machine.running()["cbweb"]["jid"] == jid
    machine.jails([machine.web(restart="if_needed", **options)])
    assert machine.running()["cbweb"]["jid"] != jid
    assert (machine.path("mnt") in machine.mounted()) == (change == "mount")
    told = machine.jails([machine.web(restart="if_needed", **options)])
    assert told["steps"] == [] and told["jails"]["cbweb"]["restart_waits"] == []


@pytest.mark.parametrize("declared", ["started", "absent"])
def test_what_a_jail_that_went_without_jail_8_left_is_taken_away(machine: Machine, declared: str) -> None:
    jail = machine.web(mounts=[{"src": "/etc", "dest": "/mnt", "opts": "ro"}])
    machine.jails([jail])
    machine.run("jail", "-R", "cbweb")
    assert machine.path("mnt") in machine.mounted()
    expected = machine.jails([{**jail, "state": declared}], check=True)["steps"]
    assert machine.jails([{**jail, "state": declared}])["steps"] == expected
    assert (machine.path("mnt") in machine.mounted(), "cbweb" in machine.running()) == (declared == "started",) * 2
    assert machine.jails([{**jail, "state": declared}])["steps"] == []


@pytest.mark.parametrize("shares_first", [True, False])
def test_whether_a_jail_shares_all_addresses_changes_with_a_restart(machine: Machine, shares_first: bool) -> None:
    kinds = [machine.web(ip4="inherit", **IDLE), machine.web(**IDLE)]
    first, then = kinds if shares_first else reversed(kinds)
    machine.jails([first])
    assert machine.jails([then])["jails"]["cbweb"]["restart_waits"] == ["ip4"]
    before = machine.running()["cbweb"]
    told = machine.jails([then])
    assert told["steps"] == [] and told["jails"]["cbweb"]["restart_waits"] == ["ip4"]
    assert (machine.running()["cbweb"], "10.99.0.20/32" in machine.addresses()) == (before, not shares_first)
    machine.jails([{**then, "restart": "if_needed"}])
    assert (machine.running()["cbweb"]["ip4"] == "inherit") != shares_first
    assert ("10.99.0.20/32" in machine.addresses()) == shares_first
    assert machine.jails([then])["steps"] == []


def test_a_change_of_one_jail_restarts_no_other(machine: Machine) -> None:
    declared = [machine.web(), machine.db(depend=["cbweb"])]
    machine.jails(declared)
    jid = machine.running()["cbdb"]["jid"]
    machine.jails([machine.web(state="restarted"), declared[1]])
    assert machine.running()["cbdb"]["jid"] == jid


def test_a_cpu_set_is_given_moved_taken_and_brought_back_without_a_restart(machine: Machine) -> None:
    def masks() -> Set[str]:
        """Of the jail and of all that runs in it."""
        of_jail = machine.run("cpuset", "-g", "-j", "cbweb").splitlines()[0]
        processes = machine.run("ps", "-J", "cbweb", "-o", "pid=").split()
        told = [machine.ask("cpuset", "-g", "-p", process).out.partition("\n")[0] for process in processes]
        assert processes and any(told)
        return {line.partition("mask: ")[2] for line in [of_jail, *filter(None, told)]}

    machine.jails([machine.web()])
    every = masks()
    if every == {"0"}:
        pytest.skip("this host has one CPU")
    jid = machine.running()["cbweb"]["jid"]
    for cpus in ("0", "1", "0-1", "0"):
        machine.jails([machine.web(cpuset=cpus)])
        assert masks() == {cpus.replace("-", ", ")}
        assert machine.jails([machine.web(cpuset=cpus)])["steps"] == []
    machine.run("cpuset", "-l", "all", "-j", "cbweb")
    assert machine.jails([machine.web(cpuset="0")])["changed"] and masks() == {"0"}
    machine.jails([machine.web()])
    assert masks() == every and machine.running()["cbweb"]["jid"] == jid
    assert machine.jails([machine.web()])["changed"] is False


def test_limits_are_set_changed_and_taken_away(machine: Machine) -> None:
    if not machine.limits_work:
        pytest.skip("kern.racct.enable is 0 on this host")
    others = "jail:cbother:maxproc:deny=7"
    machine.run("rctl", "-a", others)
    try:
        machine.jails([machine.web(limits={"maxproc": 50, "pcpu": 80, "readbps": "10M"})])
        ours = {"jail:cbweb:maxproc:deny=50", "jail:cbweb:pcpu:deny=80", "jail:cbweb:readbps:throttle=10485760"}
        assert machine.rules() == ours | {others}
        machine.jails([machine.web(limits={"maxproc": {"amount": 60, "action": "log"}})])
        assert machine.rules() == {"jail:cbweb:maxproc:log=60", others}
        assert "jail:cbweb:maxproc:log=60" in str(machine.read("/etc/rctl.conf"))
        machine.jails([machine.web()])
        assert machine.rules() == {others}
    finally:
        machine.run("rctl", "-r", others)


# -- many


@pytest.mark.parametrize("number", [20, 100])
def test_many_jails_in_one_call(machine: Machine, number: int) -> None:
    if machine.real and number > 20 and machine.dataset is None:
        pytest.skip("100 copies take the disk of a small host; with ZFS they are clones")
    declared = [
        {"name": f"cb{place}", "base": BASE, "root": machine.clone, "ip4": [f"{machine.interface}|10.99.1.{place + 1}"], "exec": {"start": "", "stop": ""}}
        for place in range(number)
    ]
    machine.jails(declared, parallel=4)
    assert len(machine.running()) == number
    assert machine.jails(declared)["steps"] == []
    machine.jails(declared[:1], prune=True, prune_share=100)
    assert list(machine.running()) == ["cb0"]


def test_a_failing_jail_does_not_stop_the_others(machine: Machine) -> None:
    with pytest.raises(Failed) as failure:
        machine.jails([machine.web(exec={"start": "/usr/bin/false"}), machine.db()])
    assert set(failure.value.told["failures"]) == {"cbweb"} and "/usr/bin/false" in str(failure.value)
    assert set(machine.running()) == {"cbdb"} and "cbweb" not in machine.names(machine.place)
    assert 'jail_list="cbdb"' in str(machine.read("/etc/rc.conf"))
    machine.jails([machine.web(), machine.db()])
    assert set(machine.running()) == {"cbweb", "cbdb"}


# -- nested, and what jail_info tells


def test_a_child_jail_lives_in_its_parent(machine: Machine) -> None:
    child = {"name": "cbweb.inner", "root": "empty", "path": machine.path("inner"), "boot": False, "exec": {"start": "", "stop": ""}}
    parent = machine.web(params={"children.max": 5})
    machine.jails([parent, child])
    assert list(machine.running()) == ["cbweb", "cbweb.inner"]
    assert machine.jails([parent, child])["steps"] == []


def test_jail_info_tells_all_there_is(machine: Machine) -> None:
    machine.jails([machine.web(), machine.db(state="stopped")])
    machine.run("jail", "-c", "name=cbforeign", "path=/", "persist")
    try:
        told = machine.module("jail_info", **machine.storage)
        found = {jail["name"]: jail for jail in told["jails"]}
        assert told["schema_version"] == 1 and set(found) == {"cbweb", "cbdb", "cbforeign"}
        assert {name: jail["state"] for name, jail in found.items()} == {"cbweb": "running", "cbdb": "stopped", "cbforeign": "running"}
        assert {name: jail["managed"] for name, jail in found.items()} == {"cbweb": True, "cbdb": True, "cbforeign": False}
        assert found["cbweb"]["ip4"] == ["10.99.0.20"] and found["cbweb"]["boot_position"] == 1 and found["cbweb"]["drift"] == []
        machine.run("jail", "-m", "name=cbweb", "securelevel=1")
        drift = machine.module("jail_info", **machine.storage)["jails"]
        assert not [jail for jail in drift if jail["name"] == "cbweb" and jail["drift"]]  # securelevel was not declared
        machine.run("jail", "-m", "name=cbweb", "host.hostname=elsewhere")
        drift = machine.module("jail_info", **machine.storage)["jails"]
        assert [jail["drift"] for jail in drift if jail["name"] == "cbweb"] != [[]]
    finally:
        machine.run("jail", "-r", "cbforeign")


@pytest.mark.storage("zfs")
@pytest.mark.parametrize("style", ["jail_conf", "rc_conf"])
def test_a_dataset_is_given_to_a_jail(machine: Machine, style: str) -> None:
    """By jail(8) since FreeBSD 15, by a hook before."""
    given = f"{str(machine.dataset).partition('/')[0]}/cbown"
    machine.run("zfs", "create", "-o", "mountpoint=none", "-o", "jailed=on", given)
    try:
        params = {"zfs.dataset": [given], "allow.mount": True, "allow.mount.zfs": True, "enforce_statfs": 1}
        declared = machine.web(root="clone", boot_style=style, params=params, **IDLE)
        for state in ("started", "restarted"):
            machine.jails([{**declared, "state": state}])
            if machine.real:
                assert given in machine.run("jexec", "-l", "cbweb", "zfs", "list", "-H", "-o", "name").splitlines()
            assert machine.jails([declared])["steps"] == []
        machine.jails([], prune=True)
        assert machine.ask("zfs", "list", given).rc == 0
    finally:
        machine.jails([], prune=True)
        machine.run("zfs", "destroy", given)
