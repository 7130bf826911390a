# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host with jails behind OpenSSH's server, once for all tests of this folder."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from .jailhost import USERS

HERE = Path(__file__).parent
COLLECTIONS = HERE.parents[4]
JAILS = ("web", "db", "parent", "parent.child")
NEEDED = ("sshd", "unshare", "nsenter", "openssl", "ssh-keygen", "sudo", "doas")
TASK_NAMES = "r{}".format


def until(condition: Callable[[], Any], what: str, seconds: float = 30.0) -> Any:
    """Wait for a condition, with a bound."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > end:
            pytest.fail(f"waited {seconds} s in vain for: {what}")
        time.sleep(0.01)
    return found


class JailHost:
    """The host as tests see it."""

    def __init__(self, state: Path, port: int, pid: int) -> None:
        self.state, self.port, self.pid = state, port, pid
        self.work = state / "work"
        self.work.mkdir()
        self.counter = state / "count"
        self.shim = ""

    # -- jails

    def root(self, jail: str) -> Path:
        """A jail's root; what is mounted in it is not seen from here."""
        return self.state / "roots" / jail

    @contextlib.contextmanager
    def jail_state(self, jail: str, state: str) -> Iterator[None]:
        """Have a jail stopped or dying for a while."""
        file = self.state / "jails" / jail / "state"
        file.write_text(state)
        try:
            yield
        finally:
            file.write_text("running")

    # -- on the host

    def as_user(self, user: str, *words: str) -> list[str]:
        """The command line that runs another as a user of the host."""
        number = str(USERS[user])
        become = ["setpriv", f"--reuid={number}", f"--regid={number}", "--clear-groups"] if user != "root" else []
        clean = ["env", "-i", "PATH=/usr/bin:/bin", "TERM=xterm"]
        return ["nsenter", "--mount", f"--target={self.pid}", *become, *clean, *words]

    def entered(self) -> list[str]:
        """What the last jexec was started with: environment, umask, directory, descriptors."""
        return (self.state / "entered").read_text().splitlines()

    # -- connections

    def variables(self, jail: str = "web", **more: Any) -> dict[str, Any]:
        """What an inventory says of a jail; None takes a variable away."""
        variables = {
            "inventory_hostname": jail,
            "ansible_connection": "cellblock.jails.jexec",
            "ansible_jail_host": "127.0.0.1",
            "ansible_port": self.port,
            "ansible_user": "root",
            "ansible_ssh_private_key_file": str(self.state / "key"),
            "ansible_ssh_common_args": f"-o UserKnownHostsFile={self.state}/known_hosts -o LogLevel=ERROR",
            "ansible_ssh_executable": self.shim or str(self.state / "bin/ssh"),
            "ansible_sftp_executable": str(self.state / "bin/sftp"),
            "ansible_scp_executable": str(self.state / "bin/scp"),
            "ansible_control_path_dir": str(self.state / "cp"),
            "ansible_python_interpreter": f"{sys.base_prefix}/bin/python3",
            **more,
        }
        return {key: value for key, value in variables.items() if value is not None}

    def environment(self, **more: str) -> dict[str, str]:
        """The environment of ansible's commands."""
        return {
            **os.environ,
            "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS),
            "ANSIBLE_HOME": str(self.state / "ansible"),
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_DEPRECATION_WARNINGS": "0",
            "ANSIBLE_LOCALHOST_WARNING": "0",
            "PYTHONPATH": str(COLLECTIONS.parent),
            **more,
        }

    def start_driver(self, *do: Any, become: Any = None, memory: int = 0, **variables: Any) -> subprocess.Popen[str]:
        """Drive one connection in a process of its own."""
        process = subprocess.Popen(
            [sys.executable, str(HERE / "driver.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self.environment(),
        )
        order = {"variables": self.variables(**variables), "become": become, "memory": memory, "do": do}
        assert process.stdin is not None
        process.stdin.write(json.dumps(order))
        process.stdin.close()
        process.stdin = None
        return process

    def drive(self, *do: Any, become: Any = None, memory: int = 0, **variables: Any) -> list[dict[str, Any]]:
        """Drive one connection to its end."""
        process = self.start_driver(*do, become=become, memory=memory, **variables)
        out, err = process.communicate(timeout=300)
        assert process.returncode == 0, err
        return list(json.loads(out))

    def execute(self, command: str, data: str | None = None, **more: Any) -> dict[str, Any]:
        """One command."""
        return self.drive(["exec", command, data], **more)[0]

    # -- playbooks

    def play(
        self,
        tasks: list[dict[str, Any]],
        hosts: dict[str, dict[str, Any]] | None = None,
        pipelining: bool = False,
        forks: int = 5,
        **play: Any,
    ) -> list[dict[str, Any]]:
        """Run tasks with ansible-playbook; gives the first host's result of each."""
        named = hosts or {"web": self.variables()}
        work = Path(tempfile.mkdtemp(dir=self.work))
        (work / "inventory.yml").write_text(yaml.safe_dump({"all": {"hosts": named}}))
        first = next(iter(named))
        registered = [
            {"ignore_errors": True, "ignore_unreachable": True, **task, "register": TASK_NAMES(number)}
            for number, task in enumerate(tasks)
        ]
        words = ", ".join(f"hostvars[{first!r}].{TASK_NAMES(number)} | default({{}})" for number in range(len(tasks)))
        report = {"ansible.builtin.copy": {"content": f"{{{{ [{words}] | to_json }}}}", "dest": str(work / "out.json")}}
        book = [
            {"hosts": "all", "gather_facts": False, "tasks": registered, **play},
            {"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": [report]},
        ]
        (work / "play.yml").write_text(yaml.safe_dump(book, sort_keys=False))
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "ansible.cli.playbook",
                "-i",
                str(work / "inventory.yml"),
                "-f",
                str(forks),
                str(work / "play.yml"),
            ],
            env=self.environment(ANSIBLE_PIPELINING=str(pipelining)),
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert (work / "out.json").exists(), done.stdout + done.stderr
        return list(json.loads((work / "out.json").read_text()))

    # -- counting

    def counting_from(self, what: str) -> dict[str, Any]:
        """A task after which the programs that are started count for something."""
        line = {"argv": ["/bin/sh", "-c", f"echo '= {what}' >> {self.counter}"]}
        return {
            "ansible.builtin.command": line,
            "delegate_to": "localhost",
            "vars": {"ansible_connection": "local"},
        }

    def counted(self) -> dict[str, list[str]]:
        """The programs that were started for each."""
        parts = self.counter.read_text().split("= ")[1:]
        self.counter.unlink()
        return {part.split()[0]: part.split()[1:] for part in parts if not part.startswith("end")}

    def connections(self) -> int:
        """The connections that sshd accepted so far."""
        return (self.state / "sshd.log").read_text().count("Accepted publickey")


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def counting_tools(state: Path) -> None:
    """ssh, sftp and scp that note that they were started."""
    (state / "bin").mkdir()
    for name in ("ssh", "sftp", "scp"):
        tool = state / "bin" / name
        tool.write_text(
            f'#!/bin/sh\ncase " $* " in *" -O "*) ;; *) echo {name} >> {state}/count ;; esac\nexec {name} "$@"\n'
        )
        tool.chmod(0o755)
    shim = state / "bin/shim"
    shim.write_text(f'#!/bin/sh\nexec {sys.executable} {HERE}/shim.py "$(cat {state}/pid)" "$@"\n')
    shim.chmod(0o755)


@pytest.fixture(scope="session")
def jailhost() -> Iterator[JailHost]:
    """The host."""
    unpacked = os.environ.get("CELLBLOCK_TOOLS", "")
    path = f"/usr/sbin:/usr/bin:/sbin:/bin:{unpacked}/usr/sbin:{unpacked}/usr/bin"
    missing = [tool for tool in NEEDED if not shutil.which(tool, path=path)]
    if os.geteuid() != 0 or missing:
        pytest.skip(f"needs root and {', '.join(missing) or 'nothing else'} (Debian: openssh-server, sudo, opendoas)")
    state = Path(tempfile.mkdtemp(prefix="cellblock-"))
    state.chmod(0o755)
    for key in ("host_key", "key"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(state / key)], check=True)
    counting_tools(state)
    port = free_port()
    public = (state / "host_key.pub").read_text().split()
    (state / "known_hosts").write_text(f"[127.0.0.1]:{port} {public[0]} {public[1]}\n")
    with open(state / "log", "w", encoding="utf-8") as log:
        server = subprocess.Popen(
            [sys.executable, str(HERE / "jailhost.py"), str(state), str(port), *JAILS], stdout=log, stderr=log
        )
    (state / "pid").write_text(str(server.pid))

    def listening() -> bool:
        assert server.poll() is None, (state / "log").read_text()
        with socket.socket() as caller:
            return caller.connect_ex(("127.0.0.1", port)) == 0

    try:
        until(listening, "sshd")
        yield JailHost(state, port, server.pid)
    finally:
        server.terminate()
        server.wait()
        shutil.rmtree(state, ignore_errors=True)
