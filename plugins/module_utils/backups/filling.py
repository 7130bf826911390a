# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A root that is filled with what a chain of sets holds. What is in an archive was a jail's, and is an enemy's."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Dict, List, Mapping, Optional, Tuple

from ansible_collections.cellblock.jails.plugins.module_utils.backups.manifest import Manifest, Stream
from ansible_collections.cellblock.jails.plugins.module_utils.backups.reading import Reader
from ansible_collections.cellblock.jails.plugins.module_utils.engine import ask, storage
from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.engine.walk import Walk
from ansible_collections.cellblock.jails.plugins.module_utils.errors import HostError, InputError, UnsafePath
from ansible_collections.cellblock.jails.plugins.module_utils.formats import mtree
from ansible_collections.cellblock.jails.plugins.module_utils.jails.filling import Filling
from ansible_collections.cellblock.jails.plugins.module_utils.upgrades.keeping import beside

# Properties that a set may bring; all else is what the new place says.
BROUGHT = frozenset("compression recordsize atime relatime exec setuid sync xattr aclmode aclinherit acltype copies redundant_metadata logbias".split())
TAIL = re.compile(r"(/[A-Za-z0-9_.:-]+)*")


@dataclass(frozen=True)
class SetFilling(Filling):
    """Fills a root from a set and those that it builds on.

    :param fresh: whether it is given an identity of its own.
    :param compare: whether the files are compared with the set's list of them too.
    :param key: where the key of what was sent raw is, as zfs-load-key(8) takes it.
    """

    reader: Reader
    fresh: bool = False
    compare: bool = False
    key: str = ""

    @property
    def sets(self) -> Tuple[Manifest, ...]:
        """The full one first."""
        return self.reader.chain.sets

    @property
    def words(self) -> str:
        """What it is."""
        last = self.reader.chain.last
        return f"filled from set {last.stamp} of jail {last.jail}" + (" and those it builds on" if len(self.sets) > 1 else "")

    def check(self, dataset: bool, where: str) -> None:
        """Refuse what cannot be filled in.

        :param dataset: whether the root is a dataset.
        """
        self.reader.check()
        for one in self.sets:
            for stream in one.data():
                if stream.method == "zfs" and not dataset:
                    raise InputError(
                        f"set {one.stamp} is a stream of ZFS, and the root would be a plain directory", where,
                        "Give storage_dataset, or use a set that was made with method: tar",
                    )
                if stream.raw and not self.key:
                    raise InputError(
                        f"{stream.name} of set {one.stamp} is an encrypted dataset, and cannot be mounted without its key", where,
                        "Give key_location, such as file:///root/jails.key",
                    )

    def clear(self, host: Host, dataset: Optional[str]) -> None:
        """Datasets below the root, and snapshots, of a run that was cut off."""
        if dataset is None:
            return
        there = host.ask(["zfs", "list", "-H", "-o", "name", "-t", "filesystem,snapshot", "-r", dataset])
        below = [name for name in there.out.split() if name != dataset] if there.rc == 0 else []
        for name in sorted(below, key=lambda name: ("@" not in name, -name.count("/"))):
            storage.destroy_dataset(host, name)

    # -- datasets

    def fill_dataset(self, host: Host, dataset: str, properties: Mapping[str, str], place: str) -> None:
        """Receive the streams of each set, then mount; nothing is mounted before it is whole."""
        first = self.sets[0].data()
        if first[0].method == "tar":
            storage.create_dataset(host, dataset, {**_brought(first[0]), **properties})
            self.fill_directory(host, place)
            return
        targets: Dict[str, Stream] = {}
        for one in self.sets:
            for stream in one.data():
                target = dataset + _tail(stream, one.data()[0])
                given = () if target in targets or stream.since else self._options(stream, properties if target == dataset else {})
                self.reader.pour(host, one, stream, ["zfs", "receive", "-u", *given, target])
                targets[target] = stream
        self._prove(host, targets)
        for target in sorted(targets):
            self._mount(host, dataset, target, place, targets[target].path, targets[target].raw)

    def _options(self, stream: Stream, properties: Mapping[str, str]) -> List[str]:
        return [word for key, value in {**_brought(stream), **properties}.items() for word in ("-o", f"{key}={value}")]

    def _prove(self, host: Host, targets: Mapping[str, Stream]) -> None:
        """An equal guid is an equal content: the receive has checked every block's sum."""
        for target, stream in targets.items():
            told = host.run(["zfs", "list", "-Hp", "-t", "snapshot", "-d", "1", "-s", "createtxg", "-o", "name,guid", target]).out.splitlines()
            received = [line.split("\t") for line in told]
            if stream.guid and (not received or received[-1][1] != stream.guid):
                got = received[-1][1] if received else "nothing"
                raise HostError(f"was received as {got}, not as {stream.guid}", target, "Use another set")
            for name, _guid in received:
                storage.destroy_dataset(host, name)

    def _mount(self, host: Host, dataset: str, target: str, place: str, path: str, raw: bool) -> None:
        """Over no link: what is mounted first is a jail's own, and may lead elsewhere."""
        if target != dataset:
            _refuse_links(host, place, path)
            if target[len(dataset) + 1:] != path:
                storage.set_properties(host, target, {"mountpoint": f"{place}/{path}"})
        if raw:
            self._unlock(host, target)
        if all(mount.special != target for mount in ask.mounts(host)):
            host.run(["zfs", "mount", target])
        wanted = f"{place}/{path}".rstrip("/")
        node = next((mount.node for mount in ask.mounts(host) if mount.special == target), None)
        if node != wanted:
            raise HostError(f"was mounted at {node}, not at {wanted}", target, "Mount its parents, see 'zfs mount'")

    def _unlock(self, host: Host, target: str) -> None:
        """Load its key, and note where it is for the next boot."""
        if host.run(["zfs", "get", "-Hp", "-o", "value", "keystatus", target]).out.strip() != "available":
            host.run(["zfs", "load-key", "-L", self.key, target])
        storage.set_properties(host, target, {"keylocation": self.key})

    # -- directories

    def fill_directory(self, host: Host, place: str) -> None:
        """Lay the archives over each other, oldest first; what was deleted meanwhile goes in between."""
        for one in self.sets:
            for stream in one.data():
                if stream.method != "tar":
                    raise InputError(f"set {one.stamp} is a stream of ZFS", place, "Give storage_dataset")
                self._lay(host, one, stream, place)
        if storage.acls(ask.mounts(host), place) != "nfsv4acls":
            self._give_modes(host, place)

    def _give_modes(self, host: Host, place: str) -> None:
        """What had an NFSv4 ACL is in an archive without any mode (seen on 15.1): where it cannot have the ACL, it gets its mode."""
        last = self.reader.chain.last
        for stream in last.streams:
            if stream.method != "mtree":
                continue
            walk = Walk.of(host, f"{place}/{stream.path}".rstrip("/"))
            bare = {path: stamp for path, stamp in walk.survey(lambda path: True).items() if stamp.kind in ("file", "directory") and not stamp.mode & 0o777}
            if not bare:
                continue
            for path, said in mtree.entries(self.reader.text(host, last, stream.name).splitlines(keepends=True), stream.name):
                if path in bare and re.fullmatch("[0-7]{1,5}", said.get("mode", "")):
                    flags = bare[path].flags
                    walk.loosen(path)
                    walk.shape(path, replace(bare[path], mode=int(said["mode"], 8)))
                    walk.flag(path, flags)

    def _lay(self, host: Host, one: Manifest, stream: Stream, place: str) -> None:
        root = place
        if stream.path:
            _refuse_links(host, place, stream.path)
            host.tree(place).makedirs(stream.path)
            root = f"{place}/{stream.path}"
        if not one.parent:
            self.reader.pour(host, one, stream, storage.unpacking(root))
            return
        gone = self.reader.text(host, one, stream.gone).split("\0") if stream.gone else []
        walk = Walk.of(host, root)
        for path in sorted(filter(None, (path.removeprefix("./") for path in gone)), key=lambda path: -path.count("/")):
            walk.discard(path)
        self._lay_over(host, one, stream, root, walk)

    def _lay_over(self, host: Host, one: Manifest, stream: Stream, root: str, walk: Walk) -> None:
        """By a place of its own: so what stands in the way of each file is known, and its flags are taken away first."""
        growing = beside(root, "increment")
        storage.remove_tree(host, growing)
        host.makedirs(growing, 0o700)
        self.reader.pour(host, one, stream, storage.unpacking(growing))
        for path, stamp in Walk.of(host, growing).survey(lambda path: True).items():
            found = walk.stamp(path)
            if found is not None:
                walk.loosen(path)
                if found.kind == "directory" and stamp.kind != "directory":
                    storage.remove_tree(host, f"{root}/{path}")
                elif found.kind != "directory":
                    walk.discard(path)
        storage.copy_tree(host, growing, root)
        storage.remove_tree(host, growing)

    def finish(self, host: Host, place: str) -> None:
        """Compare, and take away what only one system may have."""
        if self.compare:
            self._compare(host, place)
        if self.fresh:
            from ansible_collections.cellblock.jails.plugins.module_utils.jails.copying import renew

            renew(host, place)

    def _compare(self, host: Host, place: str) -> None:
        """With the list of all that the jail had; flags aside where ZFS sets one of its own on whatever is written."""
        last = self.reader.chain.last
        nodes = [mount for mount in ask.mounts(host) if f"{place}/".startswith(f"{mount.node.rstrip('/')}/")]
        on_zfs = max(nodes, key=lambda mount: len(mount.node)).fstype == "zfs" if nodes else False
        for stream in last.streams:
            if stream.method == "mtree":
                lines = mtree.comparable(self.reader.text(host, last, stream.name).splitlines(keepends=True))
                with host.scratch() as scratch:
                    listed = "".join(re.sub(r" flags=\S+", "", line) if on_zfs else line for line in lines)
                    host.write(f"{scratch}/mtree", listed, 0o600)
                    told = host.ask(["mtree", "-x", "-f", f"{scratch}/mtree", "-p", f"{place}/{stream.path}".rstrip("/")])
                if told.rc != 0:
                    raise HostError(f"differs from its set: {told.said()[:400]}", place, "Use another set")


def _brought(stream: Stream) -> Dict[str, str]:
    return {key: value for key, value in stream.properties.items() if key in BROUGHT and re.fullmatch(r"[A-Za-z0-9_.-]+", value)}


def _tail(stream: Stream, top: Stream) -> str:
    """What a dataset is called below the root's."""
    tail = stream.dataset[len(top.dataset):] if stream.dataset.startswith(top.dataset) else ""
    if (stream is not top and not tail) or not TAIL.fullmatch(tail):
        raise InputError(f"has stream {stream.name} of dataset {stream.dataset!r}", "manifest", "The set was changed by hand; use another")
    return tail


def _refuse_links(host: Host, place: str, path: str) -> None:
    """The way to a place below a root leads over directories only."""
    tree, parts = host.tree(place), path.split("/")
    for depth in range(1, len(parts) + 1):
        kind = tree.look("/".join(parts[:depth]), 0).kind
        if kind not in ("absent", "directory"):
            shown = f"{place}/{'/'.join(parts[:depth])}"
            raise UnsafePath(f"is a {kind}, and is not followed", shown, "The jail that was backed up put it there; use another set")
