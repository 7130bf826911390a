# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a restore is asked to be, checked."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from ansible_collections.cellblock.jails.plugins.module_utils.backups.model import DESTINATION, Destination
from ansible_collections.cellblock.jails.plugins.module_utils.engine.spec import faults, own_words
from ansible_collections.cellblock.jails.plugins.module_utils.errors import InputError
from ansible_collections.cellblock.jails.plugins.module_utils.jails.declaring import check_name
from ansible_collections.cellblock.jails.plugins.module_utils.upgrades.model import Gate

JAIL: Dict[str, Dict[str, Any]] = {
    "name": {"type": "str", "required": True}, "as": {"type": "str"}, "declare": {"type": "dict"}, "set": {"type": "str"}, "start": {"type": "bool"},
    "gate": {"type": "dict"},
}
AGE = re.compile(r"(\d+)\s*([hdw])")
HOURS = {"h": 1, "d": 24, "w": 168}


@dataclass(frozen=True)
class Wish:
    """What is asked of one jail.

    :param jail: the jail that the set is of.
    :param name: what it is to be called.
    :param declare: options that it is to have otherwise.
    """

    jail: str
    name: str
    set: str = "latest"
    declare: Mapping[str, Any] = field(default_factory=dict)
    start: bool = True
    gate: Gate = Gate()


@dataclass(frozen=True)
class Request:
    """What a module call asks for.

    :param wishes: by jail; None for each that has sets.
    :param every: what is asked of those that are not named.
    :param older_than: hours; what was proved since is left alone.
    """

    destination: Destination
    wishes: Optional[Tuple[Wish, ...]]
    every: Mapping[str, Any]
    state: str = "restored"
    decrypt: Tuple[str, ...] = ()
    again: bool = False
    fresh: Optional[bool] = None
    files: Tuple[str, ...] = ()
    to: str = ""
    older_than: int = 0
    key: str = ""
    storage_path: str = "/usr/jails"
    storage_dataset: Optional[str] = None
    check_mode: bool = False

    @classmethod
    def from_options(cls, options: Mapping[str, Any], check_mode: bool) -> Request:
        """Check a module's options."""
        source, state = options["source"], str(options["state"])
        if isinstance(source, Mapping):
            found_faults = faults({"source": {"type": "dict", "options": DESTINATION}}, {"source": source})
            if found_faults:
                raise InputError("; ".join(found_faults), "source")
        destination = Destination.of(source if isinstance(source, Mapping) else {"path": str(source)})
        given = options.get("jails")
        wishes = None if given is None else tuple(_wish(options, one) for one in given)
        if wishes is None and state == "restored":
            raise InputError("which jails is missing", "jails", "Name those that are to be restored")
        files, to = tuple(str(one).strip("/") for one in options.get("files") or ()), str(options.get("to") or "").rstrip("/")
        _check_files(files, to, wishes, state)
        found = AGE.fullmatch(str(options.get("older_than") or "0h"))
        if found is None:
            raise InputError(f"{options['older_than']!r} is not an age", "older_than", "Such as 12h, 7d or 4w")
        _check_names(wishes or ())
        return cls(
            destination, wishes, options, state, tuple(str(word) for word in options.get("decrypt") or ()), bool(options.get("again")),
            options.get("new_identity"), files, to, int(found.group(1)) * HOURS[found.group(2)], _key(options.get("key_location")),
            str(options.get("storage_path") or "/usr/jails").rstrip("/"), options.get("storage_dataset"), check_mode,
        )

    def wish(self, jail: str) -> Wish:
        """What is asked of a jail that is not named."""
        return _wish(self.every, jail)


def _key(given: Any) -> str:
    if given and not re.fullmatch(r"(file:///|https?://)[!-~]+", str(given)):
        raise InputError(f"{given!r} is no place of a key", "key_location", "Such as file:///root/jails.key")
    return str(given or "")


def _check_files(files: Sequence[str], to: str, wishes: Optional[Sequence[Wish]], state: str) -> None:
    if not files and not to:
        return
    if state != "restored" or len(wishes or ()) != 1:
        raise InputError("files are of one jail", "files", "Name one jail, with state: restored")
    if not files or not to.startswith("/"):
        raise InputError("files and the directory that they go to belong together", "to", "Give files, and to: /an/absolute/path")
    for path in files:
        if not path or any(part in ("", ".", "..") for part in path.split("/")) or any(char in path for char in "\0*?[]\\"):
            raise InputError(f"{path!r} is not a path in the jail", "files", "Such as /etc/rc.conf")


def _check_names(wishes: Sequence[Wish]) -> None:
    names: List[str] = [wish.name for wish in wishes]
    for name in names:
        if names.count(name) > 1:
            raise InputError("two are to be restored under this name", f"jail {name}", "Give each its own")


def _wish(options: Mapping[str, Any], given: Any) -> Wish:
    own = own_words(JAIL, given, options)
    jail = check_name(str(own["name"]))
    where = f"jail {jail}"
    name = check_name(str(own["as"] or jail))
    for key in sorted({"name", "state", "copy_of", "adopt", "was", "root_password"} & set(own["declare"])):
        raise InputError(f"{key} is not declared here", f"{where}, declare", "Use 'as' for the name, start for the state, and the jails module for the rest")
    return Wish(jail, name, str(own["set"] or "latest"), own["declare"], own["start"] is None or bool(own["start"]), Gate.of(own["gate"], f"{where}, gate"))
