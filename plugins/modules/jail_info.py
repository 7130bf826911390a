#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the jails of a host are."""

from __future__ import annotations

DOCUMENTATION = r"""
module: jail_info
short_description: Tell what the jails of a host are
version_added: 0.1.0
description:
  - Tells the configured, running, dying and foreign jails of a host, each with its parameters, addresses, mounts, limits
    and usage, its root and its size, its base and patch level, where the running jail differs from its file, and what
    waits for a restart.
  - Asks the host a constant number of commands, however many jails there are.
author:
  - cellblock.jails contributors (@cellblock)
options:
  storage_path:
    description:
      - The directory that the jails' roots stand in.
    type: path
    default: /usr/jails
  storage_dataset:
    description:
      - The ZFS dataset that is mounted there.
    type: str
  sizes:
    description:
      - Also measures plain directories, which reads every inode of theirs, see C(du(1\)). Datasets always tell theirs.
    type: bool
    default: false
extends_documentation_fragment:
  - cellblock.jails.attributes
  - cellblock.jails.attributes.info
seealso:
  - module: cellblock.jails.jails
"""

EXAMPLES = r"""
- name: Look at the jails
  cellblock.jails.jail_info:
    storage_dataset: zroot/jails
  register: found

- name: Name what waits for a restart
  ansible.builtin.debug:
    msg: "{{ found.jails | selectattr('restart_waits') | map(attribute='name') | list }}"
"""

RETURN = r"""
schema_version:
  description: The version of what is returned here. A key is added without a new one, never removed or changed.
  returned: success
  type: int
  sample: 1
host:
  description: The host itself.
  returned: success
  type: dict
  contains:
    osreldate: {description: The kernel's C(__FreeBSD_version)., type: int}
    jail_enable: {description: Whether jails start at boot., type: str}
    jail_list: {description: What C(jail_list) of C(rc.conf) and of what counts over it names., type: list}
    boot_order: {description: "The jails that the next boot starts, in their order, as C(rc.d/jail) decides it.", type: list}
    racct: {description: Whether resource limits work., type: bool}
    fibs: {description: How many routing tables there are., type: int}
    networks: {description: "The networks of M(cellblock.jails.jail_networks): device, addresses, way out, jails.", type: list}
    firewall: {description: "The firewall of ports and bandwidth, where a jail has them: C(kind), C(running).", type: dict}
jails:
  description: The jails, those that boot first in their order.
  returned: success
  type: list
  elements: dict
  contains:
    name: {description: Its name., type: str}
    state: {description: "One of C(running), C(stopped) and C(dying).", type: str}
    managed: {description: Whether this collection made it., type: bool}
    jid: {description: The running jail's number., type: int}
    path: {description: Its root., type: str}
    hostname: {description: Its host name., type: str}
    ip4: {description: Its IPv4 addresses., type: list}
    ip6: {description: Its IPv6 addresses., type: list}
    vnet: {description: Whether it has a network stack of its own., type: bool}
    parameters: {description: The running jail's parameters as C(jls) tells them., type: dict}
    defined: {description: The parameters as its definition has them., type: dict}
    definition: {description: The file that defines it., type: str}
    boot_style: {description: How it is defined., type: str}
    boot: {description: Whether the next boot starts it., type: bool}
    boot_position: {description: "Its place from 1 in what C(rc.d/jail) starts, be that enabled or not.", type: int}
    boot_file: {description: The file by which C(rc.d/jail) starts it., type: str}
    boot_problem: {description: Why it is tried and does not come up at boot., type: str}
    boot_differs: {description: "The parameters that a boot gives it otherwise than its definition, by defaults of C(/etc/jail.conf).", type: dict}
    depend: {description: The jails it depends on., type: list}
    root: {description: "Its root: kind, dataset, size and quota in bytes, origin.", type: dict}
    base: {description: "Its base: name, userland version, and its end of life in seconds since 1970 where the host knows it.", type: dict}
    mounts: {description: What is mounted below its root., type: list}
    limits: {description: Its rules as C(rctl) lists them., type: list}
    usage: {description: What it uses as C(rctl -u) tells., type: dict}
    console_log: {description: Where its console's words are., type: str}
    networks: {description: "The networks that it joins, each with interface, MAC address and addresses.", type: list}
    ports: {description: The ports that lead to it., type: list}
    bandwidth: {description: "Its bandwidth in bits a second: C(in) and C(out).", type: dict}
    drift: {description: "Where the running jail, or what is loaded of its firewall rules, is not as its file says.", type: list}
    restart_waits: {description: What only a restart would bring., type: list}
    upgrade: {description: "Its last upgrade by jail_upgrade: what it was and became, when, how it went, and whether a rollback is possible.", type: dict}
"""

from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.engine.module import Module
from ansible_collections.cellblock.jails.plugins.module_utils.errors import CellblockError
from ansible_collections.cellblock.jails.plugins.module_utils.jails.info import gather


def main() -> None:
    """The door."""
    module = Module(
        argument_spec={
            "storage_path": {"type": "path", "default": "/usr/jails"},
            "storage_dataset": {"type": "str"},
            "sizes": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    options = module.params
    try:
        found = gather(Host(), options["storage_path"], options["storage_dataset"], options["sizes"])
    except CellblockError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, **found)


if __name__ == "__main__":
    main()
