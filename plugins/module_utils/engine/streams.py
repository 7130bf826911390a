# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Streams: commands whose outputs are each other's inputs, from a file or into one, counted and digested on the way.

No shell joins them. All of them must answer 0, or nothing of it counts. Memory stays constant, however much passes.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import queue
import signal
import tempfile
import threading
import time
from dataclasses import dataclass
from typing import IO, Dict, Iterable, Iterator, List, Mapping, Optional, Sequence, Tuple

from ansible_collections.cellblock.jails.plugins.module_utils.engine.commands import CommandError, Process, Result
from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.errors import HostError

PIECE = 1 << 20
WORDS = 1 << 16  # of what a command says are kept
BROKEN = (-signal.SIGPIPE, 128 + signal.SIGPIPE)
Argv = Sequence[str]


@dataclass(frozen=True)
class Passed:
    """What passed a joint.

    :param size: its bytes.
    :param sha256: their digest; "" where they were only counted.
    """

    size: int
    sha256: str = ""


@dataclass(frozen=True)
class Flow:
    """What became of a stream.

    :param passed: at each joint that was watched: 0 is before the first command, the last one behind the last command.
    :param said: what the last command printed, where that went into no file.
    """

    passed: Mapping[int, Passed]
    said: str = ""


class StreamError(CommandError):
    """A command of a stream failed; all that failed are in ``results``, in their order."""

    def __init__(self, results: Sequence[Result], where: Optional[str]) -> None:
        telling = [result for result in results if result.rc not in BROKEN] or list(results)
        super().__init__(telling[-1], where)
        self.results = tuple(results)
        if len(telling) > 1:
            self.what = "; ".join(f"'{' '.join(result.argv)}' failed: {result.said()}" for result in telling)


class _Digest(threading.Thread):
    """Digests what passes beside its passing, a little behind it."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._sum = hashlib.sha256()
        self._ahead: "queue.Queue[Optional[List[bytes]]]" = queue.Queue(maxsize=4)
        self._held: List[bytes] = []
        self._size = 0
        self.start()

    def run(self) -> None:
        for pieces in iter(self._ahead.get, None):
            for piece in pieces:
                self._sum.update(piece)

    def add(self, piece: bytes) -> None:
        """Some more."""
        self._held.append(piece)
        self._size += len(piece)
        if self._size >= PIECE:
            self._ahead.put(self._held)
            self._held, self._size = [], 0

    def close(self) -> None:
        """There is no more."""
        self._ahead.put(self._held)
        self._ahead.put(None)
        self.join()

    def hexdigest(self) -> str:
        """The digest, when it is closed."""
        return self._sum.hexdigest()


class _Joint(threading.Thread):
    """Carries bytes from one descriptor to another, and watches them."""

    def __init__(self, source: int, target: int, digest: bool, limit: Optional[int], path: Optional[str]) -> None:
        super().__init__(daemon=True)
        self._source, self._target, self._limit, self._path = source, target, limit, path
        self._digest = _Digest() if digest else None
        self.size = 0
        self.fault: Optional[HostError] = None

    def run(self) -> None:
        try:
            self._carry()
            if self._path is not None:
                os.fsync(self._target)
        except BrokenPipeError:  # who reads is gone; its exit code tells
            pass
        except OSError as error:
            self.fault = HostError(f"stopped after {self.size} bytes: {error.strerror}", self._path)
        finally:
            os.close(self._source)  # who writes learns of it
            os.close(self._target)
            if self._digest is not None:
                self._digest.close()

    def _carry(self) -> None:
        began = time.monotonic()
        piece = PIECE if self._limit is None else max(4096, min(PIECE, self._limit // 8))
        while True:
            data = os.read(self._source, piece)
            if not data:
                return
            if self._digest is not None:
                self._digest.add(data)
            self.size += len(data)
            view = memoryview(data)
            while view:
                view = view[os.write(self._target, view):]
            if self._limit:
                time.sleep(max(0.0, self.size / self._limit - (time.monotonic() - began)))

    def passed(self) -> Passed:
        """What it saw."""
        return Passed(self.size, "" if self._digest is None else self._digest.hexdigest())


def flow(
    host: Host,
    stages: Sequence[Argv],
    *,
    source: Optional[str] = None,
    target: Optional[str] = None,
    counted: Sequence[int] = (),
    digested: Sequence[int] = (),
    limit: Optional[int] = None,
    where: Optional[str] = None,
) -> Flow:
    """Let a stream pass through commands; raise unless every one of them answers 0.

    :param stages: the commands, in their order, each a list of arguments; none copies a file.
    :param source: a file of the host that is the first command's input; no input by default.
    :param target: a file of the host that the last command's output makes: new, 0600, on the disk when this returns.
        What a failed stream left of it is taken away.
    :param counted: joints whose bytes are counted. Joint N is before command N, counted from 0.
    :param digested: joints whose bytes are counted and digested.
    :param limit: bytes in a second, at the most.
    :param where: what it is about, for errors.
    """
    run = _Run(host, [tuple(argv) for argv in stages], where)
    watched = {number: number in digested for number in [*counted, *digested]}
    if limit is not None and not watched:
        watched = {min(1, len(run.stages)): False}
    try:
        with run:
            run.open(source, target, watched, limit)
    except HostError:
        if target is not None and run.made:
            host.remove(target)
        raise
    return Flow({number: joint.passed() for number, joint in run.joints.items()}, run.said)


class _Run:
    """One stream under way."""

    def __init__(self, host: Host, stages: List[Tuple[str, ...]], where: Optional[str]) -> None:
        self.host, self.stages, self.where = host, stages, where
        self.joints: Dict[int, _Joint] = {}
        self.processes: List[Process] = []
        self.made = False
        self.said = ""
        self._words: List[IO[bytes]] = []
        self._ends: List[int] = []  # descriptors that are still ours to close

    def __enter__(self) -> _Run:
        return self

    def __exit__(self, kind: object, error: Optional[BaseException], trace: object) -> None:
        """Wait for all; what fails is told."""
        for end in self._ends:
            os.close(end)
        if error is not None:
            for process in self.processes:
                process.kill()
        codes = [process.wait() for process in self.processes]
        for joint in self.joints.values():
            joint.join()
        with contextlib.ExitStack() as stack:
            for words in self._words:
                stack.enter_context(words)
            if error is None:
                self._judge(codes)

    def _judge(self, codes: Sequence[int]) -> None:
        texts = [_last(words) for words in self._words]
        self.said = texts[-1] if len(texts) > len(codes) else ""
        failed = [Result(argv, rc, "", text) for argv, rc, text in zip(self.stages, codes, texts) if rc != 0]
        faults = [joint.fault for joint in self.joints.values() if joint.fault is not None]
        if faults:
            raise faults[0]
        if failed:
            raise StreamError(failed, self.where)

    def open(self, source: Optional[str], target: Optional[str], watched: Mapping[int, bool], limit: Optional[int]) -> None:
        """Start everything: first the files are opened, then the commands begin."""
        last = len(self.stages)
        reading = self._open_source(source)
        kept = last > 0 and target is None and last not in watched
        end = -1 if kept else self._open_target(target)
        first = min(watched, default=last)
        for number in range(last + 1):
            slow = limit if number == first else None
            if number == last and not kept:
                self._join(number, reading, end, watched.get(number, False), slow, target)
            elif number in watched:
                reading = self._join(number, reading, None, watched[number], slow, None)
            if number < last:
                reading = self._start(number, reading, kept and number == last - 1)

    def _join(self, number: int, reading: int, writing: Optional[int], digest: bool, limit: Optional[int], path: Optional[str]) -> int:
        """Put a joint behind a descriptor; where to read on from."""
        ahead = -1
        if writing is None:
            ahead, writing = os.pipe()
            self._ends.append(ahead)
        else:
            self._ends.remove(writing)
        self._ends.remove(reading)
        self.joints[number] = _Joint(reading, writing, digest, limit, path)  # it closes both
        self.joints[number].start()
        return ahead

    def _start(self, number: int, reading: int, kept: bool) -> int:
        """Start a command; where its output is read from."""
        self._words.append(tempfile.TemporaryFile())
        said = self._words[-1]
        if kept:
            with tempfile.TemporaryFile() as out:
                self._spawn(number, reading, os.dup(out.fileno()), said)
                self._words.append(os.fdopen(os.dup(out.fileno()), "rb"))
            return -1
        ahead, writing = os.pipe()
        self._ends.append(ahead)
        self._spawn(number, reading, writing, said)
        return ahead

    def _spawn(self, number: int, reading: int, writing: int, said: IO[bytes]) -> None:
        self._ends.append(writing)
        self.processes.append(self.host.spawn(self.stages[number], reading, writing, said.fileno()))
        self._close(writing)
        self._close(reading)

    def _open_source(self, source: Optional[str]) -> int:
        try:
            end = os.open(os.devnull if source is None else self.host.real(source), os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise HostError(f"cannot be read: {error.strerror}", source) from error
        self._ends.append(end)
        return end

    def _open_target(self, target: Optional[str]) -> int:
        flags = os.O_WRONLY | os.O_CLOEXEC
        try:
            if target is None:
                end = os.open(os.devnull, flags)
            else:
                end = os.open(self.host.real(target), flags | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
                self.made = True
        except OSError as error:
            raise HostError(f"cannot be made: {error.strerror}", target) from error
        self._ends.append(end)
        return end

    def _close(self, end: int) -> None:
        self._ends.remove(end)
        os.close(end)


def _last(words: IO[bytes]) -> str:
    """The last that a command said."""
    size = words.seek(0, os.SEEK_END)
    words.seek(max(0, size - WORDS))
    return words.read().decode("utf-8", "replace")


def digest(host: Host, path: str) -> Passed:
    """The size and digest of a file of the host."""
    return flow(host, [], source=path, digested=[0]).passed[0]


def lines(host: Host, path: str) -> Iterator[str]:
    """The lines of a file of the host, one after another, however many they are."""
    try:
        with open(host.real(path), encoding="utf-8", errors="surrogateescape", newline="\n") as stream:
            yield from stream
    except OSError as error:
        raise HostError(f"cannot be read: {error.strerror}", path) from error


def put_lines(host: Host, path: str, told: Iterable[str]) -> None:
    """Write a new file of the host, for root alone, line by line."""
    try:
        end = os.open(host.real(path), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with open(end, "w", encoding="utf-8", errors="surrogateescape", newline="\n") as stream:
            stream.writelines(told)
    except OSError as error:
        raise HostError(f"cannot be written: {error.strerror}", path) from error


def settle(host: Host, directory: str) -> None:
    """Wait until what was put into a directory, or renamed there, is on the disk."""
    end = os.open(host.real(directory), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(end)
    finally:
        os.close(end)
