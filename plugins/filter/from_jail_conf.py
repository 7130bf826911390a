# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter from_jail_conf."""

from __future__ import annotations

from typing import Any, Callable

from ansible.errors import AnsibleFilterError
from ansible.utils.display import Display

from ansible_collections.cellblock.jails.plugins.module_utils.errors import FormatError
from ansible_collections.cellblock.jails.plugins.module_utils.formats import jail_conf

DOCUMENTATION = r"""
name: from_jail_conf
short_description: Read a jail.conf as jail(8) reads it
version_added: 0.1.0
author:
  - cellblock.jails contributors (@cellblock)
description:
  - Reads the text of a jail.conf(5) as FreeBSD 15.1's jail(8) does, and gives each jail with its
    parameters after all merging - global parameters, wildcard blocks, V(+=), V(no) prefixes, nested blocks,
    variables and C(.include).
  - What jail(8) refuses is refused with its own message. What it only complains about, such as a variable
    that is not found, becomes a warning. Such a jail would fail to start.
positional: _input
options:
  _input:
    description: The text of the file.
    type: str
    required: true
  directory:
    description:
      - The directory on the controller that relative names in C(.include) start from.
      - Files are read there and, when a name in the text is absolute, elsewhere on the controller too.
      - Without it a text with an C(.include) is refused.
    type: path
  name:
    description: The file's name, as messages show it.
    type: str
    default: jail.conf
seealso:
  - plugin: cellblock.jails.to_jail_conf
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Fetch the host's jail.conf
  ansible.builtin.slurp:
    src: /etc/jail.conf
  register: jail_conf

- name: Show the root of each jail
  ansible.builtin.debug:
    msg: "{{ item.name }} is in {{ item.params.path | last }}"
  loop: "{{ jail_conf.content | b64decode | cellblock.jails.from_jail_conf }}"
  loop_control:
    label: "{{ item.name }}"

- name: Read a file of the controller, and what it includes
  ansible.builtin.set_fact:
    jails: "{{ lookup('ansible.builtin.file', 'files/jail.conf') | cellblock.jails.from_jail_conf(directory='files') }}"
"""

RETURN = r"""
_value:
  description: The jails, in the order in which C(jail -e) prints them.
  type: list
  elements: dict
  contains:
    name:
      description: The jail's name.
      type: str
      sample: webserver
    params:
      description:
        - The jail's parameters and their values, in order. A parameter without a value has an empty list
          under the name that it is printed with, such as C(persist) or C(allow.noraw_sockets).
        - C(jid) is not among them, since jail(8) leaves it out.
      type: dict
      sample:
        path: [/usr/jails/webserver]
        ip4.addr: [rl0|10.0.0.20/32]
        mount.devfs: []
"""


def from_jail_conf(text: Any, directory: str | None = None, name: str = "jail.conf") -> list[dict[str, Any]]:
    """Read a jail.conf; see the documentation above."""
    if not isinstance(text, str):
        raise AnsibleFilterError(f"from_jail_conf: the text of a jail.conf is wanted, not a {type(text).__name__}")
    warnings: list[str] = []
    try:
        jails = jail_conf.parse(text, directory=directory, name=name, warnings=warnings)
    except FormatError as error:
        raise AnsibleFilterError(str(error)) from error
    for warning in warnings:
        Display().warning(warning)
    return jails


class FilterModule:
    """What ansible-core looks for in this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filters by their names."""
        return {"from_jail_conf": from_jail_conf}
