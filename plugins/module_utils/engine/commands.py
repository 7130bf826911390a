# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a command is run: a list of arguments, no shell, and no more of its output than can be used.

What a command prints is read until the command itself ends: a daemon that a starting jail leaves behind may hold the
pipes, but it neither keeps us waiting nor fills a disk.
"""

# This is the one place that runs commands; there is no AnsibleModule here to run them by, and its run_command
# would wait for daemons that a starting jail leaves behind.
# pylint: disable=ansible-bad-function

from __future__ import annotations

import os
import selectors
import subprocess
import tempfile
import time
from dataclasses import dataclass
from typing import IO, Any, Mapping, Optional, Protocol, Sequence, Tuple, cast

from ansible_collections.cellblock.jails.plugins.module_utils.errors import HostError

# FreeBSD's tools translate nothing, but libxo garbles non-ASCII text in the C locale.
ENVIRONMENT: Mapping[str, str] = {
    "LC_ALL": "C.UTF-8",
    "PATH": "/sbin:/bin:/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin",
    "HOME": "/root",
    "PAGER": "cat",
}
MOST = 32 << 20  # bytes of a command's output that are kept; a host with a thousand jails answers in less
PIECE = 1 << 16  # what a pipe holds


@dataclass(frozen=True)
class Result:
    """What a command answered."""

    argv: Tuple[str, ...]
    rc: int
    out: str
    err: str

    def said(self) -> str:
        """The tool's last words, on one line; its exit code if it said nothing."""
        lines = [line.strip() for line in (self.err or self.out)[-4000:].splitlines() if line.strip()]
        return " / ".join(lines[-20:]) or f"exit code {self.rc}"

    def meaning(self) -> Optional[str]:
        """What its last words mean here, if that is known."""
        from ansible_collections.cellblock.jails.plugins.module_utils.engine.meanings import meaning

        return meaning(self.argv[0], self.said()) or None


class CommandError(HostError):
    """A command failed; its own words are in the message, and the answer in ``result``."""

    def __init__(self, result: Result, where: Optional[str] = None, fix: Optional[str] = None) -> None:
        super().__init__(f"'{' '.join(result.argv)}' failed: {result.said()}", where, fix or result.meaning())
        self.result = result


class Runner(Protocol):
    """Runs one command to its end. The simulator's in-process door has the same form."""

    def __call__(
        self, argv: Sequence[str], stdin: Optional[bytes], env: Mapping[str, str], timeout: Optional[float]
    ) -> Result:
        """Answer with the command's result; rc 127 when there is no such program, 124 when it timed out."""


class Process(Protocol):
    """A command under way."""

    def wait(self) -> int:
        """Its exit code, at its end."""

    def kill(self) -> None:
        """End it."""


class Spawner(Protocol):
    """Starts a command between descriptors, which stay the caller's own."""

    def __call__(self, argv: Sequence[str], stdin: int, stdout: int, stderr: int, env: Mapping[str, str]) -> Process:
        """The command under way; one that ends at once with 127 when there is no such program."""


@dataclass(frozen=True)
class _Ended:
    """A command that could not begin."""

    rc: int

    def wait(self) -> int:
        return self.rc

    def kill(self) -> None:
        """It never was."""


def spawn_command(argv: Sequence[str], stdin: int, stdout: int, stderr: int, env: Mapping[str, str]) -> Process:
    """Start a real command."""
    try:
        return subprocess.Popen(list(argv), stdin=stdin, stdout=stdout, stderr=stderr, env=dict(env), close_fds=True)
    except OSError as error:
        missing = isinstance(error, FileNotFoundError)
        os.write(stderr, f"{argv[0]}: {'not found' if missing else error.strerror}".encode())
        return _Ended(127 if missing else 126)


def run_command(
    argv: Sequence[str], stdin: Optional[bytes], env: Mapping[str, str], timeout: Optional[float]
) -> Result:
    """Run a real command."""
    with tempfile.TemporaryFile() if stdin else open(os.devnull, "rb") as given:
        if stdin:
            given.write(stdin)
            given.seek(0)
        try:
            process = subprocess.Popen(
                list(argv), stdin=given, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=dict(env), close_fds=True
            )
        except FileNotFoundError:
            return Result(tuple(argv), 127, "", f"{argv[0]}: not found")
        except OSError as error:
            return Result(tuple(argv), 126, "", f"{argv[0]}: {error.strerror}")
    with process:
        out, err = _listen(process, None if timeout is None else time.monotonic() + timeout)
        if process.poll() is None:
            process.kill()
            return Result(tuple(argv), 124, out, f"{err}\ntimed out after {timeout:g} s".strip())
    return Result(tuple(argv), process.returncode, out, err)


def _listen(process: subprocess.Popen[bytes], end: Optional[float]) -> Tuple[str, str]:
    """What a command prints until it ends, or until a time."""
    streams = (cast("IO[bytes]", process.stdout), cast("IO[bytes]", process.stderr))
    kept = {stream: bytearray() for stream in streams}
    pause = 0.002
    with selectors.DefaultSelector() as selector:
        for stream in kept:
            os.set_blocking(stream.fileno(), False)
            selector.register(stream, selectors.EVENT_READ)
        while selector.get_map() and (end is None or time.monotonic() < end):
            ended = process.poll() is not None
            ready: Any = selector.select(0 if ended else pause)
            pause = 0.002 if ready else min(pause * 2, 0.1)
            for key, _events in ready:
                # After its end, what a pipe still holds is its last words; what comes later is another's.
                if not _read(key.fileobj, kept[key.fileobj], 2 if ended else 1):
                    selector.unregister(key.fileobj)
            if ended:
                break
    try:
        process.wait(None if end is None else max(end - time.monotonic(), 0))
    except subprocess.TimeoutExpired:
        pass
    return _text(bytes(kept[streams[0]])), _text(bytes(kept[streams[1]]))


def _read(stream: IO[bytes], kept: bytearray, pieces: int) -> bool:
    """Read what is there; false at the end."""
    for _piece in range(pieces):
        try:
            data = os.read(stream.fileno(), PIECE)
        except BlockingIOError:
            return True
        if not data:
            return False
        kept += data[: MOST - len(kept)]
    return True


def run_pipe(source: Sequence[str], sink: Sequence[str], where: Optional[str]) -> None:
    """Run two real commands, the first one's output into the second; raise :class:`CommandError` unless both answer 0."""
    from concurrent.futures import ThreadPoolExecutor

    reading, writing = os.pipe()
    with tempfile.TemporaryFile() as said, ThreadPoolExecutor(max_workers=1) as pool:
        left = pool.submit(_half, source, subprocess.DEVNULL, writing, said, writing)
        right = _half(sink, reading, said, said, reading)
        for argv, rc in ((source, left.result()), (sink, right)):
            if rc != 0:
                said.seek(0)
                raise CommandError(Result(tuple(argv), rc, "", _text(said.read(PIECE))), where)


def _half(argv: Sequence[str], stdin: Any, stdout: Any, said: IO[bytes], own: int) -> int:
    """One side of a pipe; closes its own end when it is done."""
    try:
        return subprocess.call(list(argv), stdin=stdin, stdout=stdout, stderr=said, env=dict(ENVIRONMENT))
    except OSError:
        return 127
    finally:
        os.close(own)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")
