# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How trees and datasets are made, copied and removed: zfs(8), tar(1), rm(1), never by force first."""

from __future__ import annotations

from typing import Mapping, Sequence

from ansible_collections.cellblock.jails.plugins.module_utils.errors import HostError
from ansible_collections.cellblock.jails.plugins.module_utils.host import CommandError, Host


def _options(properties: Mapping[str, str]) -> "list[str]":
    return [word for name, value in properties.items() for word in ("-o", f"{name}={value}")]


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


def set_properties(host: Host, dataset: str, properties: Mapping[str, str]) -> None:
    """Set properties of a dataset."""
    host.run(["zfs", "set", *(f"{name}={value}" for name, value in properties.items()), dataset])


def destroy_dataset(host: Host, dataset: str) -> None:
    """Destroy one dataset or snapshot; fine when there is none. What has children or clones stays."""
    result = host.ask(["zfs", "destroy", dataset])
    if result.rc != 0 and "does not exist" not in result.err:
        raise CommandError(result)


def newest_snapshot(host: Host, dataset: str) -> str:
    """A dataset's newest snapshot."""
    argv = ["zfs", "list", "-Hp", "-t", "snapshot", "-d", "1", "-o", "name", "-S", "createtxg", dataset]
    found = host.run(argv).out.split()
    if not found:
        raise HostError("has no snapshot to clone", dataset, "Let the basejail module make the base")
    return found[0]


def copy_tree(
    host: Host, source: str, target: str, members: Sequence[str] = (), left_out: Sequence[str] = ()
) -> None:
    """Copy a tree into a directory: owners, modes, times, hard links and file flags, see tar(1).

    :param members: names at its top to copy; all of it by default.
    :param left_out: paths below it that are not copied.
    """
    writing = ["tar", "-cf", "-", *(f"--exclude=./{path}" for path in left_out), "-C", host.real(source)]
    writing += [f"./{name}" for name in members] or ["."]
    host.pipe(writing, ["tar", "-xpf", "-", "-C", host.real(target)], where=source)


def remove_tree(host: Host, path: str) -> None:
    """Remove a tree; fine when there is none. Never crosses into what is mounted below it, follows no link."""
    if host.lstat(path) is None:
        return
    if host.ask(["rm", "-rx", "--", path]).rc == 0:
        return
    # The base set holds files that not even root removes while they are flagged schg.
    host.run(["chflags", "-R", "-x", "0", path])
    host.run(["rm", "-rx", "--", path])
