# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A text merged three ways, line by line, as ``diff3 -m OURS OLD NEW`` does."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Iterator, List, Optional, Sequence, Tuple

OURS, THEIRS = "keep", "take"
Region = Tuple[int, int, int, int]  # where it begins in old, in ours, in new, and how many lines it has


@dataclass(frozen=True)
class Hunk:
    """A place that both sides changed, each in its own way.

    :param place: the line of ours where it begins, from 1; or the key of an entry.
    """

    place: str
    ours: str
    old: str
    new: str

    def __str__(self) -> str:
        sides = (("<<<<<<< the jail's\n", self.ours), ("||||||| old\n", self.old), ("=======\n", self.new))
        return "".join(mark + _closed(text) for mark, text in sides) + ">>>>>>> new\n"


@dataclass(frozen=True)
class Merged:
    """What came of it.

    :param text: the merged text; where there are hunks, ours stands.
    :param hunks: what has to be decided.
    """

    text: str
    hunks: Tuple[Hunk, ...] = ()


def merge3(old: str, new: str, ours: str, prefer: Optional[str] = None) -> Merged:
    """Merge what became of a text, since it was ``old``, on two sides.

    Only changes that touch each other conflict: at least one line that all three have parts the others.

    :param prefer: whose lines stand where both sides changed: ``keep`` ours, ``take`` new; None leaves the hunks.
    """
    if ours in (old, new):
        return Merged(new)
    if new == old:
        return Merged(ours)
    sides = tuple(map(_lines, (old, ours, new)))
    found: List[str] = []
    hunks: List[Hunk] = []
    at = (0, 0, 0)
    for region in _common(*sides):
        piece = tuple("".join(side[begin:end]) for side, begin, end in zip(sides, at, region))
        found.append(_chosen(piece, prefer, at[1], hunks))
        at = (region[0] + region[3], region[1] + region[3], region[2] + region[3])
        found.append("".join(sides[0][region[0]:at[0]]))
    return Merged("".join(found), tuple(hunks))


def _chosen(piece: Sequence[str], prefer: Optional[str], line: int, hunks: List[Hunk]) -> str:
    """The text of a place between common lines."""
    old, ours, new = piece
    if ours in (old, new):
        return new
    if new == old:
        return ours
    if prefer == THEIRS:
        return new
    if prefer is None:
        hunks.append(Hunk(f"line {line + 1}", ours, old, new))
    return ours


def _lines(text: str) -> List[str]:
    """Only a newline ends a line: str.splitlines() knows ten more ends."""
    parts = text.split("\n")
    return [f"{part}\n" for part in parts[:-1]] + ([parts[-1]] if parts[-1] else [])


def _common(old: Sequence[str], ours: Sequence[str], new: Sequence[str]) -> Iterator[Region]:
    """The runs of lines that all three have, in order; an empty one at the ends."""
    left = SequenceMatcher(None, old, ours, autojunk=False).get_matching_blocks()
    right = SequenceMatcher(None, old, new, autojunk=False).get_matching_blocks()
    one = other = 0
    while one < len(left) and other < len(right):
        (begin, in_ours, length), (again, in_new, size) = left[one], right[other]
        start, end = max(begin, again), min(begin + length, again + size)
        if start < end:
            yield start, in_ours + start - begin, in_new + start - again, end - start
        if begin + length < again + size:
            one += 1
        else:
            other += 1
    yield len(old), len(ours), len(new), 0


def _closed(text: str) -> str:
    return text if not text or text.endswith("\n") else f"{text}\n"
