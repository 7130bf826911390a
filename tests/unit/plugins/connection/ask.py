# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What core makes of the connection plugin, in a process with the collection loader in place.

Reads a JSON list of variables; prints the documented options of our plugin and of core's, the variables that ours
listens to, and for each set of variables the options and the ssh command that come of it.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from ansible import constants as C
from ansible import context
from ansible.module_utils.common.collections import ImmutableDict
from ansible.playbook.play_context import PlayContext
from ansible.plugins.loader import connection_loader, fragment_loader, init_plugin_loader
from ansible.utils.plugin_docs import get_docstring

OPTIONS = ("pipelining", "use_tty", "timeout", "host", "remote_user", "port")


def documented(name: str) -> Any:
    """A plugin's options as core reads them."""
    path = connection_loader.find_plugin_with_context(name).plugin_resolved_path
    return get_docstring(path, fragment_loader, plugin_type="connection")[0]["options"]


def made(variables: dict[str, Any]) -> dict[str, Any]:
    """A connection's options and its ssh command."""
    connection = connection_loader.get("cellblock.jails.jexec", PlayContext())
    connection.set_options(var_options=variables)
    return {
        **{name: connection.get_option(name) for name in OPTIONS},
        "pipelining is on": connection.is_pipelining_enabled(),
        "command": [word.decode() for word in connection._build_command("ssh", "ssh", "HOST", "true")],
    }


def main() -> None:
    """Answer."""
    init_plugin_loader()
    context.CLIARGS = ImmutableDict()
    answer = {"ours": documented("cellblock.jails.jexec"), "cores": documented("ansible.builtin.ssh")}
    answer["made"] = [made(variables) for variables in json.load(sys.stdin)]
    loaded = connection_loader.get("cellblock.jails.jexec", PlayContext())
    answer["variables"] = sorted(C.config.get_plugin_vars("connection", loaded._load_name))
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
