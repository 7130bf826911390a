# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The same as with pf where the host's firewall is ipfw: one set of rules, swapped whole."""

from __future__ import annotations

import re
from typing import Any, Dict, Iterator, List

import pytest

from .machine import Failed, Killed, Machine
from .test_networks import LAN, clean, member, networks
from .test_renames import renamed_with_ports

IPFW = {"firewall": "ipfw"}


@pytest.fixture
def net(machine: Machine) -> Iterator[Machine]:
    """A host with an ipfw that lets all pass."""
    kept = {path: machine.read(path) for path in ("/etc/rc.conf", "/boot/loader.conf")}
    machine.run("kenv", "net.inet.ip.fw.default_to_accept=1")
    machine.run("kldload", "-n", "ipfw", "ipfw_nat", "dummynet")
    machine.run("sysctl", "net.inet.ip.fw.one_pass=0", "net.inet.ip.fw.enable=1", "net.inet6.ip6.fw.enable=1")
    before = machine.run("ifconfig", "-l").split()
    yield machine
    clean(machine)
    assert machine.run("ifconfig", "-l").split() == before
    assert machine.names("/usr/local/etc/cellblock") in ([], ["ipfw.sh"])
    assert machine.run("ipfw", "set", "28", "list") == "" and machine.run("ipfw", "nat", "show", "config") == ""
    assert not re.search(r"(?m)^[12]\d{4}:", machine.ask("dnctl", "pipe", "list").out)
    machine.ask("rm", "-f", "/usr/local/etc/cellblock/ipfw.sh")
    machine.run("ipfw", "-q", "-f", "flush")
    machine.run("sysctl", "net.inet.ip.fw.enable=0", "net.inet6.ip6.fw.enable=0")
    for path, text in kept.items():
        machine.write(path, text or "")


def own(machine: Machine) -> str:
    return "10.99.7.1" if machine.real else "10.10.10.10"  # of the host


def test_rules_of_networks_and_jails_are_one_set(net: Machine) -> None:
    networks(net, LAN, **IPFW)
    assert networks(net, LAN, **IPFW)["steps"] == [] and networks(net, LAN)["steps"] == []
    assert re.search(r"nat \d+ ip4 from 10.99.7.0/24 to not 10.99.7.0/24 out xmit", net.run("ipfw", "set", "28", "list"))
    web = {"port": "8080", "to": 80, "address": own(net)}
    asked = member(net, ports=[web, {"port": "2000-2010", "address": own(net), "proto": "udp", "reflect": True}], bandwidth={"in": "50M", "out": "20M"})
    net.jails([asked])
    assert net.jails([asked])["steps"] == []
    rules, kept = net.run("ipfw", "set", "28", "list"), net.run("ipfw", "nat", "show", "config")
    assert f"redirect_port tcp 10.99.7.20:80 {own(net)}:8080" in kept
    assert "allow tcp from any to 10.99.7.20 80 in" in rules and rules.count("pipe ") == 4
    net.jails([member(net, ports=[web], bandwidth={"in": "60M"})])
    assert "2000" not in net.run("ipfw", "nat", "show", "config") and "2000" not in net.run("ipfw", "set", "28", "list")
    assert "60.000 Mbit/s" in net.run("dnctl", "pipe", "list")
    net.run("ipfw", "-q", "delete", "set", "28")
    assert net.jails([member(net, ports=[web], bandwidth={"in": "60M"})])["steps"] == ["load set 28 of ipfw"]
    net.jails([{"name": "cbweb", "state": "absent"}])
    assert "10.99.7.20" not in net.run("ipfw", "set", "28", "list")


def test_a_network_that_goes_out_by_another_made_with_it_is_settled_at_once(net: Machine) -> None:
    both = {"name": "cbworld", "ip4": "10.98.0.1/24", "bridge": "bridge8"}, {**LAN, "via": "bridge8"}
    networks(net, *both, **IPFW)
    assert "config ip 10.98.0.1" in net.run("ipfw", "nat", "show", "config")
    assert networks(net, *both, **IPFW)["steps"] == []


def test_a_creation_that_fails_leaves_no_rule(net: Machine) -> None:
    networks(net, LAN, **IPFW)
    with pytest.raises(Failed, match="did not start"):
        net.jails([member(net, exec={"start": "/usr/bin/false"}, ports=[{"port": "8080", "address": own(net)}])])
    assert "8080" not in net.run("ipfw", "set", "28", "list")
    net.jails([{"name": "cbweb", "state": "absent"}])


def test_a_killed_run_is_finished_by_the_next(net: Machine) -> None:
    if net.real:
        pytest.skip("each kill of a real host takes minutes")
    asked = [member(net, ports=[{"port": "8080", "address": own(net)}], bandwidth={"in": "50M"})]
    number = 0
    while True:
        try:
            net.module("jail_networks", networks=[LAN], firewall="ipfw")
            net.module("jails", jails=asked, **net.storage, kill_at=number)
            break
        except Killed:
            number += 1
            net.jails(asked)
            assert net.jails(asked)["steps"] == []
            clean(net)
    assert number > 5


def test_a_port_of_a_jail_that_is_not_declared_now_is_taken(net: Machine) -> None:
    networks(net, LAN, **IPFW)
    net.jails([member(net, ports=[{"port": "8080", "address": own(net)}])])
    other = member(net, name="cbtwo", join={"ip4": "10.99.7.21", "ip6": "fd99:7::21"}, ports=[{"port": "8000-8100", "address": own(net)}])
    with pytest.raises(Failed, match="a port of jail cbweb too"):
        net.jails([other])


def test_one_pass_is_told_before_anything_is_touched(net: Machine) -> None:
    net.run("sysctl", "net.inet.ip.fw.one_pass=1")
    with pytest.raises(Failed, match="one_pass"):
        networks(net, LAN, **IPFW)
    networks(net, LAN, manage=True, **IPFW)
    assert net.run("sysctl", "-n", "net.inet.ip.fw.one_pass").strip() == "0"
    with pytest.raises(Failed, match="both declared"):
        networks(net, {**LAN, "firewall": "pf"}, **IPFW)
    with pytest.raises(Failed, match="use ipfw"):
        networks(net, LAN, firewall="pf")


def test_a_boot_brings_all_rules_back(net: Machine) -> None:
    if net.real:
        pytest.skip("a real boot is seen by the boot cases")
    asked = member(net, ports=[{"port": "8080", "to": 80, "address": "10.10.10.10"}], bandwidth={"in": "50M"})
    networks(net, LAN, manage=True, **IPFW)
    net.jails([asked])
    before = net.run("ipfw", "set", "28", "list"), net.run("ipfw", "nat", "show", "config")
    net.boot()
    assert (net.run("ipfw", "set", "28", "list"), net.run("ipfw", "nat", "show", "config")) == before
    assert net.run("sysctl", "-n", "net.inet.ip.fw.default_to_accept").strip() == "1"
    assert net.jails([asked])["steps"] == [] and networks(net, LAN, manage=True, **IPFW)["steps"] == []


def test_enabling_ipfw_locks_nobody_out(net: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    if net.real:
        pytest.skip("seen by the firewall case of real hosts")
    from ansible_collections.cellblock.jails.tests.simulator.tools import firewall

    def manage() -> Dict[str, Any]:
        return networks(net, LAN, manage=True, **IPFW)

    net.run("sysctl", "net.inet.ip.fw.enable=0")
    monkeypatch.setenv("SSH_CONNECTION", "192.0.2.9 40000 10.10.10.10 22")
    told = networks(net, LAN, manage=True, check=True, **IPFW)
    done = manage()
    assert done["steps"] == told["steps"] and done["confirm"] == 60
    assert "allow tcp from 192.0.2.9 40000 to 10.10.10.10 22 in" in net.run("ipfw", "set", "28", "list")
    assert 'firewall_enable="YES"' not in (net.read("/etc/rc.conf") or "")
    assert manage()["steps"] == []  # the same connection confirms nothing
    firewall.expire(net.sim)  # type: ignore[attr-defined]
    assert net.run("sysctl", "-n", "net.inet.ip.fw.enable").strip() == "0"
    manage()
    monkeypatch.setenv("SSH_CONNECTION", "192.0.2.9 40001 10.10.10.10 22")
    manage()
    assert manage()["steps"] == []
    firewall.expire(net.sim)  # type: ignore[attr-defined]
    assert net.run("sysctl", "-n", "net.inet.ip.fw.enable").strip() == "1"
    rc = net.read("/etc/rc.conf") or ""
    assert all(one in rc for one in ('firewall_enable="YES"', 'firewall_type="open"', "/usr/local/etc/cellblock/ipfw.sh"))
    assert 'net.inet.ip.fw.default_to_accept="1"' in (net.read("/boot/loader.conf") or "")
    assert "192.0.2.9" not in net.run("ipfw", "set", "28", "list")


def test_the_number_of_commands_does_not_grow(net: Machine) -> None:
    if net.real:
        pytest.skip("counted on the simulated host")
    networks(net, LAN, **IPFW)

    def many(count: int) -> List[Dict[str, Any]]:
        return [
            member(net, name=f"cbweb{number}", join={"ip4": f"10.99.7.{20 + number}", "ip6": f"fd99:7::{20 + number}"},
                   ports=[{"port": str(8000 + number), "to": 80, "address": "10.10.10.10"}], bandwidth={"in": "10M"})
            for number in range(count)
        ]

    counts = []
    for count in (1, 6):
        net.jails(many(count))
        assert net.jails(many(count))["steps"] == []
        counts.append(len(net.sim.commands))  # type: ignore[attr-defined]
    assert counts[0] == counts[1]


def test_ports_go_along_with_another_name(net: Machine) -> None:
    networks(net, LAN, **IPFW)
    renamed_with_ports(net, own(net))
    assert "cbweb" not in str(net.read("/usr/local/etc/cellblock/ipfw.sh"))
