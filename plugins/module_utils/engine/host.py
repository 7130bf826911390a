# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The only door to the machine: commands, the host's own files, and trees that an enemy may own.

Nothing else in the collection starts a process or opens a file on the managed host. A command is
always a list of arguments; no value ever passes through a shell.
"""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
import time
from typing import Callable, FrozenSet, Iterable, Iterator, List, Mapping, Optional, Sequence, Tuple, Union

from ansible_collections.cellblock.jails.plugins.module_utils.engine.commands import (
    ENVIRONMENT,
    CommandError,
    Process,
    Result,
    Runner,
    Spawner,
    run_command,
    run_pipe,
    spawn_command,
)
from ansible_collections.cellblock.jails.plugins.module_utils.engine.files import Names, fingerprint, led_to, put, resolved
from ansible_collections.cellblock.jails.plugins.module_utils.engine.tree import Tree, outermost
from ansible_collections.cellblock.jails.plugins.module_utils.engine.watch import Watch, question
from ansible_collections.cellblock.jails.plugins.module_utils.errors import HostError


@contextlib.contextmanager
def _refusing(what: str, path: str) -> Iterator[None]:
    """Tell what the system refuses."""
    try:
        yield
    except OSError as error:
        raise HostError(f"{what}: {error.strerror}", path) from error


class Host:
    """The managed host.

    :param runner: what runs commands; the real one by default. ``spawner`` starts those of streams.
    :param root: a directory that stands for ``/`` (the simulator's in-process door); paths given to
        the methods are always the host's own.
    :ivar watch: what notes the answers to the questions below; whatever else is done spoils it.
    """

    def __init__(self, runner: Runner = run_command, root: str = "/", spawner: Spawner = spawn_command) -> None:
        self._runner, self._spawner = runner, spawner
        self._root = root.rstrip("/")
        self._guarded: FrozenSet[str] = frozenset()
        self.names = Names()
        self.commands: List[Tuple[str, ...]] = []
        self.watch: Optional[Watch] = None

    # -- commands

    def run(
        self,
        argv: Sequence[str],
        *,
        stdin: Union[str, bytes, None] = None,
        ok: Sequence[int] = (0,),
        timeout: Optional[float] = None,
        env: Optional[Mapping[str, str]] = None,
        where: Optional[str] = None,
    ) -> Result:
        """Run a command; raise :class:`CommandError` unless its exit code is in ``ok``."""
        result = self.ask(argv, stdin=stdin, timeout=timeout, env=env)
        if result.rc not in ok:
            raise CommandError(result, where)
        return result

    @question
    def ask(
        self,
        argv: Sequence[str],
        *,
        stdin: Union[str, bytes, None] = None,
        timeout: Optional[float] = None,
        env: Optional[Mapping[str, str]] = None,
    ) -> Result:
        """Run a command whose failure is an answer too."""
        self.commands.append(tuple(argv))
        data = stdin.encode("utf-8", "surrogateescape") if isinstance(stdin, str) else stdin
        return self._runner(tuple(argv), data, {**ENVIRONMENT, **(env or {})}, timeout)

    def pipe(self, source: Sequence[str], sink: Sequence[str], *, where: Optional[str] = None) -> None:
        """Run two commands, the first one's output into the second; both must answer 0. Paths are real ones."""
        self._spoil()
        self.commands += [tuple(source), tuple(sink)]
        run_pipe(source, sink, where)

    def spawn(self, argv: Sequence[str], stdin: int, stdout: int, stderr: int) -> Process:
        """Start a command of a stream between descriptors, see streams.py."""
        self._spoil()
        self.commands.append(tuple(argv))
        return self._spawner(tuple(argv), stdin, stdout, stderr, ENVIRONMENT)

    def wait_until(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Poll a condition with growing pauses, at most ``seconds``; true when it came to hold."""
        self._spoil()
        end = time.monotonic() + seconds
        pause = 0.05
        while not condition():
            if time.monotonic() >= end:
                return False
            time.sleep(pause)
            pause = min(pause * 2, 1.0)
        return True

    # -- the host's own files (trusted paths)

    def real(self, path: str) -> str:
        """Where a path of the host really is; for whoever asks, there is no telling what is done there."""
        self._spoil()
        return self._at(path)

    @property
    def subject(self) -> Tuple[str, ...]:
        """What questions to it are about, see watch.py: itself."""
        return ()

    def _at(self, path: str) -> str:
        return self._root + path if self._root else path

    def _spoil(self) -> None:
        if self.watch is not None:
            self.watch.whole = False

    @question
    def read(self, path: str) -> Optional[str]:
        """A file's text; None when there is none."""
        try:
            with open(self._at(path), "rb", buffering=0) as stream:
                return stream.readall().decode("utf-8", "surrogateescape")
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise HostError(f"cannot be read: {error.strerror}", path) from error

    def write(self, path: str, text: str, mode: Optional[int] = None) -> None:
        """Write a file whole or not at all.

        Where a link leads to it, the link stays. Owner, mode and file flags of an old one stay, see chflags(1).

        :param mode: another mode than that of an old one, or than 0644.
        """
        with _refusing("cannot be written", path):
            put(led_to(self.real(path), self._root), text, mode)

    def remove(self, path: str) -> None:
        """Remove a file; fine when there is none."""
        with _refusing("cannot be removed", path), contextlib.suppress(FileNotFoundError):
            os.unlink(self.real(path))

    def makedirs(self, path: str, mode: int = 0o755) -> None:
        """Make a directory and its parents."""
        with _refusing("cannot be made", path):
            os.makedirs(self.real(path), mode=mode, exist_ok=True)

    def rmdir(self, path: str) -> None:
        """Remove an empty directory; fine when there is none."""
        with _refusing("cannot be removed", path), contextlib.suppress(FileNotFoundError):
            os.rmdir(self.real(path))

    def rename(self, old: str, new: str) -> None:
        """Rename a file or directory."""
        with _refusing(f"cannot be renamed to {new}", old):
            os.rename(self.real(old), self.real(new))

    @question
    def listdir(self, path: str) -> List[str]:
        """Sorted names in a directory; none when there is no such directory."""
        try:
            return sorted(os.listdir(self._at(path)))
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise HostError(f"cannot be listed: {error.strerror}", path) from error

    @question
    def lstat(self, path: str) -> Optional[os.stat_result]:
        """What is at a path, links not followed; None when nothing is."""
        try:
            return os.lstat(self._at(path))
        except (FileNotFoundError, NotADirectoryError):
            return None

    @question
    def fingerprint(self, path: str) -> Tuple[int, str]:
        """How many files a tree of the host has, and a digest of their names, modes and contents; links are not followed."""
        return fingerprint(self._at(path))

    @question
    def resolved(self, path: str) -> str:
        """A path without links on the way."""
        return resolved(path, self._root)

    def call_by(self, path: str) -> None:
        """Let what the kernel and zfs(8) tell of a directory be called by this path of it."""
        self.names.call_by(path, self.resolved(path))

    def isdir(self, path: str) -> bool:
        """Whether a real directory (not a link) is at a path."""
        found = self.lstat(path)
        return found is not None and stat.S_ISDIR(found.st_mode)

    def chmod(self, path: str, mode: int) -> None:
        """Change a file's or directory's mode."""
        with _refusing("its mode cannot be changed", path):
            os.chmod(self.real(path), mode)

    @contextlib.contextmanager
    def scratch(self) -> Iterator[str]:
        """A private directory of the host for a while; yields its path as the host's tools see it."""
        with tempfile.TemporaryDirectory(prefix="cellblock.", dir=self.real("/var/tmp")) as real:
            yield real[len(self._root):]

    def guard(self, roots: Iterable[str]) -> None:
        """Know the roots of all jails: below one, whoever is root in that jail may have planted links."""
        self._guarded = self._guarded | frozenset(root.rstrip("/") for root in roots if root.startswith("/"))

    def outer(self, path: str) -> Optional[str]:
        """The root of the outermost jail that a path is below; None for a path of the host's own."""
        return outermost(self._guarded, path)

    def tree(self, path: str) -> Tree:
        """The safe door into a tree that somebody else may own, such as a jail's root."""
        outer = self.outer(path)
        return Tree(self._at(path), path, None if outer is None else self._at(outer), self.watch)

    def below(self, path: str) -> Optional[Tuple[Tree, str]]:
        """The outermost jail's tree that a path is below, and its path there; None for a path of the host's own."""
        outer = self.outer(path)
        return None if outer is None else (self.tree(outer), path[len(outer) + 1:])
