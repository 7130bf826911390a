# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The simulated rc.d/jail, against what a real host did for each configuration."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.cellblock.jails.tests.simulator import SimulatedHost, fresh_host
from ansible_collections.cellblock.jails.tests.simulator.fresh import BASE
from ansible_collections.cellblock.jails.tests.unit.captures import captures

CASES = {case["name"]: case for case in captures("boot-cases")}


def host_of(root: Path, name: str) -> SimulatedHost:
    """The host of a case, before the start."""
    host = fresh_host(root)
    host.state["next_jid"] = int((CASES[name]["jails"] or [{"jid": 1}])[0]["jid"])
    host.real("/jails/bc").mkdir(parents=True)
    for name_, text in BASE.items():
        path = host.real(f"/jails/bc2/{name_}")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for file, text in CASES[name]["files"].items():
        path = host.real(f"/etc/{file}")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text((path.read_text() if file == "rc.conf" else "") + text)
    return host


@pytest.mark.parametrize("name", CASES)
def test_the_simulated_boot_is_a_real_one(tmp_path: Path, name: str) -> None:
    case, host = CASES[name], host_of(tmp_path, name)
    said = host.run(["service", "jail", "start" if name == "enable-no" else "onestart"])
    assert said == (case["start"]["rc"], case["start"]["stdout"], case["start"]["stderr"])
    running = host.running()
    assert list(running) == [jail["name"] for jail in case["jails"]]
    for jail in case["jails"]:
        shown = {key: value for key, value in running[jail["name"]].items() if key in jail and key != "jid"}
        assert shown == {key: value for key, value in jail.items() if key != "jid"}
    touched = [path for path in ("bc-poststart", "bc-prestart") if host.real(f"/tmp/{path}").exists()]
    assert touched == case["touched"]
    said = host.run(["service", "jail", "onestop"])
    assert said == (case["stop"]["rc"], case["stop"]["stdout"], case["stop"]["stderr"])
    assert list(host.running()) == case["left"]
