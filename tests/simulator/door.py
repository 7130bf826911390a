# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The door through ssh: a host is a directory, entered by chroot in a mount namespace of its own."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Dict, List, Tuple

from .core import TOOLS, SimulatedHost
from .fresh import fresh_host

HERE = Path(__file__).resolve().parent
COLLECTIONS = HERE.parents[4]
STATE = ".simulator/state.json"
# What the machine's own do as well, and Ansible's shell calls for itself; in-process they are simulated.
OF_THIS_MACHINE = ("chmod", "dd", "find", "head", "ln", "mkdir", "sync", "test")
# As a real host answered `jexec t1 env` over ssh, commands.json.
ENVIRONMENT = {
    "HOME": "/root", "USER": "root", "LOGNAME": "root", "SHELL": "/bin/sh", "LANG": "C.UTF-8",
    "SSH_CONNECTION": "10.10.10.1 44556 10.10.10.10 22",
    "PATH": "/sbin:/bin:/usr/sbin:/usr/bin:/usr/local/bin",
}
# OpenSSH's options that take a value.
WITH_VALUE = "BbcDEeFIiJLlmOopQRSWw"
ENTER = r"""
set -e
root=$1
bind() { mkdir -p "$root$2"; mount --rbind "$1" "$root$2"; }
bind /usr/bin /usr/bin
bind /usr/bin /bin
bind /usr/lib /usr/lib
bind /usr/lib /lib
[ ! -d /usr/lib64 ] || { bind /usr/lib64 /usr/lib64; bind /usr/lib64 /lib64; }
bind /dev /dev
bind /proc /proc
bind "$3" /.python
bind "$4" /.collections
# A Python may look for its shared library where it was installed.
[ -e "$root$3" ] || [ -L "$root$3" ] || { mkdir -p "$root${3%/*}"; ln -sfn /.python "$root$3"; }
shift
exec chroot "$root" /bin/sh -c "cd /root; $1"
"""


def parse(arguments: List[str]) -> Tuple[str, str]:
    """ssh's host and remote command."""
    words = list(arguments)
    while words and words[0].startswith("-"):
        word = words.pop(0)
        if len(word) == 2 and word[1] in WITH_VALUE and words:
            words.pop(0)
    host = words.pop(0) if words else ""
    return host.rpartition("@")[2], " ".join(words[1:] if words[:1] == ["--"] else words)


def ssh(arguments: List[str]) -> int:
    """Run a remote command; its exit code."""
    name, command = parse(arguments)
    if not name:
        sys.stderr.write("usage: ssh [-options] destination [command]\n")
        return 255
    place = Path(os.environ["CELLBLOCK_SIMULATOR"]) / name
    root = place / "root"
    with _locked(place):
        if not (root / STATE).exists():
            lay_out(root)
    unshare = ["unshare", "--mount", "--propagation", "private", *([] if os.geteuid() == 0 else ["--map-root-user"])]
    prefix = str(Path(os.path.realpath(sys.executable)).parents[1])
    argv = [*unshare, "--", "/bin/sh", "-c", ENTER, "sh", str(root), command, prefix, str(COLLECTIONS)]
    return subprocess.run(argv, env=ENVIRONMENT, check=False).returncode


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
    new.write_text(json.dumps(host.state, indent=1))
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
