# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Jails that come back from their backups."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import tarfile
from typing import Any, Dict, Iterator, List

import pytest

from ansible_collections.cellblock.jails.plugins.module_utils.backups.declared import options_of
from ansible_collections.cellblock.jails.plugins.module_utils.jails import definition as definitions
from ansible_collections.cellblock.jails.plugins.module_utils.jails.definition import Definition

from .machine import BASE, Failed, Killed, Machine, Simulated
from .test_networks import LAN, clean, member, networks


@pytest.fixture
def net(machine: Machine) -> Iterator[Machine]:
    """A host whose networks are taken away when the case ends."""
    machine.run("kldload", "-n", "pf", "dummynet")
    yield machine
    clean(machine)


def written(machine: Machine, name: str = "cbweb") -> Definition:
    """A jail's definition as it stands."""
    text = machine.read(definitions.conf_path(name))
    found = definitions.read_conf(name, text) if text else None
    if found is None:
        facts, lines = definitions.rc_groups(machine.read("/etc/rc.conf") or "")[name]
        return definitions.read_rc(name, facts, lines, machine.read(f"/etc/fstab.{name}") or "")
    return found


PLAIN: "Dict[str, Dict[str, Any]]" = {
    "least": {},
    "old style": {"boot_style": "rc_conf", "params": {"allow.raw_sockets": True}},
    "parameters": {"hostname": "www.example.org", "params": {"securelevel": 2, "allow.sysvipc": True, "meta": "a=b\nc=d"}, "boot": False, "boot_order": 7},
    "commands": {"exec": {"prestart": ["/usr/bin/true a", "/usr/bin/true b"], "start": "", "timeout": 90}, "cpuset": "0"},
    "mounts": {"mounts": [{"src": "/etc", "dest": "/mnt/etc", "opts": "ro"}, {"type": "tmpfs", "dest": "/mnt/t", "opts": "rw,size=1m"}]},
    "loopback": {"loopback": True}, "limits": {"limits": {"maxproc": 100, "memoryuse": {"action": "log", "amount": "1G"}}},
    "no address": {"ip4": "disable"}, "all addresses": {"ip4": "inherit", "ip6": "disable"},
}


@pytest.mark.parametrize("name", list(PLAIN))
def test_a_definition_tells_the_declaration_that_it_came_from(net: Machine, name: str) -> None:
    declared = {**net.web(root="thin"), "params": {"persist": True}, **PLAIN[name]}
    if net.osreldate < 1500000:
        declared["params"] = {key: value for key, value in declared["params"].items() if key != "meta"}
    net.jails([declared])
    again = options_of(written(net), sorted(net.rules()))
    assert net.jails([{**again, "restart": "never"}])["steps"] == []


def test_a_member_of_networks_too(net: Machine) -> None:
    networks(net, LAN)
    port = {"port": "8080", "to": 80, "address": "10.99.7.1" if net.real else "10.10.10.10", "from": ["192.0.2.0/24"]}
    declared = member(net, ports=[port], bandwidth={"in": "50M"}, bpf=True)
    net.jails([declared])
    assert net.jails([options_of(written(net))])["steps"] == []


# -- sets, and what becomes of them

DEST = "/var/cellblock-sets"
STATE = {"etc/cb.conf": "mine\n", "usr/local/etc/own.conf": "own\n", "var/db/data/1": "one\n"}


def save(machine: Machine, name: str = "cbweb", **words: Any) -> str:
    """A set of a jail; where it is."""
    machine.run("mkdir", "-p", DEST)
    told = machine.module("jail_backup", jails=[name], destination={"path": DEST}, **machine.storage, **{"incremental": False, **words})
    return f"{DEST}/{name}/{told['jails'][name]['set']}"


def stamps(machine: Machine, name: str = "cbweb") -> List[str]:
    return machine.names(f"{DEST}/{name}")


def forget(machine: Machine) -> None:
    """Take the sets away, and what backups keep of them on the host."""
    machine.jails([], prune=True, prune_share=100)
    machine.run("rm", "-rf", DEST, "/var/db/cellblock/backups")


def restore(machine: Machine, *jails: Any, check: bool = False, kill_at: Any = None, **options: Any) -> Dict[str, Any]:
    gate = {"every": 0.0, "within": 30}
    return machine.module(
        "jail_restore", check=check, kill_at=kill_at, jails=list(jails) or ["cbweb"], **{"source": DEST, "gate": gate, **machine.storage, **options},
    )


def is_back(machine: Machine, name: str = "cbweb") -> None:
    for path, text in STATE.items():
        assert machine.read(machine.path(path, name)) == text, path


@pytest.fixture(params=["thin", "whole"])
def root(request: Any, storage: str) -> str:
    """A root that mounts its base, and one that has all of it."""
    return "thin" if request.param == "thin" else "clone" if storage == "zfs" else "thick"


@pytest.fixture
def saved(machine: Machine, root: str) -> Iterator[Machine]:
    """A host with a jail, and a set of it."""
    machine.jails([machine.web(root=root, limits={"maxproc": 100})])
    for path, text in STATE.items():
        machine.write(machine.path(path), text)
    save(machine)
    yield machine
    forget(machine)


def test_a_jail_that_is_gone_comes_back(saved: Machine, root: str) -> None:
    before, rules = written(saved), saved.rules()
    saved.jails([], prune=True, prune_share=100)
    shown = restore(saved, check=True)
    assert "cbweb" not in saved.running()
    assert restore(saved)["steps"] == shown["steps"]
    is_back(saved)
    assert "cbweb" in saved.running() and "10.99.0.20/32" in saved.addresses() and saved.rules() == rules
    assert written(saved).params == before.params
    assert restore(saved)["steps"] == []
    assert saved.jails([saved.web(root=root, limits={"maxproc": 100})])["steps"] == []


def test_what_stands_there_comes_back_when_the_restored_is_not_well(saved: Machine, root: str) -> None:
    saved.write(saved.path("etc/cb.conf"), "newer\n")
    before = saved.picture()
    with pytest.raises(Failed, match="failed"):
        restore(saved, gate={"every": 0.0, "within": 1, "commands": ["/usr/bin/false"]})
    assert saved.picture() == before and saved.read(saved.path("etc/cb.conf")) == "newer\n"
    assert saved.jails([saved.web(root=root, limits={"maxproc": 100})])["steps"] == []
    told = restore(saved)
    is_back(saved)
    assert told["jails"]["cbweb"]["replaced"] and saved.picture()["place"] == before["place"]
    assert saved.picture()["datasets"] == [name for name in before["datasets"] if "@cellblock-backup-" not in name], "the next set is a full one"


def test_killed_anywhere_the_next_run_ends_the_same(saved: Machine, root: str) -> None:
    declared = saved.web(root=root, limits={"maxproc": 100})
    restore(saved)
    before = saved.picture()
    at = 0
    while True:
        saved.write(saved.path("etc/cb.conf"), "newer\n")
        try:
            restore(saved, kill_at=at, again=True)
            break
        except Killed:
            pass
        restore(saved, again=True)
        is_back(saved)
        assert "cbweb" in saved.running() and saved.picture() == before, at
        assert saved.jails([declared])["steps"] == [], at
        at += 1 if isinstance(saved, Simulated) else 9
    assert at > 8


def test_under_another_name_beside_the_one_that_runs(saved: Machine, root: str) -> None:
    saved.write(saved.path("etc/hostid"), "secret\n")
    save(saved)
    restore(saved, {"name": "cbweb", "as": "cbcopy", "declare": {"ip4": [f"{saved.interface}|10.99.0.41"]}})
    is_back(saved, "cbcopy")
    assert set(saved.running()) == {"cbweb", "cbcopy"} and "10.99.0.41/32" in saved.addresses()
    assert saved.read(saved.path("etc/hostid", "cbcopy")) is None
    with pytest.raises(Failed, match="is the address of jail cbweb"):
        restore(saved, {"name": "cbweb", "as": "cbother"})


def test_single_files_come_into_a_directory_beside(saved: Machine) -> None:
    saved.write(saved.path("etc/cb.conf"), "newer\n")
    saved.run("ln", "-s", "/etc", saved.path("etc/out")) if saved.real else saved.link("/etc", saved.path("etc/out"))
    save(saved)
    before = saved.picture()
    restore(saved, set=stamps(saved)[0], files=["/etc/cb.conf", "var/db/data"], to="/var/cb-files")
    assert saved.read("/var/cb-files/etc/cb.conf") == "mine\n" and saved.read("/var/cb-files/var/db/data/1") == "one\n"
    assert saved.picture() == before and saved.read(saved.path("etc/cb.conf")) == "newer\n"
    with pytest.raises(Failed, match="not empty"):
        restore(saved, files=["/etc/cb.conf"], to="/var/cb-files")
    saved.run("rm", "-rf", "/var/cb-files")
    for path, words in (("/etc/no", "is not in the set"), ("/etc/out/passwd", "is a link in the set")):
        with pytest.raises(Failed, match=words):
            restore(saved, files=[path], to="/var/cb-files")
    assert saved.picture() == before and saved.names("/var/cb-files") == []


def verify(machine: Machine, check: bool = False, kill_at: Any = None, **options: Any) -> Dict[str, Any]:
    gate = {"every": 0.0, "within": 30}
    return machine.module("jail_restore", check=check, kill_at=kill_at, source=DEST, state="verified", **{"gate": gate, **machine.storage, **options})


def proof(machine: Machine) -> Any:
    told = machine.module("jail_info", **machine.storage)["jails"]
    return next(one for one in told if one["name"] == "cbweb").get("last_proof")


def proofs(machine: Machine) -> Any:
    return [one["passed"] for one in json.loads(machine.read(f"{DEST}/cbweb/{stamps(machine)[-1]}/manifest.json") or "")["proofs"]]


def test_a_set_is_tested_beside_its_jail_and_nothing_is_left(saved: Machine, root: str) -> None:
    before, running = saved.picture(), saved.running()["cbweb"]["jid"]
    told = verify(saved, check=True)
    assert saved.picture() == before and proofs(saved) == []
    assert verify(saved)["steps"] == told["steps"]
    assert saved.picture() == before and saved.running()["cbweb"]["jid"] == running
    assert proofs(saved) == [True] and proof(saved)["passed"] and proof(saved)["set"] == stamps(saved)[-1]
    assert verify(saved, older_than="7d")["steps"] == []
    with pytest.raises(Failed, match="failed"):
        verify(saved, gate={"every": 0.0, "within": 1, "commands": ["/usr/bin/false"]})
    assert saved.picture() == before and proofs(saved) == [True, False] and "failed" in proof(saved)["said"]
    assert saved.jails([saved.web(root=root, limits={"maxproc": 100})])["steps"] == []


def test_a_test_that_was_killed_leaves_nothing_after_the_next(saved: Machine) -> None:
    before = saved.picture()
    at = 0
    while True:
        try:
            verify(saved, kill_at=at)
            break
        except Killed:
            pass
        verify(saved)
        assert saved.picture() == before, at
        at += 1 if isinstance(saved, Simulated) else 9
    assert at > 8


def test_a_set_that_was_cut_or_changed_is_refused_before_anything_is_touched(saved: Machine, root: str) -> None:
    place = f"{DEST}/cbweb/{stamps(saved)[0]}"
    path = f"{place}/{next(name for name in saved.names(place) if name.startswith(('root.zfs', 'root.tar')))}"
    if isinstance(saved, Simulated):
        data = saved.sim.real(path).read_bytes()
        bad, short = data[:-1] + bytes([data[-1] ^ 1]), data[:-10]
        before = saved.picture()
        for wrong, words in ((short, "is not whole"), (bad, "is not what was written")):
            saved.sim.real(path).write_bytes(wrong)
            with pytest.raises(Failed, match=words):
                restore(saved)
            assert saved.picture() == before
        saved.sim.real(path).unlink()
    else:
        saved.run("truncate", "-s", "-10", path)
    with pytest.raises(Failed, match="is not whole"):
        restore(saved)
    assert "cbweb" in saved.running()


def test_a_host_without_its_base(saved: Machine, root: str) -> None:
    if not isinstance(saved, Simulated):
        pytest.skip("the base of a real host is every case's")
    saved.jails([], prune=True, prune_share=100)
    saved.module("basejail", name=BASE, state="absent", **saved.storage)
    restore(saved)
    is_back(saved)
    assert "cbweb" in saved.running()
    declared = saved.web(root=root, limits={"maxproc": 100})
    if root != "thin":
        saved.module("basejail", name=BASE, source="sets", url="file:///var/dist", **saved.storage)
    assert saved.module("basejail", name=BASE, **saved.storage)["steps"] == []
    assert saved.jails([declared])["steps"] == []


@pytest.mark.storage("zfs")
def test_an_encrypted_dataset_that_was_sent_raw_wants_its_key(machine: Machine) -> None:
    if not isinstance(machine, Simulated):
        pytest.skip("a jail's dataset is encrypted when its parent is")
    machine.jails([machine.web(root="clone")])
    machine.write(machine.path("etc/cb.conf"), "mine\n")
    machine.sim.state["datasets"][f"{machine.dataset}/cbweb"]["props"]["encryption"] = "aes-256-gcm"
    save(machine, raw=True)
    machine.jails([], prune=True, prune_share=100)
    before = machine.picture()
    with pytest.raises(Failed, match="without its key"):
        restore(machine)
    with pytest.raises(Failed, match="Failed to open key"):
        restore(machine, key_location="file:///var/cb.key")
    assert machine.picture() == before
    machine.write("/var/cb.key", "k" * 32)
    restore(machine, key_location="file:///var/cb.key")
    assert machine.read(machine.path("etc/cb.conf")) == "mine\n" and "cbweb" in machine.running()
    forget(machine)
    machine.run("rm", "-f", "/var/cb.key")


def hostile(machine: Machine, place: str, *entries: Any) -> None:
    """Let the root of a set be an archive that somebody made."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, kind, text in entries:
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode = {"f": tarfile.REGTYPE, "l": tarfile.SYMTYPE, "h": tarfile.LNKTYPE, "d": tarfile.DIRTYPE}[kind], 0o755
            if kind in "lh":
                entry.linkname = text
            entry.size = len(text) if kind == "f" else 0
            archive.addfile(entry, io.BytesIO(text.encode()))
    data = stream.getvalue()
    told = json.loads(machine.read(f"{place}/manifest.json") or "")
    root = told["streams"][0]
    machine.run("rm", "-f", f"{place}/{root['name']}")
    root.update(
        name="root.tar", method="tar", size=len(data), plain=len(data), sha256=hashlib.sha256(data).hexdigest(), guid="", dataset="", filters=[], readers=[],
    )
    told["streams"] = [root, *(one for one in told["streams"] if one["method"] == "mtree")]
    machine.write(f"{place}/root.tar", data.decode("latin-1"))
    machine.write(f"{place}/manifest.json", json.dumps(told))


@pytest.mark.parametrize("entries", [
    [("../victim/new", "f", "x")], [("./a", "l", "/var/cb-victim"), ("./a/new", "f", "x")], [("./a", "l", "../../../var/cb-victim"), ("./a/new", "f", "x")],
    [("./a", "l", "/var/cb-victim"), ("./a", "d", ""), ("./a/new", "f", "x")], [("./h", "h", "/var/cb-victim/file"), ("./h", "f", "changed")],
    [("./a", "l", "/var/cb-victim"), ("./h", "h", "a/file"), ("./h", "f", "changed")], [("./f", "l", "/var/cb-victim/file"), ("./f", "f", "changed")],
    [("/var/cb-victim/new", "f", "x")], [("./etc", "l", "/var/cb-victim"), ("./var", "l", "/var/cb-victim"), ("./dev", "l", "/var/cb-victim")],
])
def test_a_hostile_archive_writes_nowhere_else(machine: Machine, entries: Any) -> None:
    machine.jails([machine.web()])
    place = save(machine)
    machine.write("/var/cb-victim/file", "victim\n")
    hostile(machine, place, *entries)
    before, running = machine.picture(), machine.running()
    with contextlib.suppress(Failed):
        restore(machine, again=True)
    assert machine.names("/var/cb-victim") == ["file"] and machine.read("/var/cb-victim/file") == "victim\n"
    machine.jails([], prune=True, prune_share=100)
    assert before["jail.conf.d"] and running
    forget(machine)
    machine.run("rm", "-rf", "/var/cb-victim")


def test_a_manifest_names_no_command_that_is_run_as_root(machine: Machine) -> None:
    machine.jails([machine.web()])
    place = save(machine)
    told = json.loads(machine.read(f"{place}/manifest.json") or "")
    told["streams"][0].update(filters=[["age"]], readers=[["/bin/sh", "-c", "touch /var/cb-victim"]])
    machine.write(f"{place}/manifest.json", json.dumps(told))
    with pytest.raises(Failed, match="no manifest is trusted"):
        restore(machine)
    forget(machine)


def test_a_chain_of_increments_and_any_set_of_it(machine: Machine) -> None:
    follow_a_chain(machine, "auto")


@pytest.mark.storage("zfs")
def test_a_chain_of_archives_of_a_dataset(machine: Machine) -> None:
    follow_a_chain(machine, "tar")


def follow_a_chain(machine: Machine, method: str) -> None:
    machine.jails([machine.web()])
    for number in range(3):
        machine.write(machine.path("etc/cb.number"), f"{number}\n")
        machine.write(machine.path(f"var/cb.{number}"), "new\n")
        if number:
            machine.run("rm", machine.path(f"var/cb.{number - 1}"))
        save(machine, incremental=True, method=method)
    for number in (2, 0, 1):
        told = restore(machine, set=stamps(machine)[number])
        assert told["jails"]["cbweb"]["set"] == stamps(machine)[number]
        assert machine.read(machine.path("etc/cb.number")) == f"{number}\n"
        assert [name for name in machine.names(machine.path("var")) if name.startswith("cb.")] == [f"cb.{number}"]
    moment = f"{stamps(machine)[1][:4]}-{stamps(machine)[1][4:6]}-{stamps(machine)[1][6:11]}:{stamps(machine)[1][11:13]}:{stamps(machine)[1][13:15]}"
    assert restore(machine, set=moment)["steps"] == [], "a time is the last set that is not younger"
    machine.run("rm", "-rf", f"{DEST}/cbweb/{stamps(machine)[0]}")
    with pytest.raises(Failed, match="builds on set"):
        restore(machine)
    forget(machine)


@pytest.mark.storage("zfs")
def test_a_set_in_a_dataset_and_one_that_goes_to_a_plain_directory(machine: Machine) -> None:
    pool = str(machine.dataset).partition("/")[0]
    machine.run("mkdir", "-p", DEST)
    machine.run("zfs", "create", "-o", f"mountpoint={DEST}", f"{pool}/cbsets")
    machine.jails([machine.web(root="clone")])
    machine.write(machine.path("etc/cb.conf"), "mine\n")
    place = {"dataset": f"{pool}/cbsets"}
    machine.module("jail_backup", destination=place, **machine.storage)
    machine.jails([], prune=True, prune_share=100)
    restore(machine, source=place)
    assert machine.read(machine.path("etc/cb.conf")) == "mine\n" and "cbweb" in machine.running()
    with pytest.raises(Failed, match="is a stream of ZFS"):
        restore(machine, source=place, again=True, storage_dataset=None)
    machine.jails([], prune=True, prune_share=100)
    machine.run("rm", "-rf", "/var/db/cellblock/backups")
    machine.run("zfs", "destroy", "-r", f"{pool}/cbsets")
    machine.run("rm", "-rf", DEST)


@pytest.mark.storage("zfs")
def test_datasets_below_the_root_come_back_over_no_link(machine: Machine) -> None:
    machine.jails([machine.web(root="clone", state="stopped")])
    machine.run("zfs", "create", f"{machine.dataset}/cbweb/data")
    machine.write(machine.path("data/file"), "data\n")
    save(machine)
    restore(machine, {"name": "cbweb", "as": "cbcopy", "declare": {"ip4": [f"{machine.interface}|10.99.0.41"]}}, start=False)
    assert machine.read(machine.path("data/file", "cbcopy")) == "data\n"
    assert f"{machine.dataset}/cbcopy/data" in machine.picture()["datasets"]
    machine.run("zfs", "destroy", f"{machine.dataset}/cbcopy/data")
    machine.run("zfs", "release", "cellblock", next(name for name in machine.picture()["datasets"] if "/cbweb/data@" in name))
    machine.run("zfs", "destroy", "-r", f"{machine.dataset}/cbweb/data")
    forget(machine)


def test_a_test_finds_what_differs_from_the_list_of_the_set(machine: Machine) -> None:
    machine.jails([machine.web(root="thick")])
    place = save(machine, method="tar")
    entries = [("./etc", "d", ""), ("./etc/rc", "f", "#!/bin/sh\n"), ("./etc/rc.shutdown", "f", "#!/bin/sh\n"), ("./dev", "d", "")]
    hostile(machine, place, *entries)
    before = machine.picture()
    with pytest.raises(Failed, match="differs from its set"):
        verify(machine)
    assert machine.picture() == before and proofs(machine) == [False] and "differs" in proof(machine)["said"]
    forget(machine)


@pytest.mark.storage("zfs")
def test_what_others_hold_on_to_stays_aside_and_is_told(machine: Machine) -> None:
    machine.jails([machine.web(root="clone")])
    place = save(machine)
    machine.run("zfs", "snapshot", f"{machine.dataset}/cbweb@hourly")
    told = restore(machine)
    aside = f"{machine.dataset}/cbweb:before-{place.rpartition('/')[2]}"
    assert "@hourly" in "".join(told["warnings"]) and f"{aside}@hourly" in machine.picture()["datasets"] and "cbweb" in machine.running()
    assert restore(machine)["steps"] == []
    with pytest.raises(Failed, match="left of an earlier restore"):
        restore(machine, again=True)
    machine.run("zfs", "destroy", f"{aside}@hourly")
    for name in machine.picture()["datasets"]:
        if name.startswith(f"{aside}@"):
            machine.ask("zfs", "release", "cellblock", name)
    machine.run("zfs", "destroy", "-r", aside)
    restore(machine, again=True)
    forget(machine)


def test_a_ruleset_that_the_host_does_not_have_comes_with_it(machine: Machine) -> None:
    own: Dict[str, Any] = {"name": "cbrules", "rules": ["include $devfsrules_hide_all", "include $devfsrules_unhide_basic", "path 'cb*' unhide"]}
    machine.module("devfs_ruleset", **own)
    machine.jails([machine.web(devfs_ruleset="cbrules")])
    save(machine)
    machine.jails([], prune=True, prune_share=100)
    machine.module("devfs_ruleset", name="cbrules", state="absent")
    restore(machine)
    assert "cb*" in str(machine.read("/etc/devfs.rules")) and machine.module("devfs_ruleset", **own)["changed"] is False
    assert machine.jails([machine.web(devfs_ruleset="cbrules")])["steps"] == []
    forget(machine)
    machine.module("devfs_ruleset", name="cbrules", state="absent")


def test_a_jail_that_does_not_boot_is_tested_too_where_no_list_says_so(machine: Machine) -> None:
    machine.jails([machine.web(boot=False)])
    save(machine)
    before = machine.picture()
    verify(machine)
    assert machine.picture() == before and proofs(machine) == [True]
    forget(machine)


def test_what_was_encrypted_wants_the_operators_command(machine: Machine) -> None:
    machine.jails([machine.web()])
    machine.write(machine.path("etc/cb.conf"), "mine\n")
    save(machine, encrypt={"command": ["tr", "\\000-\\377", "\\001-\\377\\000"], "decrypt": ["false"], "suffix": "age"}, method="tar")
    with pytest.raises(Failed, match="no manifest is trusted"):
        restore(machine)
    restore(machine, decrypt=["tr", "\\001-\\377\\000", "\\000-\\377"])
    assert machine.read(machine.path("etc/cb.conf")) == "mine\n"
    with pytest.raises(Failed):
        restore(machine, again=True, decrypt=["false"])
    assert machine.read(machine.path("etc/cb.conf")) == "mine\n" and "cbweb" in machine.running()
    forget(machine)
