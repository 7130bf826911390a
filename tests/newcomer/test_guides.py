# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guides, done as they stand: their files are written, their commands run, and what they say comes out.

One directory and one host go through all of them, in this order. A block whose first line names a file is that file; a block
of ``console`` has commands, and below each lines of its output. ``<!-- host: ... -->`` is done on the host before, by hand;
a block after ``<!-- not run ... -->`` is only read.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Iterator, Tuple

import pytest

from .conftest import TREE, Newcomer, plain

ORDER = (
    "first-host", "change-and-restart", "networks", "adopt", "bases", "roles-inside", "logs", "existing-repo", "remove-and-prune", "awx",
)
GUIDES = TREE / "docs" / "guides"
BLOCK = re.compile(r"(?ms)^<!-- (?P<word>host|not run)(?:: (?P<text>.*?))? -->\n|^```(?P<kind>\w+)\n(?P<body>.*?)^```\n")


def blocks(path: Path) -> Iterator[Tuple[str, str]]:
    """What there is to do, in order: a kind, and a text."""
    skipped = False
    for found in BLOCK.finditer(path.read_text()):
        if found["word"]:
            skipped = found["word"] == "not run"
            if not skipped:
                yield "host", found["text"]
        elif not skipped or found["kind"] != "console":
            yield found["kind"], found["body"]
        else:
            skipped = False


def commands(body: str) -> Iterator[Tuple[str, "list[str]"]]:
    """The commands of a console, each with the lines that are shown of its output."""
    for part in re.split(r"(?m)^\$ ", body)[1:]:
        command, *shown = part.splitlines()
        yield command, [line for line in shown if line.strip() not in ("", "...")]


def test_there_is_a_guide_for_each_task() -> None:
    assert sorted(path.stem for path in GUIDES.glob("*.md")) == sorted(ORDER)


@pytest.mark.parametrize("name", ORDER)
def test_a_guide_does_what_it_says(name: str, newcomer: Newcomer) -> None:
    for kind, body in blocks(GUIDES / f"{name}.md"):
        if kind == "host":
            newcomer.host(body)
        elif kind == "yaml" and re.match(r"# \S+\.yml\n", body):
            newcomer.write(body.split("\n", 1)[0][2:], body)
        elif kind == "console":
            for command, shown in commands(body):
                said = plain(newcomer.run(command, None))
                for line in shown:
                    assert plain(line).strip() in said, f"{name}: $ {command}\n{line}\n---\n{said[-3000:]}"
