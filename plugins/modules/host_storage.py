#!/usr/bin/python
# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The place where jails and their bases live."""

from __future__ import annotations

DOCUMENTATION = r"""
module: host_storage
short_description: The directory or ZFS dataset where the jails of a FreeBSD host live
version_added: 0.1.0
description:
  - Makes the directory below which jails and bases live, or the ZFS dataset that is mounted there, and sets its mode.
  - It never destroys anything, and never mounts a dataset over files - a directory that holds something is refused as
    the mount point of a new dataset.
author:
  - cellblock.jails contributors (@cellblock)
extends_documentation_fragment:
  - cellblock.jails.parts.storage
  - cellblock.jails.attributes
"""

EXAMPLES = r"""
- name: A dataset for jails
  cellblock.jails.host_storage:
    dataset: zroot/jails
    path: /usr/jails
    properties:
      compression: zstd
      atime: "off"

- name: A plain directory for jails that users of the host may not enter
  cellblock.jails.host_storage:
    path: /usr/jails
    mode: "0700"
"""

RETURN = r"""
steps:
  description: What was done, or would be done in check mode.
  returned: always
  type: list
  elements: str
  sample: ['create dataset zroot/jails, mounted at /usr/jails', 'set mode of /usr/jails to 0700']
datasets:
  description: The datasets that this call made, or would make in check mode.
  returned: success
  type: list
  elements: str
  sample: [zroot/jails]
"""

from ansible_collections.cellblock.jails.plugins.module_utils.engine.door import serve
from ansible_collections.cellblock.jails.plugins.module_utils.engine.module import Module
from ansible_collections.cellblock.jails.plugins.module_utils.host.options import STORAGE
from ansible_collections.cellblock.jails.plugins.module_utils.host.storage import plan_from


def main() -> None:
    """Entry point."""
    module = Module(argument_spec=STORAGE, supports_check_mode=True)
    serve(module, lambda host: plan_from(host, module.params))


if __name__ == "__main__":
    main()
