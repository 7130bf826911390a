# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is mounted in a jail's root."""

from __future__ import annotations

import os.path
from typing import Any, List, Mapping, Optional, Sequence, Tuple

from ansible_collections.cellblock.jails.plugins.module_utils.engine.plan import Step
from ansible_collections.cellblock.jails.plugins.module_utils.errors import Faults, InputError
from ansible_collections.cellblock.jails.plugins.module_utils.formats import fields, fstab
from ansible_collections.cellblock.jails.plugins.module_utils.jails import roots
from ansible_collections.cellblock.jails.plugins.module_utils.jails.aspects.aspect import Always
from ansible_collections.cellblock.jails.plugins.module_utils.jails.definition import Definition
from ansible_collections.cellblock.jails.plugins.module_utils.jails.model import BASE_MOUNT, Jail
from ansible_collections.cellblock.jails.plugins.module_utils.jails.scene import Change, Draft, Scene

KEYS = ("src", "dest", "type", "opts")
# What a thin jail sees of its base through links.
THIN_LINKS = (
    *(name for name in "bin boot lib libexec rescue sbin".split()), *roots.LINKED,
    *(f"usr/{name}" for name in "bin include lib lib32 libdata libexec sbin share src tests".split()),
)


class Mounts(Always):
    """Declared mounts, the base of a thin jail, and the directories that they need."""

    name = "mounts"
    held = ("mount", "mount.devfs", "mount.fdescfs", "mount.procfs", "mount.fstab")

    def look(self, jail: Jail) -> Mapping[str, int]:
        """The mount points."""
        return dict.fromkeys((*jail.own_points(), *jail.declared_points()), 0)

    def define(self, scene: Scene, jail: Jail, old: Optional[Definition], draft: Draft) -> None:
        """The base comes first, so that others can be mounted over it."""
        mounts = [fstab.render_line(entry) for entry in jail.mounts]
        if jail.root == "thin":
            base = fstab.Entry(jail.base_path(scene.request.storage_path), f"{jail.path}/{BASE_MOUNT}", "nullfs", "ro", 0, 0)
            mounts.insert(0, fstab.render_line(base))
        if mounts:
            draft.params["mount"] = mounts

    def check(self, change: Change) -> None:
        """What is mounted must be there, unless a hook makes it before, and be seen where it is mounted."""
        jail, old, new = change.jail, change.old, change.wanted
        if old is None or new is None or old.params.get("mount") != new.params.get("mount"):
            _check_places(change)
        if not change.ends_running or new is None or "exec.prepare" in jail.params:
            return
        if change.live and jail.state != "restarted" and old is not None and old.params.get("mount") == new.params.get("mount"):
            return
        for number, entry in enumerate(jail.mounts, 1):
            if entry.spec in change.scene.seen.missing_sources:
                raise InputError(
                    f"{entry.spec} is not there to be mounted", f"jail {jail.name}, mounts[{number}]",
                    "Make it in a task before, or mend the path; nobody makes it here, since it is the host's",
                )

    def prepare(self, change: Change) -> List[Step]:
        """Make the mount points."""
        return roots.make_mount_points(change.jail, change.files)


def declared(given: Sequence[Any], path: str, where: str) -> Tuple[fstab.Entry, ...]:
    faults = Faults()
    entries = faults.each(enumerate(given, 1), lambda one: _entry(one[1], path, f"{where}, mounts[{one[0]}]"))
    for number, entry in enumerate(entries, 1):
        with faults:
            if entry in entries[:number - 1]:
                raise InputError(f"{entry.spec} is mounted at {entry.file} twice", f"{where}, mounts[{number}]", "Take one out")
    faults.tell()
    return tuple(entries)


def _check_places(change: Change) -> None:
    """Refuse what stands behind a link into a thin jail's base; warn of what is hidden by what is mounted later."""
    jail = change.jail
    for number, point in enumerate(jail.declared_points()):
        where = f"jail {jail.name}, mounts[{number + 1}]"
        link = next((one for one in THIN_LINKS if f"{point}/".startswith(f"{one}/")), None)
        if jail.root == "thin" and link is not None:
            raise InputError(
                f"/{link} is a link into the base of a thin jail, and nothing is mounted behind it", where,
                "Mount it below /usr/local, /var, /mnt or a directory of its own, or make the jail with root: thick or clone",
            )
        over = [other for other in [*jail.declared_points()[number + 1:], *jail.own_points()] if point.startswith(f"{other}/")]
        if over:
            change.scene.warnings.append(
                f"{where}: what is mounted at /{point} is hidden by what is mounted at /{over[0]} after it. "
                + ("Put the outer one first" if over[0] not in jail.own_points() else
                   f"With params mount.{'devfs' if over[0] == 'dev' else 'procfs'}: false and that one in mounts, it can come first")
            )


def _entry(value: Any, path: str, where: str) -> fstab.Entry:
    try:
        entry = fstab.parse_line(value) if isinstance(value, str) else _mount(value, path)
    except (KeyError, ValueError) as error:
        raise InputError(f"not a mount: {error}", where, "Give an fstab(5) line, or src, dest and type") from error
    if entry is None:
        raise InputError("an empty mount", where, "Give an fstab(5) line, or src, dest and type")
    fields.check("line", entry.spec + entry.file, where)
    fields.check("type of file system", entry.vfstype, where)
    fields.check("options of a mount", entry.mntops, where)
    if entry.vfstype == "nullfs" and not entry.spec.startswith("/"):
        raise InputError(f"{entry.spec!r} is not an absolute path", where, "Give the directory of the host that is mounted")
    if os.path.normpath(entry.file) != entry.file or not entry.file.startswith(path + "/"):
        raise InputError(f"{entry.file} is not below the jail's root {path}", where, "Mount points are paths of the host")
    return entry


def _mount(value: Mapping[str, Any], path: str) -> fstab.Entry:
    unknown = [str(key) for key in value if key not in KEYS]
    if unknown or "dest" not in value:
        raise ValueError(f"{unknown[0]} is none of {', '.join(KEYS)}" if unknown else "dest, the mount point, is missing")
    dest = str(value["dest"])
    kind = str(value.get("type") or "nullfs")
    return fstab.Entry(
        str(value.get("src") or kind), os.path.normpath(f"{path}/{dest.lstrip('/')}"), kind,
        str(value.get("opts") or "rw"), 0, 0,
    )
