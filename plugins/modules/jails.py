#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The jails of a host, all in one call."""

from __future__ import annotations

DOCUMENTATION = r"""
module: jails
short_description: Declare the jails of a host, all in one call
version_added: 0.1.0
description:
  - Brings the FreeBSD jails of a host to what is declared. The host is read once, in a number of commands that does not
    grow with its jails; then the steps that are needed are taken, and no other.
  - Check mode is the same plan, not taken. Diff is the steps' before and after, with secrets hidden.
  - Only what it made itself, and marked, is changed or removed. What is left on the host is FreeBSD's own and works
    without Ansible.
author:
  - cellblock.jails contributors (@cellblock)
options:
  prune:
    description:
      - Removes managed jails that are not declared. Refuses while something foreign is mounted inside, or a dataset has
        clones, children or snapshots. Jails made by others always stay.
    type: bool
    default: false
  prune_share:
    description:
      - The most of the host's managed jails that O(prune) may remove in one run, in percent. What is more is refused by
        name, since it looks like a list that came out too short; up to three jails may always go. V(100) lets all go.
    type: int
    default: 50
  boot_style:
    description:
      - How jails that say nothing of their own are defined, see O(jails[].boot_style).
    type: str
    choices: [jail_conf, rc_conf]
    default: jail_conf
extends_documentation_fragment:
  - cellblock.jails.attributes
  - cellblock.jails.attributes.lock
  - cellblock.jails.jail.list
  - cellblock.jails.attributes.storage
  - cellblock.jails.jail.host
seealso:
  - module: cellblock.jails.jail
  - module: cellblock.jails.jail_info
  - module: cellblock.jails.basejail
  - name: jail(8)
    description: FreeBSD's manual page of jails.
    link: https://man.freebsd.org/cgi/man.cgi?query=jail&sektion=8
"""

EXAMPLES = r"""
- name: Two jails on plain directories, started at boot in this order
  cellblock.jails.jails:
    jails:
      - name: webserver
        base: 15.1-RELEASE
        interface: em0
        ip4: [10.0.0.20]
        rc_conf: {rpcbind_enable: "NO"}
        resolv_conf: copy
        timezone: Europe/Athens
      - name: ldapserver
        base: 15.1-RELEASE
        interface: em0
        ip4: [10.0.0.30]
        depend: [webserver]

- name: ZFS clones with limits, and nothing else of ours on this host
  cellblock.jails.jails:
    storage_path: /jails
    storage_dataset: zroot/jails
    prune: true
    jails:
      - name: db
        root: clone
        base: 15.1-RELEASE
        quota: 20G
        ip4: [em0|10.0.0.40/24]
        params: {allow.sysvipc: true, securelevel: 2}
        limits: {memoryuse: 2G, pcpu: 150, maxproc: 500}
        cpuset: 0-1
        restart: if_needed
"""

RETURN = r"""
steps:
  description: The steps that were taken, or would be in check mode, in words.
  returned: always
  type: list
  elements: str
  sample: ["db: write /etc/jail.conf.d/db.conf", "db: start"]
jails:
  description: What became of each jail, by name.
  returned: always
  type: dict
  contains:
    changed:
      description: Whether anything was done for it.
      type: bool
      sample: true
    state:
      description: The declared state.
      type: str
      sample: started
    did:
      description: What was done, in a few words; empty when nothing was. In check mode what would be.
      type: str
      sample: "restarted: mount"
    restart_waits:
      description: Parameters whose change waits for a restart of the jail.
      type: list
      elements: str
      sample: [mount]
reboot_waits:
  description: What waits for a reboot of the host, such as C(kern.racct.enable).
  returned: always
  type: list
  elements: str
  sample: [kern.racct.enable]
failures:
  description: The jails that failed, each with the reason in the tool's own words. The others were done.
  returned: on failure
  type: dict
  sample: {web: "jail web: did not start: jail: web: /usr/bin/false: failed. exec.prestart failed; it runs on the host"}
unfinished:
  description: After a failure, the steps that C(failed), that were taken and then C(undone), and that were C(not_reached).
  returned: on failure
  type: dict
  sample: {failed: ["web: start"], undone: ["web: write /etc/jail.conf.d/web.conf"]}
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

    module = Module(
        argument_spec={
            "jails": {"type": "list", "elements": "dict", "required": True, "options": options.JAIL},
            "prune": {"type": "bool", "default": False},
            "prune_share": {"type": "int", "default": 50},
            "boot_style": {"type": "str", "choices": ["jail_conf", "rc_conf"], "default": "jail_conf"},
            **options.HOST,
        },
        beyond=beyond,
        supports_check_mode=True,
    )
    serve_jails(module, module.params, True, recall)


if __name__ == "__main__":
    main()
