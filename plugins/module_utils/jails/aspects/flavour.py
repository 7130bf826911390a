# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is laid over a new root, and run once in it."""

from __future__ import annotations

from typing import Any, List, Mapping, Sequence

from ansible_collections.cellblock.jails.plugins.module_utils.engine.plan import Step
from ansible_collections.cellblock.jails.plugins.module_utils.errors import InputError
from ansible_collections.cellblock.jails.plugins.module_utils.jails import inside, roots
from ansible_collections.cellblock.jails.plugins.module_utils.jails.aspects.aspect import Aspect
from ansible_collections.cellblock.jails.plugins.module_utils.jails.model import Jail
from ansible_collections.cellblock.jails.plugins.module_utils.jails.scene import Change


class Flavour(Aspect):
    """A tree of the host, and its script."""

    name = "flavour"

    def concerns(self, jails: Sequence[Jail], marks: Mapping[str, Mapping[str, Any]]) -> bool:
        """Only when one is declared."""
        return any(jail.flavour is not None for jail in jails)

    def check(self, change: Change) -> None:
        """A new jail's flavour must be there."""
        scene, jail = change.scene, change.jail
        if jail.flavour is not None and jail.flavour not in scene.seen.directories and jail.name not in scene.marks:
            raise InputError(
                f"flavour {jail.flavour} is not a directory of the host", f"jail {jail.name}", "Put the tree there first"
            )

    def after_start(self, change: Change) -> List[Step]:
        """Its script runs inside once, and is removed."""
        flavour, files = change.jail.flavour, change.files
        if flavour is None or not change.ends_running:
            return []
        pending = files[inside.SCRIPT].kind == "file" if files is not None else flavour in change.scene.seen.scripted
        return [roots.run_script(change.jail)] if pending else []
