# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How trees and datasets are made, copied and removed: zfs(8), tar(1), rm(1), never by force first."""

from __future__ import annotations

import re
from typing import Callable, List, Mapping, Optional, Sequence

from ansible_collections.cellblock.jails.plugins.module_utils.engine import ask
from ansible_collections.cellblock.jails.plugins.module_utils.engine.commands import CommandError
from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.errors import HostError, Refused
from ansible_collections.cellblock.jails.plugins.module_utils.formats.outputs import Mount

# The point to which a killed update of a base is rolled back; nothing is ever cloned from it.
BEFORE_UPDATE = "before-update"
# A base's own snapshots are called by its patch level, see freebsd-version(1); '-2' tells equal ones apart.
LEVEL = re.compile(r"\d+\.\d+-[A-Z]+\d*(-p\d+)?(-\d+)?")

HOLD = "cellblock"  # the tag of our holds, see zfs-hold(8)

Datasets = Mapping[str, Mapping[str, str]]


def _options(properties: Mapping[str, str]) -> List[str]:
    return [word for name, value in properties.items() for word in ("-o", f"{name}={value}")]


# -- datasets, see zfs(8)


def is_there(host: Host, dataset: str) -> bool:
    """Whether there is a dataset of this name."""
    return host.ask(["zfs", "list", "-H", "-o", "name", dataset]).rc == 0


def create_dataset(host: Host, dataset: str, properties: Mapping[str, str]) -> None:
    """Make a dataset with its properties, whole or not at all."""
    host.run(["zfs", "create", *_options(properties), dataset])


def clone(host: Host, snapshot: str, dataset: str, properties: Mapping[str, str]) -> None:
    """Make a clone with its properties, whole or not at all."""
    host.run(["zfs", "clone", *_options(properties), snapshot, dataset])


def snapshot(host: Host, name: str) -> None:
    """Take a snapshot; fine when it is there."""
    result = host.ask(["zfs", "snapshot", name])
    if result.rc != 0 and "dataset already exists" not in result.err:
        raise CommandError(result)


def rollback(host: Host, name: str) -> None:
    """Bring a dataset back to a snapshot; fine when there is none. Never destroys newer snapshots for it."""
    result = host.ask(["zfs", "rollback", name])
    if result.rc != 0 and "does not exist" not in result.err:
        raise CommandError(result, fix="Newer snapshots that others took must be destroyed by hand first")


def rename_dataset(host: Host, old: str, new: str) -> None:
    """Rename a dataset; its inherited mount point goes with it."""
    host.run(["zfs", "rename", old, new])


def set_properties(host: Host, dataset: str, properties: Mapping[str, str]) -> None:
    """Set properties of a dataset."""
    host.run(["zfs", "set", *(f"{name}={value}" for name, value in properties.items()), dataset])


def forget_properties(host: Host, dataset: str, names: Sequence[str]) -> None:
    """Take user properties away from a dataset, see zfsprops(7)."""
    for name in names:
        host.run(["zfs", "inherit", name, dataset])


def stream(host: Host, snapshot: str, dataset: str, properties: Mapping[str, str], origin: Optional[str] = None) -> None:
    """Make a dataset of a snapshot's content, see zfs-send(8); it does not depend on the snapshot.

    :param origin: the snapshot that the sent dataset is a clone of; the new one becomes a clone of it too.
    """
    from ansible_collections.cellblock.jails.plugins.module_utils.engine.streams import flow

    since = ["-i", origin] if origin is not None else []
    flow(host, [["zfs", "send", "-L", "-e", "-c", *since, snapshot], ["zfs", "receive", *_options(properties), dataset]], where=snapshot)


def destroy_dataset(host: Host, dataset: str) -> None:
    """Destroy one dataset or snapshot; fine when there is none. What has children or clones stays."""
    result = host.ask(["zfs", "destroy", dataset])
    if result.rc != 0 and "does not exist" not in result.err:
        raise CommandError(result)


def newest_snapshot(host: Host, dataset: str) -> str:
    """A base's newest snapshot: of its patch levels, else of any."""
    argv = ["zfs", "list", "-Hp", "-t", "snapshot", "-d", "1", "-o", "name", "-S", "createtxg", dataset]
    found = [name for name in host.run(argv).out.split() if not name.endswith(f"@{BEFORE_UPDATE}")]
    if not found:
        raise HostError("has no snapshot to clone", dataset, "Let the basejail module make the base")
    levels = [name for name in found if LEVEL.fullmatch(name.partition("@")[2])]
    return (levels or found)[0]


def doomed(
    datasets: Datasets, dataset: str, ours: Callable[[str], bool], where: str, mend: str = "Destroy them first"
) -> List[str]:
    """What has to be destroyed for a dataset to go, in order: snapshots of ours, then itself.

    :param datasets: ``name`` to properties, among them ``origin``, of all that may depend on it.
    :param ours: whether a snapshot, by what follows its ``@``, is ours to destroy.
    :param mend: what the operator can do about snapshots that are not.
    :raises Refused: children, clones or foreign snapshots would be lost; all are named.
    """
    below = [name for name in datasets if name.startswith(dataset + "/")]
    clones = [name for name, found in datasets.items() if found.get("origin", "-").startswith(dataset + "@")]
    snapshots = [name for name in datasets if name.startswith(dataset + "@")]
    foreign = [name for name in snapshots if not ours(name.partition("@")[2])]
    if below:
        raise Refused(f"dataset {dataset} has children: {', '.join(below)}", where, "Destroy or move them first")
    if clones:
        raise Refused(
            f"snapshots of {dataset} have clones: {', '.join(clones)}", where, "Destroy or promote them first",
        )
    if foreign:
        raise Refused(
            f"dataset {dataset} has snapshots that are not ours: {', '.join(foreign)}", where, mend,
        )
    return [*snapshots, dataset]


# -- trees


def copy_tree(
    host: Host, source: str, target: str, members: Sequence[str] = (), left_out: Sequence[str] = ()
) -> None:
    """Copy a tree into a directory: owners, modes, times, hard links, ACLs and file flags, see tar(1).

    What is mounted below the source is not copied.

    :param members: names at its top to copy; all of it by default.
    :param left_out: paths below it that are not copied.
    """
    mounted = ask.mounts(host)
    alike = acls(mounted, source) == acls(mounted, target)
    writing = ["tar", "-cf", "-", *packing(alike), *(f"--exclude=./{path}" for path in left_out)]
    writing += ["-C", host.real(source), *([f"./{name}" for name in members] or ["."])]
    host.pipe(writing, unpacking(host.real(target)), where=source)


def acls(mounted: Sequence[Mount], path: str) -> str:
    """The kind of ACLs that a place's file system has, as mount(8) calls it; "" for none."""
    found = [mount for mount in mounted if f"{path}/".startswith(f"{mount.node.rstrip('/')}/")]
    opts = max(found, key=lambda mount: len(mount.node)).opts if found else ()
    return next((opt for opt in opts if opt in ("nfsv4acls", "acls")), "")


def packing(alike: bool = True) -> List[str]:
    """How tar(1) packs a tree. Owners are numbers: the names of a jail's users are not the host's.

    :param alike: whether ACLs mean the same where it is unpacked: else what has some comes without any mode (seen on 15.1).
    """
    return ["--one-file-system", "--numeric-owner", *([] if alike else ["--no-acls"])]


def unpacking(path: str, *words: str) -> List[str]:
    """tar(1) that unpacks a tree with all that it is. It takes no absolute path, no '..', and follows no link that an archive brings."""
    return ["tar", "-xpf", "-", "--numeric-owner", *words, "-C", path]


def remove_tree(host: Host, path: str, mounts: Sequence[Mount] = ()) -> None:
    """Remove a tree; fine when there is none. Never crosses into what is mounted below it, follows no link.

    :param mounts: the mount table: while anything is mounted at the path or below, nothing is removed.
    """
    inside = [mount.node for mount in mounts if mount.node == path or mount.node.startswith(path + "/")]
    if inside:
        raise Refused(f"something is mounted there: {', '.join(inside)}", path, "Unmount it first")
    if host.lstat(path) is None:
        return
    removing = ["rm", "-rx", "--", path]
    result = host.ask(removing)
    if result.rc == 0:
        return
    if "not permitted" not in result.err:
        raise CommandError(result)
    # The base set holds files that not even root removes while they are flagged schg. With -R, chflags(1)
    # follows no link, -x keeps it on the file system.
    host.run(["chflags", "-R", "-x", "0", path])
    host.run(removing)
