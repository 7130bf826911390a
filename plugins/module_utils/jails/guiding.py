# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is meant by a word that nothing is called: first by its sense, then by its parts, then by its letters. Only errors need it."""

from __future__ import annotations

import difflib
import re
from typing import Iterable, List, Sequence

from ansible_collections.cellblock.jails.plugins.module_utils.engine.spec import SENSES

# What some take for a parameter of jail(8).
DEVICES = ("bpf", "tun", "tap", "pf", "dri", "usb", "devices", "nodes")
MEANT = {
    "dhcp": "networks", "bridge": "networks", "gateway": "networks", "defaultrouter": "networks",
    "rlimits": "limits", "rlimit": "limits", "priority": "boot_order", "order": "boot_order", "jid": "",
}


def nearest(word: str, known: Iterable[str]) -> str:
    """How to mend a name that is not known: the nearest that is."""
    names = sorted(known)
    meant = [one for one, others in SENSES.items() if one in names and word in others.split()]
    close = meant or _alike(word, names) or difflib.get_close_matches(word, names, 1)
    if close:
        return f"The nearest name is {close[0]}" if len(close) == 1 else f"The nearest names are {', '.join(close[:-1])} and {close[-1]}"
    return f"Known: {', '.join(names) or 'none'}" if len(names) <= 12 else "No known name is near it"


def parameter(name: str, known: Iterable[str]) -> str:
    """How to mend a name that jail(8) does not know."""
    from ansible_collections.cellblock.jails.plugins.module_utils.jails.aspects.limits import RESOURCES
    from ansible_collections.cellblock.jails.plugins.module_utils.jails.options import JAIL

    last = name.rpartition(".")[2]
    if name.startswith("mount."):
        return f"Declare it in mounts, as {{type: {last}, dest: ...}}; allow.{name} would let the jail itself mount it"
    if name in RESOURCES:
        return f"It is a limit: limits: {{{name}: ...}}"
    if name in JAIL:
        return f"It is an option of the jail itself: {name}, beside params"
    if name in (*DEVICES, *(f"allow.{device}" for device in DEVICES)):
        return "What a jail sees in its /dev is said by the options devices and devfs_ruleset"
    meant = MEANT.get(name) or next((one for one, others in SENSES.items() if one in JAIL and name in others.split()), "")
    near = "." in name or _alike(name, sorted(known)) or difflib.get_close_matches(name, known, 1, 0.8)
    if meant or not near:
        option = meant or next(iter(difflib.get_close_matches(name, JAIL, 1, 0.8)), "")
        if option:
            return f"It may be an option of the jail itself: {option}, beside params"
    return nearest(name, known)


def _flat(word: str) -> str:
    return re.sub("[^a-z0-9]", "", word.lower())


def _alike(word: str, names: Sequence[str]) -> List[str]:
    """The names that are the same but for dots and the like, or whose last part has the word's last part in it."""
    same = [name for name in names if _flat(name) == _flat(word)]
    last, group = _flat(word.rpartition(".")[2]), word.partition(".")[0]
    ends = {name: _flat(name.rpartition(".")[2]) for name in names if "." not in word or name.partition(".")[0] == group}
    for found in (
        same, [name for name, end in ends.items() if end == last], [name for name, end in ends.items() if end.startswith(last)],
        [name for name, end in ends.items() if last in end],
    ):
        if found and len(last) > 2 and len(found) <= 3:
            return found
    return []
