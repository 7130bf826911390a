# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The jail's own files: rc.conf, resolv.conf, time zone, root's password, aliases, keys."""

from __future__ import annotations

import re
from typing import Any, List, Mapping, Optional, Tuple

from ansible_collections.cellblock.jails.plugins.module_utils.engine.plan import Step
from ansible_collections.cellblock.jails.plugins.module_utils.errors import Faults, InputError
from ansible_collections.cellblock.jails.plugins.module_utils.formats import fields
from ansible_collections.cellblock.jails.plugins.module_utils.formats.rc_conf import NAME as RC_NAME
from ansible_collections.cellblock.jails.plugins.module_utils.jails import inside
from ansible_collections.cellblock.jails.plugins.module_utils.jails.aspects.aspect import Always
from ansible_collections.cellblock.jails.plugins.module_utils.jails.model import BASE_ROOTS, Inside
from ansible_collections.cellblock.jails.plugins.module_utils.jails.scene import Change


class OwnFiles(Always):
    """Files below the jail's root, kept from outside."""

    name = "own_files"

    def check(self, change: Change) -> None:
        """The host must know the time zone."""
        zone = change.jail.inside.timezone
        if zone is not None and zone in change.scene.seen.missing_zones:
            raise InputError(f"time zone {zone} is not in {inside.ZONES}", f"jail {change.jail.name}", "See tzsetup(8)")

    def prepare(self, change: Change) -> List[Step]:
        """Bring them to what is declared."""
        jail = change.jail
        return inside.plan(jail.path, jail.name, jail.inside, change.scene.seen.resolv_conf, change.files, change.live)


def declared(options: Mapping[str, Any], where: str) -> Inside:
    faults = Faults()
    with faults:
        _check_password(options.get("root_password"), where)
    with faults:
        _check_zone(options.get("timezone"), f"{where}, timezone")
    rc_conf = options.get("rc_conf") or {}
    variables = faults.each(rc_conf.items(), lambda item: _variable(item[0], item[1], f"{where}, rc_conf"))
    aliases = faults.each((options.get("aliases") or {}).items(), lambda item: _alias(item[0], item[1], f"{where}, aliases"))
    keys, resolv_conf = options.get("authorized_keys"), options.get("resolv_conf")
    lines = faults.each(keys or (), lambda key: fields.check("line", str(key).strip(), f"{where}, authorized_keys"))
    with faults:
        resolv_conf = None if resolv_conf is None else fields.check("text", str(resolv_conf), f"{where}, resolv_conf")
    faults.tell()
    return Inside(
        fstab="" if str(options.get("root") or "thin") in BASE_ROOTS else None,
        rc_conf=dict(variables), resolv_conf=resolv_conf, timezone=options.get("timezone"),
        root_password=options.get("root_password"), aliases=dict(aliases),
        authorized_keys=None if keys is None else tuple(lines),
    )


def _check_password(given: Optional[str], where: str) -> None:
    if given is not None and not re.fullmatch(r"[$*][A-Za-z0-9./$=,*-]*", given):
        raise InputError(
            "root_password is not a crypt(3) hash", where, "Give a hash such as $6$..., or '*' to lock the account"
        )


def _check_zone(zone: Optional[str], where: str) -> None:
    if zone is not None and not re.fullmatch(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*", zone):
        raise InputError(f"{zone!r} is not a time zone", where, "Such as Europe/Athens or UTC")


def _variable(key: str, value: Any, where: str) -> Tuple[str, Optional[str]]:
    if not RC_NAME.fullmatch(key):
        raise InputError(f"{key!r} is not a variable's name", where, "Letters, digits and '_'")
    return key, _rc_value(value, f"{where}.{key}")


def _alias(key: Any, value: Any, where: str) -> Tuple[str, str]:
    return fields.check("alias", str(key), where), fields.check("line", str(value), f"{where}.{key}")


def _rc_value(value: Any, where: str) -> Optional[str]:
    if value is None:
        return None
    if isinstance(value, (list, tuple, Mapping)):
        raise InputError("it is a list or a dictionary", where, "Give one text, a number, or yes or no")
    return ("YES" if value else "NO") if isinstance(value, bool) else fields.check("text", str(value), where)
