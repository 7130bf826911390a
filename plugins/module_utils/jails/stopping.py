# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a running jail was started with and its file no longer says: the next stop, by whoever, has to undo it.

The file always says what the next start brings. jail(8) undoes at a stop what the file says then, so what only the
running jail has is undone by hooks that stand in the file until the jail is written anew.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, List, Mapping, Tuple

from ansible_collections.cellblock.jails.plugins.module_utils.formats import fstab
from ansible_collections.cellblock.jails.plugins.module_utils.jails.model import Address, Params

if TYPE_CHECKING:
    from ansible_collections.cellblock.jails.plugins.module_utils.jails.definition import Definition

HOOK = "exec.poststop"
OWN = (("mount.devfs", "dev", "devfs"), ("mount.fdescfs", "dev/fd", "fdescfs"), ("mount.procfs", "proc", "procfs"))


def mounted(params: Mapping[str, List[str]]) -> List[Tuple[str, str]]:
    """Where jail(8) mounts for these parameters, and what type, in the order of mounting."""
    path = (params.get("path") or [""])[-1]
    entries = [fstab.parse_line(line) for line in params.get("mount", [])]
    found = [(entry.file, entry.vfstype) for entry in entries if entry is not None]
    return found + [(f"{path}/{below}", fstype) for param, below, fstype in OWN if params.get(param, ["false"]) in (["true"], [], ["1"])]


def addresses(params: Mapping[str, List[str]]) -> List[Address]:
    """The addresses whose life is the jail's: those with an interface."""
    texts = params.get("ip4.addr", []) + params.get("ip6.addr", [])
    found = [Address.parse(text, None, "its definition") for text in texts]
    return [address for address in found if address.interface is not None]


def hooks(definition: Definition) -> List[str]:
    """The commands that follow the next stop for what jail(8) does not find in the file any more."""
    old, new = started(definition), definition.params
    kept = mounted(new)
    gone = []
    for one in mounted(old):
        if one in kept:
            kept.remove(one)
        else:
            gone.append(one[0])
    # What stands in one that goes has to go before it; jail(8) comes later, and passes over what is not mounted.
    going = [point for point, _type in mounted(old) if any(f"{point}/".startswith(f"{one}/") for one in gone)]
    found = [f"/sbin/umount {shlex.quote(point)} || :" for point in reversed(going)]
    stays = {(address.interface, address.ip) for address in addresses(new)}
    for address in addresses(old):
        if (address.interface, address.ip) not in stays:
            found.append(f"/sbin/ifconfig {address.interface} {address.family} {address.ip} -alias || :")
    return found


def started(definition: Definition) -> Params:
    """The parameters that the running jail was started with, as far as its stop has to know them."""
    was = (definition.meta.get("waits") or {}).get("was") or {}
    return {name: values for name, values in {**definition.params, **was}.items() if values or name not in was}


def with_hooks(definition: Definition) -> Params:
    """The parameters as they are written."""
    found = hooks(definition) if (definition.meta.get("waits") or {}).get("was") else []
    return {**definition.params, HOOK: [*definition.params.get(HOOK, []), *found]} if found else dict(definition.params)


def without_hooks(definition: Definition) -> Params:
    """The parameters of a definition that was read, without the hooks that :func:`with_hooks` put there."""
    found = hooks(definition) if (definition.meta.get("waits") or {}).get("was") else []
    given = definition.params.get(HOOK, [])
    if not found or given[-len(found):] != found:
        return dict(definition.params)
    rest = {**definition.params, HOOK: given[: -len(found)]}
    return {name: values for name, values in rest.items() if values or name != HOOK}
