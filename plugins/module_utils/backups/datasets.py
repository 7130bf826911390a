# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A dataset as destination, of this host or another: streams are received below it, each set is a snapshot.

The dataset itself is mounted and holds the manifests. Those below it are read-only and mounted nowhere.
"""

from __future__ import annotations

from typing import List, Optional, Set, Tuple

from ansible_collections.cellblock.jails.plugins.module_utils.backups.manifest import Manifest, Stream
from ansible_collections.cellblock.jails.plugins.module_utils.backups.model import Destination
from ansible_collections.cellblock.jails.plugins.module_utils.backups.places import Argv, Directory, FarDirectory, Place, Shelf, far, unreachable
from ansible_collections.cellblock.jails.plugins.module_utils.engine import streams
from ansible_collections.cellblock.jails.plugins.module_utils.engine.commands import CommandError
from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.errors import HostError, Refused

# Never mounted, never written: an increment then always fits.
RECEIVED = ("-o", "readonly=on", "-o", "canmount=noauto", "-o", "mountpoint=none")


class InDataset(Place):
    """Sets that are snapshots.

    :param manifests: where the manifests are.
    """

    def __init__(self, destination: Destination, manifests: Place) -> None:
        super().__init__(destination)
        self.manifests = manifests

    def far(self, *argv: str) -> Argv:
        """A command where the dataset is."""
        return far(self.destination, argv)

    def check(self, host: Host) -> None:
        self.manifests.check(host)

    def shelf(self, host: Host) -> Shelf:
        return self.manifests.shelf(host)

    def begin(self, host: Host, jail: str, stamp: str) -> None:
        self.manifests.begin(host, jail, stamp)

    def sink(self, jail: str, stamp: str, name: str) -> Tuple[List[Argv], Optional[str]]:
        return self.manifests.sink(jail, stamp, name)

    def receive(self, target: str, whole: bool) -> Argv:
        """What takes a stream into a dataset, a new one when it is whole by itself."""
        return self.far("zfs", "receive", "-u", *(RECEIVED if whole else ()), target)

    def prove(self, host: Host, jail: str, stamp: str, name: str, passed: streams.Passed) -> None:
        self.manifests.prove(host, jail, stamp, name, passed)

    def prove_held(self, host: Host, held: str, guid: str) -> None:
        """Raise unless the snapshot that arrived is the one that was sent."""
        arrived = host.run(self.far("zfs", "get", "-Hp", "-o", "value", "guid", held)).out.strip()
        if arrived != guid:
            raise HostError(f"is there with guid {arrived}, was sent with {guid}", held, "Look at that host's pool, and run again")

    def finish(self, host: Host, made: Manifest) -> None:
        self.manifests.finish(host, made)

    def update(self, host: Host, made: Manifest) -> None:
        self.manifests.update(host, made)

    def drop_growing(self, host: Host, jail: str, stamp: str) -> None:
        listed = host.ask(self.far("zfs", "list", "-H", "-r", "-t", "snapshot", "-o", "name", self.destination.dataset)).out.split()
        mine = [name for name in listed if name.startswith(f"{self.destination.dataset}/{jail}:") and f"@cellblock-backup-{stamp}-" in name]
        self._destroy(host, mine)
        self.manifests.drop_growing(host, jail, stamp)

    def drop(self, host: Host, made: Manifest) -> None:
        self.manifests.drop(host, made)  # what lacks its manifest is no set
        self._destroy(host, [stream.held for stream in made.streams if stream.held])

    def _destroy(self, host: Host, snapshots: List[str]) -> None:
        """Destroy snapshots, and their datasets when they were the last ones."""
        emptied: Set[str] = set()
        for name in snapshots:
            result = host.ask(self.far("zfs", "destroy", name))
            if result.rc != 0 and not any(words in result.err for words in ("does not exist", "could not find")):
                raise CommandError(result)
            emptied.add(name.partition("@")[0])
        for dataset in sorted(emptied, key=lambda name: -name.count("/")):
            result = host.ask(self.far("zfs", "destroy", dataset))
            if result.rc != 0 and not any(words in result.err for words in ("does not exist", "has children")):
                raise CommandError(result)

    def source(self, made: Manifest, stream: Stream) -> Tuple[List[Argv], Optional[str]]:
        if not stream.held:
            return self.manifests.source(made, stream)
        return [self.far("zfs", "send", *(["-w"] if stream.raw else ["-Lec"]), stream.held)], None


def in_dataset(host: Host, destination: Destination) -> InDataset:
    """The place of a dataset; it has to be mounted."""
    told = host.ask(far(destination, ["zfs", "get", "-Hp", "-o", "value", "mountpoint,mounted", destination.dataset]))
    if told.rc == 255 and destination.host:
        raise unreachable(destination, told.said())
    words = told.out.split("\n")
    if told.rc != 0:
        raise Refused(f"is not there: {told.said()}", destination.words(), "Make it, such as by zfs create")
    if words[1:2] != ["yes"]:
        raise Refused("is not mounted, and the manifests are in it", destination.words(), "Mount it, see zfs(8)")
    return InDataset(destination, FarDirectory(destination, words[0]) if destination.host else Directory(destination, words[0]))
