# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who one is on the host, and who in the jail."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from .conftest import JailHost
from .jailhost import PASSWORD

JEXEC = "cellblock.jails.jexec"
HOST_WAYS: dict[str, dict[str, Any]] = {
    "root": {},
    "doas": {"ansible_user": "operator", "ansible_jail_privilege_escalation": "doas"},
    "sudo": {"ansible_user": "operator", "ansible_jail_privilege_escalation": "sudo"},
    "auto": {"ansible_user": "operator"},
    "csh": {"ansible_user": "cshell"},
    "sudo with a password": {
        "ansible_user": "guarded",
        "ansible_jail_privilege_escalation": "sudo",
        "ansible_jail_escalation_password": PASSWORD,
    },
    "doas with a password": {
        "ansible_user": "wheelie",
        "ansible_jail_privilege_escalation": "doas",
        "ansible_jail_escalation_password": PASSWORD,
    },
    "su with root's password": {
        "ansible_user": "nobodyspecial",
        "ansible_jail_privilege_escalation": "ansible.builtin.su",
        "ansible_jail_escalation_password": PASSWORD,
    },
}


@pytest.fixture(params=HOST_WAYS)
def way(request: Any) -> dict[str, Any]:
    """A way to become root on the host."""
    return HOST_WAYS[request.param]


def test_every_way_carries_commands_input_and_files(jailhost: JailHost, way: dict[str, Any], tmp_path: Path) -> None:
    content = bytes(range(256)) * 4000
    (tmp_path / "file").write_bytes(content)
    answers = jailhost.drive(
        ["exec", "id -un; echo oops >&2; exit 3"],
        ["put", str(tmp_path / "file"), "/root/file"],
        ["fetch", "/root/file", str(tmp_path / "back")],
        ["exec", "echo done"],
        **way,
    )
    assert answers[0]["rc"] == 3, answers
    assert answers[0]["out"].split()[0] == "root"
    assert "oops" in answers[0]["out"] + answers[0]["err"]
    assert "cellblock-in" not in str(answers)
    assert PASSWORD not in str(answers)
    assert (tmp_path / "back").read_bytes() == content
    if "ansible_jail_escalation_password" not in way or "sudo" in str(way):
        assert jailhost.execute("cat", "given", **way) == {"rc": 0, "out": "given", "err": ""}


def test_the_user_in_the_jail_is_not_the_one_on_the_host(jailhost: JailHost) -> None:
    answer = jailhost.execute("id -un; pwd; echo ~", ansible_jail_user="guarded")
    assert answer["out"].split() == ["guarded", "/home/guarded", "/home/guarded"]


def test_a_user_without_a_home_in_the_jail_works_there(jailhost: JailHost) -> None:
    answer = jailhost.execute("id -un; pwd; echo $HOME; env", ansible_jail_user="nobodyspecial")
    words = answer["out"].split()
    assert words[:3] == ["nobodyspecial", "/", "/home/nobodyspecial"], answer
    assert not [word for word in words if word.startswith(("SSH_", "SUDO_"))]
    answer = jailhost.execute("cat", "given", become={"name": JEXEC, "become_user": "nobodyspecial"})
    assert answer["out"].endswith("given"), answer


def test_the_environment_is_clean(jailhost: JailHost) -> None:
    answer = jailhost.execute("env", ansible_jail_path="/bin:/usr/bin", ansible_jail_locale="C")
    found = dict(line.strip().split("=", 1) for line in answer["out"].splitlines() if "=" in line)
    assert found["PATH"] == "/bin:/usr/bin"
    assert found["LC_ALL"] == found["LANG"] == "C"
    assert not [name for name in found if name.startswith(("SSH_", "SUDO_"))]


BECOME: dict[str, dict[str, Any]] = {
    "jexec": {"name": JEXEC, "become_user": "guarded"},
    "jexec from a user": {"name": JEXEC, "become_user": "guarded"},
    "sudo from root": {"name": "ansible.builtin.sudo", "become_user": "guarded"},
    "sudo with a password": {"name": "ansible.builtin.sudo", "become_user": "guarded", "become_pass": PASSWORD},
    "su from root": {"name": "ansible.builtin.su", "become_user": "guarded"},
    "su with a password": {"name": "ansible.builtin.su", "become_user": "guarded", "become_pass": PASSWORD},
    "doas": {"name": "ansible.builtin.sudo", "become_user": "guarded", "become_exe": "doas", "become_flags": "-n"},
}


@pytest.mark.parametrize("name", BECOME)
@pytest.mark.parametrize("host", ["root", "sudo with a password"])
def test_become_in_the_jail(jailhost: JailHost, name: str, host: str) -> None:
    needs_user = "from a user" in name or "password" in name or name == "doas"
    variables = {**HOST_WAYS[host], **({"ansible_jail_user": "operator"} if needs_user else {})}
    answer = jailhost.execute("id -un", become=dict(BECOME[name]), **variables)
    assert (answer.get("rc"), answer.get("out", "").split()[-1:]) == (0, ["guarded"]), answer
    assert PASSWORD not in str(answer)
    if not name.startswith("su "):
        answer = jailhost.execute("cat; id -un", "given ", become=dict(BECOME[name]), **variables)
        assert answer.get("out", "").strip().endswith("given guarded"), answer


@pytest.mark.parametrize("place", ["host", "jail"])
def test_a_wrong_password_is_told_and_tried_once(jailhost: JailHost, place: str) -> None:
    if place == "host":
        answer = jailhost.execute(
            "id", **{**HOST_WAYS["sudo with a password"], "ansible_jail_escalation_password": "no"}
        )
    else:
        answer = jailhost.execute(
            "id", become={**BECOME["sudo with a password"], "become_pass": "no"}, ansible_jail_user="operator"
        )
    assert answer["error"] == "Incorrect sudo password", answer


def test_a_missing_password_is_told(jailhost: JailHost) -> None:
    become = {**BECOME["sudo with a password"], "become_pass": None}
    answer = jailhost.execute("id", become=become, ansible_jail_user="operator")
    assert answer["error"] == "Missing sudo password", answer


def test_the_become_plugin_never_runs_as_the_wrong_user(jailhost: JailHost, tmp_path: Path) -> None:
    results = jailhost.play(
        [{"ansible.builtin.raw": f"id -un > {tmp_path}/who"}],
        {"web": {"ansible_connection": "local"}},
        become=True,
        become_method=JEXEC,
        become_user="guarded",
    )
    assert results[0]["failed"]
    assert "needs-connection-cellblock.jails.jexec" in str(results[0])
    assert not (tmp_path / "who").exists()
