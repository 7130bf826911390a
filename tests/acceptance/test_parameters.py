# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Parameters of every kind: each holds, drifts in no jail that was left alone, and goes again."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict

import pytest

from .machine import Failed, Machine, Simulated
from .test_jails import IDLE

ALLOWED = (
    "adjtime chflags extattr mlock nfsd quotas raw_sockets read_msgbuf routing setaudit settime socket_af "
    "unprivileged_parent_tampering"
)
DENIED = "reserved_ports set_hostname suser unprivileged_proc_debug"
KINDS: Dict[str, Dict[str, Any]] = {
    "allow": {"params": {f"allow.{name}": True for name in ALLOWED.split()}},
    "deny": {"params": {f"allow.{name}": False for name in DENIED.split()}},
    "mounts": {"params": {"mount.procfs": True, "mount.fdescfs": True, "allow.mount": True, "allow.mount.devfs": True, "allow.mount.tmpfs": True}},
    "numbers": {"params": {"children.max": 5, "securelevel": 1, "enforce_statfs": 1, "exec.timeout": 60, "stop.timeout": 3}},
    "release": {"params": {"osrelease": "14.3-RELEASE", "osreldate": 1403000}},
    "host": {"params": {"host.domainname": "example.org", "host.hostid": 77, "host.hostuuid": "11111111-2222-3333-4444-555555555555"}},
    "source address": {"params": {"ip4.saddrsel": False}},
    "console": {"params": {"exec.consolelog": "/var/log/cellblock-acceptance.log"}},
    "users": {"exec": {"start": ["/usr/bin/true", "/bin/sh -c 'echo \"$HOME\" > /tmp/h'"], "stop": "/usr/bin/true", "jail_user": "root"}},
    "all addresses": {"ip4": "inherit", "ip6": "inherit"},
    "no addresses": {"ip4": "none", "ip6": "none"},
    "meta": {"params": {"meta": {"a": "b", "owner": "x y"}, "env.FOO": "bar"}},
}
# Which of them FreeBSD has since when.
NEWER = {"allow": 1500000, "meta": 1500000}
# What the variables of rc.conf have no words for.
UNSAYABLE = ("all addresses", "no addresses", "meta")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("style", ["jail_conf", "rc_conf"])
def test_a_parameter_holds_and_goes(machine: Machine, style: str, kind: str) -> None:
    declared = [machine.web(root=machine.clone, boot_style=style, **{**IDLE, **KINDS[kind]})]
    if style == "rc_conf" and kind in UNSAYABLE:
        with pytest.raises(Failed, match="Use boot_style: jail_conf"):
            machine.jails(declared)
        return
    if kind in NEWER and machine.osreldate < NEWER[kind]:
        with pytest.raises(Failed, match="the kernel of this host does not know it|is in FreeBSD 15.0 and later"):
            machine.jails(declared)
        return
    machine.jails(declared)
    assert machine.jails(declared)["steps"] == []
    told = machine.module("jail_info", **machine.storage)["jails"]
    assert [(jail["drift"], jail["restart_waits"]) for jail in told if jail["name"] == "cbweb"] == [([], [])]
    plain = [machine.web(root=machine.clone, boot_style=style, restart="if_needed", **IDLE)]
    machine.jails(plain)
    assert machine.jails(plain)["steps"] == []
    assert machine.jails([{**plain[0], "state": "restarted"}])["changed"]
    assert machine.jails(plain)["steps"] == []


def test_what_no_release_tells_is_asked_of_the_kernel(tmp_path: Path) -> None:
    """FreeBSD 14.0: its kernel lacks what later ones of its branch and its modules bring."""
    machine = Simulated(tmp_path / "host", "ufs")
    machine.sim.state["absent"] = ["allow.routing"]
    machine.jails([machine.web(root="empty", base=None, params={"allow.mlock": True})])
    for check in (True, False):
        with pytest.raises(Failed, match="cbweb, allow.routing: the kernel of this host does not know it"):
            machine.jails([machine.web(root="empty", base=None, params={"allow.norouting": True})], check=check)
    machine.jails([machine.web(root="empty", base=None, params={"allow.routing": True})], check=True, assume={"fibs": True})


def test_a_public_first_address_that_becomes_the_localhost_is_told(machine: Machine) -> None:
    public = f"{machine.interface}|1.2.3.4"
    told = machine.jails([machine.web(root="empty", base=None, ip4=[public])], check=True)
    assert "1.2.3.4 is public and its first address, so what listens on 127.0.0.1 inside answers there" in str(told["warnings"])
    for first in ({"ip4": [f"{machine.interface}|10.99.0.20", public]}, {"ip4": [public], "loopback": "10.99.7.5"}):
        assert "is public" not in str(machine.jails([machine.web(root="empty", base=None, **first)], check=True).get("warnings"))


def test_an_environment_is_told_by_nobody(machine: Machine) -> None:
    secret = "hunter2xyz"
    jail = machine.web(**IDLE, params={"env": {"A": secret}})
    told = [machine.jails([jail])]
    machine.run("jail", "-m", "name=cbweb", "env=A=other")
    told += [machine.module("jail_info", **machine.storage), machine.jails([jail]), machine.module("jail_info", **machine.storage)]
    told.append(machine.jails([], prune=True))
    assert secret not in str([{key: value for key, value in one.items() if key != "invocation"} for one in told])


def test_an_address_that_others_add_is_theirs_and_one_that_was_ours_goes(machine: Machine) -> None:
    ours = [f"{machine.interface}|10.99.0.20", f"{machine.interface}|10.99.0.21"]
    machine.jails([machine.web(ip4=ours, **IDLE)])
    machine.run("ifconfig", machine.interface, "inet", "10.99.0.99/32", "alias")
    machine.run("jail", "-m", "name=cbweb", "ip4.addr=10.99.0.20,10.99.0.21,10.99.0.99")
    assert machine.jails([machine.web(ip4=ours, **IDLE)])["steps"] == []
    told = next(one for one in machine.module("jail_info", **machine.storage)["jails"] if one["name"] == "cbweb")
    assert told["drift"] == []
    machine.jails([machine.web(ip4=ours[:1], **IDLE)])
    assert set(machine.running()["cbweb"]["ip4.addr"]) == {"10.99.0.20", "10.99.0.99"}
    machine.run("jail", "-m", "name=cbweb", "ip4.addr=10.99.0.20,10.99.0.21")  # as a run that was killed would leave it
    assert machine.jails([machine.web(ip4=ours[:1], **IDLE)])["steps"] == ["cbweb: change the running jail: ip4.addr"]
    assert machine.running()["cbweb"]["ip4.addr"] == ["10.99.0.20"]
    machine.run("ifconfig", machine.interface, "inet", "10.99.0.99", "-alias")
    machine.jails([machine.web(ip4=ours, **IDLE)])
    assert machine.jails([machine.web(ip4=ours, **IDLE)])["steps"] == []
    machine.jails([], prune=True)


def test_a_jail_may_have_the_hosts_own_name(machine: Machine) -> None:
    declared = [machine.web(params={"host": "inherit"}, **IDLE)]
    machine.jails(declared)
    assert machine.running()["cbweb"]["host"] == "inherit"
    assert machine.jails(declared)["steps"] == []
    machine.jails([machine.web(**IDLE)])
    machine.jails(declared)
    assert machine.running()["cbweb"]["host"] == "inherit" and machine.jails(declared)["steps"] == []
    for more in ({"hostname": "other"}, {"boot_style": "rc_conf"}):
        with pytest.raises(Failed, match="host name of its own"):
            machine.jails([machine.web(params={"host": "inherit"}, **IDLE, **more)])
    machine.jails([], prune=True)


def test_a_file_of_the_jails_keeps_its_mode(machine: Machine) -> None:
    thick = machine.web(root="thick", state="present", **IDLE)
    machine.jails([thick])
    place = machine.path("etc/rc.conf")
    machine.write(place, 'a="1"\n')
    machine.run("chmod", "600", place)
    machine.jails([{**thick, "rc_conf": {"b": "2"}}])
    assert machine.read(place) == 'a="1"\nb="2"\n'
    if isinstance(machine, Simulated):
        assert machine.sim.real(place).stat().st_mode & 0o777 == 0o600
    machine.jails([], prune=True)


def test_an_address_of_documentation_stands_for_a_public_one(machine: Machine) -> None:
    told = machine.jails([machine.web(root="empty", base=None, ip4=[f"{machine.interface}|203.0.113.4"])], check=True)
    assert "203.0.113.4 is public and its first address" in str(told["warnings"])
