#!/usr/bin/python
# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: picture
short_description: Draw hosts and their jails in the terminal
version_added: 0.1.0
description:
  - Draws a box per host and a line per jail with its state, addresses, root, base, size and place in the boot order, as
    text in the terminal of whoever runs the playbook.
  - This is an action on the controller. It needs no connection and changes nothing.
author:
  - cellblock.jails contributors (@cellblock)
options:
  hosts:
    description:
      - By host's name, what M(cellblock.jails.jail_info) returned there. Hosts that did not answer are left out.
    type: dict
    required: true
extends_documentation_fragment:
  - cellblock.jails.attributes
  - cellblock.jails.attributes.info
seealso:
  - module: cellblock.jails.jail_info
"""

EXAMPLES = r"""
- name: Ask the hosts
  cellblock.jails.jail_info:
  register: jails_seen

- name: Draw what they answered
  cellblock.jails.picture:
    hosts: "{{ dict(ansible_play_hosts | zip(ansible_play_hosts | map('extract', hostvars, 'jails_seen'))) }}"
  run_once: true
"""

RETURN = r"""
picture:
  description: The picture's lines, without colours.
  returned: always
  type: list
  elements: str
  sample: ["╭─ talk · FreeBSD 15.1 · 1 jail · 1 running ─╮"]
"""
