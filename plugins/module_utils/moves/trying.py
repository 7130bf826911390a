# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A jail that has come is defined as any jail is, tried where nobody reaches it, and opened."""

from __future__ import annotations

from typing import TYPE_CHECKING, List

from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.engine.plan import Lane, Plan, Step
from ansible_collections.cellblock.jails.plugins.module_utils.errors import HostError, Refused
from ansible_collections.cellblock.jails.plugins.module_utils.jails import runtime
from ansible_collections.cellblock.jails.plugins.module_utils.jails.definition import Definition
from ansible_collections.cellblock.jails.plugins.module_utils.jails.planning import Planner
from ansible_collections.cellblock.jails.plugins.module_utils.jails.request import Request
from ansible_collections.cellblock.jails.plugins.module_utils.jails.scene import Scene
from ansible_collections.cellblock.jails.plugins.module_utils.moves import journal
from ansible_collections.cellblock.jails.plugins.module_utils.moves.journal import HERE, PLACED
from ansible_collections.cellblock.jails.plugins.module_utils.networks.join import joins_of
from ansible_collections.cellblock.jails.plugins.module_utils.upgrades import closing, gate
from ansible_collections.cellblock.jails.plugins.module_utils.upgrades.model import Gate, parts

if TYPE_CHECKING:
    from ansible_collections.cellblock.jails.plugins.module_utils.moves.target import Target


def start(target: Target, wish: Gate) -> Plan:
    """Define it as any jail is defined, try it where nobody reaches it, and open it."""
    if target.here and target.noted.get("phase", HERE) == HERE:
        return Plan(facts={"move": target.told})
    if target.noted.get("phase") != PLACED:
        raise Refused("it has not come whole", f"jail {target.name}", "Run the playbook from its beginning")
    if target.name in target.seen.running:
        raise Refused("it runs already, though it was not tried", f"jail {target.name}", "Run the playbook from its beginning")
    for known in (target.seen.confs, target.seen.groups):
        known.pop(target.name, None)  # what a run that was cut off left is written anew, and goes when this one fails
    target.seen.filled.discard(target.place.path)
    request = Request([target.jail], target.storage_path, target.storage_dataset, whole=False)
    plan = Planner(Scene(request, target.seen, [target.jail], target.seen.marks())).plan()
    made = [step for lane in plan.lanes for step in (*lane.first, *lane.steps)]
    if target.offer.ran:
        made += [_start(target), _gate(target, wish), _open(target)]
    plan.lanes, plan.facts, settle = [Lane(target.name, made)], {"move": target.told}, plan.settle
    ended = Step(f"note that it has come from {target.offer.host}", lambda host: journal.save(host, target.name, {**target.noted, "phase": HERE}))
    plan.settle = lambda failed: [*settle(failed), *([] if failed else [ended])]
    return plan


def _start(target: Target) -> Step:
    def do(host: Host) -> None:
        definition = journal.read(host, target.name)
        if not runtime.alive(host, target.name):
            closing.start(host, closing.closed(definition))

    return Step("start, reached by nobody yet", do, lambda host: stopped(target, host), f"jail {target.name}", "stopped\n", "running\n")


def stopped(target: Target, host: Host) -> None:
    closing.stop(host, journal.read(host, target.name), quite=True)


def _gate(target: Target, wish: Gate) -> Step:
    def do(host: Host) -> None:
        definition = journal.read(host, target.name)
        apart = closing.has_stack(definition) and closing.why_open(definition) is None
        try:
            gate.wait(host, target.name, wish, target.offer.busy, _addresses(definition), ["jexec", "-l", target.name] if apart else [])
        except HostError as error:
            if closing.why_open(definition) is not None and gate.serves(host, target.name):
                target.told["unwell"] = str(error)  # it may have served somebody: what they wrote must not be lost
                return
            raise

    listed = ", ".join(gate.words(wish, target.offer.busy))
    return Step(f"wait until {listed}, {wish.times} times in a row, for at most {wish.within} s", do)


def _open(target: Target) -> Step:
    return Step("open", lambda host: closing.open_up(host, journal.read(host, target.name)))


def _addresses(definition: Definition) -> List[str]:
    found = parts([text for family in closing.FAMILIES for text in definition.params.get(family, [])])
    return found + [address for member in joins_of(definition.meta) for address in member.addresses()]
