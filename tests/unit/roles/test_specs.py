# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A role takes what it says it takes, with the defaults that it says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

ROLES = Path(__file__).resolve().parents[3] / "roles"


def loaded(role: str, part: str) -> Any:
    return yaml.safe_load((ROLES / role / part).read_text())


@pytest.mark.parametrize("role", ["host_prepare", "jail"])
def test_every_variable_is_specified_with_its_default(role: str) -> None:
    specified = loaded(role, "meta/argument_specs.yml")["argument_specs"]["main"]["options"]
    defaults = loaded(role, "defaults/main.yml")
    assert set(defaults) <= set(specified)
    for name, default in defaults.items():
        if not (isinstance(default, str) and "{{" in default):
            assert specified[name].get("default") == default, name
