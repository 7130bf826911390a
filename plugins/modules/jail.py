#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One jail."""

from __future__ import annotations

DOCUMENTATION = r"""
module: jail
short_description: Declare one jail of a host
version_added: 0.1.0
description:
  - Brings one FreeBSD jail to what is declared, by the same engine as M(cellblock.jails.jails). For several jails of
    one host, that module does them all in one call.
  - With O(name) and O(state) alone, and O(destroy_snapshots), a jail that is there is started, stopped, restarted or removed, and
    stays as it is otherwise. With more, the options are all of it, and what they leave out goes, which a warning says.
author:
  - cellblock.jails contributors (@cellblock)
extends_documentation_fragment:
  - cellblock.jails.attributes
  - cellblock.jails.attributes.lock
  - cellblock.jails.jail
  - cellblock.jails.jail.host
seealso:
  - module: cellblock.jails.jails
  - module: cellblock.jails.jail_info
"""

EXAMPLES = r"""
- name: A thin jail with an address of its own
  cellblock.jails.jail:
    name: www
    base: 15.1-RELEASE
    ip4: [em0|10.0.0.20/24]

- name: Restart it; the name and a state are enough for a jail that is there, all else stays as it is
  cellblock.jails.jail:
    name: www
    state: restarted

- name: Stop it until it is started again; the next boot starts it too
  cellblock.jails.jail:
    name: www
    state: stopped

- name: Remove it
  cellblock.jails.jail:
    name: www
    state: absent
"""

RETURN = r"""
steps:
  description: The steps that were taken, or would be in check mode, in words.
  returned: always
  type: list
  elements: str
  sample: ["www: start"]
jails:
  description: What became of the jail, under its name; see RV(cellblock.jails.jails#module:jails).
  returned: always
  type: dict
reboot_waits:
  description: What waits for a reboot of the host, such as C(kern.racct.enable).
  returned: always
  type: list
  elements: str
"""

from ansible_collections.cellblock.jails.plugins.module_utils.engine.module import Module
from ansible_collections.cellblock.jails.plugins.module_utils.jails import options
from ansible_collections.cellblock.jails.plugins.module_utils.jails.planning import serve_jails
from ansible_collections.cellblock.jails.plugins.module_utils.jails.request import beyond


def main() -> None:
    """The door."""
    module = Module(argument_spec={**options.JAIL, **options.HOST}, beyond=beyond, supports_check_mode=True)
    jail = {key: module.params[key] for key in options.JAIL}
    serve_jails(module, {**module.params, "jails": [jail]}, whole=False)


if __name__ == "__main__":
    main()
