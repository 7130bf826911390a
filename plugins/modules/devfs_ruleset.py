#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A devfs ruleset."""

from __future__ import annotations

DOCUMENTATION = r"""
module: devfs_ruleset
short_description: Keep a devfs ruleset, in its file and in the kernel
version_added: 0.1.0
description:
  - Keeps a ruleset of C(/etc/devfs.rules) by its name, loads it without a reboot, and applies it to the C(/dev) of the
    running jails that use it.
  - Refuses what FreeBSD would misread without a word, such as a ruleset that hides nothing since the kernel follows only
    one level of includes.
author:
  - cellblock.jails contributors (@cellblock)
extends_documentation_fragment:
  - cellblock.jails.parts.ruleset
  - cellblock.jails.attributes
  - cellblock.jails.attributes.lock
seealso:
  - module: cellblock.jails.jails
  - name: devfs(8)
    description: FreeBSD's manual page of devfs rules.
    link: https://man.freebsd.org/cgi/man.cgi?query=devfs&sektion=8
"""

EXAMPLES = r"""
- name: A ruleset for jails that may use bpf(4)
  cellblock.jails.devfs_ruleset:
    name: devfsrules_bpf
    number: 100
    rules:
      - include $devfsrules_hide_all
      - include $devfsrules_unhide_basic
      - include $devfsrules_unhide_login
      - path 'bpf*' unhide
    apply: true

- name: See a ruleset through in the file only; the next boot loads it
  cellblock.jails.devfs_ruleset:
    name: devfsrules_usb
    number: 101
    rules: [include $devfsrules_jail, path 'usb/*' unhide]
    load: false

- name: It is no longer needed
  cellblock.jails.devfs_ruleset:
    name: devfsrules_bpf
    state: absent
"""

RETURN = r"""
name:
  description: The ruleset's name.
  returned: success
  type: str
  sample: devfsrules_bpf
number:
  description: The ruleset's number.
  returned: success
  type: int
  sample: 100
steps:
  description: The steps that were taken, or would be in check mode, in words.
  returned: success
  type: list
  elements: str
  sample: ["write /etc/devfs.rules", "load ruleset 100"]
"""

from ansible_collections.cellblock.jails.plugins.module_utils.engine.door import LOCK_OPTION, serve
from ansible_collections.cellblock.jails.plugins.module_utils.engine.module import Module
from ansible_collections.cellblock.jails.plugins.module_utils.host.options import RULESET
from ansible_collections.cellblock.jails.plugins.module_utils.host.rulesets import plan


def main() -> None:
    """The door."""
    module = Module(
        argument_spec={**RULESET, **LOCK_OPTION},
        required_if=[("state", "present", ["rules"])],
        supports_check_mode=True,
    )
    serve(module, lambda host: plan(host, module.params))


if __name__ == "__main__":
    main()
