# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One run at a time on a host."""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
from typing import Iterator

from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.errors import Locked

LOCK_PATH = "/var/run/cellblock.lock"
SHARED = threading.Lock()  # within a run: files such as rc.conf are one for all lanes


@contextlib.contextmanager
def locked(host: Host, seconds: float, path: str = LOCK_PATH) -> Iterator[None]:
    """Hold the host's lock, or another; wait for another run at most ``seconds``, then say who holds it.

    The kernel lets go of the lock when its holder dies, however it dies.
    """
    handle = os.open(host.real(path), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        if not host.wait_until(lambda: _take(handle), seconds):
            holder = os.pread(handle, 100, 0).decode("ascii", "replace").strip() or "unknown"
            raise Locked(
                f"another run holds the lock (process {holder}), waited {seconds:g} s", path,
                "Let it end, or raise lock_timeout",
            )
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(handle)


def _take(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
