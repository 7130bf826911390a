# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check mode's verdict is the run's: what it passes is done, with its steps; what it refuses is refused, and touches nothing."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Tuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from .machine import Failed, Machine

# Options that jails have, and faults that only the host can tell.
GOOD: List[Dict[str, Any]] = [
    {}, {"hostname": "www.example.org"}, {"params": {"allow.raw_sockets": True}}, {"limits": {"maxproc": 200}}, {"cpuset": "0"},
    {"mounts": [{"src": "/usr/share", "dest": "/mnt/share", "opts": "ro"}]}, {"mounts": [{"type": "tmpfs", "dest": "/mnt/scratch"}]},
    {"state": "stopped"}, {"state": "present"}, {"boot": False}, {"timezone": "Europe/Amsterdam"}, {"rc_conf": {"cron_enable": "NO"}},
    {"root": "empty", "base": None}, {"root": "thick"}, {"boot_style": "rc_conf"}, {"params": {"securelevel": 2}}, {"state": "absent"},
]
FAULTS: List[Dict[str, Any]] = [
    {"cpuset": "0,200"}, {"mounts": [{"src": "/nowhere/at/all", "dest": "/mnt/x"}]}, {"base": "no-such-base"}, {"depend": ["nobody"]},
    {"devfs_ruleset": "no_such_ruleset"}, {"timezone": "Mars/Olympus"}, {"flavour": "/no/flavour"}, {"ip4": ["10.98.0.9"]},
    {"fib": 4000}, {"params": {"no.such.parameter": True}}, {"quota": "1T"}, {"interface": "nosuch0"}, {"path": "/etc"},
]
OPTIONS = st.tuples(st.lists(st.sampled_from(GOOD), max_size=3), st.lists(st.sampled_from(FAULTS), max_size=1))


def _jail(make: Any, options: Tuple[List[Dict[str, Any]], List[Dict[str, Any]]]) -> Dict[str, Any]:
    return dict(make(**{key: value for part in (*options[0], *options[1]) for key, value in part.items()}))


def _verdict(machine: Machine, jails: List[Dict[str, Any]], check: bool) -> Tuple[bool, Optional[List[str]], str]:
    try:
        return True, machine.jails(jails, check=check)["steps"], ""
    except Failed as error:
        return False, None, str(error)


@settings(max_examples=25)
@given(first=OPTIONS, second=OPTIONS, later=OPTIONS)
def test_check_mode_says_what_the_run_does(machine: Machine, first: Any, second: Any, later: Any) -> None:
    """For new jails, and for what becomes of them."""
    try:
        for one, other in ((first, second), (later, second)):
            jails = [_jail(machine.web, one), _jail(machine.db, other)]
            before = machine.picture()
            predicted = _verdict(machine, jails, check=True)
            assert machine.picture() == before
            assert _verdict(machine, jails, check=False) == predicted
            if not predicted[0]:
                assert machine.picture() == before, predicted
    finally:
        machine.jails([], prune=True)


def test_a_dataset_that_is_not_there_is_refused_before(machine: Machine) -> None:
    if machine.dataset is None:
        pytest.skip("plain directories")
    for check in (True, False):
        with pytest.raises(Failed, match="dataset .*/none is not there.*host_storage"):
            declared = [machine.web(root="empty", base=None)]
            machine.module("jails", check=check, jails=declared, storage_path="/usr/none", storage_dataset=f"{machine.dataset}/none")
