# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The wrapper of jexec(8) with FreeBSD's own sockets, terminals and jails. tests/e2e_jexec/test_wrapper.py has more."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, Iterator

import pytest

from .machine import Machine, Remote

pytestmark = pytest.mark.freebsd
FILES = Path(__file__).resolve().parents[2] / "roles" / "host_prepare" / "files"
WRAPPER = "/usr/local/libexec/cellblock-jexec"
CONF = "/usr/local/etc/cellblock-jexec.conf"
# In the jail, as root: take a directory from any descriptor, and type into any terminal.
ACCOMPLICE = """
import array, fcntl, os, socket, termios
for number in range(16):
    try:
        end = socket.socket(fileno=os.dup(number))
        end.settimeout(2)
        given = end.recvmsg(16, socket.CMSG_SPACE(4))[1]
        os.fchdir(array.array("i", given[0][2])[0])
        print("ESCAPED", os.listdir("."), flush=True)
    except (OSError, IndexError):
        pass
for number in (0, 1, 2):
    try:
        fcntl.ioctl(number, termios.TIOCSTI, b"X")
        print("TYPED", flush=True)
    except OSError:
        pass
print("over", os.getcwd(), flush=True)
"""
# On the host: hand /root to a program as its input and output, and tell what it said.
CALLER = """
import array, json, os, socket, subprocess, sys
order = json.load(sys.stdin)
os.environ["SUDO_USER"] = "nobody"
ours, theirs = socket.socketpair()
directory = os.open("/root", os.O_RDONLY)
process = subprocess.Popen(order["command"], stdin=theirs, stdout=theirs, stderr=theirs, pass_fds=[directory][: order["open"]])
theirs.close()
for _again in range(4):
    ours.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [directory]))])
ours.shutdown(socket.SHUT_WR)
said = b""
while chunk := ours.recv(4096):
    said += chunk
print(json.dumps({"rc": process.wait(), "said": said.decode(errors="replace")}))
"""


@pytest.fixture(name="host")
def fixture_host(machine: Machine) -> Iterator[Machine]:
    """A host with the wrapper, a jail that has Python, and one that is not listed."""
    for path, text in (
        (WRAPPER, (FILES / "cellblock-jexec").read_text()), (f"{WRAPPER}.py", (FILES / "cellblock-jexec.py").read_text()), (CONF, "nobody cbweb\n"),
    ):
        machine.write(path, text)
    machine.run("chmod", "755", WRAPPER)
    machine.run("chmod", "644", CONF, f"{WRAPPER}.py")
    python = {"mounts": [{"src": "/usr/local", "dest": "/usr/local", "opts": "ro"}], "exec": {"start": "", "stop": ""}}
    machine.jails([machine.web(**python), machine.db(exec={"start": "", "stop": ""})])
    yield machine
    machine.run("rm", "-f", WRAPPER, f"{WRAPPER}.py", CONF)


def python(machine: Machine) -> str:
    """The host's Python, which the jail sees too."""
    return machine.run("command", "-v", getattr(machine, "python", "python3")).strip()


def hand_over(machine: Machine, *command: str, opened: bool) -> Dict[str, Any]:
    """The attack.

    :param opened: whether the program gets the directory itself too; jail_attach(2) refuses who has one open, seen on 15.1.
    """
    order = json.dumps({"command": command, "open": int(opened)})
    return dict(json.loads(machine.run(python(machine), "-c", CALLER, stdin=order)))


def test_no_descriptor_of_the_callers_gets_in(host: Machine) -> None:
    inside = ("-l", "cbweb", python(host), "-c", ACCOMPLICE)
    assert "ESCAPED" in hand_over(host, "/usr/sbin/jexec", *inside, opened=False)["said"]
    for opened in (False, True):
        told = hand_over(host, WRAPPER, *inside, opened=opened)
        assert (told["rc"], told["said"].strip()) == (0, "over /"), told


def test_streams_exit_codes_and_refusals(host: Machine) -> None:
    def run(*words: str, stdin: str = "") -> Any:
        return host.ask("env", "SUDO_USER=nobody", WRAPPER, *words, stdin=stdin)

    done = run("-l", "cbweb", "/bin/sh", "-c", "cat; echo told >&2; exit 3", stdin="given")
    assert (done.rc, done.out, done.err.splitlines()[-1]) == (3, "given", "told")
    assert run("-l", "-U", "nobody", "cbweb", "/usr/bin/id", "-un").rc in (0, 1)  # `jexec -l` wants the home
    assert run("-U", "nobody", "cbweb", "/usr/bin/id", "-un").out == "nobody\n"
    assert run("-l", "cbweb", "/bin/sh", "-c", "umask; pwd; printenv SUDO_USER SSH_CLIENT || true").out.split() == ["0022", "/"]
    assert run("-l", "cbdb", "/usr/bin/id").rc == 77
    assert run("-l", host.run("jls", "-j", "cbweb", "jid").strip(), "/usr/bin/id").rc == 64
    large = run("-l", "cbweb", "/bin/sh", "-c", "head -c 50000000 /dev/zero | wc -c; cat | wc -c", stdin="x" * 5_000_000)
    assert large.out.split() == ["50000000", "5000000"]


def test_what_runs_inside_ends_with_its_caller(host: Machine) -> None:
    assert isinstance(host, Remote)
    script = f"env SUDO_USER=nobody {WRAPPER} -l cbweb /bin/sh -c 'echo in; exec sleep 98765' & sleep 1; kill -HUP $!; wait"
    host.run("/bin/sh", "-c", script)
    assert host.ask("pgrep", "-f", "sleep 98765").rc == 1
    piped = f"env SUDO_USER=nobody {WRAPPER} -l cbweb /bin/sh -c 'echo in; exec sleep 98766' 2>&1 | head -n 1"
    assert host.run("/bin/sh", "-c", piped).strip() == "in"
    assert host.ask("pgrep", "-f", "sleep 98766").rc == 1


def test_people_have_a_terminal_of_their_own(host: Machine) -> None:
    words = f"env SUDO_USER=nobody {WRAPPER} -l cbweb /bin/sh -c 'tty; stty size; exit 4'; echo code $?"
    told = host.run("script", "-q", "/dev/null", "/bin/sh", "-c", words)
    assert "/dev/pts/" in told and "code 4" in told
