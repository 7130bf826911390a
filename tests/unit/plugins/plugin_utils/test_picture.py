# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The picture of hosts and jails."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.cellblock.jails.plugins.plugin_utils import picture


def jail(name: str, state: str = "running", position: int | None = None, **more: Any) -> dict[str, Any]:
    return {
        "name": name, "state": state, "boot_position": position, "managed": True, "ip4": ["10.0.0.20"], "ip6": [],
        "root": {"kind": "thin", "size": 2 << 20}, "base": {"name": "15.1-RELEASE", "version": "15.1-RELEASE-p1"},
        "restart_waits": [], "drift": [], **more,
    }


def lines(*jails: dict[str, Any]) -> list[str]:
    return picture.draw({"talk": {"host": {"osreldate": 1501000}, "jails": list(jails)}}).splitlines()


def test_a_host_is_a_box_with_its_release_and_counts() -> None:
    drawn = lines(jail("web", position=1), jail("db", "stopped"))
    assert drawn[0].startswith("╭─ talk · FreeBSD 15.1 · 2 jails · 1 running ")


def test_a_line_tells_everything_about_a_jail() -> None:
    row = lines(jail("web", position=3))[2]
    assert row.strip("│").split() == ["3", "web", "●", "running", "10.0.0.20", "thin", "15.1-RELEASE-p1", "2.0M"]


def test_jails_stand_in_boot_order_and_those_that_do_not_boot_come_last() -> None:
    drawn = lines(jail("a"), jail("b", position=2), jail("c", position=1))
    assert [row.split()[2] for row in drawn[2:-1]] == ["c", "b", "a"]


def test_every_address_has_a_line_of_its_own() -> None:
    drawn = lines(jail("web", ip4=["10.0.0.20", "10.0.0.21"], ip6=["2001:db8::20"]))
    assert [word for row in drawn for word in row.split() if "0" in word and (":" in word or "10." in word)] == [
        "10.0.0.20", "10.0.0.21", "2001:db8::20",
    ]


def test_what_needs_attention_is_noted() -> None:
    text = "\n".join(lines(jail("web", restart_waits=["path"]), jail("old", managed=False, base={}, root={})))
    assert "restart waits" in text and "foreign" in text and "NOTES" in text
    assert "NOTES" not in "\n".join(lines(jail("web")))


def test_a_host_without_jails_says_so() -> None:
    assert any("no jails" in row for row in lines())


@given(st.lists(st.builds(
    jail, st.text("aé漢-", min_size=1), st.sampled_from(["running", "stopped", "dying", "?"]),
    st.none() | st.integers(1, 99), ip4=st.lists(st.just("10.0.0.1"), max_size=3),
    restart_waits=st.lists(st.just("x"), max_size=1),
)))
def test_a_box_is_straight_whatever_it_holds(jails: list[dict[str, Any]]) -> None:
    assert len({picture.breadth(row) for row in lines(*jails)}) == 1


def test_colour_does_not_bend_the_box() -> None:
    info = {"talk": {"jails": [jail("web"), jail("database", "dying")]}}
    painted = picture.draw(info, lambda text, colour: f"<{colour}>{text}</>")
    for colour in ("blue", "green", "yellow", "dark gray"):
        painted = painted.replace(f"<{colour}>", "")
    assert painted.replace("</>", "") == picture.draw(info)


def test_a_host_cannot_speak_to_the_terminal() -> None:
    assert "\x1b" not in "\n".join(lines(jail("\x1b[2Jweb")))


def test_sizes_are_short() -> None:
    assert [picture.human(size) for size in (0, 999, 94140928, 3 << 30, None)] == ["0B", "999B", "90M", "3.0G", "-"]


ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
FACTS = st.sampled_from(("name", "state", "boot_position", "ip4", "ip6", "root", "base", "size", "restart_waits", "drift", "vnet", "managed"))


@given(ODD, st.dictionaries(FACTS, ODD), ODD)
def test_one_odd_host_does_not_spoil_the_others(jails: Any, odd: dict[str, Any], about: Any) -> None:
    good = {"host": {"osreldate": 1501000}, "jails": [jail("web", position=1)]}
    for answer in ({"jails": jails, "host": about}, {"jails": [odd, jails], "host": about}):
        drawn = picture.draw({"good": good, "odd": answer})
        assert " web " in drawn and "good · FreeBSD 15.1" in drawn
        assert all(char.isprintable() or char == "\n" for char in drawn)


def test_a_host_cannot_fill_the_screen() -> None:
    drawn = lines(jail("x" * 5000, ip4=["10.0.0.1"] * 1000))
    assert max(map(len, drawn)) < 250 and len(drawn) < 40
