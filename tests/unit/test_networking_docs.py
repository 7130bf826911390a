# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every example of docs/networking.md runs, twice, and is taken back whole."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Dict, List

import pytest
import yaml

from ansible_collections.cellblock.jails.tests.acceptance.machine import Simulated

DOCS = Path(__file__).resolve().parents[2] / "docs" / "networking.md"


def examples() -> List[Dict[str, Any]]:
    """The blocks, a bare list of jails as one of jails."""
    blocks = [yaml.safe_load(text) for text in re.findall(r"(?ms)^```yaml\n(.*?)^```", DOCS.read_text())]
    return [{"jail_jails": block} if isinstance(block, list) else block for block in blocks]


@pytest.mark.parametrize("example", examples(), ids=lambda example: example["jail_jails"][0]["name"])
def test_an_example_runs(example: Dict[str, Any], tmp_path: Path) -> None:
    machine = Simulated(tmp_path / "host", "zfs")
    for name in ("em0", "em1"):
        machine.sim.state["interfaces"][name] = []
    machine.sim.state["interfaces"]["em0"] = [["192.0.2.1", 24], ["192.0.2.10", 32]]
    machine.run("kldload", "-n", "pf")
    machine.module("basejail", name="15.1-RELEASE", source="sets", url="file:///var/dist", **machine.storage)
    if "host_prepare_fibs" in example:
        machine.module("host_settings", fibs=example["host_prepare_fibs"])
    networks = {"networks": example.get("host_prepare_networks", []), "manage": example.get("host_prepare_firewall_manage", False)}
    networks.update({"firewall": example["host_prepare_firewall"]} if "host_prepare_firewall" in example else {})
    before = machine.run("ifconfig", "-a")
    machine.module("jail_networks", **networks)
    assert machine.module("jail_networks", **networks)["steps"] == []
    machine.jails(example["jail_jails"])
    assert machine.jails(example["jail_jails"])["steps"] == []
    assert sorted(machine.running()) == sorted(jail["name"] for jail in example["jail_jails"])
    machine.jails([], prune=True)
    machine.module("jail_networks", prune=True)
    assert machine.run("ifconfig", "-a") == before
