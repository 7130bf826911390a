#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Upgrades of jails."""

from __future__ import annotations

DOCUMENTATION = r"""
module: jail_upgrade
short_description: Upgrade the jails of a host, each as a transaction
version_added: 0.2.0
description:
  - Brings jails to another base or release, all of them in one call. What can stop an upgrade is found before anything is
    touched; then what the jail is is kept, the jail stops, changes, and starts where nobody reaches it yet; and only when
    it is well it is opened. What fails before that is taken back, and says why.
  - A jail of a base is merged three ways, by the old base, the new one, and what the jail made of it. Nothing of the jail
    runs on the host for it. Accounts, groups, login classes, services and aliases are merged by key, and their databases
    made anew. A thin jail is merged where it has files of its own, and mounts the new base.
  - A jail of no base is upgraded where it stands, by freebsd-update(8), or by pkg(8) when its system is of packages.
  - A run that was killed is finished by the next, which goes on or takes back, and says which.
  - The module jails has to declare the new base from then on; it refuses the old one.
author:
  - cellblock.jails contributors (@cellblock)
options:
  jails:
    description:
      - The jails, each by its name, or as a dictionary of C(name) and any of O(to), O(merge), O(gate), O(packages) and
        O(rollback) for it alone. All jails of this collection that were made of a base by default.
    type: list
    elements: raw
  state:
    description:
      - V(upgraded) brings them to O(to).
      - V(rolled_back) takes the last upgrade of each back, as long as what it was is kept. What was written since is lost
        then; check mode says how much.
    type: str
    choices: [upgraded, rolled_back]
    default: upgraded
  to:
    description:
      - The new base, by its name or path, as basejail made it.
      - For a thick or existing jail, also a release such as V(15.2-RELEASE), when there is no base of this name.
      - V(latest) for the newest patch level - the newest base of the same release for thin and cloned jails.
    type: str
  merge:
    description:
      - Who is right where the jail and the new base both changed the same, by path; a directory stands for what is in it,
        V(/) for all. V(keep) for the jail, V(take) for the new base. Where lines can be merged they are in any case.
    type: dict
  gate:
    description:
      - What must hold of the jail before it is opened. By default, that it runs, and that something runs in it when
        something did before.
    type: dict
    suboptions:
      within:
        description: Within how many seconds.
        type: int
        default: 60
      times:
        description: How many times in a row.
        type: int
        default: 3
      every:
        description: How many seconds are between two times.
        type: float
        default: 0.5
      processes:
        description: Whether something must run in it.
        type: bool
      sockets:
        description: What must listen, such as V(tcp/80).
        type: list
        elements: str
        default: []
      services:
        description: What C(service NAME status) must find well.
        type: list
        elements: str
        default: []
      commands:
        description: What must answer 0 inside; no shell reads it.
        type: list
        elements: str
        default: []
      tcp:
        description: What must take a connection from the host, such as V(80), of its first address, or V(10.0.0.20:80).
        type: list
        elements: str
        default: []
      http:
        description: URLs that must answer the host.
        type: list
        elements: str
        default: []
  packages:
    description:
      - V(upgrade) also upgrades the packages inside, with nothing else of the jail running; all are installed again when
        the major version changes.
    type: str
    choices: [keep, upgrade]
    default: keep
  rollback:
    description:
      - V(keep) keeps what the jail is, as a snapshot of its datasets, or as a copy of its root beside it.
      - V(none) keeps nothing, then what fails cannot be taken back.
    type: str
    choices: [keep, none]
    default: keep
extends_documentation_fragment:
  - cellblock.jails.attributes
  - cellblock.jails.attributes.lock
  - cellblock.jails.attributes.storage
  - cellblock.jails.attributes.parallel
seealso:
  - module: cellblock.jails.basejail
  - module: cellblock.jails.jail_info
"""

EXAMPLES = r"""
- name: All jails of this host to a base that basejail made
  cellblock.jails.jail_upgrade:
    to: 15.2-RELEASE
    storage_path: /jails
    storage_dataset: zroot/jails

- name: One jail, with a conflict decided, and opened only when its server answers
  cellblock.jails.jail_upgrade:
    to: 15.2-RELEASE
    jails: [web]
    merge:
      /etc/ntp.conf: keep
    gate:
      services: [nginx]
      http: [http://10.0.0.20/]

- name: Only what would be merged, and what has to be decided
  cellblock.jails.jail_upgrade:
    to: 15.2-RELEASE
  check_mode: true
  register: upgrade

- name: Back to what it was
  cellblock.jails.jail_upgrade:
    jails: [web]
    state: rolled_back
"""

RETURN = r"""
steps:
  description: The steps that were taken, or would be in check mode, in words.
  returned: always
  type: list
  elements: str
  sample: ["web: stop", "web: merge 12 paths of 15.2-RELEASE into its root", "web: start, reached by nobody yet", "web: open"]
jails:
  description: What became of each jail, by name.
  returned: success
  type: dict
  contains:
    changed: {description: Whether anything was done for it., type: bool, sample: true}
    way: {description: "How: C(merge), C(freebsd-update) or C(pkg).", type: str, sample: merge}
    from: {description: What it stood on., type: str, sample: 15.1-RELEASE (15.1-RELEASE-p3)}
    to: {description: What it stands on., type: str, sample: 15.2-RELEASE}
    merged: {description: What was done at each path of its own., type: dict, sample: {/etc/group: merged, /etc/newsyslog.conf: new}}
    kept: {description: Paths where its own word stands against the new base., type: list, elements: str, sample: [/etc/motd.template]}
    conflicts:
      description: What has to be decided first.
      type: list
      elements: dict
      contains:
        path: {description: The path in the jail., type: str, sample: /etc/ntp.conf}
        why: {description: Why it cannot be merged., type: str, sample: both changed it}
        hunks: {description: Each place with its three sides., type: list, elements: str, sample: []}
    reinstall:
      description: The packages of a jail that comes to a new major version; O(packages=upgrade) installs them again.
      type: list
      elements: str
      sample: [nginx-1.26.2]
    space: {description: Bytes that are needed and free., type: dict, sample: {need: 17825792, free: 20189393408}}
    restarts: {description: The jails that are down meanwhile., type: list, elements: str, sample: [web]}
    resumed: {description: Whether a run that was cut off C(goes on) or is C(taken back)., type: str, sample: goes on}
    loses: {description: What a way back loses in bytes and since when., type: dict, sample: {bytes: 8192, since: 1795000000}}
    refused: {description: Why it was not touched., type: str, sample: "jail web: base 15.3-RELEASE is not there"}
    down: {description: How many seconds nobody reached it., type: float, sample: 4.2}
    outcome: {description: "C(done) or C(failed).", type: str, sample: done}
failures:
  description: The jails that failed, each with the reason. The others were done.
  returned: on failure
  type: dict
  sample: {web: "jail web: is not well after 60 s: service nginx is not well"}
"""

from typing import Any, Dict, List

from ansible_collections.cellblock.jails.plugins.module_utils.engine.door import LOCK_OPTION, serve
from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.engine.module import Module
from ansible_collections.cellblock.jails.plugins.module_utils.engine.options import PARALLEL_OPTION, STORAGE_OPTIONS
from ansible_collections.cellblock.jails.plugins.module_utils.engine.plan import Plan
from ansible_collections.cellblock.jails.plugins.module_utils.upgrades.model import GATE, Request
from ansible_collections.cellblock.jails.plugins.module_utils.upgrades.planning import Planner, finished


def main() -> None:
    """The door."""
    spec: Dict[str, Any] = {
        "jails": {"type": "list", "elements": "raw"},
        "state": {"type": "str", "choices": ["upgraded", "rolled_back"], "default": "upgraded"},
        "to": {"type": "str"},
        "merge": {"type": "dict"},
        "gate": {"type": "dict", "options": GATE},
        "packages": {"type": "str", "choices": ["keep", "upgrade"], "default": "keep"},
        "rollback": {"type": "str", "choices": ["keep", "none"], "default": "keep"},
        **STORAGE_OPTIONS,
        **PARALLEL_OPTION,
        **LOCK_OPTION,
    }
    module = Module(argument_spec=spec, supports_check_mode=True)
    made: List[Planner] = []

    def planner(host: Host) -> Plan:
        made.append(Planner(host, Request.from_options(module.params, module.check_mode)))
        return made[0].plan()

    serve(module, planner, module.params["parallel"], lambda host, failed: finished(made[0], failed))


if __name__ == "__main__":
    main()
