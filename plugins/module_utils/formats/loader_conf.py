# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""loader.conf(5): one assignment a line, as the boot loader reads it. It looks like sh(1) and is not:
names have dots, values no escapes."""

from __future__ import annotations

import re
from typing import Dict, Mapping, Optional

from ansible_collections.cellblock.jails.plugins.module_utils.errors import InputError
from ansible_collections.cellblock.jails.plugins.module_utils.formats.lines import kept_lines, lines_of

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
LINE = re.compile(r'[ \t]*([A-Za-z0-9][A-Za-z0-9_.-]*)[ \t]*=[ \t]*(?:"([^"]*)"|([^\s"#]+))[ \t]*(?:#.*)?')


def values(text: str) -> Dict[str, str]:
    """The variables; the last assignment wins."""
    found: Dict[str, str] = {}
    for line in lines_of(text):
        match = LINE.fullmatch(line)
        if match:
            found[match.group(1)] = match.group(2) if match.group(2) is not None else match.group(3)
    return found


def edit(text: str, changes: Mapping[str, Optional[str]]) -> str:
    """Set variables, or unset those whose value is None; all other lines stay.

    :raises InputError: for a name or value that the loader cannot read.
    """
    for name, value in changes.items():
        if not NAME.fullmatch(name):
            raise InputError(f"{name!r} is not a variable's name", "loader.conf", "Letters, digits, '_', '.' and '-'")
        if value is not None and (not value.isascii() or not value.isprintable() or '"' in value):
            raise InputError(
                f"{value!r} cannot be a value", f"loader.conf, {name}",
                "The loader reads printable ASCII between quotes, and knows no escapes",
            )
    lines = kept_lines(text)
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += "\n"
    for name, value in changes.items():
        places = [
            number for number, line in enumerate(lines)
            if (match := LINE.fullmatch(line.rstrip("\n"))) and match.group(1) == name
        ]
        new = [] if value is None else [f'{name}="{value}"\n']
        if places:
            lines[places[-1]:places[-1] + 1] = new
            for number in reversed(places[:-1]):
                del lines[number]
        else:
            lines += new
    return "".join(lines)
