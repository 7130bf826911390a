# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a jail sees in its /dev."""

from __future__ import annotations

from typing import Optional

from ansible_collections.cellblock.jails.plugins.module_utils.errors import InputError
from ansible_collections.cellblock.jails.plugins.module_utils.jails import params
from ansible_collections.cellblock.jails.plugins.module_utils.jails.aspects.aspect import Always
from ansible_collections.cellblock.jails.plugins.module_utils.jails.definition import Definition
from ansible_collections.cellblock.jails.plugins.module_utils.jails.model import Jail
from ansible_collections.cellblock.jails.plugins.module_utils.jails.scene import Change, Draft, Scene

# What /etc/defaults/devfs.rules has for jails.
DEFAULTS = {4: "devfsrules_jail", 5: "devfsrules_jail_vnet"}


class Devfs(Always):
    """The ruleset of the jail's /dev, by name or number; see devfs(8)."""

    name = "devfs"

    def define(self, scene: Scene, jail: Jail, old: Optional[Definition], draft: Draft) -> None:
        """The definition has the number."""
        if draft.params.get("mount.devfs") == ["true"]:
            draft.params["devfs_ruleset"] = [str(_ruleset(scene, jail))]

    def check(self, change: Change) -> None:
        """A number that FreeBSD gives its own rulesets may be another's in /etc/devfs.rules."""
        found = (change.wanted.params if change.wanted is not None else {}).get("devfs_ruleset")
        number = int(found[-1]) if found else 0
        own, asked = DEFAULTS.get(number), change.jail.ruleset
        taken = sorted(name for name, other in change.scene.seen.rulesets.items() if other == number and name != own)
        if own is not None and taken and asked in (None, own):
            change.scene.warnings.append(
                f"jail {change.jail.name}: ruleset {number} is FreeBSD's {own}, but /etc/devfs.rules gives its number to {', '.join(taken)}, "
                "so that is what the jail sees. Give that one another number there, or name the one that is meant in devfs_ruleset"
            )


def _ruleset(scene: Scene, jail: Jail) -> int:
    if jail.ruleset is None:
        return 5 if "vnet" in jail.params else 4
    assumed, seen = scene.request.assume.get("rulesets") or {}, scene.seen
    where = f"jail {jail.name}, devfs_ruleset"
    if jail.ruleset.isdigit():
        number = int(jail.ruleset)
        if not 0 <= number <= 65535:
            raise InputError(f"{number} is out of range", where, "0 to 65535, see devfs(8)")
    elif jail.ruleset in seen.rulesets:
        number = seen.rulesets[jail.ruleset]
    elif jail.ruleset in assumed:
        return int(assumed[jail.ruleset])
    else:
        raise InputError(
            f"no ruleset {jail.ruleset} in /etc/devfs.rules", where,
            params.nearest(jail.ruleset, seen.rulesets) + "; the devfs_ruleset module makes them",
        )
    loaded = seen.loaded_rulesets
    if number and loaded is not None and number not in loaded and number not in assumed.values():
        raise InputError(
            f"ruleset {number} is not loaded, and the jail would see every device", where,
            "Load it with the devfs_ruleset module, or 'service devfs restart'",
        )
    return number
