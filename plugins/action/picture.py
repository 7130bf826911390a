# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Print a picture of hosts and their jails to the terminal, as it is, on the controller."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.color import stringc

from ansible_collections.cellblock.jails.plugins.plugin_utils import network_picture, picture


class ActionModule(ActionBase):  # type: ignore[misc]
    """The action behind the module picture."""

    TRANSFERS_FILES = False
    _VALID_ARGS = frozenset(("hosts",))
    _supports_check_mode = True
    _supports_async = False
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Draw; nothing is sent to a host."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        hosts = self._task.args.get("hosts")
        if not isinstance(hosts, dict):
            raise AnsibleActionFail("hosts must be a dictionary: by host's name, what jail_info returned")
        answered = {host: info for host, info in hosts.items() if isinstance(info, dict) and "jails" in info}
        for drawn in (picture.draw(answered, stringc), network_picture.draw(answered, stringc)):
            if drawn:
                self._display.display(drawn)
        result.update(changed=False, picture=[*picture.draw(answered).splitlines(), *network_picture.draw(answered).splitlines()])
        return result
