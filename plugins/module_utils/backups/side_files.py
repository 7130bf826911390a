# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Single files of a set, in a directory beside: the whole set is laid out where only root gets to, and what is asked for is copied."""

from __future__ import annotations

from typing import List, Optional

from ansible_collections.cellblock.jails.plugins.module_utils.backups.filling import SetFilling
from ansible_collections.cellblock.jails.plugins.module_utils.backups.finding import Finder
from ansible_collections.cellblock.jails.plugins.module_utils.backups.reading import Reader
from ansible_collections.cellblock.jails.plugins.module_utils.backups.wishes import Request
from ansible_collections.cellblock.jails.plugins.module_utils.engine import ask, storage
from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.engine.plan import Lane, Plan, Step
from ansible_collections.cellblock.jails.plugins.module_utils.engine.walk import Walk
from ansible_collections.cellblock.jails.plugins.module_utils.errors import HostError, InputError, Refused
from ansible_collections.cellblock.jails.plugins.module_utils.upgrades.keeping import beside


def plan(host: Host, request: Request) -> Plan:
    """The way of some files out of a set."""
    wish = (request.wishes or ())[0]
    reader = Reader(Finder(host, request.destination).find(wish.jail, wish.set), request.decrypt)
    dataset = f"{request.storage_dataset}/{wish.jail}:files" if request.storage_dataset and reader.chain.last.data()[0].method == "zfs" else None
    filling = SetFilling(reader, key=request.key)
    filling.check(dataset is not None, f"jail {wish.jail}")
    if host.lstat(request.to) is not None and (not host.isdir(request.to) or host.listdir(request.to)):
        raise Refused("is there, and not empty", request.to, "Name a directory that is not there yet")
    if not host.isdir(request.storage_path):
        raise InputError("is not there", request.storage_path, "Give storage_path, where there is room for the whole set")
    place = f"{request.storage_path}/{wish.jail}:files"
    listed = ", ".join(f"/{path}" for path in request.files)
    stamp = reader.chain.last.stamp
    steps = [
        Step(f"check the digests of set {stamp}", reader.prove),
        Step(f"lay out set {stamp} in {place}", lambda host: _lay_out(host, filling, dataset, place), lambda host: _drop(host, filling, dataset, place)),
        Step(f"copy {listed} to {request.to}", lambda host: _copy(host, place, list(request.files), request.to), None, request.to, "", f"{listed}\n"),
        Step(f"remove {place}", lambda host: _drop(host, filling, dataset, place)),
    ]
    return Plan(lanes=[Lane(wish.jail, steps)], facts={"jails": {wish.jail: {"changed": True, "set": stamp, "did": f"files of set {stamp}"}}})


def _lay_out(host: Host, filling: SetFilling, dataset: Optional[str], place: str) -> None:
    _drop(host, filling, dataset, place)
    if dataset is not None:
        filling.fill_dataset(host, dataset, {"cellblock:state": "partial"}, place)
        return
    host.makedirs(place, 0o700)
    host.chmod(place, 0o700)
    filling.fill_directory(host, place)


def _drop(host: Host, filling: SetFilling, dataset: Optional[str], place: str) -> None:
    if dataset is not None:
        filling.clear(host, dataset)
        storage.destroy_dataset(host, dataset)
    else:
        storage.remove_tree(host, place, ask.mounts(host))


def _copy(host: Host, place: str, files: List[str], to: str) -> None:
    """Whole or not at all; the way to a file leads over no link, which would be the jail's."""
    walk = Walk.of(host, place)
    for path in files:
        parts = path.split("/")
        for depth in range(1, len(parts) + 1):
            found = walk.stamp("/".join(parts[:depth]))
            if found is None or (depth < len(parts) and found.kind != "directory"):
                what = "is not in the set" if found is None else f"is a {found.kind} in the set"
                raise HostError(what, f"/{'/'.join(parts[:depth])}", "Name it by where it is")
    growing = beside(to, "restoring")
    storage.remove_tree(host, growing)
    host.makedirs(growing, 0o700)
    storage.copy_tree(host, place, growing, files)
    host.rmdir(to)
    host.rename(growing, to)
