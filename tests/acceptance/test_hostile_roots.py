# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A jail whose root its root user filled with all that a file system can hold is changed, stopped and removed like any other."""

from __future__ import annotations

import subprocess
import sys
from typing import Any, Dict

import pytest

from .machine import Machine, Remote, Simulated

# Run as the jail's root would, below the jail's root, which is the first argument.
HOSTILE = r"""
import os, socket, sys
os.chdir(os.fsencode(sys.argv[1]))
os.makedirs(b"evil/deep", exist_ok=True)
for number in range(int(sys.argv[2])):
    open(b"evil/%d" % number, "w").close()
for name in (b"new\nline", b"tab\tand \x1b[2J", b"\xff\xfe", b"-rf", b"$(id)", b"'\"", b"x" * 200):
    open(b"evil/" + name, "w").close()
os.mkfifo("evil/fifo")
end = socket.socket(socket.AF_UNIX)
end.bind("evil/socket")
os.symlink("/", "evil/root")
os.symlink("evil/loop", "evil/loop")
os.symlink("/etc", "evil/deep/etc")
with open("evil/sparse", "w") as stream:
    stream.truncate(1 << 40)
with open("evil/setuid", "w") as stream:
    os.fchmod(stream.fileno(), 0o6755)
os.link("evil/setuid", "evil/hard")
path = b"evil/deep"
for _level in range(60):
    path += b"/" + b"d" * 10
    os.mkdir(path)
for place in ("etc/mail", "root", "var/db"):
    if os.path.isdir(place) and not os.path.islink(place):
        os.rename(place, place + ".away")
        os.symlink("/home/cbvictim", place)
for place in ("etc/rc.conf", "etc/resolv.conf", "etc/fstab", "etc/localtime"):
    if os.path.lexists(place):
        os.unlink(place)
    os.mkfifo(place)
"""


def spoil(machine: Machine, entries: int) -> None:
    """Fill the root of cbweb."""
    if isinstance(machine, Remote):
        machine.run(machine.python, "-c", HOSTILE, machine.path("").rstrip("/"), str(entries))
    else:
        assert isinstance(machine, Simulated)
        subprocess.run([sys.executable, "-c", HOSTILE, str(machine.sim.real(machine.path("").rstrip("/"))), str(entries)], check=True)


@pytest.mark.parametrize("root", ["thin", "thick"])
def test_a_spoiled_root_spoils_only_itself(machine: Machine, root: str) -> None:
    quiet: Dict[str, Any] = {"exec": {"start": "", "stop": ""}}
    web = machine.web(root=root, **quiet)
    machine.jails([web, machine.db(**quiet)])
    machine.write("/home/cbvictim/kept", "untouched")
    try:
        spoil(machine, 20000)
        wanted = {
            **web, "rc_conf": {"sshd_enable": "NO"}, "resolv_conf": "copy", "timezone": "UTC", "aliases": {"root": "ops@example.org"},
            "authorized_keys": ["ssh-ed25519 AAAA ops"],
        }
        told = machine.answer("jails", {"jails": [wanted, machine.db(ip4=[f"{machine.interface}|10.99.0.33"], **quiet)], **machine.storage})
        assert list(told.get("failures", {})) == ["cbweb"] and "not followed" in told["failures"]["cbweb"]
        assert machine.running()["cbdb"]["ip4.addr"] == ["10.99.0.33"]
        assert machine.module("jail_info", **machine.storage)["jails"]
        machine.jails([{"name": "cbweb", "state": "absent"}])
        assert "cbweb" not in str(machine.names(machine.place)) and "cbweb" not in machine.running()
        assert machine.names("/home/cbvictim") == ["kept"] and machine.read("/home/cbvictim/kept") == "untouched"
    finally:
        machine.run("rm", "-r", "/home/cbvictim")
        machine.jails([], prune=True)
