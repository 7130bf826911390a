# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan for the jails of a host: (wanted, observed) -> steps. Deciding touches nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Dict, FrozenSet, List, Mapping, Optional, Sequence

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.cellblock.jails.plugins.module_utils.engine.door import serve
from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.engine.plan import Lane, Plan, Step, write_step
from ansible_collections.cellblock.jails.plugins.module_utils.engine.recall import NO_RECALL, Recall
from ansible_collections.cellblock.jails.plugins.module_utils.errors import CellblockError, Faults, Unreadable, UnsafePath
from ansible_collections.cellblock.jails.plugins.module_utils.formats import outputs
from ansible_collections.cellblock.jails.plugins.module_utils.jails import definition as definitions
from ansible_collections.cellblock.jails.plugins.module_utils.jails import falling, life, runtime, states, telling, weighing
from ansible_collections.cellblock.jails.plugins.module_utils.jails.aspects.root import is_whole
from ansible_collections.cellblock.jails.plugins.module_utils.jails.definition import Definition
from ansible_collections.cellblock.jails.plugins.module_utils.jails.lanes import lanes
from ansible_collections.cellblock.jails.plugins.module_utils.jails.model import Jail, needs
from ansible_collections.cellblock.jails.plugins.module_utils.jails.observe import observe
from ansible_collections.cellblock.jails.plugins.module_utils.jails.ownership import refuse_foreign
from ansible_collections.cellblock.jails.plugins.module_utils.jails.pruning import pruned
from ansible_collections.cellblock.jails.plugins.module_utils.jails.registry import concerned
from ansible_collections.cellblock.jails.plugins.module_utils.jails.request import Request
from ansible_collections.cellblock.jails.plugins.module_utils.jails.scene import Change, Draft, Scene, SharedFiles


def plan(host: Host, request: Request) -> Plan:
    """Read the host once, and say what has to be done.

    :raises CellblockError: when the request cannot be met; nothing has been touched.
    """
    seen = observe(host, request.jails, request.storage_path, request.storage_dataset)
    marks = seen.marks()
    return Planner(Scene(request, seen, [*request.jails, *pruned(request, marks)], marks)).plan()


class Planner:
    """Leads the aspects through the phases of each jail."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.seen = scene.seen
        self.aspects = concerned(scene.jails, scene.marks)
        kept = scene.request.as_they_are
        self.down = {jail.name for jail in kept if jail.state in ("stopped", "restarted") and jail.name in self.seen.running}

    def plan(self) -> Plan:
        """The whole plan."""
        result = Plan(warnings=self.scene.warnings)
        changes: List[Change] = []
        faults = Faults()
        faults.each(self.aspects, lambda aspect: aspect.check_host(self.scene))
        for jail in self.scene.jails:
            try:
                with faults:
                    changes.append(self._change(jail))
            except (UnsafePath, Unreadable) as error:
                result.refused[jail.name] = error
        kept = faults.each(self.scene.request.as_they_are, lambda jail: states.change(self.scene, jail, falling.falls(jail.name, self.down)))
        with faults:
            falling.tell(self.scene, [*changes, *kept])
        faults.tell()
        files = SharedFiles()
        for aspect in self.aspects:
            aspect.share(self.scene, changes, files)
        result.before = files.steps()
        result.lanes = lanes(self.scene, [*changes, *kept])
        result.inside = [Lane(change.jail.name, change.inside, needs(change.jail)) for change in changes if change.inside]
        result.settle = lambda failed: self._settle(changes, files.after(), failed)
        result.facts = self._facts(changes, kept)
        return result

    def _change(self, jail: Jail) -> Change:
        written = self._as_written(jail)
        old = written or self.seen.definition(jail.name)
        if old is None:
            refuse_foreign(self.scene, jail)
        change = Change(self.scene, jail, old, running=self.seen.running.get(jail.name))
        if jail.state == "absent":
            self._remove(change)
        elif jail.name not in self.seen.unsafe:
            self._bring(change, written)
        elif jail.state == "stopped" and old is not None:
            self.scene.warnings.append(f"{self.seen.unsafe[jail.name]}. It is stopped, and otherwise left as it is.")
            self._leave_as_it_stands(change, old)
        else:
            raise self.seen.unsafe[jail.name]
        return change

    def _as_written(self, jail: Jail) -> Optional[Definition]:
        """The definition that stands, when its file is just what we would write: it needs no reading, and is what is wanted."""
        text, facts = self.seen.confs.get(jail.name), self.scene.marks.get(jail.name)
        if text is not None and facts is not None and jail.boot_style == "jail_conf" and jail.state != "absent":
            faults = Faults()
            wanted = self._define(jail, Definition(jail.name, "jail_conf", facts), faults)
            if not faults.found and wanted.conf() == text:
                return wanted
        return None

    def _define(self, jail: Jail, old: Optional[Definition], faults: Faults) -> Definition:
        draft = Draft(dict(jail.params))
        faults.each(self.aspects, lambda aspect: aspect.define(self.scene, jail, old, draft))
        with faults:
            return definitions.in_style(jail.name, jail.boot_style, draft.meta, draft.params)
        return Definition(jail.name, jail.boot_style, draft.meta, draft.params)

    # -- a jail that stays

    def _bring(self, change: Change, written: Optional[Definition]) -> None:
        jail, old, faults = change.jail, change.old, Faults()
        change.wanted = wanted = written or self._define(jail, old, faults)
        if old is not None and old.lost:  # jail(8) has to read it when it stops the jail
            change.old = old = replace(old, params=wanted.params)
            change.steps += write_step(definitions.conf_path(jail.name), self.seen.confs[jail.name], wanted.conf())
        faults.each(self.aspects, lambda aspect: aspect.check(change))
        faults.tell()
        change.waits = weighing.waits(change, self.aspects)
        change.stops = change.running is not None and (
            jail.state == "stopped" or weighing.restarts(change) or falling.falls(jail.name, self.down)
        )
        self.down |= {jail.name} if change.stops else set()
        change.new = new = weighing.written(change, wanted, self.aspects)
        self._warn_of_losses(change)
        change.whole = is_whole(self.scene, jail)
        change.files = self.seen.seen.get(jail.name) if change.whole else None
        change.steps += self._stopping(change, old or new)
        for aspect in self.aspects:
            change.steps += aspect.prepare(change)
        if change.live:
            for aspect in self.aspects:
                change.steps += aspect.alter(change)
        elif change.ends_running:
            change.steps.append(life.start(new))
            for aspect in self.aspects:
                change.steps += aspect.after_start(change)
        if change.ends_running:
            change.inside = [step for aspect in self.aspects for step in aspect.inside(change)]

    def _warn_of_losses(self, change: Change) -> None:
        lost = [what for aspect in self.aspects for what in aspect.lost(change)]
        if lost:
            self.scene.warnings.append(
                f"jail {change.jail.name}: what is no longer declared goes: {', '.join(lost)}. Name and state alone leave all else as it is."
            )

    def _stopping(self, change: Change, old: Definition) -> List[Step]:
        if change.stops:
            return [*self._before_stop(change), life.stop(old)]
        if change.running is None and change.old is not None and change.ends_running:
            return life.left_mounted(self.seen, old, runtime.unmount)
        return []

    def _before_stop(self, change: Change) -> List[Step]:
        return [step for aspect in self.aspects for step in aspect.before_stop(change)]

    def _leave_as_it_stands(self, change: Change, old: Definition) -> None:
        """Only stop a jail whose root cannot be entered."""
        change.wanted = change.new = old
        if change.running is not None:
            change.steps.append(life.stop(old))

    # -- a jail that leaves

    def _remove(self, change: Change) -> None:
        old, name = change.old, change.jail.name
        if old is None:
            return
        if old.lost:
            raise Unreadable(
                f"{definitions.conf_path(name)} cannot be read any more, and so not what its stop has to undo", f"jail {name}",
                "Mend the file, or declare the jail once: that writes it anew",
            )
        if change.running is not None:
            change.steps += [*self._before_stop(change), life.leave(old)]
        else:
            change.steps += [life.gone(name)] if name in self.seen.dying else []
            change.steps += life.left_mounted(self.seen, old, runtime.clean_up)
        for aspect in reversed(self.aspects):
            change.steps += aspect.remove(change)

    # -- the host as a whole

    def _settle(self, changes: Sequence[Change], files: SharedFiles, failed: FrozenSet[str]) -> List[Step]:
        steps = [step for aspect in self.aspects for step in aspect.settle(self.scene, changes, failed, files)]
        return [*files.steps(), *steps]

    def _facts(self, changes: Sequence[Change], kept: Sequence[Change]) -> Dict[str, Any]:
        told: Dict[str, Dict[str, Any]] = {}
        for change in (*changes, *kept):
            told[change.jail.name] = facts = {
                "changed": bool(change.steps or change.inside),
                "state": change.jail.state,
                "did": telling.did(change),
                "restart_waits": [] if any(step.what in ("stop", "start") for step in change.steps) else change.waits,
            }
            for aspect in () if change.jail.as_it_is else self.aspects:
                facts.update(aspect.tell(change))
        waits = [what for aspect in self.aspects for what in aspect.reboot_waits(self.scene, changes)]
        return {"jails": told, "reboot_waits": waits}


def verify(host: Host, request: Request, failed: Dict[str, CellblockError]) -> None:
    """After a run: what was to run must run, as jls(8) sees it."""
    listed = outputs.jails(host.run(["jls", "--libxo", "json", "-n", "name"]).out)
    running = {str(jail["name"]) for jail in listed}
    for jail in (*request.jails, *request.as_they_are):
        if jail.state in ("started", "restarted") and jail.name not in running and jail.name not in failed:
            failed[jail.name] = CellblockError(
                "started, but is gone again: nothing runs in it", f"jail {jail.name}",
                "Let params.persist be true, or look at its console log",
            )


def serve_jails(module: AnsibleModule, options: Mapping[str, Any], whole: bool, recall: Recall = NO_RECALL) -> None:
    """The main() of the modules jail and jails."""
    asked: List[Request] = []

    def planner(host: Host) -> Plan:
        asked.append(Request.from_options(options, module.check_mode, whole))
        return plan(host, asked[0])

    serve(
        module, planner, int(options["parallel"]),
        lambda host, failed: verify(host, asked[0], failed), recall=recall,
    )
