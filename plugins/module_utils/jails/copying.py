# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A root that is filled with another jail's state, and given an identity of its own."""

from __future__ import annotations

import contextlib
import re
import time
from dataclasses import dataclass
from typing import Iterator, Mapping, Optional, Tuple

from ansible_collections.cellblock.jails.plugins.module_utils.engine import storage
from ansible_collections.cellblock.jails.plugins.module_utils.engine.commands import CommandError
from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.engine.walk import Walk, refresh
from ansible_collections.cellblock.jails.plugins.module_utils.errors import HostError, UnsafePath
from ansible_collections.cellblock.jails.plugins.module_utils.formats import fstab
from ansible_collections.cellblock.jails.plugins.module_utils.jails import runtime
from ansible_collections.cellblock.jails.plugins.module_utils.jails.definition import Definition
from ansible_collections.cellblock.jails.plugins.module_utils.jails.filling import Filling
from ansible_collections.cellblock.jails.plugins.module_utils.jails.model import BASE_MOUNT
from ansible_collections.cellblock.jails.plugins.module_utils.jails.roots import OURS

TAKEN = f"{OURS}copy-"  # what follows is the copy's name
# What tells one system from another, and is made anew by rc(8) or by a service where it is missing: a directory, and names in it.
IDENTITY: Tuple[Tuple[str, str], ...] = (
    ("etc/ssh", r"ssh_host_.*"), ("etc", r"hostid|machine-id"), ("var/db", r"dhclient\.leases\..*|dhcp6c_duid|machine-id|entropy-file"),
    ("var/db/dhcpcd", r".*"), ("var/db/entropy", r".*"), ("boot", r"entropy"), ("", r"entropy"), ("var/lib/dbus", r"machine-id"),
    ("usr/local/etc/ssh", r"ssh_host_.*"),
)
PASSING = "var/run"  # what lives as long as a boot
HOOK_TIMEOUT = 3600.0


@dataclass(frozen=True)
class Copying(Filling):
    """A copy of another jail.

    :param name: the copy.
    :param of: the jail that it is made of.
    :param path: that one's root.
    :param dataset: its dataset, when the copy's is of the same pool.
    :param origin: the snapshot of a base that both are clones of; None for what is sent as a whole.
    :param runs: whether that jail runs meanwhile.
    :param hook: what is run in the copy before it is whole: a command and its words.
    :param base: what a thin one mounts.
    """

    name: str
    of: str
    path: str
    dataset: Optional[str] = None
    origin: Optional[str] = None
    runs: bool = False
    hook: Tuple[str, ...] = ()
    base: Optional[str] = None

    @property
    def words(self) -> str:
        """What it is, and how whole."""
        how = " as a power cut would leave it" if self.runs and self.dataset else " while it runs" if self.runs else ""
        return f"filled with a copy of jail {self.of}{how}"

    @property
    def alone(self) -> str:
        """What the jail is called in which the hook runs; no declared jail is."""
        return f"cellblock_copy_{re.sub('[^A-Za-z0-9]', '_', self.name)}"

    def clear(self, host: Host, dataset: Optional[str]) -> None:
        """Snapshots, and the jail of the hook."""
        if self.hook and runtime.alive(host, self.alone):
            told = host.run(["jls", "-j", self.alone, "path"]).out.strip()
            self._end(host, told)
        for one in (self.dataset, dataset):
            if one is not None:
                drop(host, f"{one}@{TAKEN}{self.name}")

    def fill_dataset(self, host: Host, dataset: str, properties: Mapping[str, str], place: str) -> None:
        """By a stream of a snapshot: it holds on to nothing of the source, which can go later."""
        if self.dataset is None:
            storage.create_dataset(host, dataset, properties)
            self.fill_directory(host, place)
            return
        snapshot = f"{self.dataset}@{TAKEN}{self.name}"
        storage.snapshot(host, snapshot)
        storage.stream(host, snapshot, dataset, properties, self.origin)
        drop(host, snapshot)
        drop(host, f"{dataset}@{TAKEN}{self.name}")

    def fill_directory(self, host: Host, place: str) -> None:
        """By a copy of the tree; of a jail that runs in two passes, so that what a pass misses is short."""
        started = int(time.time())
        try:
            storage.copy_tree(host, self.path, place)
        except CommandError:
            if not self.runs:  # else a file went away under tar(1), and the second pass looks at all
                raise
        if self.runs:
            refresh(Walk.of(host, self.path), Walk.of(host, place), started - 2)

    def finish(self, host: Host, place: str) -> None:
        """Take away what only one system may have, then run the hook."""
        renew(host, place)
        if self.hook:
            self._run_hook(host, place)

    def _run_hook(self, host: Host, place: str) -> None:
        with self._alone(host, place):
            host.run(["jexec", "-l", self.alone, *self.hook], timeout=HOOK_TIMEOUT, where=f"jail {self.name}, copy_hook")

    @contextlib.contextmanager
    def _alone(self, host: Host, place: str) -> Iterator[None]:
        """The copy as a jail without a network, in which nothing starts by itself."""
        tree = host.tree(place)
        for point in ("dev", *([BASE_MOUNT] if self.base else [])):
            tree.makedirs(point)
        definition = self._definition(place)
        result = host.ask(["jail", "-f", "-", "-c", self.alone], stdin=definition.conf())
        if result.rc != 0:
            runtime.clean_up(host, definition)
            raise HostError(f"the jail that copy_hook runs in did not start: {result.said()}", f"jail {self.name}")
        try:
            yield
        finally:
            self._end(host, place)

    def _end(self, host: Host, place: str) -> None:
        definition = self._definition(place)
        host.ask(["jail", "-f", "-", "-r", self.alone], stdin=definition.conf())
        runtime.clean_up(host, definition)
        runtime.wait_dead(host, self.alone)

    def _definition(self, place: str) -> Definition:
        params = {
            "path": [place], "host.hostname": [self.name], "persist": ["true"], "exec.clean": ["true"], "mount.devfs": ["true"],
            "devfs_ruleset": ["4"], "ip4": ["disable"], "ip6": ["disable"],
        }
        if self.base:
            params["mount"] = [fstab.render_line(fstab.Entry(self.base, f"{place}/{BASE_MOUNT}", "nullfs", "ro", 0, 0))]
        return Definition(self.alone, "jail_conf", {}, params)


def renew(host: Host, place: str) -> None:
    """Take away what only one system may have, and what passes with a boot."""
    tree = host.tree(place)
    for directory, names in IDENTITY:
        for name in _names(host, place, directory):
            if re.fullmatch(names, name):
                _forget(host, place, f"{directory}/{name}")
    if tree.look(PASSING, 0).kind == "directory":
        for name in tree.listdir(PASSING):
            _forget(host, place, f"{PASSING}/{name}")


def _names(host: Host, place: str, directory: str) -> Tuple[str, ...]:
    """What is in a directory of the copy; a link on the way to it would let another have the source's identity."""
    tree = host.tree(place)
    parts = directory.split("/") if directory else []
    for depth in range(1, len(parts) + 1):
        kind = tree.look("/".join(parts[:depth]), 0).kind
        if kind == "absent":
            return ()
        if kind != "directory":
            raise UnsafePath(
                f"is a {kind}, so that the copy cannot be given an identity of its own", f"{place}/{'/'.join(parts[:depth])}",
                "Let it be a directory in the jail that is copied",
            )
    return tuple(tree.listdir(directory))


def _forget(host: Host, place: str, path: str) -> None:
    """Remove a file, or a tree however deep; what somebody flagged against that too. The way to it was looked at, and nobody else is there."""
    walk, path = Walk.of(host, place), path.strip("/")
    found = walk.stamp(path)
    if found is not None and found.kind == "directory":
        storage.remove_tree(host, f"{place}/{path}")
    else:
        walk.discard(path)


def drop(host: Host, snapshot: str) -> None:
    """Destroy a snapshot of ours; fine when there is none."""
    result = host.ask(["zfs", "destroy", snapshot])
    if result.rc != 0 and not any(words in result.err for words in ("does not exist", "could not find")):
        raise CommandError(result)
