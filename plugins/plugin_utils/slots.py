# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which master connection a session goes through.

All jails of a host share the host's ssh connection. sshd lets at most MaxSessions (10) sessions
through one, and at most MaxStartups (10) connections log in at once; with more forks than that, ssh
would fall back to connections of their own, and sshd would drop some. So every session takes a slot of a
master, a new master is opened only when the others are full, and one process opens it while the others
wait. The slots are byte locks of one file: they cost a system call, and a dead process holds none.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import struct
import time
from collections.abc import Iterator

MOST = 4096
_BIRTH = 1 << 16
_PAUSE = 0.02


class Slots:
    """The sessions of one host.

    :param path: the file that holds the locks; one for each host, port and user.
    :param per_master: sessions through one master connection.
    :param masters: at most so many masters; 0 for as many as it takes.
    """

    def __init__(self, path: str, per_master: int, masters: int = 0) -> None:
        self._per_master = max(per_master, 1)
        self._limit = min(masters * self._per_master or MOST, MOST)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def close(self) -> None:
        """Give everything back."""
        os.close(self._file)

    def _lock(self, offset: int) -> bool:
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, offset)
        except OSError:
            return False
        return True

    def _unlock(self, offset: int) -> None:
        fcntl.lockf(self._file, fcntl.LOCK_UN, 1, offset)

    @contextlib.contextmanager
    def session(self) -> Iterator[int]:
        """Hold a session; gives the number of the master that it goes through."""
        slot = next((number for number in range(self._limit) if self._lock(number)), None)
        if slot is None:
            slot = os.getpid() % self._limit
            fcntl.lockf(self._file, fcntl.LOCK_EX, 1, slot)
        try:
            yield slot // self._per_master
        finally:
            self._unlock(slot)

    @contextlib.contextmanager
    def birth(self, master: int, control_path: str, seconds: float) -> Iterator[None]:
        """Around a session: let one process open the master while the others wait for its socket.

        Whoever runs without multiplexing never sees a socket. The first to notice notes it for the run,
        and nobody waits again.

        :param seconds: the longest wait.
        """
        opening = self._wait(master, control_path, seconds)
        try:
            yield
            if opening and not alive(control_path):
                os.pwrite(self._file, struct.pack("<Q", os.getppid()), master * 8)
        finally:
            if opening:
                self._unlock(_BIRTH + master)

    def _wait(self, master: int, control_path: str, seconds: float) -> bool:
        """True when this process is the one to open the master."""
        end = time.monotonic() + seconds
        while not alive(control_path) and not self._without(master) and time.monotonic() < end:
            if self._lock(_BIRTH + master):
                if alive(control_path) or self._without(master):
                    self._unlock(_BIRTH + master)
                    return False
                return True
            time.sleep(_PAUSE)
        return False

    def _without(self, master: int) -> bool:
        noted: bytes | None = os.pread(self._file, 8, master * 8)
        return noted == struct.pack("<Q", os.getppid())


def alive(control_path: str) -> bool:
    """Whether a master answers at its socket."""
    with socket.socket(socket.AF_UNIX) as caller:
        try:
            caller.connect(control_path)
        except OSError:
            return False
    return True
