# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The state of the whole host, read once, in a number of commands that does not grow with its jails."""

from __future__ import annotations

import re
from typing import Dict, FrozenSet, List, Optional, Sequence, Set

from ansible_collections.cellblock.jails.plugins.module_utils.engine import ask
from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.errors import FormatError, HostError, UnsafePath
from ansible_collections.cellblock.jails.plugins.module_utils.formats import devfs_rules, outputs
from ansible_collections.cellblock.jails.plugins.module_utils.formats.lines import lines_of
from ansible_collections.cellblock.jails.plugins.module_utils.jails import boot_files, definition, inside, rc_variables
from ansible_collections.cellblock.jails.plugins.module_utils.jails.aspects.aspect import Aspect
from ansible_collections.cellblock.jails.plugins.module_utils.jails.model import CPUSET_HOOK, Jail, cpus
from ansible_collections.cellblock.jails.plugins.module_utils.jails.observed import (
    RC_CONF,
    RCTL_CONF,
    Observed,
    partial,
    private,
)
from ansible_collections.cellblock.jails.plugins.module_utils.jails.registry import concerned

DEVFS_RULES = ("/etc/defaults/devfs.rules", "/etc/devfs.rules")
SYSCTLS = ("kern.osreldate", "kern.racct.enable", "net.fibs", "kern.boottime", "security.jail.enforce_statfs", "hw.ncpu")
ZFS_COLUMNS = (
    "name", "type", "origin", "quota", "reservation", "mountpoint", "mounted",
    "cellblock:jail", "cellblock:base", "cellblock:state",
)


def observe(
    host: Host, jails: Sequence[Jail], storage_path: str, dataset: Optional[str], columns: Sequence[str] = ZFS_COLUMNS,
) -> Observed:
    """Read the host.

    :param jails: the declared jails: their roots and own files are looked at.
    :param columns: what is asked of datasets, see zfsprops(7); what changes by itself, such as ``used``, is no matter of a plan.
    :raises HostError: when a tool that everything rests on does not answer.
    """
    seen = Observed()
    host.call_by(storage_path)
    listed = outputs.jails(host.run(["jls", "-d", "--libxo", "json", "-n"]).out)
    listed = [{**jail, "path": host.names.called(str(jail["path"]))} if "path" in jail else jail for jail in listed]
    seen.running = {str(jail["name"]): jail for jail in listed if not jail.get("dying")}
    seen.dying = frozenset(str(jail["name"]) for jail in listed if jail.get("dying"))
    seen.mounts = ask.mounts(host)
    seen.interfaces = ask.interfaces(host)
    seen.sysctl = _sysctl(host)
    if seen.sysctl.get("kern.racct.enable") == "1":
        seen.rules = frozenset(outputs.rctl_rules(host.run(["rctl"]).out))
    _read_files(host, seen)
    aspects = concerned(jails, seen.marks())
    tops = _tops(seen, dataset)
    if tops:
        seen.datasets = ask.datasets(host, tops, columns)
    seen.cpus = ask.cpus(host, _on_few_cpus(seen, jails))
    seen.loaded_rulesets = _loaded_rulesets(host, seen, jails)
    for aspect in aspects:
        aspect.recast(seen, jails)
    seen.places = {path: now for path, now in seen.places.items() if host.isdir(now)}
    seen.roots = _roots(seen, jails)
    host.guard([*seen.roots, *seen.places.values()])
    for jail in jails:
        _look_at(host, seen, jail, aspects)
    _look_for_paths(host, seen, jails, storage_path)
    for aspect in aspects:
        aspect.observe(host, seen, jails)
    return seen


def _loaded_rulesets(host: Host, seen: Observed, jails: Sequence[Jail]) -> Optional[FrozenSet[int]]:
    """Which of the rulesets that jails name have rules in the kernel; None where all are FreeBSD's own."""
    named = {str(seen.rulesets.get(jail.ruleset, jail.ruleset)) for jail in jails if jail.ruleset is not None}
    numbers = sorted(int(number) for number in named if number.isdigit() and int(number) <= 65535)
    if all(number <= 5 for number in numbers):
        return None
    return frozenset(number for number, rules in ask.rules_of(host, numbers).items() if rules)


def _look_for_paths(host: Host, seen: Observed, jails: Sequence[Jail], storage_path: str) -> None:
    """Which of the places that roots, bases, flavours and time zones should be at are there."""
    paths = {jail.base_path(storage_path) for jail in jails if jail.base} | {storage_path}
    unfinished: Set[str] = set()
    for name, facts in seen.marks().items():
        paths.add(str(facts.get("path")))
        unfinished |= {partial(str(facts.get("path"))), private(storage_path, name)}
    paths |= _perhaps(host, storage_path, unfinished)
    paths |= {jail.flavour for jail in jails if jail.flavour is not None}
    for path in paths:
        try:
            _directory(host, seen, path)
        except UnsafePath as error:
            seen.unsafe.setdefault(seen.roots.get(path, path), error)
    for flavour in {jail.flavour for jail in jails if jail.flavour is not None}:
        if host.lstat(f"{flavour}/{inside.SCRIPT}") is not None:
            seen.scripted.add(flavour)
    if host.isdir(inside.ZONES):
        zones = {jail.inside.timezone for jail in jails if jail.inside.timezone is not None}
        seen.missing_zones = {zone for zone in zones if host.lstat(f"{inside.ZONES}/{zone}") is None}
    seen.missing_sources = {spec for jail in jails for spec in jail.sources() if _is_missing(host, jails, spec)}
    seen.has_pkg = host.lstat("/usr/local/sbin/pkg") is not None


def _perhaps(host: Host, directory: str, paths: Set[str]) -> Set[str]:
    """The paths that may be there, less those that a look at the names in a directory rules out."""
    if host.outer(directory) is not None:
        return paths
    names, below = frozenset(host.listdir(directory)), len(directory) + 1
    return {path for path in paths if not path.startswith(f"{directory}/") or path[below:].partition("/")[0] in names}


def _is_missing(host: Host, jails: Sequence[Jail], path: str) -> bool:
    """Whether a file of the host is not there; what lies in a root that a run may make is not judged."""
    if any(jail.path and path.startswith(f"{jail.path}/") for jail in jails):
        return False
    try:
        return host.lstat(path) is None
    except UnsafePath:
        return False


def _tops(seen: Observed, dataset: Optional[str]) -> List[str]:
    """The datasets below which roots of ours stand: the declared one, and where the marks and the mounts say that roots are."""
    found = {dataset} if dataset is not None else set()
    roots = {str(facts.get("path")) for facts in seen.marks().values()}
    named = {str(facts["dataset"]) for facts in seen.marks().values() if facts.get("dataset")}
    for name in named | {mount.special for mount in seen.mounts if mount.fstype == "zfs" and mount.node in roots}:
        top = name.rpartition("/")[0]
        if top and not any(f"{top}/".startswith(f"{other}/") for other in found):
            found.add(top)
    return sorted(found)


def _on_few_cpus(seen: Observed, jails: Sequence[Jail]) -> List[str]:
    """The running jails of ours that are, or are to be, given CPUs of their own."""
    names = {jail.name for jail in jails if cpus(jail.params)}
    names |= {name for name, text in seen.confs.items() if CPUSET_HOOK in text and definition.read_mark(text.partition("\n")[0])}
    names |= {name for name, group in seen.groups.items() if cpus(group.params)}
    return sorted(names & set(seen.running))


def _sysctl(host: Host) -> Dict[str, str]:
    told, found = host.ask(["sysctl", *SYSCTLS]), {}
    for line in lines_of(told.out):
        name, _colon, value = line.partition(": ")
        found[name.strip()] = value.strip()
    if SYSCTLS[0] not in found:  # others a kernel may not have
        raise HostError(f"sysctl(8) failed: {told.said()}")
    return found


def _read_files(host: Host, seen: Observed) -> None:
    seen.rc_conf = host.read(RC_CONF) or ""
    seen.rctl_conf = host.read(RCTL_CONF) or ""
    seen.resolv_conf = host.read("/etc/resolv.conf") or ""
    for path in DEVFS_RULES:
        for name, ruleset in devfs_rules.rulesets(host.read(path) or "").items():
            seen.rulesets[name] = ruleset.number
    for entry in host.listdir(definition.CONF_DIR):
        if entry.endswith(".conf") and not entry.startswith(".") and not host.isdir(f"{definition.CONF_DIR}/{entry}"):
            seen.confs[entry[:-5]] = host.read(f"{definition.CONF_DIR}/{entry}") or ""
    for entry in host.listdir("/etc"):
        if entry.startswith("fstab.") and not host.isdir(f"/etc/{entry}"):
            seen.fstabs[entry[6:]] = host.read(f"/etc/{entry}") or ""
        elif entry.startswith("jail.") and entry.endswith(".conf") and len(entry) > 10:
            seen.foreign[entry[5:-5]] = f"/etc/{entry}"
    seen.variables = rc_variables.load(host)
    read = {definition.conf_path(name): text for name, text in seen.confs.items()}
    read.update((definition.fstab_path(name), text) for name, text in seen.fstabs.items())
    seen.boot_files = boot_files.look(host, seen.variables, read)
    _read_whole_conf(seen)
    for name, (facts, lines) in definition.rc_groups(seen.rc_conf).items():
        seen.groups[name] = definition.read_rc(name, facts, lines, seen.fstabs.get(name, ""))
    ours = {definition.infix(name) for name in seen.groups}
    for key in seen.rc:
        found = re.fullmatch(r"jail_(.+)_rootdir", key)
        if found and found.group(1) not in ours:
            seen.foreign.setdefault(found.group(1), RC_CONF)


def _read_whole_conf(seen: Observed) -> None:
    if not seen.boot_files.text(seen.whole_conf):
        return
    try:
        for jail in seen.boot_files.jails(seen.whole_conf):
            seen.roots.update((path.rstrip("/"), jail["name"]) for path in jail["params"].get("path", ())[-1:])
            # What it includes from jail.conf.d is not defined by it.
            if jail["name"] not in seen.confs:
                seen.foreign.setdefault(jail["name"], seen.whole_conf)
    except (FormatError, HostError):
        pass  # jail(8) says so itself; our jails do not go through this file


def _directory(host: Host, seen: Observed, path: str) -> bool:
    """Whether a directory is there; on the way to it, no link out of a jail's root is followed.

    :raises UnsafePath: whoever is root in an outer jail planted one.
    """
    now = seen.place(path)
    place = host.below(now)
    if host.isdir(now) if place is None else place[0].look(place[1], 0).kind == "directory":
        seen.directories.add(path)
    elif place is None and host.lstat(now) is not None:
        raise UnsafePath("is a link or a file, and no directory", path, "Give the path of the directory itself, or move it away")
    return path in seen.directories


def _roots(seen: Observed, jails: Sequence[Jail]) -> Dict[str, str]:
    """The root of every jail that this host knows of, and its name."""
    ours = {definition.conf_path(name) for name in seen.marks()}
    found = {**boot_files.roots(seen.boot_files, ours), **seen.roots}
    for key, value in seen.rc.items():
        if key.startswith("jail_") and key.endswith("_rootdir"):
            found[value.rstrip("/")] = key[5:-8]
    seen.theirs = dict(found)
    found.update((str(facts.get("path")), name) for name, facts in seen.marks().items())
    found.update((str(running.get("path")), name) for name, running in seen.running.items())
    found.update((jail.path, jail.name) for jail in jails if jail.path)
    return {path: name for path, name in found.items() if path.startswith("/") and path != "/"}


def _look_at(host: Host, seen: Observed, jail: Jail, aspects: Sequence[Aspect]) -> None:
    try:
        if not jail.path or not _directory(host, seen, jail.path):
            return
        tree = host.tree(seen.place(jail.path))
        if tree.listdir(""):
            seen.filled.add(jail.path)
        found = inside.look(tree, jail.inside)
        for aspect in aspects:
            for path, limit in aspect.look(jail).items():
                found[path] = tree.look(path, limit) if path not in found else found[path]
        seen.seen[jail.name] = found
    except (UnsafePath, FileNotFoundError) as error:
        seen.unsafe[jail.name] = error if isinstance(error, HostError) else UnsafePath(str(error), jail.path)
