#!/usr/bin/python
# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Boot settings of a jail host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: host_settings
short_description: Boot settings of a FreeBSD jail host, taken at once where the kernel can
version_added: 0.1.0
description:
  - Sets variables of rc.conf(5) and loader.conf(5), loads kernel modules, switches resource limits on and adds routing
    tables, in one call.
  - What a running kernel can take is done at once (C(net.fibs) may grow, modules are loaded). What needs a reboot is
    reported in RV(reboot), in every run until the reboot has been; the module never reboots.
author:
  - cellblock.jails contributors (@cellblock)
extends_documentation_fragment:
  - cellblock.jails.parts.settings
  - cellblock.jails.attributes
"""

EXAMPLES = r"""
- name: A host whose jails start side by side, have limits and a routing table of their own
  cellblock.jails.host_settings:
    rc_conf:
      jail_enable: true
      jail_parallel_start: true
      jail_reverse_stop: true
    kernel_modules:
      - if_epair
      - if_bridge
    racct: true
    fibs: 2
  register: settings

- name: A second loopback for jails, now and at every boot, and a variable that goes
  cellblock.jails.host_settings:
    interfaces_now: true
    rc_conf:
      cloned_interfaces: lo1
      gateway_enable: null
    loader_conf:
      net.inet.ip.fw.default_to_accept: "1"

- name: Say what waits for a reboot
  ansible.builtin.debug:
    var: settings.reboot
"""

RETURN = r"""
steps:
  description: What was done, or would be done in check mode.
  returned: always
  type: list
  elements: str
  sample: ['set jail_enable in /etc/rc.conf', 'set sysctl net.fibs=2']
reboot:
  description: What waits for a reboot, one sentence each; empty when nothing does.
  returned: success
  type: list
  elements: str
  sample: ['kern.racct.enable is 0 until a reboot makes it 1']
waits:
  description: What stands in C(/etc/rc.conf) and is not so yet, one sentence each, with the command that would bring it now.
  returned: success
  type: list
  elements: str
  sample: ["interface lo1 is made by the next boot, or by 'service netif start lo1'"]
"""

from ansible_collections.cellblock.jails.plugins.module_utils.engine.door import serve
from ansible_collections.cellblock.jails.plugins.module_utils.engine.module import Module
from ansible_collections.cellblock.jails.plugins.module_utils.host.options import SETTINGS
from ansible_collections.cellblock.jails.plugins.module_utils.host.settings import plan_from


def main() -> None:
    """Entry point."""
    module = Module(argument_spec=SETTINGS, supports_check_mode=True)
    serve(module, lambda host: plan_from(host, module.params))


if __name__ == "__main__":
    main()
