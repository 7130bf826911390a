# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines as FreeBSD's tools see them: only a newline ends one. Python's splitlines() knows ten more ends."""

from __future__ import annotations

import re
from typing import List


def lines_of(text: str) -> List[str]:
    """The lines of a text, without their ends."""
    found = text.split("\n")
    return found if found[-1] else found[:-1]


def kept_lines(text: str) -> List[str]:
    """The lines of a text, with their ends."""
    return re.findall(r"[^\n]*\n|[^\n]+", text)
