# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The root of a jail merged three ways: its base as it was, its base as it becomes, and what the jail made of it."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass, replace
from typing import Dict, List, Mapping, Optional, Sequence, Tuple

from ansible_collections.cellblock.jails.plugins.module_utils.engine.tree import LIMIT
from ansible_collections.cellblock.jails.plugins.module_utils.engine.walk import Stamp, Walk
from ansible_collections.cellblock.jails.plugins.module_utils.formats.keyed import merge_file
from ansible_collections.cellblock.jails.plugins.module_utils.formats.merge3 import OURS, THEIRS, Hunk
from ansible_collections.cellblock.jails.plugins.module_utils.upgrades.views import DATABASES, Stamps

Rules = Mapping[str, str]


@dataclass(frozen=True)
class Change:
    """What becomes of one path.

    :param act: ``take`` what the new base has, ``write`` a merged text, ``remove``, or ``shape`` mode and owners only.
    :param stamp: what it is to be.
    :param before: the text before, and after, when they are texts.
    """

    path: str
    act: str
    stamp: Stamp
    before: Optional[str] = None
    after: Optional[str] = None

    @property
    def size(self) -> int:
        """Bytes that it needs."""
        return self.stamp.size if self.act == "take" else len(self.after or "")


@dataclass(frozen=True)
class Conflict:
    """What has to be decided first."""

    path: str
    why: str
    hunks: Tuple[Hunk, ...] = ()

    def __str__(self) -> str:
        places = f" at {', '.join(hunk.place for hunk in self.hunks)}" if self.hunks else ""
        return f"/{self.path}: {self.why}{places}"


@dataclass(frozen=True)
class Merge:
    """What a root needs to stand on its new base.

    :param kept: paths where the jail's own word stands against that of the new base, and nothing was to be decided.
    """

    changes: Tuple[Change, ...] = ()
    conflicts: Tuple[Conflict, ...] = ()
    kept: Tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """Bytes that it needs."""
        return sum(change.size for change in self.changes)

    @property
    def databases(self) -> List[str]:
        """The files whose databases are made anew."""
        changed = {change.path for change in self.changes if change.act in ("take", "write")}
        return sorted(changed & set(DATABASES.values()))


@dataclass(frozen=True)
class Bases:
    """Two bases, and where they differ.

    :param paths: what is not alike in them, in order.
    """

    old: Walk
    new: Walk
    was: Stamps
    now: Stamps
    paths: Tuple[str, ...]

    @classmethod
    def compare(cls, old: Walk, new: Walk, was: Stamps, now: Stamps) -> Bases:
        """Find where they differ."""
        names = sorted({*was, *now})
        differing = tuple(path for path in names if not _alike(was.get(path), now.get(path), old, new, path, shaped=True))
        return cls(old, new, was, now, differing)


def merge(bases: Bases, ours: Walk, rules: Rules) -> Merge:
    """What becomes of a root. Nothing is changed.

    :param ours: the root.
    :param rules: who is right at a path, ``keep`` for the jail and ``take`` for the new base, where both changed it.
    """
    changes: List[Change] = []
    conflicts: List[Conflict] = []
    kept: List[str] = []
    for path in bases.paths:
        found = _Path(bases, ours, path, _rule(rules, path)).decide()
        if isinstance(found, Change):
            changes.append(found)
        elif isinstance(found, Conflict):
            conflicts.append(found)
        elif found:
            kept.append(path)
    # What goes, goes from the leaves up.
    gone = sorted((change for change in changes if change.act == "remove"), key=lambda one: -one.path.count("/"))
    stays = [change for change in changes if change.act != "remove"]
    return Merge((*stays, *gone), tuple(conflicts), tuple(kept))


def _rule(rules: Rules, path: str) -> Optional[str]:
    """The rule for a path: its own, that of the nearest directory, or the one for all."""
    given = {key.strip("/"): value for key, value in rules.items()}
    while path:
        if path in given:
            return given[path]
        path = posixpath.dirname(path)
    return given.get("")


class _Path:
    """One path on its three sides."""

    def __init__(self, bases: Bases, ours: Walk, path: str, rule: Optional[str]) -> None:
        self.bases, self.ours, self.path, self.rule = bases, ours, path, rule
        self.old, self.new, self.own = bases.was.get(path), bases.now.get(path), ours.stamp(path)

    def decide(self) -> "Change | Conflict | bool":
        """A change, a conflict, or whether the jail's own word stands."""
        old, new, own = self.old, self.new, self.own
        if own is None:
            return self._take() if old is None and new is not None else self._gone()
        if new is None:
            if self._is_old():
                return Change(self.path, "remove", own, self._text(self.ours, own), None)
            return True
        if own.kind == new.kind == "directory":
            return self._shape(own, new)
        if self._is_old():
            return self._take()
        if _alike(own, new, self.ours, self.bases.new, self.path):
            return self._shape(own, new)
        if old is not None and _alike(old, new, self.bases.old, self.bases.new, self.path):
            return self._shape(own, new)  # only mode or owners differ
        return self._both(old, new, own)

    def _gone(self) -> bool:
        """The jail took it away, and the new base has it still: it stays away."""
        return self.new is not None

    def _is_old(self) -> bool:
        return self.old is not None and _alike(self.own, self.old, self.ours, self.bases.old, self.path, quick=True)

    def _take(self) -> Change:
        stamp = self.new or Stamp("other")
        if self.own is not None and self.old is not None and self.own.shape() != self.old.shape():
            stamp = _reshaped(stamp, _shaped(self.old, stamp, self.own))
        before = self._text(self.ours, self.own) if self.own is not None else None
        return Change(self.path, "take", stamp, before, self._text(self.bases.new, self.new))

    def _shape(self, own: Stamp, new: Stamp) -> "Change | bool":
        wanted = _shaped(self.old or new, new, own)
        if wanted == own.shape() or own.kind == "link" or self.old is None:
            return False
        return Change(self.path, "shape", _reshaped(own, wanted))

    def _both(self, old: Optional[Stamp], new: Stamp, own: Stamp) -> "Change | Conflict | bool":
        texts = [
            self._text(tree, stamp) if stamp is not None and stamp.kind == "file" else "" if stamp is None else None
            for tree, stamp in ((self.bases.old, old), (self.bases.new, new), (self.ours, own))
        ]
        if any(text is None for text in texts):
            if self.rule is not None:
                return self._take() if self.rule == THEIRS else True
            kinds = {stamp.kind for stamp in (old, new, own) if stamp is not None}
            return Conflict(self.path, "both changed it" if kinds == {"file"} else f"it is a {own.kind} in the jail, and a {new.kind} in the new base")
        merged = merge_file(self.path, [text or "" for text in texts], self.rule)
        if merged.hunks:
            return Conflict(self.path, "both changed it" if old is not None else "both have one of their own", merged.hunks)
        if merged.text == texts[2]:
            return self._shape(own, new) or True
        return Change(self.path, "write", _reshaped(own, _shaped(old or new, new, own)), texts[2], merged.text)

    def _text(self, tree: Walk, stamp: Optional[Stamp]) -> Optional[str]:
        """A text that can be shown and merged; None for what is none."""
        if stamp is None or stamp.kind == "directory":
            return None
        if stamp.kind == "link":
            return f"-> {stamp.target}\n"
        if stamp.kind != "file" or stamp.size > LIMIT:
            return None
        found = tree.look(self.path).text
        return None if found is None or "\0" in found else found


def _reshaped(stamp: Stamp, shape: Tuple[int, int, int]) -> Stamp:
    mode, uid, gid = shape
    return replace(stamp, mode=mode, uid=uid, gid=gid)


def _shaped(old: Stamp, new: Stamp, own: Stamp) -> Tuple[int, int, int]:
    """Mode and owners, three ways; where both changed one, the jail's stands."""
    mode, uid, gid = (
        now if mine == was else mine for was, now, mine in zip(old.shape(), new.shape(), own.shape())
    )
    return mode, uid, gid


def _alike(
    one: Optional[Stamp], other: Optional[Stamp], tree: Walk, another: Walk, path: str, shaped: bool = False, quick: bool = False
) -> bool:
    """Whether the same is at a path of two trees.

    :param shaped: whether mode and owners count.
    :param quick: whether one was copied from the other, so that size and time tell; two releases may have them alike.
    """
    if one is None or other is None or one.kind != other.kind:
        return one is other
    if shaped and one.kind != "link" and one.shape() != other.shape():
        return False
    if one.kind == "link":
        return one.target == other.target
    if one.kind != "file":
        return True
    if one.size != other.size:
        return False
    untouched = quick and one.mtime == other.mtime and "/" in path and not path.startswith(("etc/", "var/", "root/"))
    return untouched or tree.same(another, path)


def resolved(changes: Sequence[Change]) -> Dict[str, str]:
    """What is done with each path, in words."""
    words = {"take": "new", "write": "merged", "remove": "removed", "shape": "mode"}
    return {f"/{change.path}": words[change.act] for change in changes}


__all__ = ["OURS", "THEIRS", "Bases", "Change", "Conflict", "Merge", "Rules", "merge", "resolved"]
