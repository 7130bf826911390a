# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What programs in a jail find: only a real FreeBSD can say."""

from __future__ import annotations

from typing import Any, Dict, Iterator

import pytest

from .machine import Machine
from .test_jails import IDLE, INSIDE, ROOTS

pytestmark = pytest.mark.freebsd


def inside(machine: Machine, *argv: str, name: str = "cbweb") -> str:
    """What a command in the jail prints."""
    return machine.run("jexec", "-l", name, *argv)


@pytest.mark.parametrize("root", ROOTS)
def test_a_jail_has_booted_with_what_was_declared(machine: Machine, root: str) -> None:
    machine.jails([machine.web(root=root, hostname="web.example.org", **INSIDE)])
    assert inside(machine, "hostname").strip() == "web.example.org"
    assert inside(machine, "date", "-j", "-f", "%Y%m%d", "20260701", "+%Z").strip() == "EEST"
    assert inside(machine, "pw", "usershow", "root").startswith("root:$6$salt$hash:0:0:")
    assert inside(machine, "/bin/sh", "-c", '. /etc/rc.conf; printf %s "$motd"') == INSIDE["rc_conf"]["motd"]
    assert "cron" in inside(machine, "ps", "-axo", "comm").split()
    assert machine.ask("jexec", "-l", "cbweb", "touch", "/bin/planted").rc == (1 if root == "thin" else 0)
    inside(machine, "touch", "/etc/own", "/var/own", "/tmp/own", "/root/own", "/usr/local/own")
    sockets = machine.run("sockstat", "-4l", "-j", "cbweb")
    assert "*:111" not in sockets


@pytest.mark.storage("ufs")
def test_a_thin_jail_that_has_booted_holds_two_mebibytes(machine: Machine) -> None:
    machine.jails([machine.web()])
    assert int(machine.run("du", "-skx", machine.path("")).split()[0]) <= 2048


def test_a_jail_sees_the_devices_of_its_ruleset_and_no_others(machine: Machine) -> None:
    basics = ["include $devfsrules_hide_all", "include $devfsrules_unhide_basic", "include $devfsrules_unhide_login"]
    machine.module("devfs_ruleset", name="devfsrules_cb", rules=[*basics, "path mem unhide"])
    try:
        machine.jails([machine.web(**IDLE), machine.db(devfs_ruleset="devfsrules_cb", **IDLE)])
        plain, more = (set(inside(machine, "ls", "/dev", name=name).split()) for name in ("cbweb", "cbdb"))
        assert {"null", "zero", "random", "urandom"} <= plain and "mem" not in plain and "kmem" not in plain
        assert "mem" in more and "kmem" not in more
        machine.module("devfs_ruleset", name="devfsrules_cb", rules=basics, apply=True)
        assert "mem" not in inside(machine, "ls", "/dev", name="cbdb").split()
        told = machine.answer("devfs_ruleset", {"name": "devfsrules_cb", "state": "absent"})
        assert told["failed"] and "cbdb" in told["msg"]
    finally:
        machine.jails([], prune=True)
        machine.module("devfs_ruleset", name="devfsrules_cb", state="absent")


def test_a_fork_bomb_meets_maxproc(machine: Machine) -> None:
    if not machine.limits_work:
        pytest.skip("kern.racct.enable is 0 on this host")
    machine.jails([machine.web(limits={"maxproc": 10}, **IDLE)])
    bomb = "i=0; while [ $i -lt 60 ]; do sleep 30 & i=$((i + 1)); done"
    told = machine.ask("jexec", "-l", "cbweb", "/bin/sh", "-c", f"({bomb}) </dev/null >/dev/null 2>/tmp/said; true")
    assert told.rc == 0
    assert "Resource temporarily unavailable" in str(machine.read(machine.path("tmp/said")))
    usage = machine.module("jail_info", **machine.storage)["jails"][0]["usage"]
    assert 5 <= usage["maxproc"] <= 10


def test_an_allocation_meets_its_limit(machine: Machine) -> None:
    if not machine.limits_work:
        pytest.skip("kern.racct.enable is 0 on this host")
    machine.jails([machine.web(limits={"vmemoryuse": "128M", "memoryuse": "64M"}, **IDLE)])
    greedy = 'x=x; while [ ${#x} -lt 500000000 ]; do x=$x$x; done; echo reached'
    told = machine.ask("jexec", "-l", "cbweb", "/bin/sh", "-c", greedy)
    assert told.rc != 0 and "reached" not in told.out


def test_two_routing_tables(machine: Machine) -> None:
    if int(machine.run("sysctl", "-n", "net.fibs")) < 2:
        machine.run("sysctl", "net.fibs=2")
    show = {"exec": {"start": "/bin/sh -c 'sysctl -n net.my_fibnum > /tmp/fib'", "stop": ""}}
    machine.jails([machine.web(fib=1, **show), machine.db(fib=0, **show)])
    assert str(machine.read(machine.path("tmp/fib"))).strip() == "1"
    assert str(machine.read(machine.path("tmp/fib", "cbdb"))).strip() == "0"


@pytest.fixture
def epair(machine: Machine) -> Iterator[str]:
    """A pair of interfaces; its name without the last letter."""
    name = machine.run("ifconfig", "epair", "create").strip()[:-1]
    yield name
    machine.jails([], prune=True)
    machine.run("ifconfig", f"{name}a", "destroy")


@pytest.mark.parametrize("style", ["jail_conf", "rc_conf"])
def test_a_jail_with_a_network_of_its_own(machine: Machine, epair: str, style: str) -> None:
    own = {"name": "cbvnet", "base": "acceptance", "vnet": True, "vnet_interfaces": [f"{epair}b"], "boot_style": style}
    own["rc_conf"] = {f"ifconfig_{epair}b": "inet 10.99.5.2/24", "sendmail_enable": "NO"}
    machine.jails([own])
    machine.run("ifconfig", f"{epair}a", "inet", "10.99.5.1/24", "up")
    assert "inet 10.99.5.2" in inside(machine, "ifconfig", f"{epair}b", name="cbvnet")
    machine.run("ping", "-c", "1", "-t", "10", "10.99.5.2")
    assert machine.jails([own])["steps"] == []
    machine.jails([{**own, "state": "stopped"}])
    assert f"{epair}b" in machine.run("ifconfig", "-l").split()


def test_a_jail_with_a_firewall_of_its_own(machine: Machine) -> None:
    flavour, before = "/var/tmp/cbflavour", machine.ask("pfctl", "-s", "info").out
    if machine.ask("kldload", "-n", "pf").rc:
        pytest.skip("no module pf on this host")
    machine.write(f"{flavour}/etc/pf.conf", "pass\nblock in inet proto icmp\n")
    own: Dict[str, Any] = {
        "name": "cbvnet", "base": "acceptance", "vnet": True, "vnet_interfaces": ["epair77b"], "flavour": flavour,
        "devfs_ruleset": "devfsrules_jail_vnet", "restart": "always",
        "exec": {
            "prestart": ["ifconfig epair77 create", "ifconfig epair77a inet 10.99.7.1/24 up"],
            "poststop": "ifconfig epair77a destroy",
        },
        "rc_conf": {"ifconfig_epair77b": "inet 10.99.7.2/24", "pf_enable": True, "sendmail_enable": "NO"},
    }
    try:
        machine.jails([own])
        assert "block drop in inet proto icmp" in inside(machine, "pfctl", "-s", "rules", name="cbvnet")
        assert machine.ask("ping", "-c", "1", "-t", "3", "10.99.7.2").rc != 0
        inside(machine, "pfctl", "-d", name="cbvnet")
        machine.run("ping", "-c", "1", "-t", "10", "10.99.7.2")
        assert machine.ask("pfctl", "-s", "rules").out.strip() == "" or "Enabled" in before
        machine.jails([{**own, "state": "restarted"}])
        assert machine.ask("ping", "-c", "1", "-t", "3", "10.99.7.2").rc != 0
        machine.jails([], prune=True)
        assert not {"epair77a", "epair77b"} & set(machine.run("ifconfig", "-l").split())
    finally:
        machine.run("rm", "-r", flavour)


def test_a_flavour_is_laid_over_and_its_script_runs_once(machine: Machine) -> None:
    flavour = "/var/tmp/cbflavour"
    machine.write(f"{flavour}/etc/issue", "flavoured\n")
    machine.write(f"{flavour}/flavour.sh", "#!/bin/sh\nhostname >> /var/log/flavour\n")
    try:
        machine.jails([machine.web(flavour=flavour)])
        assert machine.read(machine.path("etc/issue")) == "flavoured\n"
        machine.jails([machine.web(flavour=flavour, state="restarted")])
        assert machine.jails([machine.web(flavour=flavour)])["steps"] == []
        assert machine.read(machine.path("var/log/flavour")) == "cbweb\n"
    finally:
        machine.run("rm", "-r", flavour)


def test_the_host_stops_and_starts_jails_by_its_own_means(machine: Machine) -> None:
    machine.jails([machine.web(), machine.db()])
    machine.run("service", "jail", "onestop", "cbweb")
    assert list(machine.running()) == ["cbdb"] and "10.99.0.20/32" not in machine.addresses()
    machine.run("service", "jail", "onestart", "cbweb")
    assert set(machine.running()) == {"cbweb", "cbdb"}
    assert machine.jails([machine.web(), machine.db()])["steps"] == []
    machine.run("service", "jail", "onestop", "cbweb")
    assert machine.jails([machine.web(), machine.db()])["steps"] == ["cbweb: start"]


@pytest.mark.parametrize("style", ["jail_conf", "rc_conf"])
def test_hooks_run_in_their_order_with_odd_words_unharmed(machine: Machine, style: str) -> None:
    log = "/var/tmp/cbhooks"
    kinds = ["prestart", "poststart", "prestop", "poststop"] + (["prepare", "created", "release"] if style == "jail_conf" else [])
    hooks: Dict[str, Any] = {kind: f"echo '{kind} \"$JNAME\" a  b \\ $HOME'\\''s' >> {log}" for kind in kinds}
    hooks.update(start=["/usr/bin/true", f"echo start '$x' > {log}.inside"], stop=f"echo stop >> {log}.inside")
    machine.run("mkdir", "-p", "/var/tmp")
    try:
        machine.jails([machine.web(exec=hooks, boot_style=style)])
        machine.jails([machine.web(exec=hooks, boot_style=style)])
        assert machine.read(machine.path(f"{log}.inside")) == "start $x\n"
        machine.jails([machine.web(exec=hooks, boot_style=style, state="stopped")])
        order = ["prepare", "prestart", "created", "poststart", "prestop", "poststop", "release"]
        told = [f"{kind} \"$JNAME\" a  b \\ $HOME's" for kind in order if kind in kinds]
        assert str(machine.read(log)).splitlines() == told
        assert machine.read(machine.path(f"{log}.inside")) == "start $x\nstop\n"
    finally:
        machine.run("rm", "-f", log)
