# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Print what a run did to the terminal, a line for each jail that changed, on the controller."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.color import stringc

from ansible_collections.cellblock.jails.plugins.plugin_utils import summary

COLOURS = {"done": "yellow", "waits": "bright purple", "failed": "red"}
OLD = {name: f"jail_{name}" for name in (
    "basejails", "jails", "inside_jails", "inside_role", "inside_serial", "inside_max_fail_percentage", "inside_bootstrap",
    "inside_python_package", "inside_gather_facts",
)}
OURS = ("host_prepare_", "jail_")  # what the roles register


class ActionModule(ActionBase):  # type: ignore[misc]
    """The action behind the module summary."""

    TRANSFERS_FILES = False
    _VALID_ARGS = frozenset(("results", "artifacts"))
    _supports_check_mode = True
    _supports_async = False
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Tell; nothing is sent to a host."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        self._tell_of_old_names(task_vars or {})
        given = self._task.args.get("results")
        if given is not None and not isinstance(given, Mapping):
            raise AnsibleActionFail("results must be a dictionary: by host's name, a list of what modules returned")
        told = summary.of_hosts(given if given is not None else dict(_registered(task_vars or {})))
        lines = summary.lines(told)
        if lines:
            would = " would be" if self._task.check_mode else ""
            hosts = len({one.host for one in told})
            self._display.display(f"\nWhat{would or ' was'} done on {hosts} host{'' if hosts == 1 else 's'}:")
        for line, kind in lines:
            self._display.display(stringc(line, COLOURS[kind]))
        result.update(changed=False, summary=[line for line, _kind in lines])
        if self._task.args.get("artifacts", True) and told:
            result["ansible_stats"] = {"data": summary.artifacts(told), "per_host": False, "aggregate": True}
        return result

    def _tell_of_old_names(self, task_vars: Mapping[str, Any]) -> None:
        """Once for all that are used."""
        used = [name for name in OLD if name in task_vars]
        if used:
            text = ", ".join(f"{name} is {OLD[name]} now" for name in used)
            self._display.deprecated(f"Variables by their old names: {text}.", version="0.2.0", collection_name="cellblock.jails")


def _registered(task_vars: Mapping[str, Any]) -> Iterator[tuple[str, list[Any]]]:
    """What the roles registered on each host of this batch, by the variables as they are: nothing is a template here."""
    everyone: Any = task_vars["hostvars"]
    batch, active = (list(task_vars.get(f"ansible_play_{name}") or ()) for name in ("batch", "hosts"))
    # Of one batch, those that failed on the way did something too.
    for host in task_vars.get("ansible_play_hosts_all") or () if set(batch) == set(active) else batch:
        found = [one for name, one in everyone.raw_get(host).items() if str(name).startswith(OURS) and isinstance(one, Mapping)]
        if any(one.get("rebooted") for one in found):
            found = [_rebooted(one) for one in found]
        yield str(host), found


def _rebooted(result: Mapping[str, Any]) -> dict[str, Any]:
    """Nothing waits for the reboot any more that came after it."""
    return {
        key: [] if key == "reboot" else {**value, "reboot": []} if isinstance(value, Mapping) and "reboot" in value else value
        for key, value in result.items()
    }
