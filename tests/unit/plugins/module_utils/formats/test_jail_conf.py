# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""jail.conf as FreeBSD 15.1's jail(8) reads it: its captured answers, and what they leave out."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.cellblock.jails.plugins.module_utils.errors import FormatError
from ansible_collections.cellblock.jails.plugins.module_utils.formats import jail_conf
from ansible_collections.cellblock.jails.tests.unit.captures import captures

CASES: List[Dict[str, Any]] = captures("jail-conf-cases")
SEPARATOR = "\x1f"


def quoted(value: str) -> str:
    """A value as ``jail -e`` prints it."""
    if value == "" or "'" in value:
        mark = '"'
    elif '"' in value:
        mark = "'"
    else:
        mark = '"' if " " in value or "\t" in value else ""
    return mark + "".join("\\" + c if c in ("\\", mark) else c for c in value) + mark


def printed(jail: Dict[str, Any]) -> str:
    """A jail as ``jail -e`` prints it; the name of a numeric one comes last."""
    items = [("name", [jail["name"]]), *jail["params"].items()]
    if jail["name"].isdigit():
        items = items[1:] + items[:1]
    return SEPARATOR.join(name + ("=" + ",".join(map(quoted, values)) if values else "") for name, values in items)


def put(directory: Path, files: Dict[str, str]) -> None:
    for name, text in files.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_bytes(text.encode())


def params(text: str, **options: Any) -> Dict[str, List[str]]:
    """The parameters of the only jail in a text."""
    (jail,) = jail_conf.parse(text, **options)
    found: Dict[str, List[str]] = jail["params"]
    return found


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_captured(case: Dict[str, Any], tmp_path: Path) -> None:
    put(tmp_path, {"case.conf": case["conf"], **case["files"]})
    said: List[str] = []
    if case["rc"] != 0:
        with pytest.raises(FormatError) as refusal:
            jail_conf.parse(case["conf"], str(tmp_path), "case.conf", said)
        assert str(refusal.value) + "\n" == case["stderr"] or (case["rc"] == -11 and "crashes" in str(refusal.value))
        return
    jails = jail_conf.parse(case["conf"], str(tmp_path), "case.conf", said)
    assert "".join(printed(jail) + "\n" for jail in jails) == case["stdout"]
    assert "".join(line + "\n" for line in said) == case["stderr"]
    if "value" in case:
        assert jails[0]["params"][case["param"]] == [case["value"]]
    assert jail_conf.parse(jail_conf.render(jails)) == jails


# any bytes but NUL, as a str holds them
VALUES = st.one_of(
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
    st.text(st.sampled_from("\\\"'$${}#/*;,=+ \t\r\n\x01\x7fnx07aé字")),
    st.binary().map(lambda data: data.replace(b"\0", b"").decode("utf-8", "surrogateescape")),
)
NAMES = VALUES.filter(lambda name: "*" not in name.split("."))
PARAMS = st.dictionaries(VALUES.map(lambda name: "p" + name.replace(".", "")), st.lists(VALUES, max_size=3), max_size=4)


@given(st.lists(st.builds(lambda name, found: {"name": name, "params": found}, NAMES, PARAMS), max_size=4))
def test_what_is_written_reads_back(jails: List[Dict[str, Any]]) -> None:
    said: List[str] = []
    assert jail_conf.parse(jail_conf.render(jails), warnings=said) == jails
    assert said == []


PIECES = "a|b.c|*| |\n|;|{|}|=|+=|,|$x|${y|\"|'|\"p$q r\"|\\|/*|#|é".split("|")


@given(st.lists(st.sampled_from(PIECES)).map("".join))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        jails = jail_conf.parse(text)
    except FormatError as refusal:
        assert str(refusal)
    else:
        assert jail_conf.parse(jail_conf.render(jails)) == jails


class TestMerging:
    def test_a_wildcard_applies_where_it_stands(self) -> None:
        assert params('* { p = 1; q = 1; } a { p = 2; q = 2; } "*" { q = 3; }') == {"p": ["2"], "q": ["3"]}

    def test_globals_are_one_block_where_the_first_stood(self) -> None:
        assert params("p = 1; a { p = 2; } p = 3;") == {"p": ["2"]}
        assert params("a { p = 2; } p = 3;") == {"p": ["3"]}

    @pytest.mark.parametrize(
        ("wildcard", "matched"),
        [
            ("*", ["a", "a.b", "a.b.c", "x.b.y"]),
            ("a.*", ["a.b", "a.b.c"]),
            ("*.b", ["a.b"]),
            ("*.b.*", ["a.b.c", "x.b.y"]),
            ("a.*.c", ["a.b.c"]),
        ],
    )
    def test_a_wildcard_matches_by_component(self, wildcard: str, matched: List[str]) -> None:
        jails = jail_conf.parse(f'"{wildcard}" {{ hit; }} a {{ b {{ c {{}} }} }} x.b.y {{}}')
        assert [jail["name"] for jail in jails if "hit" in jail["params"]] == matched

    def test_a_star_within_a_word_is_no_wildcard(self) -> None:
        assert [jail["name"] for jail in jail_conf.parse('"a*" { }')] == ["a*"]

    def test_a_parent_gives_its_children_nothing(self) -> None:
        assert jail_conf.parse("a { p; b { } }")[1] == {"name": "a.b", "params": {}}

    @pytest.mark.parametrize(
        ("text", "found"),
        [
            ("persist; nopersist;", {"nopersist": []}),
            ("nopersist; persist = 1;", {"persist": ["1"]}),
            ("allow.nomount.devfs; allow.mount.devfs;", {"allow.mount.devfs": []}),
            ("noallow.mount; allow.mount;", {"allow.mount": []}),
            ("p = 1; q; p += 2, 3;", {"p": ["1", "2", "3"], "q": []}),
            ("p = 1; p;", {"p": []}),
            ("p 1;", {"p": ["1"]}),
        ],
    )
    def test_the_last_one_wins_where_the_first_stood(self, text: str, found: Dict[str, List[str]]) -> None:
        assert params(f"a {{ {text} }}") == found

    def test_a_number_is_a_jid_and_its_name_comes_last(self) -> None:
        assert jail_conf.parse("7 { p; } 0 { }") == [{"name": "7", "params": {"p": []}}, {"name": "0", "params": {}}]
        assert jail_conf.parse("7 { name = web; }") == [{"name": "web", "params": {}}]

    def test_jid_is_left_out(self) -> None:
        assert params("a { jid = 5; p; }") == {"p": []}

    @pytest.mark.parametrize("text", ["a { name = b; }", "a { noname; }", "name = b; a { }"])
    def test_a_name_stays(self, text: str) -> None:
        said: List[str] = []
        assert jail_conf.parse(text, warnings=said) == [{"name": "a", "params": {}}]
        assert said == ['jail: a: cannot redefine parameter "name".']


class TestVariables:
    def test_a_value_waits_for_what_it_stands_on(self) -> None:
        found = params('a { path = "$r/x"; q = 1; $r = "/$z"; $z = "${q}$name"; }')
        assert found == {"path": ["/1a/x"], "q": ["1"]}

    def test_what_it_stands_on_is_moved_before_it(self) -> None:
        assert list(params('a { p = "$q"; r; q = "$r$s"; r = 1; $s = 2; }').items()) == [
            ("q", ["12"]), ("p", ["12"]), ("r", ["1"]),
        ]

    @pytest.mark.parametrize(
        ("text", "message", "found"),
        [
            ("p = $x;", 'p: variable "x" not found', {"p": [""]}),
            ("$x; p = a$x;", 'p: variable "x" not found', {"p": ["a"]}),
            ("p = $p;", "p: variable loop", {"p": [""]}),
            ("l = 1, 2; p = a$l;", "p: array cannot be substituted inline", {"l": ["1", "2"], "p": ["a"]}),
        ],
    )
    def test_trouble_is_a_warning(self, text: str, message: str, found: Dict[str, List[str]]) -> None:
        said: List[str] = []
        assert params(f"a {{ {text} }}", warnings=said) == found
        assert said == [f"jail: a: {message}"]

    def test_a_list_in_a_variable_crashes_jail(self) -> None:
        with pytest.raises(FormatError, match="crashes"):
            params("$l = 1, 2; a { p = $l; }")

    def test_what_jail_says_before_it_crashes_is_kept(self) -> None:
        with pytest.raises(FormatError, match="^jail: a: p: array cannot be substituted inline$"):
            params("$l = 1, 2; a { p = $l$l; }")

    @pytest.mark.parametrize("name", ["path", "nopath", "exec.start", "jid"])
    def test_no_variable_has_a_parameters_name(self, name: str) -> None:
        said: List[str] = []
        params(f"a {{ ${{{name}}} = 1; }}", warnings=said)
        assert said == [f'jail: a: variable "${name}" cannot have the same name as a parameter.']


class TestWords:
    @pytest.mark.parametrize(
        ("text", "value"),
        [
            ("x=\"a\"'b'c", "abc"),
            ("x=a\"b c\"d", "ab cd"),
            (r"x=\101\x41\x4a\n", "AAJ\n"),
            (r'x="\101\8\$\"\q"', 'A8$"q'),
            (r"x='\'$y\\'", "'$y\\"),
            ('x="a\\\nb"', "ab"),
            (r'x="a\0b"', "a"),
            ('x="two\nlines"', "two\nlines"),
            ('x="é字"', "é字"),
            (r'x="\303\251"', "é"),
            (r'x="\377"', "\udcff"),
            ("x=a/b*c+d$", "a/b*c+d$"),
        ],
    )
    def test_escapes_and_quotes(self, text: str, value: str) -> None:
        assert params(f"a {{ {text}; }}") == {"x": [value]}

    def test_a_comment_needs_no_blank_before_it(self) -> None:
        assert params("a { x = 1# 2\n; y/* z */= 3// 4\n; }") == {"x": ["1"], "y": ["3"]}

    def test_a_byte_order_mark_ends_the_file(self) -> None:
        assert jail_conf.parse("\ufeffa { path = /; }") == []

    def test_a_line_number_counts_every_line(self) -> None:
        with pytest.raises(FormatError) as refusal:
            jail_conf.parse('a { x = "1\n2\n";\n/*\n*/ = }')
        assert str(refusal.value) == "jail: jail.conf line 5: =: syntax error"


class TestInclude:
    def test_names_start_from_the_including_file(self, tmp_path: Path) -> None:
        put(tmp_path, {"d/1.conf": '.include "2.conf"; a {}', "d/2.conf": "b {}"})
        assert [jail["name"] for jail in jail_conf.parse('.include "d/1.conf";', str(tmp_path))] == ["b", "a"]

    def test_within_a_block_it_belongs_to_the_block(self, tmp_path: Path) -> None:
        put(tmp_path, {"1.conf": "p = 1; b { }"})
        jails = jail_conf.parse('a { .include "1.conf"; }', str(tmp_path))
        assert jails == [{"name": "a", "params": {"p": ["1"]}}, {"name": "a.b", "params": {}}]

    def test_a_pattern_is_sorted_and_skips_dotfiles(self, tmp_path: Path) -> None:
        put(tmp_path, {f"d/{name}.conf": "" for name in ("b", "B", ".c", "a*")})
        for path in (tmp_path / "d").iterdir():
            path.write_text(f'"{path.stem}" {{ }}')
        assert [jail["name"] for jail in jail_conf.parse('.include "?/*.conf";', str(tmp_path))] == ["B", "a*", "b"]
        assert [jail["name"] for jail in jail_conf.parse('.include "d/[ab]*";', str(tmp_path))] == ["a*", "b"]
        assert [jail["name"] for jail in jail_conf.parse(r".include 'd/a\\*.con?';", str(tmp_path))] == ["a*"]

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ('.include "no.conf";', "jail: no.conf: No such file or directory"),
            ('.include "bad.conf"; = ;', "jail: bad.conf line 1: }: syntax error"),
            ('.include "loop.conf";', "jail: maximum include depth exceeded"),
            ('.include "/no/such/file";', "jail: /no/such/file: No such file or directory"),
        ],
    )
    def test_trouble_is_said_as_jail_says_it(self, text: str, message: str, tmp_path: Path) -> None:
        put(tmp_path, {"bad.conf": "}", "loop.conf": '.include "loop.conf";'})
        with pytest.raises(FormatError) as refusal:
            jail_conf.parse(text, str(tmp_path))
        assert str(refusal.value) == message

    def test_without_a_directory_it_is_refused(self) -> None:
        with pytest.raises(FormatError, match="directory"):
            jail_conf.parse('.include "/etc/jail.conf.d/*.conf";')

    def test_files_can_come_from_elsewhere(self) -> None:
        class Elsewhere:
            def read(self, path: str) -> Any:
                return {"/etc/d/a.conf": "a { }", "/etc/d/b.conf": "b { }"}.get(path)

            def listdir(self, path: str) -> List[str]:
                return ["b.conf", "a.conf"] if path.rstrip("/") == "/etc/d" else []

        jails = jail_conf.parse('.include "d/*.conf";', "/", "/etc/jail.conf", files=Elsewhere())
        assert [jail["name"] for jail in jails] == ["a", "b"]


class TestWriting:
    def test_it_looks_like_this(self) -> None:
        jail = {"name": "web", "params": {"exec.start": ["a $b", 'c"d'], "persist": [], "od d": [""], "x": ["1\n2"]}}
        assert jail_conf.render([jail]) == (
            '"web" {\n\texec.start = "a \\$b", "c\\"d";\n\tpersist;\n\t"od d" = "";\n\tx = "1\\n2";\n}\n'
        )

    def test_single_values_need_no_list(self) -> None:
        jail = {"name": "a", "params": {"p": "x", "n": 5, "t": True, "f": [False]}}
        assert params(jail_conf.render([jail])) == {"p": ["x"], "n": ["5"], "t": ["true"], "f": ["false"]}

    @pytest.mark.parametrize(
        ("jail", "message"),
        [
            ({"name": "*", "params": {}}, "not the name of one jail"),
            ({"name": "a.*", "params": {}}, "not the name of one jail"),
            ({"params": {}}, "not the name of one jail"),
            ({"name": "a", "params": {"p": ["\0"]}}, "NUL"),
            ({"name": "a\0", "params": {}}, "NUL"),
            ({"name": "a", "params": {"persist": [], "nopersist": []}}, "one parameter"),
            ({"name": "a", "params": {"name": ["b"]}}, "name"),
        ],
    )
    def test_what_would_not_read_back_is_refused(self, jail: Dict[str, Any], message: str) -> None:
        with pytest.raises(FormatError, match=message):
            jail_conf.render([jail])
