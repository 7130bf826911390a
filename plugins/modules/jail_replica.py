#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One phase of keeping a replica of a jail on another host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: jail_replica
short_description: One phase of keeping a replica of a jail on another host
version_added: 0.2.0
description:
  - The playbook C(cellblock.jails.replicate) keeps replicas of jails up to date, on a schedule; C(cellblock.jails.promote) lets one take the
    jail's place when its host is lost, see C(docs/move.md).
  - A replica is a dataset below C(replicas:HOST) of the other host's O(storage_dataset), which both hosts need. It is read-only and
    mounted nowhere. What is new since the last snapshot that both have is sent, from host to host, by a key that can do nothing but receive it.
  - M(cellblock.jails.jail_info) tells how far each replica of a jail is behind.
author:
  - cellblock.jails contributors (@cellblock)
extends_documentation_fragment:
  - cellblock.jails.attributes
  - cellblock.jails.attributes.lock
  - cellblock.jails.moves
  - cellblock.jails.attributes.storage
options:
  phase:
    description:
      - Where the jail is, V(begin) makes keys, V(send) sends what is new.
      - On the other host, V(open) makes room and tells what it has, V(allow) lets the keys in, V(close) takes away keys and older snapshots,
        V(promote) lets the replica stand where a jail of this host would, for M(cellblock.jails.jail_move) to start.
    type: str
    required: true
    choices: [begin, send, open, allow, close, promote]
  offer:
    description: What the phase C(offer) of M(cellblock.jails.jail_move) told as C(move).
    type: dict
  origin:
    description: The host that the replica is of, as it calls itself; told by O(offer) where that is given.
    type: str
    default: ""
seealso:
  - module: cellblock.jails.jail_move
  - module: cellblock.jails.jail_info
"""

EXAMPLES = r"""
- name: What would be lost if the replica of a jail took its place
  cellblock.jails.jail_replica:
    name: web
    phase: promote
    origin: host1.example.org
    storage_path: /jails
    storage_dataset: zroot/jails
  check_mode: true
"""

RETURN = r"""
steps:
  description: The steps that were taken, or would be in check mode, in words.
  returned: always
  type: list
  elements: str
  sample: ["web: let the replica of host1 take its place: all that was written after 20261127T090000Z is lost"]
replica:
  description: What the other side has to know.
  returned: success
  type: dict
  contains:
    at: {description: "When the replica was taken that takes the jail's place, in seconds since 1970.", type: int, sample: 1795770000}
    age: {description: How many seconds ago that was; what was written since is lost., type: int, sample: 900}
    bytes: {description: What was sent., type: int, sample: 18520}
    snapshot: {description: The snapshot that both hosts have now., type: str, sample: cellblock-replica-20261127T090000Z}
"""

from typing import Any, Dict

from ansible_collections.cellblock.jails.plugins.module_utils.engine.door import LOCK_OPTION, serve
from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.engine.module import Module
from ansible_collections.cellblock.jails.plugins.module_utils.engine.options import STORAGE_OPTIONS
from ansible_collections.cellblock.jails.plugins.module_utils.engine.plan import Plan
from ansible_collections.cellblock.jails.plugins.module_utils.moves.phases import BETWEEN_HOSTS, OF_REPLICAS, replica


def main() -> None:
    """The door."""
    spec: Dict[str, Any] = {
        **BETWEEN_HOSTS,
        "phase": {"type": "str", "required": True, "choices": list(OF_REPLICAS)},
        "offer": {"type": "dict"},
        "origin": {"type": "str", "default": ""},
        **STORAGE_OPTIONS,
        **LOCK_OPTION,
    }
    module = Module(argument_spec=spec, supports_check_mode=True)

    def planner(host: Host) -> Plan:
        return replica(host, module.params)

    serve(module, planner)


if __name__ == "__main__":
    main()
