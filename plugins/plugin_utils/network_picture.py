# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Draw the networks of hosts for a terminal: bridges, jails in them, ports, limits. Pure: what jail_info returned in, lines out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.cellblock.jails.plugins.plugin_utils.picture import HIGHEST, WIDEST, Paint, box, breadth, cut, listed, mapping, plain, safe

COLUMNS = ("NETWORK", "DEVICE", "SUBNET", "GOES OUT", "JAIL", "ADDRESSES", "PORTS", "LIMITS")
Cells = list[list[str]]


def draw(hosts: Mapping[str, Mapping[str, Any]], paint: Paint = plain) -> str:
    """A box for each host that has networks, or jails with ports or a bandwidth; "" for none.

    :param hosts: by host's name, what jail_info returned there.
    """
    tables = {host: [[_cell(cell) for cell in row] for row in _rows(info)] for host, info in hosts.items()}
    boxes = []
    for host, rows in tables.items():
        if rows:
            title = f"{cut(safe(str(host)), WIDEST)} · networks{_wall(hosts[host])}"
            widths = [max(breadth(name), *(breadth(line) for row in rows for line in row[place])) for place, name in enumerate(COLUMNS)]
            boxes += box(title, rows, COLUMNS, widths, paint)
    return "\n".join(boxes)


def _cell(lines: Sequence[str]) -> list[str]:
    return [cut(safe(line), WIDEST) for line in lines[:HIGHEST * 2]]


def _wall(info: Any) -> str:
    wall = mapping(mapping(mapping(info).get("host")).get("firewall"))
    return f" · {wall.get('kind')}{'' if wall.get('running') else ' is off'}" if wall else ""


def _rows(info: Any) -> list[Cells]:
    """A row for each network, and one for what is in none."""
    host = mapping(mapping(info).get("host"))
    jails = {str(jail.get("name")): jail for jail in map(mapping, listed(mapping(info).get("jails")))}
    rows, drawn = [], set()
    for network in map(mapping, listed(host.get("networks"))):
        members = [mapping(one) for one in listed(network.get("jails"))]
        drawn |= {str(one.get("name")) for one in members}
        out = f"nat by {network['nat']}" if network.get("nat") else str(network.get("uplink") or "-")
        device = str(network.get("device") or "-") + ("" if network.get("there") else " is not there")
        subnets = [str(network[family]) for family in ("ip4", "ip6") if network.get(family)]
        head = [[str(network.get("name"))], [device], subnets or ["-"], [out, *(["jails apart"] if network.get("private") else [])]]
        rows.append([*head, *_members([(one, jails.get(str(one.get("name")), {})) for one in members])])
    rest = [(jail, jail) for name, jail in jails.items() if name not in drawn and (jail.get("ports") or jail.get("bandwidth"))]
    return [*rows, *([[["-"], ["-"], ["-"], ["-"], *_members(rest)]] if rest else [])]


def _members(members: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]]) -> Cells:
    """The columns of jails: each begins on one line."""
    columns: Cells = [[], [], [], []]
    for member, jail in members:
        addresses = [str(one) for family in ("ip4", "ip6") for one in _many(member.get(family))]
        block = [[str(member.get("name"))], addresses or ["-"], [str(port) for port in listed(jail.get("ports"))], _limits(jail)]
        height = max(map(len, block))
        for column, lines in zip(columns, block):
            column += [*lines, *[""] * (height - len(lines))]
    return columns if members else [["-"], ["-"], [""], [""]]


def _many(value: Any) -> Sequence[Any]:
    return listed(value) or ([value] if isinstance(value, str) and value else [])


def _limits(jail: Mapping[str, Any]) -> list[str]:
    limits = mapping(jail.get("bandwidth"))
    return [f"{way} {_rate(limits[way])}" for way in ("in", "out") if way in limits]


def _rate(bits: Any) -> str:
    """Bits a second, as they are declared.

    >>> _rate(50000000)
    '50M'
    """
    if not isinstance(bits, int):
        return "?"
    size, unit = next(((size, unit) for size, unit in ((10**9, "G"), (10**6, "M"), (10**3, "k")) if bits >= size), (1, ""))
    return f"{bits / size:g}{unit}"
