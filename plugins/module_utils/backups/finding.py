# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which sets of a jail a destination has, and which of them is meant."""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass
from typing import List, Optional, Tuple

from ansible_collections.cellblock.jails.plugins.module_utils.backups.basing import BASES
from ansible_collections.cellblock.jails.plugins.module_utils.backups.basing import find as find_base
from ansible_collections.cellblock.jails.plugins.module_utils.backups.manifest import STAMP, Manifest, chain, former, time_of
from ansible_collections.cellblock.jails.plugins.module_utils.backups.model import Destination
from ansible_collections.cellblock.jails.plugins.module_utils.backups.places import Place, place_of
from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.errors import InputError

LATEST = "latest"


@dataclass(frozen=True)
class Chain:
    """A set, and those that it builds on.

    :param place: where they are.
    :param sets: the full one first, the one that is meant last.
    :param base: the set of the base that the jail mounts.
    """

    place: Place
    sets: Tuple[Manifest, ...]
    base: Optional[Manifest] = None

    @property
    def last(self) -> Manifest:
        """The one that is meant."""
        return self.sets[-1]


class Finder:
    """The sets of a destination.

    :param destination: where they are.
    """

    def __init__(self, host: Host, destination: Destination) -> None:
        self.host, self.destination = host, destination
        self.place = place_of(host, destination)
        self.place.check(host)
        self.shelf = self.place.shelf(host)

    def jails(self) -> List[str]:
        """The jails that have sets here."""
        return [name for name in self.shelf.sets if name != BASES]

    def sets(self, jail: str) -> List[Manifest]:
        """The sets of a jail, oldest first."""
        return self.shelf.sets.get(jail, [])

    def find(self, jail: str, wanted: str) -> Chain:
        """The set that is meant, with those that it needs, all of their files there and as long as they should be.

        :param wanted: ``latest``, a stamp, or a time: the last set that is not younger.
        """
        sets = self.sets(jail)
        where = f"jail {jail}, sets in {self.destination.words()}"
        told = f"There are {', '.join(one.stamp for one in sets[-10:])}" if sets else f"It has sets of {', '.join(self.jails()) or 'no jail'}"
        odd = [text for text in self.shelf.odd if f"/{jail}/" in text]
        told += f". What is no set: {' '.join(odd)}" if odd else ""
        last = _meant(sets, wanted, where, told)
        if last is None:
            raise InputError(f"there is no set {wanted}" if wanted != LATEST else "there is no set", where, told)
        earlier = [one for name in former(last.mark) for one in self.sets(name)]
        held = all(stream.held for stream in last.data())  # a dataset has all of it, whatever it came by
        found = Chain(self.place, (last,) if held else tuple(chain([*earlier, *sets], last)), find_base(self.shelf, last.base))
        for one in found.sets:
            self._look(one)
        return found

    def _look(self, one: Manifest) -> None:
        """Refuse what lacks a file, or has a short one, as far as that is seen from here."""
        for stream in one.streams:
            stages, path = self.place.source(one, stream)
            there = self.host.lstat(path) if path is not None and not stages else None
            if path is not None and not stages and (there is None or there.st_size != stream.size):
                has = "is not there" if there is None else f"has {there.st_size} bytes of {stream.size}"
                raise InputError(f"is not whole: {stream.name} {has}", path, "Use another set")


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
