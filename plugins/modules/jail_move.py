#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One phase of a move of a jail from one host to another."""

from __future__ import annotations

DOCUMENTATION = r"""
module: jail_move
short_description: One phase of moving a jail to another host
version_added: 0.2.0
description:
  - A jail moves by the playbook C(cellblock.jails.move), which leads both hosts through the phases of this module, see C(docs/move.md).
  - Its data go from host to host, never through the control node, by a key that was made for this move, and that can do nothing on the
    target but receive this jail, for a day at most.
  - All that it wrote until it stopped arrives. From then on it cannot start on the source, and it starts on the target only then.
  - A phase done twice is done once, and a move that was cut off is finished by the same calls from their beginning.
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
      - On the source, V(offer) reads the jail and touches nothing, V(begin) makes keys, V(send) sends while it runs, V(stop) stops it for
        good, V(rest) sends what is left, V(gone) notes that it runs elsewhere, V(back) lets it stay here after all.
      - On the target, V(open) refuses what this host lacks and makes room, V(look) tells what
        has come, V(allow) lets the keys in, V(prune) takes away what the jail
        deleted meanwhile, V(place) compares what came and puts it in its place, V(start) defines and starts it and waits until it is well,
        V(demote) takes it away again, V(forget) gives the move up, V(close) takes away keys and snapshots.
    type: str
    required: true
    choices: [offer, begin, send, stop, rest, gone, back, open, look, allow, prune, place, start, demote, forget, close]
  offer:
    description: RV(move) of the phase V(offer), for all other phases but V(offer) itself; on the source it is read anew.
    type: dict
  identities:
    description: The identities of the last snapshots, which V(stop) told, for V(place).
    type: dict
    default: {}
  id:
    description: The move, as V(open) told.
    type: str
    default: ""
  options:
    description: Options of M(cellblock.jails.jail) that are other on the target, such as C(ip4).
    type: dict
    default: {}
  gate:
    description: What must hold of it on the target, see O(cellblock.jails.jail_upgrade#module:gate).
    type: dict
    default: {}
  restart:
    description: Throws away what has come so far, and begins anew.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: What would be sent, and how it stands
  cellblock.jails.jail_move:
    name: web
    phase: offer
  register: offer

- name: Whether another host could take it
  cellblock.jails.jail_move:
    name: web
    phase: open
    offer: "{{ offer.move }}"
    storage_path: /jails
    storage_dataset: zroot/jails
  delegate_to: other.example.org
  check_mode: true

- name: Let it stay here after all, when the move has failed and the other host is lost
  cellblock.jails.jail_move:
    name: web
    phase: back
"""

RETURN = r"""
steps:
  description: The steps that were taken, or would be in check mode, in words.
  returned: always
  type: list
  elements: str
  sample: ["web: let nothing start it here any more", "web: stop", "web: take its last snapshot"]
move:
  description: What the other side has to know.
  returned: success
  type: dict
  contains:
    phase: {description: How far it came on this side., type: str, sample: arriving}
    kind: {description: "How it is sent: C(zfs) or C(tar).", type: str, sample: zfs}
    bytes: {description: About how many bytes it has., type: int, sample: 24576}
    tells: {description: What one should know beforehand., type: list, elements: str, sample: ["base 15.1-RELEASE is not here, and is sent first"]}
    rounds: {description: The bytes of each pass., type: list, elements: int, sample: [24576, 512]}
    unwell: {description: "That it was not well on the target, where it may have served somebody already.", type: str, sample: ""}
"""

from typing import Any, Dict

from ansible_collections.cellblock.jails.plugins.module_utils.engine.door import LOCK_OPTION, serve
from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.engine.module import Module
from ansible_collections.cellblock.jails.plugins.module_utils.engine.options import STORAGE_OPTIONS
from ansible_collections.cellblock.jails.plugins.module_utils.engine.plan import Plan
from ansible_collections.cellblock.jails.plugins.module_utils.moves.phases import BETWEEN_HOSTS, PHASES, plan


def main() -> None:
    """The door."""
    spec: Dict[str, Any] = {
        **BETWEEN_HOSTS,
        "phase": {"type": "str", "required": True, "choices": list(PHASES)},
        "offer": {"type": "dict"},
        "identities": {"type": "dict", "default": {}},
        "id": {"type": "str", "default": ""},
        "options": {"type": "dict", "default": {}},
        "gate": {"type": "dict", "default": {}},
        "restart": {"type": "bool", "default": False},
        **STORAGE_OPTIONS,
        **LOCK_OPTION,
    }
    module = Module(argument_spec=spec, supports_check_mode=True)

    def planner(host: Host) -> Plan:
        return plan(host, module.params)

    serve(module, planner)


if __name__ == "__main__":
    main()
