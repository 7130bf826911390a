# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""devfs.rules(5): named and numbered rulesets, each rule a line that sh evaluates."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Dict, List, Optional, Tuple

from ansible_collections.cellblock.jails.plugins.module_utils.formats.lines import lines_of

MARK = "# cellblock.jails"
HEADER = re.compile(r"^\[([^=\]\n]+)=([0-9]+)\]", re.MULTILINE)


@dataclass(frozen=True)
class Ruleset:
    """A ruleset: its name, its number, and its rules as they stand, each beginning with ``add``."""

    name: str
    number: int
    rules: Tuple[str, ...] = ()


def rulesets(text: str) -> Dict[str, Ruleset]:
    """The rulesets of a file, by name."""
    return {name: _read(text, start, end) for name, (start, end) in _spans(text).items()}


def _spans(text: str) -> "Dict[str, tuple[int, int]]":
    heads = list(HEADER.finditer(text))
    ends = [head.start() for head in heads[1:]] + [len(text)]
    return {head.group(1): (head.start(), end) for head, end in zip(heads, ends)}


def _read(text: str, start: int, end: int) -> Ruleset:
    first, _newline, rest = text[start:end].partition("\n")
    name, _equals, number = first[1:].partition("]")[0].partition("=")
    rules = []
    for line in lines_of(rest):
        rule = line.partition("#")[0].strip()
        if rule:
            rules.append(rule)
    return Ruleset(name, int(number), tuple(rules))


def made(text: str) -> List[str]:
    """The names of the rulesets that we made: a mark below the header tells."""
    return [name for name, (start, end) in _spans(text).items() if _is_marked(text[start:end])]


def _is_marked(lines: str) -> bool:
    return lines.split("\n")[1:2] == [MARK]


def render(ruleset: Ruleset, marked: bool) -> str:
    """The ruleset's lines."""
    lines = [f"[{ruleset.name}={ruleset.number}]", *([MARK] if marked else []), *ruleset.rules]
    return "".join(f"{line}\n" for line in lines)


def put(text: str, ruleset: Optional[Ruleset], name: str) -> str:
    """Set a ruleset in its place or, marked as made by us, at the end; None removes it. All else stays."""
    spans = _spans(text)
    if name in spans:
        start, end = spans[name]
        new = render(ruleset, _is_marked(text[start:end])) if ruleset is not None else ""
        # Comments and blank lines before the next header belong to that.
        tail = re.search(r"((?:[ \t]*(?:#[^\n]*)?\n)*)\Z", text[start:end])
        kept = tail.group(1) if tail and end < len(text) else ""
        return text[:start] + new + kept + text[end:]
    if ruleset is None:
        return text
    text += "" if not text or text.endswith("\n") else "\n"
    return text + render(ruleset, True)
