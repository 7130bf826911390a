# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options in, a declared jail out: its common part by the model, the rest by the aspects whose options are given."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Mapping

from ansible_collections.cellblock.jails.plugins.module_utils.jails import model
from ansible_collections.cellblock.jails.plugins.module_utils.jails.registry import ASPECTS


def jail_from(options: Mapping[str, Any], storage_path: str) -> model.Jail:
    """Check one declared jail.

    :param options: the module's options of one jail, as in its documentation.
    :param storage_path: the directory that roots stand in by default.
    :raises InputError: saying which jail and option, and how to mend it.
    """
    jail = model.jail_from(options, storage_path)
    if jail.state == "absent":
        return jail
    own = {}
    for aspect in ASPECTS:
        if any(options.get(option) is not None for option in aspect.options):
            declared = aspect.declare(jail, options)
            if declared is not None:
                own[aspect.name] = declared
    return replace(jail, own=own) if own else jail
