# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""devfs.rules(5): named and numbered rulesets, each rule a line that sh evaluates."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Dict, Optional, Tuple

from ansible_collections.cellblock.jails.plugins.module_utils.formats.lines import lines_of

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


def render(ruleset: Ruleset) -> str:
    """The ruleset's lines."""
    return f"[{ruleset.name}={ruleset.number}]\n" + "".join(f"{rule}\n" for rule in ruleset.rules)


def put(text: str, ruleset: Optional[Ruleset], name: str) -> str:
    """Set a ruleset in its place or at the end; None removes it. All else stays."""
    spans = _spans(text)
    new = render(ruleset) if ruleset is not None else ""
    if name in spans:
        start, end = spans[name]
        # Comments and blank lines before the next header belong to that.
        tail = re.search(r"((?:[ \t]*(?:#[^\n]*)?\n)*)\Z", text[start:end])
        kept = tail.group(1) if tail and end < len(text) else ""
        return text[:start] + new + kept + text[end:]
    if not new:
        return text
    text += "" if not text or text.endswith("\n") else "\n"
    return text + new
