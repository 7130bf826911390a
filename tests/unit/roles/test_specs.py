# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A role takes what it says it takes, with the defaults that it says, and hands on all that its modules know."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List

import pytest
import yaml

from ansible_collections.cellblock.jails.plugins.module_utils.bases import options as bases
from ansible_collections.cellblock.jails.plugins.module_utils.host.options import RULESET

ROLES = Path(__file__).resolve().parents[3] / "roles"
PREFIX = "cellblock.jails."


def loaded(role: str, part: str) -> Any:
    return yaml.safe_load((ROLES / role / part).read_text())


def tasks(role: str) -> List[Dict[str, Any]]:
    found: List[Dict[str, Any]] = []
    for path in sorted((ROLES / role / "tasks").glob("*.yml")):
        for task in yaml.safe_load(path.read_text()):
            found += task.get("block", [task])
    return found


@pytest.mark.parametrize("role", ["host_prepare", "jail"])
def test_every_variable_is_specified_with_its_default(role: str) -> None:
    specified = loaded(role, "meta/argument_specs.yml")["argument_specs"]["main"]["options"]
    defaults = loaded(role, "defaults/main.yml")
    assert set(defaults) <= set(specified)
    for name, default in defaults.items():
        if not (isinstance(default, str) and "{{" in default):
            assert specified[name].get("default") == default, name


@pytest.mark.parametrize("role, module, options", [("jail", "basejail", {**bases.BASE, **bases.HOST}), ("host_prepare", "devfs_ruleset", RULESET)])
def test_a_role_hands_on_every_option_of_the_module_it_loops_over(role: str, module: str, options: Dict[str, Any]) -> None:
    handed = [set(task[PREFIX + module]) for task in tasks(role) if PREFIX + module in task]
    assert handed and set(options) <= set().union(*handed), set(options) - set().union(*handed)
