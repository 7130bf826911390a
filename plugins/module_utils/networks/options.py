# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of networks, shared by the modules; documented in doc_fragments/parts.py."""

from __future__ import annotations

from typing import Any, Dict

Options = Dict[str, Dict[str, Any]]

NETWORK: Options = {
    "name": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "bridge": {"type": "str"},
    "interface": {"type": "str"},
    "uplink": {"type": "str"},
    "vlan": {"type": "int"},
    "ip4": {"type": "str"},
    "ip6": {"type": "str"},
    "net4": {"type": "str"},
    "net6": {"type": "str"},
    "gateway4": {"type": "str"},
    "gateway6": {"type": "str"},
    "nat": {"type": "bool", "default": False},
    "routed": {"type": "bool", "default": False},
    "via": {"type": "str"},
    "private": {"type": "bool", "default": False},
    "mtu": {"type": "int"},
    "firewall": {"type": "str", "choices": ["pf", "ipfw"]},
    "pfil_member": {"type": "bool", "default": False},
}
NETWORKS: Options = {
    "networks": {"type": "list", "elements": "dict", "default": [], "options": NETWORK},
    "prune": {"type": "bool", "default": False},
    "fleet": {"type": "str", "default": ""},
    "firewall": {"type": "str", "choices": ["pf", "ipfw"]},
    "manage": {"type": "bool", "default": False},
    "confirm_timeout": {"type": "int", "default": 60},
    "at_boot": {"type": "bool", "default": False},
}
# What a jail says of a network that it joins, of a port of the host, and of its rates.
JOIN: Options = {
    "name": {"type": "str", "required": True},
    "ip4": {"type": "str"},
    "ip6": {"type": "str"},
    "gateway": {"type": "raw"},
    "mac": {"type": "str", "default": "auto"},
}
PORT: Options = {
    "proto": {"type": "str", "choices": ["tcp", "udp"], "default": "tcp"},
    "port": {"type": "str", "required": True},
    "to": {"type": "int"},
    "address": {"type": "str", "required": True},
    "target": {"type": "str"},
    "interface": {"type": "str"},
    "from": {"type": "list", "elements": "str"},
    "reflect": {"type": "bool", "default": False},
}
# By the aspect whose they are.
OF_JAILS: Dict[str, Options] = {
    "loopback": {"loopback": {"type": "str"}},
    "networks": {"networks": {"type": "list", "elements": "dict", "options": JOIN}},
    "devices": {"bpf": {"type": "bool"}, "nfsd": {"type": "bool"}},
    "firewall": {"firewall": {"type": "dict", "options": {"pf": {"type": "str"}, "ipfw": {"type": "str"}}}},
    "traffic": {
        "ports": {"type": "list", "elements": "dict", "options": PORT},
        "bandwidth": {"type": "dict", "options": {"in": {"type": "str"}, "out": {"type": "str"}}},
    },
}
