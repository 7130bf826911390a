# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""fstab(5) lines: fields separated by blanks, with what would break them encoded as vis(3) does."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Optional


@dataclass(frozen=True)
class Entry:
    """One line: what is mounted, where, of which type, with which options."""

    spec: str
    file: str
    vfstype: str
    mntops: str = "rw"
    freq: int = 0
    passno: int = 0


def encode(field: str) -> str:
    """A field as it stands in a line."""
    return re.sub(r"[ \t\n\r\\#]", lambda found: f"\\{ord(found.group()):03o}", field)


def decode(field: str) -> str:
    """What a field means."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found.group(1), 8)), field)


def parse_line(line: str) -> Optional[Entry]:
    """Read a line; None when it is empty or a comment.

    :raises ValueError: when it has fewer than three fields.
    """
    # Blanks and tabs only, as getfsent(3) does: other white space of Unicode is a part of a name.
    fields = [field for field in re.split("[ \t\n]+", line.partition("#")[0]) if field]
    if not fields:
        return None
    if len(fields) < 3:
        raise ValueError(f"fewer than three fields in {line.strip()!r}")
    numbers = [int(number) for number in fields[4:6]] + [0, 0]
    options = fields[3] if len(fields) > 3 else "rw"
    return Entry(decode(fields[0]), decode(fields[1]), fields[2], options, numbers[0], numbers[1])


def render_line(entry: Entry) -> str:
    """The line, without its end."""
    fields = (encode(entry.spec), encode(entry.file), entry.vfstype, entry.mntops, str(entry.freq), str(entry.passno))
    return " ".join(fields)
