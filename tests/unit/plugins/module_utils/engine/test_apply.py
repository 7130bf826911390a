# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""After a failure, what was taken, failed, was undone and was never begun are told apart."""

from __future__ import annotations

from typing import List

from ansible_collections.cellblock.jails.plugins.module_utils.engine.apply import take
from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.engine.plan import Lane, Plan, Step
from ansible_collections.cellblock.jails.plugins.module_utils.errors import HostError


def test_what_became_of_each_step_is_told() -> None:
    done: List[str] = []

    def fail(_host: Host) -> None:
        raise HostError("no")

    web = [
        Step("make", lambda host: done.append("make"), lambda host: done.append("unmake")),
        Step("note", lambda host: done.append("note")),
        Step("start", fail, lambda host: done.append("stop")),
        Step("look", lambda host: done.append("look")),
    ]
    plan = Plan(
        lanes=[Lane("web", web), Lane("db", [Step("make", lambda host: None)]), Lane("app", [Step("make", fail)], ("web",))],
        settle=lambda failed: [Step(f"list without {', '.join(sorted(failed))}", lambda host: None)],
    )
    failed = take(Host(), plan, 1)
    assert sorted(failed) == ["app", "web"]
    assert done == ["make", "note", "stop", "unmake"]
    assert plan.told("taken") == ["web: note", "db: make", "list without app, web"]
    assert plan.told("failed") == ["web: start"]
    assert plan.told("undone") == ["web: make"]
    assert plan.told("not reached") == ["web: look", "app: make"]


def test_dependants_go_down_first_and_come_up_last() -> None:
    done: List[str] = []

    def lane(name: str, *needs: str, broken: bool = False) -> Lane:
        def start(_host: Host) -> None:
            if broken:
                raise HostError("no")
            done.append(f"{name} up")

        stop = Step("stop", lambda host: done.append(f"{name} down"), lambda host: done.append(f"{name} up again"))
        return Lane(name, [Step("start", start)], needs, [stop])

    assert take(Host(), Plan(lanes=[lane("db"), lane("app", "db"), lane("web", "app")]), 4) == {}
    assert done == ["web down", "app down", "db down", "db up", "app up", "web up"]
    done.clear()
    failed = take(Host(), Plan(lanes=[lane("db", broken=True), lane("app", "db"), lane("web", "app")]), 4)
    assert sorted(failed) == ["app", "db", "web"]
    assert done == ["web down", "app down", "db down", "db up again", "app up again", "web up again"]


def test_a_dependant_that_does_not_stop_keeps_what_it_needs_up() -> None:
    def fail(_host: Host) -> None:
        raise HostError("no")

    done: List[str] = []
    start = [Step("start", lambda host: done.append("up"))]
    lanes = [
        Lane("db", start, (), [Step("stop", lambda host: done.append("down"))]), Lane("web", start, ("db",), [Step("stop", fail)]),
    ]
    failed = take(Host(), Plan(lanes=lanes), 2)
    assert done == [] and "web had to go down before it" in str(failed["db"])
