# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Several bases in one call: as one after another, in a number of commands that does not grow with them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List

import pytest

from ansible_collections.cellblock.jails.plugins.module_utils.bases import every
from ansible_collections.cellblock.jails.plugins.module_utils.bases.options import BASE
from ansible_collections.cellblock.jails.plugins.module_utils.engine.apply import take
from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.engine.options import STORAGE_OPTIONS
from ansible_collections.cellblock.jails.plugins.module_utils.engine.plan import Plan
from ansible_collections.cellblock.jails.plugins.module_utils.errors import CellblockError, InputError
from ansible_collections.cellblock.jails.tests.simulator import fresh_host


class Site:
    """A simulated host and the module against it."""

    def __init__(self, root: Path, kind: str) -> None:
        self.sim = fresh_host(root, storage=kind)
        self.storage = {"storage_path": "/usr/jails", "storage_dataset": "zroot/jails" if kind == "zfs" else None}
        self.host = Host(self.sim.runner, str(self.sim.root))
        self.facts: Dict[str, Any] = {}
        self.failed: Dict[str, CellblockError] = {}

    def plan(self, *bases: Dict[str, Any], check_mode: bool = False) -> Plan:
        defaults = {name: option.get("default") for name, option in BASE.items()}
        given = [{**defaults, "url": "/var/dist", "retries": 0, **base} for base in bases]
        options = {**{name: option.get("default") for name, option in STORAGE_OPTIONS.items()}, **self.storage, "basejails": given}
        self.bases = every.bases_from(options)
        return every.plan(self.host, self.bases, check_mode)

    def run(self, *bases: Dict[str, Any]) -> List[str]:
        """Plan in check mode, then run; both must say the same."""
        before = self.sim.picture()
        predicted = self.plan(*bases, check_mode=True)
        assert self.sim.picture() == before, "check mode changed the host"
        made = self.plan(*bases)
        assert made.told() == predicted.told()
        self.failed = take(self.host, made)
        every.verify(self.host, self.bases, made, self.failed)
        self.facts = made.facts["basejails"]
        return made.told()


@pytest.fixture(params=["ufs", "zfs"])
def site(tmp_path: Path, request: pytest.FixtureRequest) -> Site:
    return Site(tmp_path / "host", request.param)


def test_several_are_made_once_and_told_as_they_are(site: Site) -> None:
    told = site.run({"name": "a"}, {"name": "b", "sets": ["base"]})
    assert {step.split(":")[0] for step in told} == {"a", "b"}
    assert {name: (facts["changed"], facts["version"], facts["kind"]) for name, facts in site.facts.items()} == {
        "a": (True, "15.1-RELEASE-p1", "sets"), "b": (True, "15.1-RELEASE-p1", "sets"),
    }
    assert site.run({"name": "a"}, {"name": "b"}, {"name": "never", "state": "absent"}) == []
    assert not any(facts["changed"] for facts in site.facts.values())
    site.run({"name": "a", "state": "absent"}, {"name": "b"})
    assert site.facts["a"]["version"] is None and site.facts["b"]["version"] == "15.1-RELEASE-p1"


def test_the_commands_of_a_no_op_do_not_grow(site: Site) -> None:
    many = [{"name": f"b{number}"} for number in range(30)]
    counted = []
    for bases in (many[:1], many):
        site.run(*bases)
        before = len(site.host.commands)
        assert site.plan(*bases).told() == []
        counted.append(len(site.host.commands) - before)
    assert counted[0] == counted[1] <= 3


def test_one_may_be_a_copy_of_one_before_it(site: Site) -> None:
    site.run({"name": "a"}, {"name": "copy", "source": "directory", "directory": "/usr/jails/basejails/a"})
    assert site.facts["copy"]["version"] == site.facts["a"]["version"] and site.facts["copy"]["kind"] == "directory"


def test_what_is_wrong_with_one_touches_none(site: Site) -> None:
    before = site.sim.picture()
    for bad in ({"name": "a b"}, {"name": "a"}, {"name": "x", "release": "fifteen"}, {"name": "y", "source": "directory", "directory": "/nowhere"}):
        with pytest.raises(InputError) as caught:
            site.run({"name": "a"}, bad)
        assert bad["name"] in str(caught.value) or "/nowhere" in str(caught.value)
    assert site.sim.picture() == before


def test_one_that_fails_on_the_way_stops_no_other_but_its_copies(site: Site) -> None:
    made = site.plan({"name": "a"}, {"name": "copy", "source": "directory", "directory": "/usr/jails/basejails/a"}, {"name": "c"})
    lane = made.lanes[0]

    def fail(_host: Host) -> None:
        raise CellblockError("no")

    lane.steps.append(type(lane.steps[0])("fail", fail))  # type: ignore[attr-defined]
    failed = take(site.host, made)
    every.verify(site.host, site.bases, made, failed)
    assert set(failed) == {"a", "copy"}
    facts = made.facts["basejails"]
    assert facts["c"]["changed"] and facts["c"]["version"] and not facts["a"]["changed"] and facts["a"]["version"] is None
