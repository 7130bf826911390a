# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All faults of a declaration are told at once, each with its place and the nearest word."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.engine.spec import nearest_word
from ansible_collections.cellblock.jails.plugins.module_utils.errors import InputErrors
from ansible_collections.cellblock.jails.plugins.module_utils.jails.options import JAIL
from ansible_collections.cellblock.jails.plugins.module_utils.jails.planning import plan
from ansible_collections.cellblock.jails.plugins.module_utils.jails.request import Request
from ansible_collections.cellblock.jails.plugins.modules import jail, jails
from ansible_collections.cellblock.jails.tests.simulator import SimulatedHost


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
        {"name": "db", "base": "15.1-RELEASE", "boot": "maybe", "fib": "x", "limits": ["maxproc"]},
        "mail",
    ]
    assert refused(capsys, jails, {"jails": declared, "purge": True}) == [
        "purge is not an option. The nearest is prune",
        "jails[1] (web): ip5 is not an option. The nearest is ip4",
        "jails[1] (web), state: starting is none of present, started, stopped, restarted, absent. The nearest is started",
        "jails[2]: name is missing",
        "jails[3] (db), fib: a whole number is wanted, not 'x'",
        "jails[3] (db), limits: a dictionary is wanted, not a list",
        "jails[3] (db), boot: yes or no is wanted, not 'maybe'",
        "jails[4]: a dictionary is wanted, not 'mail'",
    ]


def test_the_jails_as_a_dictionary_are_refused_in_a_sentence(capsys: Any) -> None:
    assert refused(capsys, jails, {"jails": {"web": {"base": "15.1-RELEASE"}}}) == [
        "jails: a list is wanted, not a dictionary. Begin each item with '- name: web'"
    ]


def test_words_lead_by_their_sense() -> None:
    meant = {
        "ip": "ip4", "ruleset": "devfs_ruleset", "exec_start": "exec", "allow.raw_sockets": "params", "securelevel": "params",
        "priority": "boot_order", "rlimits": "limits", "requires": "depend", "hostnam": "hostname",
    }
    assert {word: nearest_word(word, JAIL) for word in meant} == meant


def test_values_are_looked_at_where_other_options_are_at_fault(capsys: Any) -> None:
    declared = [
        {"name": "web", "base": "15.1-RELEASE", "ipv4": "10.0.0.1", "ip4": ["10.0.0.300", "10.0.0.4/33"], "state": "running",
         "limits": {"memory": "2G", "pcpu": "x"}, "params": {"allow.raw_socket": True, "securelevel": 9}},
        {"name": "db.0", "base": "15.1-RELEASE", "quota": "20Q"},
        {"name": "mail", "release": "15.1-RELEASE", "ip4": ["10.0.0.300"]},
    ]
    assert refused(capsys, jails, {"jails": declared}) == [
        "jails[1] (web): ipv4 is not an option. The nearest is ip4",
        "jails[1] (web), state: running is none of present, started, stopped, restarted, absent. The nearest is started",
        "jails[3] (mail): release is not an option. The nearest is base",
        "jail web, ip4: '10.0.0.300' is not an IP address. Write [interface|]address[/prefix].",
        "jail web, ip4: '33' is not a prefix length. 0 to 32.",
        "jail web, params: allow.raw_socket is not a parameter of jail(8). The nearest name is allow.raw_sockets.",
        "jail web, params, securelevel: 9 is out of range. Give -1 to 3.",
        "jail web, limits.memory: 'memory' is not a resource. The nearest name is memoryuse.",
        "jail web, limits.pcpu: 'x' is not an amount. A number, with k, m, g or t.",
        "jail 'db.0': the name is all digits; jail(8), jls(8) and jexec(8) take it for a jid. "
        "Use letters, digits, '_' and '-', beginning with a letter; a dot only between a parent's name and a child's.",
        "jail db.0, quota: '20Q' is not a size. A number of bytes, with k, m, g or t.",
    ]


def test_what_this_host_cannot_have_is_told_of_all_jails(simulated: SimulatedHost) -> None:
    request = Request.from_options({"jails": [
        {"name": "web", "root": "empty", "ip4": ["em9|10.0.0.3"], "devfs_ruleset": "nosuch", "timezone": "Mars/One"},
        {"name": "db", "base": "9.0-RELEASE", "quota": "20G"},
    ]}, check_mode=False)
    with pytest.raises(InputErrors) as caught:
        plan(Host(simulated.runner, str(simulated.root)), request)
    assert [line.partition(": ")[0] for line in str(caught.value).splitlines()] == [
        "jail web, devfs_ruleset", "jail web, em9|10.0.0.3/32", "jail web", "jail db", "jail db",
    ]


def test_no_secret_is_in_a_refusal(capsys: Any) -> None:
    told = refused(capsys, jail, {"name": "web", "root_password": {"hash": "$6$very$secret"}, "rot": "thin"})
    assert told == [
        "rot is not an option. The nearest is root",
        "root_password: a text is wanted, not this",
    ]
