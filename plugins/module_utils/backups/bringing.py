# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A base of a set of its own, for a host that does not have it."""

from __future__ import annotations

import posixpath
from typing import Dict, List, Mapping, Optional

from ansible_collections.cellblock.jails.plugins.module_utils.backups.manifest import Manifest
from ansible_collections.cellblock.jails.plugins.module_utils.backups.reading import Reader
from ansible_collections.cellblock.jails.plugins.module_utils.bases import making
from ansible_collections.cellblock.jails.plugins.module_utils.bases.base import RELEASE, Base
from ansible_collections.cellblock.jails.plugins.module_utils.bases.sources import Source
from ansible_collections.cellblock.jails.plugins.module_utils.engine import storage
from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.engine.plan import Step
from ansible_collections.cellblock.jails.plugins.module_utils.errors import InputError


class Brought(Source):
    """The set of a base."""

    def __init__(self, base: Base, kind: str, reader: Reader, made: Manifest) -> None:
        super().__init__(base, kind)
        self.reader, self.made = reader, made

    def words(self) -> str:
        """Which set."""
        return f"set {self.made.stamp}"

    def fill(self, host: Host, root: str) -> None:
        """Extract it; what is not as its manifest says never stands as a base."""
        self.reader.pour(host, self.made, self.made.data()[0], storage.unpacking(root))


def steps(reader: Reader, name: str, storage_path: str, dataset: Optional[str], where: str) -> List[Step]:
    """The steps that make a base of its set.

    :param name: the base's, or its path.
    """
    made = reader.chain.base
    if made is None:
        told = reader.chain.last.base
        raise InputError(
            f"base {name} is not there, and its set is not where set {reader.chain.last.stamp} is", where,
            f"Make the base with basejail first; it was {told.get('version') or 'of a version that nobody knows'}",
        )
    if name.startswith("/"):
        raise InputError(f"base {name} is not there", where, f"Bring it there, or declare another; it is in set {made.stamp}")
    base = _base(name, storage_path, dataset)
    source = Brought(base, "sets" if RELEASE.match(name) else "directory", reader, made)
    what = f"make base {name} of {source.words()}"
    if dataset is None:
        mark = making.mark_text(base, source.kind)
        return [Step(
            what, lambda host: _directory(host, base, source, mark), lambda host: making.remove(host, base.path), f"base {name}", "", f"{base.path}\n",
        )]
    own = f"{dataset}/basejails/{name}"

    def do(host: Host) -> None:
        making.parent_dataset(host, own)
        making.make_dataset(host, base, own, source)

    return [Step(what, do, None, f"base {name}", "", f"{own}\n"), making.snapshot_step(own, base.path)]


def _directory(host: Host, base: Base, source: Source, mark: str) -> None:
    making.parent_directory(host, base.path)
    making.make_directory(host, base, source, mark)


def _base(name: str, storage_path: str, dataset: Optional[str]) -> Base:
    options: Dict[str, object] = {
        "name": name, "state": "present", "path": None, "storage_path": storage_path, "storage_dataset": dataset, "source": None, "release": None,
        "arch": None, "url": None, "sets": [], "manifest_sha256": None, "retries": 0, "timeout": 60, "cache_path": None, "src_path": None,
        "make_args": [], "make_world": False, "packages": [], "fingerprints": None, "directory": None,
    }
    return Base.from_options(options)


def observed(name: str, storage_path: str, dataset: Optional[str]) -> Mapping[str, Mapping[str, str]]:
    """What will be there of it, as a reading of the host tells datasets."""
    if dataset is None:
        return {}
    path = posixpath.join(storage_path, "basejails", name)
    return {f"{dataset}/basejails/{name}": {
        "type": "filesystem", "origin": "-", "used": "0", "quota": "0", "reservation": "0", "mountpoint": path, "mounted": "yes",
        "cellblock:jail": "-", "cellblock:base": name, "cellblock:state": "ready",
    }}
