# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever command of a run fails, the next run finds what is left, and ends as one run would have."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List

import pytest

from .machine import Failed, Simulated

Jails = List[Dict[str, Any]]


def _jails(machine: Simulated) -> Jails:
    limits, mounts = {"maxproc": 100, "memoryuse": "1G"}, [{"src": "/usr/share", "dest": "/mnt", "opts": "ro"}]
    return [machine.web(limits=limits, mounts=mounts), machine.db(root=machine.clone, limits=limits, depend=["cbweb"])]


def _seen(machine: Simulated) -> Dict[str, Any]:
    seen = machine.picture()
    seen["kernel"] = sorted(machine.rules())
    seen["/etc/rc.conf"] = sorted(str(seen["/etc/rc.conf"] or "").replace('jail_list=""\n', "").splitlines())
    return {key: value or "" for key, value in seen.items()}


@pytest.mark.parametrize("storage, style", [("ufs", "jail_conf"), ("zfs", "rc_conf")])
def test_the_next_run_ends_what_a_failing_one_began(tmp_path: Path, storage: str, style: str) -> None:
    machine = Simulated(tmp_path / "host", storage)
    declared = [{**jail, "boot_style": style, "restart": "always"} for jail in _jails(machine)]
    changed = [{**declared[0], "limits": {"maxproc": 200}, "mounts": []}, {**declared[1], "limits": {}}]
    ways: List[Jails] = [[], declared, changed, []]
    ends = []
    for jails in ways:
        machine.jails(jails, prune=True)
        ends.append(_seen(machine))
    for place, jails in enumerate(ways[1:], 1):
        number = 0
        while True:
            machine.jails(ways[place - 1], prune=True)
            assert _seen(machine) == ends[place - 1], f"before command {number} of {place}"
            machine.sim.fail_at = number
            try:
                machine.jails(jails, prune=True)
            except Failed:
                pass
            machine.sim.fail_at = None
            reached = len(machine.sim.commands) > number
            machine.jails(jails, prune=True)
            assert _seen(machine) == ends[place], f"command {number} of {place} failed"
            assert machine.jails(jails, prune=True)["steps"] == []
            number += 1
            if not reached:
                break
        assert number > 10


def test_a_rule_that_stands_for_the_name_of_a_new_jail_is_told(tmp_path: Path) -> None:
    machine = Simulated(tmp_path / "host", "ufs")
    machine.run("rctl", "-a", "jail:cbweb:openfiles:deny=9")
    told = machine.jails([machine.web(root="empty", base=None, state="present")])
    assert "rctl -r jail:cbweb:openfiles:deny=9" in str(told["warnings"])
