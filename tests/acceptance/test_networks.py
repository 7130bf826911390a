# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks of a host, jails that join them, ports, bandwidth and loopback: made, changed, taken back."""

from __future__ import annotations

import re
from typing import Any, Dict, Iterator, List

import pytest

from .machine import Failed, Killed, Machine
from .test_jails import IDLE

LAN: Dict[str, Any] = {"name": "cblan", "ip4": "10.99.7.1/24", "ip6": "fd99:7::1/64", "nat": True}
STORE: Dict[str, Any] = {"name": "cbstore", "net4": "10.99.8.0/24"}


def networks(machine: Machine, *declared: Dict[str, Any], **options: Any) -> Dict[str, Any]:
    return machine.module("jail_networks", networks=list(declared), **options)


def clean(machine: Machine) -> None:
    machine.jails([], prune=True, prune_share=100)
    networks(machine, prune=True)
    rc = machine.read("/etc/rc.conf") or ""
    rc = re.sub(r'(?:ipv6_)?gateway_enable="YES"\n', "", rc)
    machine.write("/etc/rc.conf", rc)


@pytest.fixture
def net(machine: Machine) -> Iterator[Machine]:
    """A host whose networks are taken away when the case ends."""
    machine.run("kldload", "-n", "pf", "dummynet")
    before = machine.run("ifconfig", "-l").split()
    yield machine
    clean(machine)
    assert machine.run("ifconfig", "-l").split() == before
    assert machine.names("/usr/local/etc/cellblock") == []
    assert "cellblock/" not in machine.ask("pfctl", "-v", "-s", "Anchors").out
    assert not re.search(r"(?m)^[12]\d{4}:", machine.ask("dnctl", "pipe", "list").out)


def member(machine: Machine, **options: Any) -> Dict[str, Any]:
    join = {"name": "cblan", "ip4": "10.99.7.20", "ip6": "fd99:7::20", "gateway": True, **options.pop("join", {})}
    return {"name": "cbweb", "base": "acceptance", "root": machine.clone, "networks": [join], **IDLE, **options}


def test_networks_come_stay_and_go(net: Machine) -> None:
    before = net.read("/etc/rc.conf")
    told = networks(net, LAN, STORE, check=True)
    assert net.read("/etc/rc.conf") == before
    done = networks(net, LAN, STORE)
    assert done["steps"] == told["steps"]
    assert done["networks"]["cblan"]["device"].startswith("bridge")
    assert networks(net, LAN, STORE)["steps"] == []
    bridge = done["networks"]["cblan"]["device"]
    assert "inet 10.99.7.1/24" in net.run("ifconfig", "-f", "inet:cidr", bridge)
    assert net.run("sysctl", "-n", "net.inet.ip.forwarding").strip() == "1"
    networks(net, {**LAN, "ip4": "10.99.9.1/24"}, STORE)
    shown = net.run("ifconfig", "-f", "inet:cidr", bridge)
    assert "10.99.9.1/24" in shown and "10.99.7.1" not in shown
    assert networks(net, {**LAN, "ip4": "10.99.9.1/24"}, STORE)["steps"] == []
    networks(net, {"name": "cblan", "state": "absent"})
    assert bridge not in net.run("ifconfig", "-l").split()
    assert "10.99.9" not in (net.read("/etc/rc.conf") or "")


def test_a_killed_run_is_finished_by_the_next(net: Machine) -> None:
    number = 0
    while True:
        try:
            net.module("jail_networks", networks=[LAN, STORE], kill_at=number)
            break
        except Killed:
            number += 1
            networks(net, LAN, STORE)
            assert networks(net, LAN, STORE)["steps"] == []
            clean(net)
    assert number > 5


def test_a_jail_joins_and_leaves(net: Machine) -> None:
    networks(net, LAN)
    declared = [member(net)]
    told = net.jails(declared)
    assert net.jails(declared)["steps"] == []
    joined = told["jails"]["cbweb"]["networks"][0]
    assert re.fullmatch(r"02(:[0-9a-f]{2}){5}", joined["mac"])
    outer = joined["interface"][:-1] + "a"
    assert outer in net.run("ifconfig", "-l").split() and joined["interface"] not in net.run("ifconfig", "-l").split()
    assert f"member: {outer}" in net.run("ifconfig", "bridge0")
    text = net.read(net.path("etc/rc.conf")) or ""
    assert f'ifconfig_{joined["interface"]}="inet 10.99.7.20/24"' in text and 'defaultrouter="10.99.7.1"' in text
    again = net.jails([member(net, state="restarted")])
    assert again["jails"]["cbweb"]["networks"][0]["mac"] == joined["mac"]
    with pytest.raises(Failed, match="cbweb are in it"):
        networks(net, {"name": "cblan", "state": "absent"})
    net.jails([member(net, state="stopped")])
    assert outer not in net.run("ifconfig", "-l").split()
    net.jails([{"name": "cbweb", "base": "acceptance", "root": net.clone, **IDLE}])
    assert joined["interface"] not in (net.read(net.path("etc/rc.conf")) or "")


def test_a_change_of_networks_waits_for_a_restart(net: Machine) -> None:
    networks(net, LAN, STORE)
    net.jails([member(net)])
    both: List[Dict[str, Any]] = [*member(net)["networks"], {"name": "cbstore", "ip4": "10.99.8.20"}]
    told = net.jails([member(net, networks=both)])
    assert "networks" in told["jails"]["cbweb"]["restart_waits"]
    again = net.jails([member(net, networks=both)])
    assert again["steps"] == [] and "networks" in again["jails"]["cbweb"]["restart_waits"]
    net.jails([member(net, networks=both, restart="if_needed")])
    assert len(re.findall(r"epair\d{4,5}a", net.run("ifconfig", "-l"))) == 2
    assert net.jails([member(net, networks=both, restart="if_needed")])["steps"] == []


def test_a_bridge_that_was_made_anew_has_its_jails_again(net: Machine) -> None:
    bridge = networks(net, LAN)["networks"]["cblan"]["device"]
    inner = net.jails([member(net)])["jails"]["cbweb"]["networks"][0]["interface"]
    outer = inner[:-1] + "a"
    net.run("ifconfig", bridge, "destroy")  # so does 'service netif restart', and makes it again
    assert any("reaches nobody in network cblan" in one for one in net.jails([member(net)])["warnings"])
    networks(net, LAN)
    drift = next(one for one in net.module("jail_info", **net.storage)["jails"] if one["name"] == "cbweb")["drift"]
    assert [one["parameter"] for one in drift] == ["networks"]
    asked = [f"cbweb: let {outer} into {bridge} again"]
    assert net.jails([member(net)], check=True)["steps"] == net.jails([member(net)])["steps"] == asked
    assert f"member: {outer} " in net.run("ifconfig", bridge) and net.jails([member(net)])["steps"] == []


def test_an_interface_that_is_gone_comes_with_a_restart(net: Machine) -> None:
    bridge = networks(net, LAN)["networks"]["cblan"]["device"]
    outer = net.jails([member(net)])["jails"]["cbweb"]["networks"][0]["interface"][:-1] + "a"
    net.run("ifconfig", outer, "destroy")
    assert "networks" in net.jails([member(net)])["jails"]["cbweb"]["restart_waits"]
    again = net.jails([member(net)])
    assert again["steps"] == [] and "networks" in again["jails"]["cbweb"]["restart_waits"]
    net.jails([member(net, restart="if_needed")])
    assert f"member: {outer} " in net.run("ifconfig", bridge)
    assert net.jails([member(net)])["steps"] == [] and net.jails([member(net)])["jails"]["cbweb"]["restart_waits"] == []


def test_a_failed_start_leaves_no_interface(net: Machine) -> None:
    networks(net, LAN)
    with pytest.raises(Failed, match="did not start"):
        net.jails([member(net, exec={"start": "/usr/bin/false"})])
    assert not re.findall(r"epair\d{4,5}", net.run("ifconfig", "-l"))
    net.jails([{"name": "cbweb", "state": "absent"}])


def test_an_empty_root_is_given_addresses_from_the_host(net: Machine) -> None:
    networks(net, LAN)
    empty = {"name": "cbweb", "root": "empty", "networks": [{"name": "cblan", "ip4": "10.99.7.30", "ip6": "fd99:7::30", "gateway": True}]}
    told = net.jails([empty])
    inner = told["jails"]["cbweb"]["networks"][0]["interface"]
    assert "10.99.7.30" in net.run("ifconfig", "-j", "cbweb", inner, "inet")
    assert net.jails([empty])["steps"] == []


def test_ports_and_bandwidth_change_without_a_restart(net: Machine) -> None:
    networks(net, LAN)
    own = "10.99.7.1" if net.real else "10.10.10.10"  # of the host
    web = {"port": "8080", "to": 80, "address": own}
    net.jails([member(net)])
    asked = member(net, ports=[web, {"port": "2000-2010", "address": own, "proto": "udp"}], bandwidth={"in": "50M", "out": "20M"})
    told = net.jails([asked])
    assert told["jails"]["cbweb"]["restart_waits"] == []
    assert net.jails([asked])["steps"] == []
    rules = net.run("pfctl", "-a", "cellblock/j-cbweb", "-s", "nat")
    assert "10.99.7.20 port" in rules
    assert len(re.findall(r"(?m)^[12]\d{4}:", net.run("dnctl", "pipe", "list"))) == 2
    net.jails([member(net, ports=[web], bandwidth={"in": "60M"})])
    assert "2000" not in net.run("pfctl", "-a", "cellblock/j-cbweb", "-s", "nat")
    assert "60.000 Mbit/s" in net.run("dnctl", "pipe", "list")
    net.run("pfctl", "-q", "-a", "cellblock/j-cbweb", "-f", "/dev/null")
    assert net.jails([member(net, ports=[web], bandwidth={"in": "60M"})])["steps"] == ["cbweb: load anchor cellblock/j-cbweb"]
    net.jails([member(net)])
    assert net.names("/usr/local/etc/cellblock") == ["n-cblan.pf"]


def test_a_boot_brings_everything_back(net: Machine) -> None:
    if net.real:
        pytest.skip("a real boot is seen by the boot cases")
    networks(net, LAN, manage=True)
    asked = member(net, ports=[{"port": "8080", "to": 80, "address": "10.10.10.10"}], bandwidth={"in": "50M"})
    before = net.jails([asked])["jails"]["cbweb"]["networks"]
    net.boot()
    assert "nat on" in net.run("pfctl", "-a", "cellblock/n-cblan", "-s", "nat"), "for jails without ports too"
    assert net.jails([asked])["steps"] == []
    assert networks(net, LAN, manage=True)["steps"] == []
    assert net.jails([asked])["jails"]["cbweb"]["networks"] == before
    net.write("/etc/rc.conf", (net.read("/etc/rc.conf") or "").replace('pf_enable="YES"\n', ""))


def test_an_isolated_network_is_held_apart_where_the_host_forwards(net: Machine) -> None:
    guests = {"name": "cbguests", "ip4": "10.99.6.1/24", "ip6": "fd99:6::1/64"}
    networks(net, LAN, guests)
    rules = net.run("pfctl", "-a", "cellblock/n-cbguests", "-s", "rules")
    assert "block drop in quick on" in rules and "block drop" not in net.run("pfctl", "-a", "cellblock/n-cblan", "-s", "rules")
    networks(net, LAN, {**guests, "routed": True})
    assert net.run("pfctl", "-a", "cellblock/n-cbguests", "-s", "rules") == ""
    with pytest.raises(Failed, match="one way"):
        networks(net, {**LAN, "routed": True})


def test_a_private_loopback_comes_first(net: Machine) -> None:
    asked = net.web(root=net.clone, loopback=True, **IDLE)
    net.jails([asked])
    assert net.running()["cbweb"]["ip4.addr"][0].startswith("127.")
    assert net.module("jail_info", **net.storage)["jails"][0]["localhost"].startswith("127.")
    assert net.jails([asked])["steps"] == []
    assert "lo1" in net.run("ifconfig", "-l").split()


BAD: List[Any] = [
    ([LAN, {**LAN, "name": "other"}], "overlaps"),
    ([{**LAN, "name": "a-name-that-is-too-long"}], "15"),
    ([{**LAN, "via": "nothere0"}], "does not exist"),
    ([{"name": "n", "uplink": "nothere0"}], "does not exist"),
    ([{"name": "n", "net4": "10.1.0.0/24", "gateway4": "10.2.0.1"}], "gateway"),
    ([{"name": "n", "ip4": "10.1.0.1"}], "no subnet"),
    ([{"name": "n", "ip4": "10.1.0.0/24"}], "no host's address"),
    ([{"name": "n", "ip4": "10.1.0.1/24", "net4": "10.2.0.0/24"}], "not in"),
    ([{"name": "n", "nat": True}], "nat needs"),
    ([{"name": "n", "vlan": 5}], "uplink"),
    ([{"name": "n", "bridge": "em0"}], "not a bridge"),
    ([{"name": "n"}, {"name": "n"}], "twice"),
    ([{"name": "n", "mtu": 100}], "MTU"),
    ([{**LAN, "firewall": "pf"}, {"name": "n", "net4": "10.1.0.0/24", "firewall": "ipfw"}], "both declared"),
]


@pytest.mark.parametrize("declared,said", BAD)
def test_bad_networks_are_refused_before_anything_is_touched(net: Machine, declared: List[Dict[str, Any]], said: str) -> None:
    before = net.read("/etc/rc.conf"), net.run("ifconfig", "-l")
    with pytest.raises(Failed, match=said):
        networks(net, *declared)
    assert (net.read("/etc/rc.conf"), net.run("ifconfig", "-l")) == before


def test_what_the_host_has_already_is_seen(net: Machine) -> None:
    net.run("ifconfig", "bridge70", "create")
    net.run("ifconfig", "epair70", "create")
    net.run("ifconfig", "epair70a", "inet", "10.96.0.1/24", "up")
    try:
        with pytest.raises(Failed, match="overlaps 10.96.0.0/24 of epair70a"):
            networks(net, {"name": "n", "ip4": "10.96.0.129/25"})
        with pytest.raises(Failed, match="is an address of epair70a"):
            networks(net, {"name": "n", "ip4": "10.96.0.1/24"})
        net.run("ifconfig", "bridge70", "addm", "epair70a")
        with pytest.raises(Failed, match="member epair70a has 10.96.0.1/24"):
            networks(net, {"name": "n", "bridge": "bridge70"})
        net.run("ifconfig", "epair70a", "inet", "10.96.0.1", "-alias")
        networks(net, {"name": "n", "bridge": "bridge70", "ip4": "10.96.0.1/24"})
        networks(net, prune=True)
        assert "member: epair70a" in net.run("ifconfig", "bridge70") and "10.96.0.1" not in net.run("ifconfig", "bridge70")
    finally:
        net.run("ifconfig", "epair70a", "destroy")
        net.run("ifconfig", "bridge70", "destroy")


def test_an_uplink_with_an_address_is_not_moved_over_the_connection(net: Machine) -> None:
    if net.real:
        pytest.skip("it would cut the connection if it failed")
    with pytest.raises(Failed, match="would cut the connections"):
        networks(net, {"name": "cblan", "uplink": "rl0", "ip4": "10.10.10.10/24"})
    told = networks(net, {"name": "cblan", "uplink": "rl0", "ip4": "10.10.10.10/24"}, at_boot=True)
    assert told["reboot"] and "rl0" in (net.read("/etc/rc.conf") or "")
    assert "10.10.10.10" in net.run("ifconfig", "rl0")
    net.write("/etc/rc.conf", (net.read("/etc/rc.conf") or "").replace('ifconfig_rl0="up"\n', 'ifconfig_rl0="inet 10.10.10.10/24"\n'))


def test_a_network_that_carries_the_connection_goes_at_boot(net: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    if net.real:
        pytest.skip("seen by the boot cases of real hosts")
    kept, office = net.read("/etc/rc.conf"), {"name": "cblan", "uplink": "rl0", "ip4": "10.10.10.10/24"}
    networks(net, office, at_boot=True)
    net.boot()
    bridge = networks(net, office)["networks"]["cblan"]["device"]
    monkeypatch.setenv("SSH_CONNECTION", "192.0.2.9 40000 10.10.10.10 22")
    for options in ({"prune": True}, {"networks": [{**office, "ip4": "10.10.10.11/24"}]}):
        with pytest.raises(Failed, match="this very connection"):
            net.module("jail_networks", **options)
    told = networks(net, prune=True, at_boot=True)
    assert told["reboot"] == [f"{bridge} goes"] and "10.10.10.10" in net.run("ifconfig", bridge)
    assert 'ifconfig_rl0="inet 10.10.10.10/24"' in (net.read("/etc/rc.conf") or "")
    net.boot()
    assert "10.10.10.10" in net.run("ifconfig", "rl0") and bridge not in net.run("ifconfig", "-l").split()
    net.write("/etc/rc.conf", kept or "")


WRONG: List[Any] = [
    ({"join": {"ip4": "10.1.2.3"}}, "not in"), ({"join": {"ip4": "10.99.7.1"}}, "host's own"), ({"join": {"name": "nowhere"}}, "no network"),
    ({"join": {"ip4": "10.99.7.20/16"}}, "another prefix"), ({"join": {"mac": "01:00:00:00:00:01"}}, "group"),
    ({"join": {"gateway": "10.1.1.1"}}, "cannot be reached"),
    ({"ports": [{"port": "80", "address": "10.10.10.11"}]}, "on no interface"), ({"ports": [{"port": "0", "address": "10.99.7.20"}]}, "not a port"),
    ({"ports": [{"port": "80", "address": "10.99.7.20"}, {"port": "79-81", "address": "10.99.7.20"}]}, "meets"),
    ({"bandwidth": {"in": "5G"}}, "more than dummynet"), ({"bandwidth": {"in": "x"}}, "not a rate"), ({"loopback": True}, "of its own"),
    ({"join": {"ip4": "dhcp"}}, "needs bpf"),
]


@pytest.mark.parametrize("options,said", WRONG)
def test_bad_jails_are_refused_before_anything_is_touched(net: Machine, options: Dict[str, Any], said: str) -> None:
    networks(net, LAN)
    with pytest.raises(Failed, match=said):
        net.jails([member(net, **options)])
    assert net.names("/etc/jail.conf.d") == []


def test_bpf_is_for_jails_with_a_network_of_their_own(net: Machine) -> None:
    with pytest.raises(Failed, match="all of the host's packets"):
        net.jails([net.web(bpf=True)])
    networks(net, LAN)
    net.jails([member(net, bpf=True)])
    assert net.jails([member(net, bpf=True)])["steps"] == []


def test_the_number_of_commands_does_not_grow(net: Machine) -> None:
    if net.real:
        pytest.skip("counted on the simulated host")
    networks(net, LAN)
    sim = net.sim  # type: ignore[attr-defined]

    def many(count: int) -> List[Dict[str, Any]]:
        return [
            member(net, name=f"cbweb{number}", join={"ip4": f"10.99.7.{20 + number}", "ip6": f"fd99:7::{20 + number}"},
                   ports=[{"port": str(8000 + number), "to": 80, "address": "10.10.10.10"}], bandwidth={"in": "10M"})
            for number in range(count)
        ]

    counts = []
    for count in (1, 60):
        net.jails(many(count))
        assert net.jails(many(count))["steps"] == []
        counts.append(len(sim.commands))
    assert counts[0] == counts[1]


def test_enabling_pf_locks_nobody_out(net: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    if net.real:
        pytest.skip("seen by the firewall case of real hosts")
    from ansible_collections.cellblock.jails.tests.simulator.tools import firewall

    net.write("/etc/pf.conf", "set skip on lo\nblock all\npass out\n")
    monkeypatch.setenv("SSH_CONNECTION", "192.0.2.9 40000 10.10.10.10 22")
    told = networks(net, LAN, manage=True)
    assert told["confirm"] == 60 and 'pf_enable="YES"' not in (net.read("/etc/rc.conf") or "")
    assert "192.0.2.9 port 40000" in net.run("pfctl", "-a", "cellblock/0-session", "-s", "rules")
    assert networks(net, LAN, manage=True)["steps"] == []  # the same connection confirms nothing
    firewall.expire(net.sim)  # type: ignore[attr-defined]
    assert "Disabled" in net.run("pfctl", "-s", "info")
    networks(net, LAN, manage=True)
    monkeypatch.setenv("SSH_CONNECTION", "192.0.2.9 40001 10.10.10.10 22")
    networks(net, LAN, manage=True)
    assert networks(net, LAN, manage=True)["steps"] == []
    firewall.expire(net.sim)  # type: ignore[attr-defined]
    assert "Enabled" in net.run("pfctl", "-s", "info") and 'pf_enable="YES"' in (net.read("/etc/rc.conf") or "")
    text = net.read("/etc/pf.conf") or ""
    assert text.index("nat-anchor") < text.index("block all") < text.index('\nanchor "cellblock')
    assert net.run("pfctl", "-a", "cellblock/0-session", "-s", "rules") == ""
    net.write("/etc/rc.conf", (net.read("/etc/rc.conf") or "").replace('pf_enable="YES"\n', ""))


def test_the_file_of_rules_that_the_host_names_is_the_one_that_calls_ours(net: Machine) -> None:
    """And no other is loaded in its place: that would let everybody in."""
    own, flags, loaded = "/etc/cb.pf.conf", ["-D", "cbinner=lo0"], "block drop in quick on cbno proto tcp"
    net.write(own, f"set skip on $cbinner\n{loaded}\npass all\n")
    net.write("/etc/rc.conf.local", f'pf_rules="{own}"\npf_enable="NO"\npf_flags="{" ".join(flags)}"\n')
    there = net.read("/etc/pf.conf")
    net.run("pfctl", "-q", *flags, "-f", own)
    net.run("pfctl", "-q", "-e")
    try:
        assert any(f"{own} does not call" in one for one in networks(net, LAN)["warnings"])
        networks(net, LAN, manage=True)
        assert networks(net, LAN, manage=True)["steps"] == []
        assert loaded in net.run("pfctl", "-s", "rules") and net.read("/etc/pf.conf") == there
        assert 'anchor "cellblock/*"' in net.run("pfctl", "-s", "rules") and 'nat-anchor "cellblock/*"' in (net.read(own) or "")
        assert 'pf_enable="YES"' in (net.read("/etc/rc.conf.local") or ""), "where it counts"
        net.run("mv", own, f"{own}.away")
        with pytest.raises(Failed, match="would be lost"):
            networks(net, LAN, manage=True)
        net.write("/etc/rc.conf.local", 'pf_enable="$(echo NO)"\n')
        net.write("/etc/pf.conf", "pass\n")
        with pytest.raises(Failed, match="built by a shell"):
            networks(net, LAN, manage=True)
    finally:
        net.ask("pfctl", "-q", "-d")
        net.ask("pfctl", "-q", "-f", "/dev/null")
        net.ask("rm", "-f", f"{own}.away", own, "/etc/rc.conf.local", *([] if there else ["/etc/pf.conf"]))
        if there:
            net.write("/etc/pf.conf", there)


def test_a_firewall_inside_is_checked_and_runs(net: Machine) -> None:
    networks(net, LAN)
    first = member(net, firewall={"pf": "set skip on lo\npass\n"})
    net.jails([first])
    assert net.jails([first])["steps"] == []
    assert net.read(net.path("etc/pf.conf")) == "set skip on lo\npass\n"
    assert 'pf_enable="YES"' in (net.read(net.path("etc/rc.conf")) or "")
    second = member(net, firewall={"pf": "set skip on lo\nblock in proto udp\npass\n"})
    assert any("load rules of pf" in step for step in net.jails([second])["steps"])
    assert net.jails([second])["steps"] == []
    with pytest.raises(Failed, match="does not understand them"):
        net.jails([member(net, firewall={"pf": "pass\nlet all go\n"})])
    assert "block in proto udp" in (net.read(net.path("etc/pf.conf")) or "")
    net.jails([member(net)])
    assert 'pf_enable="YES"' not in (net.read(net.path("etc/rc.conf")) or "")
    assert net.jails([member(net)])["steps"] == []


INNER: List[Any] = [
    ({"firewall": {"pf": "pass\n", "ipfw": "add allow ip from any to any\n"}}, "one of them"),
    ({"firewall": {"pf": "/no/such/file"}}, "not a file of the host"),
    ({"firewall": {"pf": "pass\n"}, "root": "empty", "base": None, "rc_conf": None}, "nothing that loads"),
    ({"firewall": {"pf": "pass\n"}, "networks": None}, "the host's firewall"),
]


@pytest.mark.parametrize("options,said", INNER)
def test_bad_firewalls_are_refused_before_anything_is_touched(net: Machine, options: Dict[str, Any], said: str) -> None:
    networks(net, LAN)
    with pytest.raises(Failed, match=said):
        net.jails([member(net, **options)])
    assert net.names("/etc/jail.conf.d") == []


def test_jail_info_tells_networks_and_what_drifted(net: Machine) -> None:
    networks(net, LAN)
    own = "10.99.7.1" if net.real else "10.10.10.10"  # of the host
    net.jails([member(net, ports=[{"port": "8080", "address": own}], bandwidth={"in": "50M"})])

    def told() -> Dict[str, Any]:
        return net.module("jail_info", **net.storage)

    found = told()
    web = next(one for one in found["jails"] if one["name"] == "cbweb")
    assert web["networks"][0]["ip4"] == "10.99.7.20/24" and web["ports"] == [f"tcp/{own}/8080"] and web["bandwidth"] == {"in": 50000000}
    assert web["drift"] == []
    lan = found["host"]["networks"][0]
    assert (lan["name"], lan["there"], [one["name"] for one in lan["jails"]]) == ("cblan", True, ["cbweb"])
    net.run("pfctl", "-q", "-a", "cellblock/j-cbweb", "-f", "/dev/null")
    drift = next(one for one in told()["jails"] if one["name"] == "cbweb")["drift"]
    assert [one["parameter"] for one in drift] == ["firewall"] and drift[0]["kernel"] == []
