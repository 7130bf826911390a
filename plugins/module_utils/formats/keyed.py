# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Texts that are lists of entries with a key, merged three ways by key: the order of lines means nothing in them."""

from __future__ import annotations

import re
from typing import Callable, Dict, List, Mapping, Optional, Sequence, Tuple

from ansible_collections.cellblock.jails.plugins.module_utils.formats.merge3 import THEIRS, Hunk, Merged, merge3

Key = Tuple[str, ...]
Entries = Dict[Key, str]
# Merges the texts of one entry, old, new and ours, when both sides changed it; None when that cannot be.
Within = Callable[[str, str, str, Optional[str]], Optional[str]]


def merge_keyed(kind: str, old: str, new: str, ours: str, prefer: Optional[str] = None) -> Merged:
    """Merge a text of a kind of :data:`KINDS`; see :func:`merge3.merge3`.

    What the jail added stays, what it took away stays away, what it did not touch becomes new.
    """
    if ours in (old, new):
        return Merged(new)
    if new == old:
        return Merged(ours)
    key, within = KINDS[kind]
    was, now, own = (_entries(text, key) for text in (old, new, ours))
    found: Entries = {}
    hunks: List[Hunk] = []
    for name in _order(own, now):
        one = _entry(name, (was.get(name), now.get(name), own.get(name)), within, prefer, hunks)
        if one is not None:
            found[name] = one
    return Merged("".join(found.values()), tuple(hunks))


def _entry(
    name: Key, sides: Tuple[Optional[str], Optional[str], Optional[str]], within: Optional[Within], prefer: Optional[str],
    hunks: List[Hunk],
) -> Optional[str]:
    old, new, ours = sides
    if ours == old:
        return new
    if new in (old, ours):
        return ours
    if new is None or ours is None:  # gone on one side, changed on the other: the jail's word
        return ours
    merged = within(old, new, ours, prefer) if within is not None and old is not None else None
    if merged is not None:
        return merged
    if prefer == THEIRS:
        return new
    if prefer is None:
        hunks.append(Hunk(" ".join(filter(None, name)).strip("\0\n"), ours, old or "", new))
    return ours


def _order(own: Entries, now: Entries) -> List[Key]:
    """Ours in its order; what is only new comes after what is before it there."""
    order = list(own)
    known = set(own)
    before: Optional[Key] = None
    for name in now:
        if name not in known:
            order.insert(order.index(before) + 1 if before is not None else 0, name)
            known.add(name)
        before = name
    return order


def _entries(text: str, key: Callable[[str], str]) -> Entries:
    """The entries by key, each with the lines that continue it; what has no key, such as a comment, is its own."""
    found: Entries = {}
    times: Dict[str, int] = {}
    for piece in _pieces(text):
        name = key(piece)
        label = f"\0{piece}" if not name else name
        times[label] = times.get(label, 0) + 1
        found[(name or label, str(times[label]) if times[label] > 1 else "")] = piece
    return found


def _pieces(text: str) -> List[str]:
    """Lines, each with those that continue it: after a backslash, or begun by a blank."""
    found: List[str] = []
    goes_on = False
    for line in text.split("\n"):
        blank = line[:1] in (" ", "\t") and line.strip() and not line.lstrip().startswith("#")
        if found and (goes_on or (blank and not found[-1].lstrip().startswith("#") and found[-1].strip())):
            found[-1] += line + "\n"
        else:
            found.append(line + "\n")
        goes_on = line.endswith("\\") and not line.startswith("#")
    if found[-1] == "\n":  # what follows the last line's end
        found.pop()
    return found


# -- what the key of an entry is; "" when it has none


def _to_colon(piece: str) -> str:
    return "" if piece.startswith("#") or ":" not in piece else piece.partition(":")[0].strip()


def _alias(piece: str) -> str:
    return _to_colon(piece).strip('"').lower()


def _class(piece: str) -> str:
    return _to_colon(piece).partition("|")[0]


def _service(piece: str) -> str:
    words = piece.partition("#")[0].split()
    return " ".join(words[:2]) if len(words) > 1 else ""


# -- what both sides changed


def _fields(old: str, new: str, ours: str, prefer: Optional[str]) -> Optional[str]:
    """Field by field, as passwd(5) has them; members of a group(5) one by one."""
    sides = [text.rstrip("\n").split(":") for text in (old, new, ours)]
    if len({len(side) for side in sides}) != 1:
        return None
    found = []
    for was, now, own in zip(*sides):
        if own == was:
            found.append(now)
        elif now in (was, own):
            found.append(own)
        elif len(sides[0]) == 4 and len(found) == 3:
            found.append(_members(was, now, own))
        elif prefer is not None:
            found.append(now if prefer == THEIRS else own)
        else:
            return None
    return ":".join(found) + "\n"


def _members(old: str, new: str, ours: str) -> str:
    was, now, own = (list(filter(None, side.split(","))) for side in (old, new, ours))
    kept = [name for name in own if name in now or name not in was]
    return ",".join(dict.fromkeys([*kept, *(name for name in now if name not in was)]))


def _capabilities(old: str, new: str, ours: str, prefer: Optional[str]) -> Optional[str]:
    """One after another, as login.conf(5) has them: by what is before their ``=``, ``#`` or ``@``."""
    records = [_split_record(text) for text in (old, new, ours)]
    sides = [capabilities for _head, capabilities in records]
    names = dict.fromkeys([*sides[2], *sides[1]])
    found = []
    for name in names:
        was, now, own = (side.get(name) for side in sides)
        one = now if own == was or (prefer == THEIRS and now != was) else own
        if one is None or own in (was, now) or now == was or prefer is not None or own is None or now is None:
            found += [one] if one is not None else []
        else:
            return None
    head = merge3(records[0][0], records[1][0], records[2][0], prefer)
    return head.text + ":\\\n" + "".join(f"\t:{one}:\\\n" for one in found).rstrip("\\\n") + "\n" if not head.hunks else None


def _split_record(text: str) -> Tuple[str, Mapping[str, str]]:
    joined = re.sub(r"\\\n\s*", "", text).strip()
    head, *rest = (part.strip() for part in re.split(r"(?<!\\):", joined))
    return head, {re.split("[=#@]", part)[0]: part for part in rest if part}


KINDS: Mapping[str, Tuple[Callable[[str], str], Optional[Within]]] = {
    "master.passwd": (_to_colon, _fields),
    "group": (_to_colon, _fields),
    "login.conf": (_class, _capabilities),
    "services": (_service, None),
    "aliases": (_alias, None),
}
PATHS: Mapping[str, str] = {
    "etc/master.passwd": "master.passwd", "etc/group": "group", "etc/login.conf": "login.conf", "etc/services": "services",
    "etc/mail/aliases": "aliases", "etc/aliases": "aliases",
}


def merge_file(path: str, sides: Sequence[str], prefer: Optional[str] = None) -> Merged:
    """Merge the texts of a file, old, new and ours: by key where its path tells a kind, else by line."""
    old, new, ours = sides
    kind = PATHS.get(path)
    return merge3(old, new, ours, prefer) if kind is None else merge_keyed(kind, old, new, ours, prefer)
