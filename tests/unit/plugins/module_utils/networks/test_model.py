# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names, rules and texts of networks: pure, and read back as they were written."""

from __future__ import annotations

import pytest

from ansible_collections.cellblock.jails.plugins.module_utils.errors import InputError
from ansible_collections.cellblock.jails.plugins.module_utils.formats import rc_conf
from ansible_collections.cellblock.jails.plugins.module_utils.networks import dummynet, guard, join, links, names, pf, traffic
from ansible_collections.cellblock.jails.plugins.module_utils.networks.model import Network, network_from, networks_of, variables


def test_addresses_are_locally_administered_and_differ() -> None:
    found = {names.mac("fleet", f"host{host}", f"jail{number}", "lan") for host in range(20) for number in range(200)}
    assert len(found) == 4000
    assert all(one.startswith("02:") and names.check_mac(one, "") == one for one in found)


def test_duplicates_are_found_over_a_fleet() -> None:
    hosts = {"a": {"web": {"lan": "02:00:00:00:00:01"}, "db": {"lan": "02:00:00:00:00:02"}}, "b": {"www": {"net": "02:00:00:00:00:01"}}}
    assert names.duplicates(hosts) == ["02:00:00:00:00:01 is the address of jail web in lan on a and of jail www in net on b"]


def test_units_of_a_thousand_jails_differ_and_fit() -> None:
    taken: "set[int]" = set()
    for number in range(1000):
        taken.add(names.unit(taken, names.UNITS, f"jail{number}", "lan"))
    assert len(taken) == 1000 and all(len(f"epair{one}a") <= 15 for one in taken)


@pytest.mark.parametrize("options", [
    {"name": "lan", "ip4": "10.1.0.1/24", "ip6": "2001:db8::1/64", "nat": True, "via": "em0", "bridge": "bridge0"},
    {"name": "office", "uplink": "em1", "vlan": 100, "net4": "192.0.2.0/24", "gateway4": "192.0.2.1", "bridge": "bridge1", "mtu": 9000},
    {"name": "inner", "interface": "lo1", "net4": "10.7.0.0/24", "nat": True, "via": "em0"},
])
def test_a_network_is_read_back_from_rc_conf(options: "dict[str, object]") -> None:
    network = network_from(options)
    text = rc_conf.put_group('hostname="x"\n', network.line(), variables(network))
    assert networks_of(text) == {network.name: network}


def test_one_anchor_has_translation_before_filters_and_a_digest() -> None:
    lan = network_from({"name": "lan", "ip4": "10.1.0.1/24", "nat": True, "via": "em0", "bridge": "bridge0"})
    ports = traffic.ports_from([
        {"port": "80", "to": 8080, "address": "192.0.2.1", "reflect": True, "from": ["198.51.100.0/24"]},
        {"port": "2000-2999", "to": 4000, "address": "192.0.2.1", "proto": "udp"},
    ], "jail web")
    subject = pf.Subject("web", ["10.1.0.20"], {"10.1.0.20": "bridge0"}, {"10.1.0.20": lan}, (10000, 10001))
    text = pf.of_jail(subject, ports, traffic.bandwidth_from({"in": "50M"}, ""), {"192.0.2.1": "em0"})
    kinds = [line.split()[0] for line in text.splitlines()]
    assert kinds == sorted(kinds, key=["nat", "rdr", "match", "pass"].index)
    assert "rdr on em0 inet proto tcp from { 198.51.100.0/24 } to 192.0.2.1 port 80 -> 10.1.0.20 port 8080\n" in text
    assert "rdr on em0 inet proto udp from any to 192.0.2.1 port 2000:2999 -> 10.1.0.20 port 4000:*\n" in text
    assert "match out on bridge0 inet from any to 10.1.0.20 dnpipe (10000, 0)\n" in text
    assert pf.loaded(text) == {"j-web": pf.sign_of(text)}
    assert pf.of_network(lan).startswith("nat on em0 inet from 10.1.0.0/24 to ! 10.1.0.0/24 -> (em0:0)\n")


@pytest.mark.parametrize("text", [
    "", "pass\n", 'ext = "em0"\nset skip on lo\nblock all\npass out', "nat on em0 from a to b -> c \\\n  port 5\nanchor \"x\" {\n pass\n}\n",
])
def test_call_lines_stand_once_and_go_again(text: str) -> None:
    found = pf.with_calls(text)
    assert pf.missing(found) == [] and pf.with_calls(found) == found
    assert pf.without_calls(found).rstrip("\n") == text.rstrip("\n")
    lines = [line.split()[0] for line in found.splitlines() if line.strip()]
    assert lines.index("nat-anchor") < min((lines.index(word) for word in ("pass", "block", "anchor") if word in lines), default=len(lines))


def test_pipes_are_compared_as_roundly_as_they_are_printed() -> None:
    listed = dummynet.listed(
        "10000:  50.000 Mbit/s    0 ms burst 0 \nq141072 100 sl. 0 flows\n00010:   1.235 Gbit/s    0 ms burst 0\n00011: unlimited         0 ms\n"
    )
    assert dummynet.holds(50_000_000, listed[10000]) and dummynet.holds(1_234_567_890, listed[10]) and not dummynet.holds(51_000_000, listed[10000])
    assert listed[11] == 0 and 141072 not in listed


def test_hooks_hold_no_value_of_anybody() -> None:
    one = join.Join("lan", "bridge0", 1234, "02:00:00:00:00:01", "10.1.0.20/24", "2001:db8::20/64", "10.1.0.1", "2001:db8::1", 9000, True)
    for line in [*join.prestart(one), *join.created(one, "web"), *join.poststop(one)]:
        assert line.startswith("/sbin/") and '"' not in line and "$" not in line and "`" not in line
    assert join.joins_of({"networks": [one.fact()]}) == [one] and one.outer_mac != one.mac


def test_two_gateways_of_one_family_are_refused() -> None:
    with pytest.raises(InputError, match="both its gateway"):
        join.wishes_from([{"name": "a", "ip4": "10.0.0.2/24", "gateway": True}, {"name": "b", "ip4": "10.0.1.2/24", "gateway": True}], "")


def test_a_listing_of_a_bridge_is_read_whole() -> None:
    found = links.links(
        "bridge0: flags=1008843<UP,BROADCAST,RUNNING> metric 0 mtu 1500\n\toptions=10<VLAN_HWTAGGING>\n\tether 58:9c:fc:10:ff:01\n"
        "\tinet 10.1.0.1/24 broadcast 10.1.0.255\n\tinet6 fe80::1%bridge0/64 scopeid 0x5\n\tinet6 2001:db8::1/64\n"
        "\tid 00:00:00:00:00:00 priority 32768\n\tmember: epair5a flags=143<LEARNING>\n\t        port 9 priority 128\n\tgroups: bridge cellblock\n"
        "\tnd6 options=21<PERFORMNUD>\nem0: flags=8802<BROADCAST> metric 0 mtu 9000\n"
    )
    assert found["bridge0"].members == ("epair5a",) and found["bridge0"].addresses == ("10.1.0.1/24", "2001:db8::1/64")
    assert found["bridge0"].up and not found["em0"].up and found["em0"].mtu == 9000 and "cellblock" in found["bridge0"].groups


def test_only_plain_words_of_a_session_become_rules() -> None:
    assert guard.session_rules(("192.0.2.1; pass", "1", "192.0.2.2", "22")) == ""
    assert "from 2001:db8::1 port 5 to 2001:db8::2 port 22 no state" in guard.session_rules(("2001:db8::1", "5", "2001:db8::2", "22"))


def test_ports_of_two_jails_and_of_daemons_meet() -> None:
    web = traffic.ports_from([{"port": "80-90", "address": "192.0.2.1"}], "")
    with pytest.raises(InputError, match="of jail web too"):
        traffic.check_ports({"web": web, "db": traffic.ports_from([{"port": "85", "address": "192.0.2.1"}], "")})
    with pytest.raises(InputError, match="a daemon of the host"):
        traffic.check_ports({"web": web}, [("tcp", "*", 81)])
    traffic.check_ports({"web": web}, [("tcp", "*", 81), ("udp", "192.0.2.1", 82)], {"web": ["192.0.2.1"]})


def test_an_unknown_network_has_nothing() -> None:
    assert variables(Network("x")) == {}
