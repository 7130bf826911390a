# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Somebody swaps a directory for a link while we work below it; nothing outside of the jail's root is ever touched."""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
from pathlib import Path
from typing import Callable, Dict, Iterator

import pytest

from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.engine.tree import Tree
from ansible_collections.cellblock.jails.plugins.module_utils.errors import HostError

ROUNDS = 400


@contextlib.contextmanager
def swapping(directory: Path, victim: Path) -> Iterator[None]:
    """A thread that puts a link to the victim in a directory's place, and the directory back, over and over."""
    over = threading.Event()
    aside = directory.with_name("aside")

    def swap() -> None:
        while not over.is_set():
            directory.rename(aside)
            directory.symlink_to(victim)
            directory.unlink()
            while aside.exists():
                try:
                    aside.rename(directory)
                except OSError:  # made anew meanwhile, by whom we race with
                    shutil.rmtree(directory, ignore_errors=True)

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def private_rounds(tree: Tree, place: Path) -> None:
    """A root comes to its place in another jail's, and is taken out again."""
    made = place / "made"
    made.mkdir(exist_ok=True)
    (made / "file").write_text("ours")
    tree.put_in(str(made), "jails/kid")
    tree.take_out("jails/kid", str(place / "taken"))
    (place / "taken" / "file").unlink()
    (place / "taken").rmdir()


WAYS: Dict[str, Callable[[Tree, Path], object]] = {
    "write": lambda tree, place: tree.write("jails/kid/etc/rc.conf", "ours\n"),
    "makedirs": lambda tree, place: tree.makedirs("jails/kid/a/b/c"),
    "link": lambda tree, place: tree.link("jails/link", "target"),
    "remove": lambda tree, place: tree.remove("jails/kept"),
    "look": lambda tree, place: tree.look("jails/kept"),
    "in and out": private_rounds,
}


@pytest.mark.parametrize("way", WAYS)
def test_a_swap_leads_nowhere(way: str, tmp_path: Path) -> None:
    victim, root, place = tmp_path / "victim", tmp_path / "root", tmp_path / "private"
    for path in (victim, root / "jails", place):
        path.mkdir(parents=True)
    (victim / "kept").write_text("untouched")
    (victim / "kid").mkdir()
    host = Host()
    host.guard([str(root)])
    with swapping(root / "jails", victim):
        for _round in range(ROUNDS):
            with contextlib.suppress(HostError, FileNotFoundError, FileExistsError):
                found = WAYS[way](host.tree(str(root)), place)
                assert getattr(found, "text", None) != "untouched"
    assert sorted(os.listdir(victim)) == ["kept", "kid"] and os.listdir(victim / "kid") == []
    assert (victim / "kept").read_text() == "untouched"
