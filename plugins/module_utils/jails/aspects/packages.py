# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Packages that are installed inside."""

from __future__ import annotations

from typing import Any, List, Mapping, Optional, Tuple

from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.engine.plan import Step
from ansible_collections.cellblock.jails.plugins.module_utils.errors import InputError
from ansible_collections.cellblock.jails.plugins.module_utils.formats import fields
from ansible_collections.cellblock.jails.plugins.module_utils.jails import definition as definitions
from ansible_collections.cellblock.jails.plugins.module_utils.jails.aspects.aspect import Aspect
from ansible_collections.cellblock.jails.plugins.module_utils.jails.definition import Definition
from ansible_collections.cellblock.jails.plugins.module_utils.jails.model import Jail
from ansible_collections.cellblock.jails.plugins.module_utils.jails.scene import Change, Draft, Scene


class Packages(Aspect):
    """By pkg(8) of the host, when they join the list; the mark knows which were."""

    name = "packages"
    options = {"packages": {"type": "list", "elements": "str"}}

    facts = ("packages",)

    def declare(self, jail: Jail, options: Mapping[str, Any]) -> Optional[Tuple[str, ...]]:
        """Their names."""
        where = f"jail {jail.name}, packages"
        return tuple(sorted(fields.check("package", str(package), where) for package in options["packages"])) or None

    def define(self, scene: Scene, jail: Jail, old: Optional[Definition], draft: Draft) -> None:
        """The mark keeps the list that was installed last."""
        if old is not None and old.meta.get("packages"):
            draft.meta["packages"] = list(old.meta["packages"])

    def check(self, change: Change) -> None:
        """The host must have pkg(8)."""
        if self.name in change.jail.own and not change.scene.seen.has_pkg:
            raise InputError("packages need pkg(8) on the host", f"jail {change.jail.name}", "Run 'pkg bootstrap' there")

    def inside(self, change: Change) -> List[Step]:
        """Install those that are new in the list, and note it when they are."""
        name, new, wanted = change.jail.name, change.new, list(change.jail.own.get(self.name, ()))
        if new is None or wanted == list(new.meta.get("packages", ())):
            return []
        missing = [package for package in wanted if package not in new.meta.get("packages", ())]

        def do(host: Host) -> None:
            argv = ["pkg", "-j", name, "install", "-y", "--", *missing]
            host.run(argv, timeout=3600, env={"ASSUME_ALWAYS_YES": "yes"}, where=f"jail {name}")

        steps = [Step(f"install packages {', '.join(missing)}", do)] if missing else []
        return [*steps, definitions.note_step(new, "packages", wanted or None)]
