# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Leads machines through the tasks of a playbook as Ansible would: so that cases try the playbook itself, a kill at each command too."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Optional

import yaml
from jinja2 import StrictUndefined
from jinja2.nativetypes import NativeEnvironment

from .machine import Failed, Killed, Machine

PLAYBOOKS = Path(__file__).resolve().parents[2] / "playbooks"
OMIT = "__omitted__"
PREFIX = "cellblock.jails."


class Conductor:
    """Runs tasks.

    :param machines: by their names in the inventory.
    :param host: the one that the play is about.
    :param kill_at: before which command of all a module dies; with it, the run.
    """

    def __init__(self, machines: Mapping[str, Machine], host: str, variables: Mapping[str, Any], kill_at: Optional[int] = None) -> None:
        self.machines, self.host, self.kill_at = machines, host, kill_at
        self.steps: List[str] = []
        self.killed = False
        self.before: Callable[[str], None] = lambda phase: None
        self._environment = NativeEnvironment(undefined=StrictUndefined)
        self._environment.filters["combine"] = lambda one, two: {**one, **two}
        self._variables: Dict[str, Any] = {
            "omit": OMIT, "ansible_check_mode": False,
            "hostvars": {name: _storage(one) for name, one in machines.items()}, **_storage(machines[host]), **variables,
        }

    def run(self, path: str, **variables: Any) -> None:
        """Run the tasks of a file."""
        self._variables.update(variables)
        self._tasks(yaml.safe_load((PLAYBOOKS / path).read_text()))

    def _tasks(self, tasks: List[Dict[str, Any]]) -> None:
        for task in tasks:
            when = task.get("when", True)
            if not all(self._value("{{ " + str(one) + " }}") for one in (when if isinstance(when, list) else [when])):
                continue
            if "block" in task:
                try:
                    self._block(task)
                finally:
                    if "always" in task and not self.killed:
                        self._tasks(task["always"])
            else:
                self._task(task)

    def _block(self, task: Dict[str, Any]) -> None:
        try:
            self._tasks(task["block"])
        except Failed as failure:
            if "rescue" not in task:
                raise
            self._variables["ansible_failed_result"] = failure.told
            self._tasks(task["rescue"])

    def _task(self, task: Dict[str, Any]) -> None:
        if "ansible.builtin.fail" in task:
            raise Failed({"msg": self._value(task["ansible.builtin.fail"]["msg"])})
        called = next(key for key in task if key.startswith(PREFIX))
        options = {key: self._value(value) for key, value in task[called].items()}
        options = {key: value for key, value in options.items() if value != OMIT}
        machine = self.machines[str(self._value(task.get("delegate_to", self.host)))]
        self.before(str(options.get("phase", "")))
        told = self._called(machine, called[len(PREFIX):], options)
        self.steps += told["steps"]
        if "register" in task:
            self._variables[task["register"]] = told

    def _called(self, machine: Machine, module: str, options: Dict[str, Any]) -> Dict[str, Any]:
        check = bool(self._variables["ansible_check_mode"])
        if self.kill_at is None:
            return machine.module(module, check=check, **options)
        try:
            return machine.module(module, check=check, kill_at=self.kill_at, **options)
        except Killed:
            self.kill_at, self.killed = None, True
            raise
        finally:
            if self.kill_at is not None:
                self.kill_at = max(0, self.kill_at - machine.commands())

    def _value(self, value: Any) -> Any:
        if isinstance(value, str) and "{{" in value:
            return self._environment.from_string(value.strip()).render(**self._variables)
        return value


def _storage(machine: Machine) -> Dict[str, Any]:
    return {"jail_storage_path": machine.place, **({"jail_storage_dataset": machine.dataset} if machine.dataset else {})}
