# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan of restores: each jail is declared by its set, and made as any jail is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Dict, List, Mapping, Optional, Sequence

from ansible_collections.cellblock.jails.plugins.module_utils.backups import bringing, restoring
from ansible_collections.cellblock.jails.plugins.module_utils.backups.aside import Aside
from ansible_collections.cellblock.jails.plugins.module_utils.backups.declared import Options, options_of
from ansible_collections.cellblock.jails.plugins.module_utils.backups.filling import SetFilling
from ansible_collections.cellblock.jails.plugins.module_utils.backups.finding import Finder
from ansible_collections.cellblock.jails.plugins.module_utils.backups.manifest import Manifest
from ansible_collections.cellblock.jails.plugins.module_utils.backups.reading import Reader
from ansible_collections.cellblock.jails.plugins.module_utils.backups.restored import BEGUN, DONE, FACT, OPEN, Noted
from ansible_collections.cellblock.jails.plugins.module_utils.backups.restoring import Subject
from ansible_collections.cellblock.jails.plugins.module_utils.backups.wishes import Request, Wish
from ansible_collections.cellblock.jails.plugins.module_utils.engine import ask
from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.engine.plan import Lane, Plan, Step
from ansible_collections.cellblock.jails.plugins.module_utils.errors import Faults, InputError, Refused
from ansible_collections.cellblock.jails.plugins.module_utils.jails import planning
from ansible_collections.cellblock.jails.plugins.module_utils.jails import request as requests
from ansible_collections.cellblock.jails.plugins.module_utils.jails.definition import Definition
from ansible_collections.cellblock.jails.plugins.module_utils.jails.model import Jail
from ansible_collections.cellblock.jails.plugins.module_utils.jails.observe import observe
from ansible_collections.cellblock.jails.plugins.module_utils.jails.observed import Observed
from ansible_collections.cellblock.jails.plugins.module_utils.jails.options import JAIL
from ansible_collections.cellblock.jails.plugins.module_utils.jails.roots import dataset_of
from ansible_collections.cellblock.jails.plugins.module_utils.jails.scene import Change, Scene


class _Recording(planning.Planner):
    """Keeps what becomes of each jail."""

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self.changes: Dict[str, Change] = {}

    def _change(self, jail: Jail) -> Change:
        self.changes[jail.name] = change = super()._change(jail)
        return change


def definition_of(manifest: Manifest) -> Definition:
    """The definition that a set keeps."""
    params = {name: list(values) for name, values in manifest.parameters.items()}
    return Definition(manifest.jail, manifest.style, dict(manifest.mark), params)


def declared(manifest: Manifest, wish: Wish) -> Options:
    """The options of a jail by its set, and by what is declared otherwise."""
    found = options_of(definition_of(manifest), manifest.limits, same=wish.name == wish.jail)
    if wish.name != wish.jail:
        found = {key: value for key, value in found.items() if key != "path"}
    if manifest.rulesets:  # by its name: another host may have given it another number
        found["devfs_ruleset"] = next(iter(manifest.rulesets))
    network = {"ip4", "ip6", "networks", "vnet", "interface", "loopback"}
    if set(wish.declare) & {"networks", "vnet"} or (set(wish.declare) & {"ip4", "ip6"} and "networks" in found):
        found = {key: value for key, value in found.items() if key not in network}
    top = manifest.data()[0].properties
    sizes = {key: top[key] for key in ("quota", "reservation") if top.get(key, "0") not in ("0", "none", "-") and key not in wish.declare}
    return {**found, **sizes, **wish.declare, "name": wish.name, "state": "started" if wish.start else "stopped"}


class Planner:
    """Plans what is asked of one host."""

    def __init__(self, host: Host, request: Request) -> None:
        self.host, self.request = host, request
        self.subjects: Dict[str, Subject] = {}
        self.told: Dict[str, Dict[str, Any]] = {}
        self.warnings: List[str] = []
        self.jails: Optional[requests.Request] = None
        self.ours: Dict[str, Definition] = {}
        self.finder = Finder(host, request.destination)

    def plan(self) -> Plan:
        """The whole plan."""
        faults = Faults()
        readers: Dict[str, Reader] = {}
        wishes = {wish.name: wish for wish in self.request.wishes or ()}
        found = faults.each(wishes.values(), lambda wish: (wish.name, self._reader(wish)))
        faults.tell()
        readers.update(found)
        self.jails = self._declared(wishes, readers)
        seen = observe(self.host, self.jails.jails, self.request.storage_path, self.request.storage_dataset)
        self.ours = seen.ours()
        finishing: Dict[str, List[Step]] = {}
        todo = []
        for jail in self.jails.jails:
            steps = self._finished(seen, jail, readers[jail.name])
            if steps is None:
                todo.append(jail)
            else:
                finishing[jail.name] = steps
        for jail in todo:
            self.subjects[jail.name] = self._subject(seen, jail, wishes[jail.name], readers[jail.name])
        return self._plan(seen, finishing)

    def _reader(self, wish: Wish) -> Reader:
        reader = Reader(self.finder.find(wish.jail, wish.set), self.request.decrypt)
        reader.check()
        return reader

    def _declared(self, wishes: Mapping[str, Wish], readers: Mapping[str, Reader]) -> requests.Request:
        from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

        options = [self.options(readers[name].chain.last, wish) for name, wish in wishes.items()]
        spec = {"jails": {"type": "list", "elements": "dict", "options": JAIL}}
        checked = ArgumentSpecValidator(spec).validate({"jails": options})
        if checked.error_messages:
            raise InputError("; ".join(checked.error_messages), "declare")
        storage = {"storage_path": self.request.storage_path, "storage_dataset": self.request.storage_dataset}
        return requests.Request.from_options({**checked.validated_parameters, **storage}, self.request.check_mode, whole=False)

    def options(self, manifest: Manifest, wish: Wish) -> Options:
        """What a jail is declared as."""
        return declared(manifest, wish)

    def clear(self, seen: Observed, subject: Subject) -> None:
        """What was observed, as it will be when the place is free."""
        restoring.clear(seen, subject, self._dataset(subject.jail))

    def said(self, subject: Subject) -> Dict[str, Any]:
        """What the mark says meanwhile."""
        return subject.noted(BEGUN)

    def steps(self, subject: Subject, made: Sequence[Step], new: Definition) -> List[Step]:
        """All steps of one jail."""
        return restoring.lane(subject, made, new, self._dataset(subject.jail))

    def _finished(self, seen: Observed, jail: Jail, reader: Reader) -> Optional[List[Step]]:
        """What is left to do where it stands restored from this set; None where it does not."""
        definition = seen.definition(jail.name)
        noted = definition.meta.get(FACT) if definition is not None else None
        last = reader.chain.last
        if definition is None or not isinstance(noted, dict) or noted.get("phase") == BEGUN or self.request.again:
            return None
        if (noted.get("set"), noted.get("of")) != (last.stamp, last.jail):
            return None
        aside = Aside.read(noted.get("aside"))
        said = {**{key: value for key, value in noted.items() if key != "aside"}, "phase": DONE}
        return [restoring.drop_step(aside, definition, said, self.warnings)] if noted.get("phase") == OPEN and aside is not None else []

    def _subject(self, seen: Observed, jail: Jail, wish: Wish, reader: Reader) -> Subject:
        definition = seen.definition(jail.name)
        noted = definition.meta.get(FACT) if definition is not None else None
        going_on = isinstance(noted, dict) and noted.get("phase") == BEGUN
        old, ran = restoring.find_old(seen, jail.name)
        last = reader.chain.last
        aside = restoring.aside_of(seen, old, jail.name, last.stamp)
        there = aside is not None and aside.there(self.host)
        fresh = wish.name != wish.jail if self.request.fresh is None else self.request.fresh
        count = sum(len(one.streams) for one in reader.chain.sets)
        first = [Step(f"check the digests of {count} file{'' if count == 1 else 's'} of set {last.stamp}", reader.prove)]
        left = Aside.read(noted.get("aside")) if isinstance(noted, dict) and not going_on else None
        if left is not None:  # of a restore that ended, but for this
            first.append(Step(f"remove {left.name}, what it was before its last restore", left.drop))
        elif there and aside is not None and not going_on:
            raise Refused(f"{aside.name} is there, left of an earlier restore", f"jail {jail.name}", "Destroy it when nobody needs it, then run again")
        return Subject(
            jail, last.stamp, last.jail, SetFilling(reader, fresh, key=self.request.key), wish.gate, False, wish.start, old, ran, aside,
            there and going_on, going_on, first, self.warnings,
        )

    def _plan(self, seen: Observed, finishing: Mapping[str, List[Step]]) -> Plan:
        if self.jails is None:
            raise AssertionError
        jails = [self._noted(jail) for jail in self.jails.jails if jail.name in self.subjects]
        before: List[Step] = self._rulesets(seen, jails)
        for jail in jails:
            before += self._base(seen, jail, before)
            self.clear(seen, self.subjects[jail.name])
        scene = Scene(replace(self.jails, jails=jails), seen, jails, seen.marks(), self.warnings)
        for jail in jails:
            filling = self.subjects[jail.name].filling
            filling.check(self._dataset(jail) is not None, f"jail {jail.name}")
            scene.fillings[jail.name] = filling
        planner = _Recording(scene)
        result = planner.plan()
        result.before = [*before, *result.before]
        result.lanes = [Lane(lane.name, self._steps(planner, lane.name, [*lane.first, *lane.steps]), lane.needs) for lane in result.lanes]
        result.lanes += [Lane(name, steps) for name, steps in finishing.items()]
        self._tell(result, finishing)
        return result

    def _noted(self, jail: Jail) -> Jail:
        return replace(jail, own={**jail.own, FACT: Noted(self.said(self.subjects[jail.name]))})

    def _dataset(self, jail: Jail) -> Optional[str]:
        return dataset_of(jail, self.request.storage_dataset, self.request.storage_path)

    def _steps(self, planner: _Recording, name: str, made: List[Step]) -> List[Step]:
        change = planner.changes.get(name)
        if change is None or change.new is None:
            return made
        return self.steps(self.subjects[name], made, change.new)

    def _rulesets(self, seen: Observed, jails: Sequence[Jail]) -> List[Step]:
        """The rulesets that this host does not have."""
        missing: Dict[str, Sequence[str]] = {}
        for jail in jails:
            filling = self.subjects[jail.name].filling
            known = filling.reader.chain.last.rulesets
            missing.update({name: rules for name, rules in known.items() if name == jail.ruleset and name not in seen.rulesets})
        if not missing:
            return []
        from ansible_collections.cellblock.jails.plugins.module_utils.host import rulesets

        asked = [{"name": name, "state": "present", "rules": list(rules), "load": True, "apply": False} for name, rules in missing.items()]
        made = rulesets.plan_all(self.host, asked)
        seen.rulesets.update({name: told["number"] for name, told in made.facts["rulesets"].items()})
        return made.before

    def _base(self, seen: Observed, jail: Jail, coming: List[Step]) -> List[Step]:
        """The base of a thin jail, when this host does not have it."""
        if jail.root != "thin" or jail.base is None:
            return []
        path = jail.base_path(self.request.storage_path)
        filling = self.subjects[jail.name].filling
        if path in seen.directories:
            self._compare_base(jail, path, filling.reader.chain.last)
            return []
        steps = bringing.steps(filling.reader, jail.base, self.request.storage_path, self.request.storage_dataset, f"jail {jail.name}")
        seen.directories.add(path)
        seen.datasets = {**(seen.datasets or {}), **bringing.observed(jail.base, self.request.storage_path, self.request.storage_dataset)} or None
        return steps

    def _compare_base(self, jail: Jail, path: str, last: Manifest) -> None:
        there, was = ask.version(self.host, path), last.base.get("version", "")
        if was and there and there != was:
            self.warnings.append(f"jail {jail.name}: it was backed up on base {jail.base} at {was}, and that is {there} here")

    def _tell(self, result: Plan, finishing: Mapping[str, List[Step]]) -> None:
        told: Dict[str, Dict[str, Any]] = result.facts.get("jails", {})
        for name, subject in self.subjects.items():
            told.setdefault(name, {}).update(changed=True, set=subject.set, of=subject.of, did=f"restored from set {subject.set}")
            if subject.old is not None:
                told[name]["replaced"] = True
        for name, steps in finishing.items():
            told[name] = {"changed": bool(steps), "did": "restored" if steps else ""}
        result.facts = {"jails": told}
