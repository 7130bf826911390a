# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which sets of a jail a destination has, and which of them is meant."""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass
from typing import List, Optional, Tuple

from ansible_collections.cellblock.jails.plugins.module_utils.backups.manifest import NAME, STAMP, Manifest, chain, parse, set_path, time_of
from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.errors import CellblockError, HostError, InputError

LATEST = "latest"


@dataclass(frozen=True)
class Chain:
    """A set, and those that it builds on.

    :param destination: the directory that they are in.
    :param sets: the full one first, the one that is meant last.
    """

    destination: str
    sets: Tuple[Manifest, ...]

    @property
    def last(self) -> Manifest:
        """The one that is meant."""
        return self.sets[-1]

    def path(self, one: Manifest, name: str) -> str:
        """Where a file of a set is."""
        return f"{set_path(self.destination, one.jail, one.stamp)}/{name}"


def sets_of(host: Host, destination: str, jail: str) -> Tuple[List[Manifest], List[str]]:
    """The sets of a jail, oldest first, and what is wrong with what looks like one."""
    found: List[Manifest] = []
    wrong: List[str] = []
    for stamp in host.listdir(f"{destination}/{jail}"):
        if STAMP.fullmatch(stamp):
            path = f"{set_path(destination, jail, stamp)}/{NAME}"
            try:
                text = host.read(path)
                manifest = parse(text, path) if text is not None else None
                if manifest is None or (manifest.jail, manifest.stamp) != (jail, stamp):
                    raise HostError("there is no manifest of this set" if manifest is None else "is of another set", path, "The set is not whole; use another")
                found.append(manifest)
            except CellblockError as error:
                wrong.append(str(error))
    return found, wrong


def jails_of(host: Host, destination: str) -> List[str]:
    """The jails that a destination has sets of."""
    return [name for name in host.listdir(destination) if any(STAMP.fullmatch(stamp) for stamp in host.listdir(f"{destination}/{name}"))]


def find(host: Host, destination: str, jail: str, wanted: str) -> Chain:
    """The set that is meant, with those that it needs, all of their files there and as long as they should be.

    :param wanted: ``latest``, a stamp, or a time: the last set that is not younger.
    """
    if not host.isdir(destination):
        raise InputError("is no directory of this host", destination, "Mount it, or bring the sets here, as the playbook restore does")
    sets, wrong = sets_of(host, destination, jail)
    where = f"jail {jail}, sets in {destination}"
    told = f"There are {', '.join(one.stamp for one in sets[-10:])}" if sets else f"It has sets of {', '.join(jails_of(host, destination)) or 'no jail'}"
    if wrong:
        told += f". Not whole: {'; '.join(wrong)}"
    last = _meant(sets, wanted, where, told)
    if last is None:
        raise InputError(f"there is no set {wanted}" if wanted != LATEST else "there is no set", where, told)
    held = all(stream.held for stream in last.data())  # a dataset has all of it, whatever it came by
    found = Chain(destination, (last,) if held else tuple(chain(sets, last)))
    for one in found.sets:
        for stream in one.streams:
            path = found.path(one, stream.name)
            there = host.lstat(path)
            if not stream.held and (there is None or there.st_size != stream.size):
                has = "is not there" if there is None else f"has {there.st_size} bytes of {stream.size}"
                raise InputError(f"is not whole: {stream.name} {has}", path, "Use another set")
    return found


def _meant(sets: List[Manifest], wanted: str, where: str, told: str) -> Optional[Manifest]:
    if wanted == LATEST:
        return sets[-1] if sets else None
    if STAMP.fullmatch(wanted):
        return next((one for one in sets if one.stamp == wanted), None)
    until = _time(wanted, where)
    older = [one for one in sets if time_of(one.stamp) <= until]
    return older[-1] if older else None


def _time(text: str, where: str) -> datetime.datetime:
    """A time as people write it; UTC where it does not say."""
    try:
        found = datetime.datetime.fromisoformat(re.sub(r"[zZ]$", "+00:00", text.strip()))
    except ValueError as error:
        raise InputError(f"{text!r} is neither a set nor a time", where, "Write latest, 20261127T073217Z, or 2026-11-27 07:32") from error
    return found if found.tzinfo is not None else found.replace(tzinfo=datetime.timezone.utc)
