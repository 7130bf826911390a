#!/usr/bin/python
# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sockets of the host that would answer on a jail's address."""

from __future__ import annotations

DOCUMENTATION = r"""
module: listeners_info
short_description: Sockets of a FreeBSD host that would answer on a jail's address
version_added: 0.1.0
description:
  - A daemon of the host that listens on C(*) answers on every address that a jail shares with the host, until the
    jail itself listens there. This module names those sockets, by program.
  - It changes nothing, and reads the host with sockstat(1) and ps(1), in two commands.
  - Sockets of processes in jails are left out. Jails with a network stack of their own (C(vnet)) are never reached by
    the host's sockets.
author:
  - cellblock.jails contributors (@cellblock)
extends_documentation_fragment:
  - cellblock.jails.parts.listeners
  - cellblock.jails.attributes
  - cellblock.jails.attributes.info
seealso:
  - module: cellblock.jails.host_services
"""

EXAMPLES = r"""
- name: See what would answer on a jail's address
  cellblock.jails.listeners_info:
  register: listening

- name: Refuse a host whose daemons listen everywhere, but for the DHCP client
  cellblock.jails.listeners_info:
    allow:
      - dhclient
    fail: true

- name: What the daemons are about to be bound to
  cellblock.jails.host_services:
    addresses: [10.10.10.10]
  check_mode: true
  register: bind

- name: See what would be left once they are
  cellblock.jails.listeners_info:
    planned: "{{ bind.bound }}"
  check_mode: true
"""

RETURN = r"""
open:
  description: Sockets that listen on C(*), sorted by port.
  returned: always
  type: list
  elements: dict
  contains:
    program:
      description: The program's name, C(kernel) for a socket that no process holds.
      type: str
      sample: sshd
    pid:
      description: Its process, 0 for the kernel.
      type: int
      sample: 1122
    user:
      description: The user it runs as.
      type: str
      sample: root
    proto:
      description: C(tcp), C(udp) or another protocol.
      type: str
      sample: tcp
    families:
      description: C(ipv4), C(ipv6) or both, the jail addresses on which it would answer.
      type: list
      elements: str
      sample: [ipv4]
    address:
      description: Always C(*) here.
      type: str
      sample: "*"
    port:
      description: The port.
      type: int
      sample: 22
  sample:
    - {program: sshd, pid: 1122, user: root, proto: tcp, families: [ipv4], address: "*", port: 22}
allowed:
  description: Sockets on C(*) that O(allow) lets be, as in RV(open).
  returned: always
  type: list
  elements: dict
  sample: []
planned:
  description: In check mode, sockets on C(*) that O(planned) would close or bind, as in RV(open).
  returned: always
  type: list
  elements: dict
  sample: []
bound:
  description: Sockets that listen on one address, as in RV(open).
  returned: always
  type: list
  elements: dict
  sample: []
"""

from typing import Any, Dict

from ansible_collections.cellblock.jails.plugins.module_utils.engine.door import serve
from ansible_collections.cellblock.jails.plugins.module_utils.engine.module import Module
from ansible_collections.cellblock.jails.plugins.module_utils.host.listeners import report
from ansible_collections.cellblock.jails.plugins.module_utils.host.options import LISTENERS


def main() -> None:
    """Entry point."""
    spec: Dict[str, Any] = {**LISTENERS, "planned": {"type": "list", "elements": "str", "default": []}}
    module = Module(argument_spec=spec, supports_check_mode=True)
    asked = module.params
    planned = asked["planned"] if module.check_mode else []
    serve(module, lambda host: report(host, asked["allow"], planned, asked["fail"]))


if __name__ == "__main__":
    main()
