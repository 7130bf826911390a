# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bases of a release's sets."""

from __future__ import annotations

import hashlib
import re
from typing import Any, Dict, List

from ansible_collections.cellblock.jails.plugins.module_utils.bases.base import Base
from ansible_collections.cellblock.jails.plugins.module_utils.bases.sources import UPDATABLE, Source, network, platform, running
from ansible_collections.cellblock.jails.plugins.module_utils.engine.commands import CommandError
from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.engine.plan import Step
from ansible_collections.cellblock.jails.plugins.module_utils.errors import CellblockError, HostError, InputError
from ansible_collections.cellblock.jails.plugins.module_utils.formats.lines import lines_of

RELEASES = "https://download.freebsd.org"


def manifest(text: str) -> Dict[str, str]:
    """The sha256 sums in a release's MANIFEST by file name."""
    found = {}
    for line in lines_of(text):
        fields = line.split("\t")
        if len(fields) > 1 and re.fullmatch(r"[0-9a-f]{64}", fields[1]):
            found[fields[0]] = fields[1]
    return found


class Sets(Source):
    """The sets of a release."""

    kind = "sets"

    def __init__(self, base: Base, url: str) -> None:
        super().__init__(base)
        self.url = url
        self.files: List[str] = []

    def words(self) -> str:
        """The sets and their place."""
        return f"sets {', '.join(self.base.sets)} of {self.url}"

    def check(self, host: Host) -> None:
        """A local directory must have a MANIFEST."""
        if self.url.startswith("/") and host.lstat(f"{self.url}/MANIFEST") is None:
            raise InputError(
                "there is no MANIFEST", self.url, "Put the release's MANIFEST and sets there, or use another url",
            )

    def steps(self) -> List[Step]:
        """Fetching the sets."""
        return [Step(f"fetch {self.words()}, checked against its MANIFEST", self.fetch)]

    def fetch(self, host: Host) -> None:
        """Have every set on the host, whole."""
        listed = manifest(self._manifest(host))
        missing = [f"{name}.txz" for name in self.base.sets if f"{name}.txz" not in listed]
        if missing:
            raise HostError(
                f"does not list {', '.join(missing)}, only {', '.join(sorted(listed)) or 'nothing'}",
                f"{self.url}/MANIFEST", "Choose sets of this release",
            )
        self.files = [self._have(host, name, listed[f"{name}.txz"]) for name in self.base.sets]

    def fill(self, host: Host, root: str) -> None:
        """Extract; file flags too, which the base set has."""
        for file in self.files:
            host.run(["tar", "-xpf", file, "--numeric-owner", "-C", root], where=file)

    def _manifest(self, host: Host) -> str:
        where = f"{self.url}/MANIFEST"
        if self.url.startswith("/"):
            text = host.read(where)
            if text is None:
                raise HostError("there is none", where, "Put the release's MANIFEST beside its sets")
        else:
            text = self._try(host, lambda: host.run(
                ["fetch", "-q", "-T", str(self.base.timeout), "-o", "-", where], env=network(),
            ).out)
        wanted = self.base.manifest_sha256
        got = hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
        if wanted is not None and got != wanted:
            raise HostError(
                f"its sha256 is {got}, manifest_sha256 says {wanted}", where,
                "Compare with the release's announcement: the pin is of another release, or the MANIFEST is forged",
            )
        return text

    def _have(self, host: Host, name: str, wanted: str) -> str:
        """The path of a set whose sum is right."""
        if self.url.startswith("/"):
            path = f"{self.url}/{name}.txz"
            if host.lstat(path) is None:
                raise HostError("is listed in MANIFEST, and is not there", path, "Put it there")
            self._compare(host, path, path, wanted, "Get the file again")
            return path
        kept = f"{self.base.cache_path}/{name}-{wanted[:16]}.txz"
        if host.lstat(kept) is not None and _sha256(host, kept) == wanted:
            return kept
        host.makedirs(self.base.cache_path)
        self._try(host, lambda: self._download(host, f"{self.url}/{name}.txz", f"{kept}.part", wanted))
        host.rename(f"{kept}.part", kept)
        return kept

    def _download(self, host: Host, url: str, part: str, wanted: str) -> str:
        """Fetch a file, going on where an earlier attempt ended."""
        argv = ["fetch", "-q", "-r", "-F", "-T", str(self.base.timeout), "-o", part, url]
        result = host.ask(argv, env=network())
        if result.rc != 0:
            # What is there already is no beginning of it.
            if re.search("longer than|[Rr]ange", result.err):
                host.remove(part)
            raise CommandError(result)
        try:
            self._compare(
                host, part, url, wanted,
                "The mirror may still be syncing, or something on the way changes it; try another url",
            )
        except HostError:
            host.remove(part)
            raise
        return part

    @staticmethod
    def _compare(host: Host, path: str, where: str, wanted: str, fix: str) -> None:
        got = _sha256(host, path)
        if got != wanted:
            raise HostError(f"its sha256 is {got}, MANIFEST says {wanted}", where, fix)

    def _try(self, host: Host, attempt: Any) -> str:
        for left in range(self.base.retries, -1, -1):
            try:
                return str(attempt())
            except CellblockError as error:
                if not left:
                    fix = f"Look whether {self.url} answers from this host, or name another url"
                    fix = f"{error.fix}. {fix}" if error.fix else fix
                    tried = f", tried {self.base.retries + 1} times" if self.base.retries else ""
                    raise HostError(error.what + tried, error.where or self.url, fix) from error
        raise AssertionError("unreachable")


def _sha256(host: Host, path: str) -> str:
    return host.run(["sha256", "-q", path]).out.strip()


def release_url(host: Host, base: Base) -> str:
    """Where FreeBSD publishes a release: .../releases/MACHINE/ARCHITECTURE/RELEASE."""
    release = base.wanted_release or running(host)
    tree = "releases" if UPDATABLE.fullmatch(release) else "snapshots"
    return "/".join([RELEASES, tree, *platform(host, base), release])
