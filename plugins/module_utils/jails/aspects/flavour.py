# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is laid over a new root, and run once in it."""

from __future__ import annotations

from typing import Any, List, Mapping, Optional, Sequence

from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.engine.plan import Step
from ansible_collections.cellblock.jails.plugins.module_utils.errors import InputError
from ansible_collections.cellblock.jails.plugins.module_utils.jails import definition as definitions
from ansible_collections.cellblock.jails.plugins.module_utils.jails import roots
from ansible_collections.cellblock.jails.plugins.module_utils.jails.aspects.aspect import Aspect
from ansible_collections.cellblock.jails.plugins.module_utils.jails.definition import Definition
from ansible_collections.cellblock.jails.plugins.module_utils.jails.model import Jail
from ansible_collections.cellblock.jails.plugins.module_utils.jails.observed import Observed
from ansible_collections.cellblock.jails.plugins.module_utils.jails.scene import Change, Draft, Scene


class Flavour(Aspect):
    """A tree of the host, and its script."""

    name = "flavour"

    facts = ("script",)

    def concerns(self, jails: Sequence[Jail], marks: Mapping[str, Mapping[str, Any]]) -> bool:
        """When one is declared, or its script is still to run."""
        return any(jail.flavour is not None for jail in jails) or any("script" in mark for mark in marks.values())

    def observe(self, host: Host, seen: Observed, jails: Sequence[Jail]) -> None:
        """What would be laid over new roots: a count of files, and a digest."""
        marks = seen.marks()
        told = {}
        for path in sorted({jail.flavour for jail in jails if jail.flavour is not None and jail.name not in marks} & seen.directories):
            count, digest = host.fingerprint(path)
            told[path] = f"{count} file{'' if count == 1 else 's'}, sha256 {digest[:16]}"
        seen.own[self.name] = told

    def define(self, scene: Scene, jail: Jail, old: Optional[Definition], draft: Draft) -> None:
        """The mark knows of a script that has not run yet; the jail itself is not asked."""
        if jail.flavour in scene.seen.scripted if old is None else old.meta.get("script"):
            draft.meta["script"] = True

    def check(self, change: Change) -> None:
        """A new jail's flavour must be there."""
        scene, jail = change.scene, change.jail
        if jail.flavour is not None and jail.flavour not in scene.seen.directories and jail.name not in scene.marks:
            raise InputError(
                f"flavour {jail.flavour} is not a directory of the host", f"jail {jail.name}", "Put the tree there first"
            )

    def inside(self, change: Change) -> List[Step]:
        """Its script runs inside once, and is removed."""
        if change.new is None or not change.new.meta.get("script"):
            return []
        return [roots.run_script(change.jail), definitions.note_step(change.new, "script", None)]
