# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every FreeBSD tool of a simulated host, by the name it is called by: asks its session, or does it alone when that has ended."""

from __future__ import annotations

import _socket as socket  # the module socket takes longer to import than the rest of this
import os
import sys
from typing import List


def asked(name: str, words: List[str]) -> int:
    """The exit code that the session answers.

    :raises OSError: nobody is there.
    """
    session = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    session.connect(b"\0cellblock-%d" % os.stat("/proc/self/ns/mnt").st_ino)
    data = os.fsencode("\0".join([name, *words]))
    streams = b"".join(stream.to_bytes(4, sys.byteorder) for stream in range(3))
    session.sendmsg([data[:1]], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, streams)])
    session.sendall(data[1:])
    session.shutdown(socket.SHUT_WR)
    return int(session.recv(16))


def alone(name: str, words: List[str]) -> int:
    """The exit code of the tool in this process."""
    sys.path.insert(0, "/.collections")
    from ansible_collections.cellblock.jails.tests.simulator import door

    return door.dispatch(name, words)


if __name__ == "__main__":
    name, words = sys.argv[1], sys.argv[2:]
    if name == "tar" and "-" in words:  # streams go through the real one
        os.execv("/usr/bin/tar", ["tar", *["--no-recursion" if word == "-n" else word for word in words if word not in ("--unlink", "--fflags")]])
    try:
        code = asked(name, words)
    except OSError:
        code = alone(name, words)
    os._exit(code)
