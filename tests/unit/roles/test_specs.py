# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A role takes what it says it takes, with the defaults that it says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROLES = Path(__file__).resolve().parents[3] / "roles"
# What playbooks have of their own, told in their guides.
OWN = tuple(f"jail_{name}_" for name in ("upgrade", "move", "replicate", "promote", "backup", "restore", "verify"))


def loaded(role: str, part: str) -> Any:
    return yaml.safe_load((ROLES / role / part).read_text())


@pytest.mark.parametrize("role", ["host_prepare", "jail", "backup"])
def test_every_variable_is_specified_with_its_default(role: str) -> None:
    specified = loaded(role, "meta/argument_specs.yml")["argument_specs"]["main"]["options"]
    defaults = loaded(role, "defaults/main.yml")
    assert set(defaults) <= set(specified)
    for name, default in defaults.items():
        if not (isinstance(default, str) and "{{" in default):
            assert specified[name].get("default") == default, name


@pytest.mark.parametrize("role", ["host_prepare", "jail", "backup"])
def test_every_variable_stands_in_the_readme(role: str) -> None:
    told = (ROLES / role / "README.md").read_text()
    assert [name for name in loaded(role, "meta/argument_specs.yml")["argument_specs"]["main"]["options"] if f"| `{name}` |" not in told] == []


def test_every_variable_of_a_playbook_stands_in_a_readme_and_has_the_prefix() -> None:
    place = ROLES.parent / "playbooks"
    told = (place / "README.md").read_text() + (ROLES / "jail" / "README.md").read_text()
    used = {name for path in place.glob("*.yml") for name in re.findall(r"\b((?:jail|inside)_\w+) \| default", path.read_text())}
    assert "jail_hosts" in used and all(name.startswith("jail_") or f"jail_{name}" in used for name in used)
    assert [name for name in used if name.startswith("jail_") and f"`{name}`" not in told and not name.startswith(OWN)] == []
