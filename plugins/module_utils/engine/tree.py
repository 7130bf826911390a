# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files below a directory that an enemy may own, such as a jail's root.

Whoever is root in a jail may plant links, FIFOs, sockets and huge files, and may swap one for
another at any moment. So every component is opened relative to its parent's descriptor without
following links, and what was opened is looked at again before it is used.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from typing import Collection, Iterator, List, NamedTuple, NoReturn, Optional, Tuple

from ansible_collections.cellblock.jails.plugins.module_utils.engine.watch import Watch, question
from ansible_collections.cellblock.jails.plugins.module_utils.errors import HostError, UnsafePath

LIMIT = 1 << 20  # bytes; no file that we edit is anywhere near
ENTERED = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def outermost(roots: Collection[str], path: str) -> Optional[str]:
    """The outermost of these directories that a path is below, itself aside; None when there is none."""
    parts = path.split("/")
    above = ("/".join(parts[:depth]) for depth in range(2, len(parts)))
    return next((root for root in above if root in roots), None)


def write_all(handle: int, text: str) -> None:
    """Write all of a text to a descriptor."""
    data = text.encode("utf-8", "surrogateescape")
    while data:
        data = data[os.write(handle, data):]


class Entry(NamedTuple):
    """What is at a path: its kind, and the text of a file or the target of a link."""

    kind: str  # absent, file, directory, link, other
    text: Optional[str] = None
    mode: int = 0


class Tree:
    """A directory that is entered without following a link out of it.

    :param real: where it really is.
    :param shown: its path in messages.
    :param outer: the directory, at or above ``real``, below which no link is followed: the root of the outermost
        jail that it stands in.
    :param watch: notes what :meth:`look` and :meth:`listdir` answer.
    """

    def __init__(self, real: str, shown: Optional[str] = None, outer: Optional[str] = None, watch: Optional[Watch] = None) -> None:
        self._real = real
        self._outer = outer or real
        self.path = shown or real
        self.watch = watch

    @property
    def subject(self) -> Tuple[str, ...]:
        """What questions to it are about: its path, and that of the outermost jail's root."""
        return self.path, self._outer[len(self._real) - len(self.path):]

    def _top(self) -> int:
        """A descriptor of the directory itself; the way to it leads from the outermost jail's root down, over no link."""
        handle = _open(self._outer, ENTERED, None, self.path)
        try:
            for part in self._real[len(self._outer):].split("/"):
                if part:
                    handle = _step(handle, part, self.path)
        except BaseException:
            os.close(handle)
            raise
        return handle

    @contextlib.contextmanager
    def _parent(self, path: str, make: bool = False) -> Iterator[Tuple[int, str]]:
        """The descriptor of a path's directory, and the last component's name."""
        parts = [part for part in path.split("/") if part and part != "."]
        if not parts or ".." in parts:
            raise UnsafePath("is not a path below the root", f"{self.path}/{path.lstrip('/')}")
        handle = self._top()
        try:
            for depth, part in enumerate(parts[:-1], 1):
                if make:
                    with contextlib.suppress(FileExistsError):
                        os.mkdir(part, 0o755, dir_fd=handle)
                handle = _step(handle, part, "/".join([self.path, *parts[:depth]]))
            yield handle, parts[-1]
        finally:
            os.close(handle)

    @question
    def look(self, path: str, limit: int = LIMIT) -> Entry:
        """What is at a path. Never blocks, never follows a link; a file's text up to ``limit`` bytes."""
        shown = f"{self.path}/{path.lstrip('/')}"
        try:
            with self._parent(path) as (parent, name):
                return self._look(parent, name, shown, limit)
        except FileNotFoundError:
            return Entry("absent")

    def _look(self, parent: int, name: str, shown: str, limit: int) -> Entry:
        found = os.stat(name, dir_fd=parent, follow_symlinks=False)
        mode = stat.S_IMODE(found.st_mode)
        if stat.S_ISLNK(found.st_mode):
            with contextlib.suppress(OSError):
                return Entry("link", os.readlink(name, dir_fd=parent), mode)
            return Entry("other", None, mode)
        if stat.S_ISDIR(found.st_mode):
            return Entry("directory", None, mode)
        if not stat.S_ISREG(found.st_mode):
            return Entry("other", None, mode)
        # Swapped for a FIFO since: O_NONBLOCK keeps us from waiting for its writer.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            handle = os.open(name, flags, dir_fd=parent)
        except OSError as error:
            _refuse(error, shown)
        try:
            return _read(handle, shown, limit)
        finally:
            os.close(handle)

    def read(self, path: str, limit: int = LIMIT) -> Optional[str]:
        """A file's text; None when nothing is there; :class:`UnsafePath` when it is anything but a file."""
        entry = self.look(path, limit)
        if entry.kind == "absent":
            return None
        if entry.kind != "file":
            raise UnsafePath(
                f"is {'a symbolic link' if entry.kind == 'link' else 'not a regular file'}, and is not followed",
                f"{self.path}/{path.lstrip('/')}",
            )
        return entry.text

    def write(self, path: str, text: str, mode: int = 0o644, owner: Tuple[int, int] = (0, 0)) -> None:
        """Put a new file in a path's place, whole or not at all. A link or FIFO there is replaced, not used."""
        with self._parent(path, make=True) as (parent, name):
            temporary = f".cellblock.{os.urandom(8).hex()}"
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            shown = f"{self.path}/{path.lstrip('/')}"
            try:
                handle = os.open(temporary, flags, 0o600, dir_fd=parent)
                try:
                    write_all(handle, text)
                    if os.geteuid() == 0:
                        os.fchown(handle, *owner)
                    os.fchmod(handle, mode)
                    os.fsync(handle)
                    os.rename(temporary, name, src_dir_fd=parent, dst_dir_fd=parent)
                except BaseException:
                    with contextlib.suppress(FileNotFoundError):
                        os.unlink(temporary, dir_fd=parent)
                    raise
                finally:
                    os.close(handle)
            except OSError as error:
                _refuse(error, shown)

    def link(self, path: str, target: str) -> None:
        """Put a symbolic link in a path's place; its target is text for the jail, never followed here."""
        with self._parent(path, make=True) as (parent, name):
            temporary = f".cellblock.{os.urandom(8).hex()}"
            try:
                os.symlink(target, temporary, dir_fd=parent)
                os.rename(temporary, name, src_dir_fd=parent, dst_dir_fd=parent)
            except OSError as error:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(temporary, dir_fd=parent)
                _refuse(error, f"{self.path}/{path.lstrip('/')}")

    def remove(self, path: str) -> None:
        """Remove a file or link; fine when nothing is there."""
        with contextlib.suppress(FileNotFoundError), self._parent(path) as (parent, name):
            try:
                os.unlink(name, dir_fd=parent)
            except OSError as error:
                _refuse(error, f"{self.path}/{path.lstrip('/')}")

    def makedirs(self, path: str, mode: int = 0o755) -> None:
        """Make a directory and its parents; a directory that is there keeps its mode."""
        with self._parent(path, make=True) as (parent, name):
            try:
                os.mkdir(name, mode, dir_fd=parent)
            except FileExistsError:
                found = os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode
                if not stat.S_ISDIR(found):
                    what = "is a symbolic link, and is not followed" if stat.S_ISLNK(found) else "is in the way, a directory is wanted"
                    raise UnsafePath(what, f"{self.path}/{path.lstrip('/')}") from None

    def take_out(self, path: str, target: str) -> bool:
        """Move what is at a path to a place of the host that no jail can see; false when nothing is there.

        :param target: the new path, really; nothing is there yet.
        """
        try:
            with self._parent(path) as (parent, name):
                if not stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode):
                    raise UnsafePath("is not a directory, and is not followed", f"{self.path}/{path.lstrip('/')}")
                os.rename(name, target, src_dir_fd=parent)
        except FileNotFoundError:
            return False
        except OSError as error:
            self._other_system(error, path)
        return True

    def put_in(self, source: str, path: str) -> None:
        """Move a directory of the host to a path; an empty directory there makes place.

        :param source: its path, really.
        """
        try:
            with self._parent(path, make=True) as (parent, name):
                os.rename(source, name, dst_dir_fd=parent)
        except OSError as error:
            self._other_system(error, path)

    def _other_system(self, error: OSError, path: str) -> NoReturn:
        shown = f"{self.path}/{path.lstrip('/')}"
        if error.errno == errno.EXDEV:
            raise HostError(
                "stands in another jail's root on a file system of its own, where no root can be made or removed out of its sight",
                shown, "Leave path out, so that the root stands beside the others",
            ) from error
        _refuse(error, shown)

    @question
    def listdir(self, path: str) -> List[str]:
        """Sorted names in a directory below the root ("" for the root itself)."""
        if not path.strip("/"):
            handle = self._top()
        else:
            with self._parent(path) as (parent, name):
                handle = _open(name, ENTERED, parent, f"{self.path}/{path.lstrip('/')}")
        try:
            return sorted(os.listdir(handle))
        finally:
            os.close(handle)


def _open(name: str, flags: int, parent: Optional[int], shown: str) -> int:
    try:
        return os.open(name, flags, dir_fd=parent)
    except OSError as error:
        _refuse(error, shown)


def _step(handle: int, part: str, shown: str) -> int:
    """The descriptor of a directory in one; the old one is closed."""
    below = _open(part, ENTERED, handle, shown)
    os.close(handle)
    return below


def _read(handle: int, shown: str, limit: int) -> Entry:
    found = os.fstat(handle)
    if not stat.S_ISREG(found.st_mode):
        return Entry("other", None, stat.S_IMODE(found.st_mode))
    if found.st_size > limit:
        raise UnsafePath(f"is larger than {limit} bytes, and is not read", shown)
    pieces = []
    left = limit + 1
    while left > 0:
        piece = os.read(handle, min(left, 1 << 16))
        if not piece:
            break
        pieces.append(piece)
        left -= len(piece)
    if left <= 0:
        raise UnsafePath(f"grew larger than {limit} bytes, and is not read", shown)
    return Entry("file", b"".join(pieces).decode("utf-8", "surrogateescape"), stat.S_IMODE(found.st_mode))


def _refuse(error: OSError, shown: str) -> NoReturn:
    """Absence stays absence; a link or a non-directory where none may be is an enemy's; the rest is the host's."""
    if error.errno == errno.ENOENT:
        raise error
    # FreeBSD answers EMLINK for O_NOFOLLOW on a link, POSIX ELOOP.
    if error.errno in (errno.ELOOP, errno.EMLINK, errno.ENOTDIR):
        raise UnsafePath(
            "is a symbolic link or not a directory, and is not followed", shown,
            "Look at what the jail's root did there, and remove the link",
        ) from error
    raise HostError(f"{error.strerror}", shown) from error
