# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sessions are dealt to masters, across processes."""

from __future__ import annotations

import multiprocessing
import os
import socket
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.cellblock.jails.plugins.plugin_utils.homes import Homes
from ansible_collections.cellblock.jails.plugins.plugin_utils.slots import Slots

FORK = multiprocessing.get_context("fork")


def hold(path: str, per_master: int, masters: int, told: Any, leave: Any) -> None:
    """Take a session, tell which master, wait to leave."""
    slots = Slots(path, per_master, masters)
    with slots.session() as master:
        told.put(master)
        leave.wait(60)
    slots.close()


@pytest.mark.parametrize(("per_master", "processes"), [(1, 3), (3, 7), (8, 8)])
def test_no_master_gets_more_than_its_share(tmp_path: Path, per_master: int, processes: int) -> None:
    told, leave = FORK.Queue(), FORK.Event()
    workers = [
        FORK.Process(target=hold, args=(str(tmp_path / "s"), per_master, 0, told, leave)) for _turn in range(processes)
    ]
    for worker in workers:
        worker.start()
    counts = Counter(told.get(timeout=60) for _turn in workers)
    leave.set()
    for worker in workers:
        worker.join(60)
    assert max(counts.values()) <= per_master
    assert max(counts) == (processes - 1) // per_master


def test_a_session_waits_when_all_masters_are_full(tmp_path: Path) -> None:
    told, leave, second = FORK.Queue(), FORK.Event(), FORK.Event()
    first = FORK.Process(target=hold, args=(str(tmp_path / "s"), 1, 1, told, leave))
    first.start()
    assert told.get(timeout=60) == 0
    waiting = FORK.Process(target=hold, args=(str(tmp_path / "s"), 1, 1, told, second))
    waiting.start()
    assert told.empty()
    leave.set()
    assert told.get(timeout=60) == 0
    second.set()
    for worker in (first, waiting):
        worker.join(60)


def test_a_dead_process_holds_nothing(tmp_path: Path) -> None:
    told, leave = FORK.Queue(), FORK.Event()
    worker = FORK.Process(target=hold, args=(str(tmp_path / "s"), 1, 1, told, leave))
    worker.start()
    told.get(timeout=60)
    worker.kill()
    worker.join(60)
    slots = Slots(str(tmp_path / "s"), 1, 1)
    with slots.session() as master:
        assert master == 0
    slots.close()


def opener(path: str, control: str, told: Any, leave: Any) -> None:
    """Come to a master that is not there yet."""
    slots = Slots(path, 8)
    with slots.birth(0, control, 60):
        told.put("through")
        leave.wait(60)
    slots.close()


def test_one_opens_the_master_and_the_others_wait_for_its_socket(tmp_path: Path) -> None:
    told, leave, control = FORK.Queue(), FORK.Event(), str(tmp_path / "c")
    workers = [FORK.Process(target=opener, args=(str(tmp_path / "s"), control, told, leave)) for _turn in range(3)]
    for worker in workers:
        worker.start()
    assert told.get(timeout=60) == "through"
    assert told.empty()
    with socket.socket(socket.AF_UNIX) as master:
        master.bind(control)
        master.listen(10)
        assert [told.get(timeout=60) for _turn in range(2)] == ["through"] * 2
        leave.set()
        for worker in workers:
            worker.join(60)


def test_without_multiplexing_nobody_waits_twice(tmp_path: Path) -> None:
    slots = Slots(str(tmp_path / "s"), 8)
    with slots.birth(0, str(tmp_path / "none"), 60):
        pass
    told, leave = FORK.Queue(), FORK.Event()
    leave.set()
    # a sibling, as far as the parent's id goes
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    assert slots._without(0)
    assert not slots._wait(0, str(tmp_path / "none"), 60)
    slots.close()
    del told


def test_homes_are_kept_for_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(tmp_path / "homes")
    assert Homes(path).get("web") is None
    Homes(path).put("web", "/root")
    Homes(path).put("db", "/home/root ü")
    assert (Homes(path).get("web"), Homes(path).get("db")) == ("/root", "/home/root ü")
    assert (tmp_path / "homes").stat().st_mode & 0o777 == 0o600
    monkeypatch.setattr(os, "getppid", lambda: -1)
    assert Homes(path).get("web") is None
    Homes(path).put("web", "/elsewhere")
    assert Homes(path).get("web") == "/elsewhere"
    assert len((tmp_path / "homes").read_text().splitlines()) == 1
