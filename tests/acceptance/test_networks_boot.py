# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real host whose firewall is enabled over ssh, and that boots: nobody is locked out, and all comes back without Ansible."""

from __future__ import annotations

import os
from typing import Any, Dict, Iterator

import pytest

from .machine import Machine, Remote
from .test_networks import clean, networks
from .test_networks_flow import LAN, OUT, WORLD, eventually, jail, reaches

pytestmark = [
    pytest.mark.freebsd,
    pytest.mark.skipif(os.environ.get("CELLBLOCK_REBOOT") != "yes", reason="boots the host: set CELLBLOCK_REBOOT=yes"),
]
FILES = ("/etc/rc.conf", "/etc/pf.conf", "/boot/loader.conf", "/etc/ipfw.own")
# What an operator may have: nobody but ssh comes in, and a connection that pf or ipfw has no state of is cut.
PF_OWN = "set skip on lo\nblock all\npass in proto tcp to port 22 keep state\npass out\npass on { bridge8, bridge9 }\n"
IPFW_OWN = """\
add 1000 allow ip from any to any via lo0
add 1005 allow ip from any to any via bridge8
add 1006 allow ip from any to any via bridge9
add 1010 check-state
add 1020 allow tcp from any to me 22 in setup keep-state
add 1030 allow ip from me to any out setup keep-state
add 1040 deny tcp from any to any established
add 1050 deny ip from any to any in
"""


@pytest.fixture(params=["pf", "ipfw"])
def wall(request: Any) -> str:
    """The host's firewall."""
    return str(request.param)


@pytest.fixture
def host(machine: Machine, wall: str) -> Iterator[Remote]:
    """A host with rules of its own and a firewall that is off."""
    assert isinstance(machine, Remote)
    kept = {path: machine.read(path) for path in FILES}
    if wall == "pf":
        machine.write("/etc/pf.conf", PF_OWN)
    else:
        machine.write("/etc/ipfw.own", IPFW_OWN)
        machine.write("/etc/rc.conf", (kept["/etc/rc.conf"] or "") + 'firewall_type="/etc/ipfw.own"\n')
    yield machine
    machine.reconnect()
    clean(machine)
    for path, text in kept.items():
        if text is None:
            machine.ask("rm", "-f", path)
        else:
            machine.write(path, text)
    machine.ask("rm", "-f", "/usr/local/etc/cellblock/ipfw.sh")
    off(machine)


def off(machine: Machine) -> None:
    machine.ask("pfctl", "-q", "-d")
    machine.ask("ipfw", "-q", "-f", "flush")
    machine.ask("sysctl", "net.inet.ip.fw.enable=0", "net.inet6.ip6.fw.enable=0")


def runs(machine: Machine, wall: str) -> bool:
    if wall == "pf":
        return "Enabled" in machine.ask("pfctl", "-s", "info").out
    return machine.ask("sysctl", "-n", "net.inet.ip.fw.enable").out.strip() == "1"


def test_nobody_is_locked_out_and_a_boot_brings_all_back(host: Remote, wall: str) -> None:
    def manage(**options: Any) -> Dict[str, Any]:
        return networks(host, WORLD, LAN, manage=True, firewall=wall, **options)

    told = manage(confirm_timeout=20)
    assert told["confirm"] == 20 and runs(host, wall), "this connection goes on"
    assert manage(confirm_timeout=20)["steps"] == [], "and confirms nothing"
    assert eventually(host, lambda: not runs(host, wall)), "nobody confirmed it: it is off again"
    told = manage(confirm_timeout=300)
    host.reconnect()
    assert any("keep the firewall" in step for step in manage()["steps"])
    assert manage()["steps"] == [] and runs(host, wall)
    shared = {"name": "cbweb", "ports": [{"port": "8080", "to": 80, "address": "10.98.0.1"}], "bandwidth": {"in": "50M", "out": "20M"}}
    served = {**jail("cbweb", 20), **shared, "exec": {"start": ["/bin/sh /etc/rc", "/usr/sbin/daemon -f nc -n -lk 80"]}}
    declared = [OUT, served]
    before = host.jails(declared)["jails"]["cbweb"]["networks"]
    assert reaches(host, "cbout", "10.98.0.1", 8080)
    rc = host.read("/etc/rc.conf") or ""
    host.write("/etc/rc.conf", f'{rc}jail_enable="YES"\n')
    host.reboot()
    assert eventually(host, lambda: {"cbweb", "cbout"} <= set(host.running()))
    assert eventually(host, lambda: reaches(host, "cbout", "10.98.0.1", 8080)), "without Ansible"
    host.write("/etc/rc.conf", rc)
    assert runs(host, wall) and host.jails(declared)["steps"] == [] and manage()["steps"] == []
    assert host.jails(declared)["jails"]["cbweb"]["networks"] == before
    assert before[0]["mac"] in host.run("jexec", "cbweb", "ifconfig", before[0]["interface"])


def test_an_address_moves_to_its_bridge_at_boot(machine: Machine) -> None:
    assert isinstance(machine, Remote)
    route = machine.run("route", "-n", "get", "default")
    uplink = route.partition("interface: ")[2].split()[0]
    address = machine.run("ifconfig", "-f", "inet:cidr", uplink, "inet").partition("inet ")[2].split()[0]
    office = {"name": "cboffice", "uplink": uplink, "ip4": address}
    kept = machine.read("/etc/rc.conf")
    told = networks(machine, office, at_boot=True)
    assert told["reboot"] and networks(machine, office, at_boot=True)["steps"] == []
    machine.reboot()
    bridge = told["networks"]["cboffice"]["device"]
    assert f"inet {address}" in machine.run("ifconfig", "-f", "inet:cidr", bridge)
    assert f"member: {uplink}" in machine.run("ifconfig", bridge)
    assert networks(machine, office)["steps"] == []
    machine.write("/etc/rc.conf", kept or "")
    machine.reboot()
