# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fresh simulated host, and the door to it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.tests.simulator import SimulatedHost, fresh_host


@pytest.fixture
def simulated(tmp_path: Path) -> SimulatedHost:
    return fresh_host(tmp_path)


@pytest.fixture
def host(simulated: SimulatedHost) -> Host:
    return Host(simulated.runner, str(simulated.root), simulated.spawn)
