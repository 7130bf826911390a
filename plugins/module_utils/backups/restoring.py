# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps of a restore around those that make any jail: what stood in its place is moved aside until it runs, and back if it does not."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from ansible_collections.cellblock.jails.plugins.module_utils.backups.aside import Aside
from ansible_collections.cellblock.jails.plugins.module_utils.backups.filling import SetFilling
from ansible_collections.cellblock.jails.plugins.module_utils.backups.restored import BEGUN, DONE, FACT, GUARD, OPEN
from ansible_collections.cellblock.jails.plugins.module_utils.engine import ask, storage
from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.engine.plan import Step
from ansible_collections.cellblock.jails.plugins.module_utils.errors import Refused
from ansible_collections.cellblock.jails.plugins.module_utils.jails import runtime
from ansible_collections.cellblock.jails.plugins.module_utils.jails.definition import Definition
from ansible_collections.cellblock.jails.plugins.module_utils.jails.model import Jail
from ansible_collections.cellblock.jails.plugins.module_utils.jails.observed import Observed, partial
from ansible_collections.cellblock.jails.plugins.module_utils.upgrades import closing, gate, marking
from ansible_collections.cellblock.jails.plugins.module_utils.upgrades.model import Gate, parts


@dataclass(frozen=True)
class Subject:
    """A jail that is restored.

    :param jail: as it is declared by its set, and by what is declared otherwise.
    :param set: the set's stamp.
    :param of: the jail that the set is of.
    :param filling: what fills its root.
    :param gate: what must hold of it.
    :param busy: whether something ran in it when the set was taken.
    :param start: whether it is to run.
    :param old: the definition of the jail that stands in its place.
    :param ran: whether that one runs.
    :param aside: where that one's root goes.
    :param is_aside: whether it is there already, by a run that was cut off.
    :param going_on: whether such a run is gone on with.
    :param first: what is done before anything is touched.
    :param warnings: what the operator should know learns of what is left.
    """

    jail: Jail
    set: str
    of: str
    filling: SetFilling
    gate: Gate
    busy: bool
    start: bool
    old: Optional[Definition] = None
    ran: bool = False
    aside: Optional[Aside] = None
    is_aside: bool = False
    going_on: bool = False
    first: Sequence[Step] = ()
    warnings: List[str] = field(default_factory=list)

    def noted(self, phase: str, **more: Any) -> Dict[str, Any]:
        """What the mark is to say."""
        said: Dict[str, Any] = {"phase": phase, "set": self.set, "of": self.of, "at": int(time.time())}
        if self.aside is not None and phase != DONE:
            said["aside"] = self.aside.noted()
        if self.old is not None and phase == BEGUN:
            said["was"] = {"meta": dict(self.old.meta), "params": dict(self.old.params), "style": self.old.style, "ran": self.ran}
        return {**said, **more}


def find_old(seen: Observed, name: str) -> Tuple[Optional[Definition], bool]:
    """The definition of the jail that stands in a place, and whether it is to run when it comes back."""
    old = seen.definition(name)
    running = name in seen.running
    cut = old.meta.get(FACT) if old is not None else None
    if old is None or not isinstance(cut, dict) or cut.get("phase") != BEGUN:
        return (replace(old, meta={key: value for key, value in old.meta.items() if key != FACT}) if old is not None else None), running
    was = cut.get("was")
    if not was:  # nothing stood there
        return None, False
    return Definition(name, str(was["style"]), was["meta"], was["params"]), bool(was.get("ran"))


def aside_of(seen: Observed, old: Optional[Definition], name: str, stamp: str) -> Optional[Aside]:
    """Where the root of a jail goes that stands in another's place; where a run that was cut off has put it."""
    if old is None:
        return None
    cut = seen.definition(name)
    noted = cut.meta.get(FACT) if cut is not None else None
    if isinstance(noted, dict) and noted.get("phase") == BEGUN and noted.get("aside"):
        return Aside.read(noted["aside"])
    return Aside(old.root, stamp, old.meta.get("dataset"))


def clear(seen: Observed, subject: Subject, dataset: Optional[str]) -> None:
    """Let what was observed be as it will be when what stands there has stopped and was moved aside."""
    name = subject.jail.name
    cut = seen.definition(name)
    seen.running.pop(name, None)
    if cut is not None:
        facts = {"root": subject.jail.root, "base": subject.jail.base, "path": subject.jail.path}
        meta = {key: value for key, value in cut.meta.items() if key not in ("dataset", "waits", "upgrade")}
        as_if = replace(cut, meta={**meta, **facts, **({"dataset": dataset} if dataset is not None else {})})
        if cut.style == "jail_conf":
            seen.confs[name] = as_if.conf()
        else:
            seen.groups[name] = as_if
    aside, root = subject.aside, subject.jail.path
    seen.mounts = [mount for mount in seen.mounts if not mount.node.startswith(f"{root}/")]  # its stop takes them away
    if aside is None or subject.is_aside:
        return
    seen.directories.discard(aside.root)
    seen.filled.discard(aside.root)
    if aside.dataset is not None:
        kept = {key: value for key, value in (seen.datasets or {}).items() if key.partition("@")[0] != aside.dataset}
        seen.datasets = kept
    seen.seen.pop(name, None)


# -- steps around those that make any jail


def lane(subject: Subject, made: Sequence[Step], new: Definition, dataset: Optional[str]) -> List[Step]:
    """All steps of one jail.

    :param made: those that make any jail so.
    :param new: its definition, guarded.
    :param dataset: of its root.
    """
    around = [step for step in made if step.what not in ("start", "stop")]
    steps = [*subject.first, _begin(subject), *_clear_steps(subject, dataset), *around]
    final = unguarded(new)
    if subject.start:
        steps += [_start(final), _gate(subject, final)]
    return [*steps, *_finish(subject, final)]


def unguarded(definition: Definition) -> Definition:
    """The same as a boot may start it."""
    return definition.unbarred(GUARD)


def _guarded(definition: Definition, said: Mapping[str, Any]) -> Definition:
    noted = definition.noting(FACT, said)
    return noted.barred(GUARD) if definition.style == "jail_conf" else noted


def _begin(subject: Subject) -> Step:
    old = subject.old
    if old is None or subject.going_on:
        what = "go on with its restore, which was cut off" if subject.going_on else f"begin its restore from set {subject.set} of jail {subject.of}"
        return Step(what, lambda host: None)
    return Step(
        f"note that its restore from set {subject.set} of jail {subject.of} begins",
        lambda host: marking.put(host, _guarded(old, subject.noted(BEGUN))), lambda host: marking.put(host, old),
    )


def _clear_steps(subject: Subject, dataset: Optional[str]) -> List[Step]:
    """Stop what stands there, and move it aside."""
    old, aside, jail = subject.old, subject.aside, subject.jail
    if old is None or aside is None:
        return _stop_cut(subject)

    def stop(host: Host) -> None:
        closing.stop(host, old, quite=True)

    def start(host: Host) -> None:
        marking.put(host, old)
        if subject.ran:
            runtime.start(host, old)

    steps = [Step("stop", stop, start, f"jail {jail.name}", "running\n" if subject.ran else "", "")]
    steps.append(Step(
        f"move {aside.dataset or aside.root} aside to {aside.name}", aside.move, aside.back, aside.root, f"{aside.root}\n", f"{aside.name}\n",
    ))
    if subject.is_aside:  # what is whole of the new root is not made again, and so not undone by its own step
        steps.append(Step("take what was restored until then", lambda host: None, lambda host: remove_root(host, subject, dataset)))
    return steps


def _stop_cut(subject: Subject) -> List[Step]:
    """Stop what a run that was cut off has started."""
    name = subject.jail.name
    cut = Definition(name, subject.jail.boot_style, {}, {"path": [subject.jail.path]})
    return [Step("stop", lambda host: closing.stop(host, cut, quite=True))] if subject.going_on else []


def remove_root(host: Host, subject: Subject, dataset: Optional[str]) -> None:
    """Take away what was restored of a root."""
    subject.filling.clear(host, dataset)
    if dataset is not None:
        storage.destroy_dataset(host, dataset)
    else:
        storage.remove_tree(host, partial(subject.jail.path))
        storage.remove_tree(host, subject.jail.path, ask.mounts(host))


def _start(final: Definition) -> Step:
    return Step(
        "start", lambda host: closing.start(host, final), lambda host: closing.stop(host, final, quite=True), f"jail {final.name}", "stopped\n", "running\n",
    )


def _gate(subject: Subject, final: Definition) -> Step:
    addresses = parts([text for param in ("ip4.addr", "ip6.addr") for text in final.params.get(param, [])])
    asked = subject.gate
    listed = " and ".join(gate.words(asked, subject.busy))
    within = ["jexec", "-l", final.name] if closing.has_stack(final) else []
    return Step(
        f"wait until {listed}, {asked.times} times in a row, for at most {asked.within} s",
        lambda host: gate.wait(host, final.name, asked, subject.busy, addresses, within),
    )


def _finish(subject: Subject, final: Definition) -> List[Step]:
    """From here on it counts as restored; what it was before goes."""
    said = subject.noted(OPEN if subject.aside is not None else DONE)
    opened = replace(final, meta={**final.meta, FACT: said})
    steps = [Step(f"note that it was restored from set {subject.set}", lambda host: marking.put(host, opened))]
    return [*steps, drop_step(subject.aside, final, subject.noted(DONE), subject.warnings)] if subject.aside is not None else steps


def drop_step(aside: Aside, final: Definition, said: Mapping[str, Any], warnings: List[str]) -> Step:
    """The step that removes what was moved aside; what others hold on to stays, and that is told."""

    def do(host: Host) -> None:
        try:
            aside.drop(host)
        except Refused as error:
            warnings.append(f"jail {final.name}: what it was before stays at {aside.name}. {error}")
        marking.put(host, replace(final, meta={**final.meta, FACT: dict(said)}))

    return Step(f"remove {aside.name}, what it was before", do, None, aside.name, f"{aside.name}\n", "")
