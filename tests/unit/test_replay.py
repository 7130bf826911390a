# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The simulated host answers as a real one did."""

from __future__ import annotations

from pathlib import Path
from typing import Any, List, Tuple

import pytest

from ansible_collections.cellblock.jails.tests.simulator.assumptions import ASSUMPTIONS, Assumption
from ansible_collections.cellblock.jails.tests.simulator.compare import Answer, normal_answer
from ansible_collections.cellblock.jails.tests.simulator.replay import CAPTURED, LEFT_OUT, REPLAYED, WRITES, again, answer, like, like_captured
from ansible_collections.cellblock.jails.tests.simulator.sides import Simulated, take
from ansible_collections.cellblock.jails.tests.unit.captures import captures

# By release: what a real host answered when it was last compared, see tests/fidelity.py.
SHOWN = {"15.1": captures("assumptions"), "14.0": captures("assumptions-14.0")}
ASKED = [
    pytest.param(release, one, id=f"{release} {one.sentence[:60]}")
    for release, shown in SHOWN.items() for one in ASSUMPTIONS if one.sentence in {told["shows"] for told in shown["answers"]}
]


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


def told_by(release: str, part: str) -> List[Tuple[str, Answer]]:
    """What a real host of a release answered to the commands of a part."""
    return [
        (told["cmd"], normal_answer(Answer(told["rc"], told["stdout"], told["stderr"])))
        for told in SHOWN[release]["answers"] if told["shows"] == part
    ]


@pytest.mark.parametrize("release, one", ASKED)
def test_answers_as_the_host_that_was_last_compared(tmp_path: Path, release: str, one: Assumption) -> None:
    answers = take(one, Simulated(like(tmp_path / "host", SHOWN[release]["state"])), "simulated")
    assert [(step.line, normal_answer(told)) for step, told in answers] == told_by(release, one.sentence)


@pytest.mark.parametrize("release", [name for name in SHOWN if told_by(name, "captured")])
def test_answers_the_captured_lines_as_a_host_of_another_release(tmp_path: Path, release: str) -> None:
    there = dict(told_by(release, "captured"))
    side = Simulated(like(tmp_path / "host", SHOWN[release]["state"]))
    told = {command: normal_answer(answer) for command, answer in again(side, side.host.state["absent"]) if answer is not None and command in there}
    assert told == there


def test_most_of_what_was_seen_is_kept() -> None:
    """Commands that changed since wait for the next comparison with a real host."""
    assert len(ASKED) >= 50
