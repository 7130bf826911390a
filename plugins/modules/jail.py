#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One jail."""

from __future__ import annotations

DOCUMENTATION = r"""
module: jail
short_description: Declare one jail of a host
version_added: 0.1.0
description:
  - Brings one FreeBSD jail to what is declared, by the same engine as M(cellblock.jails.jails). For several jails of
    one host, that module does them all in one call.
  - With O(name) and O(state) alone, and O(destroy_snapshots), a jail that is there is started, stopped, restarted or removed, and
    stays as it is otherwise. With more, the options are all of it, and what they leave out goes, which a warning says.
author:
  - cellblock.jails contributors (@cellblock)
extends_documentation_fragment:
  - cellblock.jails.attributes
  - cellblock.jails.attributes.lock
  - cellblock.jails.jail
  - cellblock.jails.attributes.storage
  - cellblock.jails.jail.host
seealso:
  - module: cellblock.jails.jails
  - module: cellblock.jails.jail_info
"""

EXAMPLES = r"""
- name: A thin jail with an address of its own
  cellblock.jails.jail:
    name: www
    base: 15.1-RELEASE
    ip4: [em0|10.0.0.20/24]

- name: A ZFS clone with a quota, limits, CPUs of its own and a directory of the host
  cellblock.jails.jail:
    name: db
    root: clone
    base: 15.1-RELEASE
    storage_path: /jails
    storage_dataset: zroot/jails
    ip4: [em0|10.0.0.40/24]
    quota: 20G
    params: {allow.sysvipc: true, securelevel: 2}
    limits: {memoryuse: 2G, pcpu: 150, maxproc: 500}
    cpuset: 0-1
    mounts:
      - {src: /srv/db, dest: /var/db}
    depend: [www]
    restart: if_needed

- name: A jail with its own files kept from outside
  cellblock.jails.jail:
    name: mail
    base: 15.1-RELEASE
    ip4: [em0|10.0.0.25/24]
    hostname: mail.example.org
    rc_conf: {sendmail_enable: "YES", syslogd_flags: "-ss"}
    resolv_conf: copy
    timezone: Europe/Athens
    root_password: "*"
    aliases: {root: ops@example.org}
    authorized_keys: ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJqk ops"]

- name: A jail with a network stack of its own, on a network that host_prepare made, with a port of the host
  cellblock.jails.jail:
    name: gate
    base: 15.1-RELEASE
    networks:
      - {name: lan, ip4: 10.1.0.20}
    ports: [{address: 192.0.2.10, port: "8080", to: 80}]
    packages: [nginx]

- name: Take over a jail that others made, as it stands
  cellblock.jails.jail:
    name: old
    root: existing
    path: /usr/jails/old
    ip4: [em0|10.0.0.50/24]
    adopt: true

- name: Give a jail another name, with all that is called by it
  cellblock.jails.jail:
    name: sql
    was: db
    base: 15.1-RELEASE
    ip4: [em0|10.0.0.40/24]

- name: A jail that begins as a copy of another, with an identity of its own
  cellblock.jails.jail:
    name: staging
    copy_of: www
    base: 15.1-RELEASE
    ip4: [em0|10.0.0.60/24]

- name: Let a change wait for the next restart, of whatever kind
  cellblock.jails.jail:
    name: www
    base: 15.1-RELEASE
    ip4: [em0|10.0.0.20/24]
    devfs_ruleset: devfsrules_bpf
    restart: never

- name: Define a jail that is started by hand
  cellblock.jails.jail:
    name: lab
    root: thick
    base: 15.1-RELEASE
    ip4: [em0|10.0.0.60/24]
    boot: false
    state: present

- name: Restart it; the name and a state are enough for a jail that is there, all else stays as it is
  cellblock.jails.jail:
    name: www
    state: restarted

- name: Stop it until it is started again; the next boot starts it too
  cellblock.jails.jail:
    name: www
    state: stopped

- name: Remove it
  cellblock.jails.jail:
    name: www
    state: absent

- name: Remove one with the snapshots that others took of it
  cellblock.jails.jail:
    name: db
    storage_path: /jails
    storage_dataset: zroot/jails
    state: absent
    destroy_snapshots: true
"""

RETURN = r"""
steps:
  description: The steps that were taken, or would be in check mode, in words.
  returned: always
  type: list
  elements: str
  sample: ["www: start"]
jails:
  description: What became of the jail, under its name; see RV(cellblock.jails.jails#module:jails).
  returned: always
  type: dict
  sample: {www: {changed: true, state: started, did: started, restart_waits: []}}
reboot_waits:
  description: What waits for a reboot of the host, such as C(kern.racct.enable).
  returned: always
  type: list
  elements: str
  sample: [kern.racct.enable]
"""

from ansible_collections.cellblock.jails.plugins.module_utils.engine.recall import last_time


def main() -> None:
    """The door. What plans is loaded when there may be something to plan."""
    recall = last_time()
    recall.tell()
    from ansible_collections.cellblock.jails.plugins.module_utils.engine.module import Module
    from ansible_collections.cellblock.jails.plugins.module_utils.jails import options
    from ansible_collections.cellblock.jails.plugins.module_utils.jails.planning import serve_jails
    from ansible_collections.cellblock.jails.plugins.module_utils.jails.request import beyond

    module = Module(argument_spec={**options.JAIL, **options.HOST}, beyond=beyond, supports_check_mode=True)
    jail = {key: module.params[key] for key in options.JAIL}
    serve_jails(module, {**module.params, "jails": [jail]}, False, recall)


if __name__ == "__main__":
    main()
