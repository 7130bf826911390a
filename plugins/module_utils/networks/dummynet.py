# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pipes of dummynet(4), which hold a rate."""

from __future__ import annotations

import re
from typing import Dict, List, Optional, Tuple

from ansible_collections.cellblock.jails.plugins.module_utils.networks.traffic import Bandwidth

PIPES = range(10000, 30000, 2)  # ours, in pairs: towards the jail, and from it
SIZES = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9}
BYTES_MAX = 1000000  # net.inet.ip.dummynet.pipe_byte_limit is 1048576


def config(pipe: int, rate: int) -> List[str]:
    """The words that make a pipe, or change it in place. Its queue holds 50 ms, or 50 packets."""
    queue = min(BYTES_MAX, rate // 8 // 20)
    size = [f"{queue // 1024}KBytes"] if queue >= 50 * 1500 else ["50"]
    return ["dnctl", "pipe", str(pipe), "config", "bw", f"{rate}bit/s", "queue", *size]


def pairs(pipes: Tuple[int, int], bandwidth: Bandwidth) -> List[Tuple[int, int]]:
    """The pipes that a bandwidth needs, and their rates."""
    both = ((pipes[0], bandwidth.to_jail), (pipes[1], bandwidth.from_jail))
    return [(pipe, rate) for pipe, rate in both if rate]


def listed(text: str) -> Dict[int, float]:
    """The pipes of ``dnctl pipe list`` and their rates in bit/s, as roundly as it prints them; 0 for no limit."""
    found = re.findall(r"(?m)^0*(\d+):\s+(unlimited|[\d.]+)\s*([KMG]?)", text)
    return {int(number): 0.0 if rate == "unlimited" else float(rate) * SIZES[unit] for number, rate, unit in found}


def holds(rate: int, printed: Optional[float]) -> bool:
    """Whether a printed rate, three digits after the point, is this one."""
    size = next((size for size in (10**9, 10**6, 10**3) if rate >= size), 1)
    return printed is not None and abs(printed - rate) <= size * 0.0006
