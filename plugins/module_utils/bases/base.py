# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a base is asked to be, checked."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Mapping, Optional, Tuple

from ansible_collections.cellblock.jails.plugins.module_utils.errors import InputError

RELEASE = re.compile(r"(\d+)\.(\d+)-[A-Z]+\d*")


@dataclass(frozen=True)
class Base:
    """What is asked for; see the module's options."""

    name: str
    state: str
    path: str
    storage_path: str
    storage_dataset: Optional[str]
    source: Optional[str]
    release: Optional[str]
    arch: Optional[str]
    url: Optional[str]
    sets: Tuple[str, ...]
    manifest_sha256: Optional[str]
    retries: int
    timeout: int
    cache_path: str
    src_path: str
    make_args: Tuple[str, ...]
    make_world: bool
    packages: Tuple[str, ...]
    fingerprints: Optional[str]
    directory: Optional[str]

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> Base:
        """Check a module's options.

        :raises InputError: for what cannot be.
        """
        given = dict(options)
        given.pop("lock_timeout", None)
        name = given["name"]
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}", name) or name.endswith((".partial", ".old")):
            raise InputError(
                f"'{name}' cannot be a base's name", "name",
                "Use at most 64 letters, digits and '_.:-', first a letter or digit, no .partial or .old at its end",
            )
        for key in ("path", "storage_path", "cache_path", "src_path", "directory"):
            given[key] = _clean(key, given[key])
        given["path"] = given["path"] or f"{given['storage_path']}/basejails/{name}"
        given["url"] = _url(given["url"])
        for key in ("sets", "make_args", "packages"):
            given[key] = tuple(given[key])
        base = cls(**given)
        base._check()
        return base

    def _check(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.:-]*(/[A-Za-z0-9][A-Za-z0-9_.:-]*)*", self.storage_dataset or "z"):
            raise InputError(f"'{self.storage_dataset}' cannot be a dataset's name", "storage_dataset")
        for name in self.sets:
            if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", name):
                raise InputError(f"'{name}' cannot be a set's name", "sets", "Write 'base', not 'base.txz'")
        for name in self.packages:
            if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.+~@/-]*", name):
                raise InputError(f"'{name}' cannot be a package's name", "packages")
        if self.release is not None and not RELEASE.fullmatch(self.release):
            raise InputError(
                f"'{self.release}' is no release", "release", "Write it as 15.1-RELEASE, without a patch level",
            )
        if self.manifest_sha256 is not None and not re.fullmatch(r"[0-9a-f]{64}", self.manifest_sha256):
            raise InputError(
                "is no sha256 sum of 64 hex digits", "manifest_sha256", "Take it from 'sha256 -q MANIFEST'",
            )
        if self.arch is not None and not re.fullmatch(r"[a-z0-9]+(/[a-z0-9]+)?", self.arch):
            raise InputError(f"'{self.arch}' is no architecture", "arch", "Write it as amd64, or as arm64/aarch64")
        if self.source in ("src", "pkgbase") and re.search(r"\s", self.path):
            raise InputError("the path of such a base must not hold spaces: make(1) and pkg(8) break there", "path")

    @property
    def unproved(self) -> Optional[str]:
        """Why nothing tells what is fetched from what the network makes of it; None when something does."""
        if self.source not in (None, "sets") or self.manifest_sha256 is not None or not (self.url or "").startswith(("http://", "ftp://")):
            return None
        scheme = str(self.url).partition(":")[0]
        return f"base {self.name}: {scheme} proves nothing of what it brings; use https, or give manifest_sha256"

    @property
    def wanted_release(self) -> Optional[str]:
        """The release that is asked for by option or by the base's name."""
        found = RELEASE.fullmatch(self.release or self.name)
        return found.group(0) if found else None


def _clean(key: str, path: Optional[str]) -> Optional[str]:
    if path is None:
        return None
    path = path.rstrip("/")
    if not re.fullmatch(r"(/[^/\x00-\x1f]+)+", path) or {".", ".."} & set(path.split("/")):
        raise InputError(f"'{path}' is not a clean absolute path", key, "Write it from / without '.', '..' or '//'")
    return path


def _url(url: Optional[str]) -> Optional[str]:
    """A URL, or the path of a directory for file:// ones."""
    if url is None:
        return None
    if url.startswith("file://"):
        url = url[len("file://"):]
        url = url[len("localhost"):] if url.startswith("localhost/") else url
    if url.startswith("/"):
        return _clean("url", url)
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*:[/\\]*[^/?#]*@", url):
        raise InputError(
            "a password in a URL shows in the process list", "url",
            "Give it in the environment as HTTP_AUTH, see fetch(3)",
        )
    if not re.fullmatch(r"(https?|ftp|pkg\+https?)://[!-~]+", url):
        raise InputError(
            f"'{url}' is no URL that fetch(1) takes", "url", "Use https://, http://, ftp://, file:// or a path",
        )
    return url.rstrip("/")


def adopts(base: Base) -> bool:
    """Whether what stands at the base's path is to be taken as it is."""
    return base.source == "directory" and base.directory in (None, base.path)
