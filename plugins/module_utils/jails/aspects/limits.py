# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Resource limits: rules in the kernel, and in rctl.conf(5) for the next boot.

Rules are keyed by the jail's name: they may stand before the jail exists, and outlive it. A line of
ours in rctl.conf ends in a comment; rc.d/rctl reads only its first word.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Dict, FrozenSet, Iterable, List, Mapping, Sequence, Tuple

from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.engine.plan import Step
from ansible_collections.cellblock.jails.plugins.module_utils.errors import Faults, InputError
from ansible_collections.cellblock.jails.plugins.module_utils.formats.lines import kept_lines, lines_of
from ansible_collections.cellblock.jails.plugins.module_utils.formats.outputs import amount
from ansible_collections.cellblock.jails.plugins.module_utils.jails import params
from ansible_collections.cellblock.jails.plugins.module_utils.jails.aspects.aspect import Always
from ansible_collections.cellblock.jails.plugins.module_utils.jails.model import Jail
from ansible_collections.cellblock.jails.plugins.module_utils.jails.observed import RCTL_CONF
from ansible_collections.cellblock.jails.plugins.module_utils.jails.scene import Change, Scene, SharedFiles

SIGN = " # cellblock.jails"
RESOURCES = frozenset(
    "cputime datasize stacksize coredumpsize memoryuse memorylocked maxproc openfiles vmemoryuse pseudoterminals "
    "swapuse nthr msgqqueued msgqsize nmsgq nsem nsemop nshm shmsize wallclock pcpu readbps writebps readiops "
    "writeiops".split()
)
RATES = frozenset(("readbps", "writebps", "readiops", "writeiops"))
UNDENIABLE = RATES | {"cputime", "wallclock"}


@dataclass(frozen=True)
class Rule:
    """A resource limit of a jail, as in rctl(8): ``jail:NAME:resource:action=amount``."""

    resource: str
    action: str
    amount: int

    def text(self, name: str) -> str:
        """The rule as rctl(8) lists it."""
        return f"jail:{name}:{self.resource}:{self.action}={self.amount}"


class Limits(Always):
    """What a jail may use, see rctl(8); rules made by others stay."""

    name = "limits"
    options = {"limits": {"type": "dict"}}

    def declare(self, jail: Jail, options: Mapping[str, Any]) -> Tuple[Rule, ...]:
        """The rules."""
        return _rules(options["limits"], f"jail {jail.name}")

    def lost(self, change: Change) -> Iterable[str]:
        """Limits of resources that are not limited any more."""
        kept = {rule.resource for rule in _of(change.jail)}
        ours = sorted(rule.split(":")[2] for rule in _ours(change.scene.seen.rctl_conf).get(change.jail.name, ()))
        return [f"limits.{resource}" for resource in dict.fromkeys(ours) if resource not in kept] if change.old is not None else []

    def prepare(self, change: Change) -> List[Step]:
        """Bring the kernel's rules to what is declared."""
        jail = change.jail
        if change.scene.seen.rules is None and _of(jail):
            change.scene.warnings.append(f"jail {jail.name}: its limits wait for a reboot with kern.racct.enable=1, see rctl(8)")
        if change.is_new:
            _warn_of_strangers(change)
        return _rule_steps(change.scene, jail.name, _of(jail))

    def remove(self, change: Change) -> List[Step]:
        """They go with the jail."""
        return _rule_steps(change.scene, change.jail.name, ())

    def settle(self, scene: Scene, changes: Sequence[Change], failed: FrozenSet[str], files: SharedFiles) -> List[Step]:
        """The next boot has those of the jails that came to be."""
        wanted = {
            change.jail.name: _of(change.jail) if change.jail.name not in failed else ()
            for change in changes if change.is_new or change.jail.name not in failed  # what failed was undone
        }
        text = files.text(RCTL_CONF, scene.seen.rctl_conf or None) or ""
        files.put(RCTL_CONF, _with_rules(text, wanted) or None)
        return []

    def reboot_waits(self, scene: Scene, changes: Sequence[Change]) -> Sequence[str]:
        """The kernel counts only when it was booted so."""
        waiting = any(_of(change.jail) for change in changes) and scene.seen.rules is None
        return ["kern.racct.enable"] if waiting else []


def _warn_of_strangers(change: Change) -> None:
    """A rule outlives its jail, and holds for the next of that name."""
    seen, name = change.scene.seen, change.jail.name
    known = {rule.text(name) for rule in _of(change.jail)} | _ours(seen.rctl_conf).get(name, frozenset())
    left = sorted(rule for rule in seen.rules or () if rule.startswith(f"jail:{name}:") and rule not in known)
    if left:
        change.scene.warnings.append(
            f"jail {name}: rules that are not of its declaration hold for its name: {', '.join(left)}. "
            f"If they are not meant for it: rctl -r {' '.join(left)}"
        )


def _rules(given: Mapping[str, Any], where: str) -> Tuple[Rule, ...]:
    faults = Faults()
    rules = faults.each(given.items(), lambda item: _rule(item[0], item[1], f"{where}, limits.{item[0]}"))
    faults.tell()
    return tuple(sorted(rules, key=lambda rule: rule.resource))


def _rule(resource: str, value: Any, where: str) -> Rule:
    if resource not in RESOURCES:
        raise InputError(f"{resource!r} is not a resource", where, params.nearest(resource, RESOURCES))
    spec = value if isinstance(value, Mapping) else {"amount": value}
    unknown = [str(key) for key in spec if key not in ("amount", "action")]
    if unknown:
        raise InputError(f"{unknown[0]} is neither amount nor action", where, "Such as {amount: 1g, action: log}")
    action = str(spec.get("action", "throttle" if resource in RATES else "deny"))
    if action == "deny" and resource in UNDENIABLE:
        raise InputError("rctl(8) cannot deny this resource", where, "Give an action: log, devctl, or a signal")
    if action == "throttle" and resource not in RATES:
        raise InputError("only readbps, writebps, readiops and writeiops can be throttled", where, "Use deny")
    if not re.fullmatch(r"deny|log|devctl|throttle|sig[a-z0-9]+", action):
        raise InputError(f"{action!r} is not an action", where, "Use deny, log, devctl, throttle or sigNAME")
    try:
        return Rule(resource, action, amount(str(spec["amount"])))
    except (KeyError, ValueError) as error:
        raise InputError(f"{spec.get('amount')!r} is not an amount", where, "A number, with k, m, g or t") from error


def _of(jail: Jail) -> Tuple[Rule, ...]:
    return tuple(jail.own.get("limits", ()))


@lru_cache(maxsize=1)
def _ours(text: str) -> Mapping[str, FrozenSet[str]]:
    """The rules of ours in an rctl.conf, by jail."""
    found: Dict[str, FrozenSet[str]] = {}
    for line in lines_of(text):
        if line.startswith("jail:") and line.endswith(SIGN):
            rule = line[: -len(SIGN)]
            name = rule.split(":")[1]
            found[name] = found.get(name, frozenset()) | {rule}
    return found


def _rule_steps(scene: Scene, name: str, limits: Sequence[Rule]) -> List[Step]:
    rules = scene.seen.rules
    if rules is None:
        return []
    wanted = frozenset(rule.text(name) for rule in limits)
    excess = sorted((_ours(scene.seen.rctl_conf).get(name, frozenset()) - wanted) & rules)
    missing = sorted(wanted - rules)

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


def _with_rules(text: str, wanted: Mapping[str, Sequence[Rule]]) -> str:
    """An rctl.conf with what is declared for these jails."""
    left = {name: [rule.text(name) for rule in rules] for name, rules in wanted.items()}
    lines = []
    for line in kept_lines(text):
        name = line.split(":")[1] if line.startswith("jail:") and line.rstrip("\n").endswith(SIGN) else ""
        if name in left:
            rule = line.rstrip("\n")[: -len(SIGN)]
            if rule not in left[name]:
                continue
            left[name].remove(rule)
        lines.append(line)
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += "\n"
    return "".join(lines + [f"{rule}{SIGN}\n" for rules in left.values() for rule in rules])
