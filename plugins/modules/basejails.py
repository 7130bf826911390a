#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The bases of a host, all in one call."""

from __future__ import annotations

DOCUMENTATION = r"""
module: basejails
short_description: Whole FreeBSD systems that jails are mounted, cloned or copied from, all in one call
version_added: 0.1.0
description:
  - Makes, updates and removes bases, by the same engine as M(cellblock.jails.basejail). The host is read once, in a number
    of commands that does not grow with the bases.
  - What is wrong with one of them is refused before anything is touched. One that fails on the way is undone, and the
    others are done.
author:
  - cellblock.jails contributors (@cellblock)
extends_documentation_fragment:
  - cellblock.jails.base.list
  - cellblock.jails.attributes.storage
  - cellblock.jails.attributes
  - cellblock.jails.attributes.lock
seealso:
  - module: cellblock.jails.basejail
  - module: cellblock.jails.jails
"""

EXAMPLES = r"""
- name: Two releases as ZFS datasets, and one that nothing stands on any more
  cellblock.jails.basejails:
    storage_path: /jails
    storage_dataset: zroot/jails
    basejails:
      - name: 15.1-RELEASE
        state: latest
      - name: 14.4-RELEASE
      - name: 14.3-RELEASE
        state: absent

- name: A base, and a copy of it for jails of its own
  cellblock.jails.basejails:
    basejails:
      - name: r151
        url: /var/dist
      - name: copy
        source: directory
        directory: /usr/jails/basejails/r151
"""

RETURN = r"""
steps:
  description: The steps that were taken, or would be in check mode, in words, each with its base.
  returned: always
  type: list
  elements: str
  sample:
    - "r151: fetch sets base of /var/dist, checked against its MANIFEST"
    - "r151: make base r151 of sets base of /var/dist at /usr/jails/basejails/r151"
basejails:
  description: The bases by name, as they are after the run; in check mode, as they are now.
  returned: always
  type: dict
  contains:
    changed:
      description: Whether anything was done for it.
      type: bool
      sample: true
    name:
      description: Its name.
      type: str
      sample: 15.1-RELEASE
    path:
      description: Where it stands.
      type: str
      sample: /jails/basejails/15.1-RELEASE
    dataset:
      description: Its dataset, V(null) on a plain directory.
      type: str
      sample: zroot/jails/basejails/15.1-RELEASE
    snapshot:
      description: Its newest snapshot, that jails are cloned from.
      type: str
      sample: zroot/jails/basejails/15.1-RELEASE@15.1-RELEASE-p1
    version:
      description: Its patch level, see freebsd-version(1). V(null) while it is not there.
      type: str
      sample: 15.1-RELEASE-p1
    kind:
      description: What it was made of - C(sets), C(src), C(pkgbase), C(directory) or C(adopted).
      type: str
      sample: sets
    size:
      description: Bytes that its dataset uses.
      type: int
      sample: 513802240
failures:
  description: The bases that failed, each with the reason in the tool's own words. The others were done.
  returned: on failure
  type: dict
  sample: {"14.4-RELEASE": "base 14.4-RELEASE: its dataset is empty or not mounted. Mount it, see 'zfs mount'."}
"""

from typing import List

from ansible_collections.cellblock.jails.plugins.module_utils.bases import every
from ansible_collections.cellblock.jails.plugins.module_utils.bases.options import BASE
from ansible_collections.cellblock.jails.plugins.module_utils.engine.door import LOCK_OPTION, serve
from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.engine.module import Module
from ansible_collections.cellblock.jails.plugins.module_utils.engine.options import STORAGE_OPTIONS
from ansible_collections.cellblock.jails.plugins.module_utils.engine.plan import Plan


def main() -> None:
    """The door."""
    bases = {"type": "list", "elements": "dict", "default": [], "options": BASE}
    module = Module(argument_spec={"basejails": bases, **STORAGE_OPTIONS, **LOCK_OPTION}, supports_check_mode=True)
    made: List[Plan] = []

    def planner(host: Host) -> Plan:
        made.append(every.plan(host, every.bases_from(module.params), module.check_mode))
        return made[0]

    serve(module, planner, verify=lambda host, failed: every.verify(host, every.bases_from(module.params), made[0], failed))


if __name__ == "__main__":
    main()
