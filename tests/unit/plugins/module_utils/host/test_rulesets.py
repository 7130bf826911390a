# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What users see of the module devfs_ruleset."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List

import pytest

from ansible_collections.cellblock.jails.plugins.module_utils.engine.apply import take
from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.errors import InputError, Refused
from ansible_collections.cellblock.jails.plugins.module_utils.host import rulesets
from ansible_collections.cellblock.jails.tests.simulator import SimulatedHost, fresh_host

BASIC = ["include $devfsrules_hide_all", "include $devfsrules_unhide_basic", "add include $devfsrules_unhide_login"]


@pytest.fixture
def sim(tmp_path: Path) -> SimulatedHost:
    return fresh_host(tmp_path / "host")


def run(sim: SimulatedHost, **options: Any) -> List[str]:
    host = Host(sim.runner, str(sim.root))
    given: Dict[str, Any] = {"name": "devfsrules_bpf", "state": "present", "load": True, "apply": False, **options}
    plan = rulesets.plan(host, given)
    take(host, plan)
    return plan.told()


def test_a_ruleset_stands_in_the_file_and_in_the_kernel(sim: SimulatedHost) -> None:
    rules = [*BASIC, "path 'bpf*' unhide mode 0660 group network"]
    assert run(sim, number=100, rules=rules) == ["write /etc/devfs.rules", "load ruleset 100"]
    text = sim.real("/etc/devfs.rules").read_text()
    assert text.startswith("[devfsrules_bpf=100]\n# cellblock.jails\nadd include $devfsrules_hide_all\n")
    assert "add path 'bpf*' unhide" in text
    assert sim.state["rulesets"]["100"][0] == "include 1"
    assert run(sim, number=100, rules=rules) == []
    sim.run(["service", "devfs", "restart"])
    assert run(sim, number=100, rules=rules) == []


def test_others_rulesets_and_comments_stay(sim: SimulatedHost) -> None:
    path = sim.real("/etc/devfs.rules")
    path.write_text("# mine\n[localrules=50]\nadd path 'da*' unhide\n")
    run(sim, number=100, rules=BASIC)
    run(sim, number=100, rules=[*BASIC, "path tun0 unhide"])
    assert path.read_text().startswith("# mine\n[localrules=50]\nadd path 'da*' unhide\n[devfsrules_bpf=100]\n")
    run(sim, state="absent")
    assert path.read_text() == "# mine\n[localrules=50]\nadd path 'da*' unhide\n"


def test_a_number_is_derived_from_the_name_and_kept(sim: SimulatedHost) -> None:
    told = run(sim, rules=BASIC)
    number = told[-1].split()[-1]
    assert 1000 <= int(number) <= 65535
    assert run(sim, rules=BASIC) == []


@pytest.mark.parametrize(
    "options, message",
    [
        ({"name": "bad-name", "rules": BASIC}, "variable"), ({"number": 70000, "rules": BASIC}, "out of range"),
        ({"number": 4, "rules": BASIC}, "taken by devfsrules_jail"), ({"rules": ["include $devfsrules_jail"]}, "hides nothing"),
        ({"rules": [*BASIC, "frobnicate"]}, "frobnicate"), ({"rules": [*BASIC, "include $nope"]}, "no file defines"),
        ({"rules": [*BASIC, "path x unhide; reboot"]}, "reboot|sh would"), ({"rules": []}, "hides nothing"),
    ],
)
def test_traps_are_refused(sim: SimulatedHost, options: Dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        run(sim, **options)
    assert not sim.real("/etc/devfs.rules").exists()


def test_absent_refuses_while_a_jail_uses_it(sim: SimulatedHost) -> None:
    run(sim, number=100, rules=BASIC)
    sim.real("/usr/jails/j/dev").mkdir(parents=True)
    sim.run(["jail", "-c", "name=j", "path=/usr/jails/j", "persist", "devfs_ruleset=100", "mount.devfs"])
    with pytest.raises(Refused, match="j"):
        run(sim, state="absent")
    assert "apply ruleset 100 to jail j" in run(sim, number=100, rules=[*BASIC, "path pf unhide"], apply=True)


# -- several in one call


def run_all(sim: SimulatedHost, rulesets_asked: List[Dict[str, Any]], prune: bool = False) -> List[str]:
    host = Host(sim.runner, str(sim.root))
    given = [{"state": "present", "load": True, "apply": False, **one} for one in rulesets_asked]
    plan = rulesets.plan_all(host, given, prune)
    take(host, plan)
    return plan.told()


def commands(sim: SimulatedHost, rulesets_asked: List[Dict[str, Any]]) -> int:
    host = Host(sim.runner, str(sim.root))
    assert not rulesets.plan_all(host, [{"state": "present", "load": True, "apply": False, **one} for one in rulesets_asked]).told()
    return len(host.commands)


def many(number: int) -> List[Dict[str, Any]]:
    return [{"name": f"devfsrules_{place}", "rules": [*BASIC, f"path 'tap{place}' unhide"]} for place in range(number)]


def test_several_are_as_one_after_another(sim: SimulatedHost, tmp_path: Path) -> None:
    other = fresh_host(tmp_path / "other")
    told = run_all(sim, many(5))
    for one in many(5):
        run(other, **one)
    assert told.count("write /etc/devfs.rules") == 1 and len(told) == 6
    assert sim.real("/etc/devfs.rules").read_text() == other.real("/etc/devfs.rules").read_text()
    assert sim.state["rulesets"] == other.state["rulesets"]
    assert run_all(sim, many(5)) == []


def test_the_commands_do_not_grow_with_the_rulesets(sim: SimulatedHost) -> None:
    run_all(sim, many(2))
    two = commands(sim, many(2))
    run_all(sim, many(30))
    assert commands(sim, many(30)) == two


def test_one_that_the_kernel_lost_or_has_otherwise_is_loaded_again(sim: SimulatedHost) -> None:
    run_all(sim, many(4))
    numbers = sorted(number for number in sim.state["rulesets"] if int(number) > 5)
    sim.run(["devfs", "rule", "-s", numbers[1], "delset"])
    sim.run(["devfs", "rule", "-s", numbers[2], "add", "path", "mem", "unhide"])
    assert sorted(run_all(sim, many(4))) == [f"load ruleset {number}" for number in numbers[1:3]]
    assert run_all(sim, many(4)) == []


def test_one_may_include_one_before_it(sim: SimulatedHost) -> None:
    first = {"name": "devfsrules_all", "number": 200, "rules": ["hide", "path null unhide"]}
    second = {"name": "devfsrules_more", "number": 201, "rules": ["include $devfsrules_all", "path tun0 unhide"]}
    run_all(sim, [first, second])
    assert sim.state["rulesets"]["201"][0] == "include 200"
    with pytest.raises(InputError, match="no file defines"):
        run_all(fresh_host(sim.root.parent / "another"), [second, first])


def test_prune_takes_ours_and_never_others(sim: SimulatedHost) -> None:
    path = sim.real("/etc/devfs.rules")
    path.write_text("# mine\n[localrules=50]\nadd path 'da*' unhide\n")
    run_all(sim, many(3))
    run_all(sim, [{"name": "localrules", "rules": [*BASIC, "path 'da*' unhide"]}])  # theirs, even where we change it
    run_all(sim, many(1), prune=True)
    assert "[localrules=50]" in path.read_text() and "devfsrules_0" in path.read_text()
    assert "devfsrules_1" not in path.read_text() and "devfsrules_2" not in path.read_text()
    run_all(sim, [], prune=True)
    assert path.read_text().startswith("# mine\n[localrules=50]\n") and "devfsrules_0" not in path.read_text()


def test_one_that_is_bad_spoils_all_before_anything_is_touched(sim: SimulatedHost) -> None:
    for bad in ({"name": "devfsrules_0", "rules": BASIC}, {"name": "devfsrules_bad", "rules": ["hide", "frobnicate"]}):
        with pytest.raises(InputError):
            run_all(sim, [*many(2), bad])
        assert not sim.real("/etc/devfs.rules").exists()
