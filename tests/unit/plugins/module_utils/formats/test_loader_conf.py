# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""loader.conf, as the boot loader reads it."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.cellblock.jails.plugins.module_utils.errors import InputError
from ansible_collections.cellblock.jails.plugins.module_utils.formats import loader_conf

NAMES = st.from_regex(loader_conf.NAME, fullmatch=True)
VALUES = st.text(string.ascii_letters + string.digits + " #=;$`\\'/.,-", max_size=20)
TEXT = """# the host's own
zfs_load="YES"
kern.racct.enable=0   # bare
  net.fibs = "2"
net.fibs="4" # again
exec="load kernel"
"""


def test_bare_and_quoted_values_are_read_and_the_last_one_counts() -> None:
    assert loader_conf.values(TEXT) == {
        "zfs_load": "YES", "kern.racct.enable": "0", "net.fibs": "4", "exec": "load kernel",
    }


def test_only_the_lines_of_a_variable_change() -> None:
    changed = loader_conf.edit(TEXT, {"kern.racct.enable": "1", "net.fibs": "16", "zfs_load": None, "tmpfs_load": "YES"})
    assert changed.splitlines() == [
        "# the host's own", 'kern.racct.enable="1"', 'net.fibs="16"', 'exec="load kernel"', 'tmpfs_load="YES"',
    ]


def test_a_file_without_a_last_newline_is_not_glued() -> None:
    assert loader_conf.edit('zfs_load="YES"', {"net.fibs": "2"}) == 'zfs_load="YES"\nnet.fibs="2"\n'


@pytest.mark.parametrize("name, value", [("a b", "1"), ("", "1"), ("a", 'say "hi"'), ("a", "two\nlines"), ("a", "é")])
def test_what_the_loader_cannot_read_is_refused(name: str, value: str) -> None:
    with pytest.raises(InputError):
        loader_conf.edit("", {name: value})


@given(st.lists(st.tuples(NAMES, VALUES)), st.dictionaries(NAMES, st.none() | VALUES, max_size=4))
def test_what_is_set_is_read_back_and_setting_it_again_changes_nothing(
    old: list[tuple[str, str]], changes: dict[str, str | None]
) -> None:
    text = "".join(f'{name}="{value}"\n' for name, value in old)
    edited = loader_conf.edit(text, changes)
    wanted: dict[str, str | None] = {**dict(old), **changes}
    assert loader_conf.values(edited) == {name: value for name, value in wanted.items() if value is not None}
    assert loader_conf.edit(edited, changes) == edited
