#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A base for jails."""

from __future__ import annotations

DOCUMENTATION = r"""
module: basejail
short_description: A whole FreeBSD system that jails are mounted, cloned or copied from
version_added: 0.1.0
description:
  - Makes a base at C(STORAGE_PATH/basejails/NAME) from a release's sets, from C(/usr/src), from packages of the base
    system, or from an existing directory; brings it to its newest patch level; removes it.
  - A base grows under another name and is renamed when it is whole, so that what stands under its name is never half of
    one. A run that was killed is finished by the next.
  - With O(storage_dataset) the base is a dataset with a snapshot per patch level, named after it, such as
    C(zroot/jails/basejails/15.1-RELEASE@15.1-RELEASE-p1).
author:
  - cellblock.jails contributors (@cellblock)
extends_documentation_fragment:
  - cellblock.jails.base
  - cellblock.jails.attributes.storage
  - cellblock.jails.attributes
  - cellblock.jails.attributes.lock
seealso:
  - module: cellblock.jails.jails
  - module: cellblock.jails.host_storage
  - name: freebsd-update(8)
    description: FreeBSD's manual page of binary updates.
    link: https://man.freebsd.org/cgi/man.cgi?query=freebsd-update&sektion=8
"""

EXAMPLES = r"""
- name: A base on a plain directory, from FreeBSD's own server
  cellblock.jails.basejail:
    name: 15.1-RELEASE

- name: The same as a ZFS dataset, always at the newest patch level
  cellblock.jails.basejail:
    name: 15.1-RELEASE
    state: latest
    storage_path: /jails
    storage_dataset: zroot/jails

- name: From sets that are on the host already, with lib32, and the MANIFEST pinned
  cellblock.jails.basejail:
    name: r151
    url: /var/dist
    sets: [base, lib32]
    manifest_sha256: ee832a782de7b45cc85c154aa8775330cf87c5af66f52a061de4d5f527adf6e0

- name: From what was built in /usr/src
  cellblock.jails.basejail:
    name: world
    source: src
    make_args: [-j4]

- name: From packages of the base system
  cellblock.jails.basejail:
    name: minimal
    source: pkgbase
    release: 15.1-RELEASE
    packages: [FreeBSD-set-minimal-jail, FreeBSD-ssh]

- name: Take a dataset that is there already as a base
  cellblock.jails.basejail:
    name: old
    source: directory
    path: /jails/r151
    storage_path: /jails
    storage_dataset: zroot

- name: Remove a base that nothing stands on
  cellblock.jails.basejail:
    name: 14.3-RELEASE
    state: absent
"""

RETURN = r"""
steps:
  description: The steps that were taken, or would be in check mode, in words.
  returned: always
  type: list
  elements: str
  sample:
    - fetch sets base of /var/dist, checked against its MANIFEST
    - make base r151 of sets base of /var/dist at /usr/jails/basejails/r151
base:
  description: The base as it is after the run; in check mode, as it is now.
  returned: success
  type: dict
  contains:
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
      sample: 94140928
"""

from typing import List

from ansible_collections.cellblock.jails.plugins.module_utils.bases import planning as basejail
from ansible_collections.cellblock.jails.plugins.module_utils.bases.base import Base
from ansible_collections.cellblock.jails.plugins.module_utils.bases.options import BASE
from ansible_collections.cellblock.jails.plugins.module_utils.engine.door import LOCK_OPTION, serve
from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.engine.module import Module
from ansible_collections.cellblock.jails.plugins.module_utils.engine.options import STORAGE_OPTIONS
from ansible_collections.cellblock.jails.plugins.module_utils.engine.plan import Plan


def main() -> None:
    """The door."""
    module = Module(argument_spec={**BASE, **STORAGE_OPTIONS, **LOCK_OPTION}, supports_check_mode=True)
    made: List[Plan] = []

    def planner(host: Host) -> Plan:
        made.append(basejail.plan(host, Base.from_options(module.params), module.check_mode))
        return made[0]

    serve(module, planner, verify=lambda host, failed: basejail.verify(host, Base.from_options(module.params), made[0]))


if __name__ == "__main__":
    main()
