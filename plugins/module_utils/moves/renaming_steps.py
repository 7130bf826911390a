# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps of a renaming: down, everything under its new name, and the way back should anything after it fail."""

from __future__ import annotations

import posixpath
from dataclasses import replace
from typing import Callable, List, Mapping, Sequence, Tuple

from ansible_collections.cellblock.jails.plugins.module_utils.engine import storage
from ansible_collections.cellblock.jails.plugins.module_utils.engine.commands import CommandError
from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.engine.lock import SHARED
from ansible_collections.cellblock.jails.plugins.module_utils.engine.plan import Step, write_step
from ansible_collections.cellblock.jails.plugins.module_utils.formats import fstab
from ansible_collections.cellblock.jails.plugins.module_utils.formats.lines import kept_lines
from ansible_collections.cellblock.jails.plugins.module_utils.jails import definition as definitions
from ansible_collections.cellblock.jails.plugins.module_utils.jails import runtime
from ansible_collections.cellblock.jails.plugins.module_utils.jails.definition import Definition
from ansible_collections.cellblock.jails.plugins.module_utils.jails.model import CONSOLE_LOG
from ansible_collections.cellblock.jails.plugins.module_utils.jails.observed import RCTL_CONF
from ansible_collections.cellblock.jails.plugins.module_utils.moves.renaming import FACT, Part, Renaming, limits

GUARD = "/usr/bin/false its renaming was cut off"


def steps(one: Renaming, logs: Sequence[str], left: Sequence[str]) -> List[Step]:
    """All of them, in order.

    :param logs: the names of what is in the directory of console logs.
    :param left: files that are called by the old names, and of no use any more.
    """
    old = one.parts[0].old
    found = [_begin(one)]
    found += [_down(part.old) for part in reversed(one.parts) if part.old.name in one.running]
    for part in one.parts:
        if part.dataset is not None:
            found.append(_dataset(part, part.dataset, part.moves or ("", "")))
        elif part.moves is not None:
            found.append(_directory(*part.moves))
        found += [_dataset(part, aside, ("", "")) for aside in part.beside("aside")]
        found += [_directory(*copy) for copy in part.beside("copy")]
    found += _limits(one)
    for part in one.parts:
        found += _logs(part, logs)
        found += _definition(part)
    found += [step for before, after in one.others for step in _other(before, after)]
    found += [_forgotten(path) for path in left]
    switch = [_shared(one, path) for path in one.files()]
    gone = [_gone(part.old) for part in reversed(one.parts) if part.old.style == "jail_conf"]
    # What says that it is under way goes last.
    found += [*switch, *gone] if old.style == "jail_conf" else [*gone, *switch]
    return found


def put_back(one: Renaming, path: str, text: str) -> str:
    """A shared file as it is when the renaming was undone."""
    return limits(text, {new: old for old, new in one.names.items()}) if path == RCTL_CONF else one.text(path, text, back=True)


def guarded(definition: Definition) -> Definition:
    """The same as no boot starts it."""
    return definition.barred(GUARD)


def unguarded(definition: Definition) -> Definition:
    """The same without the guard, and without what was noted on the way."""
    return definition.without(FACT).unbarred(GUARD)


def _begin(one: Renaming) -> Step:
    """Its mark says so, and no boot starts half of it. What rc.conf defines is written over at once, and has no need of that."""
    old = one.parts[0].old

    def put(host: Host, definition: Definition) -> None:
        if old.style == "jail_conf":
            host.write(definitions.conf_path(old.name), definition.conf())

    def undo(host: Host) -> None:
        put(host, unguarded(old))
        for part in one.parts:
            if part.new.name in one.ran and not runtime.alive(host, part.old.name):
                runtime.start(host, unguarded(part.old))

    begun = guarded(replace(old, meta={**old.meta, FACT: {"to": one.name, "ran": list(one.ran)}}))
    return Step(f"note that {one.was} becomes {one.name}", lambda host: put(host, begun), undo)


def _down(old: Definition) -> Step:
    def do(host: Host) -> None:
        runtime.stop(host, old)
        runtime.wait_dead(host, old.name)

    return Step(f"stop {old.name}", do, None, f"jail {old.name}", "running\n", "stopped\n")


def _dataset(part: Part, names: Tuple[str, str], paths: Tuple[str, str]) -> Step:
    (old, new), (path, after) = names, paths

    def bring(host: Host, name: str, to: str, jail: str, place: str) -> None:
        result = host.ask(["zfs", "rename", name, to])
        if result.rc != 0 and not storage.is_there(host, to):
            raise CommandError(result, f"jail {jail}", "Something holds it open: a shell in it, or a mount of another jail")
        storage.set_properties(host, to, {"cellblock:jail": jail})
        if place and host.run(["zfs", "get", "-Hp", "-o", "value", "mountpoint", to]).out.strip() not in (place, "none"):
            storage.set_properties(host, to, {"mountpoint": place})

    return Step(
        f"rename dataset {old} to {new}", lambda host: bring(host, old, new, part.new.name, after),
        lambda host: bring(host, new, old, part.old.name, path), f"dataset of jail {part.new.name}", f"{old}\n", f"{new}\n",
    )


def _directory(old: str, new: str) -> Step:
    def bring(host: Host, path: str, to: str) -> None:
        if host.lstat(path) is not None:
            host.rename(path, to)

    return Step(f"rename {old} to {new}", lambda host: bring(host, old, new), lambda host: bring(host, new, old), old, f"{old}\n", f"{new}\n")


def _limits(one: Renaming) -> List[Step]:
    """The kernel leaves its rules under the old name."""
    before, after = [old for old, _new in one.rules], [new for _old, new in one.rules]
    back = {new: old for old, new in one.names.items()}

    def bring(host: Host, added: Sequence[str], gone: Sequence[str], names: Mapping[str, str]) -> None:
        if added:
            there = host.run(["rctl"]).out.split()
            missing = [rule for rule in added if rule not in there]
            excess = [rule for rule in gone if rule in there]
            if missing:
                host.run(["rctl", "-a", *missing])
            if excess:
                host.run(["rctl", "-r", *excess])
        _edit(host, RCTL_CONF, lambda text: limits(text, names))

    return [Step(
        f"let the limits of {one.was} be those of {one.name}", lambda host: bring(host, after, before, one.names),
        lambda host: bring(host, before, after, back), f"limits of jail {one.name}", "".join(f"{rule}\n" for rule in before),
        "".join(f"{rule}\n" for rule in after),
    )]


def _edit(host: Host, path: str, edit: Callable[[str], str]) -> None:
    with SHARED:
        text = host.read(path)
        if text is not None and edit(text) != text:
            host.write(path, edit(text))


def _logs(part: Part, logs: Sequence[str]) -> List[Step]:
    place, own = posixpath.split(CONSOLE_LOG.format(name=part.old.name))
    after = posixpath.basename(CONSOLE_LOG.format(name=part.new.name))
    return [_directory(f"{place}/{log}", f"{place}/{after}{log[len(own):]}") for log in logs if log == own or log.startswith(f"{own}.")]


def _definition(part: Part) -> List[Step]:
    """Under the new name. What stands in rc.conf comes with the other words of that file."""
    new = part.new
    if new.style == "jail_conf":
        return write_step(definitions.conf_path(new.name), None, new.conf())
    return write_step(definitions.fstab_path(new.name), None, _mounts(new) or None)


def _mounts(definition: Definition) -> str:
    entries = [entry for entry in map(fstab.parse_line, definition.params.get("mount", [])) if entry is not None]
    return "".join(f"{fstab.render_line(entry)}\n" for entry in entries)


def _other(before: Definition, after: Definition) -> List[Step]:
    """A jail that speaks of it."""
    if after.style == "jail_conf":
        return write_step(definitions.conf_path(after.name), before.conf(), after.conf())
    return write_step(definitions.fstab_path(after.name), _mounts(before) or None, _mounts(after) or None)


def _shared(one: Renaming, path: str) -> Step:
    return Step(
        f"call it {one.name} in {path}", lambda host: _edit(host, path, lambda text: one.text(path, text)),
        lambda host: _edit(host, path, lambda text: one.text(path, text, back=True)),
    )


def _forgotten(path: str) -> Step:
    kept: List[str] = []

    def do(host: Host) -> None:
        kept.append(host.read(path) or "")
        host.remove(path)

    def undo(host: Host) -> None:
        if kept and host.lstat(path) is None:
            host.write(path, kept[0])

    return Step(f"remove {path}", do, undo)


def _gone(old: Definition) -> Step:
    path = definitions.conf_path(old.name)
    back = guarded(old) if FACT in old.meta else old
    return Step(f"remove {path}", lambda host: host.remove(path), lambda host: host.write(path, back.conf()), path, unguarded(old).conf(), "")


def finish(host: Host, name: str) -> None:
    """Take away what the mark of a jail says of its renaming, in either style."""
    for path in (definitions.conf_path(name), definitions.RC_CONF):
        _edit(host, path, lambda text: finished(text, [name]))


def finished(text: str, names: Sequence[str]) -> str:
    """A file of definitions without the word that these jails are being renamed."""
    lines = []
    for line in kept_lines(text):
        mark = definitions.read_mark(line.rstrip("\n"))
        if mark is not None and mark.get("name") in names and FACT in mark:
            name = mark.pop("name")
            line = Definition(str(name), "", mark).without(FACT).mark() + "\n"
        lines.append(line)
    return "".join(lines)
