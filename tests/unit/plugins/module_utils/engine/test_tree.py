# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The safe door into a tree that an enemy owns."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.engine.lock import locked
from ansible_collections.cellblock.jails.plugins.module_utils.engine.tree import Tree
from ansible_collections.cellblock.jails.plugins.module_utils.errors import Locked, UnsafePath


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/secret").write_text("secret")
    jail = tmp_path / "jail"
    (jail / "etc").mkdir(parents=True)
    return jail


@pytest.mark.parametrize("place", ["etc", "etc/deep", "etc/deep/deeper"])
def test_a_link_on_the_way_is_refused_for_reading_and_writing(root: Path, place: str) -> None:
    target = root / place
    if target.exists():
        target.rmdir()
    target.parent.mkdir(parents=True, exist_ok=True)
    target.symlink_to(root.parent / "outside")
    tree = Tree(str(root))
    for act in (lambda: tree.read(f"{place}/secret"), lambda: tree.write(f"{place}/secret", "x"), lambda: tree.remove(f"{place}/secret")):
        with pytest.raises(UnsafePath, match="not followed"):
            act()
    assert (root.parent / "outside/secret").read_text() == "secret"


def test_a_link_at_the_end_is_told_and_replaced(root: Path) -> None:
    (root / "etc/x").symlink_to("/outside/secret")
    tree = Tree(str(root))
    assert tree.look("etc/x").kind == "link"
    tree.write("etc/x", "new")
    assert not (root / "etc/x").is_symlink() and (root / "etc/x").read_text() == "new"


def test_a_file_swapped_for_a_link_or_fifo_in_between(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "etc/x").write_text("mine")
    real = os.stat

    def stat(path: object, **words: object) -> os.stat_result:
        found = real(path, **words)  # type: ignore[arg-type,call-overload]
        if path == "x":
            os.unlink(root / "etc/x")
            os.mkfifo(root / "etc/x") if fifo else os.symlink("/outside/secret", root / "etc/x")
        return found  # type: ignore[no-any-return]

    for fifo in (False, True):
        (root / "etc/x").unlink()
        (root / "etc/x").write_text("mine")
        with monkeypatch.context() as patched:
            patched.setattr(os, "stat", stat)
            try:
                assert Tree(str(root)).look("etc/x").kind == "other"
            except UnsafePath:
                assert not fifo


def test_huge_files_are_not_read_and_dots_do_not_climb(root: Path) -> None:
    with open(root / "etc/huge", "wb") as stream:
        stream.truncate(1 << 40)
    tree = Tree(str(root))
    with pytest.raises(UnsafePath, match="larger"):
        tree.read("etc/huge")
    for path in ("../outside/secret", "etc/../../outside/secret", ""):
        with pytest.raises(UnsafePath):
            tree.read(path)


@pytest.mark.parametrize("name", ["new\nline", "-rf", "with space", "é", "x" * 255])
def test_odd_names_and_bytes(root: Path, name: str) -> None:
    tree = Tree(str(root))
    tree.write(f"etc/{name}", "a\udcffb\r\n")
    assert tree.read(f"etc/{name}") == "a\udcffb\r\n"
    assert (root / "etc" / name).read_bytes() == b"a\xffb\r\n"
    assert [entry for entry in os.listdir(root / "etc") if entry.startswith(".cellblock")] == []


def test_a_daemon_that_keeps_the_output_open_does_not_hang_a_command() -> None:
    program = "import os,time\nif os.fork() == 0: time.sleep(30)\nprint('done')"
    assert "done" in Host().run([sys.executable, "-c", program], timeout=20).out


def test_a_second_run_says_who_holds_the_lock(tmp_path: Path) -> None:
    (tmp_path / "var/run").mkdir(parents=True)
    first, second = Host(root=str(tmp_path)), Host(root=str(tmp_path))
    with locked(first, 0), pytest.raises(Locked, match=f"process {os.getpid()}"):
        with locked(second, 0):
            pass
    with locked(second, 0):
        pass
