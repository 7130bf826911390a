# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A jail gets another name: what that means for all that is called by the old one. Nothing here touches a host."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Dict, List, Mapping, Optional, Sequence, Set, Tuple

from ansible_collections.cellblock.jails.plugins.module_utils.errors import CellblockError, Refused
from ansible_collections.cellblock.jails.plugins.module_utils.formats import fstab, rc_conf
from ansible_collections.cellblock.jails.plugins.module_utils.formats.lines import kept_lines
from ansible_collections.cellblock.jails.plugins.module_utils.jails import boot, runtime
from ansible_collections.cellblock.jails.plugins.module_utils.jails import definition as definitions
from ansible_collections.cellblock.jails.plugins.module_utils.jails.aspects.limits import SIGN
from ansible_collections.cellblock.jails.plugins.module_utils.jails.definition import RC_CONF, Definition
from ansible_collections.cellblock.jails.plugins.module_utils.jails.model import CONSOLE_LOG, Jail
from ansible_collections.cellblock.jails.plugins.module_utils.jails.observed import Observed

FACT = "renaming"  # of a mark, while it is under way
FORMER = "former"  # of a mark: the names that the jail had, which its backups are kept under


@dataclass(frozen=True)
class Part:
    """A jail that gets another name: the one that is asked for, or one that is nested in it.

    :param old: its definition as it stands.
    :param new: its definition under the new name.
    :param dataset: the old and the new dataset of its root; None where there is none.
    :param moves: the old and the new path of its root; None where they are the same.
    """

    old: Definition
    new: Definition
    dataset: Optional[Tuple[str, str]] = None
    moves: Optional[Tuple[str, str]] = None

    def beside(self, what: str) -> List[Tuple[str, str]]:
        """What its mark says is kept of it elsewhere: an ``aside`` dataset, or a ``copy``."""
        before, after = (((one.meta.get("upgrade") or {}).get("keep") or {}).get(what) for one in (self.old, self.new))
        return [(str(before), str(after))] if before and before != after else []


@dataclass(frozen=True)
class Renaming:
    """A jail on its way to another name.

    :param parts: the jail itself, then those nested in it.
    :param others: definitions that speak of it, before and after.
    :param ran: which of them ran when it began, by their new names.
    :param running: which of them run now, by their old names.
    :param rules: the rules of rctl(8) in the kernel, old and new.
    :param listed: the file that jail_list stands in; None where the old name is not in it.
    """

    parts: Sequence[Part]
    others: Sequence[Tuple[Definition, Definition]] = ()
    ran: Sequence[str] = ()
    running: Sequence[str] = ()
    rules: Sequence[Tuple[str, str]] = ()
    listed: Optional[str] = None

    @property
    def name(self) -> str:
        """The new name."""
        return self.parts[0].new.name

    @property
    def was(self) -> str:
        """The old one."""
        return self.parts[0].old.name

    @property
    def names(self) -> Dict[str, str]:
        """Old names to new ones."""
        return {part.old.name: part.new.name for part in self.parts}

    def files(self) -> List[str]:
        """The shared files that speak of it."""
        return list(dict.fromkeys([RC_CONF, *([self.listed] if self.listed else [])]))

    def text(self, path: str, text: str, back: bool = False) -> str:
        """A shared file as it is afterwards, or, on the way back, as it was."""
        if path == RC_CONF:
            for part in self.parts:
                given, made = (part.new, part.old) if back else (part.old, part.new)
                if made.style == "rc_conf" and given.name in definitions.rc_groups(text):
                    text = boot.put(text, given.name, made)
            for before, after in self.others:
                if after.style == "rc_conf" and after.name in definitions.rc_groups(text):
                    text = boot.put(text, after.name, before if back else after)
        words = rc_conf.sure(text, "jail_list") if path == self.listed else None
        if words is not None:
            names = {new: old for old, new in self.names.items()} if back else self.names
            text = rc_conf.edit(text, {"jail_list": " ".join(names.get(word, word) for word in words.split())})
        return text


@dataclass
class Found:
    """What is to be renamed on a host, and what cannot be, by the new names.

    :param unfinished: jails that have their new name, but for what comes last.
    :param left: files of the host that are called by old names, and made anew under the new ones.
    """

    renamings: Dict[str, Renaming] = field(default_factory=dict)
    refused: Dict[str, CellblockError] = field(default_factory=dict)
    unfinished: Dict[str, Definition] = field(default_factory=dict)
    left: Set[str] = field(default_factory=set)

    def ran(self) -> Set[str]:
        """The jails, by their new names, that ran when it began."""
        noted = [(one.meta.get(FACT) or {}).get("ran", ()) for one in self.unfinished.values()]
        return {name for names in (*(one.ran for one in self.renamings.values()), *noted) for name in names}

    def led(self, name: str) -> Optional[str]:
        """The jail whose renaming a jail goes along with."""
        return next((new for new, one in self.renamings.items() if name != new and name in one.names.values()), None)


def find(seen: Observed, jails: Sequence[Jail]) -> Found:
    """What is to be renamed."""
    found, ours = Found(), seen.ours()
    found.unfinished = {name: one for name, one in ours.items() if (one.meta.get(FACT) or {}).get("from")}
    declared = {jail.name: jail for jail in jails}
    for jail in jails:
        was = jail.own.get("renaming")
        if was is None:
            continue
        try:
            one = _decide(seen, jail, str(was), ours, declared)
        except CellblockError as error:
            found.refused[jail.name] = error
            continue
        if one is not None:
            found.renamings[jail.name] = one
            found.unfinished.pop(jail.name, None)
    return found


def _decide(
    seen: Observed, jail: Jail, was: str, ours: Mapping[str, Definition], declared: Mapping[str, Jail]
) -> Optional[Renaming]:
    where, old, there = f"jail {jail.name}", ours.get(was), jail.name in ours or jail.name in seen.confs or jail.name in seen.running
    if old is None:
        if not there and (was in seen.confs or was in seen.running or seen.elsewhere(was)):
            raise Refused(f"{was} is there, and not ours to rename", where, "Take it over under its own name first, by adopt: true")
        return None
    noted = old.meta.get(FACT) or {}
    if noted and noted.get("to") != jail.name:
        raise Refused(f"the renaming of {was} to {noted.get('to')} was cut off", where, f"Declare {noted.get('to')} with was: {was} first")
    if there and not noted:
        raise Refused(f"{was} and {jail.name} are both there", where, "Remove one of them, or take 'was' away")
    if was in declared:
        raise Refused(f"{was} is declared too", where, "Declare it under its new name only")
    if old.lost:
        raise Refused(f"{definitions.conf_path(was)} cannot be read any more", where, f"Declare {was} once as it is: that writes it anew")
    return _renaming(seen, jail, old, ours, declared)


def _renaming(
    seen: Observed, jail: Jail, old: Definition, ours: Mapping[str, Definition], declared: Mapping[str, Jail]
) -> Renaming:
    going = [old, *(one for name, one in sorted(ours.items()) if name.startswith(f"{old.name}."))]
    names = {one.name: jail.name + one.name[len(old.name):] for one in going}
    noted = old.meta.get(FACT) or {}
    running = [one.name for one in going if one.name in seen.running]
    ran = list(noted.get("ran") or [names[name] for name in running])
    roots = _roots(going, names, declared)
    parts = [_part(one, names, roots, ran if one is old else None) for one in going]
    for part in parts[1:]:
        _refuse_kid(part, names, declared, str(old.meta.get("path")))
    listed = seen.rc.get("jail_list", "").split()
    place = seen.variables.place("jail_list") if any(name in listed for name in names) else None
    if place is None and any(name in listed for name in names):
        raise Refused(
            f"jail_list names {old.name}, and its value is built", seen.variables.setter("jail_list"), 'Write it as plain words, such as jail_list="a b"',
        )
    others = [(one, follow(one, names, roots)) for name, one in sorted(ours.items()) if name not in names and name != jail.name]
    rules = [(rule, _rule(rule, names)) for rule in sorted(seen.rules or ()) if _rule(rule, names) != rule]
    return Renaming(parts, [(one, after) for one, after in others if one != after], ran, running, rules, place)


def _refuse_kid(part: Part, names: Mapping[str, str], declared: Mapping[str, Jail], root: str) -> None:
    """What is not declared is not made anew, and what only a declaration makes has to be declared."""
    where, kid = f"jail {part.new.name}", part.old
    if part.dataset is not None and str(kid.meta.get("path")).startswith(f"{root}/"):
        raise Refused(f"its dataset is mounted in {root}, which moves", where, "Rename it by hand, or let it stand beside its parent")
    hooks = " ".join(hook for param, values in kid.params.items() if param.startswith("exec.") for hook in values)
    if part.new.name not in declared and (kid.meta.get("traffic") or kid.meta.get("networks") or kid.name in hooks.split()):
        raise Refused(f"{kid.name} goes along, and has hooks with its name in them", where, f"Declare it too, as {part.new.name}")


def _roots(going: Sequence[Definition], names: Mapping[str, str], declared: Mapping[str, Jail]) -> Dict[str, str]:
    """Where roots stand, and where they will: where that is declared, or beside where they stood."""
    found: Dict[str, str] = {}
    for one in going:
        path, jail = str(one.meta.get("path")), declared.get(names[one.name])
        parent, _slash, last = path.rpartition("/")
        if one.meta.get("root") == "existing":
            found[path] = _below(path, found)
        elif jail is not None and jail.state != "absent":
            found[path] = jail.path
        else:
            found[path] = f"{parent}/{names[one.name]}" if last == one.name else _below(path, found)
    return found


def _below(path: str, roots: Mapping[str, str]) -> str:
    for old, new in roots.items():
        if path == old or path.startswith(f"{old}/"):
            return new + path[len(old):]
    return path


def _part(old: Definition, names: Mapping[str, str], roots: Mapping[str, str], ran: Optional[Sequence[str]]) -> Part:
    name, path = names[old.name], str(old.meta.get("path"))
    new = follow(old, names, roots)
    meta = {key: value for key, value in new.meta.items() if key not in ("waits", FACT)}
    meta.update(path=roots[path], former=[*old.meta.get(FORMER, ()), old.name])
    if ran is not None:
        meta[FACT] = {"from": old.name, "ran": list(ran)}
    dataset = str(old.meta["dataset"]) if old.meta.get("dataset") else None
    moved = f"{dataset.rpartition('/')[0]}/{name}" if dataset else None
    if moved:
        meta["dataset"] = moved
    if meta.get("upgrade") and dataset and moved:
        meta["upgrade"] = _renamed_values(meta["upgrade"], dataset, moved)
    if meta.get("upgrade"):
        meta["upgrade"] = _renamed_values(meta["upgrade"], _beside(path), _beside(roots[path]))
    params = dict(new.params)
    log = CONSOLE_LOG.format(name=old.name)
    if params.get("exec.consolelog") == [log]:
        params["exec.consolelog"] = [CONSOLE_LOG.format(name=name)]
    if params.get("host.hostname") == [old.name]:
        params["host.hostname"] = [name]
    new = Definition(name, old.style, meta, params)
    moves = (path, roots[path]) if path != roots[path] else None
    return Part(old, new, (dataset, moved) if dataset and moved else None, moves)


def _beside(path: str) -> str:
    parent, _slash, name = path.rpartition("/")
    return f"{parent}/.{name}."


def _renamed_values(value: Any, old: str, new: str) -> Any:
    """The same with every text that begins with the old one."""
    if isinstance(value, Mapping):
        return {key: _renamed_values(one, old, new) for key, one in value.items()}
    if isinstance(value, list):
        return [_renamed_values(one, old, new) for one in value]
    if isinstance(value, str) and (value.startswith(old) if old.endswith(".") else value == old or value[:len(old) + 1] in (f"{old}:", f"{old}/", f"{old}@")):
        return new + value[len(old):]
    return value


def follow(one: Definition, names: Mapping[str, str], roots: Mapping[str, str]) -> Definition:
    """A definition that speaks of what gets another name: what it depends on, what it mounts, where it stands."""
    meta, params = dict(one.meta), dict(one.params)
    if any(need in names for need in meta.get("depend") or ()):
        meta["depend"] = [names.get(need, need) for need in meta["depend"]]
    if params.get("path"):
        params["path"] = [_below(params["path"][-1], roots)]
    if params.get("mount"):
        params["mount"] = [_mount(line, roots) for line in params["mount"]]
    return replace(one, meta=meta, params=params)


def _mount(line: str, roots: Mapping[str, str]) -> str:
    entry = fstab.parse_line(line)
    if entry is None or (_below(entry.spec, roots), _below(entry.file, roots)) == (entry.spec, entry.file):
        return line
    return fstab.render_line(replace(entry, spec=_below(entry.spec, roots), file=_below(entry.file, roots)))


def _rule(rule: str, names: Mapping[str, str]) -> str:
    words = rule.split(":")
    return ":".join([words[0], names[words[1]], *words[2:]]) if words[0] == "jail" and words[1] in names else rule


def limits(text: str, names: Mapping[str, str]) -> str:
    """An rctl.conf(5) with our rules under the new names."""
    return "".join(_rule(line, names) if line.rstrip("\n").endswith(SIGN) else line for line in kept_lines(text))


def seen_after(seen: Observed, one: Renaming) -> None:
    """Let the picture of the host be that after the renaming: the jails are down, and everything has its new name."""
    names = one.names
    points = {point for part in one.parts for point in runtime.mount_points(part.old)}
    seen.mounts = [mount for mount in seen.mounts if mount.node not in points]
    for name in one.running:
        seen.running.pop(name, None)
    seen.rules = None if seen.rules is None else frozenset(_rule(rule, names) for rule in seen.rules)
    seen.rctl_conf = limits(seen.rctl_conf, names)
    for path in one.files():
        seen.variables = seen.variables.put(path, one.text(path, seen.variables.texts.get(path, "")))
    seen.rc_conf = one.text(RC_CONF, seen.rc_conf)
    for part in one.parts:
        _part_after(seen, part)
    for _before, after in one.others:
        _defined(seen, after)


def _part_after(seen: Observed, part: Part) -> None:
    old = part.old.name
    path = definitions.conf_path(old)
    seen.confs.pop(old, None)
    seen.groups.pop(old, None)
    seen.fstabs.pop(old, None)
    seen.boot_files = seen.boot_files.put({path: None, definitions.fstab_path(old): None}, {})
    _defined(seen, part.new)
    if part.moves is not None:
        seen.places[part.moves[1]] = part.moves[0]
    if part.dataset is None:
        return
    (before, after), roots = part.dataset, dict([part.moves] if part.moves else [])
    seen.mounts = [
        replace(mount, special=after, node=_below(mount.node, roots)) if mount.special == before else mount for mount in seen.mounts
    ]
    seen.datasets = {
        _renamed_values(name, before, after): {key: _property(part, key, value) for key, value in found.items()}
        for name, found in (seen.datasets or {}).items()
    }


def _property(part: Part, key: str, value: str) -> str:
    if key == "cellblock:jail":
        return part.new.name if value == part.old.name else value
    if key == "mountpoint":
        return _below(value, dict([part.moves] if part.moves else []))
    return str(_renamed_values(value, *part.dataset)) if part.dataset is not None else value


def _defined(seen: Observed, new: Definition) -> None:
    if new.style == "jail_conf":
        seen.confs[new.name] = new.conf()
        seen.boot_files = seen.boot_files.put({definitions.conf_path(new.name): new.conf()}, {})
        return
    seen.groups[new.name] = new
    lines = "".join(f"{line}\n" for line in new.params.get("mount", []))
    if lines:
        seen.fstabs[new.name] = lines
        seen.boot_files = seen.boot_files.put({definitions.fstab_path(new.name): lines}, {})
