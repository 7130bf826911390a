# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host's answer says of its jails."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.cellblock.jails.plugins.module_utils.errors import CellblockError, FormatError
from ansible_collections.cellblock.jails.plugins.plugin_utils import survey
from ansible_collections.cellblock.jails.tests.unit.captures import captures

NONCE = "cellblock-0123"


def answer(jls: str | None = None, **files: str) -> str:
    """A host's answer; a file's name has ``__`` for ``/``."""
    text = f"{NONCE} jls\n" + (jls or json.dumps({"__version": "2", "jail-information": {"jail": []}}))
    rc = files.pop("__etc__rc", "")
    for name, content in files.items():
        text += f"\n{NONCE} {name.replace('__', '/')}.conf\n{content}"
    return f"{text}\n{NONCE} /etc/rc.conf\n{rc}\n{NONCE} end\n"


def jails(*args: Any, **kwargs: Any) -> dict[str, dict[str, Any]]:
    """The jails by name."""
    return {jail["name"]: jail for jail in survey.read(answer(*args, **kwargs), NONCE)}


def captured() -> str:
    """What a real host with four jails answered."""
    found = [
        one["stdout"] for one in captures("commands") if one["cmd"] == "jls --libxo json -n" and '"t1"' in one["stdout"]
    ]
    return str(found[0])


def test_a_real_hosts_answer() -> None:
    found = jails(captured())
    assert {"t1", "v1", "v1.kid", "noip"} <= set(found)
    assert found["t1"]["ip4"] == ["127.0.1.1", "127.0.1.2"]
    assert (found["t1"]["state"], found["t1"]["jid"], found["t1"]["hostname"]) == ("running", 2, "t1.example.org")
    assert found["v1"]["vnet"] is True
    assert found["v1"]["meta"] == {"owner": "ops"}


def test_a_stopped_jail_of_ours_and_one_of_another() -> None:
    found = jails(
        __etc__jail='global = 1;\nold { path = "/j/old"; ip4.addr = "em0|10.0.0.9/32"; }\n',
        **{
            "__etc__jail.conf.d__web": '# cellblock.jails {"name": "web", "base": "15.1-RELEASE", "root": "thin"}\n'
            'web { path = "/usr/jails/web"; ip4.addr = "em0|10.0.0.2/24", "10.0.0.3"; meta.tags = "a, b"; vnet; }\n'
        },
    )
    web = found["web"]
    assert (web["state"], web["base"], web["root"], web["managed"]) == ("stopped", "15.1-RELEASE", "thin", True)
    assert (web["path"], web["ip4"], web["tags"], web["vnet"]) == (
        "/usr/jails/web",
        ["10.0.0.2", "10.0.0.3"],
        ["a", "b"],
        True,
    )
    assert web["definition"] == "/etc/jail.conf.d/web.conf"
    assert (found["old"]["managed"], found["old"]["ip4"]) == (False, ["10.0.0.9"])


def test_running_and_written_down_is_one_jail() -> None:
    found = jails(
        captured(), **{"__etc__jail.conf.d__t1": '# cellblock.jails {"name": "t1", "base": "b"}\nt1 { path = "/x"; }\n'}
    )
    assert (found["t1"]["state"], found["t1"]["base"], found["t1"]["path"]) == ("running", "b", "/jails/r151")


def test_dying_and_running_again() -> None:
    jls = {
        "jail-information": {
            "jail": [
                {"jid": "9", "name": "web", "dying": True, "path": "/a"},
                {"jid": "10", "name": "web", "dying": False, "path": "/a"},
                {"jid": "11", "name": "gone", "dying": True, "path": "/b"},
            ]
        }
    }
    found = jails(json.dumps(jls))
    assert (found["web"]["state"], found["web"]["jid"]) == ("running", 10)
    assert found["gone"]["state"] == "dying"


def test_includes_read_what_came_and_nothing_here() -> None:
    found = jails(
        __etc__jail='.include "/etc/jail.conf.d/*.conf";\n.include "/etc/passwd*";\n',
        **{"__etc__jail.conf.d__a": 'a { path = "/a"; }\n'},
    )
    assert set(found) == {"a"}


def test_a_broken_file_hides_no_other() -> None:
    found = jails(**{"__etc__jail.conf.d__bad": "bad { path = ", "__etc__jail.conf.d__good": 'good { path = "/g"; }'})
    assert set(found) == {"good"}


def test_jails_of_rc_conf() -> None:
    found = jails(
        __etc__rc=(
            'jail_list="l1 l2"\njail_l1_rootdir="/j/l1"\njail_l1_hostname="l1.example.org"\njail_l1_ip="lo0|10.0.0.7"\n'
            '# cellblock.jails {"name": "ours", "base": "b"}\njail_ours_rootdir="/j/ours"\njail_ours_hostname="ours"\n'
            'jail_ours_ip="em0|10.0.0.8/32"\n'
        )
    )
    assert (found["l1"]["path"], found["l1"]["ip4"], found["l1"]["managed"]) == ("/j/l1", ["10.0.0.7"], False)
    assert (found["ours"]["base"], found["ours"]["ip4"], found["ours"]["definition"]) == (
        "b",
        ["10.0.0.8"],
        "/etc/rc.conf",
    )
    assert "l2" not in found


@pytest.mark.parametrize("text", ["", f"{NONCE} jls\n{{}}", "motd\n"])
def test_an_answer_that_is_cut_is_none(text: str) -> None:
    with pytest.raises(FormatError, match="not complete"):
        survey.read(text, NONCE)


def test_noise_before_the_answer_does_not_matter() -> None:
    assert survey.read("Welcome to FreeBSD!\n" + answer(), NONCE) == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(("jid", "name", "path", "ip4.addr", "dying", "meta", "vnet", "jail", "jail-information")) | st.text(max_size=5),
        inner, max_size=4,
    ),
    max_leaves=12,
)
NOISE = st.lists(
    st.sampled_from((f"{NONCE} jls\n", f"{NONCE} end\n", f"{NONCE} /etc/rc.conf\n", f"{NONCE} /etc/jail.conf\n", "{", "}", '"', "=", "\n", "jail_list=", "*"))
    | st.text(max_size=12),
    max_size=20,
).map("".join)


@given(JSON, NOISE, NOISE)
def test_whatever_a_host_answers_only_our_errors_come_of_it(told: Any, conf: str, noise: str) -> None:
    texts = (
        noise,
        answer(json.dumps({"jail-information": {"jail": told}}), __etc__jail=conf, __etc__rc=noise),
        answer(json.dumps(told)), answer(noise), answer("[" * 100_000), answer("{" + '"a":{' * 100_000),
    )
    for text in texts:
        try:
            found = survey.read(text, NONCE)
        except CellblockError:
            continue
        for jail in found:
            assert isinstance(jail["name"], str) and isinstance(jail["parameters"], dict) and isinstance(jail["ip4"], list)
            assert all(isinstance(value, (str, bool, list)) for value in jail["parameters"].values())


def test_parameters_have_the_types_of_jls_wherever_they_are_from() -> None:
    running = jails(captured())["t1"]["parameters"]
    written = jails(
        __etc__jail='t1 { path = "/j"; persist; allow.raw_sockets; allow.nomount; host.hostname = "t1"; vnet; enforce_statfs = 1; '
        'ip4.addr = "lo1|127.0.1.1/32", "127.0.1.2"; meta.owner = "ops"; meta = "tags=a"; exec.start = "one", "two"; }'
    )["t1"]["parameters"]
    for name in set(running) & set(written):
        assert type(running[name]) is type(written[name]), name
    assert written["ip4.addr"] == running["ip4.addr"] == ["127.0.1.1", "127.0.1.2"]
    assert (written["persist"], written["allow.mount"], written["allow.raw_sockets"], written["vnet"]) == (True, False, True, "new")
    assert written["exec.start"] == ["one", "two"] and set(written["meta"].splitlines()) == {"owner=ops", "tags=a"}


def test_variables_that_double_fill_no_memory() -> None:
    lines = ['$a0 = "xxxxxxxxxx";', *(f'$a{number + 1} = "${{a{number}}}${{a{number}}}";' for number in range(40)), 'j { path = "$a40"; }']
    assert jails(__etc__jail="\n".join(lines)) == {}
    many = '$a = "x"; j { path = "' + "${a}" * 30_000 + '"; }'
    assert jails(__etc__jail=many) == {}
