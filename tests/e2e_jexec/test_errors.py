# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said when a jail cannot be reached, and how to mend it."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import JailHost, free_port

CASES: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "host unreachable": (
        {"ansible_port": 1},
        ("host 127.0.0.1 of the jail web cannot be reached", "Connection refused", "ssh"),
    ),
    "no such jail": (
        {"ansible_jail_name": "wbe"},
        ("no jail wbe on 127.0.0.1", "Did you mean web?", "ansible_jail_name"),
    ),
    "no such jid": ({"ansible_jail_name": "999"}, ("no jail 999", "There are: db, parent")),
    "not a name": ({"ansible_jail_name": "-l"}, ("not a jail's name",)),
    "not a jail's root": ({"ansible_jail_name": "a;b"}, ("not a jail's name",)),
    "no host": ({"ansible_jail_host": None}, ("which host the jail web is on", "ansible_jail_host")),
    "no such user": (
        {"ansible_jail_user": "ghost"},
        ("no user ghost in the jail", "pw useradd ghost", "ansible_jail_user"),
    ),
    "not root": (
        {"ansible_user": "nobodyspecial", "ansible_jail_privilege_escalation": "none"},
        ("not root on the host", "ansible_jail_privilege_escalation"),
    ),
    "doas refuses": (
        {"ansible_user": "nobodyspecial", "ansible_jail_privilege_escalation": "doas"},
        ("refused by doas", "permit nopass nobodyspecial as root cmd /usr/sbin/jexec"),
    ),
    "sudo refuses": (
        {"ansible_user": "nobodyspecial", "ansible_jail_privilege_escalation": "sudo"},
        ("refused by sudo", "nobodyspecial ALL=(root) NOPASSWD: /usr/sbin/jexec"),
    ),
    "no such tool": (
        {
            "ansible_user": "operator",
            "ansible_jail_privilege_escalation": "doas",
            "ansible_jail_escalation_executable": "/usr/local/bin/doas",
        },
        ("cannot be entered", "/usr/local/bin/doas"),
    ),
    "no such plugin": ({"ansible_jail_privilege_escalation": "pray"}, ("no become plugin 'pray'", "doas, sudo")),
    "no jexec": ({"ansible_jail_jexec": "/usr/local/sbin/jexec"}, ("has no jexec(8)", "FreeBSD-jail")),
}


@pytest.mark.parametrize("case", CASES)
def test_it_says_which_and_how_to_mend_it(jailhost: JailHost, case: str) -> None:
    variables, words = CASES[case]
    if "ansible_port" in variables:
        variables = {**variables, "ansible_port": free_port()}
    answer = jailhost.execute("true", **variables)
    for word in words:
        assert word in answer["error"], answer


def test_no_host_is_a_host_that_is_named_as_the_jail(jailhost: JailHost) -> None:
    answer = jailhost.execute("hostname", inventory_hostname="web@127.0.0.1", ansible_jail_host=None)
    assert answer["rc"] == 0


@pytest.mark.parametrize(("state", "words"), [("stopped", ("no jail db",)), ("dying", ("is dying", "jls -d"))])
def test_jails_that_do_not_run(jailhost: JailHost, state: str, words: tuple[str, ...]) -> None:
    with jailhost.jail_state("db", state):
        answer = jailhost.execute("true", inventory_hostname="db")
    for word in words:
        assert word in answer["error"], answer


@pytest.fixture(name="stopped")
def fixture_stopped(jailhost: JailHost) -> Any:
    """A jail that is defined and stopped."""
    conf = jailhost.state / "conf.d" / "db.conf"
    conf.write_text(
        f'# cellblock.jails {{"name": "db", "base": "15.1"}}\n"db" {{ path = "{jailhost.root("db")}"; persist; }}\n'
    )
    with jailhost.jail_state("db", "stopped"):
        yield jailhost
    conf.unlink()


def test_a_stopped_jail(stopped: JailHost) -> None:
    answer = stopped.execute("true", inventory_hostname="db")
    for word in ("db on 127.0.0.1 is stopped", "service jail onestart db", "ansible_jail_stopped"):
        assert word in answer["error"], answer
    assert answer["kind"] == "AnsibleConnectionFailure"


@pytest.mark.parametrize("user", [None, "guarded"])
def test_a_stopped_jail_by_chroot(stopped: JailHost, user: str | None, tmp_path: Any) -> None:
    (tmp_path / "file").write_text("x" * 100_000)
    (stopped.root("db") / "marker").write_text("")
    home = f"/home/{user}" if user else "/root"
    more = {"ansible_jail_user": user} if user else {}
    answers = stopped.drive(
        ["exec", "id -un; ls /marker; env"],
        ["put", str(tmp_path / "file"), f"{home}/file"],
        ["fetch", f"{home}/file", str(tmp_path / "back")],
        inventory_hostname="db",
        ansible_jail_stopped="chroot",
        **more,
    )
    assert answers[0]["out"].split()[:2] == [user or "root", "/marker"], answers
    assert "SSH_" not in answers[0]["out"]
    assert (tmp_path / "back").read_text() == "x" * 100_000
    assert (stopped.state / "jails/db/state").read_text() == "stopped"


def test_a_stopped_jail_started(stopped: JailHost) -> None:
    answer = stopped.execute("echo up", inventory_hostname="db", ansible_jail_stopped="start")
    assert answer["out"].strip() == "up"
    assert (stopped.state / "jails/db/state").read_text().strip() == "running"


def test_a_jail_that_does_not_start(stopped: JailHost) -> None:
    stopped.state.joinpath("jails/db/broken").touch()
    answer = stopped.execute("echo up", inventory_hostname="db", ansible_jail_stopped="start")
    stopped.state.joinpath("jails/db/broken").unlink()
    assert "was started, but does not run" in answer["error"]
    assert "/var/log/jail_db_console.log" in answer["error"]


def test_nested_names_and_jids(jailhost: JailHost) -> None:
    for name, root in (("parent.child", "parent.child"), ("4", "parent.child"), ("3", "parent")):
        (jailhost.root(root) / "which").write_text(root)
        assert jailhost.execute("cat /which", ansible_jail_name=name)["out"].strip() == root


def test_no_python_says_how_to_get_it(jailhost: JailHost) -> None:
    results = jailhost.play(
        [{"ansible.builtin.ping": {}}, {"ansible.builtin.raw": "true"}],
        {"web": jailhost.variables(ansible_python_interpreter="/usr/local/bin/python3")},
    )
    assert "pkg -j web install -y python3" in str(results[0])
    assert not results[0].get("unreachable")
    assert results[1]["rc"] == 0


def test_a_jail_restarted_between_two_tasks(jailhost: JailHost) -> None:
    state = jailhost.state / "jails/db"
    local = {"delegate_to": "localhost", "vars": {"ansible_connection": "local"}}
    results = jailhost.play(
        [
            {"ansible.builtin.ping": {}},
            {"ansible.builtin.copy": {"content": "77", "dest": str(state / "jid")}, **local},
            {"ansible.builtin.ping": {}},
        ],
        {"db": jailhost.variables("db")},
        pipelining=True,
    )
    (state / "jid").write_text("2")
    assert [result.get("failed", False) for result in results] == [False, False, False], results
