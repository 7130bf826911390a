#!/usr/bin/python
# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: summary
short_description: Tell what a run did, a line for each jail that changed
version_added: 0.1.0
description:
  - Prints what was done in the terminal of whoever runs the playbook, without C(-v); a line for each jail that changed, one for
    each thing that was done to the host itself, and what waits for a restart or a reboot. Where nothing was done and nothing
    waits, it prints nothing.
  - In check mode it tells what would be done.
  - The playbooks of this collection close with it. This is an action on the controller. It needs no connection and changes
    nothing.
author:
  - cellblock.jails contributors (@cellblock)
options:
  results:
    description:
      - By host's name, what a module of this collection returned there, or a list of that.
      - Left out, it is what the roles of this collection registered on the hosts of this batch.
    type: dict
  artifacts:
    description:
      - Whether what was done is kept as M(ansible.builtin.set_stats) does, which AWX hands to the next node of a workflow as
        C(cellblock_changed), C(cellblock_failed) and C(cellblock_waits), each a dictionary by host.
    type: bool
    default: true
extends_documentation_fragment:
  - cellblock.jails.attributes
  - cellblock.jails.attributes.info
seealso:
  - module: cellblock.jails.picture
"""

EXAMPLES = r"""
- name: Tell what the roles of this play did
  cellblock.jails.summary:
  run_once: true

- name: Run the jails
  cellblock.jails.jails:
    jails: "{{ our_jails }}"
  register: jails_run

- name: Tell what that did
  cellblock.jails.summary:
    results: "{{ dict(ansible_play_batch | zip(ansible_play_batch | map('extract', hostvars, 'jails_run'))) }}"
  run_once: true
"""

RETURN = r"""
summary:
  description: The lines, without colours.
  returned: always
  type: list
  elements: str
  sample: ["jailhost1  web  made and started", "jailhost1  db   waits for a restart: mount"]
"""
