# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files into a jail and out of it."""

from __future__ import annotations

import hashlib
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from .conftest import JailHost, until

MB = 1 << 20
ODD = (
    "with space",
    "quote'",
    'double"',
    "$HOME",
    "`id`",
    "back\\slash",
    "new\nline",
    "bang!",
    "übergrößenträger",
    "-rf",
    "*",
    "a" * 255,
    "semi;colon",
    "hash#",
    "\ttab",
)


def leftovers(directory: Path) -> list[str]:
    """Temporary files of ours."""
    return [entry.name for entry in directory.iterdir() if entry.name.startswith(".cellblock-")]


@pytest.fixture(params=["sshd", "shim"])
def host(request: Any, jailhost: JailHost) -> Any:
    """The host through both doors."""
    jailhost.shim = str(jailhost.state / "bin/shim") if request.param == "shim" else ""
    yield jailhost
    jailhost.shim = ""


def test_large_file_in_constant_memory(jailhost: JailHost, tmp_path: Path) -> None:
    source, back = tmp_path / "large", tmp_path / "back"
    block = os.urandom(MB)
    with open(source, "wb") as stream:
        stream.writelines(number.to_bytes(8, "big") + block[8:] for number in range(128))
    answers = jailhost.drive(["put", str(source), "/root/large"], ["fetch", "/root/large", str(back)], memory=64 * MB)
    assert [answer.get("rc") for answer in answers] == [0, 0], answers
    digests = {hashlib.sha256(file.read_bytes()).digest() for file in (source, jailhost.root("web") / "root/large", back)}
    assert len(digests) == 1
    (jailhost.root("web") / "root/large").unlink()


def test_any_content_and_any_name(host: JailHost, tmp_path: Path) -> None:
    content = bytes(range(256)) * 3 + b"\n~.\n~~\r\n\x04\x03" + b"no newline at the end"
    source = tmp_path / "source"
    source.write_bytes(content)
    (tmp_path / "empty").write_bytes(b"")
    steps: list[Any] = [
        ["put", str(tmp_path / "empty"), "/root/empty"],
        ["fetch", "/root/empty", str(tmp_path / "empty2")],
    ]
    for number, name in enumerate(ODD):
        steps += [
            ["put", str(source), f"/root/odd/{name}"],
            ["fetch", f"/root/odd/{name}", str(tmp_path / f"b{number}")],
        ]
    odd = host.root("web") / "root/odd"
    odd.mkdir(exist_ok=True)
    answers = host.drive(*steps)
    assert all(answer.get("rc") == 0 for answer in answers), answers
    assert (tmp_path / "empty2").read_bytes() == b""
    assert sorted(os.listdir(odd)) == sorted(ODD)
    assert {(tmp_path / f"b{number}").read_bytes() for number in range(len(ODD))} == {content}


@pytest.mark.parametrize("command", ["printf '%s' \"a\nb\\\\c!d'e\"", "x='$HOME'; echo \"$x\" '!' \\\\"])
def test_any_command_arrives_whatever_the_login_shell(jailhost: JailHost, command: str) -> None:
    plain = jailhost.execute(command)
    other = jailhost.execute(command, ansible_user="cshell", ansible_jail_privilege_escalation="doas")
    assert plain["rc"] == other["rc"] == 0, other
    assert plain["out"].replace("\r", "") == other["out"].replace("\r", "") != ""


def test_nothing_is_left_of_a_killed_put(jailhost: JailHost, tmp_path: Path) -> None:
    source, target = tmp_path / "endless", jailhost.root("web") / "root/target"
    with open(source, "wb") as stream:
        stream.truncate(1 << 36)
    target.write_text("as it was")
    process = jailhost.start_driver(["put", str(source), "/root/target"], ansible_ssh_args="-o ControlMaster=no")
    until(lambda: leftovers(target.parent), "the transfer to begin")
    kill_ssh(process.pid)
    out, _err = process.communicate(timeout=60)
    assert "ssh ended by signal 9" in out or "Failed to transfer" in out
    until(lambda: not leftovers(target.parent), "the temporary file to go")
    assert target.read_text() == "as it was"


def test_nothing_is_left_of_a_killed_fetch(jailhost: JailHost, tmp_path: Path) -> None:
    source, target = jailhost.root("web") / "root/endless", tmp_path / "here"
    with open(source, "wb") as stream:
        stream.truncate(1 << 36)
    process = jailhost.start_driver(["fetch", "/root/endless", str(target)], ansible_ssh_args="-o ControlMaster=no")
    until(lambda: leftovers(tmp_path), "the transfer to begin")
    kill_ssh(process.pid)
    process.communicate(timeout=60)
    source.unlink()
    assert list(tmp_path.iterdir()) == []


def kill_ssh(parent: int) -> None:
    """Kill the ssh process that a process started."""
    children = Path(f"/proc/{parent}/task/{parent}/children")
    for child in until(lambda: children.read_text().split(), "ssh"):
        os.kill(int(child), signal.SIGKILL)


def test_what_is_no_file_is_refused(host: JailHost, tmp_path: Path) -> None:
    root = host.root("web")
    if not (root / "root/fifo").exists():
        os.mkfifo(root / "root/fifo")
    (tmp_path / "file").write_text("x")
    answers = host.drive(
        ["fetch", "/root/fifo", str(tmp_path / "a")],
        ["fetch", "/root/none", str(tmp_path / "b")],
        ["put", str(tmp_path / "file"), "/root"],
        ["put", str(tmp_path / "file"), "/root/no/such/directory"],
    )
    for answer, words in zip(
        answers, ("not a regular file", "No such file", "is a directory", "/root/no/such"), strict=True
    ):
        assert words in answer["error"]
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["file"]
    assert leftovers(root / "root") == []


def test_a_hostile_root_reaches_nothing_outside(host: JailHost, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    root = host.root("db")
    for link, to in (("root/.ansible", outside), ("tmp/up", Path("../../../../../../../.." + str(outside)))):
        if not (root / link).is_symlink():
            (root / link).symlink_to(to)
    (tmp_path / "file").write_text("secret")
    (outside / "mine").write_text("the host's")
    host.drive(
        ["exec", "mkdir -p /root/.ansible/tmp; echo x > /tmp/up/x"],
        ["put", str(tmp_path / "file"), "/tmp/up/mine"],
        ["put", str(tmp_path / "file"), "/root/.ansible/new"],
        inventory_hostname="db",
    )
    answer = host.drive(["fetch", "/tmp/up/mine", str(tmp_path / "got")], inventory_hostname="db")[0]
    assert "No such file" in answer["error"]
    assert [entry.name for entry in outside.iterdir()] == ["mine"]
    assert (outside / "mine").read_text() == "the host's"
    for link in ("root/.ansible", "tmp/up"):
        (root / link).unlink()


def test_nothing_is_staged_on_the_host(jailhost: JailHost, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    before = {str(path) for path in (jailhost.state / "home").rglob("*")}
    jailhost.drive(["put", str(tmp_path / "file"), "/root/staged"], ["fetch", "/root/staged", str(tmp_path / "back")])
    jailhost.drive(
        ["put", str(tmp_path / "file"), "/root/staged"],
        ansible_user="operator",
        ansible_jail_privilege_escalation="doas",
    )
    assert {str(path) for path in (jailhost.state / "home").rglob("*")} == before
    assert not (Path("/tmp") / "staged").exists()
