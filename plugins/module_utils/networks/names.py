# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names and MAC addresses of a jail's interfaces: derived once, kept in the jail's mark, the same wherever it goes."""

from __future__ import annotations

import hashlib
import re
from typing import Collection, Dict, List, Mapping, Sequence, Tuple

from ansible_collections.cellblock.jails.plugins.module_utils.errors import InputError

UNITS = range(1000, 32000)  # of epair(4); those of people begin at 0, and 32767 is the kernel's last
MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")


def mac(*seed: str) -> str:
    """A locally administered address: 02, then 40 bits of a hash.

    FreeBSD's own have 16 bits of one, and depend on the order of starts.
    """
    digest = hashlib.sha256("\0".join(seed).encode()).hexdigest()
    return ":".join(["02", *(digest[place:place + 2] for place in range(0, 10, 2))])


def check_mac(text: str, where: str) -> str:
    """An address that a jail's end of an epair can have, in lower case."""
    found = text.lower()
    if not MAC.fullmatch(found):
        raise InputError(f"{text!r} is not a MAC address", where, "Such as 02:11:22:33:44:55, or auto")
    if int(found[:2], 16) & 1:
        raise InputError(f"{text} is a group's address, not an interface's", where, "Let the first octet be even, such as 02")
    return found


def unit(taken: Collection[int], among: Sequence[int], *seed: str) -> int:
    """A number that is free: one that the seed tells, or the next."""
    start = int(hashlib.sha256("\0".join(("unit", *seed)).encode()).hexdigest()[:8], 16)
    for step in range(len(among)):
        found = among[(start + step) % len(among)]
        if found not in taken:
            return found
    raise InputError(f"all of {among[0]} to {among[-1]} are taken", None, "Remove some jails")


def duplicates(hosts: Mapping[str, Mapping[str, Mapping[str, str]]]) -> List[str]:
    """MAC addresses that two interfaces have, over a whole fleet: one sentence each.

    :param hosts: by host, by jail, by network: the address.
    """
    holders: Dict[str, List[Tuple[str, str, str]]] = {}
    for host, jails in hosts.items():
        for jail, networks in jails.items():
            for network, address in networks.items():
                holders.setdefault(address.lower(), []).append((host, jail, network))
    return [
        f"{address} is the address of " + " and of ".join(f"jail {jail} in {network} on {host}" for host, jail, network in sorted(found))
        for address, found in sorted(holders.items()) if len(found) > 1
    ]
