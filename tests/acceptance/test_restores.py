# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Jails that come back from their backups."""

from __future__ import annotations

from typing import Any, Dict, Iterator

import pytest

from ansible_collections.cellblock.jails.plugins.module_utils.backups.declared import options_of
from ansible_collections.cellblock.jails.plugins.module_utils.jails import definition as definitions
from ansible_collections.cellblock.jails.plugins.module_utils.jails.definition import Definition

from .machine import Machine
from .test_networks import LAN, clean, member, networks


@pytest.fixture
def net(machine: Machine) -> Iterator[Machine]:
    """A host whose networks are taken away when the case ends."""
    machine.run("kldload", "-n", "pf", "dummynet")
    yield machine
    clean(machine)


def written(machine: Machine, name: str = "cbweb") -> Definition:
    """A jail's definition as it stands."""
    text = machine.read(definitions.conf_path(name))
    found = definitions.read_conf(name, text) if text else None
    if found is None:
        facts, lines = definitions.rc_groups(machine.read("/etc/rc.conf") or "")[name]
        return definitions.read_rc(name, facts, lines, machine.read(f"/etc/fstab.{name}") or "")
    return found


PLAIN: "Dict[str, Dict[str, Any]]" = {
    "least": {},
    "old style": {"boot_style": "rc_conf", "params": {"allow.raw_sockets": True}},
    "parameters": {"hostname": "www.example.org", "params": {"securelevel": 2, "allow.sysvipc": True, "meta": "a=b\nc=d"}, "boot": False, "boot_order": 7},
    "commands": {"exec": {"prestart": ["/usr/bin/true a", "/usr/bin/true b"], "start": "", "timeout": 90}, "cpuset": "0"},
    "mounts": {"mounts": [{"src": "/etc", "dest": "/mnt/etc", "opts": "ro"}, {"type": "tmpfs", "dest": "/mnt/t", "opts": "rw,size=1m"}]},
    "loopback": {"loopback": True}, "limits": {"limits": {"maxproc": 100, "memoryuse": {"action": "log", "amount": "1G"}}},
    "no address": {"ip4": "disable"}, "all addresses": {"ip4": "inherit", "ip6": "disable"},
}


@pytest.mark.parametrize("name", list(PLAIN))
def test_a_definition_tells_the_declaration_that_it_came_from(net: Machine, name: str) -> None:
    declared = {**net.web(root="thin"), "params": {"persist": True}, **PLAIN[name]}
    net.jails([declared])
    again = options_of(written(net), sorted(net.rules()))
    assert net.jails([{**again, "restart": "never"}])["steps"] == []


def test_a_member_of_networks_too(net: Machine) -> None:
    networks(net, LAN)
    port = {"port": "8080", "to": 80, "address": "10.99.7.1" if net.real else "10.10.10.10", "from": ["192.0.2.0/24"]}
    declared = member(net, ports=[port], bandwidth={"in": "50M"}, bpf=True)
    net.jails([declared])
    assert net.jails([options_of(written(net))])["steps"] == []
