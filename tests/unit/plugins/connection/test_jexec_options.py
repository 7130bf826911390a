# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The connection has what the ssh plugin of this ansible-core has."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
COLLECTIONS = HERE.parents[6]
VARIABLES = {"inventory_hostname": "web", "ansible_jail_host": "host.example.org"}


def ask(*variables: dict[str, Any], **environment: str) -> dict[str, Any]:
    """What core says."""
    done = subprocess.run(
        [sys.executable, str(HERE / "ask.py")],
        capture_output=True,
        text=True,
        check=False,
        input=json.dumps([{**VARIABLES, **given} for given in variables]),
        env={**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS), **environment},
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


@functools.cache
def documented() -> tuple[dict[str, Any], dict[str, Any], list[str]]:
    """Our options, core's, and the variables that we listen to."""
    answer = ask({})
    return answer["ours"], answer["cores"], answer["variables"]


def test_no_option_of_core_is_missing_or_of_another_type_or_source() -> None:
    ours, cores, _variables = documented()
    assert set(cores) < set(ours)
    for name, option in cores.items():
        for key in ("type", "default", "choices"):
            assert ours[name].get(key) == option.get(key), name
        for source in ("vars", "env", "ini", "cli"):
            for one, other in zip(ours[name].get(source, []), option.get(source, []), strict=True):
                assert [one.get(key) for key in ("name", "section", "key")] == [
                    other.get(key) for key in ("name", "section", "key")
                ]


def test_the_options_of_its_fragments_are_there() -> None:
    assert {"pipelining", "remote_user", "port", "control_path", "private_key_file"} <= set(documented()[0])


def test_typed_options_keep_their_type() -> None:
    given = ["false", "no", False, "true", 1]
    answer = ask(
        *({"ansible_pipelining": value, "ansible_ssh_use_tty": value, "ansible_ssh_timeout": "7"} for value in given)
    )
    for value, made in zip([False, False, False, True, True], answer["made"], strict=True):
        assert [made["pipelining"], made["pipelining is on"], made["use_tty"], made["timeout"]] == [
            value,
            value,
            value,
            7,
        ]


@pytest.mark.parametrize(("text", "value"), [("False", False), ("True", True)])
def test_pipelining_of_the_environment_counts(text: str, value: bool) -> None:
    assert ask({}, ANSIBLE_PIPELINING=text)["made"][0]["pipelining is on"] is value


def test_variables_of_other_plugins_mean_the_same() -> None:
    assert {
        "ansible_jail_host",
        "ansible_jail_name",
        "ansible_jail_user",
        "ansible_jail_privilege_escalation",
        "ansible_jail_root",
        "ansible_user",
        "ansible_ssh_private_key_file",
        "ansible_ssh_common_args",
    } <= set(documented()[2])


def test_a_password_with_doas_needs_a_terminal_and_so_no_pipelining() -> None:
    more = {"ansible_pipelining": True, "ansible_jail_escalation_password": "x"}
    answer = ask(*({"ansible_jail_privilege_escalation": method, **more} for method in ("doas", "sudo")))
    assert [made["pipelining is on"] for made in answer["made"]] == [False, True]


def test_the_host_is_sshs_and_the_user_the_jails() -> None:
    cases: list[tuple[dict[str, Any], tuple[str, str]]] = [
        ({}, ("host.example.org", "root")),
        ({"ansible_user": "deploy", "ansible_jail_user": "www"}, ("host.example.org", "www")),
        ({"inventory_hostname": "web@other", "ansible_jail_host": None}, ("other", "root")),
        ({"ansible_host": "192.0.2.1", "ansible_jail_host": None}, ("192.0.2.1", "root")),
        ({"ansible_host": "192.0.2.1"}, ("host.example.org", "root")),
    ]
    answer = ask(*(variables for variables, _wanted in cases))
    assert [(made["host"], made["remote_user"]) for made in answer["made"]] == [wanted for _variables, wanted in cases]


def test_ssh_logs_in_as_the_hosts_user() -> None:
    command = " ".join(
        ask({"ansible_user": "deploy", "ansible_jail_user": "www", "ansible_port": 2222})["made"][0]["command"]
    )
    assert 'User="deploy"' in command
    assert "Port=2222" in command
    assert "www" not in command
