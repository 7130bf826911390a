# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run did: a line for each jail that changed, and no word where nothing did."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.cellblock.jails.plugins.plugin_utils import summary


def jails(**facts: dict[str, Any]) -> dict[str, Any]:
    return {"steps": ["write /etc/rc.conf: jail_list", *(f"{name}: start" for name in facts)], "jails": facts}


def shown(**results: Any) -> list[str]:
    return [line for line, _kind in summary.lines(summary.of_hosts(results))]


def test_a_jail_that_changed_has_a_line() -> None:
    run = jails(web={"did": "made and started", "restart_waits": []}, db={"did": "changed: mount", "restart_waits": ["mount"]})
    assert shown(jailhost1=[run]) == [
        "jailhost1  web  made and started",
        "jailhost1  db   changed: mount",
        "jailhost1  db   waits for a restart: mount",
    ]


def test_where_nothing_happened_nothing_is_said() -> None:
    quiet = {"steps": [], "jails": {"web": {"did": "", "restart_waits": []}}, "reboot_waits": []}
    assert shown(a=[quiet], b=[{"skipped": True, "steps": ["x"]}], c=[]) == []
    assert summary.artifacts([]) == {"cellblock_changed": {}, "cellblock_failed": {}, "cellblock_waits": {}}


def test_the_host_s_own_steps_and_loops_are_told_and_a_wait_once() -> None:
    loop = {"results": [{"steps": ["make base 15.1"]}, {"steps": []}]}
    reboot = {"steps": [], "reboot": ["kern.racct.enable"]}
    assert shown(jailhost1=[loop, reboot, {"steps": [], "jails": {}, "reboot_waits": ["kern.racct.enable"]}]) == [
        "jailhost1  (host)  make base 15.1",
        "jailhost1  (host)  waits for a reboot: kern.racct.enable",
    ]


def test_parts_of_the_host_have_a_line_each_and_upgrades_say_from_where_to_where() -> None:
    host = {"steps": ["storage: create /usr/jails", "storage: set its mode", "settings: set jail_enable in /etc/rc.conf"], "storage": {}}
    upgrade = {"steps": ["web: stop", "web: start"], "jails": {"web": {"changed": True, "from": "15.0", "to": "15.1"}, "db": {"changed": False}}}
    assert shown(a=[host, upgrade]) == [
        "a  (host)  storage: create /usr/jails; set its mode",
        "a  (host)  settings: set jail_enable in /etc/rc.conf",
        "a  web     upgraded from 15.0 to 15.1",
    ]


def test_a_jail_that_failed_did_nothing_else() -> None:
    run = {**jails(web={"did": "made and started"}, db={"did": "made and started"}), "failures": {"web": "jail web: did not start"}}
    told = summary.of_hosts({"jailhost1": run})
    assert [(one.subject, one.kind) for one in told] == [("db", "done"), ("web", "failed")]
    assert summary.artifacts(told)["cellblock_failed"] == {"jailhost1": ["web"]}


def test_twenty_hosts_of_twenty_jails_are_four_hundred_short_lines() -> None:
    run = jails(**{f"jail{number}": {"did": "restarted: ip4.addr", "restart_waits": []} for number in range(20)})
    lines = shown(**{f"host{number}": [run] for number in range(20)})
    assert len(lines) == 400 and max(map(len, lines)) < 80


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["steps", "jails", "did", "results", "failures", "reboot", "x"]), inner),
)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.dictionaries(st.text(), st.lists(anything)))
def test_whatever_a_host_returns_speaks_to_no_terminal(results: dict[str, Any]) -> None:
    for line in shown(**results):
        assert all(char.isprintable() for char in line)
