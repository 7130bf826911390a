#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the jails of a host are."""

from __future__ import annotations

DOCUMENTATION = r"""
module: jail_info
short_description: Tell what the jails of a host are
version_added: 0.1.0
description:
  - Tells the configured, running, dying and foreign jails of a host, each with its parameters, addresses, mounts, limits
    and usage, its root and its size, its base and patch level, where the running jail differs from its file, and what
    waits for a restart.
  - Asks the host a constant number of commands, however many jails there are.
author:
  - cellblock.jails contributors (@cellblock)
options:
  name:
    description:
      - The jails to tell of; all of them by default. Of a name that there is not, nothing is told.
    type: list
    elements: str
  sizes:
    description:
      - Also measures plain directories, which reads every inode of theirs, see du(1). Datasets always tell theirs.
    type: bool
    default: false
extends_documentation_fragment:
  - cellblock.jails.attributes
  - cellblock.jails.attributes.info
  - cellblock.jails.attributes.storage
seealso:
  - module: cellblock.jails.jails
"""

EXAMPLES = r"""
- name: Look at the jails
  cellblock.jails.jail_info:
    storage_dataset: zroot/jails
  register: found

- name: Name what waits for a restart
  ansible.builtin.debug:
    msg: "{{ found.jails | selectattr('restart_waits') | map(attribute='name') | list }}"

- name: Look at one
  cellblock.jails.jail_info:
    name: web
  register: web

- name: Go on only where it runs
  ansible.builtin.assert:
    that: web.jails | selectattr('state', 'equalto', 'running') | list | length == 1

- name: How much room the jails take, on plain directories too
  cellblock.jails.jail_info:
    sizes: true
  register: measured
"""

RETURN = r"""
schema_version:
  description: The version of what is returned here. A key is added without a new one, never removed or changed.
  returned: success
  type: int
  sample: 1
host:
  description: The host itself.
  returned: success
  type: dict
  contains:
    osreldate: {description: The kernel's C(__FreeBSD_version)., type: int, sample: 1501000}
    jail_enable: {description: Whether jails start at boot., type: str, sample: "YES"}
    jail_list:
      {description: What C(jail_list) of C(rc.conf) and of what counts over it names., type: list, elements: str, sample: [db, web]}
    boot_order:
      description: The jails that the next boot starts, in their order, as C(rc.d/jail) decides it.
      type: list
      elements: str
      sample: [db, web]
    racct: {description: Whether resource limits work., type: bool, sample: true}
    fibs: {description: How many routing tables there are., type: int, sample: 1}
    networks:
      description: "The networks of M(cellblock.jails.jail_networks): device, addresses, way out, jails."
      type: list
      elements: dict
      sample: []
    firewall:
      description: "The firewall of ports and bandwidth, where a jail has them: C(kind), C(running)."
      type: dict
      sample: {kind: pf, running: true}
jails:
  description: The jails, those that boot first in their order.
  returned: success
  type: list
  elements: dict
  contains:
    name: {description: Its name., type: str, sample: web}
    state: {description: "One of C(running), C(stopped) and C(dying).", type: str, sample: running}
    managed: {description: Whether this collection made it., type: bool, sample: true}
    jid: {description: "The running jail's number, else V(null).", type: int, sample: 2}
    path: {description: Its root., type: str, sample: /usr/jails/web}
    hostname: {description: Its host name., type: str, sample: web.example.org}
    ip4: {description: Its IPv4 addresses., type: list, elements: str, sample: [10.0.0.20]}
    ip6: {description: Its IPv6 addresses., type: list, elements: str, sample: ["2001:db8::20"]}
    localhost:
      description: "The address that stands for 127.0.0.1 inside, see O(cellblock.jails.jails#module:jails[].loopback)."
      type: str
      sample: 127.3.8.40
    vnet: {description: Whether it has a network stack of its own., type: bool, sample: false}
    parameters:
      description: The running jail's parameters as C(jls) tells them.
      type: dict
      sample: {allow.raw_sockets: false, devfs_ruleset: "4", host.hostname: web.example.org, ip4.addr: [10.0.0.20], securelevel: "-1"}
    defined:
      description: The parameters as its definition has them.
      type: dict
      sample: {host.hostname: [web.example.org], ip4.addr: [em0|10.0.0.20/32], mount.devfs: ["true"], path: [/usr/jails/web]}
    definition: {description: The file that defines it., type: str, sample: /etc/jail.conf.d/web.conf}
    boot_style: {description: "How it is defined; V(null) for a foreign one.", type: str, sample: jail_conf}
    boot: {description: Whether the next boot starts it., type: bool, sample: true}
    boot_position: {description: "Its place from 1 in what C(rc.d/jail) starts, be that enabled or not.", type: int, sample: 2}
    boot_file: {description: The file by which C(rc.d/jail) starts it., type: str, sample: /etc/jail.conf.d/web.conf}
    boot_problem: {description: Why it is tried and does not come up at boot., type: str, sample: null}
    boot_differs:
      description: The parameters that a boot gives it otherwise than its definition, by defaults of C(/etc/jail.conf).
      type: dict
      sample: {}
    depend: {description: The jails it depends on., type: list, elements: str, sample: [db]}
    root:
      description: Its root.
      type: dict
      contains:
        kind: {description: "C(thin), C(clone), C(thick), C(empty) or C(existing).", type: str, sample: clone}
        dataset: {description: "Its dataset, V(null) on a plain directory.", type: str, sample: zroot/jails/web}
        size: {description: "Its size in bytes, where it is known.", type: int, sample: 94140928}
        quota: {description: "The most bytes that it may take, V(null) for no such limit.", type: int, sample: 21474836480}
        origin: {description: The snapshot that it was cloned from., type: str, sample: zroot/jails/basejails/15.1-RELEASE@p1}
    base:
      description: Its base.
      type: dict
      contains:
        name: {description: "Its name, or its path.", type: str, sample: 15.1-RELEASE}
        version: {description: Its userland's patch level as C(freebsd-version) tells it., type: str, sample: 15.1-RELEASE-p1}
        end_of_life: {description: "Its end of life in seconds since 1970, where the host knows it.", type: int, sample: 1798761599}
    mounts:
      description: What is mounted below its root.
      type: list
      elements: dict
      contains:
        special: {description: What is mounted., type: str, sample: /srv/www}
        node: {description: Where., type: str, sample: /usr/jails/web/usr/local/www}
        fstype: {description: The kind of file system., type: str, sample: nullfs}
        opts: {description: How., type: list, elements: str, sample: [local, read-only]}
    limits: {description: Its rules as C(rctl) lists them., type: list, elements: str, sample: ["jail:web:maxproc:deny=500"]}
    usage: {description: "What it uses as C(rctl -u) tells, in bytes and counts.", type: dict, sample: {maxproc: 14, memoryuse: 94208000}}
    console_log: {description: Where its console's words are., type: str, sample: /var/log/jail_web_console.log}
    networks:
      description: The networks that it joins, each with interface, MAC address and addresses.
      type: list
      elements: dict
      sample: []
    ports:
      description: The ports that lead to it.
      type: list
      elements: dict
      sample: []
    bandwidth:
      description: "Its bandwidth in bits a second: C(in) and C(out)."
      type: dict
      sample: {in: 10000000, out: 10000000}
    drift:
      description: Where the running jail, or what is loaded of its firewall rules, is not as its file says.
      type: list
      elements: dict
      contains:
        parameter: {description: The parameter., type: str, sample: allow.raw_sockets}
        file: {description: What its file says., type: list, elements: str, sample: []}
        kernel: {description: "What it has, as C(jls) tells it.", type: raw, sample: true}
    restart_waits: {description: What only a restart would bring., type: list, elements: str, sample: [mount]}
    upgrade:
      description: >-
        Its last upgrade by M(cellblock.jails.jail_upgrade): what it was and became, when, how it went, and whether a rollback is possible.
        V(null) without one.
      type: dict
      sample: null
    copy_of:
      description: The jail that it began as a copy of.
      type: str
      returned: when it did
      sample: web
    restored:
      description: From which set it was restored by M(cellblock.jails.jail_restore), of which jail, when, and whether that is done.
      type: dict
      returned: when it was
      sample: {set: 20261127T073217Z, of: web, at: 1795765000, phase: done}
    last_backup:
      description: >-
        Its last set by M(cellblock.jails.jail_backup): its name, when, where, its size and whether it is an increment; C(others) are those
        in other destinations. V(null) without one.
      type: dict
      sample: {set: 20261127T073217Z, at: "2026-11-27T07:32:17+00:00", destination: /backup, increment: true, size: 17825792, consistent: snapshot, others: []}
    last_proof:
      description: The last test of its backups on this host, by M(cellblock.jails.jail_restore) with C(state=verified).
      type: dict
      returned: when there was one
      sample: {set: 20261127T073217Z, at: 20261128T030000Z, passed: true}
"""

from ansible_collections.cellblock.jails.plugins.module_utils.backups import notes
from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.engine.module import Module
from ansible_collections.cellblock.jails.plugins.module_utils.engine.options import STORAGE_OPTIONS
from ansible_collections.cellblock.jails.plugins.module_utils.errors import CellblockError
from ansible_collections.cellblock.jails.plugins.module_utils.formats.secrets import hide, hide_all
from ansible_collections.cellblock.jails.plugins.module_utils.jails.info import gather


def main() -> None:
    """The door."""
    module = Module(
        argument_spec={
            "name": {"type": "list", "elements": "str"},
            **STORAGE_OPTIONS,
            "sizes": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    options = module.params
    try:
        host = Host()
        found = gather(host, options["storage_path"], options["storage_dataset"], options["sizes"], options["name"])
        notes.told(host, found["jails"])
    except CellblockError as error:
        module.fail_json(msg=hide(str(error)))
    module.exit_json(changed=False, **hide_all(found))


if __name__ == "__main__":
    main()
