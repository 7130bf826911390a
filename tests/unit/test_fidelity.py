# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The comparison of the simulated host with a real one sees what differs, and nothing else."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from pathlib import Path
from typing import List

import pytest

from ansible_collections.cellblock.jails.tests import fidelity
from ansible_collections.cellblock.jails.tests.simulator import SimulatedHost, fresh_host
from ansible_collections.cellblock.jails.tests.simulator.assumptions import ASSUMPTIONS, Assumption, listed
from ansible_collections.cellblock.jails.tests.simulator.compare import Answer, differences, normal, pick
from ansible_collections.cellblock.jails.tests.simulator.replay import CAPTURED
from ansible_collections.cellblock.jails.tests.simulator.sides import Names, Real, Simulated

README = Path(fidelity.__file__).parent / "simulator" / "README.md"


class Pretended(Real):
    """A simulated host that passes for a real one: its own names, and what only a real host is asked for."""

    def __init__(self, host: SimulatedHost) -> None:
        super().__init__(self.packing, fidelity.HOME, Names({}))
        self.there = Simulated(host)
        self.noted = b""

    def packing(self, line: str, stdin: bytes) -> "subprocess.CompletedProcess[bytes]":
        if fidelity.NOTE in line:
            self.noted = stdin or self.noted
            return subprocess.CompletedProcess([], 0 if self.noted else 1, self.noted, b"")
        if line.startswith("sh -s "):
            dist = self.there.host.real(shlex.split(line)[-1])
            dist.mkdir()
            shutil.copy(self.there.host.real("/var/dist/base.txz"), dist)
        return subprocess.CompletedProcess([], 0, b"", b"")

    def ask(self, *argv: str, stdin: str = "") -> Answer:
        known = {"uname -r": "15.1-RELEASE-p9", "uname -K": "1501009", "freebsd-version -u": "15.1-RELEASE-p9", "sysctl -n hw.ncpu": "2"}
        if argv[:2] == ("zpool", "create"):
            return self.there.run(["zfs", "create", "-o", f"mountpoint={argv[3]}", argv[4]])
        if argv[:2] == ("zpool", "destroy"):
            return self.there.run(["zfs", "destroy", argv[2]])
        if argv[0] == "sh" and "zfs" not in argv[-1]:
            return self.there.run(["linger"])
        if argv[0] in ("truncate", "sleep", "kldunload"):
            self.there.host.state["linger"] = False
            return Answer(0, "", "")
        told = known.get(" ".join(argv))
        return Answer(0, f"{told}\n", "") if told else self.there.run(argv, stdin)


@pytest.fixture
def guest(tmp_path: Path) -> fidelity.Guest:
    host = fresh_host(tmp_path / "real", racct=True, interfaces={"em0": [["192.0.2.7", 24]], "lo0": [["127.0.0.1", 8], ["::1", 128]]})
    host.state.update({"next_jid": 41, "cpus": 2})
    for name, value in {"osrelease": "15.1-RELEASE-p9", "osreldate": "1501009"}.items():
        host.state["sysctl"][f"kern.{name}"] = value
    for name in ("etc/jail.conf.d", "etc/rc.conf.d"):
        host.real(name).mkdir(parents=True)
    made = fidelity.Guest(lambda _line, _stdin: subprocess.CompletedProcess([], 0, b"", b""), "")
    made.side = Pretended(host)
    return made


def compared(guest: fidelity.Guest) -> List[fidelity.Row]:
    guest.refuse(beside=False)
    guest.settle()
    try:
        return fidelity.compare(guest, fidelity.seen_state(guest))
    finally:
        assert guest.leave() == []


@pytest.mark.parametrize("shown", [1, 40, 120, 200, 300])
def test_what_a_run_that_was_cut_left_is_taken_away_by_the_next(guest: fidelity.Guest, tmp_path: Path, shown: int) -> None:
    guest.refuse(beside=False)
    guest.settle()
    state = guest.picture() and fidelity.seen_state(guest)
    rows = [*fidelity.captured_rows(Simulated(fidelity.replay.like(tmp_path / "captured", state, True)), guest)] if shown > 200 else []
    going = fidelity.assumed_rows(guest, state, tmp_path)  # held: what is cut ends without its own end
    for _row in zip(range(shown), going):
        rows.append(_row[1])
    before, anew = guest.before, fidelity.Guest(guest.side.shell, "")
    anew.side = guest.side
    assert anew.recover() and going is not None and {**anew.picture(), "modules": []} == {**before, "modules": []}


@pytest.mark.parametrize("zfs, pool, enough", [(True, "", 300), (True, "tank/fidelity", 300), (False, "", 250)])
def test_a_host_like_the_simulated_one_is_the_same_and_stays_as_it_was(guest: fidelity.Guest, zfs: bool, pool: str, enough: int) -> None:
    guest.zfs, guest.dataset, guest.own_pool = zfs, pool or fidelity.POOL, not pool
    if pool:
        guest.must("zfs", "create", "tank")
    rows = compared(guest)
    assert [(row.command, fidelity.apart(row)) for row in rows if row.verdict == "differs"] == []
    assert {row.command for row in rows if row.part == "captured"} == {one["cmd"] for one in CAPTURED}
    assert len([row for row in rows if row.verdict == "same"]) > enough


def test_a_host_that_answers_otherwise_is_told_from_the_simulated_one(guest: fidelity.Guest) -> None:
    ask = guest.side.ask

    def other(*argv: str, stdin: str = "") -> Answer:
        told = ask(*argv, stdin=stdin)
        return told._replace(err=told.err.replace("No such process", "Invalid argument")) if argv[0] == "devfs" else told

    guest.side.ask = other  # type: ignore[method-assign]
    rows = [row for row in compared(guest) if row.verdict == "differs"]
    assert [row.command for row in rows] == ["devfs rule -s 100 add include 777"]
    said = "stderr: devfs rule: ioctl DEVFSIO_RADD:"
    assert fidelity.apart(rows[0]) == f"-{said} No such process\n+{said} Invalid argument"
    told = fidelity.page(rows, "2026-01-01", "FreeBSD 15.1-RELEASE")
    assert "0 same, 1 differs" in told and "`devfs rule -s 100 add include 777`" in told


@pytest.mark.parametrize("one, other", [
    ('jail: "2" already exists\n', 'jail: "17" already exists\n'),
    ("     2  127.0.1.1       t1                            /jails/r151\n", "    41  127.0.1.1       t1                            /jails/r151\n"),
    ("jid=2 parent=0 name=t1 jid=3 parent=2 name=t1.kid\n", "jid=7 parent=0 name=t1 jid=12 parent=7 name=t1.kid\n"),
    ('{"jail": [{"jid":2,"cpuset.id":"3"}]}', '{"jail": [{"cpuset.id": "9", "jid": 8}]}\n'),
    ("epair0a\n", "epair3a\n"),
    ("zroot/base\t24576\t1.5G\t/jails/base\n", "zroot/base\t98304\t200M\t/jails/base\n"),
    ("em0: flags=1<UP> metric 0 mtu 1500\n\tether 02:00:00:00:00:01\n\tinet 192.0.2.1/24\n", "em0: flags=3<UP>\n\tinet 192.0.2.1/24\n"),
    ("inetd is running as pid 12.\n", "inetd is running as pid 34567.\n"),
    ("memoryuse=12\npcpu=0\n", "memoryuse=9999\npcpu=3\n"),
    ('{"mount": {"mounted": [{"node":"/"}, {"node":"/jails/f"}]}}', '{"mount": {"mounted": [{"node": "/jails/f"}, {"node": "/usr"}]}}'),
])
def test_what_no_two_hosts_have_in_common_is_no_difference(one: str, other: str) -> None:
    assert normal(one) == normal(other)


@pytest.mark.parametrize("one, other", [
    ('jail: "t1" already exists\n', 'jail: "t2" already exists\n'),
    ("jid=2 parent=0 name=t1 jid=3 parent=2 name=t1.kid\n", "jid=2 parent=0 name=t1 jid=3 parent=0 name=t1.kid\n"),
    ("jid=2 parent=0 name=t1 jid=3 parent=2 name=t1.kid\n", "jid=2 parent=0 name=t1 jid=3 parent=3 name=t1.kid\n"),
    ("quota\t1073741824\tlocal\n", "quota\t1073741825\tlocal\n"),
    ("zroot/base\tfilesystem\toff\n", "zroot/base\tfilesystem\ton\n"),
    ("em0: flags=1<UP>\n\tinet 192.0.2.1/24\n", "em0: flags=1<UP>\n\tinet 192.0.2.1/25\n"),
    ("jail:t1:memoryuse:deny=10\n", "jail:t1:memoryuse:deny=11\n"),
    ('{"mount": {"mounted": [{"node":"/jails/f"}]}}', '{"mount": {"mounted": [{"node": "/jails/g"}]}}'),
    ("100 hide\n", "200 hide\n"),
])
def test_what_hosts_can_have_in_common_is_compared(one: str, other: str) -> None:
    assert normal(one) != normal(other)


def test_exit_codes_and_both_streams_are_compared() -> None:
    assert differences(Answer(0, "a", "b"), Answer(1, "a", "b")) == ["rc"]
    assert differences(Answer(0, "a", "b"), Answer(0, "c", "d")) == ["out", "err"]


def test_one_row_is_picked_from_text_and_from_json() -> None:
    assert pick(Answer(0, "inetd 1\nsshd 2\n", ""), "sshd").out == "sshd 2\n"
    rows = '{"__version": "1", "sockstat": {"socket": [{"command":"inetd","pid":1}, {"command":"sshd","pid":2}]}}'
    assert pick(Answer(0, rows, ""), '"sshd"').out == '{"command": "sshd", "pid": 2}\n'


def test_names_are_put_whole_and_back() -> None:
    names = Names({"/jails": "/var/tmp/x/jails", "zroot": "tank/x", "/etc/jail.conf": "/var/tmp/x/jail.conf"}, {"15.1-RELEASE": "15.1-RELEASE-p1"})
    for ours, theirs in {
        "path=/jails/r151": "path=/var/tmp/x/jails/r151", "zroot/base@p1": "tank/x/base@p1", "'zroot'": "'tank/x'",
        "-f /etc/jail.conf": "-f /var/tmp/x/jail.conf", "/etc/jail.conf.d/a.conf": "/etc/jail.conf.d/a.conf", "zroot2": "zroot2",
    }.items():
        assert names.there(ours) == theirs
        assert names.here(theirs) == ours
    assert names.here("15.1-RELEASE 15.1-RELEASE-p1") == "15.1-RELEASE-p1 15.1-RELEASE-p1"


def test_a_host_with_jails_of_its_own_is_left_alone(guest: fidelity.Guest) -> None:
    guest.must("jail", "-c", "name=mine", "path=/", "persist")
    with pytest.raises(fidelity.Refused, match="mine.*--beside"):
        guest.refuse(beside=False)
    guest.refuse(beside=True)
    guest.must("jail", "-c", "name=t1", "path=/", "persist")
    with pytest.raises(fidelity.Refused, match="t1"):
        guest.refuse(beside=True)


def test_the_readme_lists_the_assumptions() -> None:
    part = README.read_text(encoding="utf-8").partition("## Assumed, never seen on FreeBSD\n")[2]
    assert part.partition("\n- ")[2] == listed()[2:]


@pytest.mark.parametrize("one", ASSUMPTIONS, ids=lambda one: one.sentence[:40])
def test_an_assumption_has_commands_or_a_reason(one: Assumption) -> None:
    assert bool(one.shown_by) != bool(one.why_not)
