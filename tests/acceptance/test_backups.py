# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Backups: a set is whole or it is not there, whatever fails, and the state that it has is the jail's."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any, Dict, Iterator, List, Optional

import pytest

from ansible_collections.cellblock.jails.plugins.module_utils.backups import manifest as manifests

from .machine import Failed, Killed, Machine, Simulated

PLACE = "/var/cellblock-backups"


@pytest.fixture
def place(machine: Machine) -> Iterator[Machine]:
    """A host with a directory for sets, which is taken away again."""
    machine.run("mkdir", "-p", PLACE)
    yield machine
    machine.run("rm", "-rf", PLACE, "/var/db/cellblock/backups")


def backup(machine: Machine, check: bool = False, kill_at: Optional[int] = None, **options: Any) -> Dict[str, Any]:
    return machine.module("jail_backup", check=check, kill_at=kill_at, **{"destination": {"path": PLACE}, **machine.storage, **options})


def small(machine: Machine, **options: Any) -> Dict[str, Any]:
    """A jail that has little and starts nothing: what is asked of sets does not need a system in it."""
    return {"name": "cbweb", "root": "empty", "params": {"persist": True}, "ip4": "disable", **options}


def sets(machine: Machine, jail: str = "cbweb", place: str = PLACE) -> List[manifests.Manifest]:
    """The sets of a jail; nothing else may be beside them."""
    found = []
    for name in machine.names(f"{place}/{jail}"):
        assert manifests.STAMP.fullmatch(name), f"{name} is left"
        path = f"{place}/{jail}/{name}"
        one = manifests.parse(machine.read(f"{path}/manifest.json") or "", path)
        assert sorted(machine.names(path)) == sorted(["manifest.json", *(stream.name for stream in one.streams if not stream.held)])
        for stream in one.streams:
            if not stream.held:
                assert machine.run("sha256", "-q", f"{path}/{stream.name}").strip() == stream.sha256
        found.append(one)
    return found


def ours(machine: Machine) -> List[str]:
    """Snapshots and bookmarks of backups on the host, and their holds."""
    if not machine.dataset:
        return []
    listed = machine.run("zfs", "list", "-H", "-r", "-t", "snapshot,bookmark", "-o", "name,userrefs", machine.dataset).splitlines()
    return [line for line in listed if "cellblock-backup-" in line]


def test_a_set_has_all_that_another_host_needs(place: Machine) -> None:
    place.jails([place.web(params={"allow.raw_sockets": True}, limits={"maxproc": 50} if place.limits_work else {}, state="started")])
    told = backup(place)["jails"]["cbweb"]
    one, = sets(place)
    assert told["set"] == one.stamp and told["outcome"] == "done" and told["size"] == one.size and told["files"] == [stream.name for stream in one.streams]
    assert one.mark["root"] and one.parameters["allow.raw_sockets"] == ["true"] and "cbweb" in one.definition and one.base["name"] == "acceptance"
    assert one.base["version"] and one.host and one.release and one.collection and one.estimate > 0
    assert any("maxproc" in rule for rule in one.limits) == place.limits_work
    assert {stream.method for stream in one.streams} == ({"zfs"} if place.dataset else {"tar", "mtree"})
    assert "cbweb" in place.running()
    assert told["stops"] == ([] if place.dataset else ["cbweb"])
    known = place.module("jail_info", **place.storage)["jails"][0]["last_backup"]
    assert (known["set"], known["destination"], known["size"]) == (one.stamp, PLACE, one.size)


def test_check_mode_says_what_is_made_and_what_goes_and_a_run_does_it(place: Machine) -> None:
    place.jails([small(place)])
    for _again in range(3):
        backup(place, incremental=False)
    before = place.picture(), place.names(f"{PLACE}/cbweb")
    seen = backup(place, check=True, incremental=False, keep={"last": 2})
    assert (place.picture(), place.names(f"{PLACE}/cbweb")) == before
    ran = backup(place, incremental=False, keep={"last": 2})
    assert len(seen["steps"]) == len(ran["steps"]) and len(seen["diff"]) == len(ran["diff"])
    assert sorted(seen["jails"]["cbweb"]["removed"]) == sorted(ran["jails"]["cbweb"]["removed"]) == before[1][:2]
    assert place.names(f"{PLACE}/cbweb") == [before[1][2], ran["jails"]["cbweb"]["set"]]


def test_an_increment_builds_on_the_set_before_until_a_full_one_is_due(place: Machine) -> None:
    place.jails([small(place)])
    place.write(place.path("root/much"), "".join(map(str, range(20000))))
    for number in range(5):
        place.write(place.path("etc/cb.number"), f"{number}\n")
        backup(place, increments=2)
    found = sets(place)
    assert [one.parent for one in found] == ["", found[0].stamp, found[1].stamp, "", found[3].stamp]
    for one in found:
        assert manifests.chain(found, one)[0].parent == ""
    if place.dataset:
        assert found[1].streams[0].since == found[0].streams[0].guid
        assert len(ours(place)) == 1 and found[-1].stamp in ours(place)[0]
    assert found[1].data()[0].plain < found[0].data()[0].plain


def test_what_is_gone_is_in_an_increment_of_a_tree(place: Machine) -> None:
    place.jails([small(place)])
    place.write(place.path("root/gone"), "x")
    place.write(place.path("root/same"), "x")
    backup(place, method="tar")
    place.run("rm", place.path("root/gone"))
    place.write(place.path("root/new"), "y")
    backup(place, method="tar", compress="none")
    last = sets(place)[-1]
    where = f"{PLACE}/cbweb/{last.stamp}"
    assert last.parent and place.read(f"{where}/root.gone") == "root/gone\0"
    names = place.run("tar", "-tf", f"{where}/root.tar").split()
    assert "./root/new" in names and "./root/same" not in names


def test_a_set_in_a_dataset_is_a_snapshot_there(place: Machine) -> None:
    if not place.dataset:
        return
    pool = place.dataset.partition("/")[0]
    target = f"{pool}/cbbackups"
    place.run("zfs", "create", "-o", f"mountpoint={PLACE}", target)
    try:
        place.jails([small(place)])
        for number in range(3):
            place.write(place.path("etc/cb.number"), f"{number}\n")
            backup(place, destination={"dataset": target}, keep={"last": 2})
        found = sets(place)
        assert [one.parent for one in found] == ["", ""] and found[0].streams[0].held.partition("@")[0] == found[1].streams[0].held.partition("@")[0]
        there = place.run("zfs", "list", "-H", "-r", "-t", "snapshot", "-o", "name", target).split()
        assert there == [one.streams[0].held for one in found]
        assert place.run("zfs", "list", "-H", "-o", "mounted", found[0].streams[0].held.partition("@")[0]).strip() == "no"
    finally:
        place.ask("zfs", "destroy", "-r", target)


def test_bookmarks_do_for_increments_and_have_no_space(place: Machine) -> None:
    if not place.dataset:
        return
    place.jails([small(place)])
    for _again in range(3):
        backup(place, source="bookmark")
    found = sets(place)
    assert [bool(one.parent) for one in found] == [False, True, True]
    assert len(ours(place)) == 1 and "#" in ours(place)[0]


def test_hooks_run_inside_and_one_that_fails_leaves_no_set(place: Machine) -> None:
    place.jails([place.web(state="started")])
    backup(place, before=["/usr/bin/true"], after=[["/usr/bin/true"]])
    assert len(sets(place)) == 1
    before = ours(place)
    with pytest.raises(Failed):
        backup(place, before=["/usr/bin/false"], after=["/usr/bin/true"])
    with pytest.raises(Failed):
        backup(place, before=["/usr/bin/true"], after=["/usr/bin/false"])
    assert len(sets(place)) == 1 and ours(place) == before and "cbweb" in place.running()


def test_removing_the_jail_removes_what_backups_keep_of_it_and_leaves_its_sets(place: Machine) -> None:
    place.jails([small(place)])
    backup(place)
    place.jails([small(place, state="absent")])
    assert ours(place) == [] and len(sets(place)) == 1


@pytest.mark.parametrize("options, told", [
    ({"destination": {"path": "/no/such"}}, "is not there"), ({"destination": {}}, "Give one of path"),
    ({"destination": {"path": PLACE, "dataset": "x"}}, "Give one of"),
    ({"jails": ["cbnone"]}, "no such jail"), ({"keep": {"within": "soon"}}, "no span"), ({"limit": "fast"}, "no amount"),
    ({"destination": {"command": ["cat"], "read": ["cat"]}}, "{stream}"), ({"jails": [{"name": "cbweb", "metod": "zfs"}]}, "metod"),
])
def test_what_cannot_be_meant_is_refused_before_anything_is_touched(place: Machine, options: Any, told: str) -> None:
    place.jails([small(place)])
    with pytest.raises(Failed) as failure:
        backup(place, **options)
    assert told in str(failure.value) and ours(place) == [] and place.names(f"{PLACE}/cbweb") == []


def test_half_of_a_change_is_no_state_to_keep(place: Machine) -> None:
    place.jails([small(place, exec={"prestart": "/usr/bin/false its upgrade was cut off"}, state="stopped")])
    with pytest.raises(Failed, match="half of a change stands there: its upgrade was cut off"):
        backup(place)


def test_streams_pass_through_filters(place: Machine) -> None:
    place.jails([small(place)])
    backup(place, compress="gzip", encrypt={"command": ["gzip", "-1", "-c"], "decrypt": ["zcat"], "suffix": "rot"})
    one, = sets(place)
    assert one.streams[0].name.endswith(".gz.rot") and one.streams[0].readers[0] == ("zcat",) and one.streams[0].filters[1] == ("gzip", "-1", "-c")
    with pytest.raises(Failed, match="no-such-filter"):
        backup(place, encrypt={"command": ["no-such-filter"], "decrypt": ["cat"]})
    assert len(sets(place)) == 1 and len(ours(place)) == (1 if place.dataset else 0)


def test_files_are_for_root_alone(place: Machine) -> None:
    place.jails([small(place)])
    backup(place)
    one, = sets(place)
    where = f"{PLACE}/cbweb/{one.stamp}"
    paths = (where, f"{where}/manifest.json", f"{where}/{one.streams[0].name}")
    if isinstance(place, Simulated):
        modes = [f"{place.sim.real(path).stat().st_mode & 0o777:o}" for path in paths]
    else:
        modes = [place.run("stat", "-f", "%Lp", path).strip() for path in paths]
    assert modes == ["700", "600", "600"]


def test_a_thing_without_a_manifest_is_no_set_and_is_left_alone(place: Machine) -> None:
    place.jails([small(place)])
    backup(place)
    stamp = sets(place)[0].stamp
    place.run("mv", f"{PLACE}/cbweb/{stamp}/manifest.json", f"{PLACE}/cbweb/{stamp}/other")
    told = backup(place, keep={"last": 1})
    assert told["jails"]["cbweb"]["removed"] == [] and not told["jails"]["cbweb"]["increment"] and any("no set" in warning for warning in told["warnings"])
    assert place.names(f"{PLACE}/cbweb/{stamp}") and len(place.names(f"{PLACE}/cbweb")) == 2


def test_many_jails_are_one_call_and_one_that_fails_keeps_no_other_from_its_set(place: Machine) -> None:
    place.jails([place.web(), place.db(), {**place.db(), "name": "cbthird", "ip4": []}])
    with pytest.raises(Failed) as failure:
        backup(place, jails=["cbweb", {"name": "cbdb", "before": ["/usr/bin/false"]}, "cbthird"], parallel=3)
    told = failure.value.told
    assert list(told["failures"]) == ["cbdb"] and [told["jails"][name]["outcome"] for name in ("cbweb", "cbdb", "cbthird")] == ["done", "failed", "done"]
    assert len(sets(place)) == 1 and len(sets(place, "cbthird")) == 1 and sets(place, "cbdb") == []


def test_a_set_makes_the_jail_again_as_it_was_then(place: Machine) -> None:
    place.jails([small(place, state="started")])
    stamps = []
    for number in range(3):
        place.write(place.path("root/number"), f"{number}\n")
        place.write(place.path(f"root/only{number}"), "x\n")
        if number:
            place.run("rm", place.path(f"root/only{number - 1}"))
        stamps.append(backup(place)["jails"]["cbweb"]["set"])
    for number in (0, 2, 1):
        place.module("jail_restore", source=PLACE, jails=["cbweb"], set=stamps[number], gate={"every": 0.0, "within": 30, "processes": False}, **place.storage)
        assert place.read(place.path("root/number")) == f"{number}\n" and "cbweb" in place.running()
        assert [name for name in place.names(place.path("root")) if name.startswith("only")] == [f"only{number}"]


def test_a_base_goes_when_no_set_stands_on_it(place: Machine) -> None:
    place.jails([place.web(root="thin", state="stopped")])
    backup(place)
    backup(place, incremental=False, keep={"last": 1})
    assert len(sets(place)) == 1 and len(sets(place, "basejails")) == 1
    stamp = sets(place)[0].stamp
    place.run("rm", "-rf", f"{PLACE}/cbweb/{stamp}")
    place.jails([small(place, name="cbother")])
    backup(place, jails=["cbother"])
    assert len(sets(place, "basejails")) == 1
    backup(place, jails=["cbother"], keep={"last": 1})
    assert sets(place, "basejails") == [] and len(sets(place, "cbother")) >= 1


def steps_of(machine: Machine, **options: Any) -> int:
    """How many commands a run has."""
    assert isinstance(machine, Simulated)
    backup(machine, **options)
    return len(machine.sim.commands)


def killed_everywhere(machine: Machine, **options: Any) -> None:
    """Killed before each command, the next run ends as one that was not killed, and nothing is left."""
    machine.jails([machine.web(state="started")])
    count = steps_of(machine, **options)
    kept = len(ours(machine))
    for number in range(count + 4):
        there = {one.stamp for one in sets(machine)}
        try:
            backup(machine, kill_at=number, **options)
            whole = True
        except Killed:
            whole = False
        known = [name for name in machine.names(f"{PLACE}/cbweb") if manifests.STAMP.fullmatch(name)]
        for name in known:
            assert machine.read(f"{PLACE}/cbweb/{name}/manifest.json"), "it looks whole"
        machine.jails([machine.web(state="started")])  # what was down comes back by its declaration
        backup(machine, **options)
        found = sets(machine)
        assert len(found) > 0 and len(ours(machine)) == kept and "cbweb" in machine.running()
        assert [one for one in found if one.stamp not in there], whole


def test_killed_at_any_command_the_next_run_ends_well(place: Machine) -> None:
    if isinstance(place, Simulated):
        killed_everywhere(place, keep={"last": 2})


@pytest.mark.parametrize("after", [0, 100, 3000])
def test_a_stream_that_dies_leaves_no_set(place: Machine, after: int) -> None:
    if not isinstance(place, Simulated):
        return
    place.jails([small(place, state="started")])
    place.write(place.path("root/much"), "".join(map(str, range(20000))))
    for start in (("zfs", "send"), ("tar",), ("zstd",), ("mtree",)):
        if (start == ("zfs", "send")) != bool(place.dataset) and start != ("zstd",):
            continue
        place.sim.cut_once(*start, after=after)
        with pytest.raises(Failed):
            backup(place)
        assert sets(place) == [] and ours(place) == [] and "cbweb" in place.running()
    backup(place)
    assert len(sets(place)) == 1


def test_looking_at_many_jails_costs_as_much_as_at_one(place: Machine) -> None:
    if not isinstance(place, Simulated):
        return
    counts = []
    for number in (1, 6):
        place.jails([small(place, name=f"cbmany{count}", state="stopped") for count in range(number)])
        for _again in range(2):
            backup(place)
        backup(place, check=True)
        counts.append(len(place.sim.commands))
    assert counts[0] == counts[1]


# -- another host


@pytest.fixture
def far(place: Machine, tmp_path: Any) -> Iterator[Simulated]:
    """A simulated host for sets, which the first one reaches by ssh."""
    assert isinstance(place, Simulated)
    other = Simulated(tmp_path / "far", "zfs")
    other.run("mkdir", "-p", PLACE)
    place.sim.peers["backup"] = other.sim
    yield other


def test_sets_go_to_another_host(place: Machine, request: Any) -> None:
    if not isinstance(place, Simulated):
        return
    far = request.getfixturevalue("far")
    place.jails([small(place, state="started")])
    there = {"host": "root@backup", "path": PLACE}
    for number in range(3):
        place.write(place.path("etc/cb.number"), f"{number}\n")
        backup(place, destination=there, keep={"last": 2})
    assert len(sets(far)) >= 2 and sets(place) == []
    place.sim.cut_once("ssh", after=2000)
    with pytest.raises(Failed):
        backup(place, destination=there)
    far.sim.state["full"] = 300
    with pytest.raises(Failed, match="No space left"):
        backup(place, destination=there, incremental=False)
    del far.sim.state["full"]
    assert len(sets(far)) >= 2
    place.sim.peers.clear()
    with pytest.raises(Failed, match="cannot be reached"):
        backup(place, destination=there)


@pytest.mark.storage("zfs")
def test_killed_at_any_command_sets_on_another_host_end_well(place: Machine, request: Any) -> None:
    if not isinstance(place, Simulated):
        return
    far = request.getfixturevalue("far")
    far.run("zfs", "create", "-o", "mountpoint=/pool", "zroot/sets")
    place.jails([place.web(state="started")])
    for where in ({"host": "backup", "path": PLACE}, {"host": "backup", "dataset": "zroot/sets"}):
        options: Dict[str, Any] = {"destination": where, "keep": {"last": 2}}
        home = str(where.get("path", "/pool"))
        backup(place, **options)
        backup(place, **options)
        kept = len(ours(place))
        for number in range(len(place.sim.commands) + 2):
            with pytest.MonkeyPatch.context():
                try:
                    backup(place, kill_at=number, **options)
                except Killed:
                    pass
            backup(place, **options)
            found = sets(far, place=home)
            assert len(found) >= 2 and len(ours(place)) == kept
            if "dataset" in where:
                there = far.run("zfs", "list", "-H", "-r", "-t", "snapshot", "-o", "name", "zroot/sets").split()
                assert sorted(there) == sorted(one.streams[0].held for one in found)


def test_a_command_keeps_streams_and_its_manifests_find_them(place: Machine) -> None:
    place.jails([small(place)])
    place.write(f"{PLACE}/keep", "#!/bin/sh\nexec cat > \"$1\"\n")
    where = str(place.sim.real(PLACE)) if isinstance(place, Simulated) else PLACE
    where_words = [f"{where}/{{jail}}-{{set}}-{{stream}}"]
    gone = ["rm", "-f", "--", f"{PLACE}/{{jail}}-{{set}}-{{stream}}"]
    command = {"command": ["/bin/sh", f"{where}/keep", *where_words], "read": ["cat", *where_words], "remove": gone}
    if isinstance(place, Simulated):
        command["command"] = ["tee", *where_words]
    stamps = [backup(place, destination=command, keep={"last": 1}, incremental=False)["jails"]["cbweb"]["set"] for _again in range(2)]
    names = [name for name in place.names(PLACE) if name.startswith("cbweb-")]
    assert [name for name in names if stamps[1] in name] and not [name for name in names if stamps[0] in name]
    told = json.loads(place.read(f"{PLACE}/cbweb-{stamps[1]}-manifest.json") or "")
    assert told["readers"][0] == "cat" and told["stamp"] == stamps[1]


HOSTILE = """
import os, socket, sys
os.chdir(sys.argv[1])
os.makedirs("h/deep/er", exist_ok=True)
os.chdir("h")
for name in ("plain", "two\\nlines", "-rf", "#comment", "back\\\\slash", "sp ace", "star*", "\\udcff\\udcfe"):
    open(name, "w").write(name.encode("utf-8", "surrogateescape").hex() * 50)
os.chmod("plain", 0o4755)
if os.geteuid() == 0:
    os.chown("sp ace", 4242, 4343)
os.link("plain", "deep/hard")
os.symlink("/etc/passwd", "link")
os.symlink("../../../../etc", "deep/up")
os.mkfifo("fifo")
with open("sparse", "wb") as out:
    out.truncate(8 << 20)
    out.write(b"x")
for number in range(300):
    open(f"deep/er/{number}", "w").write(str(number))
place = socket.socket(socket.AF_UNIX)
place.bind("socket")
os.utime("plain", (1, 1))
"""
LOOK = """
import hashlib, json, os, stat, sys
found = {}
for where, folders, files in os.walk(os.fsencode(sys.argv[1]) + b"/h"):
    for name in folders + files:
        path = os.path.join(where, name)
        info = os.lstat(path)
        kind = stat.S_IFMT(info.st_mode)
        if kind == stat.S_IFSOCK:
            continue
        said = [kind, stat.S_IMODE(info.st_mode), info.st_uid, info.st_gid, info.st_nlink]
        if kind == stat.S_IFREG:
            said += [int(info.st_mtime), hashlib.sha256(open(path, "rb").read()).hexdigest()]
        if kind == stat.S_IFLNK:
            said.append(os.readlink(path).hex())
        found[path[len(sys.argv[1]):].hex()] = said
print(json.dumps(found, sort_keys=True))
"""


MODES = "import json, os, sys; print(json.dumps([os.lstat(path).st_mode & 0o777 for path in (sys.argv[1], sys.argv[1] + '/file')]))"


def python(machine: Machine, program: str, path: str) -> str:
    """What a program says that works at a path of the host."""
    if isinstance(machine, Simulated):
        done = subprocess.run([sys.executable, "-c", program, str(machine.sim.real(path))], capture_output=True, text=True, check=True)
        return done.stdout
    return machine.run("python3", "-c", program, path)


@pytest.mark.parametrize("method", ["auto", "tar"])
def test_whatever_a_jail_has_in_its_root_comes_back_as_it_was_and_nothing_else_is_touched(place: Machine, method: str) -> None:
    place.jails([small(place)])
    root = place.path("").rstrip("/")
    python(place, HOSTILE, root)
    first = python(place, LOOK, root)
    assert len(json.loads(first)) > 310
    backup(place, method=method)
    place.run("rm", "--", place.path("h/plain"), place.path("h/deep/er/7"), place.path("h/link"))
    place.write(place.path("h/link/now/a/directory"), "x\n")
    second = python(place, LOOK, root)
    backup(place, method=method)
    outside = place.read("/etc/master.passwd"), place.names("/etc")
    stamps = [one.stamp for one in sets(place)]
    for stamp, wanted in ((stamps[0], first), (stamps[1], second)):
        gate = {"every": 0.0, "within": 30, "processes": False}
        place.module("jail_restore", source=PLACE, jails=["cbweb"], set=stamp, gate=gate, **place.storage)
        assert json.loads(python(place, LOOK, root)) == json.loads(wanted)
    assert (place.read("/etc/master.passwd"), place.names("/etc")) == outside


@pytest.mark.freebsd
@pytest.mark.storage("zfs")
@pytest.mark.parametrize("method", ["auto", "tar"])
def test_acls_and_attributes_come_back_also_when_nothing_else_changed(place: Machine, method: str) -> None:
    place.jails([small(place)])
    own, folder = place.path("own"), place.path("folder")
    place.write(own, "own\n")
    place.run("mkdir", folder)
    place.run("setfacl", "-m", "group:staff:full_set:fd:allow", folder)

    def look() -> List[str]:
        return [place.run("getfacl", own, folder), place.run("stat", "-f", "%Sp", own, folder), place.run("getextattr", "-q", "user", "cb", own)]

    wanted = []
    for who in ("daemon", "bin"):
        place.run("setfacl", "-m", f"user:{who}:rwp:allow", own)
        place.run("setextattr", "user", "cb", who, own)
        backup(place, method=method)
        wanted.append(look())
    for one, found in zip(sets(place), wanted):
        gate = {"every": 0.0, "within": 30, "processes": False}
        place.module("jail_restore", source=PLACE, jails=["cbweb"], set=one.stamp, gate=gate, **place.storage)
        assert look() == found


@pytest.mark.storage("zfs")
def test_a_set_that_comes_to_a_file_system_without_acls_keeps_its_modes(place: Machine) -> None:
    place.jails([small(place, state="stopped")])
    place.write(place.path("own/file"), "own\n")
    place.run("chmod", "0750", place.path("own"))
    if place.real:
        place.run("setfacl", "-m", "user:daemon:rwp:allow", place.path("own/file"), place.path("own"))
    backup(place, method="tar")
    place.jails([], prune=True, prune_share=100)
    elsewhere: Dict[str, Any] = {"storage_path": "/var/cellblock-elsewhere", "storage_dataset": None}
    place.module("jail_restore", source=PLACE, jails=["cbweb"], gate={"every": 0.0, "within": 30, "processes": False}, **elsewhere)
    kept = json.loads(python(place, MODES, "/var/cellblock-elsewhere/cbweb/own"))
    assert kept[0] == 0o750 and kept[1]
    place.module("jails", jails=[], prune=True, prune_share=100, **elsewhere)
    place.run("rm", "-r", "/var/cellblock-elsewhere")


@pytest.mark.storage("zfs")
def test_another_name_goes_on_with_the_sets_of_the_old_one(place: Machine) -> None:
    place.jails([small(place)])
    backup(place)
    place.write(place.path("data"), "data\n")
    place.jails([{**small(place), "name": "cbwww", "was": "cbweb"}])
    told = backup(place)["jails"]["cbwww"]
    old, = sets(place)
    new, = sets(place, "cbwww")
    assert told["increment"] and new.parent == old.stamp
    place.jails([], prune=True, prune_share=100)
    place.module("jail_restore", source={"path": PLACE}, jails=["cbwww"], gate={"every": 0, "within": 5}, **place.storage)
    assert place.read(place.path("data", "cbwww")) == "data\n"
    told = backup(place, incremental=False, keep={"last": 1})["jails"]["cbwww"]
    assert set(told["removed"]) == {old.stamp, new.stamp} and place.names(f"{PLACE}/cbweb") == []
