# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Streams through commands: what passes is counted, and nothing that failed looks whole."""

from __future__ import annotations

import gzip
import hashlib
import os
import stat
import sys
from pathlib import Path
from typing import Any, List, Tuple

import pytest

from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.engine.streams import StreamError, digest, flow
from ansible_collections.cellblock.jails.plugins.module_utils.errors import HostError
from ansible_collections.cellblock.jails.tests.simulator import SimulatedHost, SimulatedKill, fresh_host

DATA = os.urandom(3_000_000)


def says(text: str, code: int = 0, reads: bool = True) -> List[str]:
    reading = "sys.stdin.buffer.read();" if reads else ""
    return [sys.executable, "-c", f"import sys; {reading} sys.stderr.write({text!r}); sys.exit({code})"]


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def place(tmp_path: Path) -> Tuple[Host, Path]:
    (tmp_path / "data").write_bytes(DATA)
    return Host(root=str(tmp_path)), tmp_path


def test_a_file_passes_through_filters_and_back(place: Tuple[Host, Path]) -> None:
    host, real = place
    there = flow(host, [["cat"], ["gzip", "-c"]], source="/data", target="/packed", counted=[1], digested=[2])
    packed = (real / "packed").read_bytes()
    assert gzip.decompress(packed) == DATA
    assert there.passed[1].size == len(DATA) and there.passed[1].sha256 == ""
    assert (there.passed[2].size, there.passed[2].sha256) == (len(packed), sha(packed))
    assert stat.S_IMODE((real / "packed").stat().st_mode) == 0o600
    back = flow(host, [["gzip", "-dc"]], source="/packed", target="/back", digested=[0, 1])
    assert back.passed[0] == there.passed[2] and (real / "back").read_bytes() == DATA


def test_a_file_is_copied_and_digested_by_no_command(place: Tuple[Host, Path]) -> None:
    host, real = place
    assert digest(host, "/data").sha256 == sha(DATA)
    copied = flow(host, [], source="/data", target="/copy", digested=[0])
    assert copied.passed[0].size == len(DATA) and (real / "copy").read_bytes() == DATA and host.commands == []


@pytest.mark.parametrize("stages", [
    [says("first is ill", 3), ["cat"]], [["cat"], says("last is ill", 3)], [["cat"], says("middle is ill", 3), ["cat"]],
    [["cat"], says("it reads nothing", 3, reads=False)], [["cat"], ["no-such-filter"]], [["no-such-filter"], ["cat"]],
])
def test_each_command_must_answer_0_or_no_file_is_left(place: Tuple[Host, Path], stages: Any) -> None:
    host, real = place
    with pytest.raises(StreamError, match="is ill|reads nothing|not found"):
        flow(host, stages, source="/data", target="/made", digested=[len(stages)])
    assert not (real / "made").exists()


def test_all_that_failed_are_told(place: Tuple[Host, Path]) -> None:
    with pytest.raises(StreamError) as failure:
        flow(place[0], [says("one", 1), says("two", 2)], where="jail web")
    assert [result.rc for result in failure.value.results] == [1, 2]
    assert "one" in str(failure.value) and "two" in str(failure.value) and "jail web" in str(failure.value)


def test_a_command_that_reads_too_little_is_no_success_of_its_own(place: Tuple[Host, Path]) -> None:
    with pytest.raises(StreamError, match="'cat' failed"):
        flow(place[0], [["cat"], says("enough", 0, reads=False)], source="/data")


def test_a_file_that_is_there_is_not_written(place: Tuple[Host, Path]) -> None:
    host, real = place
    (real / "link").symlink_to(real / "data")
    for name in ("/data", "/link"):
        with pytest.raises(HostError, match="File exists"):
            flow(host, [["cat"]], source="/data", target=name)
    assert (real / "data").read_bytes() == DATA
    with pytest.raises(HostError, match="No such file"):
        flow(host, [["cat"]], source="/none", target="/made")
    assert not (real / "made").exists()


def test_a_full_disk_leaves_no_file(place: Tuple[Host, Path]) -> None:
    program = "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))"
    tree = Path(__file__).resolve().parents[8]
    lines = [
        program, f"sys.path.insert(0, {str(tree)!r})",
        "from ansible_collections.cellblock.jails.plugins.module_utils.engine import host, streams",
        f"streams.flow(host.Host(root={str(place[1])!r}), [['cat']], source='/data', target='/made', digested=[1])",
    ]
    done = place[0].ask([sys.executable, "-c", "\n".join(lines)])
    assert done.rc == 1 and "File too large" in done.err and not (place[1] / "made").exists()


def test_what_the_last_command_prints_is_told(place: Tuple[Host, Path]) -> None:
    assert flow(place[0], [["cat"], ["wc", "-c"]], source="/data").said.strip() == str(len(DATA))


def test_a_limited_stream_is_whole(place: Tuple[Host, Path]) -> None:
    host, real = place
    flow(host, [["cat"], ["cat"]], source="/data", target="/made", digested=[2], limit=30_000_000)
    assert (real / "made").read_bytes() == DATA


# -- on the simulated host, datasets


@pytest.fixture
def pool(tmp_path: Path) -> SimulatedHost:
    sim = fresh_host(tmp_path / "here", "zfs")
    assert sim.run(["zfs", "create", "zroot/a"])[0] == 0
    for name in ("one", "two\nlines", "sub/three"):
        path = sim.real(f"/zroot/a/{name}")
        path.parent.mkdir(exist_ok=True)
        path.write_text(name * 1000)
    sim.real("/zroot/a/one").chmod(0o4755)
    os.link(sim.real("/zroot/a/one"), sim.real("/zroot/a/hard"))
    os.symlink("/etc/passwd", sim.real("/zroot/a/link"))
    os.mkfifo(sim.real("/zroot/a/fifo"))
    assert sim.run(["zfs", "snapshot", "zroot/a@one"])[0] == 0
    return sim


def door(sim: SimulatedHost) -> Host:
    return Host(sim.runner, str(sim.root), sim.spawn)


def tree(sim: SimulatedHost, top: str) -> Any:
    from ansible_collections.cellblock.jails.tests.simulator.tools.zfs_trees import looks

    return {path: (look[:4], look[6:]) for path, look in looks(sim.real(top)).items()}


def test_a_received_dataset_is_the_tree_that_was_sent(pool: SimulatedHost, tmp_path: Path) -> None:
    there = fresh_host(tmp_path / "there", "zfs")
    pool.peers["there"] = there
    host = door(pool)
    flow(host, [["zfs", "send", "zroot/a@one"], ["ssh", "root@there", "zfs", "receive", "-u", "zroot/b"]], counted=[1])
    pool.real("/zroot/a/new").write_text("new")
    pool.real("/zroot/a/sub/three").unlink()
    host.run(["zfs", "snapshot", "zroot/a@two"])
    size = int(host.run(["zfs", "send", "-nP", "-i", "@one", "zroot/a@two"]).out.split()[-1])
    whole = int(host.run(["zfs", "send", "-nP", "zroot/a@two"]).out.split()[-1])
    assert size < whole
    flow(host, [["zfs", "send", "-i", "@one", "zroot/a@two"], ["ssh", "there", "zfs", "receive", "-u", "zroot/b"]])
    assert there.run(["zfs", "mount", "zroot/b"])[0] == 0
    assert tree(there, "/zroot/b") == tree(pool, "/zroot/a")
    guids = [sim.run(["zfs", "get", "-Hp", "-o", "value", "guid", name])[1] for sim, name in ((pool, "zroot/a@two"), (there, "zroot/b@two"))]
    assert guids[0] == guids[1]


@pytest.mark.parametrize("after", [0, 1, 700, 5000, 9000])
def test_a_stream_that_is_cut_leaves_what_can_be_resumed_or_nothing(pool: SimulatedHost, after: int) -> None:
    host = door(pool)
    for flags, left in (([], False), (["-s"], True)):
        pool.cut_once("zfs", "send", after=after)
        with pytest.raises(StreamError):
            flow(host, [["zfs", "send", "zroot/a@one"], ["zfs", "receive", "-u", *flags, "zroot/b"]], counted=[1])
        told = host.ask(["zfs", "get", "-H", "-o", "value", "receive_resume_token", "zroot/b"])
        assert (told.rc == 0) == (left and after > 500)
    again = ["zfs", "send", "-t", told.out.strip()] if told.rc == 0 else ["zfs", "send", "zroot/a@one"]
    flow(host, [again, ["zfs", "receive", "-s", "-u", "zroot/b"]])
    host.run(["zfs", "mount", "zroot/b"])
    assert tree(pool, "/zroot/b") == tree(pool, "/zroot/a")
    assert host.run(["zfs", "get", "-H", "-o", "value", "receive_resume_token", "zroot/b"]).out == "-\n"


def test_a_flipped_bit_is_noticed(pool: SimulatedHost) -> None:
    host = door(pool)
    flow(host, [["zfs", "send", "zroot/a@one"]], target="/stream", digested=[1])
    data = bytearray(pool.real("/stream").read_bytes())
    data[len(data) // 2] ^= 1
    pool.real("/stream").write_bytes(bytes(data))
    with pytest.raises(StreamError, match="checksum mismatch"):
        flow(host, [["zfs", "receive", "-u", "zroot/b"]], source="/stream")
    assert host.ask(["zfs", "list", "zroot/b"]).rc == 1


def test_a_run_that_dies_at_a_command_of_a_stream_starts_no_more(pool: SimulatedHost) -> None:
    pool.kill_at = 1
    with pytest.raises(SimulatedKill):
        flow(door(pool), [["zfs", "send", "zroot/a@one"], ["zfs", "receive", "-u", "zroot/b"]])
    assert "zroot/b" not in pool.state["datasets"]
