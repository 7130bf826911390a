#!/usr/bin/python
# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The networks of a host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: jail_networks
short_description: Networks for the jails of a host, with NAT
version_added: 0.1.0
description:
  - Keeps all networks that jails of a host join by name (O(cellblock.jails.jails#module:jails[].networks)), in one call.
    They are bridges, and come back at boot by C(/etc/rc.conf), without Ansible.
  - A network is isolated, or has NAT, or an uplink. The host's address in it is the gateway of its jails.
  - The firewall of the host stays its owner's. Rules of ours stand in anchors of pf(4) below C(cellblock/), which
    C(/etc/pf.conf) must call; the module says so when it does not, or writes the lines, between marks, with O(manage).
  - Moves no address over the connection that it would cut, and leaves alone what it did not make.
author:
  - cellblock.jails contributors (@cellblock)
options:
  networks:
    description:
      - The networks.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description:
          - The name by which jails join it. At most 15 letters, digits, C(_) and C(-), beginning with a letter.
        type: str
        required: true
      state:
        description:
          - V(absent) takes it away, with the bridge if that was made for it. Refused while jails are in it.
        type: str
        choices: [present, absent]
        default: present
      bridge:
        description:
          - The bridge. One that is there is used, and never removed. By default the first that is free is made.
        type: str
      interface:
        description:
          - In place of a bridge, the interface that carries addresses of shared-stack jails, such as C(lo1). It is made
            when it is not there.
        type: str
      uplink:
        description:
          - An interface of the host that becomes a member of the bridge, so that jails are on its network too.
          - It must have no address. With all of its addresses given to the network, they move at the next boot
            (O(at_boot)).
        type: str
      vlan:
        description:
          - The VLAN of the uplink that the bridge is on.
        type: int
      ip4:
        description:
          - The host's own address in it, with the prefix, such as C(10.1.0.1/24). It tells the subnet, and is the gateway.
        type: str
      ip6:
        description:
          - Likewise for IPv6.
        type: str
      net4:
        description:
          - The subnet, where the host has no address in it.
        type: str
      net6:
        description:
          - Likewise for IPv6.
        type: str
      gateway4:
        description:
          - The gateway of its jails, where that is not the host.
        type: str
      gateway6:
        description:
          - Likewise for IPv6.
        type: str
      nat:
        description:
          - Whether packets leave by the host, with the host's address. IPv6 is routed, and not translated.
        type: bool
        default: false
      via:
        description:
          - The interface that packets leave by. That of the default route when the network is first made.
        type: str
      private:
        description:
          - Whether its jails see the host and the uplink, but not each other.
        type: bool
        default: false
      mtu:
        description:
          - The MTU of the bridge and of its members.
        type: int
      pfil_member:
        description:
          - Whether the host's firewall sees what passes between members of bridges, as bandwidth of jails on an uplink
            needs. Sets C(net.link.bridge.pfil_member), which is one for all bridges of the host.
        type: bool
        default: false
  prune:
    description:
      - Whether networks of ours that are not named are taken away.
    type: bool
    default: false
  fleet:
    description:
      - A name that is hashed into the MAC addresses of jails, besides the host's and the jail's.
    type: str
    default: ''
  manage:
    description:
      - Whether the lines that call our anchors are written into C(/etc/pf.conf), and pf is enabled, now and at boot.
      - Enabling it locks nobody out. The connection that does it is let through, and a timer on the host disables pf
        again unless a run that comes by a B(new) connection confirms it. RV(confirm) is returned then; reset the
        connection and call the module again.
    type: bool
    default: false
  confirm_timeout:
    description:
      - How many seconds the timer waits.
    type: int
    default: 60
  at_boot:
    description:
      - Whether an address moves from an uplink to its bridge when the host boots next. Otherwise that is refused.
    type: bool
    default: false
extends_documentation_fragment:
  - cellblock.jails.attributes
  - cellblock.jails.attributes.lock
seealso:
  - module: cellblock.jails.jails
  - name: bridge(4)
    description: FreeBSD's manual page of bridges.
    link: https://man.freebsd.org/cgi/man.cgi?query=bridge&sektion=4
"""

EXAMPLES = r"""
- name: A network behind the host's address, and one that nobody leaves
  cellblock.jails.jail_networks:
    manage: true
    networks:
      - name: lan
        ip4: 10.1.0.1/24
        ip6: 2001:db8:1::1/64
        nat: true
      - name: store
        net4: 10.2.0.0/24
  register: networks

- name: Come by a new connection where pf was enabled
  ansible.builtin.meta: reset_connection
  when: networks.confirm is defined

- name: Confirm it, else it is disabled again
  cellblock.jails.jail_networks:
    manage: true
    networks:
      - name: lan
        ip4: 10.1.0.1/24
        ip6: 2001:db8:1::1/64
        nat: true
      - name: store
        net4: 10.2.0.0/24
  when: networks.confirm is defined

- name: Jails on VLAN 100 of em1
  cellblock.jails.jail_networks:
    networks:
      - name: office
        uplink: em1
        vlan: 100
        net4: 192.0.2.0/24
        gateway4: 192.0.2.1
"""

RETURN = r"""
steps:
  description: The steps that were taken, or would be in check mode, in words.
  returned: success
  type: list
  elements: str
  sample: ["set networks in /etc/rc.conf", "create bridge0", "give bridge0 10.1.0.1/24"]
networks:
  description: The networks of the host, by name, each with its device, its subnet and the interface that its NAT goes out by.
  returned: success
  type: dict
  sample: {"lan": {"device": "bridge0", "subnet": "10.1.0.0/24", "via": "em0"}}
reboot:
  description: What waits for the next boot, one sentence each.
  returned: success
  type: list
  elements: str
  sample: ["the address of em0 moves to bridge0"]
confirm:
  description: Seconds within which a run by a new connection must confirm the firewall that this one enabled.
  returned: when pf was enabled over ssh
  type: int
  sample: 60
"""

from ansible_collections.cellblock.jails.plugins.module_utils.engine.door import LOCK_OPTION, serve
from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.engine.module import Module
from ansible_collections.cellblock.jails.plugins.module_utils.engine.plan import Plan
from ansible_collections.cellblock.jails.plugins.module_utils.networks.model import OPTIONS
from ansible_collections.cellblock.jails.plugins.module_utils.networks.planning import Request, plan


def main() -> None:
    """The door."""
    module = Module(
        argument_spec={
            "networks": {"type": "list", "elements": "dict", "default": [], "options": OPTIONS},
            "prune": {"type": "bool", "default": False},
            "fleet": {"type": "str", "default": ""},
            "manage": {"type": "bool", "default": False},
            "confirm_timeout": {"type": "int", "default": 60},
            "at_boot": {"type": "bool", "default": False},
            **LOCK_OPTION,
        },
        supports_check_mode=True,
    )

    def planner(host: Host) -> Plan:
        return plan(host, Request.from_options(module.params))

    serve(module, planner)


if __name__ == "__main__":
    main()
