# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The file that defines a jail, in either boot style."""

from __future__ import annotations

from typing import List

from ansible_collections.cellblock.jails.plugins.module_utils.engine.plan import Step, write_step
from ansible_collections.cellblock.jails.plugins.module_utils.jails import definition as definitions
from ansible_collections.cellblock.jails.plugins.module_utils.jails.aspects.aspect import Always
from ansible_collections.cellblock.jails.plugins.module_utils.jails.scene import Change


class DefinitionFile(Always):
    """/etc/jail.conf.d/NAME.conf, and /etc/fstab.NAME beside jail_NAME_* of rc.conf."""

    name = "definition_file"

    def prepare(self, change: Change) -> List[Step]:
        """Write the definition as it is to stand."""
        name, old, new, seen = change.jail.name, change.old, change.new, change.scene.seen
        if new is None:
            return []
        steps: List[Step] = []
        if new.style == "jail_conf":
            now = seen.confs.get(name)
            if now is None or old != new:
                steps += write_step(definitions.conf_path(name), now, new.conf())
        elif name in seen.confs and (old is not None or change.jail.adopt):
            steps += write_step(definitions.conf_path(name), seen.confs[name], None)
        lines = "".join(f"{line}\n" for line in new.params.get("mount", [])) if new.style == "rc_conf" else None
        now = seen.fstabs.get(name)
        if lines or (now is not None and old is not None and old.style == "rc_conf"):
            steps += write_step(definitions.fstab_path(name), now, lines or None)
        return steps

    def remove(self, change: Change) -> List[Step]:
        """The file goes last: it is the jail's mark."""
        name, seen = change.jail.name, change.scene.seen
        if change.old is not None and change.old.style == "jail_conf":
            return write_step(definitions.conf_path(name), seen.confs[name], None)
        return write_step(definitions.fstab_path(name), seen.fstabs[name], None) if name in seen.fstabs else []
