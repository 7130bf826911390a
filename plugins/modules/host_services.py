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
extends_documentation_fragment:
  - cellblock.jails.parts.services
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
    mountd: bound
    nfsd: bound
    syslogd: closed

- name: Only to the address that ssh came in on, with more sessions for each connection
  cellblock.jails.host_services:
    sshd_max_sessions: 40
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

from ansible_collections.cellblock.jails.plugins.module_utils.engine.door import serve
from ansible_collections.cellblock.jails.plugins.module_utils.engine.module import Module
from ansible_collections.cellblock.jails.plugins.module_utils.host.options import SERVICES
from ansible_collections.cellblock.jails.plugins.module_utils.host.services import plan_from


def main() -> None:
    """Entry point."""
    module = Module(argument_spec=SERVICES, supports_check_mode=True)
    serve(module, lambda host: plan_from(host, module.params))


if __name__ == "__main__":
    main()
