# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""rc.conf(5): the definitions of jails in the old style, and which jails boot, in which order."""

from __future__ import annotations

from typing import Collection, Dict, List, Optional, Sequence, Tuple

from ansible_collections.cellblock.jails.plugins.module_utils.formats import rc_conf
from ansible_collections.cellblock.jails.plugins.module_utils.jails.definition import (
    MARK,
    Definition,
    infix,
    rc_lines,
    rc_variables,
    read_mark,
)
from ansible_collections.cellblock.jails.plugins.module_utils.jails.observed import Observed

Defined = Sequence[Tuple[str, Optional[Definition]]]


def rc_conf_before(seen: Observed, defined: Defined, adopted: Collection[str] = ()) -> str:
    """rc.conf before the jails are touched: the definitions in the old style are there, to start by.

    A jail that leaves keeps its group until it is gone: the group is its mark.

    :param adopted: jails whose variables in another's hand make place for our definition.
    """
    text = seen.rc_conf
    for name, definition in defined:
        if name in adopted:
            text = rc_conf.edit(text, dict.fromkeys(rc_variables(text, name)))
        old = seen.groups.get(name)
        if definition is not None and definition.style == "rc_conf":
            if old != definition:
                text = _put(text, name, definition)
        elif definition is not None and old is not None:
            text = _drop(text, name)
    return text


def _put(text: str, name: str, definition: Definition) -> str:
    found = _find(text, name)
    place = found[0] if found is not None else None
    return rc_conf.put_group(_drop(text, name), definition.mark(), rc_lines(definition), place)


def _drop(text: str, name: str) -> str:
    found = _find(text, name)
    return text if found is None else text[: found[0]] + text[found[1]:]


def _find(text: str, name: str) -> "Optional[tuple[int, int]]":
    for line in rc_conf.groups(text, MARK):
        if (read_mark(line) or {}).get("name") == name:
            return rc_conf.find_group(text, line, f"jail_{infix(name)}_")
    return None


def rc_conf_after(seen: Observed, text: str, defined: Defined, whole: bool, adopted: Collection[str] = ()) -> str:
    """rc.conf after the jails were touched: no group of what is gone, and jail_list in boot order.

    :param adopted: those whose variables made place for ours; they get them back when that failed.
    """
    for name, definition in defined:
        if definition is None:
            text = _drop(text, name)
            if name in adopted:
                text += ("" if text.endswith("\n") else "\n") + rc_conf.source(seen.rc_conf, rc_variables(seen.rc_conf, name))
    before = rc_conf.values(text).get("jail_list", "").split()
    after = jail_list(before, seen, defined, whole)
    return text if before == after else rc_conf.edit(text, {"jail_list": " ".join(after)})


def jail_list(before: Sequence[str], seen: Observed, defined: Defined, whole: bool) -> List[str]:
    """The jails to boot: others' entries stay, ours stand in boot order.

    :param whole: the declared order counts; otherwise a jail keeps its place among equals.
    """
    facts: Dict[str, Dict[str, object]] = {name: dict(mark) for name, mark in seen.marks().items()}
    for name, definition in defined:
        facts.pop(name, None)
        if definition is not None:
            facts[name] = dict(definition.meta)
    known = set(facts) | {name for name, _definition in defined}
    boots = {name for name, mark in facts.items() if mark.get("boot", True)}
    declared = [name for name, _definition in defined if name in boots]
    current = [name for name in before if name in boots]
    first, then = (declared, current) if whole else (current, declared)
    if whole:
        first = [name for name in current if name not in declared] + declared
    ours = list(dict.fromkeys([*first, *then]))
    ours += sorted(boots - set(ours))
    ours.sort(key=lambda name: int(str(facts[name].get("boot_order", 100))))
    if [name for name in before if name in known] == ours:
        return list(before)
    return [name for name in before if name not in known] + ours
