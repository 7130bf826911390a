# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A FreeBSD 15.1 host that keeps state, in-process or behind ssh. See README.md."""

from __future__ import annotations

from .core import SimulatedHost, SimulatedKill
from .fresh import fresh_host

__all__ = ["SimulatedHost", "SimulatedKill", "fresh_host"]
