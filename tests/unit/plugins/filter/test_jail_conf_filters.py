# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filters from_jail_conf and to_jail_conf, as a template calls them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.cellblock.jails.plugins.filter import from_jail_conf, to_jail_conf

read = from_jail_conf.FilterModule().filters()["from_jail_conf"]
write = to_jail_conf.FilterModule().filters()["to_jail_conf"]


def test_reads_jails_as_jail_prints_them() -> None:
    assert read("$r = /usr/jails; path = $r/$name; web { persist; allow.noraw_sockets; ip4.addr = a, b; }") == [
        {"name": "web", "params": {
            "path": ["/usr/jails/web"], "persist": [], "allow.noraw_sockets": [], "ip4.addr": ["a", "b"],
        }},
    ]


def test_writes_what_it_reads() -> None:
    jails = [{"name": "web", "params": {"exec.start": ["echo \"$HOME\" # é, 'x'\n"], "persist": []}}]
    assert read(write(jails)) == jails


def test_a_refused_file_raises_with_jails_own_words() -> None:
    with pytest.raises(AnsibleFilterError) as refusal:
        read("a {\n path = ;\n}", name="case.conf")
    assert str(refusal.value) == "jail: case.conf line 2: ;: syntax error"


def test_included_files_come_from_the_directory(tmp_path: Path) -> None:
    (tmp_path / "inc.conf").write_text("b { }")
    assert read('.include "inc.conf";', directory=str(tmp_path)) == [{"name": "b", "params": {}}]
    with pytest.raises(AnsibleFilterError, match="directory"):
        read('.include "inc.conf";')


def test_what_jail_complains_of_is_a_warning(capsys: pytest.CaptureFixture[str]) -> None:
    assert read('cell1 { path = "/$nope"; }') == [{"name": "cell1", "params": {"path": ["/"]}}]
    assert 'cell1: path: variable "nope" not found' in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize("text", [None, 5, ["a { }"], b"a { }"])
def test_only_a_text_can_be_read(text: Any) -> None:
    with pytest.raises(AnsibleFilterError, match="text of a jail.conf"):
        read(text)


@pytest.mark.parametrize(
    ("jails", "message"),
    [
        ({"name": "a"}, "list of jails"),
        (["a"], "list of jails"),
        ([{"params": {}}], "name of one jail"),
        ([{"name": "a", "params": {"p": ["\0"]}}], "NUL"),
    ],
)
def test_what_cannot_be_written_is_refused(jails: Any, message: str) -> None:
    with pytest.raises(AnsibleFilterError, match=message):
        write(jails)
