# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the streams of a set are read: which commands may read them, and that they are what the manifest says."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import List, Sequence, Tuple

from ansible_collections.cellblock.jails.plugins.module_utils.backups import places
from ansible_collections.cellblock.jails.plugins.module_utils.backups.finding import Chain
from ansible_collections.cellblock.jails.plugins.module_utils.backups.manifest import Manifest, Stream
from ansible_collections.cellblock.jails.plugins.module_utils.engine import streams
from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.errors import InputError

Argv = Tuple[str, ...]
# A manifest is a text from elsewhere: of the commands that it names, only these are run, and with no more than flags.
KNOWN = frozenset("zstd unzstd zstdcat gzip gunzip zcat xz unxz xzcat bzip2 bunzip2 lz4 unlz4 cat".split())
FLAG = re.compile(r"--?[a-zA-Z0-9-]+(=[0-9A-Za-z]+)?")


def readers(stream: Stream, decrypt: Sequence[str], where: str) -> List[Argv]:
    """The commands that undo a stream's filters.

    :param decrypt: what the operator gave for those that are not known.
    :raises InputError: one is neither.
    """
    found: List[Argv] = []
    for argv in stream.readers:
        if argv and argv[0].rpartition("/")[2] in KNOWN and all(FLAG.fullmatch(word) for word in argv[1:]):
            found.append(tuple(argv))
        elif decrypt:
            found.append(tuple(decrypt))
        else:
            raise InputError(
                f"{stream.name} passed through {' '.join(argv) or 'a filter'!r}, and no manifest is trusted with such a command", where,
                "Give the command that reads it as decrypt, such as [age, -d, -i, /root/backup.key]",
            )
    unread = len(stream.filters) - len(stream.readers)
    if unread > 0:
        if not decrypt:
            raise InputError(f"{stream.name} is encrypted", where, "Give the command that reads it as decrypt, such as [age, -d, -i, /root/backup.key]")
        found.insert(0, tuple(decrypt))
    return found


@dataclass(frozen=True)
class Reader:
    """Reads the streams of a chain of sets.

    :param decrypt: the command that reads what the manifest's own readers do not.
    """

    chain: Chain
    decrypt: Tuple[str, ...] = ()

    def check(self) -> None:
        """Refuse what cannot be read, before anything is touched."""
        for one in self.chain.sets:
            for stream in one.streams:
                readers(stream, self.decrypt, where(one))

    def prove(self, host: Host) -> None:
        """Digest every file of the sets."""
        for one in self.chain.sets:
            for stream in one.streams:
                if not stream.held:
                    self.prove_file(host, one, stream)

    def prove_file(self, host: Host, one: Manifest, stream: Stream) -> None:
        """Digest one file."""
        stages, path = self.chain.place.source(one, stream)
        flow = streams.flow(host, stages, source=path, digested=[len(stages)], where=where(one))
        places.check(one, stream, flow.passed[len(stages)])

    def pour(self, host: Host, one: Manifest, stream: Stream, sink: Sequence[str]) -> None:
        """Let a stream pass into a command, by all commands that read it; once more it is what the manifest says."""
        stages, path = self.chain.place.source(one, stream)
        read = [*stages, *readers(stream, self.decrypt, where(one)), tuple(sink)]
        flow = streams.flow(host, read, source=path, digested=[] if stream.held else [len(stages)], where=where(one))
        if not stream.held:
            places.check(one, stream, flow.passed[len(stages)])

    def text(self, host: Host, one: Manifest, name: str) -> str:
        """What a small file of a set says."""
        stream = one.find(name)
        stages, path = self.chain.place.source(one, stream)
        with host.scratch() as scratch:
            target = f"{scratch}/text"
            streams.flow(host, [*stages, *readers(stream, self.decrypt, where(one))], source=path, target=target, where=where(one))
            return host.read(target) or ""


def where(one: Manifest) -> str:
    """A set, for errors."""
    return f"set {one.stamp} of jail {one.jail}"
