# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``was``: a declared jail that has another name on the host comes to its declared one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, FrozenSet, List, Mapping, Optional, Sequence

from ansible_collections.cellblock.jails.plugins.module_utils.engine.plan import Step
from ansible_collections.cellblock.jails.plugins.module_utils.errors import InputError
from ansible_collections.cellblock.jails.plugins.module_utils.jails import definition as definitions
from ansible_collections.cellblock.jails.plugins.module_utils.jails import runtime
from ansible_collections.cellblock.jails.plugins.module_utils.jails.aspects.aspect import Aspect
from ansible_collections.cellblock.jails.plugins.module_utils.jails.declaring import check_name
from ansible_collections.cellblock.jails.plugins.module_utils.jails.definition import RC_CONF, Definition
from ansible_collections.cellblock.jails.plugins.module_utils.jails.model import Jail
from ansible_collections.cellblock.jails.plugins.module_utils.jails.observed import RCTL_CONF, Observed
from ansible_collections.cellblock.jails.plugins.module_utils.jails.scene import Change, Draft, Scene, SharedFiles
from ansible_collections.cellblock.jails.plugins.module_utils.moves import renaming, renaming_steps
from ansible_collections.cellblock.jails.plugins.module_utils.moves.renaming import FACT, FORMER, Found
from ansible_collections.cellblock.jails.plugins.module_utils.networks import ipfw, pf


class Renames(Aspect):
    """The steps of a renaming go before all others of the jail, which see the host as if it were done."""

    name = "renaming"
    options = {"was": {"type": "str"}}
    facts = (FACT, FORMER)

    def declare(self, jail: Jail, options: Mapping[str, Any]) -> str:
        """The old name."""
        was, where = check_name(str(options["was"])), f"jail {jail.name}, was"
        if was == jail.name:
            raise InputError("it is the name that it has", where, "Give the old name, or leave it out")
        if was.rpartition(".")[0] != jail.name.rpartition(".")[0]:
            raise InputError(f"{was} is nested in another jail, or in none", where, "A renaming moves no jail into another")
        return was

    def recast(self, seen: Observed, jails: Sequence[Jail]) -> None:
        """All that follows sees the new names."""
        found = renaming.find(seen, jails)
        seen.own[self.name] = found
        for one in found.renamings.values():
            renaming.seen_after(seen, one)

    def define(self, scene: Scene, jail: Jail, old: Optional[Definition], draft: Draft) -> None:
        """The mark keeps the former names; backups are kept under them."""
        for fact in self.facts:
            if old is not None and old.meta.get(fact):
                draft.meta[fact] = old.meta[fact]

    def check_host(self, scene: Scene) -> None:
        """Rules of the firewall go by the new name."""
        traffic = scene.seen.own.get("traffic")
        left = {path for one in _found(scene).renamings.values() for path in _anchors(one)}
        if traffic is not None and left:
            scene.seen.own["traffic"] = replace(traffic, files={path: text for path, text in traffic.files.items() if path not in left})
            _found(scene).left.update(path for path in traffic.files if path in left)

    def check(self, change: Change) -> None:
        """Refuse what cannot be renamed; what ran before runs again."""
        found, name = _found(change.scene), change.jail.name
        if name in found.refused:
            raise found.refused[name]
        change.renamed = any(name in one.names.values() for one in found.renamings.values())
        if change.jail.state == "present" and name in found.ran():
            change.jail = replace(change.jail, state="started")

    def prepare(self, change: Change) -> List[Step]:
        """Before anything else."""
        found, name = _found(change.scene), change.jail.name
        one = found.renamings.get(name)
        if one is None:
            return []
        own = change.scene.seen.own
        left = sorted(path for path in found.left if path in _anchors(one))
        left += [definitions.fstab_path(part.old.name) for part in one.parts if part.old.style == "rc_conf" and part.old.params.get("mount")]
        return renaming_steps.steps(one, own.get("console_log", ()), left)

    def settle(self, scene: Scene, changes: Sequence[Change], failed: FrozenSet[str], files: SharedFiles) -> List[Step]:
        """Those nested in it that ran, and nobody declares, run again; then nothing is left to say of it."""
        found = _found(scene)
        gone = {change.jail.name for change in changes if change.jail.state == "absent"}
        declared = {change.jail.name for change in changes}
        for name, one in found.renamings.items():
            if name in failed:
                for path in (RCTL_CONF, *one.files()):
                    files.put(path, renaming_steps.put_back(one, path, files.text(path, scene.seen.variables.texts.get(path)) or "") or None)
        steps: List[Step] = []
        for name, definition in {**found.unfinished, **{name: one.parts[0].new for name, one in found.renamings.items()}}.items():
            if name in failed or name in gone:
                continue
            for kid in (definition.meta.get(FACT) or {}).get("ran", ()):
                stands = scene.seen.definition(kid)
                if kid not in declared and stands is not None and kid not in scene.seen.running:
                    steps.append(_start(stands))
            what = f"note that {definition.meta[FACT]['from']} is {name} now"
            steps.append(Step(what, lambda host, name=name: renaming_steps.finish(host, name)))  # type: ignore[misc]
            text = files.text(RC_CONF, scene.seen.rc_conf)
            if definition.style == "rc_conf" and text is not None:
                files.put(RC_CONF, renaming_steps.finished(text, [name]), f"{name} has its name")
        return steps


def _start(definition: Definition) -> Step:
    return Step(f"start {definition.name}", lambda host: runtime.start(host, definition), None, f"jail {definition.name}", "stopped\n", "running\n")


def _found(scene: Scene) -> Found:
    found: Found = scene.seen.own["renaming"]
    return found


def _anchors(one: renaming.Renaming) -> List[str]:
    """The files of the firewall that carry the old names."""
    anchors = [pf.jail_anchor(part.old.name) for part in one.parts]
    return [path for anchor in anchors for path in (pf.path(anchor), f"{pf.FOLDER}/{anchor}.pipes", ipfw.path(anchor))]
