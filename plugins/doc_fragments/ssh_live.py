# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of the ssh connection plugin of whichever ansible-core runs this.

A frozen copy breaks with the next core that asks for an option that the copy does not have.
"""

from __future__ import annotations

from typing import Any

import yaml
from ansible.plugins.connection import ssh
from ansible.plugins.loader import fragment_loader
from ansible.utils.plugin_docs import get_docstring


def _plain(value: Any) -> Any:
    """Plain data; versions are left out, they are core's and would be shown as this collection's."""
    if isinstance(value, dict):
        return {str(key): _plain(entry) for key, entry in value.items() if not str(key).startswith("version_added")}
    if isinstance(value, (list, tuple)):
        return [_plain(entry) for entry in value]
    if value is None or isinstance(value, bool):
        return value
    for kind in (int, float):
        if isinstance(value, kind):
            return kind(value)
    return str(value)


def _options() -> Any:
    """The ssh plugin's options with those of its fragments, as core itself reads them."""
    documentation = get_docstring(ssh.__file__, fragment_loader, plugin_type="connection")[0]
    return _plain(documentation["options"])


class ModuleDocFragment:
    """Computed when it is loaded."""

    DOCUMENTATION: str = yaml.safe_dump({"options": _options()}, sort_keys=False)
