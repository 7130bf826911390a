# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bases of packages of the base system."""

from __future__ import annotations

from typing import Optional

from ansible_collections.cellblock.jails.plugins.module_utils.bases.base import RELEASE, Base
from ansible_collections.cellblock.jails.plugins.module_utils.bases.sources import Source, network
from ansible_collections.cellblock.jails.plugins.module_utils.engine import storage
from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.errors import InputError
from ansible_collections.cellblock.jails.plugins.module_utils.formats.lines import lines_of

PACKAGES = "pkg+https://pkg.FreeBSD.org"
KEYS = "/usr/share/keys"
REPOSITORY = "FreeBSD-base"


class Pkgbase(Source):
    """Packages of the base system, FreeBSD 15.0 and later; see pkg(8)."""

    kind = "pkgbase"

    def __init__(self, base: Base, release: str, processor: str) -> None:
        super().__init__(base)
        release = release.partition("-p")[0]
        found = RELEASE.match(release)
        if not found or int(found.group(1)) < 15:
            raise InputError(
                f"there are no packages of the base system for {release}", "release", "Use 15.0-RELEASE or later",
            )
        self.major, minor = found.groups()
        self.abi = f"FreeBSD:{self.major}:{processor}"
        branch = f"base_release_{minor}" if release.endswith("-RELEASE") else "base_latest"
        url = base.url or f"{PACKAGES}/{self.abi}/{branch}"
        self.url = f"file://{url}" if url.startswith("/") else url

    def words(self) -> str:
        """The packages and their repository."""
        return f"packages {', '.join(self.base.packages)} of {self.url}"

    def check(self, host: Host) -> None:
        """pkg(8) must be there, and the key."""
        if host.ask(["pkg", "-N"]).rc != 0:
            raise InputError("pkg(8) is not installed on the host", "source pkgbase", "Run 'pkg bootstrap -y' there")
        keys = self._fingerprints()
        if keys and not host.isdir(keys):
            raise InputError(
                "there are no keys of this release on the host", keys, "Upgrade the host, or set fingerprints",
            )

    def fill(self, host: Host, root: str) -> None:
        """Install into an empty tree, as bsdinstall does."""
        self._keys(host, root)
        self._run(host, root, "install", *self.base.packages)
        host.tree(root).write("usr/local/etc/pkg/repos/FreeBSD.conf", f"{REPOSITORY}: {{ enabled: yes }}\n")

    def made_newest(self) -> bool:
        """Packages are installed as they are now."""
        return True

    def look(self, host: Host, root: str, check_mode: bool) -> Optional[str]:
        """How many packages are behind the repository, or missing."""
        with host.scratch() as scratch:
            catalogue = f"{scratch}/root"
            host.makedirs(catalogue)
            self._keys(host, catalogue)
            said = self._run(host, catalogue, "rquery", "%n %v")
        offered = dict(line.split(" ", 1) for line in lines_of(said) if " " in line)
        said = host.run(["pkg", "--rootdir", root, "query", "%n %v"], where=root).out
        installed = dict(line.split(" ", 1) for line in lines_of(said) if " " in line)
        behind = [name for name, now in installed.items() if offered.get(name, now) != now]
        behind += [name for name in self.base.packages if name not in installed]
        return f"the newest packages ({len(behind)} of them)" if behind else None

    def update(self, host: Host, root: str) -> bool:
        """Upgrade all packages, and install what is missing."""
        self._keys(host, root)
        self._run(host, root, "upgrade")
        if self.base.packages:
            self._run(host, root, "install", *self.base.packages)
        return True

    def _fingerprints(self) -> str:
        return f"{KEYS}/pkgbase-{self.major}" if self.base.fingerprints is None else self.base.fingerprints

    def _keys(self, host: Host, root: str) -> None:
        """pkg(8) looks for keys below the tree that it works on."""
        keys = self._fingerprints()
        if keys and not host.isdir(f"{root}{keys}"):
            host.tree(root).makedirs(keys)
            storage.copy_tree(host, keys, f"{root}{keys}")

    def _run(self, host: Host, root: str, command: str, *words: str) -> str:
        with host.scratch() as scratch:
            host.write(f"{scratch}/{REPOSITORY}.conf", self._conf())
            pkg = ["pkg", "--rootdir", root, "--repo-conf-dir", scratch]
            pkg += ["-o", f"ABI={self.abi}", "-o", "IGNORE_OSVERSION=yes"]
            env = {**network(), "ASSUME_ALWAYS_YES": "yes"}
            host.run([*pkg, "update", "-q", "-r", REPOSITORY], env=env, where=self.url)
            yes = [] if command == "rquery" else ["-y"]
            return host.run([*pkg, command, "-U", *yes, "-r", REPOSITORY, *words], env=env, where=self.url).out

    def _conf(self) -> str:
        """A repository, see pkg-repository(5)."""
        lines = [f'url: "{self.url}"', "enabled: yes"]
        if self.url.startswith(PACKAGES):
            lines.append("mirror_type: srv")
        keys = self._fingerprints()
        if keys:
            lines += ["signature_type: fingerprints", f'fingerprints: "{keys}"']
        return f"{REPOSITORY}: {{\n" + "".join(f"  {line},\n" for line in lines) + "}\n"
