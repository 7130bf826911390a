# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the modules have in common that send a jail from host to host."""

from __future__ import annotations


class ModuleDocFragment:
    """The options of BETWEEN_HOSTS."""

    DOCUMENTATION = r"""
options:
  name:
    description: The jail.
    type: str
    required: true
  there:
    description: What the phase V(open) told on the host that the jail is sent to, for the phases of the host that has it.
    type: dict
    default: {}
  keys:
    description: The public keys that V(begin) made, for V(allow).
    type: dict
    default: {}
  address:
    description: The host that the jail is sent to, as the host that has it reaches it by ssh.
    type: str
    default: ""
  port:
    description: The port of ssh there.
    type: int
    default: 22
  limit:
    description: The most bytes that are sent in a second, such as V(50M).
    type: str
"""
