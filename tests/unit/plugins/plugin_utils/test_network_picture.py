# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The picture of a host's networks: what one sees of it, whatever a host answers."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.cellblock.jails.plugins.plugin_utils import network_picture, picture

LAN = {
    "name": "lan", "device": "bridge0", "there": True, "uplink": "", "ip4": "10.1.0.1/24", "ip6": "2001:db8:1::1/64", "nat": "em0", "private": True,
    "jails": [{"name": "web", "ip4": "10.1.0.20/24", "ip6": ""}, {"name": "db", "ip4": "10.1.0.21/24", "ip6": ""}],
}
JAILS = [
    {"name": "web", "ports": ["tcp/192.0.2.1/80", "udp/192.0.2.1/2000-2999"], "bandwidth": {"in": 50000000}},
    {"name": "db"}, {"name": "proxy", "ip4": ["10.7.0.5"], "ports": ["tcp/192.0.2.1/443"]},
]


def lines(**host: Any) -> list[str]:
    return network_picture.draw({"alpha": {"host": host, "jails": JAILS}}).splitlines()


def test_networks_members_ports_and_limits_are_seen() -> None:
    drawn = lines(networks=[LAN], firewall={"kind": "pf", "running": True})
    assert "alpha · networks · pf" in drawn[0]
    row = next(line for line in drawn if "web" in line)
    assert all(word in row for word in ("lan", "bridge0", "10.1.0.1/24", "nat by em0", "10.1.0.20/24", "tcp/192.0.2.1/80", "in 50M"))
    assert any("jails apart" in line and "2000-2999" in line for line in drawn)
    assert any("proxy" in line and "10.7.0.5" in line and "443" in line for line in drawn)
    assert len({picture.breadth(line) for line in drawn}) == 1


def test_a_host_without_networks_is_not_drawn() -> None:
    assert network_picture.draw({"alpha": {"host": {}, "jails": [{"name": "www"}]}}) == ""


KEYS = st.sampled_from(["name", "networks", "jails", "ports", "bandwidth", "in", "ip4", "host", "firewall"])
odd = st.recursive(
    st.none() | st.text(max_size=9) | st.integers() | st.booleans(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner), max_leaves=9,
)


@given(odd, odd)
def test_odd_answers_spoil_nothing(host: Any, jails: Any) -> None:
    drawn = network_picture.draw({"alpha": {"host": host, "jails": jails}}).splitlines()
    assert len({picture.breadth(line) for line in drawn}) <= 1
