# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said over one ssh process: passwords at the gates on the way, then data in or out.

A password is for whoever asks before its gate. The gate of the host's escalation is a line that the host prints as
root, before the jail is entered, on each stream; what comes after it may come from the jail, and nothing there is
ever taken for a prompt.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import IO, Any

from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.module_utils.common.text.converters import to_bytes, to_text

from ansible_collections.cellblock.jails.plugins.plugin_utils.shown import shown

CHUNK = 1 << 16
# More than any tool says before it lets one through.
MOST_BEFORE_A_GATE = 1 << 20
STREAMS = ("out", "err")


@dataclass
class Gate:
    """A point on the way.

    :param mark: the line that shows that it is passed.
    :param become: the become plugin whose tool may ask for a password before it; None when nobody may.
    :param streams: the streams that it is printed on; empty for one, whichever that is.
    """

    mark: bytes
    become: Any = None
    streams: Sequence[str] = ()

    def prompted(self, line: bytes) -> bool:
        """Whether a line asks for the password that we have."""
        return bool(self.become and self.become.expect_prompt() and self.become.check_password_prompt(line))

    def password(self) -> bytes:
        """The password and the newline after it."""
        return bytes(to_bytes(self.become.get_option("become_pass"), errors="surrogate_or_strict")) + b"\n"

    def refuse(self, line: bytes) -> None:
        """Raise when a line is a refusal."""
        if self.become and self.become.check_incorrect_password(line):
            raise AnsibleError(f"Incorrect {self.become.name} password")
        if self.become and self.become.check_missing_password(line):
            raise AnsibleError(f"Missing {self.become.name} password")


@dataclass
class Talk:
    """Passed to core's ssh plugin in the place of a process's input.

    :param gates: what to get past, in order.
    :param source: what to send then; opened anew at every try.
    :param sink: where standard output goes instead of memory.
    :param keep_open: leave the input open, as a terminal's.
    :param patience: seconds to wait for a gate.
    :param most: the most bytes of output to keep; without it, all.
    """

    gates: list[Gate] = field(default_factory=list)
    source: Any = None
    sink: IO[bytes] | None = None
    keep_open: bool = False
    patience: float = 12.0
    most: int = 0
    passed: int = 0
    _said: dict[str, bytearray] = field(default_factory=dict)
    _rest: dict[str, bytes] = field(default_factory=dict)
    _failure: OSError | None = None

    def __len__(self) -> int:
        return 1

    @property
    def out(self) -> bytes:
        """Standard output so far, without what went to the sink."""
        return bytes(self._said.get("out", b""))

    @property
    def err(self) -> bytes:
        """Standard error so far."""
        return bytes(self._said.get("err", b""))

    def run(self, stdin: IO[bytes], process: Any) -> None:
        """Say it all, and hear it all."""
        self.passed = 0
        self._said, self._rest = {name: bytearray() for name in STREAMS}, dict.fromkeys(STREAMS, b"")
        if self.sink is not None:
            self.sink.seek(0)
            self.sink.truncate()
        try:
            with selectors.DefaultSelector() as selector:
                for name, stream in (("out", process.stdout), ("err", process.stderr)):
                    selector.register(stream, selectors.EVENT_READ, name)
                self._say(selector, stdin, process)
        except BaseException:
            process.kill()
            raise

    def _say(self, selector: selectors.BaseSelector, stdin: IO[bytes], process: Any) -> None:
        sender: threading.Thread | None = None
        for gate in self.gates:
            if not self._pass(gate, selector, stdin, process):
                break
            self.passed += 1
        else:
            source = self.source() if self.source is not None else None
            sender = threading.Thread(target=self._send, args=(source, stdin), daemon=True)
            sender.start()
        self._hear(selector, process)
        if sender is not None:
            sender.join()
        if self._failure is not None:
            raise AnsibleError(f"What was to be sent could not be read: {self._failure}")

    # -- gates

    def _pass(self, gate: Gate, selector: selectors.BaseSelector, stdin: IO[bytes], process: Any) -> bool:
        """Read until a gate's mark, answering one prompt; False when the process ended before."""
        seen: set[str] = set()
        answered, end = False, time.monotonic() + self.patience
        while True:
            asked = self._look(gate, seen)
            if seen and seen >= set(gate.streams):
                return True
            if asked and not seen:
                if answered:
                    raise AnsibleError(f"Incorrect {gate.become.name} password")
                answered = True
                stdin.write(gate.password())
                stdin.flush()
            if not self._read(selector, process, end - time.monotonic()):
                return False
            if sum(map(len, self._rest.values())) > MOST_BEFORE_A_GATE:
                raise AnsibleConnectionFailure("More was said than any escalation says: " + self._words())

    def _look(self, gate: Gate, seen: set[str]) -> bool:
        """Look at the streams up to a gate's mark: whether somebody asks for its password before it."""
        asked = False
        for name in gate.streams or STREAMS:
            if name in seen:
                continue
            lines = self._rest[name].splitlines(True)
            for number, line in enumerate(lines):
                if line.endswith(b"\n") and line.strip(b"\r\n") == gate.mark:
                    seen.add(name)
                    self._said[name] += b"".join(lines[:number])
                    del lines[: number + 1]
                    break
                if not seen and gate.prompted(line):
                    asked, lines[number] = True, b""
                elif line.endswith(b"\n"):
                    if not seen:
                        gate.refuse(line)
                    self._said[name] += line
                    lines[number] = b""
            self._rest[name] = b"".join(lines)
        return asked

    def _words(self) -> str:
        said = b"".join(bytes(self._said[name]) + self._rest[name] for name in STREAMS)
        return shown(to_text(said, errors="replace").strip(), 1000)

    def _read(self, selector: selectors.BaseSelector, process: Any, seconds: float | None) -> bool:
        """Read what comes; False at the end. A master connection in the background never ends standard error.

        :param seconds: the longest wait; without it, as long as the process runs.
        """
        ending = process.stdout not in {key.fileobj for key in selector.get_map().values()}
        wait = seconds if seconds is None else max(seconds, 0.0)
        events = selector.select(0.1 if ending and (wait is None or wait > 0.1) else wait)
        if not events and ending and process.poll() is not None:
            return False
        if not events and seconds is not None and seconds <= 0:
            raise AnsibleConnectionFailure(f"Timeout waiting for privilege escalation: {self._words()}")
        for key, _mask in events:
            chunk = os.read(key.fd, CHUNK)
            if not chunk:
                selector.unregister(key.fileobj)
            self._rest[key.data] += chunk
        return bool(selector.get_map())

    # -- data

    def _send(self, source: IO[bytes] | None, stdin: IO[bytes]) -> None:
        """In a thread of its own, since the other side may speak before it has heard all."""
        with contextlib.ExitStack() as stack:
            # Whoever reads no more says by an exit code whether that was well.
            stack.enter_context(contextlib.suppress(OSError))
            if source is not None:
                stack.enter_context(source)
                while chunk := self._next(source):
                    stdin.write(chunk)
            stdin.flush()
            if not self.keep_open:
                stdin.close()

    def _next(self, source: IO[bytes]) -> bytes:
        try:
            return source.read(CHUNK)
        except OSError as error:
            self._failure = error
            raise

    def _hear(self, selector: selectors.BaseSelector, process: Any) -> None:
        """Take what comes until the end, in bounded memory."""
        more = True
        while more:
            for name in STREAMS:
                chunk, self._rest[name] = self._rest[name], b""
                if name == "out" and self.sink is not None:
                    self.sink.write(chunk)
                else:
                    self._said[name] += chunk
            if self.most and sum(map(len, self._said.values())) > self.most:
                raise AnsibleConnectionFailure(f"More than {self.most} bytes were said; the rest was not waited for")
            more = bool(selector.get_map()) and self._read(selector, process, None)
            more = more or any(self._rest.values())
        if self.sink is not None:
            self.sink.flush()
