# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""rc.conf(5): the definitions of jails in the old style, and which jails boot, in which order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Collection, Dict, List, Mapping, Optional, Sequence, Tuple

from ansible_collections.cellblock.jails.plugins.module_utils.formats import rc_conf
from ansible_collections.cellblock.jails.plugins.module_utils.jails.definition import (
    MARK,
    Definition,
    infix,
    rc_lines,
    rc_variables,
    read_mark,
)
from ansible_collections.cellblock.jails.plugins.module_utils.jails.model import behind
from ansible_collections.cellblock.jails.plugins.module_utils.jails.next_boot import predict
from ansible_collections.cellblock.jails.plugins.module_utils.jails.observed import RC_CONF, Observed

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
                text = put(text, name, definition)
        elif definition is not None and old is not None:
            text = _drop(text, name)
    return text


def put(text: str, name: str, definition: Definition) -> str:
    """rc.conf with the group of a jail as this definition has it, in its place, whatever it is called there."""
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


def rc_conf_after(seen: Observed, text: str, defined: Defined, adopted: Collection[str] = ()) -> str:
    """rc.conf after the jails were touched: no group of what is gone.

    :param adopted: those whose variables made place for ours; they get them back when that failed.
    """
    for name, definition in defined:
        if definition is None:
            text = _drop(text, name)
            if name in adopted:
                text += ("" if text.endswith("\n") else "\n") + rc_conf.source(seen.rc_conf, rc_variables(seen.rc_conf, name))
    return text


@dataclass(frozen=True)
class Listing:
    """jail_list after a run.

    :param path: the file to write it in; None when its value is built, and nobody's to write over.
    """

    path: Optional[str]
    before: Sequence[str]
    after: Sequence[str]

    @property
    def lacks(self) -> List[str]:
        """The jails that should be in it, and cannot be put there."""
        return [] if self.path is not None else [name for name in self.after if name not in self.before]


def listing(seen: Observed, text: str, defined: Defined, whole: bool) -> Listing:
    """jail_list as it is to be: others boot as before, those too that boot because there is no list.

    :param text: rc.conf as it is so far.
    """
    variables = seen.variables.put(RC_CONF, text)
    before = variables.values.get("jail_list", "").split()
    facts = _facts(seen, defined)
    known = set(facts) | {name for name, _definition in defined}
    base = list(before)
    if not before:
        # Without a list, rc.d/jail would start those too that are not to boot, where jail.conf includes them.
        if any(mark.get("boot", True) or seen.gathers for mark in facts.values()):
            found = predict(seen.variables.values, seen.boot_files).order
            base = [name for name in found if name not in known or name in facts]
    after = jail_list(base, facts, [name for name, _definition in defined], known, whole)
    return Listing(variables.place("jail_list"), before, after)


def _facts(seen: Observed, defined: Defined) -> Dict[str, Dict[str, object]]:
    """What the marks say of each jail of ours after the run."""
    facts: Dict[str, Dict[str, object]] = {name: dict(mark) for name, mark in seen.marks().items()}
    for name, definition in defined:
        facts.pop(name, None)
        if definition is not None:
            facts[name] = dict(definition.meta)
    return facts


def jail_list(
    before: Sequence[str], facts: Mapping[str, Mapping[str, object]], given: Sequence[str], known: Collection[str], whole: bool
) -> List[str]:
    """The jails to boot: others' entries stay, ours stand in boot order.

    :param facts: the marks of ours.
    :param given: those that this run is about, in their order.
    :param known: all of ours, those too that leave.
    :param whole: the declared order counts; otherwise a jail keeps its place among equals.
    """
    boots = {name for name, mark in facts.items() if mark.get("boot", True)}
    declared = [name for name in given if name in boots]
    current = [name for name in before if name in boots]
    first = current
    if whole and [name for name in current if name in declared] != declared:
        first = [name for name in current if name not in declared]
    ours = list(dict.fromkeys([*first, *declared]))
    ours += sorted(boots - set(ours))
    ours.sort(key=lambda name: int(str(facts[name].get("boot_order", 100))))
    ours = _after_needs(ours, facts)
    if [name for name in before if name in known] == ours and not any(_too_early(name, before, facts) for name in ours):
        return list(before)
    return [name for name in before if name not in known] + ours


def _after_needs(names: Sequence[str], facts: Mapping[str, Mapping[str, object]]) -> List[str]:
    """The same, each behind those of ours that it depends on; as they are where these go round in a circle."""
    loops: List[Sequence[str]] = []

    def needed(name: str) -> Sequence[str]:
        needs = facts[name].get("depend")
        return needs if isinstance(needs, (list, tuple)) else ()

    placed = behind(names, needed, loops.append)
    return list(names) if loops else placed


def _too_early(name: str, listed: Sequence[str], facts: Mapping[str, Mapping[str, object]]) -> bool:
    """Whether a jail stands before one of others' that it depends on."""
    needs = facts[name].get("depend") or ()
    return isinstance(needs, (list, tuple)) and any(need in listed[listed.index(name):] for need in needs if need not in facts)
