# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The simulated host answers as a real one did."""

from __future__ import annotations

from pathlib import Path
from typing import Any, List

import pytest

from ansible_collections.cellblock.jails.tests.simulator.assumptions import ASSUMPTIONS, Assumption
from ansible_collections.cellblock.jails.tests.simulator.compare import Answer, normal_answer
from ansible_collections.cellblock.jails.tests.simulator.replay import CAPTURED, LEFT_OUT, REPLAYED, WRITES, answer, like, like_captured
from ansible_collections.cellblock.jails.tests.simulator.sides import Simulated, take
from ansible_collections.cellblock.jails.tests.unit.captures import captures

SHOWN = captures("assumptions")


@pytest.fixture(scope="module")
def replay(tmp_path_factory: Any) -> List[Answer]:
    """Everything that can be replayed, in its order, on a host like the captured one."""
    host = like_captured(tmp_path_factory.mktemp("replay") / "host")
    # It had one CPU, a kernel without System V IPC, and more routing tables than most. It had run one jail before, and kept
    # that one's devfs.
    host.state.update({"next_jid": 2, "cpus": 1, "absent": ["sysvmsg", "sysvsem", "sysvshm"]})
    host.state["sysctl"]["net.fibs"] = "16"
    host.run(["mount", "-t", "devfs", ".", "/jails/r151/dev"])
    return [answer(host, one["cmd"]) for one in CAPTURED]


def test_most_of_what_we_run_is_replayed() -> None:
    assert len(REPLAYED) >= 125


def test_what_is_left_out_was_captured() -> None:
    assert {*LEFT_OUT, *WRITES} <= {one["cmd"] for one in CAPTURED}


@pytest.mark.parametrize("place", REPLAYED, ids=lambda place: f"{place} {CAPTURED[place]['cmd'][:60]}")
def test_answers_as_captured(replay: List[Answer], place: int) -> None:
    one = CAPTURED[place]
    assert normal_answer(replay[place]) == normal_answer(Answer(one["rc"], one["stdout"], one["stderr"]))


@pytest.mark.parametrize("one", [one for one in ASSUMPTIONS if one.seen and one.shown_by], ids=lambda one: one.sentence[:60])
def test_answers_as_the_host_that_was_last_compared(tmp_path: Path, one: Assumption) -> None:
    shown = [
        (told["cmd"], normal_answer(Answer(told["rc"], told["stdout"], told["stderr"])))
        for told in SHOWN["answers"] if told["shows"] == one.sentence
    ]
    answers = take(one, Simulated(like(tmp_path / "host", SHOWN["state"])), "simulated")
    assert [(step.line, normal_answer(told)) for step, told in answers] == shown
