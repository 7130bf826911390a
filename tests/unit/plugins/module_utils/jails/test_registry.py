# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands for an aspect says of it what it says itself, and a run that does not need it does not read it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import List

import pytest

from ansible_collections.cellblock.jails.plugins.module_utils.jails.aspects.aspect import Aspect
from ansible_collections.cellblock.jails.plugins.module_utils.jails.registry import ASPECTS

HOUSE = "ansible_collections.cellblock.jails.plugins.module_utils."
# Read by a start of the module that is told of no networks, firewalls or upgrades, and takes no step: nothing of these.
SPARED = ("networks.aspect", "networks.join", "networks.pf", "networks.ipfw", "networks.rules", "networks.model", "upgrades", "engine.apply", "engine.walk")


@pytest.mark.parametrize("aspect", ASPECTS, ids=lambda aspect: aspect.name)
def test_what_stands_for_an_aspect_is_like_it(aspect: Aspect) -> None:
    real = aspect.loaded()
    assert (real.name, dict(real.options), tuple(real.facts)) == (aspect.name, dict(aspect.options), tuple(aspect.facts))
    assert type(aspect) is type(real) or type(real).concerns is Aspect.concerns


def read_by(module: str) -> List[str]:
    """The modules that an import reads."""
    path = str(Path(__file__).resolve().parents[8])
    code = f"import sys; sys.path.insert(0, {path!r}); import {module}; print(*sys.modules)"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()


def test_a_start_reads_what_it_needs() -> None:
    told_again = read_by(HOUSE.replace("module_utils.", "modules.jails"))
    assert [name for name in told_again if name.startswith((f"{HOUSE}jails", f"{HOUSE}formats"))] == []
    planned = read_by(f"{HOUSE}jails.planning")
    assert f"{HOUSE}jails.planning" in planned
    assert [name for name in planned if name.startswith(tuple(HOUSE + spared for spared in SPARED))] == []
