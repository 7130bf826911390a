#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restores of jails."""

from __future__ import annotations

DOCUMENTATION = r"""
module: jail_restore
short_description: Restore jails of a host from their backups
version_added: 0.2.0
description:
  - Makes jails of the sets that M(cellblock.jails.jail_backup) made, on this host or another, under the same name or another.
    Nothing of the old host is needed - a set has the definition and the limits, and beside the sets of a thin jail there is one of its base.
  - The files of a set are digested before anything is touched. A jail that stands in the place is stopped and moved aside, and comes
    back when the restored one does not start or is not well. A run that was killed is gone on with by the next.
  - What is in a set was a jail's, and so is an enemy's. It comes into a new and empty place only, and no link in it is followed. Of the
    commands that a manifest names only decompressors are run, and of ZFS properties only harmless ones are set.
author:
  - cellblock.jails contributors (@cellblock)
options:
  source:
    description:
      - Where the sets are - a directory of this host, or a dictionary as O(cellblock.jails.jail_backup#module:destination) takes it,
        for another host, a dataset, or a command that reads them.
    type: raw
    required: true
  jails:
    description:
      - The jails, each by its name, or as a dictionary of C(name), C(as), C(declare) and any of O(set), O(start) and O(gate) for it alone.
      - C(as) is another name for it. Then it is given an identity of its own, see O(new_identity).
      - C(declare) has options of M(cellblock.jails.jail) that it is to have otherwise than in the set, such as C(ip4) or C(networks).
      - By default with O(state=verified), all that have sets there.
    type: list
    elements: raw
  state:
    description:
      - V(restored) makes the jails. Those that were restored from the same set before are left alone, unless O(again) is set.
      - V(verified) makes each under a name of its own, without a network, waits until it is well, compares it with its manifest, and
        removes it. The result is noted in the manifest and in the jail's mark, see C(last_proof) of M(cellblock.jails.jail_info).
    type: str
    choices: [restored, verified]
    default: restored
  set:
    description:
      - V(latest), the stamp of a set such as V(20261127T073217Z), or a time such as V(2026-11-27 07:32) for the last set that is not
        younger. UTC where it does not say.
    type: str
    default: latest
  start:
    description:
      - Whether it is to run. When it does not, it counts as restored as soon as it is made.
    type: bool
    default: true
  again:
    description:
      - Restore it once more from the same set; what it is now goes when the restored one is well.
    type: bool
    default: false
  new_identity:
    description:
      - Whether it gets new host keys and identifiers, as O(cellblock.jails.jail#module:copy_of) does. Under another name by default.
    type: bool
  decrypt:
    description:
      - A command and its words that reads streams which were encrypted, such as V([age, -d, -i, /root/backup.key]).
    type: list
    elements: str
  key_location:
    description:
      - Where the key is of a dataset that was sent raw, such as V(file:///root/jails.key). It is noted there, so that the next boot
        mounts the dataset too.
    type: str
  gate:
    description:
      - What must hold of a jail that was started, see O(cellblock.jails.jail_upgrade#module:gate). By default that it runs.
    type: dict
  files:
    description:
      - Restore only these paths of one jail, into the directory O(to).
    type: list
    elements: str
  to:
    description:
      - A directory that is not there yet, or is empty. It is made for root alone.
    type: path
  older_than:
    description:
      - With O(state=verified), leave those sets alone that passed their test since, such as V(7d). Hours, days and weeks are known.
    type: str
    default: 0h
extends_documentation_fragment:
  - cellblock.jails.attributes
  - cellblock.jails.attributes.lock
  - cellblock.jails.attributes.storage
  - cellblock.jails.attributes.parallel
seealso:
  - module: cellblock.jails.jail_backup
  - module: cellblock.jails.jail_info
"""

EXAMPLES = r"""
- name: A jail as it was in its last backup
  cellblock.jails.jail_restore:
    source: /backup/host1
    jails: [web]
    storage_path: /jails
    storage_dataset: zroot/jails

- name: As it was in the evening, beside the one that runs, to look at
  cellblock.jails.jail_restore:
    source: /backup/host1
    set: "2026-11-26 20:00"
    jails:
      - name: web
        as: web-before
        declare: {ip4: ["em0|10.0.0.99/24"]}

- name: Two files into a directory
  cellblock.jails.jail_restore:
    source: /backup/host1
    jails: [web]
    files: [/usr/local/etc/nginx/nginx.conf, /etc/rc.conf]
    to: /root/web-files

- name: Weekly, whether the last backup of each jail can be restored
  cellblock.jails.jail_restore:
    source: /backup/host1
    state: verified
    older_than: 6d
"""

RETURN = r"""
steps:
  description: The steps that were taken, or would be in check mode, in words.
  returned: always
  type: list
  elements: str
  sample: ["web: stop", "web: move zroot/jails/web aside to zroot/jails/web:before-restore", "web: start"]
jails:
  description: What became of each jail, by name.
  returned: success
  type: dict
  contains:
    changed: {description: Whether anything was done for it., type: bool, sample: true}
    did: {description: "What was done, in a few words.", type: str, sample: restored from set 20261127T073217Z}
    set: {description: The set., type: str, sample: 20261127T073217Z}
    of: {description: The jail that the set is of., type: str, sample: web}
    replaced: {description: Whether it took the place of another., type: bool, sample: true}
failures:
  description: The jails that failed, each with the reason.
  returned: on failure
  type: dict
  sample: {web: "jail web: is not well after 60 s: it does not run"}
"""

from typing import Any, Dict

from ansible_collections.cellblock.jails.plugins.module_utils.backups.restore_plan import Planner
from ansible_collections.cellblock.jails.plugins.module_utils.backups.wishes import Request
from ansible_collections.cellblock.jails.plugins.module_utils.engine.door import LOCK_OPTION, serve
from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.engine.module import Module
from ansible_collections.cellblock.jails.plugins.module_utils.engine.options import PARALLEL_OPTION, STORAGE_OPTIONS
from ansible_collections.cellblock.jails.plugins.module_utils.engine.plan import Plan


def main() -> None:
    """The door."""
    spec: Dict[str, Any] = {
        "source": {"type": "raw", "required": True},
        "jails": {"type": "list", "elements": "raw"},
        "state": {"type": "str", "choices": ["restored", "verified"], "default": "restored"},
        "set": {"type": "str", "default": "latest"},
        "start": {"type": "bool", "default": True},
        "again": {"type": "bool", "default": False},
        "new_identity": {"type": "bool"},
        "decrypt": {"type": "list", "elements": "str"},
        "key_location": {"type": "str", "no_log": False},
        "gate": {"type": "dict"},
        "files": {"type": "list", "elements": "str"},
        "to": {"type": "path"},
        "older_than": {"type": "str", "default": "0h"},
        **STORAGE_OPTIONS,
        **PARALLEL_OPTION,
        **LOCK_OPTION,
    }
    module = Module(argument_spec=spec, supports_check_mode=True)

    def planner(host: Host) -> Plan:
        request = Request.from_options(module.params, module.check_mode)
        if request.files:
            from ansible_collections.cellblock.jails.plugins.module_utils.backups import side_files

            return side_files.plan(host, request)
        if request.state == "verified":
            from ansible_collections.cellblock.jails.plugins.module_utils.backups.verifying import Verifier

            return Verifier(host, request).plan()
        return Planner(host, request).plan()

    serve(module, planner, module.params["parallel"])


if __name__ == "__main__":
    main()
