# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The file that defines a jail, in either boot style."""

from __future__ import annotations

from typing import Iterable, List, Optional

from ansible_collections.cellblock.jails.plugins.module_utils.engine.plan import Step, write_step
from ansible_collections.cellblock.jails.plugins.module_utils.errors import Refused
from ansible_collections.cellblock.jails.plugins.module_utils.jails import definition as definitions
from ansible_collections.cellblock.jails.plugins.module_utils.jails.aspects.aspect import Always
from ansible_collections.cellblock.jails.plugins.module_utils.jails.definition import Definition
from ansible_collections.cellblock.jails.plugins.module_utils.jails.model import Jail, cpus
from ansible_collections.cellblock.jails.plugins.module_utils.jails.scene import Change, Draft, Scene

FACTS = ("depend", "networks", "traffic", "packages")  # of a mark, that options are behind


class DefinitionFile(Always):
    """/etc/jail.conf.d/NAME.conf, and /etc/fstab.NAME beside jail_NAME_* of rc.conf."""

    name = "definition_file"

    def lost(self, change: Change) -> Iterable[str]:
        """Parameters, mounts and facts that stand in the old one only."""
        old, new = change.old, change.wanted
        if old is None or new is None or old.style != new.style or old == new:
            return []
        from ansible_collections.cellblock.jails.plugins.module_utils.jails.declaring import OWN_OPTION

        facts = [fact for fact in FACTS if old.meta.get(fact) and not new.meta.get(fact)]
        params = [
            OWN_OPTION.get(param) or (param if param.startswith("exec.") else f"params.{param}")
            for param in sorted(old.params.keys() - new.params.keys() - {"mount"}) if not facts or not param.startswith("exec.")
        ]
        if cpus(old.params) is not None and cpus(new.params) is None:
            params = ["cpuset", *(param for param in params if param != "exec.created")]
        now = _points(new)
        return list(dict.fromkeys([*params, *(f"mounts ({point})" for point in _points(old) if point not in now), *facts]))

    def define(self, scene: Scene, jail: Jail, old: Optional[Definition], draft: Draft) -> None:
        """A number that somebody fixed stays, though no option gives one."""
        jid = old.meta.get("jid") if old is not None else None
        if old is None and jail.adopt:
            from ansible_collections.cellblock.jails.plugins.module_utils.jails import adoption

            jid = adoption.number(scene, jail)
        if jid is not None:
            draft.meta["jid"] = jid

    def check(self, change: Change) -> None:
        """Taking over loses nothing, and an fstab of somebody's is not ours."""
        name, old, new = change.jail.name, change.old, change.wanted
        if old is None and change.jail.adopt:
            from ansible_collections.cellblock.jails.plugins.module_utils.jails import adoption

            adoption.check(change)
        elif new is not None and new.style == "rc_conf" and (old is None or old.style != "rc_conf"):
            now = change.scene.seen.fstabs.get(name)
            if now is not None and now != _fstab(new):
                raise Refused(
                    f"{definitions.fstab_path(name)} is somebody's, and rc.d/jail would mount it for a jail in the style rc_conf",
                    f"jail {name}", "Move it away, or use boot_style: jail_conf",
                )

    def prepare(self, change: Change) -> List[Step]:
        """Write the definition as it is to stand."""
        name, old, new, seen = change.jail.name, change.old, change.new, change.scene.seen
        if new is None:
            return []
        steps: List[Step] = []
        if new.style == "jail_conf":
            now = seen.confs.get(name)
            if now is not None and old != new:
                _refuse_others(name, now)
            if now is None or old != new:
                steps += write_step(definitions.conf_path(name), now, new.conf())
        elif name in seen.confs and (old is not None or change.jail.adopt):
            _refuse_others(name, seen.confs[name])
            steps += write_step(definitions.conf_path(name), seen.confs[name], None)
        lines = _fstab(new) if new.style == "rc_conf" else None
        now = seen.fstabs.get(name)
        if lines or (now is not None and old is not None and old.style == "rc_conf"):
            steps += write_step(definitions.fstab_path(name), now, lines or None)
        return steps

    def remove(self, change: Change) -> List[Step]:
        """The file goes last: it is the jail's mark."""
        name, seen = change.jail.name, change.scene.seen
        if change.old is not None and change.old.style == "jail_conf":
            _refuse_others(name, seen.confs[name])
            return write_step(definitions.conf_path(name), seen.confs[name], None)
        return write_step(definitions.fstab_path(name), seen.fstabs[name], None) if name in seen.fstabs else []


def _refuse_others(name: str, text: str) -> None:
    """A jail that somebody put into our file is not ours to lose."""
    others = definitions.others_in(name, text)
    if others:
        raise Refused(
            f"{definitions.conf_path(name)} defines {', '.join(others)} too, which would be lost", f"jail {name}",
            f"Move that to a file of its own, such as {definitions.conf_path(others[0])}",
        )


def _fstab(definition: Definition) -> str:
    return "".join(f"{line}\n" for line in definition.params.get("mount", []))


def _points(definition: Definition) -> List[str]:
    return [words[1] for words in map(str.split, definition.params.get("mount", [])) if len(words) > 1]
