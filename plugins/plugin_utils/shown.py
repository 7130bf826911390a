# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host or a jail says, as it may be shown: it speaks to people, not to their terminal."""

from __future__ import annotations

LONGEST = 4000


def shown(text: str, longest: int = LONGEST) -> str:
    """A text of several lines without control characters, and not without end.

    >>> shown("one\\x1b[2Jtwo")
    'one?[2Jtwo'
    """
    kept = text[: longest + 1].replace("\r\n", "\n").replace("\t", " ")
    kept = "".join(char if char.isprintable() or char == "\n" else "?" for char in kept)
    return kept if len(kept) <= longest else kept[:longest] + "..."


def line(text: str, longest: int = LONGEST) -> str:
    """The same on one line."""
    return shown(text, longest).replace("\n", " ")
