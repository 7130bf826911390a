# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host's state, and how commands reach the tools."""

from __future__ import annotations

import copy
import hashlib
import importlib
import json
import os
import re
import shlex
import stat
import threading
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple

from ansible_collections.cellblock.jails.plugins.module_utils.engine.commands import Process, Result

from .piped import keygen, ssh, started

# What the kernel keeps of a jail, in the order in which jls(8) prints it, with a new jail's values.
KERNEL: Tuple[Tuple[str, Any], ...] = (
    ("devfs_ruleset", "0"), ("dying", False), ("enforce_statfs", "2"), ("env", ""), ("host", "new"),
    ("ip4", "disable"), ("ip6", "disable"), ("jid", ""), ("meta", ""), ("name", ""), ("osreldate", "1501000"),
    ("osrelease", "15.1-RELEASE-p1"), ("parent", "0"), ("path", "/"), ("persist", False), ("securelevel", "-1"),
    ("sysvmsg", "disable"), ("sysvsem", "disable"), ("sysvshm", "disable"),
    ("vnet", "inherit"), ("zfs", "new"), ("allow.adjtime", False), ("allow.chflags", False),
    ("allow.extattr", False), ("allow.mlock", False), ("allow.mount", False), ("allow.mount.devfs", False),
    ("allow.mount.fdescfs", False), ("allow.mount.nullfs", False), ("allow.mount.procfs", False),
    ("allow.mount.tmpfs", False), ("allow.mount.zfs", False), ("allow.nfsd", False), ("allow.quotas", False),
    ("allow.raw_sockets", False), ("allow.read_msgbuf", False), ("allow.reserved_ports", True),
    ("allow.routing", False), ("allow.set_hostname", True), ("allow.setaudit", False), ("allow.settime", False),
    ("allow.socket_af", False), ("allow.suser", True), ("allow.sysvipc", False),
    ("allow.unprivileged_parent_tampering", False), ("allow.unprivileged_proc_debug", True),
    ("children.cur", "0"), ("children.max", "0"), ("cpuset.id", "0"), ("host.domainname", ""),
    ("host.hostid", "0"), ("host.hostname", ""), ("host.hostuuid", "00000000-0000-0000-0000-000000000000"),
    ("ip4.addr", []), ("ip4.saddrsel", True), ("ip6.addr", []), ("ip6.saddrsel", True), ("zfs.mount_snapshot", "0"),
)

# The devices of the ruleset devfsrules_unhide_login.
LOGIN: Tuple[str, ...] = (
    *(f"{kind}{letter}*" for kind in ("pty", "tty") for letter in "pqrsPQRSlmnoLMNO"),
    "ptmx", "pts", "pts/*", "fd", "fd/*", "stdin", "stdout", "stderr",
)

Tool = Callable[["SimulatedHost", List[str], str], Tuple[int, str, str]]
TOOLS: Dict[str, Tool] = {}


class SimulatedKill(BaseException):
    """The run dies here, as by SIGKILL."""


class Refusal(Exception):
    """A tool's refusal: what it prints, and its exit code."""

    def __init__(self, err: str, rc: int = 1, out: str = "") -> None:
        super().__init__(err)
        self.rc, self.out, self.err = rc, out, err


def tool(*names: str) -> Callable[[Tool], Tool]:
    """Register a tool under its names."""

    def register(function: Tool) -> Tool:
        for name in names:
            TOOLS[name] = function
        return function

    return register


def fresh_state() -> Dict[str, Any]:
    """The state of a host that has just booted and has nothing of ours."""
    return {
        "jails": {}, "absent": [], "next_jid": 1, "dying": [], "linger": False,
        "mounts": [{"special": "/dev/ada0p2", "node": "/", "fstype": "ufs", "opts": ["local", "soft-updates"]},
                   {"special": "devfs", "node": "/dev", "fstype": "devfs", "opts": []}],
        "interfaces": {"rl0": [["10.10.10.10", 24]], "lo0": [["127.0.0.1", 8], ["::1", 128]]},
        "datasets": {}, "txg": 10, "pool": None, "rctl": [], "flags": [], "modules": [],
        "rulesets": {"1": ["hide"], "2": [f"path {name} unhide" for name in "null zero crypto random urandom".split()],
                     "3": [f"path {name} unhide" for name in LOGIN],
                     "4": ["include 1", "include 2", "include 3", "path fuse unhide", "path zfs unhide"],
                     "5": ["include 1", "include 2", "include 3", "include 4", "path pf unhide"]},
        "sysctl": {"kern.osreldate": "1501000", "kern.osrelease": "15.1-RELEASE-p1", "kern.racct.enable": "0",
                   "kern.features.vimage": "1", "kern.hostname": "jailhost1", "hw.ncpu": "4",
                   "net.inet.ip.forwarding": "0", "net.inet6.ip6.forwarding": "0", "net.link.bridge.pfil_member": "0", "net.fibs": "1",
                   "kern.boottime": "{ sec = 1795000000, usec = 0 } Tue Nov 17 02:26:40 2026",
                   "security.jail.jail_max_af_ips": "255", "security.jail.meta_maxbufsize": "4096",
                   "security.jail.enforce_statfs": "2"},
        "services": {},
    }


class SimulatedHost:
    """A FreeBSD host below a directory.

    :param root: the directory that stands for ``/``; files of the host are really there.
    :param state: everything else; JSON.
    """

    def __init__(self, root: Path, state: Optional[Dict[str, Any]] = None) -> None:
        self.root = Path(root)
        self.state: Dict[str, Any] = state if state is not None else fresh_state()
        self.commands: List[Tuple[str, ...]] = []
        self.kill_at: Optional[int] = None
        self.fail_at: Optional[int] = None
        self.fail: List[Tuple[Tuple[str, ...], str]] = []
        self.cuts: List[Tuple[Tuple[str, ...], int]] = []
        self.peers: Dict[str, SimulatedHost] = {}
        self.env: Mapping[str, str] = {}
        self._one = threading.RLock()  # commands take turns, as they do for the kernel's own state

    # -- the door

    def runner(
        self, argv: Sequence[str], stdin: Optional[bytes], env: Mapping[str, str], timeout: Optional[float]
    ) -> Result:
        """The in-process door: the Runner that Host takes."""
        self.commands.append(tuple(argv))
        if self.kill_at is not None and len(self.commands) > self.kill_at:
            raise SimulatedKill()
        if self.fail_at is not None and len(self.commands) == self.fail_at + 1:
            return Result(tuple(argv), 1, "", "simulated failure\n")
        with self._one:
            self.env = env
            rc, out, err = self.run(list(argv), (stdin or b"").decode("utf-8", "surrogateescape"))
        return Result(tuple(argv), rc, out, err)

    def spawn(self, argv: Sequence[str], stdin: int, stdout: int, stderr: int, env: Mapping[str, str]) -> Process:
        """The in-process door of streams: the Spawner that Host takes."""
        self.commands.append(tuple(argv))
        if self.kill_at is not None and len(self.commands) > self.kill_at:
            raise SimulatedKill()
        if self.fail_at is not None and len(self.commands) == self.fail_at + 1:
            self.fail_once(argv[0].rsplit("/", 1)[-1], *argv[1:])
        cut = next(((start, after) for start, after in self.cuts if tuple(argv)[: len(start)] == start), None)
        if cut is not None:
            self.cuts.remove(cut)
        return started(self, argv, (stdin, stdout, stderr), None if cut is None else cut[1])

    def run(self, argv: List[str], stdin: str = "") -> Tuple[int, str, str]:
        """Run one command to its end."""
        name = argv[0].rsplit("/", 1)[-1]
        told = self.failing(argv)
        if told is not None:
            self.fail.remove(told)
            return 1, "", told[1] + "\n"
        if name not in TOOLS:
            return 127, "", f"{argv[0]}: not found\n"
        try:
            return TOOLS[name](self, argv[1:], stdin)
        except Refusal as refusal:
            return refusal.rc, refusal.out, refusal.err + ("\n" if refusal.err and not refusal.err.endswith("\n") else "")

    def fail_once(self, *argv: str, says: str = "simulated failure") -> None:
        """The next command that begins with these words fails."""
        self.fail.append((tuple(argv), says))

    def failing(self, argv: Sequence[str]) -> Optional[Tuple[Tuple[str, ...], str]]:
        """What was said of this command by :meth:`fail_once`."""
        words = (argv[0].rsplit("/", 1)[-1], *argv[1:])
        return next(((start, says) for start, says in self.fail if words[: len(start)] == start), None)

    def cut_once(self, *argv: str, after: int) -> None:
        """The next command of a stream that begins with these words dies after so many bytes."""
        self.cuts.append((tuple(argv), after))

    # -- paths and pictures

    def real(self, path: str) -> Path:
        """Where a path of the host is."""
        return self.root / path.lstrip("/")

    def resolved(self, path: str) -> str:
        """A path of the host without links on the way, as the kernel notes it."""
        real, root = os.path.realpath(self.real(path)), os.path.realpath(self.root)
        return real[len(root):] or "/" if f"{real}/".startswith(f"{root}/") else path

    def running(self) -> Dict[str, Dict[str, Any]]:
        """The running jails by name."""
        return {str(jail["name"]): jail for jail in self.state["jails"].values()}

    def kernel(self) -> Dict[str, Any]:
        """The parameters that this kernel keeps of a jail, with a new jail's values."""
        own = {name: self.state["sysctl"][f"kern.{name}"] for name in ("osreldate", "osrelease")}
        return {key: copy.copy(own.get(key, value)) for key, value in KERNEL if key not in self.state["absent"]}

    @property
    def osreldate(self) -> int:
        """The release, as __FreeBSD_version tells it."""
        return int(self.state["sysctl"]["kern.osreldate"])

    def nodes(self) -> List[str]:
        """The mount points, in mount order."""
        return [mount["node"] for mount in self.state["mounts"]]

    def picture(self) -> Dict[str, Any]:
        """Everything that a user could see, comparable: the state less counters, and the files."""
        seen = copy.deepcopy(self.state)
        for jail in seen["jails"].values():
            for volatile in ("jid", "cpuset.id", "parent"):
                jail.pop(volatile, None)
        seen["jails"] = {jail["name"]: jail for jail in seen["jails"].values()}
        for volatile in ("next_jid", "txg"):
            seen.pop(volatile)
        for dataset in seen["datasets"].values():
            for volatile in ("txg", "guid"):
                dataset.pop(volatile, None)
        seen["interfaces"] = {name: sorted(held) for name, held in seen["interfaces"].items()}
        seen["rctl"] = sorted(seen["rctl"])
        seen["mounts"] = sorted(json.dumps(mount, sort_keys=True) for mount in seen["mounts"])
        seen["files"] = self._files()
        return dict(seen)

    def _files(self) -> Dict[str, str]:
        found = {}
        for where, directories, plain in os.walk(self.root):
            for name in [*directories, *plain]:
                path = os.path.join(where, name)
                shown = path[len(str(self.root)):]
                if shown.startswith(("/var/run/", "/.snapshots", "/var/log")):
                    continue
                info = os.lstat(path)
                if stat.S_ISLNK(info.st_mode):
                    found[shown] = f"-> {os.readlink(path)}"
                elif stat.S_ISREG(info.st_mode):
                    found[shown] = hashlib.sha256(Path(path).read_bytes()).hexdigest()[:12]
                else:
                    found[shown] = f"mode {stat.S_IFMT(info.st_mode):o}"
        return found

    # -- what several tools share

    def call(self, command: str) -> Tuple[int, str, str]:
        """A command line as a hook of jail(8) has it: through the simulator's own tools, else true."""
        if re.search(r"\|\||&&|[;|]", command):
            return self._line(command)
        argv = shlex.split(re.sub(r"\s(?:2>&1|\d?>\s*/dev/null)", "", command))
        if not argv:
            return 0, "", ""
        if argv[-2:] == ["||", ":"]:
            return (0, *self.call(shlex.join(argv[:-2]))[1:])
        # They are in /usr/bin: seen on 15.1.
        missing = argv[0] in ("/bin/true", "/bin/false")
        if missing or argv[0].startswith("/") and argv[0].rsplit("/", 1)[-1] not in TOOLS and not self.real(argv[0]).exists():
            return 1, "", f"jail: exec {argv[0]}: No such file or directory\n"
        return self.run(argv) if argv[0].rsplit("/", 1)[-1] in TOOLS else (0, "", "")

    def _line(self, command: str) -> Tuple[int, str, str]:
        """A line for sh(1): commands between ; && || and |, as hooks of ours have them."""
        rc, out, err, before = 0, "", "", ";"
        for part in re.split(r"\s*(\|\||&&|;|\|)\s*", command):
            if part in (";", "&&", "||", "|"):
                before = part
                continue
            if (before == "&&" and rc) or (before == "||" and not rc):
                continue
            argv = shlex.split(re.sub(r"\s(?:2>&1|\d?>\s*/dev/null)", "", " " + part))
            rc, out, err = self.run(argv, out if before == "|" else "")
        return rc, out, err


tool("ssh")(ssh)
tool("ssh-keygen")(keygen)
# The tools register themselves.
for family in ("cpusets", "files", "firewall", "ipfw", "jails", "network", "plain", "processes", "system", "upgrades", "zfs"):
    importlib.import_module(f"{__package__}.tools.{family}")
