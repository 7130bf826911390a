# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All faults of a declaration are told at once, each with its place and the nearest word."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.cellblock.jails.plugins.modules import jail, jails


def refused(capsys: Any, module: Any, options: Any) -> "list[str]":
    with patch_module_args(options), pytest.raises(SystemExit):
        module.main()
    answer = json.loads(capsys.readouterr().out)
    assert answer["failed"]
    return str(answer["msg"]).splitlines()


def test_every_fault_of_every_jail_is_told(capsys: Any) -> None:
    declared = [
        {"name": "web", "ip5": "10.0.0.1", "state": "starting"},
        {"base": "15.1-RELEASE"},
        {"name": "db", "boot": "maybe", "fib": "x", "limits": ["maxproc"]},
        "mail",
    ]
    assert refused(capsys, jails, {"jails": declared, "purge": True}) == [
        "purge is not an option. The nearest is prune",
        "jails[1] (web): ip5 is not an option. The nearest is ip6",
        "jails[1] (web), state: starting is none of present, started, stopped, restarted, absent. The nearest is started",
        "jails[2]: name is missing",
        "jails[3] (db), fib: a whole number is wanted, not 'x'",
        "jails[3] (db), limits: a dictionary is wanted, not a list",
        "jails[3] (db), boot: yes or no is wanted, not 'maybe'",
        "jails[4]: a dictionary is wanted, not 'mail'",
    ]


def test_the_jails_as_a_dictionary_are_refused_in_a_sentence(capsys: Any) -> None:
    assert refused(capsys, jails, {"jails": {"web": {"base": "15.1-RELEASE"}}}) == ["jails: a list is wanted, not a dictionary"]


def test_no_secret_is_in_a_refusal(capsys: Any) -> None:
    told = refused(capsys, jail, {"name": "web", "root_password": {"hash": "$6$very$secret"}, "rot": "thin"})
    assert told == [
        "rot is not an option. The nearest is root",
        "root_password: a text is wanted, not this",
    ]
