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
