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
  - A replica is a dataset below C(replicas:HOST) of the other host's O(storage_dataset). It is read-only and mounted nowhere. What is new
    since the last snapshot that both have is sent, from host to host, by a key that can do nothing but receive it.
  - M(cellblock.jails.jail_info) tells how far each replica of a jail is behind.
author:
  - cellblock.jails contributors (@cellblock)
extends_documentation_fragment:
  - cellblock.jails.attributes
  - cellblock.jails.attributes.lock
options:
  name:
    description: The jail.
    type: str
    required: true
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
  there:
    description: RV(replica) of V(open) on the other host, for V(begin) and V(send).
    type: dict
    default: {}
  keys:
    description: The public keys that V(begin) made, for V(allow).
    type: dict
    default: {}
  origin:
    description: The host that the replica is of, as it calls itself; told by O(offer) where that is given.
    type: str
    default: ""
  address:
    description: The other host as the jail's host reaches it by ssh.
    type: str
    default: ""
  port:
    description: The port of ssh there.
    type: int
    default: 22
  limit:
    description: The most bytes that are sent in a second, such as V(50M).
    type: str
  storage_path:
    description: The directory of the jails on this host.
    type: path
    default: /usr/jails
  storage_dataset:
    description: The dataset that is mounted there. Replicas need one on both hosts.
    type: str
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
from ansible_collections.cellblock.jails.plugins.module_utils.engine.plan import Plan
from ansible_collections.cellblock.jails.plugins.module_utils.moves.phases import OF_REPLICAS, replica


def main() -> None:
    """The door."""
    spec: Dict[str, Any] = {
        "name": {"type": "str", "required": True},
        "phase": {"type": "str", "required": True, "choices": list(OF_REPLICAS)},
        "offer": {"type": "dict"},
        "there": {"type": "dict", "default": {}},
        "keys": {"type": "dict", "default": {}, "no_log": False},
        "origin": {"type": "str", "default": ""},
        "address": {"type": "str", "default": ""},
        "port": {"type": "int", "default": 22},
        "limit": {"type": "str"},
        "storage_path": {"type": "path", "default": "/usr/jails"},
        "storage_dataset": {"type": "str"},
        **LOCK_OPTION,
    }
    module = Module(argument_spec=spec, supports_check_mode=True)

    def planner(host: Host) -> Plan:
        return replica(host, module.params)

    serve(module, planner)


if __name__ == "__main__":
    main()
