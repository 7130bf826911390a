# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host that a case runs on: simulated, or a FreeBSD behind ssh. Cases see no difference."""

from __future__ import annotations

import abc
import hashlib
import io
import json
import os
import shlex
import subprocess
import tarfile
import threading
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Set, cast

import ansible.module_utils

from ansible_collections.cellblock.jails.plugins.module_utils.engine.commands import Result
from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.tests.simulator import SimulatedHost, SimulatedKill, fresh_host

from . import door

Declared = List[Dict[str, Any]]
BASE = "acceptance"
# What a case may touch besides its jails; each is as it was when the case ends.
WATCHED = ("/etc/rc.conf", "/etc/devfs.rules", "/etc/rctl.conf", "/etc/jail.conf", "/boot/loader.conf", "/etc/ssh/sshd_config")


class Failed(AssertionError):
    """A module failed; ``told`` is its whole answer."""

    def __init__(self, told: Dict[str, Any]) -> None:
        super().__init__(str(told.get("msg")))
        self.told = told


class Killed(Exception):
    """The run was killed, as asked."""


class Machine(abc.ABC):
    """A host, and how cases look at it.

    :param place: the directory of the jails.
    :param dataset: the dataset mounted there; None for plain directories.
    :param interface: where addresses may be added.
    :param real: whether commands inside jails really run.
    """

    real = False

    def __init__(self, place: str, dataset: Optional[str], interface: str) -> None:
        self.place, self.dataset, self.interface = place, dataset, interface

    # -- doors

    @abc.abstractmethod
    def ask(self, *argv: str, stdin: str = "") -> Result:
        """Run a command; its failure is an answer too."""

    @abc.abstractmethod
    def answer(self, module: str, options: Dict[str, Any], kill_at: Optional[int] = None) -> Dict[str, Any]:
        """What a module answers; raises :class:`Killed` when it was killed before command ``kill_at``."""

    @abc.abstractmethod
    def read(self, path: str) -> Optional[str]:
        """A file's text; None when there is none."""

    @abc.abstractmethod
    def write(self, path: str, text: str) -> None:
        """Write a file, its directory too."""

    @abc.abstractmethod
    def names(self, path: str) -> List[str]:
        """What is in a directory; nothing when there is none."""

    @abc.abstractmethod
    def link(self, target: str, path: str) -> None:
        """Put a symbolic link at a path, in place of what is there."""

    @abc.abstractmethod
    def fifo(self, path: str) -> None:
        """Put a FIFO at a path, in place of what is there."""

    @abc.abstractmethod
    def boot(self) -> None:
        """What the boot does for jails: nothing runs, then what is to start is started."""

    def commands(self) -> int:
        """How many commands the last module ran; a real host does not say."""
        return 10

    # -- words for the cases

    def run(self, *argv: str, stdin: str = "") -> str:
        """Run a command that must succeed; what it printed."""
        done = self.ask(*argv, stdin=stdin)
        assert done.rc == 0, f"{argv}: {done.out}{done.err}"
        return done.out

    def module(self, called: str, /, check: bool = False, kill_at: Optional[int] = None, **options: Any) -> Dict[str, Any]:
        """Call a module that must succeed."""
        told = self.answer(called, {**options, "_ansible_check_mode": check, "_ansible_diff": True}, kill_at)
        if told.get("failed"):
            raise Failed(told)
        return told

    def jails(self, declared: Declared, **options: Any) -> Dict[str, Any]:
        """Call the module jails."""
        return self.module("jails", jails=declared, **self.storage, **options)

    @property
    def storage(self) -> Dict[str, Any]:
        """The options that say where jails are."""
        return {"storage_path": self.place, "storage_dataset": self.dataset}

    @property
    def osreldate(self) -> int:
        """The host's release, as __FreeBSD_version tells it."""
        return int(self.run("sysctl", "-n", "kern.osreldate"))

    @property
    def clone(self) -> str:
        """The cheapest root of a base that this storage has."""
        return "clone" if self.dataset else "thin"

    def web(self, **options: Any) -> Dict[str, Any]:
        """A jail to declare."""
        return {"name": "cbweb", "base": BASE, "ip4": [f"{self.interface}|10.99.0.20"], **options}

    def db(self, **options: Any) -> Dict[str, Any]:
        """Another."""
        return {"name": "cbdb", "base": BASE, "ip4": [f"{self.interface}|10.99.0.30/24"], **options}

    def path(self, inside: str, jail: str = "cbweb") -> str:
        """Where a path of a jail is on the host."""
        return f"{self.place}/{jail}/{inside.lstrip('/')}"

    def running(self) -> Dict[str, Dict[str, Any]]:
        """The running jails as jls(8) tells them, by name, in the order of their start."""
        listed = json.loads(self.run("jls", "--libxo", "json", "-n"))["jail-information"]["jail"]
        return {jail["name"]: jail for jail in sorted(listed, key=lambda jail: int(jail["jid"]))}

    def linger(self, jail: str, address: str) -> None:
        """Let a jail be dying for long when it stops: somebody is connected to it, and does not mind."""
        self.run("jexec", jail, "daemon", "-f", "nc", "-n", "-l", address, "7070")
        self.run("sleep", "2")
        self.run("daemon", "-f", "sh", "-c", f"sleep 900 | nc -n {address} 7070")
        self.run("sleep", "2")

    def addresses(self) -> Set[str]:
        """The IPv4 and IPv6 addresses on the interface, with prefix."""
        lines = self.run("ifconfig", "-f", "inet:cidr,inet6:cidr", self.interface).splitlines()
        return {line.split()[1] for line in lines if line.strip().startswith("inet")}

    def mounted(self) -> Set[str]:
        """The mount points."""
        told = json.loads(self.run("mount", "--libxo", "json"))
        return {str(one["node"]) for one in told["mount"]["mounted"]}

    def rules(self) -> Set[str]:
        """The rules of rctl(8); none where limits are off."""
        done = self.ask("rctl")
        return set(done.out.split()) if done.rc == 0 else set()

    @property
    def limits_work(self) -> bool:
        """Whether the kernel keeps limits."""
        return self.ask("rctl").rc == 0

    def picture(self) -> Dict[str, Any]:
        """Everything of the host that a case could leave changed."""
        datasets = self.run("zfs", "list", "-H", "-r", "-t", "all", "-o", "name", self.dataset).split() if self.dataset else []
        return {
            "jails": sorted(self.running()), "mounts": sorted(self.mounted()), "datasets": sorted(datasets),
            "addresses": sorted(self.addresses()), "rules": sorted(self.rules()), "place": self.names(self.place),
            "jail.conf.d": self.names("/etc/jail.conf.d"),
            "fstabs": [name for name in self.names("/etc") if name.startswith("fstab.")],
            "rulesets": self.run("devfs", "rule", "showsets").split(),
            **{path: self.read(path) for path in WATCHED},
        }


class Simulated(Machine):
    """The simulated host, in process."""

    def __init__(self, root: Path, storage: str, **words: Any) -> None:
        super().__init__("/usr/jails", "zroot/jails" if storage == "zfs" else None, "rl0")
        root.mkdir(parents=True, exist_ok=True)
        self.sim: SimulatedHost = fresh_host(root, storage, **{"racct": True, **words})
        self.module("basejail", name=BASE, source="sets", url="file:///var/dist", **self.storage)
        self.sim.commands.clear()

    def ask(self, *argv: str, stdin: str = "") -> Result:
        code, out, err = self.sim.run(list(argv), stdin)
        return Result(argv, code, out, err)

    def answer(self, module: str, options: Dict[str, Any], kill_at: Optional[int] = None) -> Dict[str, Any]:
        self.sim.commands.clear()
        door.RECALLED.clear()
        self.sim.kill_at = kill_at
        try:
            told = self._called(module, options)
        except SimulatedKill as death:
            raise Killed() from death
        finally:
            self.sim.kill_at = None
        if door.RECALLED:
            ran = list(self.sim.commands)
            planned = self._called(module, {**options, "_ansible_check_mode": True})
            assert planned == told, "what was told again is not what would be told now"
            self.sim.commands[:] = ran
        if os.environ.get("CELLBLOCK_RECALL") and module in ("jail", "jails") and told.get("changed") and not options.get("_ansible_check_mode"):
            ran = list(self.sim.commands)
            self._called(module, options)
            self.sim.commands[:] = ran
        return told

    def _called(self, module: str, options: Dict[str, Any]) -> Dict[str, Any]:
        return door.call(module, options, lambda: Host(self.sim.runner, str(self.sim.root), self.sim.spawn))

    def commands(self) -> int:
        return len(self.sim.commands)

    def linger(self, jail: str, address: str) -> None:
        self.sim.state["linger"] = "long"

    def read(self, path: str) -> Optional[str]:
        real = self.sim.real(path)
        return real.read_text() if real.exists() else None

    def write(self, path: str, text: str) -> None:
        self.sim.real(path).parent.mkdir(parents=True, exist_ok=True)
        self.sim.real(path).write_text(text)

    def names(self, path: str) -> List[str]:
        real = self.sim.real(path)
        return sorted(os.listdir(real)) if real.is_dir() else []

    def _aside(self, path: str) -> Path:
        real = self.sim.real(path)
        if os.path.lexists(real):
            real.rename(real.with_name(real.name + ".aside"))
        return real

    def link(self, target: str, path: str) -> None:
        os.symlink(os.path.relpath(self.sim.real(target), self.sim.real(path).parent), self._aside(path))

    def fifo(self, path: str) -> None:
        os.mkfifo(self._aside(path))

    def boot(self) -> None:
        from ansible_collections.cellblock.jails.tests.simulator.tools.system import reboot

        self.write("/etc/rc.conf", (self.read("/etc/rc.conf") or "") + 'jail_enable="YES"\n')
        reboot(self.sim)
        self.write("/etc/rc.conf", (self.read("/etc/rc.conf") or "").replace('jail_enable="YES"\n', ""))


class Remote(Machine):
    """A FreeBSD host behind ssh: ``root@address[:port]``. Needs nothing there but ssh and Python."""

    real = True
    HOME = "/var/tmp/cellblock-acceptance"
    DIST = f"{HOME}/dist"

    def __init__(self, target: str, place: str, dataset: Optional[str], python: str = "python3") -> None:
        super().__init__(place, dataset, "")
        where, _colon, port = target.partition(":")
        self.target, self.port, self.python = where, port or "22", python
        self._stays: Optional[subprocess.Popen[str]] = None
        self._one_call = threading.Lock()
        self._ahead: Dict[Any, Any] = {}  # answers that were asked for together

    def _words(self, command: str) -> List[str]:
        return [
            "ssh", "-p", self.port, "-o", "BatchMode=yes", "-o", "ConnectTimeout=20", "-o", "ServerAliveInterval=20",
            "-o", "ControlMaster=auto", "-o", "ControlPersist=60",
            "-o", "ControlPath=~/.ssh/cellblock-%C", self.target, command,
        ]

    def ssh(self, command: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        """Run a command line there."""
        return subprocess.run(self._words(command), input=stdin, capture_output=True, check=False, timeout=1800)

    def picture(self) -> Dict[str, Any]:
        """Everything at once: a question each would take longer than the case itself."""
        commands = [
            ["jls", "--libxo", "json", "-n"], ["mount", "--libxo", "json"], ["rctl"], ["devfs", "rule", "showsets"],
            ["ifconfig", "-f", "inet:cidr,inet6:cidr", self.interface],
        ]
        commands += [["zfs", "list", "-H", "-r", "-t", "all", "-o", "name", self.dataset]] if self.dataset else []
        folders, files = [self.place, "/etc/jail.conf.d", "/etc"], list(WATCHED)
        told = self._ask_door(json.dumps({"commands": commands, "folders": folders, "files": files}) + "\n")
        self._ahead = {tuple(argv): Result(tuple(argv), *answer) for argv, answer in zip(commands, told["commands"])}
        self._ahead.update(zip([*folders, *files], [*told["folders"], *told["files"]]))
        try:
            return super().picture()
        finally:
            self._ahead = {}

    def ask(self, *argv: str, stdin: str = "") -> Result:
        if argv in self._ahead:
            return cast(Result, self._ahead[argv])
        done = self.ssh(shlex.join(argv), stdin.encode())
        return Result(argv, done.returncode, done.stdout.decode(errors="surrogateescape"), done.stderr.decode(errors="replace"))

    def answer(self, module: str, options: Dict[str, Any], kill_at: Optional[int] = None) -> Dict[str, Any]:
        asked = json.dumps({"module": module, "options": options, "kill_at": kill_at}) + "\n"
        if kill_at is None and self._one_call.acquire(blocking=False):
            try:
                return self._ask_door(asked)
            finally:
                self._one_call.release()
        done = self.ssh(self._door, asked.encode())
        if kill_at is not None and not done.stdout:
            raise Killed()
        assert done.stdout, done.stderr
        return dict(json.loads(done.stdout.splitlines()[-1]))

    @property
    def _door(self) -> str:
        program = f"{self.HOME}/lib/ansible_collections/cellblock/jails/tests/acceptance/door.py"
        return shlex.join(["env", f"PYTHONPATH={self.HOME}/lib", self.python, "-B", program])

    def _ask_door(self, asked: str) -> Dict[str, Any]:
        """Through the one program that stays: most of a module's time is its start."""
        if self._stays is None or self._stays.poll() is not None:
            self._stays = subprocess.Popen(self._words(self._door), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._stays.stdin and self._stays.stdout
        self._stays.stdin.write(asked)
        self._stays.stdin.flush()
        answer = self._stays.stdout.readline()
        assert answer, "the host's end is gone"
        return dict(json.loads(answer))

    def read(self, path: str) -> Optional[str]:
        if path in self._ahead:
            return cast(Optional[str], self._ahead[path])
        done = self.ask("cat", path)
        return done.out if done.rc == 0 else None

    def write(self, path: str, text: str) -> None:
        self.run("mkdir", "-p", os.path.dirname(path))
        self.run("tee", path, stdin=text)

    def names(self, path: str) -> List[str]:
        if path in self._ahead:
            return cast(List[str], self._ahead[path])
        return sorted(self.ask("ls", "-A", path).out.splitlines())

    def _aside(self, path: str) -> None:
        self.ask("mv", path, f"{path}.aside")

    def link(self, target: str, path: str) -> None:
        self._aside(path)
        self.run("ln", "-s", target, path)

    def fifo(self, path: str) -> None:
        self._aside(path)
        self.run("mkfifo", path)

    def boot(self) -> None:
        self.run("service", "jail", "onestop")
        self.run("service", "jail", "onestart")

    def reconnect(self) -> None:
        """Let the next command come by a new connection."""
        if self._stays is not None:
            self._stays.kill()
            self._stays.wait()
            self._stays = None
        words = self._words("")
        subprocess.run([*words[:-2], "-O", "exit", self.target], capture_output=True, check=False, timeout=60)

    def reboot(self) -> None:
        """Boot it for real, and wait until it answers again."""
        before = self.run("sysctl", "-n", "kern.boottime")
        self.ask("shutdown", "-r", "now")
        deadline = time.monotonic() + 1800
        while time.monotonic() < deadline:
            self.reconnect()
            subprocess.run(["sleep", "5"], check=True)
            now = self.ask("sysctl", "-n", "kern.boottime")
            if now.rc == 0 and now.out != before:
                self.run("ifconfig", self.interface, "create", "up")
                return
        raise AssertionError("it does not come back")

    # -- coming and going

    def settle(self) -> None:
        """Bring the collection there, and make what the cases need: an interface, a base, a dataset."""
        self.run("mkdir", "-p", f"{self.HOME}/lib")
        done = self.ssh(f"tar -xf - -C {self.HOME}/lib", _bundle())
        assert done.returncode == 0, done.stderr
        self.interface = self.run("ifconfig", "lo", "create").strip()
        self.run("ifconfig", self.interface, "up")
        pack_base(self.ssh, self.DIST)
        self.module("host_storage", path=self.place, dataset=self.dataset)
        self.module("basejail", name=BASE, source="sets", url=f"file://{self.DIST}", **self.storage)

    def leave(self) -> None:
        """Take all of it away again."""
        if self._stays is not None and self._stays.stdin:
            self._stays.stdin.close()
            self._stays.wait()
            self._stays = None
        self.module("basejail", name=BASE, state="absent", **self.storage)
        self.run("ifconfig", self.interface, "destroy")
        if self.dataset:
            self.run("zfs", "destroy", f"{self.dataset}/basejails")
            self.run("zfs", "destroy", self.dataset)
        else:
            self.run("rmdir", f"{self.place}/basejails", self.place)


def pack_base(ssh: Callable[[str, bytes], subprocess.CompletedProcess[bytes]], dist: str) -> None:
    """Make a host pack its own system as a release's base.txz, in a directory there."""
    program = Path(__file__).resolve().parents[1] / "pack_base.sh"
    done = ssh(f"sh -s {shlex.quote(dist)}", program.read_bytes())
    assert done.returncode == 0, done.stderr


def _bundle() -> bytes:
    """What modules need there: ansible's module_utils and the collection's plugins, as Ansible would bring them."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        tree = Path(__file__).resolve().parents[2]
        places = {Path(p).resolve(): "ansible/module_utils" for p in ansible.module_utils.__path__}
        places[tree / "plugins" / "module_utils"] = "ansible_collections/cellblock/jails/plugins/module_utils"
        places[tree / "plugins" / "modules"] = "ansible_collections/cellblock/jails/plugins/modules"
        places[tree / "tests" / "acceptance"] = "ansible_collections/cellblock/jails/tests/acceptance"
        for where, name in places.items():
            for path in sorted(where.rglob("*.py")):
                archive.add(path, f"{name}/{path.relative_to(where)}")
        for name in ("ansible/__init__.py",):
            archive.addfile(tarfile.TarInfo(name))
    return stream.getvalue()


def digest(text: str) -> str:
    """A short name of a text."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]
