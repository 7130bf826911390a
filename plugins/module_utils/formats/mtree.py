# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""mtree(5): what a tree holds, as ``mtree -c`` tells it, entry by entry; and how two such lists differ."""

from __future__ import annotations

import hashlib
import re
from typing import Dict, Iterable, Iterator, List, Tuple

from ansible_collections.cellblock.jails.plugins.module_utils.errors import FormatError

KEYS = "type,uid,gid,mode,nlink,flags,link,size,time,sha256digest"
ESCAPED = re.compile(r"\\([0-7]{3}|.)")
Entry = Tuple[str, Dict[str, str]]


def _name(word: str) -> str:
    """A name as it is, see vis(3)."""
    escapes = {"s": " ", "n": "\n", "t": "\t", "r": "\r", "b": "\b", "a": "\a", "v": "\v", "f": "\f", "0": "\0"}
    raw = bytearray()
    place = 0
    for found in ESCAPED.finditer(word):
        raw += word[place:found.start()].encode("utf-8", "surrogateescape")
        code = found.group(1)
        raw += bytes([int(code, 8) & 255]) if len(code) == 3 else escapes.get(code, code).encode()
        place = found.end()
    raw += word[place:].encode("utf-8", "surrogateescape")
    return raw.decode("utf-8", "surrogateescape")


def _whole(lines: Iterable[str]) -> Iterator[str]:
    """Lines of which those that go on are joined."""
    held = ""
    for line in lines:
        text = line.rstrip("\n")
        if text.endswith("\\"):
            held += text[:-1] + " "
            continue
        yield held + text
        held = ""
    if held:
        yield held


def entries(lines: Iterable[str], where: str) -> Iterator[Entry]:
    """What is in the tree: paths below its top, ``.`` first, and what is said of each.

    :raises FormatError: it is no such list.
    """
    usual: Dict[str, str] = {}
    above: List[str] = []
    for number, line in enumerate(_whole(lines), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if words[0] in ("/set", "/unset"):
            for word in words[1:]:
                key, _equals, value = word.partition("=")
                if words[0] == "/set":
                    usual[key] = value
                else:
                    usual.pop(key, None)
            continue
        if words[0] == "..":
            if not above:
                raise FormatError(f"line {number} leads out of the tree", where, "Make the list again by mtree -c")
            above.pop()
            continue
        said = {**usual, **dict(word.partition("=")[::2] for word in words[1:])}
        name = _name(words[0])
        path = name[2:] if name.startswith("./") else "/".join([*above, name])
        if "type" not in said or "/.." in f"/{path}":
            raise FormatError(f"line {number} is no entry of a tree", where, "Make the list again by mtree -c")
        if said["type"] == "dir" and "/" not in name:
            above.append(name)
        yield (path[2:] if path.startswith("./") else path), said


def comparable(lines: Iterable[str]) -> Iterator[str]:
    """The list as a tree can be held against it that an archive was extracted to.

    An archive has no sockets, its top gets a time of its own, and ``uarch`` is set by ZFS on whatever is written.
    """
    usual = ""
    for line in _whole(lines):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        said = dict(word.partition("=")[::2] for word in words[1:])
        if words[0] == "/set":
            usual = said.get("type", usual)
        elif words[0] != ".." and said.get("type", usual) == "socket":
            continue
        told = [word for word in words[1:] if not (words[0] == "." and word.startswith("time="))]
        indent = line[: len(line) - len(line.lstrip())]
        yield indent + " ".join([words[0], *map(_flags, told)]) + "\n"


def _flags(word: str) -> str:
    if not word.startswith("flags="):
        return word
    return f"flags={','.join(flag for flag in word[6:].split(',') if flag != 'uarch') or 'none'}"


def _digest(said: Dict[str, str]) -> bytes:
    words = [f"{key}={value}" for key, value in sorted(said.items()) if key != "nlink" or said["type"] != "dir"]
    return hashlib.blake2b(" ".join(words).encode("utf-8", "surrogateescape"), digest_size=12).digest() + said["type"].encode()


def looks(lines: Iterable[str], where: str) -> Dict[str, bytes]:
    """A short digest of what is said of each path, and its type: little memory for many files."""
    return {path: _digest(said) for path, said in entries(lines, where)}


def differences(before: Dict[str, bytes], after: Dict[str, bytes]) -> Tuple[List[str], List[str]]:
    """The paths that are new or changed, and those that are gone, or of another type now; deepest first."""
    changed = sorted(path for path, look in after.items() if before.get(path) != look and look[12:] != b"socket")
    gone = [path for path, look in before.items() if path not in after or after[path][12:] != look[12:]]
    return changed, sorted(gone, key=lambda path: (-path.count("/"), path))


def size(lines: Iterable[str], where: str) -> int:
    """Bytes of the files, each name counted."""
    return sum(int(said.get("size", "0")) for _path, said in entries(lines, where) if said["type"] == "file")
