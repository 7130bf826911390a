# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The door through ssh: a host is a directory, entered by chroot in a mount namespace of its own."""

from __future__ import annotations

import fcntl
import json
import os
import sys
from pathlib import Path
from typing import Dict, List

from .core import TOOLS, SimulatedHost
from .fresh import fresh_host

STATE = ".simulator/state.json"
# What the machine's own do as well, and Ansible's shell calls for itself; in-process they are simulated.
OF_THIS_MACHINE = ("chmod", "dd", "head", "ln", "mkdir", "sync", "test")


def settle(place: Path) -> None:
    """Lay out the host of a directory, unless another call just did."""
    with _locked(place):
        (place / "python").write_text(f"{Path(os.path.realpath(sys.executable)).parents[1]}\n")
        if not (place / "root" / STATE).exists():
            lay_out(place / "root")


class _locked:
    """One at a time, by flock(2)."""

    def __init__(self, place: Path) -> None:
        place.mkdir(parents=True, exist_ok=True)
        self._stream = open(place / "lock", "w", encoding="utf-8")

    def __enter__(self) -> None:
        fcntl.flock(self._stream, fcntl.LOCK_EX)

    def __exit__(self, *_args: object) -> None:
        self._stream.close()


def lay_out(root: Path) -> None:
    """A fresh host with the tools in place. CELLBLOCK_SIMULATOR_PROFILE: words of fresh_host, as JSON."""
    profile: Dict[str, object] = json.loads(os.environ.get("CELLBLOCK_SIMULATOR_PROFILE", "{}"))
    host = fresh_host(root, **profile)  # type: ignore[arg-type]
    for directory in ("sbin", "usr/local/bin", ".simulator"):
        (root / directory).mkdir(parents=True, exist_ok=True)
    dispatch = "/.collections/ansible_collections/cellblock/jails/tests/simulator/bin/dispatch"
    for name in set(TOOLS) - set(OF_THIS_MACHINE):
        (root / "sbin" / name).symlink_to(dispatch)
    (root / "usr/sbin/sshd").symlink_to(dispatch)  # it wants to be called by its full path
    python = root / "usr/local/bin/python3"
    python.write_text('#!/bin/sh\nexec /.python/bin/python3 -B "$@"\n')
    python.chmod(0o755)
    (root / "etc/passwd").write_text("root:*:0:0:Charlie &:/root:/bin/sh\n")
    (root / "etc/group").write_text("wheel:*:0:root\n")
    save(host, root / STATE)


def save(host: SimulatedHost, path: Path) -> None:
    """Keep the state."""
    new = path.with_suffix(".new")
    new.write_text(json.dumps(host.state))
    new.rename(path)


def dispatch(name: str, arguments: List[str]) -> int:
    """Run a tool inside the simulated host."""
    state = Path("/") / STATE
    reads = name == "xargs" or (name in ("devfs", "jail") and "-" in arguments) or arguments[:1] in (["receive"], ["recv"])
    stdin = sys.stdin.buffer.read().decode("utf-8", "surrogateescape") if reads and "-A" not in arguments else ""
    with _locked(state.parent):  # only now: who writes to us may be a tool too
        host = SimulatedHost(Path("/"), json.loads(state.read_text()))
        code, out, err = host.run([name, *arguments], stdin)
        save(host, state)
    sys.stdout.buffer.write(out.encode("utf-8", "surrogateescape"))
    sys.stdout.flush()
    sys.stderr.write(err)
    return code
