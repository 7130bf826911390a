# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Root's home in a jail, asked once in a run.

Core asks for it before every module that goes through a file, in a process of its own, because
``remote_tmp`` begins with ``~``. Only root's is kept: a play does not move it.
"""

from __future__ import annotations

import contextlib
import json
import os
import re

ASKED = re.compile(r"\S+ -c 'echo ~root(?: && sleep 0)?'\Z")


class Homes:
    """What the processes of one run found.

    :param path: a file of the controller that only its user reads.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._run = os.getppid()

    def get(self, jail: str) -> str | None:
        """Root's home in a jail; None when nobody asked in this run."""
        with contextlib.suppress(OSError, ValueError):
            with open(self._path, encoding="utf-8") as stream:
                lines = [json.loads(line) for line in stream]
            return next((str(home) for run, name, home in lines if (run, name) == (self._run, jail)), None)
        return None

    def put(self, jail: str, home: str) -> None:
        """Note it; what an earlier run noted goes."""
        line = json.dumps([self._run, jail, home]) + "\n"
        with contextlib.suppress(OSError, ValueError):
            stale = False
            if os.path.exists(self._path):
                with open(self._path, encoding="utf-8") as stream:
                    stale = json.loads(stream.readline() or "[0]")[0] != self._run
            flags = os.O_WRONLY | os.O_CREAT | (os.O_TRUNC if stale else os.O_APPEND)
            handle = os.open(self._path, flags, 0o600)
            try:
                os.write(handle, line.encode())
            finally:
                os.close(handle)
