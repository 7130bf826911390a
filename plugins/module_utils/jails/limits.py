# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Resource limits: rules in the kernel, and in rctl.conf(5) for the next boot.

Rules are keyed by the jail's name: they may stand before the jail exists, and outlive it. A line of
ours in rctl.conf ends in a comment; rc.d/rctl reads only its first word.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Dict, FrozenSet, List, Mapping, Sequence

from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.engine.plan import Step, write_step
from ansible_collections.cellblock.jails.plugins.module_utils.jails.model import Rule
from ansible_collections.cellblock.jails.plugins.module_utils.jails.observe import RCTL_CONF, Observed

SIGN = " # cellblock.jails"


@lru_cache(maxsize=1)
def _ours(text: str) -> Mapping[str, FrozenSet[str]]:
    """The rules of ours in an rctl.conf, by jail."""
    found: Dict[str, FrozenSet[str]] = {}
    for line in text.splitlines():
        if line.startswith("jail:") and line.endswith(SIGN):
            rule = line[: -len(SIGN)]
            name = rule.split(":")[1]
            found[name] = found.get(name, frozenset()) | {rule}
    return found


def plan(name: str, limits: Sequence[Rule], seen: Observed, warnings: List[str]) -> List[Step]:
    """The steps that bring the kernel's rules for a jail to what is declared; rules made by others stay."""
    wanted = frozenset(rule.text(name) for rule in limits)
    if seen.rules is None:
        if wanted:
            warnings.append(f"jail {name}: its limits wait for a reboot with kern.racct.enable=1, see rctl(8)")
        return []
    excess = sorted((_ours(seen.rctl_conf).get(name, frozenset()) - wanted) & seen.rules)
    missing = sorted(wanted - seen.rules)

    def do(host: Host) -> None:
        if excess:
            host.run(["rctl", "-r", *excess], where=f"jail {name}")
        if missing:
            host.run(["rctl", "-a", *missing], where=f"jail {name}")

    def undo(host: Host) -> None:
        if missing:
            host.ask(["rctl", "-r", *missing])
        if excess:
            host.run(["rctl", "-a", *excess], where=f"jail {name}")

    if not excess and not missing:
        return []
    told = ", ".join(rule.split(":", 2)[2] for rule in missing) or "none"
    return [Step(f"set limits: {told}", do, undo, f"limits of jail {name}", _text(excess), _text(missing))]


def _text(rules: Sequence[str]) -> str:
    return "".join(f"{rule}\n" for rule in rules)


def file_steps(wanted: Mapping[str, Sequence[Rule]], seen: Observed) -> List[Step]:
    """The step that brings rctl.conf to what is declared for these jails."""
    left = {name: [rule.text(name) for rule in rules] for name, rules in wanted.items()}
    lines = []
    for line in seen.rctl_conf.splitlines(keepends=True):
        name = line.split(":")[1] if line.startswith("jail:") and line.rstrip("\n").endswith(SIGN) else ""
        if name in left:
            rule = line.rstrip("\n")[: -len(SIGN)]
            if rule not in left[name]:
                continue
            left[name].remove(rule)
        lines.append(line)
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += "\n"
    lines += [f"{rule}{SIGN}\n" for rules in left.values() for rule in rules]
    return write_step(RCTL_CONF, seen.rctl_conf or None, "".join(lines) or None)
