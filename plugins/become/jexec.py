# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Become another user of a jail with jexec(8) itself."""

from __future__ import annotations

DOCUMENTATION = r"""
name: jexec
short_description: Become another user of a jail without sudo in it
version_added: 0.1.0
description:
  - Enters the jail as O(become_user), with C(jexec -U), instead of entering it as one user and changing to another.
    The jail needs neither sudo nor doas, and no password.
  - Works with the connection plugin P(cellblock.jails.jexec#connection) only. With any other connection, tasks fail;
    they never run as the wrong user.
author:
  - cellblock.jails contributors (@cellblock)
options:
  become_user:
    description: The user of the jail to become, by name, from the jail's own user database.
    type: string
    default: root
    ini:
      - section: privilege_escalation
        key: become_user
      - section: jexec_become_plugin
        key: user
    vars:
      - name: ansible_become_user
      - name: ansible_jexec_user
    env:
      - name: ANSIBLE_BECOME_USER
      - name: ANSIBLE_JEXEC_USER
    keyword:
      - name: become_user
notes:
  - O(become_user) takes the place of the connection's jail user for the task. Whoever may enter the jail as one user
    may enter it as any.
seealso:
  - plugin: cellblock.jails.jexec
    plugin_type: connection
"""

EXAMPLES = r"""
- name: Work in a jail as its users
  hosts: jails
  become_method: cellblock.jails.jexec
  tasks:
    - name: As postgres, without sudo in the jail
      ansible.builtin.command: id -un
      changed_when: false
      become: true
      become_user: postgres
"""

from typing import Any

from ansible.plugins.become import BecomeBase

PREFIX = "needs-connection-cellblock.jails.jexec-"


class BecomeModule(BecomeBase):  # type: ignore[misc]
    """Says who to become; the connection does it."""

    name = "cellblock.jails.jexec"

    def build_become_command(self, cmd: str, shell: Any) -> str:
        """Mark a command; the connection takes the mark away, anything else finds no such program."""
        super().build_become_command(cmd, shell)
        if not cmd:
            return cmd
        return f"{self.mark()} {self._build_success_command(cmd, shell)}"

    def mark(self) -> str:
        """The word that no other connection can run."""
        return f"{PREFIX}{self._id}"
