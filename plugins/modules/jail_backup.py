#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Backups of jails."""

from __future__ import annotations

DOCUMENTATION = r"""
module: jail_backup
short_description: Back up the jails of a host into sets that need nothing of it
version_added: 0.2.0
description:
  - Makes a set of each jail, all of them in one call. A set is a directory C(DESTINATION/JAIL/STAMP) with the jail's files as
    streams and C(manifest.json), which has all that another host needs to make the jail again - its definition, limits,
    networks, rulesets, base and packages, and of each stream its size and digest.
  - A set is there when it is whole, and not before - every command of every stream answered 0, what was written is on the
    disk and has the digest that was sent, and its size is what was expected. What fails leaves no set, and what a run that
    was killed left the next one takes away.
  - A jail on ZFS is sent from a snapshot while it runs. One in a plain directory is stopped for the time of its archive.
  - Sets are for root alone, directories 0700 and files 0600. The hashes of passwords are in them, as in the jail; encrypt
    what leaves the host.
  - Which sets stay is said by O(keep). The last one always does, and what another one builds on.
author:
  - cellblock.jails contributors (@cellblock)
options:
  jails:
    description:
      - The jails, each by its name, or as a dictionary of C(name) and any of O(method), O(consistent), O(before) and O(after) for
        it alone. All jails of this collection by default.
    type: list
    elements: raw
  destination:
    description:
      - Where the sets are, as one of C(path), C(dataset) and C(command).
    type: dict
    required: true
    suboptions:
      path:
        description:
          - A directory. It has to be there, so that nothing is written where a disk is not mounted.
        type: path
      dataset:
        description:
          - A dataset of ZFS, mounted. Streams are received below it, read-only and mounted nowhere; each set is a snapshot
            there, and stands by itself. The manifests are in the dataset.
        type: str
      host:
        description:
          - Another host that has the directory or the dataset, as ssh(1) is given it, such as V(root@backup.example.org).
            The jail host's root needs a key for it, and its key in C(known_hosts). Streams go from host to host.
        type: str
      port:
        description: The port of its ssh server.
        type: int
      identity_file:
        description: The key's file on the jail host.
        type: path
      command:
        description:
          - A command that takes a stream on its input, as a list of arguments; no shell reads it. C({jail}), C({set}) and
            C({stream}) stand for the names.
          - Any program that stores will do, such as restic or borg. The manifests are kept on the jail host too, below
            C(/var/db/cellblock/backups), and find the streams.
        type: list
        elements: str
      read:
        description: The command that gives such a stream on its output; a restore uses it. Required with C(command).
        type: list
        elements: str
      remove:
        description: The command that takes such a stream away; required with C(command) where O(keep) is given.
        type: list
        elements: str
  method:
    description:
      - V(zfs) for streams of zfs(8), V(tar) for archives that any file system can be restored to.
      - V(auto) for V(zfs) where the jail's root is a dataset, else V(tar).
    type: str
    choices: [auto, zfs, tar]
    default: auto
  consistent:
    description:
      - V(snapshot) takes the state of all datasets of the jail at one moment, while it runs.
      - V(stopped) stops the jail, and those that depend on it, until its state is taken.
      - V(auto) for V(snapshot) where there are datasets, else V(stopped).
    type: str
    choices: [auto, snapshot, stopped]
    default: auto
  before:
    description:
      - Commands to run inside, before the state is taken, such as one that lets a database write all it has. No shell reads
        them. When one fails there is no set.
      - A jail that does not run runs none.
    type: list
    elements: raw
    default: []
  after:
    description:
      - Commands to run inside when the state was taken, and also when that failed.
    type: list
    elements: raw
    default: []
  incremental:
    description:
      - Whether a set has only what changed since the last one, where this host still has that one's snapshot or list.
    type: bool
    default: true
  increments:
    description:
      - How many sets may follow each other before there is a full one again. A dataset as destination needs none.
    type: int
    default: 6
  source:
    description:
      - What the jail host keeps for the next increment, V(snapshot), held and with its space, or V(bookmark), which has none.
    type: str
    choices: [snapshot, bookmark]
    default: snapshot
  compress:
    description:
      - How files are compressed. ZFS sends what is compressed on the disk as it is. V(auto) for V(none) in a dataset, else V(zstd).
    type: str
    choices: [auto, none, zstd, gzip, xz]
    default: auto
  compress_level:
    description: The level, as the program numbers it.
    type: int
  encrypt:
    description:
      - A filter that encrypts files, after they were compressed. With the public key of a recipient the jail host cannot
        read its own sets. The manifest is not encrypted.
    type: dict
    suboptions:
      command:
        description: The command, from input to output, as a list of arguments.
        type: list
        elements: str
        required: true
      decrypt:
        description: The command that undoes it, for the restore; it is written into the manifest, so name a key's file and no key.
        type: list
        elements: str
        required: true
      suffix:
        description: What the files' names end in.
        type: str
        default: enc
  raw:
    description:
      - Send encrypted datasets as they are, so that who keeps the set cannot read it. A chain of increments is raw or it is not.
    type: bool
    default: false
  limit:
    description: How many bytes in a second a stream may have, such as V(20M).
    type: str
  keep:
    description:
      - Which sets of a jail stay; a set stays when any of these keeps it. All stay where nothing is given.
      - Only sets of the jails that are backed up are looked at, and only those that have a manifest of ours.
    type: dict
    suboptions:
      last:
        description: So many of the newest.
        type: int
      within:
        description: Those that are at most so much older than the newest, such as V(36h), V(30d), V(8w) or V(1y).
        type: str
      hourly:
        description: The last set of each of the last hours that have one, so many.
        type: int
      daily:
        description: Of days.
        type: int
      weekly:
        description: Of weeks, which begin on Monday.
        type: int
      monthly:
        description: Of months.
        type: int
      yearly:
        description: Of years.
        type: int
extends_documentation_fragment:
  - cellblock.jails.attributes
  - cellblock.jails.attributes.lock
  - cellblock.jails.attributes.storage
  - cellblock.jails.attributes.parallel
seealso:
  - module: cellblock.jails.jail_info
  - module: cellblock.jails.jails
"""

EXAMPLES = r"""
- name: All jails of this host to a disk of its own, thinned out over a year
  cellblock.jails.jail_backup:
    destination:
      path: /backup
    keep:
      daily: 7
      weekly: 5
      monthly: 12
    storage_path: /jails
    storage_dataset: zroot/jails

- name: To another host's pool, at night with half of the line
  cellblock.jails.jail_backup:
    destination:
      host: root@backup.example.org
      dataset: tank/backups
    limit: 50M
    storage_path: /jails
    storage_dataset: zroot/jails

- name: A database that is told to write all it has, for a key that only the vault has
  cellblock.jails.jail_backup:
    jails:
      - name: db
        before: [service postgresql stop]
        after: [service postgresql start]
    destination:
      path: /backup
    encrypt:
      command: [age, -r, age1qyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqs]
      decrypt: [age, -d, -i, /root/backup.key]
      suffix: age

- name: Through restic
  cellblock.jails.jail_backup:
    destination:
      command: [restic, backup, --quiet, --stdin, --stdin-filename, "{jail}/{set}/{stream}"]
      read: [restic, dump, latest, "{jail}/{set}/{stream}"]

- name: Only what would be made, and what would go
  cellblock.jails.jail_backup:
    destination:
      path: /backup
    keep:
      last: 3
  check_mode: true
  register: backup
"""

RETURN = r"""
steps:
  description: The steps that were taken, or would be in check mode, in words.
  returned: always
  type: list
  elements: str
  sample: ["web: begin set 20261127T073217Z: full set in /backup", "web: send zroot/jails/web", "web: make it whole: set 20261127T073217Z with its manifest"]
destination:
  description: Where the sets are.
  returned: success
  type: str
  sample: root@backup.example.org:tank/backups
jails:
  description: What became of each jail, by name.
  returned: success
  type: dict
  contains:
    changed: {description: Whether a set was to be made., type: bool, sample: true}
    outcome: {description: "C(done) or C(failed).", type: str, sample: done}
    refused: {description: Why it was not touched., type: str, sample: "jail web: its root is no dataset. Use method: tar, or auto."}
    set: {description: The set's name., type: str, sample: 20261127T073217Z}
    method: {description: "C(zfs) or C(tar).", type: str, sample: zfs}
    increment: {description: Whether only what changed was sent., type: bool, sample: true}
    parent: {description: The set that it cannot be restored without., type: str, sample: 20261126T073215Z}
    files: {description: Its streams., type: list, elements: str, sample: [root.zfs.zst]}
    size: {description: Bytes of the files., type: int, sample: 17825792}
    plain: {description: Bytes before the filters., type: int, sample: 44040192}
    estimate: {description: Bytes that were expected before the filters., type: int, sample: 43921408}
    down: {description: How many seconds the jail was down., type: float, sample: 0.0}
    stops: {description: The jails that are down meanwhile., type: list, elements: str, sample: []}
    kept: {description: The sets that stay and why., type: dict, sample: {20261127T073217Z: [the last one, daily 1 of 7]}}
    removed: {description: The sets that go., type: list, elements: str, sample: [20261120T073216Z]}
bases:
  description: The sets of the bases that thin jails stand on, by the path of the base. Each is made once, and is no jail's.
  returned: success
  type: dict
  sample: {/jails/basejails/15.1-RELEASE: {set: 20261127T073217Z, files: [root.tar.zst]}}
failures:
  description: The jails that failed, each with the reason. The others were done.
  returned: on failure
  type: dict
  sample: {web: "jail web: 'zfs send ...' failed: ..."}
"""

from typing import Any, Dict, List, Mapping

from ansible_collections.cellblock.jails.plugins.module_utils.backups.model import DESTINATION, ENCRYPT, KEEP, Request
from ansible_collections.cellblock.jails.plugins.module_utils.backups.planning import Planner
from ansible_collections.cellblock.jails.plugins.module_utils.engine.door import LOCK_OPTION, serve
from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.engine.module import Module
from ansible_collections.cellblock.jails.plugins.module_utils.engine.options import PARALLEL_OPTION, STORAGE_OPTIONS
from ansible_collections.cellblock.jails.plugins.module_utils.engine.plan import Plan
from ansible_collections.cellblock.jails.plugins.module_utils.errors import CellblockError

LOCK = "/var/run/cellblock-backup.lock"


def main() -> None:
    """The door."""
    spec: Dict[str, Any] = {
        "jails": {"type": "list", "elements": "raw"},
        "destination": {"type": "dict", "required": True, "options": DESTINATION},
        "method": {"type": "str", "choices": ["auto", "zfs", "tar"], "default": "auto"},
        "consistent": {"type": "str", "choices": ["auto", "snapshot", "stopped"], "default": "auto"},
        "before": {"type": "list", "elements": "raw", "default": []},
        "after": {"type": "list", "elements": "raw", "default": []},
        "incremental": {"type": "bool", "default": True},
        "increments": {"type": "int", "default": 6},
        "source": {"type": "str", "choices": ["snapshot", "bookmark"], "default": "snapshot"},
        "compress": {"type": "str", "choices": ["auto", "none", "zstd", "gzip", "xz"], "default": "auto"},
        "compress_level": {"type": "int"},
        "encrypt": {"type": "dict", "options": ENCRYPT},
        "raw": {"type": "bool", "default": False},
        "limit": {"type": "str"},
        "keep": {"type": "dict", "options": KEEP},
        **STORAGE_OPTIONS,
        **PARALLEL_OPTION,
        **LOCK_OPTION,
    }
    module = Module(argument_spec=spec, supports_check_mode=True)
    made: List[Planner] = []

    def planner(host: Host) -> Plan:
        made.append(Planner(host, Request.from_options(module.params)))
        return made[0].plan()

    def ended(failed: Mapping[str, CellblockError]) -> None:
        made[0].finished(failed)

    serve(module, planner, module.params["parallel"], alone=LOCK, ended=ended)


if __name__ == "__main__":
    main()
