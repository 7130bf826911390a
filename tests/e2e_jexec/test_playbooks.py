# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible's own modules in a jail, and what they cost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from .conftest import HERE, JailHost, until

MODULES: list[dict[str, Any]] = [
    {"ansible.builtin.raw": "echo raw; exit 5"},
    {"ansible.builtin.command": {"argv": ["printf", "%s", "a'b\"c $NONE `id` \\ ü\nx"], "expand_argument_vars": False}},
    {"ansible.builtin.copy": {"content": "one\n", "dest": "~/copied", "mode": "0600"}},
    {"ansible.builtin.copy": {"content": "one\n", "dest": "~/copied", "mode": "0600"}},
    {"ansible.builtin.template": {"src": "SOURCE", "dest": "/root/a b/templated"}},
    {"ansible.builtin.setup": {"gather_subset": ["!all", "min"]}},
    {
        "ansible.builtin.command": "id -un",
        "become": True,
        "become_user": "guarded",
        "become_method": "cellblock.jails.jexec",
    },
    {"ansible.builtin.stat": {"path": "~"}},
    {"ansible.builtin.command": "echo late", "async": 30, "poll": 1},
    {"ansible.builtin.script": "SCRIPT with 'an argument'"},
    {"ansible.builtin.slurp": {"src": "/root/copied"}},
    {"ansible.builtin.meta": "reset_connection"},
    {"ansible.builtin.ping": {}},
]


@pytest.mark.parametrize(("door", "pipelining"), [("sshd", False), ("sshd", True), ("shim", True)])
def test_modules(jailhost: JailHost, tmp_path: Path, door: str, pipelining: bool) -> None:
    (tmp_path / "t.j2").write_text("{{ 6 * 7 }} ü\n")
    (tmp_path / "s.sh").write_text('#!/bin/sh\necho "$2"\n')
    text = json.dumps(MODULES).replace("SOURCE", str(tmp_path / "t.j2")).replace("SCRIPT", str(tmp_path / "s.sh"))
    root = jailhost.root("web") / "root"
    (root / "a b").mkdir(exist_ok=True)
    for made in (root / "copied", root / "a b/templated"):
        made.unlink(missing_ok=True)
    jailhost.shim = str(jailhost.state / "bin/shim") if door == "shim" else ""
    results = jailhost.play(json.loads(text), pipelining=pipelining)
    jailhost.shim = ""
    raw, printed, copied, again, templated, facts, become, home, late, script, slurped, _reset, ping = results
    assert (raw["rc"], raw["stdout"].strip()) == (5, "raw")
    assert printed["stdout"] == "a'b\"c $NONE `id` \\ ü\nx"
    assert (copied["dest"], copied["changed"], again["changed"]) == ("/root/copied", True, False)
    assert (root / "copied").stat().st_mode & 0o777 == 0o600
    assert (root / "a b/templated").read_text() == "42 ü\n"
    assert templated["changed"]
    assert facts["ansible_facts"]["ansible_user_id"] == "root"
    assert become["stdout"] == "guarded"
    assert home["stat"]["path"] == "/root"
    assert late["stdout"] == "late"
    assert script["stdout"].strip() == "an argument"
    assert slurped["content"] == "b25lCg=="
    assert ping["ping"] == "pong"
    until(lambda: not list((root / ".ansible/tmp").iterdir()), "the asynchronous task to clean up")


TASKS: dict[str, dict[str, Any]] = {
    "command": {"ansible.builtin.command": "true"},
    "copy": {"ansible.builtin.copy": {"src": "SOURCE", "dest": "/root/counted"}},
    "fetch": {"ansible.builtin.fetch": {"src": "/root/counted", "dest": "DEST"}},
    "template": {"ansible.builtin.template": {"src": "SOURCE", "dest": "/root/counted2"}},
}
# ssh and sftp processes: pipelining on, then off, after the first task of a run. docs/jexec.md shows this table.
COSTS = {
    "jexec": {
        "command": ((1, 0), (5, 0)),
        "copy": ((6, 0), (10, 0)),
        "fetch": ((2, 0), (6, 0)),
        "template": ((6, 0), (10, 0)),
    },
    "ssh": {
        "command": ((1, 0), (5, 1)),
        "copy": ((6, 1), (8, 3)),
        "fetch": ((1, 1), (5, 2)),
        "template": ((6, 1), (8, 3)),
    },
}


@pytest.mark.parametrize("connection", COSTS)
@pytest.mark.parametrize("pipelining", [True, False])
def test_ssh_processes(jailhost: JailHost, tmp_path: Path, connection: str, pipelining: bool) -> None:
    (tmp_path / "source").write_text(f"{connection} {pipelining}\n")
    variables = jailhost.variables()
    if connection == "ssh":
        variables.update({"ansible_connection": "ssh", "ansible_host": "127.0.0.1"})
    directory = "/root" if connection == "jexec" else str(tmp_path)
    tasks: list[dict[str, Any]] = [{"ansible.builtin.copy": {"content": "x", "dest": f"{directory}/first"}}]
    for name, task in TASKS.items():
        text = json.dumps(task).replace("SOURCE", str(tmp_path / "source")).replace("DEST", str(tmp_path / "fetched"))
        tasks += [jailhost.counting_from(name), json.loads(text.replace("/root/", f"{directory}/"))]
    results = jailhost.play([*tasks, jailhost.counting_from("end")], {"web": variables}, pipelining=pipelining)
    assert not [result for result in results if result.get("failed")], results
    found = {name: (programs.count("ssh"), programs.count("sftp")) for name, programs in jailhost.counted().items()}
    assert found == {name: costs[not pipelining] for name, costs in COSTS[connection].items()}


def test_the_table_in_the_documentation_is_what_was_measured() -> None:
    text = (HERE.parents[1] / "docs/jexec.md").read_text(encoding="utf-8")
    for connection, costs in COSTS.items():
        cells = " | ".join(f"{on[0]}/{on[1]}, {off[0]}/{off[1]}" for on, off in costs.values())
        assert f"| {connection} | {cells} |" in text


@pytest.mark.parametrize(("per_master", "forks"), [(8, 24), (3, 9)])
def test_many_jails_take_few_connections(jailhost: JailHost, per_master: int, forks: int) -> None:
    hosts = {
        f"j{number}": jailhost.variables(
            ansible_jail_name="web",
            ansible_jail_sessions_per_master=per_master,
            ansible_control_path_dir=str(jailhost.state / f"cp{per_master}"),
        )
        for number in range(forks)
    }
    for host in hosts.values():
        del host["inventory_hostname"]
    before = jailhost.connections()
    results = jailhost.play([{"ansible.builtin.raw": "sleep 1; echo $$"}] * 2, hosts, forks=forks)
    assert all(result["rc"] == 0 for result in results)
    assert "open failed" not in (jailhost.state / "sshd.log").read_text()
    assert 1 <= jailhost.connections() - before <= forks // per_master


def test_a_limit_of_masters_makes_tasks_wait(jailhost: JailHost) -> None:
    hosts = {
        f"j{number}": jailhost.variables(
            ansible_jail_name="web",
            ansible_jail_sessions_per_master=2,
            ansible_jail_masters=1,
            ansible_control_path_dir=str(jailhost.state / "cp-limit"),
        )
        for number in range(6)
    }
    for host in hosts.values():
        del host["inventory_hostname"]
    before = jailhost.connections()
    results = jailhost.play([{"ansible.builtin.raw": "echo $$"}], hosts, forks=6)
    assert results[0]["rc"] == 0
    assert jailhost.connections() - before == 1
