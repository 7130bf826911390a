# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a file of the host's own is given a new text: whole or not at all, and nothing else of it changes."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import tempfile
from typing import Callable, Dict, Optional, Tuple

from ansible_collections.cellblock.jails.plugins.module_utils.engine.tree import write_all


def led_to(real: str, root: str) -> str:
    """Where a file really is, links to it followed.

    :param root: the directory that stands for ``/``; "" for the real one.
    """
    if not root:
        return os.path.realpath(real)
    for _again in range(16):
        if not os.path.islink(real):
            break
        target = os.readlink(real)
        real = root + target if target.startswith("/") else os.path.join(os.path.dirname(real), target)
    return real


def resolved(path: str, root: str) -> str:
    """A path of the host without links on the way.

    :param root: the directory that stands for ``/``; "" for the real one.
    """
    if not root:
        return os.path.realpath(path)
    done = root
    for name in path.split("/"):
        done = led_to(os.path.join(done, name), root) if name else done
    return done[len(root):] or "/"


class Names:
    """How the operator calls directories of the host that links lead to."""

    def __init__(self) -> None:
        self._called: Dict[str, str] = {}

    def call_by(self, path: str, real: str) -> None:
        """Let what is told of a directory by its real path be called by another path of it."""
        if real != path:
            self._called[real] = path

    def called(self, path: str) -> str:
        """A path that the kernel told, as the operator calls it."""
        for real, name in self._called.items():
            if path == real or path.startswith(f"{real}/"):
                return name + path[len(real):]
        return path


def put(real: str, text: str, mode: Optional[int]) -> None:
    """Put a new file in an old one's place, with its owner and file flags, and its mode unless another is given."""
    try:
        old = os.lstat(real)
    except OSError:
        old = None
    wanted = mode if mode is not None else (stat.S_IMODE(old.st_mode) if old else 0o644)
    os.makedirs(os.path.dirname(real), exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=".cellblock.", dir=os.path.dirname(real))
    try:
        write_all(handle, text)
        if old is not None and (old.st_uid, old.st_gid) != (os.geteuid(), os.getegid()):
            os.fchown(handle, old.st_uid, old.st_gid)
        os.fchmod(handle, wanted)
        os.fsync(handle)
        _put_in_place(temporary, real, getattr(old, "st_flags", 0))
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    finally:
        os.close(handle)


def _put_in_place(temporary: str, real: str, flags: int) -> None:
    """Give a new file an old one's place, and its file flags, such as schg, which would stand in the way."""
    chflags: Optional[Callable[[str, int], None]] = getattr(os, "chflags", None)  # no other system has them
    if not flags or chflags is None:
        os.rename(temporary, real)
        return
    chflags(real, 0)
    try:
        os.rename(temporary, real)
    finally:
        chflags(real, flags)


def fingerprint(real: str) -> Tuple[int, str]:
    """How many files a tree of the host has, and a digest of their names, modes and contents; links are not followed."""
    digest, count = hashlib.sha256(), 0
    for place, folders, names in os.walk(real):
        folders.sort()
        for name in sorted([*names, *(folder for folder in folders if os.path.islink(os.path.join(place, folder)))]):
            path = os.path.join(place, name)
            found = os.lstat(path)
            digest.update(f"{os.path.relpath(path, real)}\0{stat.S_IMODE(found.st_mode):o}\0".encode("utf-8", "surrogateescape"))
            if stat.S_ISLNK(found.st_mode):
                digest.update(os.fsencode(os.readlink(path)))
            elif stat.S_ISREG(found.st_mode):
                with open(path, "rb") as stream:
                    for piece in iter(lambda: stream.read(1 << 20), b""):
                        digest.update(piece)
            count += 1
    return count, digest.hexdigest()
