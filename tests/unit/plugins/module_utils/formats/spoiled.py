# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Texts as an attacker would spoil them."""

from __future__ import annotations

import os
import random
from typing import Iterator

ROUNDS = int(os.environ.get("CELLBLOCK_FUZZ", "2000"))
ODD = [
    "\n", "\t", "\0", "\x1b[2J", "\u2028", "\x85", "\x0c", '"', "'", "\\", "{", "}", "[", "]", "(", ")", ":", ";", ",", "=", "+=", "$", "${", "`",
    "#", "*", "/*", "*/", "null", "9" * 40, "-", "\udcff", " ", "",
]


def spoiled(name: str, text: str) -> Iterator[str]:
    """As many spoilt versions of a text as CELLBLOCK_FUZZ says, the same ones in every run."""
    chance = random.Random(name)
    for _round in range(ROUNDS):
        spoilt = text
        for _times in range(chance.randrange(1, 5)):
            at = chance.randrange(len(spoilt) + 1)
            spoilt = spoilt[:at] + chance.choice(ODD) + spoilt[at + chance.randrange(4):]
        yield spoilt
