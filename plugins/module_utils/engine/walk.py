# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole trees: what is in one, and how single things of another are put in, with all that they are; never over a link."""

from __future__ import annotations

import contextlib
import os
import stat
import threading
from dataclasses import dataclass
from typing import Any, Callable, Dict, Iterator, Optional, Tuple

from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.engine.tree import ENTERED, Tree
from ansible_collections.cellblock.jails.plugins.module_utils.errors import HostError, UnsafePath

PIECE = 1 << 20
SECOND = 10 ** 9  # nanoseconds
READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
MADE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
# Python has chflags(2) by path only, so its directory is entered; nobody else may have entered another meanwhile.
ENTERING = threading.Lock()


@dataclass(frozen=True)
class Stamp:
    """What is at a path, without its content.

    :param mtime: when it was changed, in nanoseconds.
    :param target: where a link leads to.
    :param shared: which inode it is, when it has other names too.
    """

    kind: str  # file, directory, link, other
    mode: int = 0o755
    uid: int = 0
    gid: int = 0
    size: int = 0
    mtime: int = 0
    flags: int = 0
    target: str = ""
    shared: Optional[Tuple[int, int]] = None

    def shape(self) -> Tuple[int, int, int]:
        """Mode and owners."""
        return self.mode, self.uid, self.gid


class Walk(Tree):
    """A tree that is walked through."""

    @classmethod
    def of(cls, host: Host, path: str) -> Walk:
        """The tree at a path of a host."""
        outer = host.outer(path)
        return cls(host.real(path), path, None if outer is None else host.real(outer))

    def survey(self, enters: Callable[[str], bool]) -> Dict[str, Stamp]:
        """All that is in it, what is mounted there aside.

        :param enters: whether a directory's content is wanted too, by its path.
        """
        found: Dict[str, Stamp] = {}
        top = self._top()
        try:
            device = os.fstat(top).st_dev
            for path, stamp in _survey(top, "", device, enters):
                found[path] = stamp
        except RecursionError as error:
            raise UnsafePath("is nested deeper than anything of a system's", self.path, "Look at what the jail's root did there") from error
        finally:
            os.close(top)
        return found

    def stamp(self, path: str) -> Optional[Stamp]:
        """What is at a path; None when nothing is, or when the way to it is no directory."""
        try:
            with self._parent(path) as (parent, name):
                return _stamp(os.stat(name, dir_fd=parent, follow_symlinks=False), name, parent)
        except (FileNotFoundError, UnsafePath):
            return None

    def same(self, other: Walk, path: str) -> bool:
        """Whether a file's content is the same as that of another tree's."""
        with self._reading(path) as one, other._reading(path) as two:
            while True:
                piece, again = os.read(one, PIECE), os.read(two, PIECE)
                if piece != again:
                    return False
                if not piece:
                    return True

    @contextlib.contextmanager
    def _reading(self, path: str) -> Iterator[int]:
        with self._parent(path) as (parent, name):
            handle = os.open(name, READ, dir_fd=parent)
        try:
            yield handle
        finally:
            os.close(handle)

    def bring(self, source: Walk, path: str, stamp: Stamp, names: Dict[Tuple[int, int], str]) -> None:
        """Put what another tree has at a path into the same place of this one, whole or not at all.

        :param stamp: what it is there.
        :param names: where inodes with several names were put before; learns of this one.
        """
        found = self.stamp(path)
        if found is not None and (found.kind == "directory") != (stamp.kind == "directory"):
            self.discard(path)
        if stamp.kind == "directory":
            self.makedirs(path, stamp.mode)
            self.shape(path, stamp)
        elif stamp.kind == "link":
            self.loosen(path)
            self.link(path, stamp.target)
        else:
            self.loosen(path)
            before = names.get(stamp.shared) if stamp.shared is not None else None
            self._place(path, (lambda parent, new: self._again(before, parent, new)) if before else lambda parent, new: _copy(source, path, stamp, parent, new))
            if stamp.shared is not None:
                names.setdefault(stamp.shared, path)
            if stamp.flags:
                with self._parent(path) as (parent, name):
                    _set_flags(parent, name, stamp.flags)

    def _place(self, path: str, make: Callable[[int, str], None]) -> None:
        with self._parent(path, make=True) as (parent, name):
            temporary = f".cellblock.{os.urandom(8).hex()}"
            try:
                make(parent, temporary)
                os.rename(temporary, name, src_dir_fd=parent, dst_dir_fd=parent)
            except OSError as error:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(temporary, dir_fd=parent)
                raise HostError(f"cannot be put there: {error.strerror}", f"{self.path}/{path}") from error

    def _again(self, before: Optional[str], parent: int, new: str) -> None:
        """One more name for what was put elsewhere."""
        with self._parent(before or "") as (other, name):
            os.link(name, new, src_dir_fd=other, dst_dir_fd=parent, follow_symlinks=False)

    def shape(self, path: str, stamp: Stamp) -> None:
        """Give what is at a path another mode and owners."""
        with self._parent(path) as (parent, name):
            if stamp.kind == "link":
                return
            handle = os.open(name, READ, dir_fd=parent)
            try:
                if os.geteuid() == 0:
                    os.fchown(handle, stamp.uid, stamp.gid)
                os.fchmod(handle, stamp.mode)
            finally:
                os.close(handle)

    def loosen(self, path: str) -> None:
        """Take away the file flags that keep something from being replaced, such as schg; see chflags(1)."""
        found = self.stamp(path)
        if found is not None and found.flags:
            with self._parent(path) as (parent, name):
                _set_flags(parent, name, 0)

    def flag(self, path: str, flags: int) -> None:
        """Give it file flags, see chflags(1)."""
        if flags:
            with self._parent(path) as (parent, name):
                _set_flags(parent, name, flags)

    def discard(self, path: str) -> None:
        """Remove a file, a link, or a directory that is empty; another directory stays."""
        found = self.stamp(path)
        if found is None:
            return
        self.loosen(path)
        if found.kind != "directory":
            self.remove(path)
            return
        with self._parent(path) as (parent, name), contextlib.suppress(OSError):
            os.rmdir(name, dir_fd=parent)


def _stamp(found: os.stat_result, name: str, parent: int) -> Stamp:
    kind = "other"
    target = ""
    if stat.S_ISREG(found.st_mode):
        kind = "file"
    elif stat.S_ISDIR(found.st_mode):
        kind = "directory"
    elif stat.S_ISLNK(found.st_mode):
        kind, target = "link", os.readlink(name, dir_fd=parent)
    shared = (found.st_dev, found.st_ino) if kind == "file" and found.st_nlink > 1 else None
    flags = getattr(found, "st_flags", 0) & ~0x800  # uarch is no flag of a user's: ZFS sets it on whatever was written
    return Stamp(
        kind, stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid, found.st_size if kind == "file" else 0,
        found.st_mtime_ns, flags, target, shared,
    )


def _survey(handle: int, where: str, device: int, enters: Callable[[str], bool]) -> Iterator[Tuple[str, Stamp]]:
    with os.scandir(handle) as entries:
        names = sorted(entry.name for entry in entries)
    for name in names:
        path = f"{where}{name}"
        try:
            found = os.stat(name, dir_fd=handle, follow_symlinks=False)
            stamp = _stamp(found, name, handle)
        except FileNotFoundError:
            continue
        yield path, stamp
        if stamp.kind == "directory" and found.st_dev == device and enters(path):
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                below = os.open(name, ENTERED, dir_fd=handle)
                try:
                    yield from _survey(below, f"{path}/", device, enters)
                finally:
                    os.close(below)


def _copy(source: Walk, path: str, stamp: Stamp, parent: int, new: str) -> None:
    """Copy a file of another tree: content, owners, mode, time."""
    with source._reading(path) as reading:
        writing = os.open(new, MADE, 0o600, dir_fd=parent)
        try:
            while True:
                piece = os.read(reading, PIECE)
                if not piece:
                    break
                while piece:
                    piece = piece[os.write(writing, piece):]
            if os.geteuid() == 0:
                os.fchown(writing, stamp.uid, stamp.gid)
            os.fchmod(writing, stamp.mode)
            os.utime(writing, ns=(stamp.mtime, stamp.mtime))
        finally:
            os.close(writing)


def _set_flags(parent: int, name: str, flags: int) -> None:
    chflags: Any = getattr(os, "chflags", None)  # no other system has them
    if chflags is None:
        return
    with ENTERING:
        before = os.open(".", os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fchdir(parent)
            chflags(name, flags, follow_symlinks=False)
        finally:
            os.fchdir(before)
            os.close(before)


def refresh(source: Walk, copy: Walk, since: int) -> None:
    """Bring a copy up to date.

    :param since: what was changed at this second or later is copied whatever it looks like.
    """
    was, now = (walk.survey(lambda path: path != ".zfs") for walk in (copy, source))
    names: Dict[Tuple[int, int], str] = {}
    for path, stamp in now.items():
        if stamp.kind != "other" and (stamp.mtime >= since * SECOND or looks(was.get(path)) != looks(stamp)):
            copy.bring(source, path, stamp, names)
    for path in sorted((path for path in was if path not in now), key=lambda path: -path.count("/")):
        copy.discard(path)


def looks(stamp: Optional[Stamp]) -> object:
    """What is alike of two paths where a copy is whole: times by the second, and of directories none."""
    if stamp is None:
        return None
    content = (stamp.size, stamp.mtime // SECOND, stamp.flags) if stamp.kind == "file" else stamp.target
    return stamp.kind, stamp.shape() if stamp.kind != "link" else (), content
