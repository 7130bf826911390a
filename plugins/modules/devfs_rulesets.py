#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The devfs rulesets of a host, all in one call."""

from __future__ import annotations

DOCUMENTATION = r"""
module: devfs_rulesets
short_description: Keep the devfs rulesets of a host, all in one call
version_added: 0.1.0
description:
  - Keeps rulesets of C(/etc/devfs.rules), in the file and in the kernel, by the same engine as
    M(cellblock.jails.devfs_ruleset). The file and the kernel are read once, in a number of commands that does not grow
    with the rulesets.
  - What is wrong with one of them is refused before anything is touched.
author:
  - cellblock.jails contributors (@cellblock)
extends_documentation_fragment:
  - cellblock.jails.parts.rulesets
  - cellblock.jails.attributes
  - cellblock.jails.attributes.lock
seealso:
  - module: cellblock.jails.devfs_ruleset
  - module: cellblock.jails.host
  - name: devfs(8)
    description: FreeBSD's manual page of devfs rules.
    link: https://man.freebsd.org/cgi/man.cgi?query=devfs&sektion=8
"""

EXAMPLES = r"""
- name: Rulesets for two kinds of jails, and no other of ours
  cellblock.jails.devfs_rulesets:
    prune: true
    rulesets:
      - name: devfsrules_bpf
        number: 100
        rules:
          - include $devfsrules_jail_vnet
          - include $devfsrules_hide_all
          - include $devfsrules_unhide_basic
          - include $devfsrules_unhide_login
          - path 'bpf*' unhide
      - name: devfsrules_tun
        rules:
          - include $devfsrules_hide_all
          - include $devfsrules_unhide_basic
          - include $devfsrules_unhide_login
          - path 'tun*' unhide
        apply: true
"""

RETURN = r"""
rulesets:
  description: The rulesets by name, those too that went.
  returned: success
  type: dict
  contains:
    number:
      description: The ruleset's number. V(null) when it was not there.
      type: int
      sample: 100
    changed:
      description: Whether anything was done for it.
      type: bool
      sample: true
  sample: {"devfsrules_bpf": {"number": 100, "changed": true}, "devfsrules_tun": {"number": 33719, "changed": false}}
steps:
  description: The steps that were taken, or would be in check mode, in words.
  returned: always
  type: list
  elements: str
  sample: ["write /etc/devfs.rules", "load ruleset 100"]
"""

from ansible_collections.cellblock.jails.plugins.module_utils.engine.door import LOCK_OPTION, serve
from ansible_collections.cellblock.jails.plugins.module_utils.engine.module import Module
from ansible_collections.cellblock.jails.plugins.module_utils.host.options import RULESETS
from ansible_collections.cellblock.jails.plugins.module_utils.host.rulesets import plan_all


def main() -> None:
    """The door."""
    module = Module(argument_spec={**RULESETS, **LOCK_OPTION}, supports_check_mode=True)
    serve(module, lambda host: plan_all(host, module.params["rulesets"], module.params["prune"]))


if __name__ == "__main__":
    main()
