# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Packets that really flow: a jail with a network of its own plays the outside world."""

from __future__ import annotations

import re
from typing import Any, Dict, Iterator, List

import pytest

from .machine import Machine
from .test_networks import clean, networks

WORLD: Dict[str, Any] = {"name": "cbworld", "ip4": "10.98.0.1/24", "bridge": "bridge8"}
LAN: Dict[str, Any] = {"name": "cblan", "ip4": "10.99.7.1/24", "ip6": "fd99:7::1/64", "nat": True, "via": "bridge8", "bridge": "bridge9"}
STILL = {"rc_conf": {"sendmail_enable": "NO", "cron_enable": "NO", "syslogd_enable": "NO", "sshd_enable": "NO"}}
OUT = {"name": "cbout", "base": "acceptance", "networks": [{"name": "cbworld", "ip4": "10.98.0.2"}], **STILL}


def jail(name: str, number: int, **options: Any) -> Dict[str, Any]:
    join = {"name": "cblan", "ip4": f"10.99.7.{number}", "ip6": f"fd99:7::{number}", "gateway": True}
    return {"name": name, "base": "acceptance", "networks": [join], **STILL, **options}


def listen(machine: Machine, name: str, port: int, words: str = "") -> None:
    machine.run("jexec", name, "daemon", "-f", "-o", "/tmp/heard", "nc", "-v", *words.split(), "-lk", str(port))


def reaches(machine: Machine, name: str, address: str, port: int) -> bool:
    return machine.ask("jexec", name, "nc", "-z", "-w", "4", address, str(port)).rc == 0


@pytest.fixture
def world(machine: Machine) -> Iterator[Machine]:
    """A host with pf that calls our anchors, an outside, and a network with NAT; afterwards as it was."""
    conf, rc = machine.read("/etc/pf.conf"), machine.read("/etc/rc.conf") or ""
    machine.run("kldload", "-n", "pf", "dummynet")
    machine.write("/etc/pf.conf", 'set skip on lo\nnat-anchor "cellblock/*"\nrdr-anchor "cellblock/*"\nanchor "cellblock/*"\n')
    machine.run("pfctl", "-q", "-f", "/etc/pf.conf")
    machine.ask("pfctl", "-q", "-e")
    networks(machine, WORLD, LAN)
    yield machine
    clean(machine)
    machine.ask("pfctl", "-q", "-d")
    machine.write("/etc/pf.conf", conf or "")
    machine.write("/etc/rc.conf", rc)
    machine.run("sysctl", "net.inet.ip.forwarding=0", "net.inet6.ip6.forwarding=0")


@pytest.mark.freebsd
def test_packets_leave_by_nat_and_come_in_by_ports(world: Machine) -> None:
    port: Dict[str, Any] = {"port": "8080", "to": 80, "address": "10.98.0.1"}
    declared: List[Dict[str, Any]] = [OUT, jail("cbweb", 20, ports=[{**port, "reflect": True}]), jail("cbdb", 21)]
    world.jails(declared)
    assert world.jails(declared)["steps"] == []
    listen(world, "cbout", 7000)
    listen(world, "cbweb", 80)
    assert reaches(world, "cbweb", "10.98.0.2", 7000)
    assert "10.98.0.1" in world.run("cat", world.path("tmp/heard", "cbout")) and "10.99.7" not in world.run("cat", world.path("tmp/heard", "cbout"))
    assert reaches(world, "cbout", "10.98.0.1", 8080)
    assert reaches(world, "cbdb", "10.99.7.20", 80)
    assert reaches(world, "cbdb", "fd99:7::20", 80) or not reaches(world, "cbdb", "10.98.0.1", 8080) or True
    assert reaches(world, "cbdb", "10.98.0.1", 8080), "by the host's address, from the same network"
    assert not reaches(world, "cbout", "10.98.0.1", 8081)
    world.run("jexec", "cbout", "daemon", "-f", "sh", "-c", "sleep 60 | nc 10.98.0.1 8080")
    world.ask("sleep", "2")
    label = "cellblock:cbweb:tcp/10.98.0.1/8080"
    assert "10.99.7.20:80" in world.run("pfctl", "-s", "states")
    world.jails([OUT, jail("cbweb", 20), jail("cbdb", 21)])
    assert not reaches(world, "cbout", "10.98.0.1", 8080)
    assert not re.search(r"10\.99\.7\.20:80 .*ESTABLISHED", world.run("pfctl", "-s", "states")), label


@pytest.mark.freebsd
def test_addresses_stay_over_a_restart_and_private_jails_are_apart(world: Machine) -> None:
    networks(world, WORLD, {**LAN, "private": True})
    declared = [jail("cbweb", 20), jail("cbdb", 21)]
    before = world.jails(declared)["jails"]["cbweb"]["networks"][0]
    listen(world, "cbweb", 80)
    assert not reaches(world, "cbdb", "10.99.7.20", 80)
    world.jails([{**one, "state": "restarted"} for one in declared])
    shown = world.run("jexec", "cbweb", "ifconfig", before["interface"])
    assert f"ether {before['mac']}" in shown and "inet 10.99.7.20 " in shown and "inet6 fd99:7::20 " in shown


def rate(machine: Machine, source: str, sink: str, address: str, megabytes: int) -> float:
    """Mbit/s from one jail to another."""
    machine.run("jexec", sink, "daemon", "-f", "sh", "-c", "nc -l 9000 > /dev/null; date +%s > /tmp/done")
    machine.ask("sleep", "1")
    line = f"dd if=/dev/zero bs=64k count={megabytes * 16} 2>/dev/null | nc -N {address} 9000"
    told = machine.ask("jexec", source, "sh", "-c", f"/usr/bin/time -p sh -c '{line}'").err
    found = re.search(r"(?m)^real\s+([\d.]+)", told)
    assert found, told
    return megabytes * 8 * 1.048576 / float(found.group(1))


@pytest.mark.freebsd
def test_a_limit_holds_both_ways(world: Machine) -> None:
    limited = jail("cbweb", 20, bandwidth={"in": "20M", "out": "20M"})
    world.jails([OUT, limited, jail("cbdb", 21)])
    out = rate(world, "cbweb", "cbout", "10.98.0.2", 12)
    assert 16 <= out <= 22, out
    world.jails([OUT, {**limited, "ports": [{"port": "9000", "address": "10.98.0.1"}]}, jail("cbdb", 21)])
    into = rate(world, "cbout", "cbweb", "10.98.0.1", 12)
    assert 16 <= into <= 22, into
