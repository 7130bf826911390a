#!/usr/bin/python
# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bind the daemons of a jail host to its own addresses."""

from __future__ import annotations

DOCUMENTATION = r"""
module: host_services
short_description: Bind the daemons of a FreeBSD jail host to its own addresses
version_added: 0.1.0
description:
  - A daemon of the host that listens on C(*) answers on the addresses of its jails too. This module sets sendmail(8),
    inetd(8), rpcbind(8), syslogd(8), sshd(8), ntpd(8), mountd(8) and nfsd(8) so that they do not, in C(/etc/rc.conf),
    C(/etc/ntp.conf) and C(/etc/ssh/sshd_config), and restarts those that run with other settings.
  - Whether a daemon needs a restart is judged by what it listens on, so that a run which died half way is finished by
    the next one. A daemon that does not run is not started.
  - The new C(sshd_config) is read by C(sshd -t) before it takes the old one's place; sshd is reloaded, which keeps open
    connections, then seen to listen; if it does not, the old file comes back. The module refuses to bind sshd to
    addresses that the host does not have, and to close the one by which somebody is connected.
author:
  - cellblock.jails contributors (@cellblock)
options:
  addresses:
    description:
      - The host's own addresses, IPv4 and IPv6. Empty means the address that the current ssh connection came in on.
    type: list
    elements: str
    default: []
  sendmail:
    description:
      - V(disabled) sets C(sendmail_enable="NO"), which leaves sendmail(8) to local mail on the loopback interface.
      - V(keep) leaves the daemon as it is, here and for the other daemons.
    type: str
    choices: [disabled, keep]
    default: disabled
  inetd:
    description:
      - V(bound) sets C(inetd_flags) to O(inetd_flags) and C(-a ADDRESS). inetd(8) takes one address, the first.
    type: str
    choices: [bound, keep]
    default: bound
  rpcbind:
    description:
      - V(disabled) sets C(rpcbind_enable="NO"), V(bound) sets C(rpcbind_flags) where it is in use.
      - rpcbind(8) keeps a socket for remote calls on C(*) even when it is bound.
    type: str
    choices: [bound, disabled, keep]
    default: disabled
  syslogd:
    description:
      - V(bound) sets C(syslogd_flags) to O(syslogd_flags) and C(-b ADDRESS) for each address, V(closed) sets C(-ss),
        so that syslogd(8) opens no socket at all.
    type: str
    choices: [bound, closed, keep]
    default: bound
  sshd:
    description:
      - V(bound) sets C(ListenAddress) in C(/etc/ssh/sshd_config).
    type: str
    choices: [bound, keep]
    default: bound
  ntpd:
    description:
      - V(bound) adds C(interface) rules to C(/etc/ntp.conf), where ntpd(8) is in use.
    type: str
    choices: [bound, keep]
    default: bound
  mountd:
    description:
      - V(bound) sets C(mountd_flags) to O(mountd_flags) and C(-h ADDRESS) for each address, where mountd(8) is in use.
    type: str
    choices: [bound, keep]
    default: bound
  nfsd:
    description:
      - V(bound) sets C(nfs_server_flags) to O(nfs_server_flags) and C(-h ADDRESS) for each address, where nfsd(8) is in
        use.
    type: str
    choices: [bound, keep]
    default: bound
  inetd_flags:
    description:
      - Flags of inetd(8) besides its address.
    type: str
    default: -wW
  rpcbind_flags:
    description:
      - Flags of rpcbind(8) besides its addresses.
    type: str
    default: ""
  syslogd_flags:
    description:
      - Flags of syslogd(8) besides its addresses.
    type: str
    default: -s
  mountd_flags:
    description:
      - Flags of mountd(8) besides its addresses.
    type: str
    default: -r -S
  nfs_server_flags:
    description:
      - Flags of nfsd(8) besides its addresses.
    type: str
    default: -u -t
  sshd_max_sessions:
    description:
      - Sets C(MaxSessions) in C(/etc/ssh/sshd_config), the number of jails that can be worked in at once through one ssh
        connection. Left alone when not given; sshd's default is 10.
    type: int
extends_documentation_fragment:
  - cellblock.jails.attributes
seealso:
  - module: cellblock.jails.listeners_info
"""

EXAMPLES = r"""
- name: Leave the jails' addresses to the jails
  cellblock.jails.host_services:
    addresses:
      - 10.10.10.10
      - 2001:db8::10

- name: The same for an NFS server, with a syslogd that opens no socket
  cellblock.jails.host_services:
    addresses:
      - 10.10.10.10
    rpcbind: bound
    syslogd: closed
"""

RETURN = r"""
steps:
  description: What was done, or would be done in check mode.
  returned: always
  type: list
  elements: str
  sample: ['set inetd_flags in /etc/rc.conf', 'restart inetd']
addresses:
  description: The addresses that the daemons are bound to.
  returned: success
  type: list
  elements: str
  sample: [10.10.10.10]
bound:
  description: >-
    Programs that listened on C(*) when the module started, and do not when it is done; for O(cellblock.jails.listeners_info#module:planned).
  returned: success
  type: list
  elements: str
  sample: [sshd, syslogd]
"""

import os
from typing import Any, Dict

from ansible_collections.cellblock.jails.plugins.module_utils.engine.door import serve
from ansible_collections.cellblock.jails.plugins.module_utils.engine.module import Module
from ansible_collections.cellblock.jails.plugins.module_utils.host import services

POLICIES: Dict[str, Dict[str, Any]] = {
    "sendmail": {"type": "str", "choices": ["disabled", "keep"], "default": "disabled"},
    "inetd": {"type": "str", "choices": ["bound", "keep"], "default": "bound"},
    "rpcbind": {"type": "str", "choices": ["bound", "disabled", "keep"], "default": "disabled"},
    "syslogd": {"type": "str", "choices": ["bound", "closed", "keep"], "default": "bound"},
    "sshd": {"type": "str", "choices": ["bound", "keep"], "default": "bound"},
    "ntpd": {"type": "str", "choices": ["bound", "keep"], "default": "bound"},
    "mountd": {"type": "str", "choices": ["bound", "keep"], "default": "bound"},
    "nfsd": {"type": "str", "choices": ["bound", "keep"], "default": "bound"},
}
FLAGS: Dict[str, Dict[str, Any]] = {
    "inetd_flags": {"type": "str", "default": "-wW"},
    "rpcbind_flags": {"type": "str", "default": ""},
    "syslogd_flags": {"type": "str", "default": "-s"},
    "mountd_flags": {"type": "str", "default": "-r -S"},
    "nfs_server_flags": {"type": "str", "default": "-u -t"},
}


def main() -> None:
    """Entry point."""
    spec: Dict[str, Any] = {
        "addresses": {"type": "list", "elements": "str", "default": []},
        "sshd_max_sessions": {"type": "int"},
        **POLICIES, **FLAGS,
    }
    module = Module(argument_spec=spec, supports_check_mode=True)
    asked = module.params
    wanted = services.Wanted(
        addresses=asked["addresses"],
        policies={name: asked[name] for name in POLICIES},
        flags={daemon.name: asked[daemon.flags] for daemon in services.DAEMONS if daemon.flags},
        max_sessions=asked["sshd_max_sessions"],
        connection=services.connection(os.environ),
    )
    serve(module, lambda host: services.plan(host, wanted))


if __name__ == "__main__":
    main()
