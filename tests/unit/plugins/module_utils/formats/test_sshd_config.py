# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""sshd_config, as sshd(8) reads it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.cellblock.jails.plugins.module_utils.errors import InputError
from ansible_collections.cellblock.jails.plugins.module_utils.formats import sshd_config

TEXT = """#\t$OpenBSD: sshd_config,v 1.105 2024/12/03 14:12:47 dtucker Exp $
#Port 22
#ListenAddress 0.0.0.0
Subsystem\tsftp\t/usr/libexec/sftp-server
listenaddress=192.0.2.1
ListenAddress "2001:db8::1"
Match User backup
\tMaxSessions 3
"""
ARGUMENTS = st.lists(st.from_regex(r"[0-9a-f:.]{1,12}", fullmatch=True), max_size=3)


def test_keywords_are_read_in_any_spelling_up_to_the_first_match() -> None:
    found = sshd_config.values(TEXT)
    assert found["listenaddress"] == ["192.0.2.1", "2001:db8::1"]
    assert "maxsessions" not in found and "port" not in found


def test_new_lines_take_the_old_ones_place_and_comments_stay() -> None:
    lines = sshd_config.edit(TEXT, {"ListenAddress": ["10.10.10.10"]}).splitlines()
    assert lines[2:6] == [
        "#ListenAddress 0.0.0.0", "Subsystem\tsftp\t/usr/libexec/sftp-server", "ListenAddress 10.10.10.10", "Match User backup",
    ]


def test_a_keyword_of_the_server_never_lands_in_a_match_block() -> None:
    lines = sshd_config.edit(TEXT, {"MaxSessions": ["100"]}).splitlines()
    assert lines.index("MaxSessions 100") < lines.index("Match User backup") and "\tMaxSessions 3" in lines


def test_what_is_right_already_keeps_its_spelling() -> None:
    assert sshd_config.edit(TEXT, {"ListenAddress": ["192.0.2.1", "2001:db8::1"]}) == TEXT


@pytest.mark.parametrize("argument", ["", "a b", "1\nPermitRootLogin yes", "#", 'a"', "é"])
def test_an_argument_that_is_none_is_refused(argument: str) -> None:
    with pytest.raises(InputError):
        sshd_config.edit("", {"ListenAddress": [argument]})


@given(st.lists(st.sampled_from([*TEXT.splitlines(), "Port 22", "MaxSessions 7"])), ARGUMENTS, ARGUMENTS)
def test_what_is_set_is_read_back_and_setting_it_again_changes_nothing(
    lines: list[str], addresses: list[str], sessions: list[str]
) -> None:
    changes = {"ListenAddress": addresses, "MaxSessions": sessions}
    edited = sshd_config.edit("".join(f"{line}\n" for line in lines), changes)
    found = sshd_config.values(edited)
    assert (found.get("listenaddress", []), found.get("maxsessions", [])) == (addresses, sessions)
    assert sshd_config.edit(edited, changes) == edited
