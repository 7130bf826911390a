# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a module call asks for, checked."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, List, Mapping, Optional, Sequence

from ansible_collections.cellblock.jails.plugins.module_utils.errors import CellblockError, Faults, InputError
from ansible_collections.cellblock.jails.plugins.module_utils.jails.declaring import jail_from
from ansible_collections.cellblock.jails.plugins.module_utils.jails.model import Jail, check_set, order_by_need


@dataclass(frozen=True)
class Request:
    """What a module call asks for.

    :param jails: the declared jails.
    :param as_they_are: those that are declared by name and state only.
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
    as_they_are: Sequence[Jail] = ()

    @classmethod
    def from_options(cls, options: Mapping[str, Any], check_mode: bool, whole: bool = True) -> Request:
        """Check a module's options."""
        storage_path = str(options.get("storage_path") or "/usr/jails")
        style = options.get("boot_style")
        faults = Faults()
        jails = faults.each(options["jails"], lambda jail: jail_from({"boot_style": style, **_given(jail)}, storage_path))
        share = int(options.get("prune_share") or 0)
        with faults:
            check_set(jails)
        with faults:
            if not 0 <= share <= 100:
                raise InputError(f"{share} is not a share of 0 to 100 percent", "prune_share")
        faults.tell()
        whole_ones = [jail for jail in jails if not jail.as_it_is]
        return cls(
            order_by_need(whole_ones), storage_path, options.get("storage_dataset"), whole,
            bool(options.get("prune")), share, dict(options.get("assume") or {}) if check_mode else {},
            [jail for jail in jails if jail.as_it_is],
        )


def _given(options: Mapping[str, Any]) -> Dict[str, Any]:
    return {key: value for key, value in options.items() if value is not None}


# Without one of them, nothing sensible can be said of the other options of a jail.
ESSENTIAL = frozenset(("name", "root", "base", "path"))


def beyond(given: Mapping[str, Any]) -> List[str]:
    """What is wrong with the values of a call's jails, apart from what Ansible's own check of the options finds.

    :param given: the options as they were given.
    """
    from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

    from ansible_collections.cellblock.jails.plugins.module_utils.engine.spec import sound
    from ansible_collections.cellblock.jails.plugins.module_utils.jails.options import HOST, JAIL

    spec = {"jails": {"type": "list", "elements": "dict", "options": JAIL}, **HOST}
    listed = given.get("jails") if isinstance(given.get("jails"), (list, tuple)) else [given]
    whole = {**{key: value for key, value in given.items() if key in HOST}, "jails": listed}
    kept = sound(spec, whole)
    kept["jails"] = [jail for raw, jail in zip(listed or (), kept["jails"]) if isinstance(raw, Mapping) and _is_told(raw, jail)]
    options = ArgumentSpecValidator(spec).validate(kept).validated_parameters
    try:
        Request.from_options(options, check_mode=True)
    except CellblockError as error:
        return str(error).splitlines()
    return []


def _is_told(raw: Mapping[str, Any], kept: Mapping[str, Any]) -> bool:
    """Whether what was kept of a jail says what it is."""
    from ansible_collections.cellblock.jails.plugins.module_utils.engine.spec import nearest_word
    from ansible_collections.cellblock.jails.plugins.module_utils.jails.options import JAIL

    lost = [str(key) for key in raw if key not in kept and raw[key] is not None]
    if "name" not in kept or ("state" in lost and "base" not in kept):
        return False
    return not any({key, nearest_word(key, JAIL)} & ESSENTIAL for key in lost)
