#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A jail host, all of it in one call."""

from __future__ import annotations

DOCUMENTATION = r"""
module: host
short_description: Prepare a FreeBSD jail host, all of it in one call
version_added: 0.1.0
description:
  - Brings the parts of a host that are given to what is declared, in the order of the options, each by the same engine as
    the module of its own - storage, settings, devfs rulesets, services and networks. Then it looks at what listens.
    Parts that are not given are left alone.
  - Each part is planned for the host as those before it leave it, and nothing is touched before all are. What is wrong
    with one is refused for all. A part that fails on the way is undone; those before it stand, those after it are not begun.
author:
  - cellblock.jails contributors (@cellblock)
extends_documentation_fragment:
  - cellblock.jails.parts
  - cellblock.jails.attributes
  - cellblock.jails.attributes.lock
seealso:
  - module: cellblock.jails.host_storage
  - module: cellblock.jails.host_settings
  - module: cellblock.jails.devfs_rulesets
  - module: cellblock.jails.host_services
  - module: cellblock.jails.jail_networks
  - module: cellblock.jails.listeners_info
"""

EXAMPLES = r"""
- name: A host for jails with addresses of their own, whose daemons leave these alone
  cellblock.jails.host:
    storage:
      path: /jails
      dataset: zroot/jails
    settings:
      rc_conf: {jail_enable: true, jail_reverse_stop: true}
      kernel_modules: [if_epair, if_bridge]
      racct: true
    devfs_rulesets:
      rulesets:
        - name: devfsrules_bpf
          rules:
            - include $devfsrules_hide_all
            - include $devfsrules_unhide_basic
            - include $devfsrules_unhide_login
            - path 'bpf*' unhide
    services:
      addresses: [10.10.10.10]
    listeners:
      allow: [ntpd]
      fail: true
  register: prepared

- name: Say what waits for a reboot
  ansible.builtin.debug:
    var: prepared.reboot
"""

RETURN = r"""
steps:
  description: The steps that were taken, or would be in check mode, in words, each with its part.
  returned: always
  type: list
  elements: str
  sample: ["storage: create /usr/jails", "settings: set jail_enable in /etc/rc.conf", "services: restart syslogd"]
reboot:
  description: What waits for a reboot, one sentence each.
  returned: success
  type: list
  elements: str
  sample: ["kern.racct.enable is 0 until a reboot makes it 1"]
storage:
  description: What M(cellblock.jails.host_storage) returns, and whether anything was done.
  returned: when it is given
  type: dict
  sample: {"changed": true, "datasets": ["zroot/jails"]}
settings:
  description: What M(cellblock.jails.host_settings) returns, and whether anything was done.
  returned: when it is given
  type: dict
  sample: {"changed": true, "reboot": ["kern.racct.enable is 0 until a reboot makes it 1"]}
devfs_rulesets:
  description: What M(cellblock.jails.devfs_rulesets) returns, and whether anything was done.
  returned: when it is given
  type: dict
  sample: {"changed": true, "rulesets": {"devfsrules_bpf": {"number": 100, "changed": true}}}
services:
  description: What M(cellblock.jails.host_services) returns, and whether anything was done.
  returned: when it is given
  type: dict
  sample: {"changed": true, "addresses": ["10.10.10.10"], "bound": ["sshd", "syslogd"]}
networks:
  description: What M(cellblock.jails.jail_networks) returns, and whether anything was done. Where it has C(confirm), reset
    the connection and call that module.
  returned: when it is given
  type: dict
  sample: {"changed": false, "networks": {"lan": {"device": "bridge0", "subnet": "10.1.0.0/24", "via": "em0"}}, "reboot": []}
listeners:
  description: What M(cellblock.jails.listeners_info) returns, of the host as the run leaves it.
  returned: when it is given
  type: dict
  sample: {"open": [], "allowed": [], "planned": [], "bound": [{"program": "sshd", "address": "10.10.10.10", "port": 22}]}
failures:
  description: The parts that failed, each with the reason in the tool's own words.
  returned: on failure
  type: dict
  sample: {"listeners": "listening sockets: would answer on a jail's address: ntpd (udp 123)."}
"""

from typing import List

from ansible_collections.cellblock.jails.plugins.module_utils.engine.door import LOCK_OPTION, serve
from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.engine.module import Module
from ansible_collections.cellblock.jails.plugins.module_utils.engine.plan import Plan
from ansible_collections.cellblock.jails.plugins.module_utils.prepare import parts
from ansible_collections.cellblock.jails.plugins.module_utils.prepare.options import PARTS


def main() -> None:
    """The door."""
    module = Module(argument_spec={**PARTS, **LOCK_OPTION}, supports_check_mode=True)
    made: List[Plan] = []

    def planner(host: Host) -> Plan:
        made.append(parts.plan(host, module.params, module.check_mode))
        return made[0]

    serve(module, planner, verify=lambda host, failed: parts.verify(host, module.params, made[0], failed))


if __name__ == "__main__":
    main()
