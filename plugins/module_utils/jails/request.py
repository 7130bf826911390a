# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a module call asks for, checked."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, Mapping, Optional, Sequence

from ansible_collections.cellblock.jails.plugins.module_utils.errors import InputError
from ansible_collections.cellblock.jails.plugins.module_utils.jails.declaring import jail_from
from ansible_collections.cellblock.jails.plugins.module_utils.jails.model import Jail, check_set, order_by_need


@dataclass(frozen=True)
class Request:
    """What a module call asks for.

    :param jails: the declared jails.
    :param storage_path: the directory that roots stand in.
    :param storage_dataset: the ZFS dataset mounted there; None for plain directories.
    :param whole: whether this is the whole set of the host, in its order.
    :param prune: whether managed jails that are not declared are removed.
    :param prune_share: the most of them that may go, in percent of the managed jails.
    :param assume: in check mode, what earlier tasks of the run would have made.
    """

    jails: Sequence[Jail]
    storage_path: str = "/usr/jails"
    storage_dataset: Optional[str] = None
    whole: bool = True
    prune: bool = False
    prune_share: int = 50
    assume: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_options(cls, options: Mapping[str, Any], check_mode: bool, whole: bool = True) -> Request:
        """Check a module's options."""
        storage_path = str(options.get("storage_path") or "/usr/jails")
        style = options.get("boot_style")
        jails = [jail_from({"boot_style": style, **_given(jail)}, storage_path) for jail in options["jails"]]
        check_set(jails)
        share = int(options.get("prune_share") or 0)
        if not 0 <= share <= 100:
            raise InputError(f"{share} is not a share of 0 to 100 percent", "prune_share")
        return cls(
            order_by_need(jails), storage_path, options.get("storage_dataset"), whole,
            bool(options.get("prune")), share, dict(options.get("assume") or {}) if check_mode else {},
        )


def _given(options: Mapping[str, Any]) -> Dict[str, Any]:
    return {key: value for key, value in options.items() if value is not None}
