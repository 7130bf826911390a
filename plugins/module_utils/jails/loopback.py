# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The private loopback addresses of shared-stack jails. The kernel takes 127.0.0.1 and ::1 for a jail's *first* address."""

from __future__ import annotations

import hashlib
from typing import Any, List, Mapping, Sequence

from ansible_collections.cellblock.jails.plugins.module_utils.errors import InputError
from ansible_collections.cellblock.jails.plugins.module_utils.jails.model import Address

DEVICE = "lo1"


def declared(options: Mapping[str, Any], others: Sequence[Address], where: str) -> List[Address]:
    """The addresses that come first: one of each family that the jail has, IPv4 at least."""
    asked = str(options["loopback"])
    if asked.lower() in ("false", "no", "off"):
        return []
    if options.get("vnet") or options.get("networks"):
        raise InputError("a vnet jail has a loopback interface of its own", f"{where}, loopback", "Drop loopback")
    if options.get("ip4") in ("inherit", ["inherit"]) or options.get("ip6") in ("inherit", ["inherit"]):
        raise InputError("it has all addresses of the host, and the host's loopback", f"{where}, loopback", "Drop loopback, or give it addresses")
    digest = hashlib.sha256(f"loopback\0{options['name']}".encode()).digest()
    found: List[Address] = []
    if asked.lower() not in ("true", "yes", "on"):
        found.append(Address.parse(asked, DEVICE, f"{where}, loopback"))
        if found[0].interface != DEVICE:
            raise InputError(f"it is to be on {DEVICE}", f"{where}, loopback", "Give the address alone")
    families = {address.family for address in found}
    if "inet" not in families and (not found or any(address.family == "inet" for address in others)):
        found.append(Address(f"127.{1 + digest[0] % 254}.{digest[1]}.{1 + digest[2] % 254}", 32, DEVICE))
    if "inet6" not in families and any(address.family == "inet6" for address in others):
        rest = ":".join(digest[place:place + 2].hex().lstrip("0") or "0" for place in (4, 6, 8, 10, 12))
        found.append(Address(str(Address.parse(f"fd{digest[3]:02x}:{rest}:0:1", None, where).ip), 128, DEVICE))
    return found
