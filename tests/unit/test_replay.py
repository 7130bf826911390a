# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The simulated host answers as a real one did."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any, Dict, List, Tuple

import pytest

from ansible_collections.cellblock.jails.tests.simulator import SimulatedHost, fresh_host
from ansible_collections.cellblock.jails.tests.unit.captures import captures

CAPTURED: List[Dict[str, Any]] = captures("commands")
TOOLS = ("jail", "jls", "jexec", "rctl", "devfs", "cpuset", "zfs", "umount", "ifconfig", "sysrc", "rm")
# Not compared, each with the reason.
LEFT_OUT = {
    "jls -v": "several lines a jail; nothing here reads it",
    "jls --libxo json -v": "nothing here reads it",
    "jexec t1 env": "the environment of that very connection",
    "jexec -l t1 env": "in-process, jexec runs nothing",
    "jexec t1 id": "in-process, jexec runs nothing",
    "jexec -l -U root t1 pwd": "in-process, jexec runs nothing",
    "jexec t1 /nonexistent": "in-process, jexec runs nothing",
    'jexec t1 sh -c "exit 7"': "in-process, jexec runs nothing",
    "jexec -U nobody t1 id": "in-process, jexec runs nothing",
    "jexec -U nosuch t1 id": "in-process, jexec runs nothing",
    "rctl -hu jail:t1": "usage of that very moment",
    "jexec v1 ifconfig": "in-process, jexec runs nothing",
    "jexec t1 ifconfig lo0": "in-process, jexec runs nothing",
}
# Whole families that nothing in the collection runs.
NOT_SIMULATED = (
    "sysrc", "zfs promote", "zfs jail", "zfs set jailed", "zfs snapshot zroot/c9@s1",
    "jail -f /etc/jail.conf", "jail -v -f /etc/jail.conf", "ifconfig epair0b -vnet",
)


def pieces(command: str) -> List[List[str]]:
    """The simple commands of a line; none when it takes more than a list of them."""
    if any(mark in command for mark in ("|", ">", "$(", "for ", "printf", "uname")) and "lo0|" not in command:
        return []
    found = [shlex.split(part) for part in command.split(";") if part.strip()]
    return found if all(words and words[0] in TOOLS for words in found) else []


def answer(host: SimulatedHost, commands: List[List[str]]) -> Tuple[int, str, str]:
    rc, out, err = 0, "", ""
    for words in commands:
        rc, more, said = host.run(words)
        out, err = out + more, err + said
    return rc, out, err


@pytest.fixture(scope="module")
def replay(tmp_path_factory: Any) -> Dict[str, Tuple[int, str, str]]:
    """Everything that can be replayed, in its order, on a host like the captured one."""
    root: Path = tmp_path_factory.mktemp("replay") / "host"
    host = fresh_host(root, racct=True, interfaces={"vtnet0": [["10.0.2.15", 24]], "lo0": [["127.0.0.1", 8], ["::1", 128]]})
    host.run(["zfs", "create", "-o", "mountpoint=/jails", "zroot"])
    host.real("/jails/r151").mkdir()
    host.run(["tar", "-xpf", "/var/dist/base.txz", "-C", "/jails/r151"])
    # The captured host had run one jail before.
    host.state["next_jid"] = 2
    return {one["cmd"]: answer(host, pieces(one["cmd"])) for one in CAPTURED if pieces(one["cmd"])}


def same_jid(text: str) -> str:
    """Without the number that the kernel happened to give."""
    return re.sub(r"vnet \d+", "vnet JID", text)


REPLAYED = [one for one in CAPTURED if pieces(one["cmd"]) and one["cmd"] not in LEFT_OUT and not one["cmd"].startswith(NOT_SIMULATED)]


def test_most_of_what_we_run_is_replayed() -> None:
    assert len(REPLAYED) >= 125


@pytest.mark.parametrize("one", REPLAYED, ids=lambda one: one["cmd"][:60])
def test_answers_as_captured(replay: Dict[str, Tuple[int, str, str]], one: Dict[str, Any]) -> None:
    rc, _out, err = replay[one["cmd"]]
    assert (rc, same_jid(err)) == (one["rc"], same_jid(one["stderr"]))
