# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan for devfs rulesets: their file, the kernel's copy, and the /dev of running jails."""

from __future__ import annotations

import fnmatch
import re
import shlex
import zlib
from typing import Any, Dict, List, Mapping, Optional, Sequence, Set, Tuple

from ansible_collections.cellblock.jails.plugins.module_utils.engine import ask
from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.engine.plan import Plan, Step, write_step
from ansible_collections.cellblock.jails.plugins.module_utils.errors import InputError, Refused
from ansible_collections.cellblock.jails.plugins.module_utils.formats import devfs_rules, outputs, rc_conf
from ansible_collections.cellblock.jails.plugins.module_utils.formats.devfs_rules import Ruleset
from ansible_collections.cellblock.jails.plugins.module_utils.jails import definition as definitions

RC_CONF = "/etc/rc.conf"
DEFAULTS, RULES = "/etc/defaults/devfs.rules", "/etc/devfs.rules"
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# Numbers of rulesets that give none: far from FreeBSD's own and from those that people choose by hand.
DERIVED = range(10000, 60000)
TYPES = ("disk", "mem", "tape", "tty")
CONDITIONS = ("path", "type")
WITH_VALUE = ("path", "type", "user", "group", "mode", "include")


def check_rule(text: str, where: str) -> str:
    """A rule as devfs.rules(5) has it: ``add`` and a specification, globs quoted for the sh that evaluates it."""
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise InputError(f"{text!r} has an unterminated quote", where, "Close it") from error
    words = words[1:] if words[:1] == ["add"] else words
    if not words:
        raise InputError("an empty rule", where, "Such as: path 'bpf*' unhide")
    place, acts = 0, False
    while place < len(words):
        word = words[place]
        if word in CONDITIONS and acts:
            raise InputError(f"{word} stands behind an action", f"{where}, {text!r}", "Conditions come first: path 'bpf*' unhide")
        acts = acts or word not in CONDITIONS
        if word not in (*WITH_VALUE, "hide", "unhide"):
            raise InputError(f"{word!r} is no condition or action of devfs(8)", f"{where}, {text!r}", "See devfs(8)")
        if word in WITH_VALUE and place + 1 >= len(words):
            raise InputError(f"{word} wants a value", f"{where}, {text!r}", "See devfs(8)")
        value = words[place + 1] if word in WITH_VALUE else ""
        if word == "type" and value not in TYPES:
            raise InputError(f"{value!r} is no type", f"{where}, {text!r}", f"One of {', '.join(TYPES)}")
        if word == "include" and not re.fullmatch(r"[0-9]+|\$[A-Za-z_][A-Za-z0-9_]*", value):
            raise InputError(f"{value!r} is no number", f"{where}, {text!r}", f"Write ${value}, or a ruleset's number")
        if word == "path" and len(value.encode()) > 199:
            raise InputError("devfs(8) cuts patterns at 199 bytes", f"{where}, {text!r}", "Use a shorter one")
        place += 2 if word in WITH_VALUE else 1
    if not acts:
        raise InputError("a rule without an action", f"{where}, {text!r}", "Such as: path 'bpf*' unhide")
    if any(char in text for char in "`;&|<>\n#"):
        raise InputError("sh would read more than a rule in it", f"{where}, {text!r}", "Leave out ` ; & | < > and #")
    return "add " + " ".join(_quoted(word) for word in words)


def _quoted(word: str) -> str:
    plain = re.fullmatch(r"[A-Za-z0-9_./:@%+-]+|\$[A-Za-z_][A-Za-z0-9_]*", word)
    return word if plain else "'" + word.replace("'", "'\\''") + "'"


class Asked:
    """What a call asks for, checked."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.name = str(options["name"])
        self.where = f"ruleset {self.name}"
        self.state = str(options["state"])
        if not NAME.fullmatch(self.name):
            raise InputError(
                "the name is no variable's name of sh, and rc.d/devfs would ignore the ruleset", self.where,
                "Use letters, digits and '_', such as devfsrules_bpf",
            )
        self.number: Optional[int] = options.get("number")
        if self.number is not None and not 1 <= self.number <= 65535:
            raise InputError(f"number {self.number} is out of range", self.where, "1 to 65535, see devfs(8)")
        self.rules = tuple(check_rule(str(rule), self.where) for rule in options.get("rules") or ())
        self.load, self.apply = bool(options["load"]), bool(options["apply"])
        if self.state == "present" and not self.rules:
            raise InputError("a ruleset without a rule hides nothing", self.where, "Give rules")


def plan(host: Host, options: Mapping[str, Any]) -> Plan:
    """One ruleset, by a module's options."""
    made = plan_all(host, [options])
    told = made.facts["rulesets"][str(options["name"])]
    made.facts = {"name": str(options["name"]), "number": told["number"]}
    return made


def plan_all(host: Host, every: Sequence[Mapping[str, Any]], prune: bool = False) -> Plan:
    """Read the files and the kernel once, and say what has to be done.

    :param every: the options of each ruleset.
    :param prune: whether those that we made go when they are not named.
    """
    return Planner(host, [Asked(options) for options in every], prune).plan()


class Planner:
    """Plans all rulesets, each as the files are once those before it are done."""

    def __init__(self, host: Host, asked: Sequence[Asked], prune: bool) -> None:
        self.host = host
        self.found = host.read(RULES)
        self.text = self.found or ""
        self.defaults = devfs_rules.rulesets(host.read(DEFAULTS) or "")
        self.of_host = rc_conf.values(host.read(RC_CONF) or "").get("devfs_system_ruleset")
        names = [one.name for one in asked]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise InputError("it is declared twice", f"ruleset {twice[0]}", "Declare each ruleset once")
        gone = [name for name in devfs_rules.made(self.text) if name not in names] if prune else []
        self.asked = [*(Asked({"name": name, "state": "absent", "load": True, "apply": False}) for name in gone), *asked]
        self.written: Set[str] = set()
        self.unload: List[int] = []
        self.load: Dict[int, List[str]] = {}
        self.told: Dict[str, Dict[str, Any]] = {}

    def plan(self) -> Plan:
        """The whole plan."""
        for asked in self.asked:
            if asked.name in self.defaults:
                raise Refused(f"{asked.name} is one of FreeBSD's own", asked.where, "Choose another name")
            number = self._remove(asked) if asked.state == "absent" else self._put(asked)
            self.told[asked.name] = {"number": number, "changed": asked.name in self.written}
        steps = write_step(RULES, self.found, self.text or None) if self.written else []
        loaded = set(_loaded(self.host)) if self.unload else set()
        steps += [_unload(number) for number in self.unload if str(number) in loaded]
        shown = ask.rules_of(self.host, sorted(self.load))
        steps += [step for number in self.load for step in _load(number, shown[number], self.load[number])]
        self._tell({number for number in self.load if not _same(shown[number], self.load[number])})
        for asked in self.asked:
            if asked.apply and asked.state == "present" and self.told[asked.name]["changed"]:
                steps += _apply(self.host, self.told[asked.name]["number"])
        return Plan(before=steps, facts={"rulesets": self.told})

    def _tell(self, changed: Set[int]) -> None:
        for told in self.told.values():
            told["changed"] = told["changed"] or told["number"] in changed

    def _remove(self, asked: Asked) -> Optional[int]:
        old = devfs_rules.rulesets(self.text).get(asked.name)
        if old is None:
            return None
        _refuse_in_use(self.host, asked, old.number)
        self.text = devfs_rules.put(self.text, None, asked.name)
        self.written.add(asked.name)
        if asked.load:
            self.unload.append(old.number)
        return old.number

    def _put(self, asked: Asked) -> int:
        ours = devfs_rules.rulesets(self.text)
        known = {**self.defaults, **ours}
        ruleset = Ruleset(asked.name, _number(asked, self.defaults, ours), asked.rules)
        numbers = {name: one.number for name, one in known.items()}
        resolved = _resolve(asked, ruleset, numbers, known, self.of_host == asked.name)
        if ours.get(asked.name) != ruleset:
            self.text = devfs_rules.put(self.text, ruleset, asked.name)
            self.written.add(asked.name)
        if asked.load:
            self.load[ruleset.number] = resolved
        return ruleset.number


def _number(asked: Asked, defaults: Mapping[str, Ruleset], ours: Mapping[str, Ruleset]) -> int:
    taken = {one.number: name for name, one in {**defaults, **ours}.items() if name != asked.name}
    if asked.number is None and asked.name in ours:
        return ours[asked.name].number
    number = asked.number
    if number is None:
        # Derived from the name, so that every host and every run comes to the same.
        number = DERIVED[zlib.crc32(asked.name.encode()) % len(DERIVED)]
    if number in taken:
        raise InputError(f"number {number} is taken by {taken[number]}", asked.where, "Give another number")
    return number


def _resolve(
    asked: Asked, ruleset: Ruleset, numbers: Mapping[str, int], known: Mapping[str, Ruleset], of_host: bool
) -> List[str]:
    """The rules as the kernel shows them; refuses a ruleset that hides nothing, unless it is the one of the host's own /dev."""
    shown, hides = [], False
    for rule in ruleset.rules:
        words = shlex.split(rule)[1:]
        if words[0] == "include":
            target = words[1].lstrip("$")
            number = int(target) if target.isdigit() else numbers.get(target)
            if number is None:
                raise InputError(f"includes {words[1]}, which no file defines", asked.where, "Define it first")
            words[1] = str(number)
            direct = [one for one in known.values() if one.number == number]
            # The kernel follows one level of includes: what an included set includes is ignored.
            hides = hides or any("add hide" in one.rules for one in direct)
        hides = hides or words == ["hide"]
        shown.append(" ".join(words))
    if not hides and not of_host:
        raise InputError(
            "it hides nothing: includes inside an included ruleset are ignored, and no rule here hides all", asked.where,
            "For jails, begin with 'include $devfsrules_hide_all', 'include $devfsrules_unhide_basic', "
            f"'include $devfsrules_unhide_login'; for the host's own /dev, first set devfs_system_ruleset to {asked.name} in rc.conf",
        )
    return shown


def _loaded(host: Host) -> List[str]:
    return host.run(["devfs", "rule", "showsets"]).out.split()


def _canonical(rule: str) -> Tuple[str, ...]:
    """A rule with its parts in one order: devfs(8) shows user, group and mode in its own."""
    words = shlex.split(rule)
    parts, place = [], 0
    while place < len(words):
        width = 2 if words[place] in WITH_VALUE else 1
        part = words[place:place + width]
        if part[0] == "mode":
            part[1] = part[1].lstrip("0")
        parts.append(" ".join(part))
        place += width
    return tuple(sorted(parts))


def _same(now: Sequence[str], rules: Sequence[str]) -> bool:
    return [_canonical(rule) for rule in now] == [_canonical(rule) for rule in rules]


def _load(number: int, now: Sequence[str], rules: Sequence[str]) -> List[Step]:
    if _same(now, rules):
        return []

    def do(host: Host) -> None:
        # Only this set is emptied for a moment; 'service devfs restart' would empty all of them.
        host.run(["devfs", "rule", "-s", str(number), "delset"])
        for rule in rules:
            host.run(["devfs", "rule", "-s", str(number), "add", *shlex.split(rule)])

    return [Step(
        f"load ruleset {number}", do, None, f"ruleset {number}, loaded",
        "".join(f"{rule}\n" for rule in now), "".join(f"{rule}\n" for rule in rules),
    )]


def _unload(number: int) -> Step:
    return _command(f"unload ruleset {number}", ["devfs", "rule", "-s", str(number), "delset"])


def _command(what: str, argv: Sequence[str]) -> Step:
    def do(host: Host) -> None:
        host.run(argv)

    return Step(what, do)


def _running(host: Host, number: int) -> Dict[str, str]:
    """The running jails with this ruleset, and their roots."""
    listed = outputs.jails(host.run(["jls", "--libxo", "json", "-n", "name", "path", "devfs_ruleset"]).out)
    return {str(jail["name"]): str(jail["path"]) for jail in listed if str(jail["devfs_ruleset"]) == str(number)}


def _refuse_in_use(host: Host, asked: Asked, number: int) -> None:
    using = set(_running(host, number))
    for entry in host.listdir(definitions.CONF_DIR):
        text = host.read(f"{definitions.CONF_DIR}/{entry}") or ""
        if fnmatch.fnmatch(entry, "*.conf") and re.search(rf'^\s*devfs_ruleset\s*=\s*"?{number}"?\s*;', text, re.MULTILINE):
            using.add(entry[:-5])
    if using:
        raise Refused(f"jails use it: {', '.join(sorted(using))}", asked.where, "Give them another devfs_ruleset first")


def _apply(host: Host, number: int) -> List[Step]:
    mounted = {one.node for one in ask.mounts(host) if one.fstype == "devfs"}
    running = sorted(_running(host, number).items())
    return [_apply_step(name, f"{path}/dev", number) for name, path in running if f"{path}/dev" in mounted]


def _apply_step(name: str, dev: str, number: int) -> Step:
    argv = ["devfs", "-m", dev, "rule", "-s", str(number), "applyset"]
    return _command(f"apply ruleset {number} to jail {name}", argv)
