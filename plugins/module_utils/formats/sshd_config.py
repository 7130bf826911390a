# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""sshd_config(5): keywords before the first Match block, which are those of the whole server."""

from __future__ import annotations

import re
from typing import Dict, List, Mapping, Sequence

from ansible_collections.cellblock.jails.plugins.module_utils.errors import InputError
from ansible_collections.cellblock.jails.plugins.module_utils.formats.lines import lines_of

LINE = re.compile(r'\s*([A-Za-z][A-Za-z0-9]*)(?:\s*=\s*|\s+)(.*?)\s*')


def values(text: str) -> Dict[str, List[str]]:
    """The arguments of the server's keywords, by keyword in lower case, in order. Included files are not read."""
    found: Dict[str, List[str]] = {}
    for line in lines_of(text):
        match = LINE.fullmatch(line)
        if match and match.group(1).lower() == "match":
            break
        if match:
            found.setdefault(match.group(1).lower(), []).append(match.group(2).strip('"'))
    return found


def edit(text: str, changes: Mapping[str, Sequence[str]]) -> str:
    """Give keywords these arguments, one line each; all other lines stay.

    :raises InputError: for an argument that is none.
    """
    lines = lines_of(text)
    for keyword, arguments in changes.items():
        for argument in arguments:
            if not re.fullmatch(r"[!-~]+", argument) or "#" in argument or '"' in argument:
                raise InputError(f"{argument!r} cannot be an argument", f"sshd_config, {keyword}")
        if values("\n".join(lines)).get(keyword.lower(), []) == list(arguments):
            continue
        lines = _edit(lines, keyword, [f"{keyword} {argument}" for argument in arguments])
    return "\n".join(lines) + "\n" if lines else ""


def _edit(lines: Sequence[str], keyword: str, new: Sequence[str]) -> List[str]:
    kept: List[str] = []
    place = None
    inside = False
    for line in lines:
        match = LINE.fullmatch(line)
        word = match.group(1).lower() if match else ""
        if word == "match" and not inside:
            inside = True
            place = len(kept) if place is None else place
        if word == keyword.lower() and not inside:
            place = len(kept) if place is None else place
        else:
            kept.append(line)
    place = len(kept) if place is None else place
    return [*kept[:place], *new, *kept[place:]]
