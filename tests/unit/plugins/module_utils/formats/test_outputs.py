# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What FreeBSD's tools print is read without trust: at worst it is shown as odd, or one of our errors tells of it.

``CELLBLOCK_FUZZ`` says how many hostile answers each parser gets.
"""

from __future__ import annotations

from typing import Any, Callable, List

import pytest

from ansible_collections.cellblock.jails.plugins.module_utils.errors import CellblockError
from ansible_collections.cellblock.jails.plugins.module_utils.formats import fstab, outputs

from .spoiled import spoiled

ANSWERS = {
    "jails": '{"__version": "2", "jail-information": {"jail": [{"jid": "1", "name": "www", "host.hostname": "w", "persist": true}]}}',
    "mounts": '{"__version": "1", "mount": {"mounted": [{"special": "a", "node": "/b", "fstype": "nullfs", "opts": ["local"]}]}}',
    "sockets": '{"sockstat": {"socket": [{"user": "root", "command": "sshd", "pid": 7, "proto": "tcp4", "local": {"address": "*", "port": "22"}}]}}',
    "sockets_in_text": "root     sshd        7 3   tcp4   *:22     *:*\n",
    "processes": "JID PID COMMAND\n  0 1 /sbin/init\n  3 77 sshd: a [priv] (sshd)\n",
    "interfaces": "em0: flags=8863<UP> metric 0\n\tinet 192.0.2.1/24 broadcast 192.0.2.255\n\tgroups: egress\n",
    "rctl_rules": "jail:www:memoryuse:deny=1024\n",
    "cpulist": "0-3,6",
    "amount": "1.5g",
    "parse_line": "/a /b nullfs rw 0 0",
}


@pytest.mark.parametrize("name", ANSWERS)
def test_only_our_errors_come_out_of_a_spoiled_answer(name: str) -> None:
    """No parser fails in another way than it says, whatever is in an answer."""
    parse: Callable[[str], Any] = getattr(fstab if name == "parse_line" else outputs, name)
    told = (CellblockError, ValueError) if name in ("cpulist", "amount", "parse_line") else (CellblockError,)
    for text in spoiled(name, ANSWERS[name]):
        try:
            parse(text)
        except told:
            pass


@pytest.mark.parametrize("answer", ["", "{}", '{"x": 1}', '{"%s": 1}', '{"%s": []}', '{"%s": {"%s": [1]}}', '{"%s": {"%s": "x"}}'])
@pytest.mark.parametrize(
    ("parse", "outer", "inner"),
    [(outputs.jails, "jail-information", "jail"), (outputs.mounts, "mount", "mounted"), (outputs.sockets, "sockstat", "socket")],
)
def test_json_of_another_shape_is_told_and_never_taken_for_nothing(
    parse: Callable[[str], List[Any]], outer: str, inner: str, answer: str
) -> None:
    """A host whose jails cannot be read is not a host without jails."""
    with pytest.raises(CellblockError):
        parse(answer.replace("%s", outer, 1).replace("%s", inner, 1))


@pytest.mark.parametrize("end", ["\u2028", "\x85", "\x0b", "\x0c", "\x1c", "\r"])
def test_a_process_in_a_jail_cannot_pose_as_one_of_the_host(end: str) -> None:
    """What a jailed process calls itself makes no line of its own."""
    found = outputs.processes(f"JID PID COMMAND\n  3 77 evil{end}0 1 /usr/sbin/nfsd\n")
    assert [(jid, pid) for jid, pid, _command in found] == [(3, 77)]


def test_a_process_cannot_pose_as_another_in_the_text_of_sockstat() -> None:
    """What it calls itself is cut after ten letters, and makes neither a line nor a field of its own."""
    lines = [
        "root     x 1 3 tcp4  1234 4   tcp4   *:80                                           *:*",
        "root     a\nroot 7 b   1235 4   tcp4   *:81                                           *:*",
        "?        ?          ?     ?  udp6   *:2049                                         *:*",
    ]
    found = outputs.sockets_in_text("\n".join(lines) + "\n")
    assert [(one.pid, one.port) for one in found] == [(1234, "80"), (1235, "81"), (0, "2049")]


@pytest.mark.parametrize("odd", ["\u2028", "\x85", "\xa0", "\u3000", " ", "\t", "#", "\\", "\\040"])
def test_a_path_with_odd_white_space_stays_one_field_of_fstab(odd: str) -> None:
    """What is written is read back as it was meant."""
    entry = fstab.Entry(f"/a{odd}b", f"/c{odd}d", "nullfs", "rw")
    assert fstab.parse_line(fstab.render_line(entry)) == entry
