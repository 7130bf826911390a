# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host's interfaces as ifconfig(8) lists them, bridges with their members; the one full listing that there is."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Dict, List, Tuple


@dataclass(frozen=True)
class Link:
    """An interface.

    :param addresses: with their prefixes; link-local ones are left out.
    :param members: of a bridge.
    """

    name: str
    up: bool = False
    mtu: int = 0
    mac: str = ""
    addresses: Tuple[str, ...] = ()
    members: Tuple[str, ...] = ()
    groups: Tuple[str, ...] = ()


def links(text: str) -> Dict[str, Link]:
    """``ifconfig -a -f inet:cidr,inet6:cidr``, by name."""
    found: Dict[str, Link] = {}
    for block in re.split(r"(?m)^(?=\S+: flags=)", text):
        head = re.match(r"(\S+): flags=\w+<([^>]*)>.*?\bmtu (\d+)", block)
        if head is None:
            continue
        addresses: List[str] = [
            f"{ip}/{prefix}" for ip, scope, prefix in re.findall(r"(?m)^\s+inet6? ([0-9a-fA-F:.]+)(%\S+?)?/(\d+)", block) if not scope
        ]
        mac = re.search(r"(?m)^\s+ether (\S+)", block)
        groups = re.search(r"(?m)^\s+groups: (.*)", block)
        found[head.group(1)] = Link(
            head.group(1), "UP" in head.group(2).split(","), int(head.group(3)), mac.group(1) if mac else "", tuple(addresses),
            tuple(re.findall(r"(?m)^\s+member: (\S+)", block)), tuple(groups.group(1).split()) if groups else (),
        )
    return found
