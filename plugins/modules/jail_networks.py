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
    With ipfw(4) they are one set, which is swapped whole (O(firewall)).
  - Moves no address over the connection that it would cut, and leaves alone what it did not make.
author:
  - cellblock.jails contributors (@cellblock)
extends_documentation_fragment:
  - cellblock.jails.parts.networks
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

- name: A network is no longer needed
  cellblock.jails.jail_networks:
    networks:
      - name: lan
        ip4: 10.1.0.1/24
        nat: true

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
from ansible_collections.cellblock.jails.plugins.module_utils.networks.options import NETWORKS
from ansible_collections.cellblock.jails.plugins.module_utils.networks.planning import Request, plan


def main() -> None:
    """The door."""
    module = Module(
        argument_spec={**NETWORKS, **LOCK_OPTION},
        supports_check_mode=True,
    )

    def planner(host: Host) -> Plan:
        return plan(host, Request.from_options(module.params))

    serve(module, planner)


if __name__ == "__main__":
    main()
