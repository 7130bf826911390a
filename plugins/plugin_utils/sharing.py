# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The master connections of a host, which all its jails share."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from ansible.plugins.connection.ssh import Connection as SshConnection
from ansible.utils.path import makedirs_safe, unfrackpath

from ansible_collections.cellblock.jails.plugins.plugin_utils.slots import Slots

MOST = 64


@dataclass(frozen=True)
class Ends:
    """What tells one host's connections from another's, and the limits."""

    host: str
    port: Any
    user: Any
    directory: str
    per_master: int
    masters: int
    seconds: float


class Masters:
    """Which of a host's connections this process goes through.

    :param ends: gives the host as its options say; they are known only later.
    """

    def __init__(self, ends: Callable[[], Ends]) -> None:
        self._ends = ends
        self._shard = 0
        self._slots: Slots | None = None

    def path(self, host: Any, port: Any, user: Any) -> str:
        """Core asks for it in the place of ``_create_control_path``; the first master is plain ssh's own."""
        return str(SshConnection._create_control_path(host, port, user, self._shard or None))

    def _socket(self, shard: int) -> str:
        ends = self._ends()
        path = SshConnection._create_control_path(ends.host, ends.port, ends.user, shard or None)
        return str(path % {"directory": unfrackpath(ends.directory)})

    def beside(self, suffix: str) -> str:
        """A file beside the first master's socket, which only its user reads."""
        base = self._socket(0)
        makedirs_safe(os.path.dirname(base), 0o700)
        return f"{base}.{suffix}"

    @contextlib.contextmanager
    def session(self) -> Iterator[None]:
        """Hold a session of a master."""
        self._shard, ends = 0, self._ends()
        self._slots = Slots(self.beside("slots"), ends.per_master, ends.masters)
        try:
            with self._slots.session() as self._shard:
                yield
        finally:
            self._slots.close()
            self._slots = None

    @contextlib.contextmanager
    def birth(self) -> Iterator[None]:
        """Around an ssh process that may open a master."""
        if self._slots is None:
            yield
            return
        with self._slots.birth(self._shard, self._socket(self._shard), self._ends().seconds):
            yield

    def every(self) -> Iterator[None]:
        """Go to each of the masters that this plugin may have opened."""
        for shard in range(self._ends().masters or MOST):
            self._shard = shard
            if shard == 0 or os.path.exists(self._socket(shard)):
                yield
        self._shard = 0
