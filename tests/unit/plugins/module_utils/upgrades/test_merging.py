# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Roots merged with two bases: nothing of the jail's own is lost, twice is once, and no link leads out."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Dict, Iterator, Mapping, Tuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.engine.walk import Walk
from ansible_collections.cellblock.jails.plugins.module_utils.errors import CellblockError, UnsafePath
from ansible_collections.cellblock.jails.plugins.module_utils.upgrades import applying, keeping, views
from ansible_collections.cellblock.jails.plugins.module_utils.upgrades.merging import Bases, Merge, merge

# A text, a link (its target), or a directory that holds nothing.
THINGS = st.sampled_from(["a\n", "b\n", "a\nb\nc\n", "a\nx\nc\n", "\0binary one", "\0binary two", "-> a", "-> b", "/"])
NAMES = st.sampled_from(["etc/one", "etc/two", "etc/d/three", "var/four", "bin/five", "root/.six"])
TREES = st.dictionaries(NAMES, THINGS, max_size=6)
Tree = Mapping[str, str]


@pytest.fixture
def place() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp())
    yield path
    shutil.rmtree(path)


def lay(root: Path, tree: Tree) -> None:
    shutil.rmtree(root, ignore_errors=True)
    for top in ("etc", "var"):
        (root / top).mkdir(parents=True)
    for path, thing in tree.items():
        real = root / path
        real.parent.mkdir(parents=True, exist_ok=True)
        if thing == "/":
            real.mkdir()
        elif thing.startswith("-> "):
            real.symlink_to(thing[3:])
        else:
            real.write_text(thing)


def read(root: Path) -> Dict[str, str]:
    found = {}
    for where, directories, files in os.walk(root):
        for name in [*directories, *files]:
            real = Path(where, name)
            path = str(real.relative_to(root))
            found[path] = f"-> {os.readlink(real)}" if real.is_symlink() else "/" if real.is_dir() else real.read_text()
    return found


def bases_of(place: Path, old: Tree, new: Tree) -> Tuple[Host, Bases]:
    host = Host(root=str(place))
    lay(place / "old", old)
    lay(place / "new", new)
    walks = Walk.of(host, "/old"), Walk.of(host, "/new")
    return host, Bases.compare(*walks, *(views.whole(walk.survey(views.enters)) for walk in walks))


def merged(place: Path, old: Tree, new: Tree, ours: Tree, rules: Mapping[str, str]) -> Tuple[Host, Bases, Merge]:
    host, bases = bases_of(place, old, new)
    lay(place / "jail", ours)
    return host, bases, merge(bases, Walk.of(host, "/jail"), rules)


@settings(max_examples=60)
@given(TREES, TREES)
def test_a_jail_that_changed_nothing_becomes_the_new_base(old: Tree, new: Tree) -> None:
    with tempfile.TemporaryDirectory() as name:
        host, bases, found = merged(Path(name), old, new, old, {})
        assert not found.conflicts
        applying.apply(host, "web", "/jail", bases, {})
        have, want = read(Path(name, "jail")), read(Path(name, "new"))
        assert {path: thing for path, thing in have.items() if thing != "/"} == {path: thing for path, thing in want.items() if thing != "/"}


@settings(max_examples=100)
@given(TREES, TREES, TREES, st.sampled_from(["", "keep", "take"]))
def test_nothing_of_its_own_is_lost_and_twice_is_once(old: Tree, new: Tree, ours: Tree, rule: str) -> None:
    rules = {"/": rule} if rule else {}
    with tempfile.TemporaryDirectory() as name:
        host, bases, found = merged(Path(name), old, new, ours, rules)
        before = read(Path(name, "jail"))
        if found.conflicts:
            with pytest.raises(CellblockError):
                applying.apply(host, "web", "/jail", bases, rules)
            assert read(Path(name, "jail")) == before
            return
        try:
            applying.apply(host, "web", "/jail", bases, rules)
        except CellblockError:
            assert rule == "take"  # a directory of the jail's own that is not empty is never emptied for a file
            return
        after = read(Path(name, "jail"))
        for path, thing in ours.items():
            if thing != old.get(path) and path not in new:
                assert after[path] == thing
            if thing != old.get(path) and rule != "take" and "\0" not in thing and thing[0] not in "-/":
                assert set(thing.split("\n")) - set((old.get(path) or "").split("\n")) <= set(after[path].split("\n")) | {""}
        for path in set(old) - set(ours):
            assert path not in after or path not in old or after[path] == "/", "what it took away stays away"
        again = merge(bases, Walk.of(host, "/jail"), rules)
        assert not again.conflicts
        applying.apply(host, "web", "/jail", bases, rules)
        assert read(Path(name, "jail")) == after


def test_no_link_is_followed(place: Path) -> None:
    outside = place / "outside"
    outside.mkdir()
    (outside / "one").write_text("the host's\n")
    host, bases, _found = merged(place, {"etc/one": "a\n", "etc/d/three": "a\n"}, {"etc/one": "b\n", "etc/d/three": "b\n", "etc/d/new": "n\n"}, {}, {})
    (place / "jail/etc/one").symlink_to("/outside/one")
    (place / "jail/etc/d").symlink_to(outside)
    found = merge(bases, Walk.of(host, "/jail"), {})
    assert [conflict.path for conflict in found.conflicts] == ["etc/one"]
    with pytest.raises(UnsafePath):
        applying.apply(host, "web", "/jail", bases, {"/": "take"})
    assert sorted(os.listdir(outside)) == ["one"] and (outside / "one").read_text() == "the host's\n"


def test_mode_and_owners_are_merged_too(place: Path) -> None:
    host, bases, _found = merged(place, {"etc/one": "a\n", "etc/two": "a\n"}, {"etc/one": "a\n", "etc/two": "b\n"}, {"etc/one": "a\n", "etc/two": "a\n"}, {})
    for path, mode in (("new/etc/one", 0o600), ("jail/etc/two", 0o640)):
        (place / path).chmod(mode)
    bases = bases_of_again(host)
    applying.apply(host, "web", "/jail", bases, {})
    modes = [(place / "jail/etc" / name).stat().st_mode & 0o777 for name in ("one", "two")]
    assert modes == [0o600, 0o640] and (place / "jail/etc/two").read_text() == "b\n"


def bases_of_again(host: Host) -> Bases:
    walks = Walk.of(host, "/old"), Walk.of(host, "/new")
    return Bases.compare(*walks, *(views.whole(walk.survey(views.enters)) for walk in walks))


def test_names_of_one_file_stay_names_of_one_file(place: Path) -> None:
    host, _bases, _found = merged(place, {"bin/five": "a\n"}, {"bin/five": "b\n"}, {"bin/five": "a\n"}, {})
    for tree in ("old", "new", "jail"):
        os.link(place / tree / "bin/five", place / tree / "bin/six")
    applying.apply(host, "web", "/jail", bases_of_again(host), {})
    assert (place / "jail/bin/five").stat().st_ino == (place / "jail/bin/six").stat().st_ino
    assert (place / "jail/bin/six").read_text() == "b\n"


def test_a_thin_jail_is_given_links_where_the_base_has_more(place: Path) -> None:
    host, _bases, _found = merged(place, {}, {"opt/x": "x\n", "usr/fresh/y": "y\n", "etc/rc.d/sshd": "s\n", "etc/one": "b\n"}, {}, {})
    walks = Walk.of(host, "/old"), Walk.of(host, "/new")
    bases = Bases.compare(*walks, *(views.thin(walk.survey(views.enters_thin)) for walk in walks))
    applying.apply(host, "web", "/jail", bases, {})
    after = read(place / "jail")
    assert (after["opt"], after["usr/fresh"], after["etc/rc.d"]) == ("-> basejail/opt", "-> ../basejail/usr/fresh", "-> ../basejail/etc/rc.d")
    assert after["etc/one"] == "b\n"


@settings(max_examples=60)
@given(TREES, TREES, st.booleans())
def test_a_copy_is_brought_up_to_date(before: Tree, after: Tree, at_once: bool) -> None:
    with tempfile.TemporaryDirectory() as name:
        host = Host(root=name)
        lay(Path(name, "jail"), after)
        lay(Path(name, "copy"), before)
        since = int(Path(name, "jail").stat().st_mtime) if at_once else 0
        keeping.refresh(Walk.of(host, "/jail"), Walk.of(host, "/copy"), since)
        assert read(Path(name, "copy")) == read(Path(name, "jail"))
