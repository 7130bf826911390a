# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible's module, but one that names every fault of its options at once, each with its place and the nearest word."""

from __future__ import annotations

import os.path
from typing import Any, Callable, List, Mapping, Optional

from ansible.module_utils.basic import AnsibleModule

# What module_defaults may say once for the whole action group; a module that has no use for one takes it and leaves it.
SHARED = frozenset(("storage_path", "storage_dataset", "lock_timeout", "parallel"))


class Module(AnsibleModule):  # type: ignore[misc]
    """A module of this collection.

    :param beyond: says what else is wrong with options as they were given, where Ansible's own check found something.
    """

    def __init__(
        self, argument_spec: Mapping[str, Any], beyond: Optional[Callable[[Mapping[str, Any]], List[str]]] = None, **more: Any
    ) -> None:
        self._is_checked = False
        self._beyond, self._foreign = beyond, SHARED - set(argument_spec)
        super().__init__(argument_spec=dict(argument_spec), **more)
        self._is_checked = True
        path = self.params.get("storage_path")
        if isinstance(path, str) and path.startswith("/"):
            self.params["storage_path"] = os.path.normpath(path)

    def _load_params(self) -> None:
        super()._load_params()
        for name in self._foreign:
            self.params.pop(name, None)
        self._given = dict(self.params)  # the check puts what it made of them in their place

    def fail_json(self, msg: str, **kwargs: Any) -> None:
        """End with a failure; one that Ansible's own check of the options found tells all that is wrong with them."""
        if not self._is_checked:
            from ansible_collections.cellblock.jails.plugins.module_utils.engine.spec import faults

            found = faults(self.argument_spec, self._given)
            if found and self._beyond is not None:
                found += self._beyond(self._given)
            msg = "\n".join(found) if found else msg
        super().fail_json(msg=msg, **kwargs)
