# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""rc.conf is read as sh reads it, and edited without harm."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Dict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.cellblock.jails.plugins.module_utils.errors import FormatError, InputError
from ansible_collections.cellblock.jails.plugins.module_utils.formats import fstab, rc_conf

VALUES = st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\0\r"), max_size=30)


def by_sh(text: str, name: str, place: Path) -> str:
    """A variable as the real sh reads it."""
    path = place / "rc.conf"
    path.write_text(text, encoding="utf-8")
    script = f'. "$1"; printf "%s" "${{{name}}}"'
    done = subprocess.run(["/bin/sh", "-c", script, "sh", str(path)], capture_output=True, check=True)
    return done.stdout.decode()


@settings(max_examples=60)
@given(value=VALUES, other=VALUES)
def test_any_value_arrives_in_sh(tmp_path_factory: pytest.TempPathFactory, value: str, other: str) -> None:
    text = rc_conf.edit("# head\na=1 # one\n", {"v": value, "w": other})
    assert text.startswith("# head\na=1 # one\n")
    assert rc_conf.values(text) == {"a": "1", "v": value, "w": other}
    assert by_sh(text, "v", tmp_path_factory.mktemp("sh")) == value
    assert rc_conf.edit(text, {"v": value}) == text
    assert rc_conf.values(rc_conf.edit(text, {"v": other, "w": None})) == {"a": "1", "v": other}


@pytest.mark.parametrize(
    "text, found",
    [
        ("a=b", {"a": "b"}), ("a='x y'\"z\"w\n", {"a": "x yzw"}), ("a=1; b=2 # c=3\n", {"a": "1", "b": "2"}), ("a=1\na=2\n", {"a": "2"}),
        ('a="one\ntwo"\n', {"a": "one\ntwo"}), ("a=$b\n", {}), ('a="x`id`"\n', {}), ("a=1\na=$b\n", {}), ("if true; then a=1; fi\n", {}),
        ('a="$5"x\n', {}), ("a=\\\nb\n", {"a": "b"}), ("echo a=1\n", {}), ('a="cost \\$5"\n', {"a": "cost $5"}),
    ],
)
def test_reads_what_is_literal(text: str, found: Dict[str, str]) -> None:
    assert rc_conf.values(text) == found


def test_edits_leave_the_rest_byte_for_byte() -> None:
    text = "# c\nhostname=h  # name\n\njail_list='a b'; x=1\nlast=1"
    assert rc_conf.edit(text, {"jail_list": "a"}) == '# c\nhostname=h  # name\n\njail_list="a"; x=1\nlast=1'
    assert rc_conf.edit(text, {"new": "1"}) == text + '\nnew="1"\n'
    assert rc_conf.edit(text, {"hostname": None}) == "# c\n\njail_list='a b'; x=1\nlast=1"


def test_what_cannot_be_edited_safely_is_refused() -> None:
    with pytest.raises(FormatError, match="condition"):
        rc_conf.edit("if [ -e /x ]; then\n  a=1\nfi\n", {"a": "2"})
    with pytest.raises(InputError, match="variable"):
        rc_conf.edit("", {"a-b": "2"})


@given(spec=VALUES.filter(str.strip), file=VALUES.filter(str.strip))
def test_fstab_fields_survive(spec: str, file: str) -> None:
    if any(char.isspace() and char not in " \t\n" for char in spec + file):
        return  # other blanks of Unicode are no separators for FreeBSD
    entry = fstab.Entry(spec, file, "nullfs", "ro", 0, 0)
    assert fstab.parse_line(fstab.render_line(entry)) == entry


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("export a=1\n", ""), ("export a=1 # note\nb=2\n", "b=2\n"), ("readonly a=1", ""), (' export a="1 2"\n', ""), ("a=0\nexport a=1\n", ""),
        ("export a=1 b=2\n", "export  b=2\n"), ("export b=2 a=1\n", "export b=2 \n"), ("b=2; export a=1\n", "b=2; :\n"),
    ],
)
def test_an_exported_variable_is_unset_with_its_word(text: str, after: str) -> None:
    assert rc_conf.edit(text, {"a": None}) == after
