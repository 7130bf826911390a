# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter to_jail_conf."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Callable

from ansible.errors import AnsibleFilterError

from ansible_collections.cellblock.jails.plugins.module_utils.errors import FormatError
from ansible_collections.cellblock.jails.plugins.module_utils.formats import jail_conf

DOCUMENTATION = r"""
name: to_jail_conf
short_description: Write a jail.conf that jail(8) reads back unharmed
version_added: 0.1.0
author:
  - cellblock.jails contributors (@cellblock)
description:
  - Writes the text of a jail.conf(5) with one block for each jail.
  - Every value is quoted, so that quotes, V($), backslashes, newlines, commas, V(#) and UTF-8 arrive as they
    are, and nothing is left to substitute. C(from_jail_conf) of the text gives the same list again.
  - Refused are a NUL, wildcard names, and two spellings of one parameter such as C(persist) with C(nopersist).
positional: _input
options:
  _input:
    description:
      - The jails, as the filter P(cellblock.jails.from_jail_conf#filter) gives them.
      - A parameter's values are a list of strings. An empty list writes the bare name. A single string, number
        or boolean counts as a list of one.
    type: list
    elements: dict
    required: true
seealso:
  - plugin: cellblock.jails.from_jail_conf
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Write a jail's file
  ansible.builtin.copy:
    content: "{{ jails | cellblock.jails.to_jail_conf }}"
    dest: /etc/jail.conf.d/webserver.conf
    mode: "0644"
  vars:
    jails:
      - name: webserver
        params:
          path: [/usr/jails/webserver]
          ip4.addr: ["rl0|10.0.0.20/32"]
          mount.devfs: []
          exec.start: [/bin/sh /etc/rc]
          exec.stop: [/bin/sh /etc/rc.shutdown jail]
"""

RETURN = r"""
_value:
  description: The text.
  type: str
  sample: '"webserver" { path = "/usr/jails/webserver"; mount.devfs; }'
"""


def to_jail_conf(jails: Any) -> str:
    """Write a jail.conf; see the documentation above."""
    if not isinstance(jails, (list, tuple)) or not all(isinstance(jail, Mapping) for jail in jails):
        raise AnsibleFilterError("to_jail_conf: a list of jails is wanted, each with name and params")
    try:
        return jail_conf.render(jails)
    except FormatError as error:
        raise AnsibleFilterError(f"to_jail_conf: {error}") from error


class FilterModule:
    """What ansible-core looks for in this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filters by their names."""
        return {"to_jail_conf": to_jail_conf}
