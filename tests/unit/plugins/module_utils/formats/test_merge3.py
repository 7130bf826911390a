# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Texts merged three ways: nothing of the jail's own is lost, and where diff3(1) is at hand it says the same."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.cellblock.jails.plugins.module_utils.formats.merge3 import merge3

TEXTS = st.lists(st.sampled_from("abcdefgh"), max_size=12).map(lambda lines: "".join(f"{line}\n" for line in lines))
OLD = "".join(f"{number}\n" for number in range(10))
# What each side does to a text of ten lines that are all different: by line, None takes it away.
EDITS = st.dictionaries(st.integers(0, 9), st.sampled_from(["", "x\n", "y\n"]), max_size=4)


def edited(edits: "dict[int, str]", side: str) -> str:
    return "".join(f"{side}{edits[line]}" if edits.get(line) else edits.get(line, f"{line}\n") for line in range(10))


@given(TEXTS, TEXTS)
def test_what_one_side_changed_alone_is_what_comes(old: str, other: str) -> None:
    assert merge3(old, other, old).text == other
    assert merge3(old, old, other).text == other
    assert not merge3(old, other, old).hunks


@given(TEXTS, TEXTS)
def test_what_both_changed_alike_is_no_conflict(old: str, both: str) -> None:
    assert (merge3(old, both, both).text, merge3(old, both, both).hunks) == (both, ())


@given(TEXTS, TEXTS, TEXTS)
def test_a_preference_leaves_nothing_undecided(old: str, new: str, ours: str) -> None:
    for prefer in ("keep", "take"):
        assert not merge3(old, new, ours, prefer).hunks
    assert set(ours.split("\n")) - set(old.split("\n")) <= set(merge3(old, new, ours, "keep").text.split("\n")) | {""}


@given(EDITS, EDITS)
def test_no_line_of_the_jails_own_is_ever_lost(new: "dict[int, str]", ours: "dict[int, str]") -> None:
    merged = merge3(OLD, edited(new, "new "), edited(ours, "own "))
    lines = merged.text.splitlines()
    assert all(line in lines for line in edited(ours, "own ").splitlines() if line.startswith("own "))


@given(EDITS, EDITS)
def test_merging_twice_changes_nothing(new: "dict[int, str]", ours: "dict[int, str]") -> None:
    theirs = edited(new, "new ")
    merged = merge3(OLD, theirs, edited(ours, "own "))
    if not merged.hunks:
        assert merge3(OLD, theirs, merged.text) == merged


@given(EDITS, EDITS)
def test_changes_of_lines_apart_never_conflict(new: "dict[int, str]", ours: "dict[int, str]") -> None:
    apart = {line: edit for line, edit in ours.items() if not {line - 1, line, line + 1} & set(new)}
    merged = merge3(OLD, edited(new, "new "), edited(apart, "own "))
    assert not merged.hunks
    both = {**{line: f"new {edit}" if edit else "" for line, edit in new.items()}, **{line: f"own {edit}" if edit else "" for line, edit in apart.items()}}
    assert merged.text == "".join(both.get(line, f"{line}\n") for line in range(10))


def test_a_conflict_says_where_and_what() -> None:
    merged = merge3("a\nb\nc\n", "a\nnew\nc\n", "0\na\nown\nc\n")
    assert [(hunk.place, hunk.ours, hunk.old, hunk.new) for hunk in merged.hunks] == [("line 3", "own\n", "b\n", "new\n")]
    assert merged.text == "0\na\nown\nc\n"
    assert "own\n" in str(merged.hunks[0]) and "new\n" in str(merged.hunks[0])
    assert merge3("a\nb\nc\n", "a\nnew\nc\n", "0\na\nown\nc\n", "take").text == "0\na\nnew\nc\n"


def test_a_text_without_a_last_newline() -> None:
    assert merge3("a\nb", "a\nb\nc\n", "a\nb").text == "a\nb\nc\n"
    assert merge3("a\n1\nb", "new\n1\nb", "a\n1\nb\n").text == "new\n1\nb\n"


@pytest.mark.skipif(shutil.which("diff3") is None, reason="diff3(1) is not here")
@settings(max_examples=30)
@given(EDITS, EDITS)
def test_as_diff3_merges(tmp_path: Path, new: "dict[int, str]", ours: "dict[int, str]") -> None:
    texts = {"ours": edited(ours, "own "), "old": OLD, "new": edited(new, "new ")}
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    said = subprocess.run(["diff3", "-E", "-m", *(str(tmp_path / name) for name in texts)], capture_output=True, text=True, check=False)
    merged = merge3(texts["old"], texts["new"], texts["ours"])
    assert bool(merged.hunks) == (said.returncode == 1)
    if said.returncode == 0:
        assert merged.text == said.stdout
