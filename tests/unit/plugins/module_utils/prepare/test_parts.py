# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A whole host in one call is what its parts do one after another, and all of it is refused or none."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Mapping

import pytest

from ansible_collections.cellblock.jails.plugins.module_utils.engine.apply import take
from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.engine.plan import Plan
from ansible_collections.cellblock.jails.plugins.module_utils.errors import CellblockError, InputError
from ansible_collections.cellblock.jails.plugins.module_utils.prepare import parts
from ansible_collections.cellblock.jails.plugins.module_utils.prepare.options import PARTS
from ansible_collections.cellblock.jails.tests.simulator import SimulatedHost, fresh_host

BASIC = ["include $devfsrules_hide_all", "include $devfsrules_unhide_basic", "include $devfsrules_unhide_login"]
ASKED: Dict[str, Any] = {
    "storage": {"path": "/usr/jails"},
    "settings": {"rc_conf": {"jail_enable": True, "syslogd_enable": "YES"}, "fibs": 2},
    "devfs_rulesets": {"rulesets": [{"name": "devfsrules_bpf", "state": "present", "rules": [*BASIC, "path 'bpf*' unhide"], "load": True}]},
    "services": {"addresses": ["10.10.10.10"]},
    "networks": {"networks": [{"name": "lan", "ip4": "10.1.0.1/24"}]},
    "listeners": {"allow": ["ntpd"]},
}


def filled(spec: Mapping[str, Any], given: Mapping[str, Any]) -> Dict[str, Any]:
    """Options as Ansible hands them on: with defaults."""
    found: Dict[str, Any] = {}
    for name, one in spec.items():
        value = given.get(name, one.get("default"))
        if "options" in one and value is not None:
            value = [filled(one["options"], each) for each in value] if one["type"] == "list" else filled(one["options"], value)
        found[name] = value
    return found


def planned(sim: SimulatedHost, check_mode: bool = False, **asked: Any) -> Plan:
    return parts.plan(Host(sim.runner, str(sim.root)), filled(PARTS, asked), check_mode)


def run(sim: SimulatedHost, **asked: Any) -> List[str]:
    host = Host(sim.runner, str(sim.root))
    made, failed = planned(sim, **asked), {}
    failed.update(take(host, made))
    parts.verify(host, filled(PARTS, asked), made, failed)
    if failed:
        raise next(iter(failed.values()))
    return made.told()


@pytest.fixture
def sim(tmp_path: Path) -> SimulatedHost:
    return fresh_host(tmp_path / "host")


def text(sim: SimulatedHost, path: str) -> str:
    return sim.real(path).read_text()


def test_once_is_all_and_twice_is_nothing(sim: SimulatedHost) -> None:
    predicted = planned(sim, check_mode=True, **ASKED)
    done = run(sim, **ASKED)
    assert predicted.told() == done
    for part in ("storage: ", "settings: ", "devfs_rulesets: ", "services: ", "networks: "):
        assert any(step.startswith(part) for step in done)
    assert run(sim, **ASKED) == []
    rc = text(sim, "/etc/rc.conf")
    assert 'jail_enable="YES"' in rc and "10.10.10.10" in rc and "ifconfig_bridge0" in rc


def test_the_diff_of_check_mode_is_cumulative(sim: SimulatedHost) -> None:
    """Three parts write rc.conf: each shows what it changes, and together they show what comes."""
    texts = [diff for diff in planned(sim, check_mode=True, **ASKED).diff() if diff["before_header"] == "/etc/rc.conf"]
    assert len(texts) == 3 and texts[0]["before"] == text(sim, "/etc/rc.conf")
    assert [one["after"] for one in texts[:-1]] == [one["before"] for one in texts[1:]]
    run(sim, **ASKED)
    assert text(sim, "/etc/rc.conf") == texts[-1]["after"]


@pytest.mark.parametrize("part, bad", [
    ("storage", {"path": "usr/jails"}), ("storage", {"mode": "rwx"}), ("settings", {"fibs": 0}),
    ("devfs_rulesets", {"rulesets": [{"name": "a-b", "rules": BASIC}]}), ("services", {"addresses": ["nowhere"]}),
    ("networks", {"networks": [{"name": "lan", "ip4": "10.1.0.1"}]}), ("networks", {"confirm_timeout": 1}),
])
def test_what_is_wrong_with_one_part_touches_none(sim: SimulatedHost, part: str, bad: Dict[str, Any]) -> None:
    before = sim.picture()
    with pytest.raises(CellblockError):
        run(sim, **{**ASKED, part: bad})
    assert sim.picture() == before


def test_a_part_that_fails_is_undone_those_before_stand_and_none_comes_after(sim: SimulatedHost) -> None:
    made = planned(sim, **ASKED)

    def fail(_host: Host) -> None:
        raise InputError("no")

    lane = next(lane for lane in made.lanes if lane.name == "services")
    lane.steps.append(type(lane.steps[0])("fail", fail))  # type: ignore[attr-defined]
    failed = take(Host(sim.runner, str(sim.root)), made)
    assert set(failed) == {"services", "networks"} and "depends on" in str(failed["networks"])
    rc = text(sim, "/etc/rc.conf")
    assert 'jail_enable="YES"' in rc and "bridge0" not in rc and "inetd_flags" not in rc
    assert run(sim, **ASKED) and run(sim, **ASKED) == []


def test_only_what_is_given_is_touched_or_told(sim: SimulatedHost) -> None:
    made = planned(sim, storage={"path": "/usr/jails"})
    assert set(made.facts) == {"storage", "reboot"} and {lane.name for lane in made.lanes} == {"storage"}


def test_listeners_are_those_that_the_run_leaves(sim: SimulatedHost) -> None:
    asked = {"services": {"addresses": ["10.10.10.10"]}, "listeners": {"fail": True}}
    assert planned(sim, check_mode=True, **asked).facts["listeners"]["open"] == []
    run(sim, **asked)
    assert planned(sim, **asked).facts["listeners"]["open"] == []
