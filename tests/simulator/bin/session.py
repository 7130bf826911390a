# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A session on a simulated host: becomes a command, and answers the calls of tools for as long as that runs.

To import the simulator takes longer than most of its tools: here it happens once, at the first call, and each call is a fork.
"""

from __future__ import annotations

import _socket  # the module socket takes longer to import than the rest of this
import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from socket import socket

TREE = "/.collections/ansible_collections/cellblock/jails"


def serve(descriptor: int, end: int) -> None:
    """Answer calls until the process of the session ends."""
    import select
    import signal
    import socket

    quiet = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(quiet, stream)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    listener = socket.socket(fileno=descriptor)
    while end not in select.select([descriptor, end], [], [])[0]:
        connection, _address = listener.accept()
        sys.path[:1] = ["/.collections"]
        from ansible_collections.cellblock.jails.tests.simulator import door

        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            answer(connection, door)
        connection.close()


def answer(connection: socket, door: Any) -> None:
    """Run a tool on what its caller has for input and output, and tell the exit code."""
    import socket
    import traceback

    code = 1
    try:
        data, streams, _flags, _address = socket.recv_fds(connection, 65536, 3)
        for place, stream in enumerate(streams):
            os.dup2(stream, place)
            os.close(stream)
        while more := connection.recv(65536):
            data += more
        name, *words = os.fsdecode(data).split("\0")
        code = door.dispatch(name, words)
        sys.stderr.flush()
    except BaseException:
        traceback.print_exc()
    finally:
        connection.sendall(b"%d" % code)
        os._exit(0)


def main(command: str) -> None:
    """The program. Its calls find it by a name that is this mount namespace's own; see dispatch.py."""
    listener = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    listener.bind(b"\0cellblock-%d" % os.stat("/proc/self/ns/mnt").st_ino)
    listener.listen(64)
    end = os.pidfd_open(os.getpid())
    if os.fork() == 0:  # and once more, so that it is nobody's child
        if os.fork() == 0:
            serve(listener.fileno(), end)
        os._exit(0)
    os.wait()
    os.environ["PYTHONPATH"] = f"{TREE}/tests/simulator/compiled"
    os.execv("/bin/sh", ["sh", "-c", command])


if __name__ == "__main__":
    main(sys.argv[1])
