# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where sets are: how one is begun, filled, ended, found, read and removed there. What is not whole is never called a set."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Dict, List, Mapping, Optional, Sequence, Tuple

from ansible_collections.cellblock.jails.plugins.module_utils.backups import manifest as manifests
from ansible_collections.cellblock.jails.plugins.module_utils.backups.manifest import NAME, Manifest, Stream
from ansible_collections.cellblock.jails.plugins.module_utils.backups.model import Destination, put_in
from ansible_collections.cellblock.jails.plugins.module_utils.backups.notes import STATE
from ansible_collections.cellblock.jails.plugins.module_utils.engine import storage, streams
from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.errors import FormatError, HostError, Refused

GROWING = re.compile(r"\.(\d{8}T\d{6}Z)\.partial")
Argv = List[str]


@dataclass
class Shelf:
    """What is in a destination.

    :param sets: of each jail, oldest first.
    :param growing: the stamps of what runs that died left.
    :param taken: all stamps that something there is called by.
    :param odd: what stands among the sets and is none, with the reason; it is left alone.
    """

    sets: Dict[str, List[Manifest]] = field(default_factory=dict)
    growing: Dict[str, List[str]] = field(default_factory=dict)
    taken: List[str] = field(default_factory=list)
    odd: List[str] = field(default_factory=list)

    def add(self, text: str, where: str, jail: str, stamp: str) -> None:
        """A manifest that was found."""
        try:
            read = manifests.parse(text, where)
            if (read.jail, read.stamp) != (jail, stamp):
                raise FormatError(f"is of set {read.stamp} of jail {read.jail}", where, "Sets are not renamed")
        except FormatError as error:
            self.odd.append(str(error))
            return
        self.sets.setdefault(jail, []).append(read)
        self.sets[jail].sort(key=lambda one: one.stamp)


class Place:
    """A destination."""

    def __init__(self, destination: Destination) -> None:
        self.destination = destination

    # -- looked at

    def check(self, host: Host) -> None:
        """Refuse a place that is not there."""

    def shelf(self, host: Host) -> Shelf:
        """What is there."""
        raise NotImplementedError

    # -- written

    def begin(self, host: Host, jail: str, stamp: str) -> None:
        """Make room for a set."""
        raise NotImplementedError

    def sink(self, jail: str, stamp: str, name: str) -> Tuple[List[Argv], Optional[str]]:
        """What takes a file of a set: commands at the end of a stream, and the file of this host that it goes into."""
        raise NotImplementedError

    def prove(self, host: Host, jail: str, stamp: str, name: str, passed: streams.Passed) -> None:
        """Raise unless what arrived is what was sent; what this host wrote itself was digested on its way."""

    def finish(self, host: Host, made: Manifest) -> None:
        """What was begun is a set from now on."""
        raise NotImplementedError

    def update(self, host: Host, made: Manifest) -> None:
        """Another manifest of a set that is there."""
        raise NotImplementedError

    def drop_growing(self, host: Host, jail: str, stamp: str) -> None:
        """Take away what is not whole; fine when nothing is there."""
        raise NotImplementedError

    def drop(self, host: Host, made: Manifest) -> None:
        """Take a set away; killed on the way, what is left is no set."""
        raise NotImplementedError

    # -- read

    def source(self, made: Manifest, stream: Stream) -> Tuple[List[Argv], Optional[str]]:
        """What gives a stream of a set: commands at the beginning of a stream, and the file of this host that they read."""
        raise NotImplementedError

    def read(self, host: Host, made: Manifest, stream: Stream, target: str) -> streams.Flow:
        """Bring a stream into a new file of this host, through its readers; raise unless it is as its manifest says."""
        stages, path = self.source(made, stream)
        joint = len(stages)
        there = streams.flow(host, [*stages, *map(list, stream.readers)], source=path, target=target, digested=[joint])
        check(made, stream, there.passed[joint])
        return there


def check(made: Manifest, stream: Stream, passed: streams.Passed) -> None:
    """Raise unless what passed is what a manifest says."""
    if stream.sha256 and (passed.size, passed.sha256) != (stream.size, stream.sha256):
        what = f"has {passed.size} bytes of {stream.size}" if passed.size != stream.size else "is not what was written"
        raise HostError(f"its file {stream.name} {what}", f"set {made.stamp} of jail {made.jail}", "Use another set, and look at the disk")


class Directory(Place):
    """A directory of this host."""

    def __init__(self, destination: Destination, path: str) -> None:
        super().__init__(destination)
        self.path = path

    def check(self, host: Host) -> None:
        if not host.isdir(self.path):
            raise Refused("is not there", self.path, "Make it, or mount what it is on; it is not made here, for a disk that is not mounted")
        if host.outer(self.path) is not None:
            raise Refused("is in a jail's root, where that jail's root user could change sets", self.path, "Use a directory of the host's own")

    def shelf(self, host: Host) -> Shelf:
        found = Shelf()
        for jail in host.listdir(self.path):
            for entry in host.listdir(f"{self.path}/{jail}") if not jail.startswith(".") and host.isdir(f"{self.path}/{jail}") else ():
                growing = GROWING.fullmatch(entry)
                found.taken.append(growing.group(1) if growing else entry)
                where = f"{self.path}/{jail}/{entry}/{NAME}"
                text = host.read(where) if manifests.STAMP.fullmatch(entry) else None
                if growing:
                    found.growing.setdefault(jail, []).append(growing.group(1))
                elif text is not None:
                    found.add(text, where, jail, entry)
                elif manifests.STAMP.fullmatch(entry):
                    found.odd.append(f"{where}: there is none. It is no set, and is left alone.")
        return found

    def begin(self, host: Host, jail: str, stamp: str) -> None:
        for path in (f"{self.path}/{jail}", manifests.growing_path(self.path, jail, stamp)):
            host.makedirs(path, 0o700)
            host.chmod(path, 0o700)

    def sink(self, jail: str, stamp: str, name: str) -> Tuple[List[Argv], Optional[str]]:
        return [], f"{manifests.growing_path(self.path, jail, stamp)}/{name}"

    def finish(self, host: Host, made: Manifest) -> None:
        growing = manifests.growing_path(self.path, made.jail, made.stamp)
        host.write(f"{growing}/{NAME}", manifests.render(made), 0o600)
        streams.settle(host, growing)
        host.rename(growing, manifests.set_path(self.path, made.jail, made.stamp))
        streams.settle(host, f"{self.path}/{made.jail}")

    def update(self, host: Host, made: Manifest) -> None:
        host.write(f"{manifests.set_path(self.path, made.jail, made.stamp)}/{NAME}", manifests.render(made), 0o600)

    def drop_growing(self, host: Host, jail: str, stamp: str) -> None:
        storage.remove_tree(host, manifests.growing_path(self.path, jail, stamp))

    def drop(self, host: Host, made: Manifest) -> None:
        there = manifests.set_path(self.path, made.jail, made.stamp)
        if host.isdir(there):
            host.rename(there, manifests.growing_path(self.path, made.jail, made.stamp))
        self.drop_growing(host, made.jail, made.stamp)

    def source(self, made: Manifest, stream: Stream) -> Tuple[List[Argv], Optional[str]]:
        return [], f"{manifests.set_path(self.path, made.jail, made.stamp)}/{stream.name}"


class FarDirectory(Place):
    """A directory of another host; its own tools do it, by ssh(1)."""

    def __init__(self, destination: Destination, path: str) -> None:
        super().__init__(destination)
        self.path = path

    def far(self, *argv: str) -> Argv:
        """The command on that host: its shell gets each word quoted."""
        return far(self.destination, argv)

    def check(self, host: Host) -> None:
        told = host.ask(self.far("test", "-d", self.path))
        if told.rc == 255:
            raise unreachable(self.destination, told.said())
        if told.rc != 0:
            raise Refused("is not there", self.destination.words(), "Make it, or mount what it is on; it is not made here, for a disk that is not mounted")

    def shelf(self, host: Host) -> Shelf:
        found = Shelf()
        with host.scratch() as scratch:
            told = f"{scratch}/manifests"
            streams.flow(host, [self.far(
                "find", self.path, "-mindepth", "2", "-maxdepth", "3", "(", "-name", NAME, "-print", "-exec", "cat", "{}", ";", ")", "-o",
                "(", "-name", ".*.partial", "-print", ")",
            )], target=told, where=self.destination.words())
            text = host.read(told) or ""
        self._read_listing(found, text)
        return found

    def _read_listing(self, found: Shelf, text: str) -> None:
        """Paths, and after that of a manifest its text."""
        decoder, place, start = json.JSONDecoder(), 0, f"{self.path}/"
        while place < len(text):
            line, _newline, _rest = text[place:place + 4096].partition("\n")
            place += len(line) + 1
            words = line[len(start):].split("/") if line.startswith(start) else []
            growing = GROWING.fullmatch(words[1]) if len(words) == 2 else None
            if growing:
                found.growing.setdefault(words[0], []).append(growing.group(1))
            if len(words) != 3 or words[2] != NAME or not manifests.STAMP.fullmatch(words[1]):
                continue
            try:
                _value, end = decoder.raw_decode(text, place)
            except ValueError:
                found.odd.append(f"{line}: is no manifest. It is no set, and is left alone.")
                continue
            found.add(text[place:end], line, words[0], words[1])
            place = end + 1

    def begin(self, host: Host, jail: str, stamp: str) -> None:
        if host.ask(self.far("test", "-e", manifests.set_path(self.path, jail, stamp))).rc == 0:
            raise Refused(f"something is called {jail}/{stamp} already, and is no set", self.destination.words(), "Move it away, or run again in a second")
        host.run(self.far("mkdir", "-p", "-m", "700", f"{self.path}/{jail}"))
        host.run(self.far("mkdir", "-m", "700", manifests.growing_path(self.path, jail, stamp)))

    def sink(self, jail: str, stamp: str, name: str) -> Tuple[List[Argv], Optional[str]]:
        return [self.far("dd", f"of={manifests.growing_path(self.path, jail, stamp)}/{name}", "bs=64k", "conv=fsync", "status=none")], None

    def prove(self, host: Host, jail: str, stamp: str, name: str, passed: streams.Passed) -> None:
        path = f"{manifests.growing_path(self.path, jail, stamp)}/{name}"
        host.run(self.far("chmod", "600", path))
        arrived = host.run(self.far("sha256", "-q", path)).out.strip()
        if arrived != passed.sha256:
            raise HostError(f"{name} is there with another digest than it was sent with", self.destination.words(), "Look at that host's disk, and run again")

    def finish(self, host: Host, made: Manifest) -> None:
        growing = manifests.growing_path(self.path, made.jail, made.stamp)
        self._put(host, f"{growing}/{NAME}", made)
        host.run(self.far("mv", growing, manifests.set_path(self.path, made.jail, made.stamp)))
        host.run(self.far("sync"))

    def update(self, host: Host, made: Manifest) -> None:
        there = manifests.set_path(self.path, made.jail, made.stamp)
        self._put(host, f"{there}/.{NAME}", made)
        host.run(self.far("mv", f"{there}/.{NAME}", f"{there}/{NAME}"))

    def _put(self, host: Host, path: str, made: Manifest) -> None:
        host.run(self.far("dd", f"of={path}", "bs=64k", "conv=fsync", "status=none"), stdin=manifests.render(made))
        host.run(self.far("chmod", "600", path))

    def drop_growing(self, host: Host, jail: str, stamp: str) -> None:
        host.run(self.far("rm", "-rf", "--", manifests.growing_path(self.path, jail, stamp)))

    def drop(self, host: Host, made: Manifest) -> None:
        there, growing = manifests.set_path(self.path, made.jail, made.stamp), manifests.growing_path(self.path, made.jail, made.stamp)
        if host.ask(self.far("test", "-d", there)).rc == 0:
            host.run(self.far("mv", there, growing))
        self.drop_growing(host, made.jail, made.stamp)

    def source(self, made: Manifest, stream: Stream) -> Tuple[List[Argv], Optional[str]]:
        return [self.far("dd", f"if={manifests.set_path(self.path, made.jail, made.stamp)}/{stream.name}", "bs=64k", "status=none")], None


def unreachable(destination: Destination, said: str) -> HostError:
    """The destination's host does not answer."""
    return HostError(f"cannot be reached: {said}", destination.host, "Give this host's root a key there, and that host's key to its known_hosts")


def far(destination: Destination, argv: Sequence[str]) -> Argv:
    """A command, on the destination's host when that is another: the shell there gets each word quoted."""
    if not destination.host:
        return list(argv)
    import shlex

    return [*destination.ssh, shlex.join(argv)]


class Command(Directory):
    """A command keeps the streams; the manifests are kept on this host too, by them sets are found."""

    def __init__(self, destination: Destination) -> None:
        super().__init__(destination, f"{STATE}/{destination.id}/sets")

    def check(self, host: Host) -> None:
        """Nothing has to be there."""

    def sink(self, jail: str, stamp: str, name: str) -> Tuple[List[Argv], Optional[str]]:
        return [put_in(self.destination.command, jail, stamp, name)], None

    def finish(self, host: Host, made: Manifest) -> None:
        told = f"{manifests.growing_path(self.path, made.jail, made.stamp)}/{NAME}"
        host.write(told, manifests.render(made), 0o600)
        streams.flow(host, [put_in(self.destination.command, made.jail, made.stamp, NAME)], source=told, where=f"jail {made.jail}")
        super().finish(host, made)

    def drop(self, host: Host, made: Manifest) -> None:
        for name in [NAME, *(stream.name for stream in made.streams)] if self.destination.remove else []:
            host.run(put_in(self.destination.remove, made.jail, made.stamp, name))
        super().drop(host, made)

    def source(self, made: Manifest, stream: Stream) -> Tuple[List[Argv], Optional[str]]:
        return [put_in(made.readers or self.destination.read, made.jail, made.stamp, stream.name)], None


def place_of(host: Host, destination: Destination) -> Place:
    """The place that is asked for."""
    if destination.command:
        return Command(destination)
    if destination.dataset:
        from ansible_collections.cellblock.jails.plugins.module_utils.backups.datasets import in_dataset

        return in_dataset(host, destination)
    return FarDirectory(destination, destination.path) if destination.host else Directory(destination, destination.path)


def parents(shelf: Shelf, jail: str) -> Mapping[str, Manifest]:
    """The sets of a jail, by stamp."""
    return {one.stamp: one for one in shelf.sets.get(jail, [])}
