# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of jail(8)'s parameters, held against what a FreeBSD 15.1 host says of its own."""

from __future__ import annotations

import json
from typing import Any, Dict, List

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.cellblock.jails.plugins.module_utils.errors import InputError
from ansible_collections.cellblock.jails.plugins.module_utils.jails import params
from ansible_collections.cellblock.jails.tests.unit.captures import captures

COMMANDS: Dict[str, str] = {entry["cmd"]: entry["stdout"] for entry in captures("commands")}
JAILS: List[Dict[str, Any]] = json.loads(COMMANDS["jls --libxo json -n"])["jail-information"]["jail"]
PREFIX = "security.jail.param."
GROUPS = {"allow", "children", "cpuset", "mac"}  # nodes of sysctl(8) that only hold others


def refused(name: str, value: Any) -> str:
    with pytest.raises(InputError) as refusal:
        params.check(name, value, "jail web")
    return str(refusal.value)


class TestAgainstTheKernel:
    def test_every_parameter_of_the_kernel_is_known(self) -> None:
        names = {line[len(PREFIX):].rstrip(".") for line in COMMANDS["sysctl -N security.jail.param"].splitlines()}
        assert {name for name in names - GROUPS if name not in params.PARAMS} == set()
        assert all(params.PARAMS[name].kernel for name in names - GROUPS)

    @pytest.mark.parametrize("jail", JAILS, ids=lambda jail: jail["name"])
    def test_types_are_as_jls_shows_them(self, jail: Dict[str, Any]) -> None:
        kinds = {name: params.PARAMS[name].type for name in jail}
        assert {name for name, kind in kinds.items() if kind == "bool"} == {
            name for name, value in jail.items() if isinstance(value, bool)
        }
        assert {name for name, kind in kinds.items() if kind in ("address4", "address6")} == {
            name for name, value in jail.items() if isinstance(value, list)
        }

    def test_defaults_are_those_of_a_new_jail(self) -> None:
        (new,) = (jail for jail in JAILS if jail["name"] == "noip")  # made with a path and persist only
        for name, value in new.items():
            default = params.default(name, {})
            if default is not None and name != "persist":
                assert params.same(name, default, value), name

    @pytest.mark.parametrize("jail", JAILS, ids=lambda jail: jail["name"])
    def test_what_jls_shows_is_the_same_as_itself(self, jail: Dict[str, Any]) -> None:
        for name, value in jail.items():
            if params.PARAMS[name].fixed is None:
                assert params.same(name, params.check(name, value, "jls"), value), name

    def test_nothing_older_than_15_1_is_missing_there(self) -> None:
        assert [name for name in JAILS[0] if params.since_problem(name, 1501000)] == []


class TestCheck:
    @pytest.mark.parametrize(
        ("name", "value", "values"),
        [
            ("persist", True, ["true"]),
            ("persist", False, ["false"]),
            ("persist", "True", ["true"]),
            ("persist", 1, ["true"]),
            ("nopersist", True, ["false"]),
            ("allow.noraw_sockets", False, ["true"]),
            ("mount.devfs", True, ["true"]),
            ("children.max", 5, ["5"]),
            ("children.max", "5", ["5"]),
            ("securelevel", -1, ["-1"]),
            ("host.hostname", "web.example.org", ["web.example.org"]),
            ("osrelease", 15.1, ["15.1"]),
            ("host.hostname", "é" * 127, ["é" * 127]),
            ("sysvshm", "new", ["new"]),
            ("sysvshm", 2, ["inherit"]),
            ("ip6", False, ["disable"]),
            ("vnet", True, ["new"]),
            ("vnet", False, ["inherit"]),
            ("ip4.addr", "10.0.0.1, em0|10.0.0.2/24", ["10.0.0.1", "em0|10.0.0.2/24"]),
            ("ip6.addr", ["em0|2001:db8::1/64 vhid 1"], ["em0|2001:db8::1/64 vhid 1"]),
            ("exec.start", "/bin/sh /etc/rc", ["/bin/sh /etc/rc"]),
            ("exec.start", ["a, b", "c"], ["a, b", "c"]),
            ("exec.start", [], []),
            ("depend", ["a", "b"], ["a", "b"]),
            ("mount", ["tmpfs /j/tmp tmpfs rw 0 0"], ["tmpfs /j/tmp tmpfs rw 0 0"]),
            ("meta", {"owner": "ops", "n": 1}, ["owner=ops\nn=1"]),
            ("meta", "owner=ops", ["owner=ops"]),
            ("meta.owner", "ops", ["ops"]),
            ("env.node", 7, ["7"]),
            ("linux.osrelease", "5.15.0", ["5.15.0"]),
            ("zfs.mount_snapshot", 1, ["1"]),
            ("mac.do.rules", "uid=1001>uid=0", ["uid=1001>uid=0"]),
        ],
    )
    def test_good(self, name: str, value: Any, values: List[str]) -> None:
        assert params.check(name, value, "jail web") == values

    @pytest.mark.parametrize(
        ("name", "value", "said"),
        [
            ("allow.raw_socket", True, "nearest name is allow.raw_sockets"),
            ("exec.prestrat", "x", "nearest name is exec.prestart"),
            ("nopath", True, "nearest name is path"),
            ("quite.other", True, "No known name is near it"),
            ("allow.fuse", True, "nearest name is allow.mount.fusefs"),
            ("allow.bpf", True, "devices and devfs_ruleset"),
            ("host.uuid", "x", "nearest name is host.hostuuid"),
            ("allow_raw_sockets", True, "nearest name is allow.raw_sockets"),
            ("timeout", 3, "exec.timeout and stop.timeout"),
            ("hostname", "x", "option of the jail itself: hostname"),
            ("fstab", "x", "option of the jail itself: mounts"),
            ("priority", 3, "option of the jail itself: boot_order"),
            ("memoryuse", "1G", "limits: {memoryuse: ...}"),
            ("meta.", "x", "not a parameter"),
            ("persist", "yes", "true or false"),
            ("persist", "on", "true or false"),
            ("persist", None, "true or false"),
            ("persist", 2, "true or false"),
            ("securelevel", 4, "Give -1 to 3"),
            ("exec.timeout", -1, "Give 0 or more"),
            ("devfs_ruleset", 65536, "Give 0 to 65535"),
            ("children.max", "many", "not a whole number"),
            ("children.max", True, "boolean"),
            ("host.hostname", "x" * 256, "at most 255"),
            ("host.hostname", "é" * 128, "256 bytes"),
            ("host.hostname", True, "quotes"),
            ("host.hostname", ["a"], "not a list"),
            ("host.hostname", "a\0", "NUL"),
            ("path", "usr/jails/web", "not an absolute path"),
            ("path", "/" + "x" * 1023, "at most 1023"),
            ("sysvshm", "yes", "disable, new, inherit"),
            ("vnet", "disable", "new, inherit"),
            ("ip4.addr", "10.0.0.256", "not an IPv4 address"),
            ("ip4.addr", "2001:db8::1", "not an IPv4 address"),
            ("ip6.addr", "10.0.0.1", "not an IPv6 address"),
            ("vnet.interface", "epair0b,epair1b", "list of names"),
            ("zfs.dataset", ["tank/a b"], "not one name"),
            ("zfs.dataset", ["tank/$(reboot)"], "what a shell reads"),
            ("exec.start", [True], "boolean"),
            ("exec.start", [["a"]], "not a text"),
            ("mount", "tmpfs /tmp", "no line of fstab(5)"),
            ("mount", "tmpfs tmp tmpfs", "no line of fstab(5)"),
            ("jid", 5, "known by its name"),
            ("name", "x", "beside its parameters"),
            ("dying", False, "the kernel sets it"),
            ("parent", 1, "dotted name"),
            ("children.cur", 1, "the kernel sets it"),
            ("cpuset.id", 1, "option cpuset"),
        ],
    )
    def test_bad(self, name: str, value: Any, said: str) -> None:
        message = refused(name, value)
        assert message.startswith("jail web")
        assert name in message
        assert said in message

    @given(st.sampled_from(sorted(params.PARAMS)), st.sampled_from(["", "x", "s"]), st.integers(0, 30))
    def test_a_misspelt_name_is_told_a_known_one(self, name: str, letter: str, place: int) -> None:
        wrong = name[:place] + letter + name[place + 1:]
        if params.find(wrong) is None:
            fix = params.nearest(wrong, params.PARAMS)
            assert fix.rpartition(" ")[2] in params.PARAMS or fix == "No known name is near it"


class TestSame:
    @pytest.mark.parametrize(
        ("name", "wanted", "kernel", "same"),
        [
            ("persist", [], True, True),
            ("persist", ["true"], False, False),
            ("persist", ["0"], False, True),
            ("nopersist", [], False, True),
            ("nopersist", [], True, False),
            ("allow.mount", ["TRUE"], "true", True),
            ("children.max", ["07"], "7", True),
            ("children.max", ["1", "2"], "2", True),
            ("children.max", ["1"], "2", False),
            ("vnet", [], "new", True),
            ("vnet", ["1"], "new", True),
            ("vnet", ["new"], "inherit", False),
            ("ip4", ["new"], "disable", True),
            ("ip4", ["inherit"], "disable", False),
            ("ip4.addr", ["em0|10.0.0.1/24", "10.0.0.3", "10.0.0.2"], ["10.0.0.1", "10.0.0.2", "10.0.0.3"], True),
            ("ip4.addr", ["10.0.0.2", "10.0.0.1"], ["10.0.0.1", "10.0.0.2"], False),
            ("ip4.addr", ["10.0.0.1,10.0.0.2"], ["10.0.0.1", "10.0.0.2"], True),
            ("ip4.addr", [], [], True),
            ("ip4.addr", ["host.example.org"], ["10.0.0.1"], False),
            ("ip6.addr", ["2001:DB8:0::1/64"], ["2001:db8::1"], True),
            ("path", ["/usr/jails/web/"], "/usr/jails/web", True),
            ("meta", ["a=1\nb=2"], "b=2\na=1", True),
            ("meta.owner", ["ops"], "ops", True),
            ("meta.owner", ["ops"], None, False),
            ("host.hostname", ["web"], "Web", False),
            ("host.hostname", [], "", True),
            ("no.such", ["x"], "x", False),
        ],
    )
    def test_same(self, name: str, wanted: List[str], kernel: Any, same: bool) -> None:
        assert params.same(name, wanted, kernel) is same

    def test_a_key_is_found_in_the_lines_of_meta(self) -> None:
        kernel = {"meta": "owner=ops\nnote=a=b", "env": "", "allow.mount": True}
        assert params.running("meta.owner", kernel) == "ops"
        assert params.running("meta.note", kernel) == "a=b"
        assert params.running("meta.other", kernel) is None
        assert params.running("env.owner", kernel) is None
        assert params.running("allow.nomount", kernel) is True


class TestChanging:
    @pytest.mark.parametrize(
        ("name", "default"),
        [
            ("allow.raw_sockets", ["false"]),
            ("allow.noset_hostname", ["true"]),
            ("enforce_statfs", ["2"]),
            ("meta", [""]),
            ("meta.owner", []),
            ("path", None),
            ("vnet", None),
            ("exec.start", None),
            ("no.such", None),
        ],
    )
    def test_default(self, name: str, default: Any) -> None:
        assert params.default(name, {}) == default

    def test_since(self) -> None:
        assert params.since_problem("meta.owner", 1403000) == (
            "meta.owner is in FreeBSD 15.0 and later, this host runs 14.3"
        )
        assert params.since_problem("meta", 1501000) is None
        assert params.since_problem("allow.nonfsd", 1302001) is not None
        assert params.since_problem("no.such", 1302001) is None

    @pytest.mark.parametrize(
        ("name", "own"),
        [
            ("nopersist", "persist"),
            ("allow.noraw_sockets", "allow.raw_sockets"),
            ("mount.nodevfs", "mount.devfs"),
            ("nomount.devfs", "nomount.devfs"),
            ("nopath", "nopath"),
            ("meta.node", "meta.node"),
            ("path", "path"),
        ],
    )
    def test_canonical(self, name: str, own: str) -> None:
        assert params.canonical(name) == own
