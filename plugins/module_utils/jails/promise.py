# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The promise of a boot: a declared jail boots as declared, and nobody else's stops booting. Where not, it is refused or told."""

from __future__ import annotations

import re
from typing import Any, Dict, Mapping, Optional, Sequence, Tuple

from ansible_collections.cellblock.jails.plugins.module_utils.errors import CellblockError, Refused
from ansible_collections.cellblock.jails.plugins.module_utils.formats import rc_conf
from ansible_collections.cellblock.jails.plugins.module_utils.jails import definition as definitions
from ansible_collections.cellblock.jails.plugins.module_utils.jails import drift, next_boot
from ansible_collections.cellblock.jails.plugins.module_utils.jails.boot import Listing
from ansible_collections.cellblock.jails.plugins.module_utils.jails.boot_files import Snapshot
from ansible_collections.cellblock.jails.plugins.module_utils.jails.definition import Definition
from ansible_collections.cellblock.jails.plugins.module_utils.jails.observed import Observed
from ansible_collections.cellblock.jails.plugins.module_utils.jails.rc_variables import RC_CONF
from ansible_collections.cellblock.jails.plugins.module_utils.jails.scene import Change, Scene

PLAIN = 'Write jail_list as plain words, such as jail_list="a b"'


def keep(scene: Scene, changes: Sequence[Change], text: str, listed: Listing) -> None:
    """Hold the boot that follows the run against what is declared; warn of what differs.

    :param text: rc.conf after the run, but for jail_list.
    :raises Refused: a new jail would not boot as declared, or somebody's would not boot any more.
    """
    seen, said = scene.seen, scene.warnings
    before = next_boot.predict(seen.variables.values, _snapshot(seen, {}))
    variables = seen.variables.put(RC_CONF, text)
    if listed.path is not None and list(listed.before) != list(listed.after):
        now = variables.texts.get(listed.path, "")
        try:
            variables = variables.put(listed.path, rc_conf.edit(now, {"jail_list": " ".join(listed.after)}))
        except CellblockError as error:
            raise Refused(f"jail_list cannot be set: {error.what}", listed.path, PLAIN) from error
    defined = {change.jail.name: change.new for change in changes}
    after = next_boot.predict(variables.values, _snapshot(seen, defined))
    ours = {*scene.marks, *defined}
    _others(before, after, ours)
    if not after.enabled and not scene.request.assume and any(change.new is not None and change.jail.boot for change in changes):
        said.append("jail_enable is not YES, so no jail starts when this host boots: set it, as the role host_prepare does")
    for change in changes:
        problem = _problem(change, after, seen, listed) if change.new is not None else _left(change, listed, seen)
        if problem is None:
            continue
        what, fix, grave = problem
        if grave and change.is_new:
            raise Refused(what, f"jail {change.jail.name}", fix)
        said.append(f"jail {change.jail.name}: {what}. {fix}")


def _snapshot(seen: Observed, defined: Mapping[str, Optional[Definition]]) -> Snapshot:
    """The files after the run. Others' files in jail.conf.d that stay as they are need no reading to be compared."""
    texts: Dict[str, Optional[str]] = {}
    parsed: Dict[str, Sequence[Mapping[str, Any]]] = {}
    for name in seen.confs if not seen.gathers else ():
        parsed[definitions.conf_path(name)] = [{"name": name, "params": {}}]
    for name, new in defined.items():
        path = definitions.conf_path(name)
        if new is not None and new.style == "jail_conf":
            texts[path] = new.conf() if seen.gathers else ""
            parsed[path] = [{"name": name, "params": new.params}]
        elif name in seen.confs:
            texts[path] = None
        lines = (new.params.get("mount") or []) if new is not None and new.style == "rc_conf" else []
        if lines:
            texts[definitions.fstab_path(name)] = "".join(f"{line}\n" for line in lines)
    return seen.boot_files.put(texts, parsed)


def _others(before: next_boot.Boot, after: next_boot.Boot, ours: Any) -> None:
    for start in before.tried:
        if start.name in ours or start.problem:
            continue
        then = after.find(start.name)
        if then is None or (then.params or {}) != (start.params or {}):
            how = "would not boot any more" if then is None else f"would boot by {then.conf} in place of {start.conf}, and as something else"
            raise Refused(
                f"jail {start.name} {how}: it boots because there is no jail_list, and with one it does not", "jail_list",
                "Set boot: false for the jails of this call, or make that jail one that jail_list can name. Where jail.conf gives defaults "
                'to others\' files, let it include "/etc/jail.conf.d/*.conf" by just that name: rc.d/jail then reads it for those in jail_list',
            )


Problem = Optional[Tuple[str, str, bool]]


def _left(change: Change, listed: Listing, seen: Observed) -> Problem:
    if change.jail.name in listed.before and listed.path is None:
        return "it stays in jail_list", f"{seen.variables.setter('jail_list')} builds that; take the name out there", False
    return None


def _problem(change: Change, after: next_boot.Boot, seen: Observed, listed: Listing) -> Problem:
    """What a boot would do otherwise than declared, how to mend it, and whether a new jail is refused for it."""
    name, new = change.jail.name, change.new
    start = after.find(name)
    if new is None:
        return None
    if not new.meta.get("boot", True):
        if start is None:
            return None
        if listed.path is None:
            return "it is in jail_list, and boots", f"{seen.variables.setter('jail_list')} builds that; take the name out there", True
        return f"it boots: rc.d/jail starts every jail of {start.conf}", "Let jail_list name those that are to boot", True
    if start is None:
        return _missing(name, after, seen, listed)
    expected = new.start_file()
    if start.conf != expected and not (start.conf == seen.whole_conf and seen.includes and new.style == "jail_conf"):
        return f"at boot rc.d/jail starts it by {start.conf} in place of {expected}", _way(name, start.conf, seen), True
    return _program(name, seen) or _otherwise(change, start, seen) or _early(new, after)


def _program(name: str, seen: Observed) -> Problem:
    """rc.conf may name another program than jail(8)."""
    for variable in (f"jail_{definitions.infix(name)}_program", "jail_program"):
        program = seen.rc.get(variable)
        if program and program != "/usr/sbin/jail":
            return f"at boot rc.d/jail starts it by {program}", f"Take {variable} out of {seen.variables.setter(variable)}, if that is not jail(8)", False
    return None


def _way(name: str, place: str, seen: Observed) -> str:
    words = [f"jail_{definitions.infix(name)}_{word}" for word in ("conf", "rootdir", "hostname")]
    found = [word for word in words if seen.rc.get(word)]
    if found and place != f"/etc/jail.{name}.conf":
        return f"Take {', '.join(found)} out of {seen.variables.setter(found[0])}"
    return f"Take the jail out of {place}, or move that file away"


def _missing(name: str, after: next_boot.Boot, seen: Observed, listed: Listing) -> Problem:
    if name in listed.lacks:
        where = seen.variables.setter("jail_list")
        what = f"it would not boot: jail_list is built by the shell in {where}, and not ours to write over"
        return what, f"{PLAIN}, name {name} there, or set boot: false", True
    tried = next((start for start in after.tried if start.name == name), None)
    if tried is not None and tried.conf == seen.whole_conf and seen.includes:
        return (
            f"it would not boot: {tried.conf} includes some files of jail.conf.d, and rc.d/jail then reads no others ({tried.problem})",
            f"Let {tried.conf} include \"/etc/jail.conf.d/*.conf\", or nothing of it", True,
        )
    why = tried.problem if tried is not None else f"rc.d/jail knows it as {next_boot.called(name)}"
    return f"it would not boot: {why}", "Mend that, or set boot: false", True


def _otherwise(change: Change, start: next_boot.Start, seen: Observed) -> Problem:
    """Defaults of /etc/jail.conf and of rc.conf reach our jail too."""
    new = change.new
    if new is None or start.params is None:
        return None
    wanted, found = new.params, start.params
    if new.style == "rc_conf":
        own = definitions.rc_lines(new)
        files = _snapshot(seen, {new.name: new})
        wanted = files.legacy(next_boot.legacy_text(new.name, own, files))[0]["params"]
    differing = drift.differences(wanted, found)
    if not differing:
        return None
    place = seen.whole_conf if new.style == "jail_conf" else _strays(new, seen) or "the variables jail_* for all jails in rc.conf"
    words = ", ".join(f"{name}={','.join(values) or 'nothing'}" for name, values in differing.items())
    hosts = [one for name in ("ip4.addr", "ip6.addr") if name in differing for one in new.params.get(name, ()) if "|" not in one]
    if hosts:
        what = f"{place} puts {', '.join(hosts)}, which is the host's own, on an interface for it: its stop would take that from the host"
        return what, f"Take that out of {place.rpartition(' in ')[2]}, or use boot_style: jail_conf", True
    return f"it boots otherwise than declared: {place} makes it {words}", f"Declare the same, or take that out of {place.rpartition(' in ')[2]}", False


def _strays(new: Definition, seen: Observed) -> str:
    """Variables of the jail's own that are not of its definition, and where they stand."""
    prefix, own = f"jail_{definitions.infix(new.name)}_", definitions.rc_lines(new)
    found = [
        key for key, value in seen.variables.values.items()
        if value and key.startswith(prefix) and key not in own and re.fullmatch(definitions.RC_VARIABLE, key[len(prefix):])
    ]
    return f"{', '.join(found)} in {seen.variables.setter(found[0])}" if found else ""


def _early(new: Definition, after: next_boot.Boot) -> Problem:
    for need in new.meta.get("depend") or ():
        if need not in after.order:
            return f"it depends on jail {need}, which does not boot", f"Let {need} boot too", False
        if after.order.index(need) > after.order.index(new.name) and not after.parallel:
            return f"it boots before {need}, which it depends on", f"Put {need} before it in jail_list", False
    return None
