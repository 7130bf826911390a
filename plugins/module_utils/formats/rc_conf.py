# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""rc.conf(5) and loader.conf(5): assignments of sh(1), read as sh reads them, edited without touching the rest.

sysrc(8) writes values unescaped; here every value arrives unharmed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Dict, List, Mapping, Optional, Sequence

from ansible_collections.cellblock.jails.plugins.module_utils.errors import FormatError, InputError

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
BLANKS = " \t"
VARIABLE = re.compile(r"\$(?:([A-Za-z_][A-Za-z0-9_]*)|\{([A-Za-z_][A-Za-z0-9_]*)\})")
# Words that open and close what sh may or may not run.
OPENING = frozenset(("if", "case", "for", "while", "until", "{", "("))
CLOSING = frozenset(("fi", "esac", "done", "}", ")"))
EXPORTING = ("export", "readonly")


@dataclass
class Assignment:
    """One assignment, and where its text stands."""

    name: str
    value: Optional[str]  # None: needs expansion
    start: int
    end: int
    depth: int
    alone: bool  # nothing else stands on its lines
    exported: bool = False  # behind the word export or readonly


def _assignments(text: str) -> List[Assignment]:
    """All assignments that open a command, or are exported by it, in order."""
    found: List[Assignment] = []
    place, depth, opens, exports = 0, 0, True, False
    line_start = 0
    while place < len(text):
        char = text[place]
        if char == "\n" or char == ";":
            opens, exports, place = True, False, place + 1
            line_start = place if char == "\n" else line_start
        elif char in BLANKS:
            place += 1
        elif text.startswith("\\\n", place):
            place += 2
        elif char == "#":
            place = _line_end(text, place)
        else:
            name = NAME.match(text, place)
            if (opens or exports) and name and text.startswith("=", name.end()):
                end, value = _word(text, name.end() + 1)
                rest = text[end:_line_end(text, end)].split("#")[0].strip(" \t;")
                alone = not text[line_start:place].strip() and not rest
                found.append(Assignment(name.group(), value, place, end, depth, alone, exports))
                place = end
            else:
                end, value = _word(text, place)
                end = max(end, place + 1)
                word = text[place:end]
                if opens or word in CLOSING:
                    depth += (word in OPENING) - (word in CLOSING)
                exports = exports or (opens and word in EXPORTING)
                opens = word in ("then", "else", "do", "{", "(") or (opens and word in ("&&", "||"))
                place = end
    return found


def _line_end(text: str, place: int) -> int:
    end = text.find("\n", place)
    return len(text) if end < 0 else end


Known = Optional[Mapping[str, str]]


def _word(text: str, place: int, known: Known = None) -> "tuple[int, Optional[str]]":
    """A word of sh from a place on: where it ends, and its value unless that needs expansion.

    :param known: variables, when what stands on them alone may be expanded.
    """
    pieces: List[str] = []
    literal = True
    while place < len(text) and text[place] not in " \t\n;&|()<>":
        char = text[place]
        if char == "'":
            end = text.find("'", place + 1)
            if end < 0:
                raise FormatError("an unterminated quote", f"line {text.count(chr(10), 0, place) + 1}", "Close it")
            pieces.append(text[place + 1:end])
            place = end + 1
        elif char == '"':
            place, piece = _double(text, place + 1, known)
            literal = literal and piece is not None
            pieces.append(piece or "")
        elif char == "\\":
            pieces.append("" if text[place + 1:place + 2] == "\n" else text[place + 1:place + 2])
            place += 2
        elif char in "$`":
            place, piece = _expanded(text, place, known)
            literal = literal and piece is not None
            pieces.append(piece or "")
        else:
            pieces.append(char)
            place += 1
    return place, "".join(pieces) if literal else None


def _double(text: str, place: int, known: Known = None) -> "tuple[int, Optional[str]]":
    opened = place
    pieces: List[str] = []
    literal = True
    while place < len(text):
        char = text[place]
        if char == '"':
            return place + 1, "".join(pieces) if literal else None
        if char == "\\" and text[place + 1:place + 2] in ("$", "`", '"', "\\", "\n"):
            pieces.append("" if text[place + 1] == "\n" else text[place + 1])
            place += 2
        elif char == "`" or (char == "$" and re.match(r"[A-Za-z0-9_{(@*#?!$-]", text[place + 1:place + 2])):
            place, piece = _expanded(text, place, known)
            literal = literal and piece is not None
            pieces.append(piece or "")
        else:
            pieces.append(char)
            place += 1
    raise FormatError("an unterminated quote", f"line {text.count(chr(10), 0, opened) + 1}", "Close it")


def _expansion(text: str, place: int) -> int:
    """Where an expansion ends; only its extent matters."""
    if text[place] == "`":
        end = text.find("`", place + 1)
        return len(text) if end < 0 else end + 1
    pair = {"{": "}", "(": ")"}.get(text[place + 1:place + 2])
    if pair is None:
        return place + 1
    depth, opening = 0, text[place + 1]
    for end in range(place + 1, len(text)):
        depth += (text[end] == opening) - (text[end] == pair)
        if depth == 0:
            return end + 1
    return len(text)


def _expanded(text: str, place: int, known: Known) -> "tuple[int, Optional[str]]":
    """An expansion: where it ends, and its value if it is a variable's and nothing more."""
    found = VARIABLE.match(text, place) if known is not None else None
    if found is None or known is None:
        return _expansion(text, place), None
    return found.end(), known.get(found.group(1) or found.group(2), "")


def settle(text: str, known: Dict[str, str]) -> bool:
    """Run a file as sh would, as far as it can be sure: its assignments go into the variables.

    :param known: the variables that stand before it; changed.
    :returns: whether that is all of it. False: something in it is built by commands or conditions, and only sh knows.
    """
    whole = True
    for assignment in _assignments(text):
        _end, value = _word(text, assignment.start + len(assignment.name) + 1, known)
        if value is None or assignment.depth > 0:
            known.pop(assignment.name, None)
            whole = False
        else:
            known[assignment.name] = value
    return whole and _only_assigns(text)


def _only_assigns(text: str) -> bool:
    """Whether a file holds nothing but assignments and comments."""
    for assignment in reversed(_assignments(text)):
        text = text[:assignment.start] + text[assignment.end:]
    rest = re.sub(r"(?m)(?:^|(?<=[ \t;]))#.*$|\\\n", "", text)
    return not re.sub(r"[\s;:]+|\b(?:export|readonly)\b", "", rest)


def sure(text: str, name: str) -> Optional[str]:
    """The value that a file gives a variable, when it may be written over: literal, and in no condition; None when not."""
    found = [assignment for assignment in _assignments(text) if assignment.name == name]
    if not found or any(assignment.value is None or assignment.depth > 0 for assignment in found):
        return None
    return found[-1].value


def names(text: str) -> List[str]:
    """The variables that are assigned, whether their value is literal or not."""
    return list(dict.fromkeys(assignment.name for assignment in _assignments(text)))


def source(text: str, wanted: Sequence[str]) -> str:
    """The assignments of these variables as they stand, one a line."""
    found = [text[one.start:one.end] for one in _assignments(text) if one.name in wanted]
    return "".join(f"{assignment}\n" for assignment in found)


def values(text: str) -> Dict[str, str]:
    """The variables whose value is literal and sure: the last assignment wins, as in sh."""
    found: Dict[str, str] = {}
    for assignment in _assignments(text):
        found.pop(assignment.name, None)
        if assignment.value is not None and assignment.depth <= 0:
            found[assignment.name] = assignment.value
    return found


def yes(value: Optional[str]) -> bool:
    """Whether rc.subr(8) takes a value for yes."""
    return (value or "").lower() in ("yes", "true", "on", "1")


def quote(value: str) -> str:
    """A value as sh, sysrc(8) and the boot loader read it back unharmed."""
    return '"' + re.sub(r'([\\"$`])', r"\\\1", value) + '"'


def edit(text: str, changes: Mapping[str, Optional[str]]) -> str:
    """Set variables, or unset those whose value is None; all else stays byte for byte.

    :raises InputError: for what is no variable's name.
    :raises FormatError: when a variable is set in a condition, where an edit would not be sure, or would not be read.
    """
    for name, value in changes.items():
        if not NAME.fullmatch(name):
            raise InputError(f"{name!r} is not a variable's name", None, "Letters, digits and '_'")
        if value is not None and "\0" in value:
            raise InputError("a value holds a NUL", name, "No text file can hold it")
        text = _edit(text, name, value)
    _check_read(text, changes)
    return text


def _check_read(text: str, changes: Mapping[str, Optional[str]]) -> None:
    """A line end that is none, or a word left open, can make what was added part of something else."""
    found = values(text)
    for name, value in changes.items():
        if found.get(name) != value:
            raise FormatError(f"{name} would not be read as it is meant", None, "Mend the end of the file by hand: something is left open there")


def _edit(text: str, name: str, value: Optional[str]) -> str:
    found = [assignment for assignment in _assignments(text) if assignment.name == name]
    if any(assignment.depth > 0 for assignment in found):
        line = text.count("\n", 0, found[-1].start) + 1
        raise FormatError(f"{name} is set in a condition or loop", f"line {line}", "Move it out by hand")
    keep = found[-1] if found and value is not None else None
    for assignment in reversed(found):
        if assignment is keep:
            text = f"{text[:assignment.start]}{name}={quote(value or '')}{text[assignment.end:]}"
        elif value is None or assignment.alone:
            text = _cut(text, assignment)
    if value is not None and keep is None:
        text += "" if not text or text.endswith("\n") else "\n"
        text += f"{name}={quote(value)}\n"
    return text


def _cut(text: str, assignment: Assignment) -> str:
    if assignment.exported:
        return _cut_exported(text, assignment)
    if not assignment.alone:
        return f"{text[:assignment.start]}:{text[assignment.end:]}"
    start = text.rfind("\n", 0, assignment.start) + 1
    return text[:start] + text[_line_end(text, assignment.end) + 1:]


def _cut_exported(text: str, assignment: Assignment) -> str:
    """The word before it goes too where it exports nothing else: alone, it would print all that is exported."""
    head = re.search(r"(?:\A|[;\n])([ \t]*(?:export|readonly)[ \t]+)\Z", text[:assignment.start])
    tail = re.match(r"[ \t]*(?=[;#\n]|\Z)", text[assignment.end:])
    if head is None or tail is None:
        return text[:assignment.start] + text[assignment.end:]
    start, stop = head.start(1), assignment.end + tail.end()
    if text[start - 1:start] in ("", "\n") and text[stop:stop + 1] != ";":
        return text[:start] + text[_line_end(text, stop) + 1:]
    return f"{text[:start]} :{text[stop:]}"


# -- groups: a comment line, and the assignments right below it


def groups(text: str, marker: str) -> Dict[str, Dict[str, str]]:
    """The groups whose comment line begins with a marker: the line, and the variables below it."""
    found: Dict[str, Dict[str, str]] = {}
    for start, end in _spans(text, marker):
        body = text[start:end]
        found[body.partition("\n")[0]] = values(body)
    return found


def put_group(text: str, line: str, variables: Mapping[str, str], place: Optional[int] = None) -> str:
    """Add a group, at the end by default."""
    text += "" if not text or text.endswith("\n") else "\n"
    place = len(text) if place is None else place
    group = line + "\n" + "".join(f"{name}={quote(value)}\n" for name, value in variables.items())
    result = text[:place] + group + text[place:]
    _check_read(result, dict(variables))
    return result


def find_group(text: str, line: str, prefix: str) -> "Optional[tuple[int, int]]":
    """Where the group with exactly this comment line stands: that line, and the variables with the prefix below it."""
    for start, end in _spans(text, line, prefix):
        if text[start:end].partition("\n")[0] == line:
            return start, end
    return None


def _spans(text: str, marker: str, prefix: str = "") -> "List[tuple[int, int]]":
    found = []
    starts = [match.start() for match in re.finditer("^" + re.escape(marker), text, re.MULTILINE)]
    assignments = [assignment for assignment in _assignments(text) if assignment.alone]
    for start in starts:
        end = min(_line_end(text, start) + 1, len(text))
        for assignment in assignments:
            if assignment.start == end and assignment.name.startswith(prefix):
                end = min(_line_end(text, assignment.end) + 1, len(text))
        found.append((start, end))
    return found
