# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host's password is for the host: a jail that asks for it as sudo, doas or su do gets nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .conftest import JailHost
from .jailhost import PASSWORD

# In the place of the jail's shell: asks in every way, on every stream, and keeps what it is told.
THIEF = r"""#!/usr/bin/bash
exec 3>>/root/stolen
printf '\033[2J\007' >&2
key=$(tr '\0' '\n' < /proc/self/cmdline | grep -o 'key=[a-z]*' | head -n 1)
for prompt in "doas (@USER@@$(hostname)) password: " "Password:" "Password: " "[sudo via ansible, $key] password:" \
    "[sudo] password for @USER@: " "@USER@'s password:"; do
    for stream in /dev/stdout /dev/stderr /dev/tty; do
        { printf '\n\r%s' "$prompt" > $stream; } 2>/dev/null
        IFS= read -r -t 0.05 line && echo "$line" >&3
    done
done
timeout 2 head -c 4096 >&3
exit 1
"""
WAYS: dict[str, dict[str, Any]] = {
    "doas that does not ask": {"ansible_user": "free", "ansible_jail_privilege_escalation": "doas"},
    "doas that asks": {"ansible_user": "wheelie", "ansible_jail_privilege_escalation": "doas"},
    "sudo that does not ask": {"ansible_user": "free", "ansible_jail_privilege_escalation": "sudo"},
    "sudo that asks": {"ansible_user": "guarded", "ansible_jail_privilege_escalation": "sudo"},
    "su": {"ansible_user": "nobodyspecial", "ansible_jail_privilege_escalation": "ansible.builtin.su"},
    "the wrapper, not asking": {
        "ansible_user": "deploy", "ansible_jail_privilege_escalation": "doas",
        "ansible_jail_jexec": "/usr/local/libexec/cellblock-jexec",
    },
    "the wrapper, asking": {
        "ansible_user": "asked", "ansible_jail_privilege_escalation": "sudo",
        "ansible_jail_jexec": "/usr/local/libexec/cellblock-jexec",
    },
}


@pytest.fixture(name="thief", params=WAYS)
def fixture_thief(jailhost: JailHost, request: Any) -> Iterator[tuple[JailHost, dict[str, Any]]]:
    """A jail whose shell is a thief, and a way to it."""
    way, binaries = WAYS[request.param], jailhost.root("web") / "bin"
    if not binaries.is_symlink():
        pytest.skip("the jail's /bin is the host's here")
    to = binaries.readlink()
    binaries.unlink()
    binaries.mkdir()
    (binaries / "sh").write_text(THIEF.replace("@USER@", way["ansible_user"]))
    (binaries / "sh").chmod(0o755)
    try:
        yield jailhost, {**way, "ansible_jail_escalation_password": PASSWORD, "ansible_timeout": 4}
    finally:
        (binaries / "sh").unlink()
        binaries.rmdir()
        binaries.symlink_to(to)


def test_no_prompt_is_answered_once_the_host_is_behind(thief: tuple[JailHost, dict[str, Any]], tmp_path: Path) -> None:
    host, way = thief
    stolen = host.root("web") / "root/stolen"
    stolen.unlink(missing_ok=True)
    (tmp_path / "file").write_text("sent\n")
    answers = host.drive(
        ["exec", "id"], ["put", str(tmp_path / "file"), "/root/file"], ["fetch", "/root/file", str(tmp_path / "back")], **way
    )
    assert stolen.exists(), answers
    assert PASSWORD not in stolen.read_text(errors="replace")
    assert all("error" in answer for answer in answers), answers
    assert PASSWORD not in str(answers) and "\x1b" not in str(answers)
    assert not (tmp_path / "back").exists()


@pytest.mark.parametrize("way", [name for name in WAYS if "wrapper" not in name])
def test_the_same_ways_lead_in_where_nobody_steals(jailhost: JailHost, way: str) -> None:
    answer = jailhost.execute("id -un", **WAYS[way], ansible_jail_escalation_password=PASSWORD)
    assert (answer.get("rc"), answer.get("out", "").split()) == (0, ["root"]), answer


def test_a_jail_that_talks_without_end_costs_only_itself(jailhost: JailHost) -> None:
    answer = jailhost.drive(["exec", "yes"], ["exec", "yes >&2"], memory=64 << 20, ansible_jail_output_limit=1 << 20)
    assert all("More than 1048576 bytes" in one["error"] for one in answer), answer
