# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lists of entries merged by key: accounts, groups, classes, services, aliases."""

from __future__ import annotations

from typing import Dict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.cellblock.jails.plugins.module_utils.formats.keyed import KINDS, merge_file, merge_keyed

OLD = """# $FreeBSD$
#
root::0:0::0:0:Charlie &:/root:/bin/csh
toor:*:0:0::0:0:Bourne-again Superuser:/root:
daemon:*:1:1::0:0:Owner of many system processes:/root:/usr/sbin/nologin
"""
NEW = OLD.replace("/bin/csh", "/bin/sh") + "ntpd:*:123:123::0:0:NTP Daemon:/var/db/ntp:/usr/sbin/nologin\n"
USERS = st.dictionaries(
    st.sampled_from(["root", "bin", "www", "ops", "git"]),
    st.builds("{}:{}".format, st.sampled_from(["*", "$6$a", "$6$b"]), st.sampled_from(["0", "1", "2"])), max_size=5,
)


def passwd(users: Dict[str, str]) -> str:
    return "".join(f"{name}:{rest}::0:0:x:/:/bin/sh\n" for name, rest in users.items())


def test_a_password_of_the_jails_and_a_shell_of_the_new_release_go_together() -> None:
    ours = OLD.replace("root::", "root:$6$mine:") + "ops:$6$ops:1001:1001::0:0:Ops:/home/ops:/bin/sh\n"
    merged = merge_keyed("master.passwd", OLD, NEW, ours)
    assert not merged.hunks
    lines = merged.text.splitlines()
    assert "root:$6$mine:0:0::0:0:Charlie &:/root:/bin/sh" in lines
    assert "ops:$6$ops:1001:1001::0:0:Ops:/home/ops:/bin/sh" in lines
    assert "ntpd:*:123:123::0:0:NTP Daemon:/var/db/ntp:/usr/sbin/nologin" in lines
    assert merge_keyed("master.passwd", OLD, NEW, merged.text) == merged


def test_what_was_deleted_stays_deleted_and_what_was_changed_stays() -> None:
    ours = OLD.replace("toor:*:0:0::0:0:Bourne-again Superuser:/root:\n", "")
    assert "toor" not in merge_keyed("master.passwd", OLD, NEW.replace("Bourne", "Born"), ours).text
    mine = OLD.replace("daemon:*:", "daemon:$6$x:")
    gone = NEW.replace("daemon:*:1:1::0:0:Owner of many system processes:/root:/usr/sbin/nologin\n", "")
    assert "daemon:$6$x:" in merge_keyed("master.passwd", OLD, gone, mine).text
    assert "daemon" not in merge_keyed("master.passwd", OLD, gone, OLD).text


def test_both_changed_one_field() -> None:
    ours = OLD.replace("/bin/csh", "/usr/local/bin/bash")
    merged = merge_keyed("master.passwd", OLD, NEW, ours)
    assert [hunk.place for hunk in merged.hunks] == ["root"]
    assert "/root:/usr/local/bin/bash" in merge_keyed("master.passwd", OLD, NEW, ours, "keep").text
    assert "/root:/bin/sh" in merge_keyed("master.passwd", OLD, NEW, ours, "take").text


def test_members_of_a_group_are_merged_one_by_one() -> None:
    merged = merge_keyed("group", "wheel:*:0:root,old\n", "wheel:*:0:root,new\n", "wheel:*:0:root,old,ops\n")
    assert (merged.text, merged.hunks) == ("wheel:*:0:root,ops,new\n", ())


def test_capabilities_of_a_class_are_merged_one_by_one() -> None:
    old = "default:\\\n\t:passwd_format=sha512:\\\n\t:umask=022:\\\n\t:path=/bin:\n\nroot:\\\n\t:tc=default:\n"
    new = old.replace("path=/bin", "path=/sbin /bin")
    ours = old.replace("umask=022", "umask=027")
    merged = merge_keyed("login.conf", old, new, ours)
    assert not merged.hunks
    assert ":umask=027:" in merged.text and ":path=/sbin /bin:" in merged.text and "root:\\\n\t:tc=default:\n" in merged.text
    assert merge_keyed("login.conf", old, new, merged.text) == merged
    assert merge_keyed("login.conf", old, old.replace("umask=022", "umask=077"), ours).hunks


def test_a_service_of_the_jails_own_stays_where_it_is() -> None:
    old = "ssh\t22/tcp\nsmtp\t25/tcp mail\n"
    merged = merge_keyed("services", old, "ssh\t22/tcp\nssh\t22/sctp\nsmtp\t25/tcp mail\n", "mine\t9/tcp\n" + old)
    assert (merged.text, merged.hunks) == ("mine\t9/tcp\nssh\t22/tcp\nssh\t22/sctp\nsmtp\t25/tcp mail\n", ())


def test_an_alias_with_its_continuation() -> None:
    old = "# Basic\npostmaster: root\nroot:\tme@my.domain\n"
    merged = merge_file("etc/mail/aliases", (old, old + "abuse: root\n", old.replace("me@my.domain", "ops@example.org,\n\tb@example.org")))
    assert merged.text == "# Basic\npostmaster: root\nroot:\tops@example.org,\n\tb@example.org\nabuse: root\n"


def test_comments_come_and_go_with_the_new_release_and_those_of_the_jail_stay() -> None:
    merged = merge_keyed("services", "# old\na 1/tcp\n", "# new\na 1/tcp\n", "# old\n# mine\na 1/tcp\n")
    assert merged.text.splitlines() == ["# new", "# mine", "a 1/tcp"]


@pytest.mark.parametrize("kind", sorted(KINDS))
@given(st.text("ab:#=\\\t \n1/", max_size=30), st.text("ab:#=\\\t \n1/", max_size=30))
def test_any_text_is_taken_whole_when_only_one_side_changed(kind: str, old: str, other: str) -> None:
    assert merge_keyed(kind, old, other, old).text == other
    assert merge_keyed(kind, old, old, other).text == other


@given(USERS, USERS, USERS)
def test_no_account_of_the_jails_own_is_ever_lost_and_twice_is_once(old: Dict[str, str], new: Dict[str, str], ours: Dict[str, str]) -> None:
    for prefer in (None, "keep", "take"):
        merged = merge_keyed("master.passwd", passwd(old), passwd(new), passwd(ours), prefer)
        names = [line.split(":")[0] for line in merged.text.splitlines()]
        assert len(names) == len(set(names))
        assert {name for name in ours if ours[name] != old.get(name)} <= set(names)
        assert {name for name in new if name not in old} <= set(names)
        if not merged.hunks:
            assert merge_keyed("master.passwd", passwd(old), passwd(new), merged.text, prefer) == merged
