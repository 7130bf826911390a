# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Draw hosts and their jails for a terminal. Pure: what jail_info returned in, lines out."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

COLUMNS = ("BOOT", "JAIL", "STATE", "ADDRESSES", "ROOT", "BASE", "SIZE", "NOTES")
MARKS = {"running": "●", "stopped": "○", "dying": "◌"}
COLOURS = {"running": "green", "stopped": "bright gray", "dying": "yellow"}

# The most of a cell that is shown.
WIDEST, HIGHEST = 64, 24

Paint = Callable[[str, str], str]


def plain(text: str, _colour: str) -> str:
    """No colour."""
    return text


def draw(hosts: Mapping[str, Mapping[str, Any]], paint: Paint = plain) -> str:
    """A box per host, a line per jail. Odd facts of a host spoil at most their own cells, or its own box.

    :param hosts: by host's name, what jail_info returned there.
    :param paint: puts a colour on a text; widths are measured before.
    """
    tables = {host: _table(info) for host, info in hosts.items()}
    shown = [
        number for number, name in enumerate(COLUMNS)
        if name != "NOTES" or any(row[number] for rows in tables.values() for row in rows)
    ]
    widths = [
        max([breadth(COLUMNS[number]), *(breadth(line) for rows in tables.values() for row in rows for line in row[number])])
        for number in shown
    ]
    boxes = [
        box(_title(host, hosts[host]), [[row[number] for number in shown] for row in rows], [COLUMNS[number] for number in shown], widths, paint)
        for host, rows in tables.items()
    ]
    return "\n".join(line for box in boxes for line in box)


def _table(info: Any) -> list[list[list[str]]]:
    return [[_cell(cell) for cell in _row(jail)] for jail in _ordered(_jails(info))]


def _cell(lines: Sequence[str]) -> list[str]:
    """What is shown of a cell: a host may neither speak to the terminal nor fill it."""
    kept = [cut(safe(line), WIDEST) for line in lines[:HIGHEST]]
    return [*kept, f"and {len(lines) - HIGHEST} more"] if len(lines) > HIGHEST else kept


def cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _jails(info: Any) -> list[Mapping[str, Any]]:
    """What is told of a host's jails, as far as it is that."""
    jails = info.get("jails") if isinstance(info, Mapping) else None
    return [jail for jail in jails if isinstance(jail, Mapping)] if isinstance(jails, (list, tuple)) else []


def mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _number(value: Any) -> int | None:
    """A number; None for what is none."""
    return int(value) if re.fullmatch(r"[0-9]{1,12}", str(value)) and not isinstance(value, bool) else None


def listed(value: Any) -> Sequence[Any]:
    return value if isinstance(value, (list, tuple)) else []


def _ordered(jails: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """In boot order; what does not boot comes last, by name."""
    return sorted(jails, key=lambda jail: (_position(jail) is None, _position(jail) or 0, str(jail.get("name"))))


def _position(jail: Mapping[str, Any]) -> int | None:
    return _number(jail.get("boot_position"))


def _title(host: str, info: Mapping[str, Any]) -> str:
    jails = _jails(info)
    running = sum(jail.get("state") == "running" for jail in jails)
    number = _number(mapping(info.get("host")).get("osreldate")) or 0
    return " · ".join([
        cut(safe(str(host)), WIDEST),
        *([f"FreeBSD {number // 100000}.{number // 1000 % 100}"] if number else []),
        f"{len(jails)} jail{'' if len(jails) == 1 else 's'}",
        f"{running} running",
    ])


def _row(jail: Mapping[str, Any]) -> list[list[str]]:
    """The cells of a jail, each a list of lines."""
    position = _position(jail)
    state = str(jail.get("state", "?"))
    notes = []
    if jail.get("restart_waits"):
        notes.append("restart waits")
    if jail.get("drift"):
        notes.append("drifted")
    if not jail.get("managed", True):
        notes.append("foreign")
    root, base = mapping(jail.get("root")), mapping(jail.get("base"))
    addresses = [str(address) for family in ("ip4", "ip6") for address in listed(jail.get(family))]
    return [
        [str(position) if position is not None else "-"],
        [str(jail.get("name", "?"))],
        [f"{MARKS.get(state, '?')} {state}"],
        addresses or ["vnet" if jail.get("vnet") else "-"],
        [str(root.get("kind") or "-")],
        [_base(str(base.get("name") or ""), str(base.get("version") or ""))],
        [human(root.get("size"))],
        notes,
    ]


def _base(name: str, version: str) -> str:
    """Its name and patch level, without saying the name twice."""
    return version if version.startswith(name) and version else " ".join(filter(None, (name, version))) or "-"


def human(size: Any) -> str:
    """Bytes as FreeBSD's tools abbreviate them.

    >>> human(94140928)
    '90M'
    """
    if not isinstance(size, int) or not 0 <= size < 1 << 70:
        return "-"
    number, units = float(size), list("TGMKB")
    while number >= 999.5 and len(units) > 1:
        number /= 1024
        units.pop()
    unit = units[-1]
    return f"{number:.1f}{unit}" if number < 9.95 and unit != "B" else f"{number:.0f}{unit}"


def breadth(text: str) -> int:
    """Cells of a terminal that a text takes."""
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text if not unicodedata.combining(char))


def safe(text: str) -> str:
    """A host may not speak to the terminal."""
    return "".join(char if char.isprintable() else "?" for char in text)


def _pad(text: str, width: int) -> str:
    return text + " " * (width - breadth(text))


def box(
    title: str, rows: Sequence[Sequence[Sequence[str]]], names: Sequence[str], widths: Sequence[int], paint: Paint
) -> list[str]:
    inner = max(sum(widths) + 2 * (len(widths) - 1) + 2, breadth(title) + 4)
    spare = inner - 2 - sum(widths) - 2 * (len(widths) - 1)
    grown = [*widths[:-1], widths[-1] + spare]
    lines = [f"╭─ {paint(title, 'blue')} {'─' * (inner - breadth(title) - 3)}╮"]
    lines.append(f"│ {paint('  '.join(_pad(name, width) for name, width in zip(names, grown)), 'dark gray')} │")
    for row in rows:
        for number in range(max(1, *(len(cell) for cell in row))):
            cells = []
            for cell, width in zip(row, grown):
                text = cell[number] if number < len(cell) else ""
                colour = COLOURS.get(text.partition(" ")[2]) if text[:1] in MARKS.values() else None
                cells.append(paint(_pad(text, width), colour) if colour else _pad(text, width))
            lines.append(f"│ {'  '.join(cells)} │")
    if not rows:
        lines.append(f"│ {_pad('no jails', inner - 2)} │")
    lines.append(f"╰{'─' * inner}╯")
    return lines
