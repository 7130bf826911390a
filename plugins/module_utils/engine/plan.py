# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a plan is: ordered steps, each with its before and after. Making one touches nothing."""

from __future__ import annotations

import stat
from dataclasses import dataclass, field, replace
from typing import Any, Callable, Dict, FrozenSet, Iterable, Iterator, List, Mapping, Optional, Sequence, Tuple

from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.errors import CellblockError


@dataclass(frozen=True)
class Step:
    """One change of the host.

    A step is idempotent by itself: taken twice, it ends the same. A run that dies between any two
    steps is finished by the next run.

    :param what: the change in words, such as ``create dataset zroot/jails/web``; the same words in
        check mode and in a run, and without secrets.
    :param do: takes the step.
    :param undo: takes it back when a later step of the same lane fails; None when nothing is left to undo.
    :param label: what the diff is about, usually a path; "" when the step has no diff of its own.
    :param before: the text before, secrets hidden.
    :param after: the text after, secrets hidden.
    """

    what: str
    do: Callable[[Host], None] = field(compare=False)
    undo: Optional[Callable[[Host], None]] = field(default=None, compare=False)
    label: str = ""
    before: str = ""
    after: str = ""


@dataclass(frozen=True)
class Lane:
    """The steps of one subject (a jail), in order. Lanes are independent but for ``needs``.

    :param name: the subject.
    :param steps: its steps.
    :param needs: the lanes that must have ended well before this one starts.
    :param first: what goes down before what it needs goes down, such as its stop: taken in the reverse order
        of ``needs``, before ``steps``, and undone when those fail or cannot begin.
    """

    name: str
    steps: Sequence[Step]
    needs: Sequence[str] = ()
    first: Sequence[Step] = ()


def apart(lanes: Sequence[Lane], stops: Mapping[str, Iterable[str]]) -> List[Lane]:
    """The same lanes, those that stop the same jails one after another.

    :param stops: the jails that a lane stops besides its own.
    """
    touched = {lane.name: {lane.name, *stops.get(lane.name, ())} for lane in lanes}
    return [
        replace(lane, needs=tuple(other.name for other in lanes[:place] if touched[other.name] & touched[lane.name]))
        for place, lane in enumerate(lanes)
    ]


@dataclass
class Plan:
    """The way from what is to what is wanted.

    :param before: steps of the host as a whole, taken first, one by one.
    :param lanes: steps of each subject, side by side.
    :param settle: the steps of the host as a whole that come last, given the names of the lanes that
        failed: what failed must not be left in a shared file.
    :param inside: what runs inside of jails, for as long as they like: it comes after all else, and without the host's lock.
    :param refused: subjects that cannot be planned for, such as a jail that planted a link; the others can.
    :param facts: what the module returns besides.
    :param warnings: what the operator should know.
    :param settled: the last steps as they were taken; None as long as nobody knows what fails.
    :param states: what became of the steps that were taken: ``taken``, ``failed`` or ``undone``, by their ``id()``.
    """

    before: List[Step] = field(default_factory=list)
    lanes: List[Lane] = field(default_factory=list)
    settle: Callable[[FrozenSet[str]], List[Step]] = lambda failed: []
    inside: List[Lane] = field(default_factory=list)
    refused: Dict[str, CellblockError] = field(default_factory=dict)
    facts: Dict[str, Any] = field(default_factory=dict)
    warnings: List[str] = field(default_factory=list)
    settled: Optional[List[Step]] = None
    states: Dict[int, str] = field(default_factory=dict)

    def steps(self) -> Iterator[Step]:
        """Every step, in the order in which they are told."""
        yield from (step for _subject, step in self._subjects())

    def told(self, state: Optional[str] = None) -> List[str]:
        """The steps in words.

        :param state: only those of which this became; ``not reached`` are those that were never begun.
        """
        return [
            f"{subject}: {step.what}" if subject else step.what
            for subject, step in self._subjects() if state in (None, self._state(step))
        ]

    def _state(self, step: Step) -> str:
        return self.states.get(id(step), "not reached")

    def _subjects(self) -> Iterator[Tuple[str, Step]]:
        yield from (("", step) for step in self.before)
        yield from ((lane.name, step) for lane in reversed(self.lanes) for step in lane.first)
        yield from ((lane.name, step) for lane in self.lanes for step in lane.steps)
        yield from (("", step) for step in (self.settle(frozenset()) if self.settled is None else self.settled))
        yield from ((lane.name, step) for lane in self.inside for step in lane.steps)

    def diff(self, state: Optional[str] = None) -> List[Dict[str, str]]:
        """The steps' before and after, as Ansible shows them; of all, or of those of which this became."""
        return [
            {"before_header": step.label, "after_header": step.label, "before": step.before, "after": step.after}
            for step in self.steps()
            if step.label and step.before != step.after and state in (None, self._state(step))
        ]


def write_step(
    path: str, before: Optional[str], after: Optional[str], what: Optional[str] = None, links: bool = False,
) -> List[Step]:
    """The step that brings one of the host's own files to a text (None: away); none when it is there already.

    :param links: whether a link to it stays when it goes: then it is empty.
    """
    if before == after:
        return []
    verb = "remove" if after is None else "write"

    def put(host: Host, text: Optional[str]) -> None:
        found = host.lstat(path) if text is None and links else None
        if found is not None and stat.S_ISLNK(found.st_mode):
            host.write(path, "")
        elif text is None:
            host.remove(path)
        else:
            host.write(path, text)

    return [
        Step(
            what or f"{verb} {path}",
            lambda host: put(host, after),
            lambda host: put(host, before),
            path, before or "", after or "",
        )
    ]
