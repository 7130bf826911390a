# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The wrapper that lets users of the host into listed jails: nobody gets further by it."""

from __future__ import annotations

import array
import contextlib
import fcntl
import hashlib
import os
import pty
import signal
import socket
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from .conftest import JailHost, until
from .jailhost import PASSWORD

WRAPPER = "/usr/local/libexec/cellblock-jexec"
WAYS = {"doas": ["doas", WRAPPER], "sudo": ["sudo", "-n", WRAPPER]}
PYTHON = f"{sys.base_prefix}/bin/python3"
# Root in the jail takes what the caller passes by any of its descriptors, and leaves by it.
ACCOMPLICE = """
import array, os, socket
for number in range(64):
    try:
        end = socket.socket(fileno=os.dup(number))
        end.settimeout(2)
        _data, given, _flags, _whence = end.recvmsg(16, socket.CMSG_SPACE(4))
        os.fchdir(array.array("i", given[0][2])[0])
        print("ESCAPED", open("proof").read(), flush=True)
    except (OSError, IndexError):
        pass
print("over", flush=True)
"""


def wrapped(host: JailHost, *words: str, way: str = "doas", user: str = "deploy") -> list[str]:
    """The command line of a user of the host."""
    return host.as_user(user, *WAYS[way], *words)


def run(command: Sequence[str], given: bytes = b"", **more: Any) -> subprocess.CompletedProcess[bytes]:
    """Run to the end."""
    return subprocess.run(command, input=given, capture_output=True, timeout=60, check=False, **more)


def hand_over(host: JailHost, command: list[str]) -> str:
    """The attack: the host's directory through a socket that is the command's input and output."""
    secret = host.state / "secret"
    secret.mkdir(exist_ok=True)
    secret.chmod(0o700)
    (secret / "proof").write_text("the host's")
    ours, theirs = socket.socketpair()
    directory = os.open(secret, os.O_RDONLY)
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        theirs.close()
        for _again in range(4):
            ours.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [directory]))])
        ours.shutdown(socket.SHUT_WR)
        said = b""
        while chunk := ours.recv(4096):
            said += chunk
    os.close(directory)
    assert process.returncode == 0, said
    return said.decode()


@pytest.mark.parametrize("way", WAYS)
def test_no_directory_of_the_host_gets_in_by_a_socket(jailhost: JailHost, way: str) -> None:
    inside = ["-l", "web", PYTHON, "-c", ACCOMPLICE]
    bare = jailhost.as_user("operator", *(word.replace(WRAPPER, "/usr/sbin/jexec") for word in WAYS[way]))
    assert "ESCAPED the host's" in hand_over(jailhost, [*bare, *inside])
    assert hand_over(jailhost, wrapped(jailhost, *inside, way=way)).split() == ["over"]


def test_no_other_descriptor_and_nothing_else_of_the_caller_gets_in(jailhost: JailHost, tmp_path: Path) -> None:
    extra = [os.open(tmp_path, os.O_RDONLY) for _number in range(5)]
    high = fcntl.fcntl(extra[0], fcntl.F_DUPFD, 900)
    hostile = {"PYTHONPATH": str(tmp_path), "PYTHONSTARTUP": "/x", "ENV": "/x", "IFS": "x"}
    command = ["nsenter", "--mount", f"--target={jailhost.pid}", WRAPPER, "-l", "web", "/usr/bin/id", "-u"]
    done = run(
        command, pass_fds=[*extra, high], cwd=tmp_path, umask=0o777,
        env={"PATH": "/usr/bin:/bin:/usr/sbin", "SUDO_USER": "deploy", "SSH_AUTH_SOCK": "/x", **hostile},
    )
    for number in (*extra, high):
        os.close(number)
    assert (done.returncode, done.stdout.strip()) == (0, b"0"), done
    found = jailhost.entered()
    assert not [line for line in found if line.startswith("fd ") and str(tmp_path) in line]
    assert all(f"fd {number} pipe:" in "\n".join(found) for number in (0, 2)), found
    assert "fd 900 " not in "\n".join(found)
    assert "/" in found and "0022" in found
    names = {line.split("=")[0] for line in found if "=" in line}
    assert names <= {"PATH", "HOME", "USER", "TERM", "PWD", "OLDPWD", "SHLVL", "_"}, names


def test_a_closed_descriptor_is_no_door_either(jailhost: JailHost) -> None:
    words = " ".join(wrapped(jailhost, "-l", "web", "/bin/sh", "-c", "'cat; echo in; ls /proc/self/fd'"))
    done = run(["/bin/sh", "-c", f"exec {words} <&- 2>&-"])
    assert done.returncode == 0
    assert done.stdout.split()[0] == b"in", done


@pytest.mark.parametrize("way", WAYS)
def test_input_output_and_exit_codes_are_the_commands(jailhost: JailHost, way: str) -> None:
    script = "cat; echo told >&2; exit 3"
    done = run(wrapped(jailhost, "-l", "web", "/bin/sh", "-c", script, way=way), b"given")
    assert (done.returncode, done.stdout, done.stderr) == (3, b"given", b"told\n")
    done = run(wrapped(jailhost, "-l", "-U", "guarded", "web", "/usr/bin/id", "-un"))
    assert (done.returncode, done.stdout) == (0, b"guarded\n")
    assert run(wrapped(jailhost, "-l", "web", "/no/such")).returncode == 1
    assert b"deploy" not in run(wrapped(jailhost, "-l", "web", "/bin/cat", way=way)).stdout
    assert run(wrapped(jailhost, "-l", "web", "/bin/sh", "-c", "kill -TERM $$")).returncode in (-15, 143)


def test_each_end_of_a_stream_is_passed_on(jailhost: JailHost) -> None:
    # Without doas or sudo, which may hold the caller's descriptors themselves.
    command = ["nsenter", "--mount", f"--target={jailhost.pid}", "env", "-i", "SUDO_USER=deploy", WRAPPER, "-l", "web", "/bin/sh", "-c"]
    rest = jailhost.root("web") / "root/rest"
    script = "exec >&- 2>&-; cat > /root/rest; exec sleep 61.5"
    with subprocess.Popen([*command, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin and process.stdout
        assert process.stdout.read() == b""
        process.stdin.write(b"still heard")
        process.stdin.close()
        until(lambda: rest.exists() and rest.read_bytes() == b"still heard", "the rest of the input")
        process.terminate()
        assert process.wait(30) == -signal.SIGTERM
    script = "exec <&-; echo closed; exec sleep 61.5"
    with subprocess.Popen([*command, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin and process.stdout
        assert process.stdout.readline() == b"closed\n"
        with pytest.raises(BrokenPipeError):
            for _number in range(10000):
                os.write(process.stdin.fileno(), bytes(4096))
        process.terminate()
        assert process.wait(30) == -signal.SIGTERM


def wrappers(word: str) -> list[int]:
    """The wrappers that run with a word among their arguments."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes()
        except OSError:
            continue
        if b"cellblock-jexec.py\0" in line and word.encode() in line:
            found.append(int(path.parent.name))
    return found


def inside(word: str) -> bool:
    """Whether a process with exactly this argument runs."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if path.read_bytes().split(b"\0")[:2] == [b"sleep", word.encode()]:
                return True
        except OSError:
            continue
    return False


def test_large_streams_both_ways_in_constant_memory(jailhost: JailHost) -> None:
    block, count = os.urandom(1 << 20), 128
    given, got = hashlib.sha256(), hashlib.sha256()
    with subprocess.Popen(
        wrapped(jailhost, "-l", "web", "/bin/cat", "-", "/dev/null"), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin and process.stdout

        def feed() -> None:
            assert process.stdin
            for _number in range(count):
                given.update(block)
                process.stdin.write(block)
            process.stdin.close()

        feeder = threading.Thread(target=feed)
        feeder.start()
        size, largest = 0, 0
        while chunk := process.stdout.read(1 << 20):
            got.update(chunk)
            size += len(chunk)
            for pid in wrappers("/dev/null"):
                with contextlib.suppress(OSError, IndexError):  # it has ended
                    largest = max(largest, int(Path(f"/proc/{pid}/status").read_text().split("VmHWM:")[1].split()[0]))
        feeder.join()
    assert (process.returncode, size) == (0, count << 20)
    assert given.digest() == got.digest()
    assert 0 < largest < 48 << 10, f"{largest} kB"


@pytest.mark.parametrize("script", ["sleep 98765.25", "trap '' HUP; sleep 98765.25"])
def test_what_runs_inside_ends_when_the_caller_is_gone(jailhost: JailHost, script: str) -> None:
    ours, theirs = socket.socketpair()
    with subprocess.Popen(
        wrapped(jailhost, "-l", "web", "/bin/sh", "-c", f"echo in; {script}; true"), stdin=theirs, stdout=theirs, stderr=theirs
    ):
        theirs.close()
        assert ours.recv(16) == b"in\n"
        until(lambda: inside("98765.25"), "what runs inside")
        ours.close()
        until(lambda: not inside("98765.25"), "it to end")


def test_a_signal_reaches_what_runs_inside(jailhost: JailHost) -> None:
    script = "trap 'echo caught; exit 9' TERM; echo in; while :; do sleep 0.05; done"
    with subprocess.Popen(wrapped(jailhost, "-l", "web", "/bin/sh", "-c", script), stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline() == b"in\n"
        for pid in wrappers("echo caught"):
            os.kill(pid, signal.SIGTERM)
        assert process.stdout.read() == b"caught\n"
        assert process.wait(30) == 9


# Root in the jail types into every terminal that it can reach.
TYPIST = """
import fcntl, os, sys, termios
for number in (0, 1, 2, "/dev/tty"):
    try:
        end = os.open(number, os.O_RDWR) if isinstance(number, str) else number
        for letter in b"INJECTED":
            fcntl.ioctl(end, termios.TIOCSTI, bytes([letter]))
    except OSError:
        pass
print("terminal", os.fstat(0).st_rdev, os.isatty(0), flush=True)
"""


def on_a_terminal(command: list[str], typed: bytes = b"") -> tuple[bytes, int, int, bytes]:
    """Run with a terminal: what was said, the exit code, the terminal's number, and what was left in its input."""
    master, slave = pty.openpty()
    before = termios.tcgetattr(slave)

    def own_it() -> None:
        os.setsid()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    said = b""
    with subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, preexec_fn=own_it) as process:
        os.write(master, typed)
        while process.poll() is None:
            os.set_blocking(master, False)
            try:
                said += os.read(master, 4096)
            except (BlockingIOError, OSError):
                time.sleep(0.005)
    assert termios.tcgetattr(slave) == before
    state = termios.tcgetattr(slave)
    state[3] &= ~(termios.ICANON | termios.ECHO)
    termios.tcsetattr(slave, termios.TCSANOW, state)
    os.set_blocking(slave, False)
    try:
        left = os.read(slave, 4096)
    except BlockingIOError:
        left = b""
    number = os.fstat(slave).st_rdev
    try:
        said += os.read(master, 4096)
    except BlockingIOError:
        pass
    os.close(master)
    os.close(slave)
    return said, process.returncode, number, left


def test_the_jail_types_nothing_into_the_callers_terminal(jailhost: JailHost) -> None:
    words = ["-l", "web", PYTHON, "-c", TYPIST]
    said, code, number, left = on_a_terminal(wrapped(jailhost, *words))
    assert code == 0 and b"terminal" in said, said
    assert left == b""
    assert f"terminal {number} ".encode() not in said
    assert b"True" in said
    said, code, number, left = on_a_terminal(jailhost.as_user("operator", "doas", "/usr/sbin/jexec", *words))
    assert f"terminal {number} ".encode() in said or b"INJECTED" in left


def test_people_work_through_it_on_a_terminal(jailhost: JailHost) -> None:
    said, code, _number, _left = on_a_terminal(wrapped(jailhost, "-l", "web", "/bin/sh"), b"echo $((40 + 2)); tty; exit 5\n")
    assert (b"42\r\n" in said, code) == (True, 5), said


REFUSED: list[tuple[list[str], int]] = [
    (["-l", "db", "id"], 77), (["-l", "*", "id"], 64), (["-l", "4", "id"], 64), (["1", "id"], 64), (["-l", "", "id"], 64),
    (["-u", "root", "web", "id"], 64), (["-d", "/", "web", "id"], 64), (["-l", "--", "web", "id"], 64), ([], 64),
    (["-l", "web;id", "id"], 64), (["-l", "web\n", "id"], 64), (["-U", "-x", "web", "id"], 64), (["-U"], 64),
    (["-m", "anything", "web", "id"], 64), (["-l", "parent", "id"], 77), (["-l", "parent.child.more", "id"], 77),
]


@pytest.mark.parametrize(("words", "code"), REFUSED, ids=repr)
def test_it_refuses_what_is_not_listed_or_not_understood(jailhost: JailHost, words: list[str], code: int) -> None:
    done = run(wrapped(jailhost, *words))
    assert (done.returncode, done.stdout) == (code, b""), done
    assert done.stderr.startswith(b"cellblock-jexec: ")


def test_who_called_is_never_an_invention(jailhost: JailHost) -> None:
    command = ["nsenter", "--mount", f"--target={jailhost.pid}", WRAPPER, "-l", "web", "/usr/bin/id"]
    for environment in (
        {}, {"DOAS_USER": "deploy", "SUDO_USER": "operator"}, {"DOAS_USER": "nobody-of-the-kind"}, {"DOAS_USER": "deploy\nx"},
        {"DOAS_USER": "operator"},
    ):
        assert run(command, env={"PATH": "/usr/bin", **environment}).returncode == 77
    assert run(command, env={"PATH": "/usr/bin", "DOAS_USER": "deploy"}).returncode == 0
    assert run(jailhost.as_user("deploy", WRAPPER, "-l", "web", "id")).returncode in (69, 77)  # or it may not even run Python


def test_a_list_that_others_may_write_counts_for_nothing(jailhost: JailHost) -> None:
    listed = jailhost.state / "local/etc/cellblock-jexec.conf"
    for mode in (0o666, 0o664):
        listed.chmod(mode)
        done = run(wrapped(jailhost, "-l", "web", "id"))
        listed.chmod(0o644)
        assert done.returncode == 77 and b"must belong to root" in done.stderr


THROUGH = {
    "doas": {"ansible_user": "deploy", "ansible_jail_privilege_escalation": "doas"},
    "sudo": {"ansible_user": "deploy", "ansible_jail_privilege_escalation": "sudo"},
    "sudo with a password": {
        "ansible_user": "asked", "ansible_jail_privilege_escalation": "sudo", "ansible_jail_escalation_password": PASSWORD
    },
    "doas with a password": {
        "ansible_user": "asked", "ansible_jail_privilege_escalation": "doas", "ansible_jail_escalation_password": PASSWORD
    },
}


@pytest.mark.parametrize("way", THROUGH)
def test_ansible_works_through_it(jailhost: JailHost, way: str, tmp_path: Path) -> None:
    content = bytes(range(256)) * 9000
    (tmp_path / "file").write_bytes(content)
    variables = {**THROUGH[way], "ansible_jail_jexec": WRAPPER}
    answers = jailhost.drive(
        ["exec", "id -un; echo oops >&2; exit 3"],
        ["put", str(tmp_path / "file"), "/root/through"],
        ["fetch", "/root/through", str(tmp_path / "back")],
        **variables,
    )
    assert answers[0].get("rc") == 3 and "root" in answers[0]["out"].split(), answers
    assert "cellblock-" not in str(answers) and PASSWORD not in str(answers)
    assert (tmp_path / "back").read_bytes() == content
    if way != "doas with a password":
        assert jailhost.execute("cat", "given", **variables) == {"rc": 0, "out": "given", "err": ""}
    pings = [{"ansible.builtin.ping": {}, "vars": {"ansible_pipelining": pipelining}} for pipelining in (True, False)]
    results = jailhost.play(pings, {"web": jailhost.variables(**variables)})
    assert [result.get("ping") for result in results] == ["pong", "pong"], results
    refused = jailhost.execute("id", inventory_hostname="db", **variables)
    assert "list of jails for" in refused["error"] and "host_prepare_jexec_users" in refused["error"]
