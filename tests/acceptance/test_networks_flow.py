# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Packets that really flow, by pf and by ipfw: a jail with a network of its own plays the outside world."""

from __future__ import annotations

import re
from typing import Any, Callable, Dict, Iterator, List

import pytest

from .machine import Failed, Machine
from .test_networks import clean, networks

pytestmark = pytest.mark.freebsd
WORLD: Dict[str, Any] = {"name": "cbworld", "ip4": "10.98.0.1/24", "ip6": "fd98::1/64", "bridge": "bridge8"}
LAN: Dict[str, Any] = {"name": "cblan", "ip4": "10.99.7.1/24", "ip6": "fd99:7::1/64", "nat": True, "via": "bridge8", "bridge": "bridge9"}
STILL = {"rc_conf": {"sendmail_enable": "NO", "cron_enable": "NO", "syslogd_enable": "NO", "sshd_enable": "NO"}}
OUT = {"name": "cbout", "base": "acceptance", "networks": [{"name": "cbworld", "ip4": "10.98.0.2", "ip6": "fd98::2"}], **STILL}
# The host lets its jails out, and nobody in but by what jails declare.
PF_CONF = """\
set skip on lo
nat-anchor "cellblock/*"
rdr-anchor "cellblock/*"
block in on bridge8 proto tcp
anchor "cellblock/*"
"""
KERNEL = ("net.inet.ip.forwarding", "net.inet6.ip6.forwarding", "net.link.bridge.pfil_member")


def jail(name: str, number: int, **options: Any) -> Dict[str, Any]:
    join = {"name": "cblan", "ip4": f"10.99.7.{number}", "ip6": f"fd99:7::{number}", "gateway": True}
    return {"name": name, "base": "acceptance", "networks": [join], **STILL, **options}


def listen(machine: Machine, name: str, port: int) -> None:
    machine.run("jexec", name, "daemon", "-f", "-o", "/tmp/heard", "nc", "-v", "-n", "-lk", str(port))


def heard(machine: Machine, name: str) -> str:
    return machine.run("jexec", name, "cat", "/tmp/heard")


def reaches(machine: Machine, name: str, address: str, port: int) -> bool:
    return machine.ask("jexec", name, "nc", "-n", "-z", "-w", "5", address, str(port)).rc == 0


def eventually(machine: Machine, condition: Callable[[], bool]) -> bool:
    """Whether it comes true within a minute."""
    for _second in range(60):
        if condition():
            return True
        machine.ask("sleep", "1")
    return False


def states(machine: Machine, address: str) -> str:
    return "\n".join(line for line in machine.run("pfctl", "-s", "states").splitlines() if address in line and "ESTABLISHED" in line)


@pytest.fixture(params=["pf", "ipfw"])
def wall(request: Any) -> str:
    """The host's firewall."""
    return str(request.param)


@pytest.fixture
def world(machine: Machine, wall: str) -> Iterator[Machine]:
    """A host whose firewall lets nobody in, an outside, and a network with NAT; afterwards as it was."""
    conf, kernel = machine.read("/etc/pf.conf"), machine.run("sysctl", *KERNEL[:2])
    machine.run("kldload", "-n", "if_bridge", "pf", "dummynet")
    if wall == "pf":
        machine.write("/etc/pf.conf", PF_CONF)
        machine.run("pfctl", "-q", "-f", "/etc/pf.conf")
        machine.ask("pfctl", "-q", "-e")
    else:
        machine.run("kenv", "net.inet.ip.fw.default_to_accept=1")
        machine.run("kldload", "-n", "ipfw", "ipfw_nat")
        machine.run("sysctl", "net.inet.ip.fw.one_pass=0", "net.inet.ip.fw.enable=1", "net.inet6.ip6.fw.enable=1")
        machine.run("ipfw", "add", "1000", "deny", "tcp", "from", "any", "to", "any", "in", "recv", "bridge8", "setup")
    networks(machine, WORLD, LAN, firewall=wall)
    yield machine
    clean(machine)
    machine.ask("pfctl", "-q", "-d")
    machine.write("/etc/pf.conf", conf or "")
    if wall == "ipfw":
        assert machine.run("ipfw", "set", "28", "list") == "" and machine.run("ipfw", "nat", "show", "config") == ""
        machine.run("ipfw", "-q", "-f", "flush")
        machine.run("sysctl", "net.inet.ip.fw.enable=0", "net.inet6.ip6.fw.enable=0")
    machine.run("sysctl", f"{KERNEL[2]}=0", *(line.replace(": ", "=") for line in kernel.splitlines()))
    assert not re.findall(r"epair|bridge[89]", machine.run("ifconfig", "-l"))


def test_packets_leave_by_nat_and_come_in_by_ports(world: Machine, wall: str) -> None:
    port: Dict[str, Any] = {"port": "8080", "to": 80, "address": "10.98.0.1"}
    declared: List[Dict[str, Any]] = [
        OUT, jail("cbweb", 20, ports=[{**port, "reflect": True}, {"port": "81", "address": "fd99:7::20"}]), jail("cbdb", 21),
    ]
    world.jails(declared)
    assert world.jails(declared)["steps"] == []
    listen(world, "cbout", 7000)
    listen(world, "cbweb", 80)
    assert reaches(world, "cbweb", "10.98.0.2", 7000), "out by NAT"
    assert "10.98.0.1" in heard(world, "cbout") and "10.99.7" not in heard(world, "cbout")
    assert not reaches(world, "cbout", "10.99.7.20", 80), "nobody comes in by himself"
    assert reaches(world, "cbout", "10.98.0.1", 8080), "in by a port"
    assert "10.98.0.2" in heard(world, "cbweb"), "and the jail sees who comes"
    world.run("jexec", "cbweb", "daemon", "-f", "nc", "-n", "-6", "-lk", "80")
    world.run("jexec", "cbweb", "daemon", "-f", "nc", "-n", "-6", "-lk", "81")
    assert reaches(world, "cbdb", "10.99.7.20", 80) and reaches(world, "cbdb", "fd99:7::20", 80), "over the bridge"
    assert reaches(world, "cbdb", "10.98.0.1", 8080), "by the host's address, from the same network"
    assert not reaches(world, "cbout", "10.98.0.1", 8081)
    world.run("route", "-q", "-j", "cbout", "-6", "add", "fd99:7::/64", "fd98::1")
    assert reaches(world, "cbout", "fd99:7::20", 81) and not reaches(world, "cbout", "fd99:7::20", 80), "IPv6 is let in, not translated"


def test_an_address_that_another_has_fails_the_start(world: Machine, wall: str) -> None:
    inner = world.jails([OUT])["jails"]["cbout"]["networks"][0]["interface"]
    world.run("ifconfig", "-j", "cbout", inner, "inet6", "fd98::77/64")
    world.ask("sleep", "4")
    with pytest.raises(Failed, match="fd98::77 is used by another"):
        world.jails([OUT, {"name": "cbdup", "base": "acceptance", "networks": [{"name": "cbworld", "ip6": "fd98::77"}], **STILL}])
    assert "cbdup" not in world.running()


def test_a_port_that_goes_ends_its_connections(world: Machine, wall: str) -> None:
    ports: List[Dict[str, Any]] = [{"port": "8080", "to": 80, "address": "10.98.0.1"}, {"port": "8090", "to": 90, "address": "10.98.0.1"}]
    world.jails([OUT, jail("cbweb", 20, ports=ports)])
    for number in (80, 90):
        world.run("jexec", "cbweb", "daemon", "-f", "-o", f"/tmp/from{number}", "nc", "-n", "-l", str(number))
        world.run("jexec", "cbout", "daemon", "-f", "sh", "-c", f"(echo one; sleep 12; echo two; sleep 60) | nc -n 10.98.0.1 80{number}")
    assert eventually(world, lambda: all("one" in world.ask("jexec", "cbweb", "cat", f"/tmp/from{number}").out for number in (80, 90)))
    world.jails([OUT, jail("cbweb", 20, ports=ports[1:])])
    assert eventually(world, lambda: "two" in world.run("jexec", "cbweb", "cat", "/tmp/from90")), "the other goes on"
    assert "two" not in world.run("jexec", "cbweb", "cat", "/tmp/from80")
    assert not reaches(world, "cbout", "10.98.0.1", 8080)
    if wall == "pf":
        assert not states(world, "10.99.7.20:80")


def test_addresses_stay_over_a_restart_and_private_jails_are_apart(world: Machine, wall: str) -> None:
    networks(world, WORLD, {**LAN, "private": True})
    declared = [jail("cbweb", 20), jail("cbdb", 21)]
    before = world.jails(declared)["jails"]["cbweb"]["networks"][0]
    listen(world, "cbweb", 80)
    assert not reaches(world, "cbdb", "10.99.7.20", 80)
    assert world.ask("nc", "-n", "-z", "-w", "5", "10.99.7.20", "80").rc == 0
    world.jails([{**one, "state": "restarted"} for one in declared])
    shown = world.run("jexec", "cbweb", "ifconfig", before["interface"])
    assert f"ether {before['mac']}" in shown and "inet 10.99.7.20 " in shown and "inet6 fd99:7::20 " in shown


def test_ports_of_a_jail_that_shares_the_hosts_network(world: Machine, wall: str) -> None:
    shared = {
        "name": "cbshare", "base": "acceptance", "ip4": ["lo1|10.97.0.5/32"], **STILL,
        "ports": [{"port": "8080", "to": 80, "address": "10.98.0.1", "reflect": True}],
    }
    networks(world, WORLD, LAN, {"name": "cbinner", "interface": "lo1", "net4": "10.97.0.0/24", "nat": True, "via": "bridge8"})
    world.jails([OUT, shared])
    listen(world, "cbshare", 80)
    listen(world, "cbout", 7000)
    assert reaches(world, "cbout", "10.98.0.1", 8080)
    assert reaches(world, "cbshare", "10.98.0.2", 7000) and "10.98.0.1" in heard(world, "cbout")


def test_ipv6_addresses_come_by_advertisements(world: Machine, wall: str) -> None:
    declared = [OUT, {"name": "cbauto", "base": "acceptance", "networks": [{"name": "cbworld", "ip6": "slaac"}], **STILL}]
    told = world.jails([OUT])
    inner = told["jails"]["cbout"]["networks"][0]["interface"]
    world.run("sysctl", "-j", "cbout", "net.inet6.ip6.forwarding=1")
    world.run("jexec", "cbout", "tee", "/etc/rtadvd.conf", stdin=f'{inner}:addr="fd98::":prefixlen#64:maxinterval#4:mininterval#3:\n')
    world.run("jexec", "cbout", "rtadvd", "-p", "/var/run/rtadvd.pid", inner)
    told = world.jails(declared)
    auto = told["jails"]["cbauto"]["networks"][0]
    tail = auto["mac"].split(":")
    ends = f"{int(tail[0], 16) ^ 2:x}{tail[1]}:{tail[2]}ff:fe{tail[3]}:{tail[4]}{tail[5]}"
    found = eventually(world, lambda: "inet6 fd98:" in world.run("jexec", "cbauto", "ifconfig", auto["interface"], "inet6"))
    shown = world.run("jexec", "cbauto", "ifconfig", auto["interface"], "inet6")
    assert found, shown
    assert ends.lstrip("0").split(":")[-1].lstrip("0") in shown, "made from the MAC address that stays"
    assert world.jails(declared)["steps"] == []


def took(machine: Machine, source: str, sink: str, address: str, blocks: int) -> float:
    """Seconds that 64 KiB blocks take from one jail to another, with the start of what sends them."""
    machine.run("jexec", sink, "daemon", "-f", "sh", "-c", "nc -n -l 9000 > /dev/null")
    machine.ask("sleep", "2")
    line = f"dd if=/dev/zero bs=64k count={blocks} 2>/dev/null | nc -n -N {address} 9000"
    told = machine.ask("jexec", source, "sh", "-c", f"/usr/bin/time -p sh -c '{line}'").err
    found = re.search(r"(?m)^real\s+([\d.]+)", told)
    assert found, told
    return float(found.group(1))


def rate(machine: Machine, source: str, sink: str, address: str, seconds: float) -> float:
    """Mbit/s from one jail to another, by what more blocks take longer than few."""
    few = 8
    short = took(machine, source, sink, address, few)
    many = few + int(few * max(1.0, seconds / short))
    return (many - few) * 0.524288 / (took(machine, source, sink, address, many) - short)


OPEN = [{"port": "9000", "address": "10.98.0.1"}]


@pytest.mark.parametrize("kind", ["routed", "bridged", "shared"])
def test_a_limit_holds_both_ways(world: Machine, wall: str, kind: str) -> None:
    bare, limit = jail("cbweb", 20, ports=OPEN), 20
    inward = "10.98.0.1"
    if kind == "bridged":
        world.run("ifconfig", "epair90", "create", "up")
        world.run("ifconfig", "epair90b", "up")
        world.run("ifconfig", "bridge8", "addm", "epair90b")
        networks(world, WORLD, LAN, {"name": "cbup", "uplink": "epair90a", "pfil_member": True, "bridge": "bridge7"})
        bare = {"name": "cbweb", "base": "acceptance", "networks": [{"name": "cbup", "ip4": "10.98.0.40/24"}], **STILL}
        inward = "10.98.0.40"
    elif kind == "shared":
        bare = {"name": "cbweb", "base": "acceptance", "ip4": ["bridge8|10.98.0.50/32"], "ports": [{"port": "9000", "address": "10.98.0.50"}], **STILL}
        inward = "10.98.0.50"
    if kind == "bridged" and wall == "pf":
        world.write("/etc/pf.conf", PF_CONF.replace("block in on bridge8 proto tcp\n", ""))
        world.run("pfctl", "-q", "-f", "/etc/pf.conf")
    elif kind == "bridged":
        world.run("ipfw", "-q", "delete", "1000")
    world.jails([OUT, bare])
    unbound = min(rate(world, "cbweb", "cbout", "10.98.0.2", 10), rate(world, "cbout", "cbweb", inward, 10))
    while limit > 1 and limit * 8 > unbound:  # an emulated machine may be slower than the limit itself
        limit //= 2
    print(f"{wall} {kind}: unbound {unbound:.1f} Mbit/s, limit {limit} Mbit/s")
    world.jails([OUT, {**bare, "bandwidth": {"in": f"{limit}M", "out": f"{limit}M"}}])
    for found in (rate(world, "cbweb", "cbout", "10.98.0.2", 20), rate(world, "cbout", "cbweb", inward, 20)):
        print(f"{wall} {kind}: {found:.2f} Mbit/s")
        assert 0.9 * limit <= found <= 1.1 * limit, (found, limit)
    if kind == "bridged":
        world.jails([OUT])
        world.jails([], prune=True)
        networks(world, WORLD, LAN, {"name": "cbup", "state": "absent"})
        world.run("ifconfig", "epair90a", "destroy")
