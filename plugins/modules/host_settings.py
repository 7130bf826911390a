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
options:
  rc_conf:
    description:
      - Variables of C(/etc/rc.conf). Booleans are written as C(YES) and C(NO); null removes a variable.
    type: dict
    default: {}
  loader_conf:
    description:
      - Variables of C(/boot/loader.conf). Booleans are written as C(YES) and C(NO); null removes a variable.
    type: dict
    default: {}
  kernel_modules:
    description:
      - Kernel modules that are loaded now, and at boot through C(kld_list), to which they are added.
    type: list
    elements: str
    default: []
  racct:
    description:
      - Whether the kernel counts resources, so that rctl(8) limits work. Sets C(kern.racct.enable) in
        C(/boot/loader.conf), which needs a reboot, and C(rctl_enable) in C(/etc/rc.conf).
      - Left alone when not given.
    type: bool
  fibs:
    description:
      - The number of routing tables (C(net.fibs)). It grows at once, and shrinks at the next reboot.
      - Left alone when not given.
    type: int
extends_documentation_fragment:
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
"""

from typing import Any, Dict, Mapping, Optional

from ansible_collections.cellblock.jails.plugins.module_utils.engine.door import serve
from ansible_collections.cellblock.jails.plugins.module_utils.engine.module import Module
from ansible_collections.cellblock.jails.plugins.module_utils.host import settings


def words(values: Mapping[str, Any]) -> Dict[str, Optional[str]]:
    """Ansible's values as the files spell them: YES and NO, null for a variable that goes."""
    spelled: Dict[str, Optional[str]] = {}
    for name, value in values.items():
        if isinstance(value, bool):
            spelled[str(name)] = "YES" if value else "NO"
        else:
            spelled[str(name)] = None if value is None else str(value)
    return spelled


def main() -> None:
    """Entry point."""
    spec: Dict[str, Any] = {
        "rc_conf": {"type": "dict", "default": {}},
        "loader_conf": {"type": "dict", "default": {}},
        "kernel_modules": {"type": "list", "elements": "str", "default": []},
        "racct": {"type": "bool"},
        "fibs": {"type": "int"},
    }
    module = Module(argument_spec=spec, supports_check_mode=True)
    asked = module.params
    wanted = settings.Wanted(
        words(asked["rc_conf"]), words(asked["loader_conf"]), asked["kernel_modules"], asked["racct"], asked["fibs"],
    )
    serve(module, lambda host: settings.plan(host, wanted))


if __name__ == "__main__":
    main()
