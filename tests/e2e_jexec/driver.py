# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One connection, driven from the command line, in a process that a test may limit or kill.

``driver.py`` reads JSON: ``variables`` of the host, ``become`` (``name`` and options), ``memory`` (bytes that the
process may grow by) and ``do``, a list of ``["exec", command, input]``, ``["put", from, to]`` and
``["fetch", from, to]``.
It prints a list: ``{"rc", "out", "err"}`` or ``{"error", "kind"}`` each.
"""

from __future__ import annotations

import json
import resource
import shlex
import sys
from typing import Any

from ansible import context
from ansible.errors import AnsibleError
from ansible.module_utils.common.collections import ImmutableDict
from ansible.playbook.play_context import PlayContext
from ansible.plugins.loader import become_loader, connection_loader, init_plugin_loader


def connect(variables: dict[str, Any], become: dict[str, Any] | None) -> Any:
    """The connection as core sets it up."""
    init_plugin_loader()
    context.CLIARGS = ImmutableDict()
    play_context = PlayContext()
    play_context.remote_addr = variables["inventory_hostname"]
    connection = connection_loader.get("cellblock.jails.jexec", play_context)
    connection.set_options(var_options=variables)
    if become:
        plugin = become_loader.get(become.pop("name"))
        plugin.set_options(direct=become)
        connection.set_become_plugin(plugin)
    return connection


def act(connection: Any, verb: str, *arguments: Any) -> dict[str, Any]:
    """One thing."""
    try:
        if verb == "exec":
            command, data = (*arguments, None)[:2]
            if connection.become:
                command = connection.become.build_become_command(command, connection._shell)
            rc, out, err = connection.exec_command(
                "/bin/sh -c " + shlex.quote(command), in_data=data.encode() if data else None
            )
        else:
            rc, out, err = (connection.put_file if verb == "put" else connection.fetch_file)(*arguments)
    except AnsibleError as error:
        return {"error": str(error), "kind": type(error).__name__}
    return {"rc": rc, "out": out.decode(errors="replace"), "err": err.decode(errors="replace")}


def main() -> None:
    """Read, act, print."""
    order = json.load(sys.stdin)
    connection = connect(order["variables"], order.get("become"))
    if order.get("memory"):
        with open("/proc/self/statm", encoding="ascii") as statm:
            used = int(statm.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + order["memory"],) * 2)
    print(json.dumps([act(connection, *step) for step in order["do"]]))


if __name__ == "__main__":
    main()
