# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps of an upgrade: what fails before the jail is open is undone by the steps' own undo, backwards."""

from __future__ import annotations

import time
from typing import Any, Callable, List, Optional

from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.engine.plan import Step
from ansible_collections.cellblock.jails.plugins.module_utils.errors import CellblockError, HostError
from ansible_collections.cellblock.jails.plugins.module_utils.formats.secrets import hide
from ansible_collections.cellblock.jails.plugins.module_utils.jails import definition as definitions
from ansible_collections.cellblock.jails.plugins.module_utils.jails import runtime
from ansible_collections.cellblock.jails.plugins.module_utils.jails.definition import Definition
from ansible_collections.cellblock.jails.plugins.module_utils.networks.join import joins_of
from ansible_collections.cellblock.jails.plugins.module_utils.upgrades import applying, closing, gate, marking
from ansible_collections.cellblock.jails.plugins.module_utils.upgrades.keeping import beside
from ansible_collections.cellblock.jails.plugins.module_utils.upgrades.model import (
    BACK,
    BEGUN,
    CHANGED,
    DONE,
    FACT,
    OPEN,
    RESTORED,
    TAKEN_BACK,
    UNWELL,
    parts,
)
from ansible_collections.cellblock.jails.plugins.module_utils.upgrades.subject import Subject

SAID = 400  # characters of last words that a mark keeps


def now() -> int:
    """The time, seconds since 1970."""
    return int(time.time())


def forward(one: Subject) -> List[Step]:
    """From the old base to the new one."""
    steps = [_begin(one)] if one.resumed is None else [_go_on(one)]
    if one.resumed is not None and one.resumed.get("phase") == OPEN:
        return [*steps, _open(one), *_restart(one), _finish(one)]
    if one.way.kind != "merge":
        steps.append(Step(f"fetch {one.way.words()}", one.way.fetch))
    since: List[int] = []
    copied = one.running and one.keep.wanted and not one.keep.datasets and not one.kept_already
    if copied:
        steps.append(Step(f"{one.keep.words()}, while it runs", lambda host: _begin_copy(host, one, since), one.keep.drop))
    steps += [_down(one, follower) for follower in one.followers]
    if one.running or one.resumed is not None:
        steps.append(Step(
            "stop", lambda host: _stop(host, one), lambda host: _back_up(host, one), f"jail {one.name}", "running\n", "stopped\n",
        ))
    if one.keep.wanted and not one.kept_already and one.cut is None:
        what = f"bring {beside(one.root, 'before')} up to date" if copied else one.keep.words()
        steps.append(Step(what, lambda host: one.keep.take(host, since[0] if since else None), one.keep.drop))
    steps += [_change(one), *_move(one)]
    if one.wish.packages == "upgrade":
        steps.append(Step("upgrade the packages inside", lambda host: _packages(host, one)))
    if one.ran:
        steps += [_start(one), _gate(one), _open(one)]
    return [*steps, *_restart(one), _finish(one)]


def _begin_copy(host: Host, one: Subject, since: List[int]) -> None:
    since.append(now())
    one.keep.begin(host)


# -- what a mark says on the way


def note(host: Host, definition: Definition, said: Any) -> None:
    """Let a mark say it."""
    marking.put(host, marking.noting(definition, said))


def _begin(one: Subject) -> Step:
    def undo(host: Host) -> None:
        one_said = one.noted(TAKEN_BACK, now(), keep=None, said=one.outcome.said)
        note(host, one.before, one_said if one.outcome.said else one.before.meta.get(FACT))

    return Step(f"note that its upgrade from {one.old} to {one.new} begins", lambda host: note(host, one.before, one.noted(BEGUN, now())), undo)


def _go_on(one: Subject) -> Step:
    def undo(host: Host) -> None:
        note(host, one.before, one.noted(TAKEN_BACK, now(), keep=None, said=one.outcome.said))

    return Step(f"go on with its upgrade from {one.old} to {one.new}, which was cut off", lambda host: None, undo)


def _finish(one: Subject) -> Step:
    def do(host: Host) -> None:
        phase = UNWELL if one.outcome.said else DONE
        note(host, one.after, one.noted(phase, now(), **({"said": one.outcome.said} if one.outcome.said else {})))
        if one.previous is not None:
            _late(one, lambda: one.previous.drop(host) if one.previous is not None else None)

    return Step(f"note that it stands on {one.new}", do)


# -- down and up


def _down(one: Subject, follower: Definition) -> Step:
    why = "is in it" if follower.name.startswith(f"{one.name}.") else f"depends on {one.name}"
    return Step(
        f"stop {follower.name}, which {why}", lambda host: runtime.stop(host, follower), lambda host: runtime.start(host, follower),
        f"jail {follower.name}", "running\n", "stopped\n",
    )


def _restart(one: Subject) -> List[Step]:
    """Those that were stopped for it; their failure takes nothing back."""

    def do(follower: Definition) -> Callable[[Host], None]:
        return lambda host: _late(one, lambda: runtime.start(host, follower))

    return [
        Step(f"start {follower.name}", do(follower), None, f"jail {follower.name}", "stopped\n", "running\n")
        for follower in reversed(one.followers)
    ]


def _late(one: Subject, do: Callable[[], None]) -> None:
    try:
        do()
    except CellblockError as error:
        one.outcome.late.append(error)


def _stop(host: Host, one: Subject) -> None:
    one.outcome.stopped = time.monotonic()
    closing.stop(host, one.after if one.resumed is not None else one.before)
    if one.resumed is not None:
        runtime.clean_up(host, one.before)
    note(host, marking.guarded(one.after if one.resumed is not None else one.before), one.noted(BEGUN, now()))


def _back_up(host: Host, one: Subject) -> None:
    note(host, one.before, one.noted(BEGUN, now()))
    if one.ran:
        runtime.start(host, one.before)


def _start(one: Subject) -> Step:
    open_why = closing.why_open(one.after)
    how = f"start, open at once: {open_why}" if open_why else "start, reached by nobody yet"
    return Step(
        how, lambda host: _heard(one, lambda: closing.start(host, closing.closed(one.after))),
        lambda host: closing.stop(host, one.after), f"jail {one.name}", "stopped\n", "running\n",
    )


def _gate(one: Subject) -> Step:
    asked = one.wish.gate
    addresses = parts([text for family in closing.FAMILIES for text in one.after.params.get(family, [])])
    addresses += [address for member in joins_of(one.after.meta) for address in member.addresses()]
    apart = closing.has_stack(one.after) and closing.why_open(one.after) is None
    within = ["jexec", "-l", one.name] if apart else []

    def do(host: Host) -> None:
        try:
            gate.wait(host, one.name, asked, one.busy, addresses, within)
        except HostError as error:
            one.outcome.said = hide(str(error))[:SAID]
            if closing.why_open(one.after) is not None and gate.serves(host, one.name):
                one.outcome.late.append(HostError(
                    f"{error.what}; it may have served somebody, and so stays on {one.new}", error.where,
                    "Mend it, or take the upgrade back by state: rolled_back",
                ))
                return
            raise

    listed = ", ".join(gate.words(asked, one.busy))
    return Step(f"wait until {listed}, {asked.times} times in a row, for at most {asked.within} s", do)


def _open(one: Subject) -> Step:
    def do(host: Host) -> None:
        if one.outcome.late:
            return
        note(host, one.after, one.noted(OPEN, now()))
        if not runtime.alive(host, one.name):
            runtime.start(host, one.after)
        closing.open_up(host, one.after)
        if one.outcome.stopped is not None:
            one.outcome.down = time.monotonic() - one.outcome.stopped
        if applying.wants_newaliases(host, one.root, one.merge):
            _late(one, lambda: _newaliases(host, one.name))

    return Step("open", do)


def _newaliases(host: Host, name: str) -> None:
    host.run(["jexec", "-l", name, "/usr/bin/newaliases"], timeout=60, where=f"jail {name}")


# -- the change itself


def _change(one: Subject) -> Step:
    bases = one.bases

    def do(host: Host) -> None:
        if bases is not None and one.cut is not None:
            one.cut.make(host, one.name, bases, one.wish.merge)
        elif bases is not None:
            applying.apply(host, one.name, one.root, bases, one.wish.merge)
        else:
            one.way.bring(host)

    before, after = applying.told(one.merge)
    what = one.way.words() if bases is None else f"merge {len(one.merge.changes)} paths of {one.new} into its root"
    if one.cut is not None:
        what = f"let a new clone of {one.new} take the place of {one.cut.dataset}, which becomes {one.cut.aside}"
    if one.merge.kept:
        what += f", its own word stands at {', '.join('/' + path for path in one.merge.kept[:10])}"

    def back(host: Host) -> None:
        runtime.wait_dead(host, one.name)  # a closed connection holds the root
        one.keep.restore(host)

    undo: Optional[Callable[[Host], None]] = back if one.keep.wanted else None
    return Step(what, lambda host: _heard(one, lambda: do(host)), undo, one.root, before, after)


def _move(one: Subject) -> List[Step]:
    """The definition on the new base."""
    if one.after == one.before:
        return []
    path = definitions.conf_path(one.name) if one.before.style == "jail_conf" else definitions.RC_CONF
    return [Step(
        f"let it stand on {one.new}", lambda host: note(host, marking.guarded(one.after), one.noted(CHANGED, now())),
        lambda host: note(host, marking.guarded(one.before), one.noted(BEGUN, now())), path,
        marking.noting(one.before, None).conf(), marking.noting(one.after, None).conf(),
    )]


def _heard(one: Subject, do: Callable[[], None]) -> None:
    """Keep the last words of what fails."""
    try:
        do()
    except (CellblockError, OSError) as error:
        one.outcome.said = hide(str(error))[:SAID]
        raise


def _packages(host: Host, one: Subject) -> None:
    """Inside, with nothing of the jail's own running: the servers of packages are asked by its own network."""
    alone = closing.bare(one.after)

    def do() -> None:
        closing.start(host, alone)
        try:
            words = ["-f"] if one.old.version.split(".")[0] != one.new.version.split(".")[0] else []
            argv = ["pkg", "-o", "IGNORE_OSVERSION=yes", "-j", one.name, "upgrade", "-y", *words]
            host.run(argv, timeout=7200, env={"ASSUME_ALWAYS_YES": "yes"}, where=f"jail {one.name}")
        finally:
            closing.stop(host, alone)

    _heard(one, do)


# -- the way back


def backward(one: Subject, why: str) -> List[Step]:
    """From the new base to the old one, by what was kept.

    :param one: ``before`` is the definition on the old base, ``after`` the one that stands.
    :param why: in words.
    """
    steps: List[Step] = []
    phase = (one.resumed or {}).get("phase")
    if phase != RESTORED:
        steps.append(Step(f"take its upgrade to {one.new} back: {why}", lambda host: note(host, marking.guarded(one.after), one.noted(BACK, now()))))
        steps += [_down(one, follower) for follower in one.followers]
        steps.append(Step("stop", lambda host: _stop_any(host, one), None, f"jail {one.name}", "running\n" if one.running else "", ""))
        if one.keep.wanted:
            steps.append(Step(f"bring back {', '.join(one.keep.names()) or one.root}", one.keep.restore, None, one.root, f"{one.new}\n", f"{one.old}\n"))
        steps.append(Step(f"let it stand on {one.old}", lambda host: note(host, one.before, one.noted(RESTORED, now()))))
    if one.ran:
        steps.append(Step("start", lambda host: runtime.start(host, one.before), None, f"jail {one.name}", "stopped\n", "running\n"))
    return [*steps, *_restart(one), _taken_back(one, why)]


def _stop_any(host: Host, one: Subject) -> None:
    closing.stop(host, one.after, quite=True)
    runtime.clean_up(host, one.before)


def _taken_back(one: Subject, why: str) -> Step:
    def do(host: Host) -> None:
        note(host, one.before, one.noted(TAKEN_BACK, now(), keep=None, said=why))
        _late(one, lambda: one.keep.drop(host))

    return Step(f"note that it stands on {one.old} again", do)
