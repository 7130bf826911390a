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
options:
  name:
    description:
      - The base's name, as the O(cellblock.jails.jails#module:jails[].base) of jails names it. A release's name is a
        good one.
    type: str
    required: true
  state:
    description:
      - V(present) makes the base when it is not there.
      - V(latest) also brings it to its newest patch level - what was made of sets, or is of unknown origin, by
        C(freebsd-update(8\)), what was made of packages by C(pkg(8\)), what was made of source by installing again when
        the source is of another patch level. An update that fails or is killed is undone. The servers are asked in
        check mode too.
      - An updated dataset shows at once in running thin jails. On a plain directory they keep the tree that they were
        started with until they restart.
      - V(absent) removes the base. It refuses while thin or cloned jails stand on it, and names them. A base that was
        adopted stays, and is only forgotten.
    type: str
    choices: [present, latest, absent]
    default: present
  storage_path:
    description:
      - The directory that jails and bases stand in.
    type: path
    default: /usr/jails
  storage_dataset:
    description:
      - The ZFS dataset that is mounted at O(storage_path). The base is a dataset below it then.
    type: str
  path:
    description:
      - Where the base stands, when it is not C(STORAGE_PATH/basejails/NAME). Jails then name it by this path.
    type: path
  source:
    description:
      - What a new base is made of. V(sets) by default.
      - V(sets) extracts the sets of a release, each checked against the release's C(MANIFEST).
      - V(src) installs from O(src_path) and its built objects, see C(build(7\)).
      - V(pkgbase) installs packages of the base system, FreeBSD 15.0 and later.
      - V(directory) copies O(directory); without it, it adopts what stands at O(path) as it is.
    type: str
    choices: [sets, src, pkgbase, directory]
  release:
    description:
      - The release, such as V(15.1-RELEASE). The base's name when that is one, else the host's release.
    type: str
  arch:
    description:
      - The architecture, such as V(amd64) or V(arm64/aarch64). The host's by default.
    type: str
  url:
    description:
      - Where the sets and their C(MANIFEST) are, as a URL (C(https://), C(http://), C(ftp://), C(file://)) or a
        directory of the host. The release's directory at download.freebsd.org by default.
      - For O(source=pkgbase), the repository. The release's at pkg.FreeBSD.org by default.
      - Proxies and passwords are taken from the task's C(environment), see C(fetch(3\)).
    type: str
  sets:
    description:
      - The sets that are extracted, in this order.
    type: list
    elements: str
    default: [base]
  manifest_sha256:
    description:
      - The sha256 sum that C(MANIFEST) must have. FreeBSD does not sign it; its announcements hold the sum.
    type: str
  retries:
    description:
      - How many times a failed download is tried again. It goes on where it ended.
    type: int
    default: 3
  timeout:
    description:
      - How many seconds a download may stall.
    type: int
    default: 60
  cache_path:
    description:
      - Where downloads are kept.
    type: path
    default: /var/cache/cellblock
  src_path:
    description:
      - The source tree for O(source=src).
    type: path
    default: /usr/src
  make_args:
    description:
      - Arguments for C(make(1\)), such as V(TARGET=arm64) or V(-j8).
    type: list
    elements: str
    default: []
  make_world:
    description:
      - Builds the source too, by C(make world), which takes hours.
    type: bool
    default: false
  packages:
    description:
      - The packages for O(source=pkgbase).
    type: list
    elements: str
    default: [FreeBSD-set-minimal-jail]
  fingerprints:
    description:
      - The directory of the host with the keys of the package repository. C(/usr/share/keys/pkgbase-MAJOR) by default.
        Empty for a repository that is not signed.
    type: str
  directory:
    description:
      - The root of a FreeBSD system on the host, which O(source=directory) copies.
    type: path
extends_documentation_fragment:
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
    path:
      description: Where it stands.
      type: str
    dataset:
      description: Its dataset, V(null) on a plain directory.
      type: str
    snapshot:
      description: Its newest snapshot, that jails are cloned from.
      type: str
    version:
      description: Its patch level, see C(freebsd-version(1\)). V(null) while it is not there.
      type: str
      sample: 15.1-RELEASE-p1
    kind:
      description: What it was made of - C(sets), C(src), C(pkgbase), C(directory) or C(adopted).
      type: str
    size:
      description: Bytes that its dataset uses.
      type: int
"""

from typing import Any, Dict, List

from ansible_collections.cellblock.jails.plugins.module_utils.bases import planning as basejail
from ansible_collections.cellblock.jails.plugins.module_utils.bases.base import Base
from ansible_collections.cellblock.jails.plugins.module_utils.engine.door import LOCK_OPTION, serve
from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.engine.module import Module
from ansible_collections.cellblock.jails.plugins.module_utils.engine.plan import Plan


def main() -> None:
    """The door."""
    spec: Dict[str, Any] = {
        "name": {"type": "str", "required": True},
        "state": {"type": "str", "choices": ["present", "latest", "absent"], "default": "present"},
        "storage_path": {"type": "path", "default": "/usr/jails"},
        "storage_dataset": {"type": "str"},
        "path": {"type": "path"},
        "source": {"type": "str", "choices": ["sets", "src", "pkgbase", "directory"]},
        "release": {"type": "str"},
        "arch": {"type": "str"},
        "url": {"type": "str"},
        "sets": {"type": "list", "elements": "str", "default": ["base"]},
        "manifest_sha256": {"type": "str"},
        "retries": {"type": "int", "default": 3},
        "timeout": {"type": "int", "default": 60},
        "cache_path": {"type": "path", "default": "/var/cache/cellblock"},
        "src_path": {"type": "path", "default": "/usr/src"},
        "make_args": {"type": "list", "elements": "str", "default": []},
        "make_world": {"type": "bool", "default": False},
        "packages": {"type": "list", "elements": "str", "default": ["FreeBSD-set-minimal-jail"]},
        "fingerprints": {"type": "str"},
        "directory": {"type": "path"},
        **LOCK_OPTION,
    }
    module = Module(argument_spec=spec, supports_check_mode=True)
    made: List[Plan] = []

    def planner(host: Host) -> Plan:
        made.append(basejail.plan(host, Base.from_options(module.params), module.check_mode))
        return made[0]

    serve(module, planner, verify=lambda host, failed: basejail.verify(host, Base.from_options(module.params), made[0]))


if __name__ == "__main__":
    main()
