# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A jail's definition on the way: its base, and what its mark says of the upgrade."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, List, Mapping, Optional

from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.engine.lock import SHARED
from ansible_collections.cellblock.jails.plugins.module_utils.formats import fstab
from ansible_collections.cellblock.jails.plugins.module_utils.jails import definition as definitions
from ansible_collections.cellblock.jails.plugins.module_utils.jails.definition import Definition
from ansible_collections.cellblock.jails.plugins.module_utils.jails.model import BASE_MOUNT
from ansible_collections.cellblock.jails.plugins.module_utils.upgrades.model import FACT

GUARD = "/usr/bin/false its upgrade was cut off"


def noting(definition: Definition, noted: Optional[Mapping[str, Any]]) -> Definition:
    """The same with another word on its upgrade; None takes it away."""
    return definition.noting(FACT, noted)


def guarded(definition: Definition) -> Definition:
    """The same as no boot starts it: half of a change must not serve. Our own starts do not read the file."""
    return definition.barred(GUARD) if definition.style == "jail_conf" else definition


def unguarded(definition: Definition) -> Definition:
    """The same without the guard."""
    return definition.unbarred(GUARD)


def on_base(definition: Definition, base: str, path: str) -> Definition:
    """The same on another base.

    :param base: as the mark names it.
    :param path: where it stands.
    """
    point = f"{definition.meta.get('path')}/{BASE_MOUNT}"
    params = dict(definition.params)
    if definition.meta.get("root") == "thin":
        params["mount"] = [_on(line, point, path) for line in params.get("mount", [])]
    return replace(definition, meta={**definition.meta, "base": base}, params=params)


def _on(line: str, point: str, path: str) -> str:
    entry = fstab.parse_line(line)
    if entry is None or entry.file != point:
        return line
    return fstab.render_line(replace(entry, spec=path))


def put(host: Host, definition: Definition) -> None:
    """Write a definition of ours that is there already, in its own style."""
    if definition.style == "jail_conf":
        host.write(definitions.conf_path(definition.name), definition.conf())
        return
    with SHARED:
        lines = (host.read(definitions.RC_CONF) or "").splitlines(keepends=True)
        host.write(definitions.RC_CONF, "".join(_marked(line, definition) for line in lines))
    mounts: List[str] = definition.params.get("mount", [])
    if mounts:
        host.write(definitions.fstab_path(definition.name), "".join(f"{line}\n" for line in mounts))


def _marked(line: str, definition: Definition) -> str:
    mark = definitions.read_mark(line.rstrip("\n"))
    return definition.mark() + "\n" if mark is not None and mark.get("name") == definition.name else line
