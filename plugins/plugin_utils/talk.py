# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said over one ssh process before its output counts: passwords on the way, then data in or out."""

from __future__ import annotations

import contextlib
import os
import selectors
import time
from dataclasses import dataclass, field
from typing import IO, Any

from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.module_utils.common.text.converters import to_bytes, to_text

CHUNK = 1 << 16


@dataclass
class Rung:
    """One escalation on the way: the host's, or the jail's.

    :param become: the become plugin; it knows its prompts and complaints.
    :param mark: the line that shows that the rung is taken.
    """

    become: Any
    mark: bytes

    def prompted(self, line: bytes) -> bool:
        """Whether the line asks for the password that we have."""
        return bool(self.become and self.become.expect_prompt() and self.become.check_password_prompt(line))

    def password(self) -> bytes:
        """The password and the newline after it."""
        return bytes(to_bytes(self.become.get_option("become_pass"), errors="surrogate_or_strict")) + b"\n"

    def refuse(self, line: bytes) -> None:
        """Raise when the line is a refusal."""
        if self.become and self.become.check_incorrect_password(line):
            raise AnsibleError(f"Incorrect {self.become.name} password")
        if self.become and self.become.check_missing_password(line):
            raise AnsibleError(f"Missing {self.become.name} password")


@dataclass
class Talk:
    """Passed to core's ssh plugin in the place of a process's input.

    :param rungs: what to get past, in order.
    :param source: what to send then; opened anew at every try.
    :param sink: where standard output goes instead of memory.
    :param keep_open: leave the input open, as a terminal's.
    :param patience: seconds to wait for a rung.
    """

    rungs: list[Rung]
    source: Any = None
    sink: IO[bytes] | None = None
    keep_open: bool = False
    patience: float = 12.0
    out: bytes = b""
    err: bytes = b""
    taken: int = 0
    _rest: dict[str, bytes] = field(default_factory=dict)

    def __len__(self) -> int:
        return 1

    def run(self, stdin: IO[bytes], process: Any) -> None:
        """Say it all."""
        self.out = self.err = b""
        self.taken = 0
        self._rest = {"out": b"", "err": b""}
        if self.sink is not None:
            self.sink.seek(0)
            self.sink.truncate()
        for rung in self.rungs:
            if not self._climb(rung, stdin, process):
                break
            self.taken += 1
        else:
            self._send(stdin, process)
        if self.sink is not None:
            self._drain(process, self.sink)
        self.out, self.err = self.out + self._rest["out"], self.err + self._rest["err"]

    # -- rungs

    def _climb(self, rung: Rung, stdin: IO[bytes], process: Any) -> bool:
        """Read until the rung's mark, answering a prompt; False when the process ended before it."""
        prompted, end = False, time.monotonic() + self.patience
        with selectors.DefaultSelector() as selector:
            for name, stream in (("out", process.stdout), ("err", process.stderr)):
                selector.register(stream, selectors.EVENT_READ, name)
            while True:
                taken, asked = self._examine(rung)
                if taken:
                    return True
                if asked:
                    if prompted:
                        raise AnsibleError(f"Incorrect {rung.become.name} password")
                    prompted = True
                    stdin.write(rung.password())
                    stdin.flush()
                if not self._read(selector, process, end - time.monotonic()):
                    return False

    def _read(self, selector: selectors.BaseSelector, process: Any, seconds: float) -> bool:
        """Read what comes; False at the end. A master connection in the background never ends standard error."""
        ending = process.stdout not in {key.fileobj for key in selector.get_map().values()}
        events = selector.select(min(max(seconds, 0), 0.1 if ending else seconds))
        if not events and ending and process.poll() is not None:
            return False
        if not events and seconds <= 0:
            said = to_text(self.out + self._rest["out"] + self.err + self._rest["err"]).strip()
            raise AnsibleConnectionFailure(f"Timeout waiting for privilege escalation: {said}")
        for key, _mask in events:
            chunk = os.read(key.fd, CHUNK)
            if not chunk:
                selector.unregister(key.fileobj)
            self._rest[key.data] += chunk
        return bool(selector.get_map())

    def _examine(self, rung: Rung) -> tuple[bool, bool]:
        """Whether the mark was seen, and whether a password is asked for; both are taken out of the output."""
        asked = False
        for name in ("out", "err"):
            kept: list[bytes] = []
            lines = self._rest[name].splitlines(True)
            for number, line in enumerate(lines):
                if line.endswith(b"\n") and rung.mark in line:
                    self._rest[name] = b"".join(lines[number + 1 :])
                    self._keep(name, kept)
                    return True, asked
                if rung.prompted(line):
                    asked = True
                    continue
                if line.endswith(b"\n"):
                    rung.refuse(line)
                kept.append(line)
            partial = kept.pop() if kept and not kept[-1].endswith(b"\n") else b""
            self._rest[name] = partial
            self._keep(name, kept)
        return False, asked

    def _keep(self, name: str, lines: list[bytes]) -> None:
        if name == "out":
            self.out += b"".join(lines)
        else:
            self.err += b"".join(lines)

    # -- data

    def _send(self, stdin: IO[bytes], process: Any) -> None:
        try:
            if self.source is not None:
                with self.source() as stream:
                    while chunk := stream.read(CHUNK):
                        stdin.write(chunk)
            if self.keep_open:
                stdin.flush()
            else:
                stdin.close()
        except OSError as error:
            # A process that is about to end says more than a broken pipe.
            with contextlib.suppress(Exception):
                process.wait(1)
            if process.poll() is None:
                raise AnsibleConnectionFailure("Data could not be sent to the jail's host") from error

    def _drain(self, process: Any, sink: IO[bytes]) -> None:
        """Write standard output to the sink as it comes, in constant memory."""
        sink.write(self._rest["out"])
        self._rest["out"] = b""
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ, "out")
            selector.register(process.stderr, selectors.EVENT_READ, "err")
            while any(key.data == "out" for key in selector.get_map().values()):
                for key, _mask in selector.select():
                    chunk = os.read(key.fd, CHUNK)
                    if not chunk:
                        selector.unregister(key.fileobj)
                    elif key.data == "out":
                        sink.write(chunk)
                    else:
                        self._rest["err"] += chunk
        sink.flush()
