# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a base comes from, and how it is brought to its newest patch level."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from typing import Dict, List, Optional, Tuple

from ansible_collections.cellblock.jails.plugins.module_utils.bases.base import Base
from ansible_collections.cellblock.jails.plugins.module_utils.engine import ask, storage
from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.engine.plan import Step
from ansible_collections.cellblock.jails.plugins.module_utils.errors import HostError, InputError

# What fetch(3), freebsd-update(8) and pkg(8) take from the environment; Ansible's 'environment' sets it.
NETWORK = re.compile(r"(HTTP|HTTPS|FTP|NO|SSL|FETCH)_[A-Z_]+", re.IGNORECASE)
UPDATABLE = re.compile(r"\d+\.\d+-(RELEASE|ALPHA\d*|BETA\d*|RC\d*)(-p\d+)?")
# uname -m to uname -p, where they differ.
PROCESSORS = {"arm64": "aarch64", "riscv": "riscv64"}


def network() -> Dict[str, str]:
    """What of our own environment they take."""
    return {name: value for name, value in os.environ.items() if NETWORK.fullmatch(name)}


def platform(host: Host, base: Base) -> Tuple[str, str]:
    """The machine and its processor architecture, see uname(1)."""
    if base.arch is None:
        machine, processor = (host.run(["uname", flag]).out.strip() for flag in ("-m", "-p"))
        return machine, processor
    machine, _slash, processor = base.arch.partition("/")
    return machine, processor or PROCESSORS.get(machine, machine)


def running(host: Host) -> str:
    """The host's own release."""
    return host.run(["uname", "-r"]).out.strip().partition("-p")[0]


class Source:
    """How a tree is made, and brought to its newest patch level.

    :param kind: the option's value, kept with the base.
    """

    kind = "directory"

    def __init__(self, base: Base, kind: Optional[str] = None) -> None:
        self.base = base
        self.kind = kind or self.kind

    def words(self) -> str:
        """Where it comes from, in words that are known before anything is asked."""
        return f"directory {self.base.directory}"

    def check(self, host: Host) -> None:
        """Refuse, before anything is touched, what cannot work on this host."""
        path = self.base.directory or ""
        if not ask.version(host, path):
            raise InputError(
                "is no FreeBSD system: bin/freebsd-version is missing", path, "Name the root of one in 'directory'",
            )

    def steps(self) -> List[Step]:
        """What is done before the tree is made."""
        return []

    def fill(self, host: Host, root: str) -> None:
        """Make the tree in an empty directory."""
        storage.copy_tree(host, self.base.directory or "", root)

    def made_newest(self) -> bool:
        """Whether what :meth:`fill` makes is the newest already."""
        return False

    def look(self, host: Host, root: str, check_mode: bool) -> Optional[str]:
        """What an update would bring, in words; None when there is none."""
        packaged = self._packaged(host, root)
        if packaged is not None:
            return packaged.look(host, root, check_mode)
        if check_mode:
            with host.scratch() as workdir:
                return fetch_updates(host, root, workdir)
        return fetch_updates(host, root, self._workdir(host))

    def update(self, host: Host, root: str) -> bool:
        """Bring a tree to its newest patch level; whether anything changed."""
        packaged = self._packaged(host, root)
        if packaged is not None:
            return packaged.update(host, root)
        workdir = self._workdir(host)
        if fetch_updates(host, root, workdir) is None:
            return False
        return host.run(_freebsd_update(host, root, workdir, "install"), ok=(0, 2), where=root).rc == 0

    def _packaged(self, host: Host, root: str) -> Optional[Source]:
        """What updates a tree of unknown origin that is made of packages; None when it is not."""
        if self.kind != "directory" or host.ask(["pkg", "--rootdir", root, "which", "-q", "/usr/bin/uname"]).rc != 0:
            return None
        from ansible_collections.cellblock.jails.plugins.module_utils.bases.pkgbase import Pkgbase

        return Pkgbase(replace(self.base, packages=()), ask.version(host, root), platform(host, self.base)[1])

    def _workdir(self, host: Host) -> str:
        path = f"{self.base.cache_path}/freebsd-update"
        host.makedirs(path, 0o700)
        return path


def _freebsd_update(host: Host, root: str, workdir: str, command: str) -> List[str]:
    version = ask.version(host, root)
    if not UPDATABLE.fullmatch(version):
        raise HostError(
            f"freebsd-update(8) serves releases, and this is {version or 'no FreeBSD system'}", root,
            "Update it from source, or by state: present only",
        )
    # -F: a killed install of an earlier run is no reason to refuse, its tree is gone or rolled back.
    return [
        "freebsd-update", "--not-running-from-cron", "-F", "-b", root, "-d", workdir,
        "--currently-running", version, command,
    ]


def fetch_updates(host: Host, root: str, workdir: str) -> Optional[str]:
    """Fetch what a tree lacks; the patch level that it brings, None when nothing is needed."""
    if re.search(r"\s", root):
        raise InputError("freebsd-update(8) breaks at spaces in a path", root, "Use another path for the base")
    argv = _freebsd_update(host, root, workdir, "fetch")
    result = host.ask(argv, env=network())
    # Past its end of life a release is still served, but the exit code is 1.
    if result.rc != 0 and "END-OF-LIFE" not in result.out:
        words = " / ".join((result.err + result.out).splitlines()[-3:])
        raise HostError(
            f"'{' '.join(argv)}' failed: {words}", root, "Look whether the update server answers from this host",
        )
    if "No updates needed" in result.out:
        return None
    found = re.search(r"as part of updating to\s+([A-Za-z0-9._-]+):", result.out)
    return found.group(1).replace("-p0", "") if found else "its newest patch level"


def maker(host: Host, base: Base, kind: str) -> Source:
    """The source of a kind.

    :raises InputError: when its options do not fit.
    """
    if kind == "sets":
        from ansible_collections.cellblock.jails.plugins.module_utils.bases.sets import Sets, release_url

        return Sets(base, base.url or release_url(host, base))
    return updater(host, base, kind, (base.wanted_release or running(host)) if kind == "pkgbase" else "")


def updater(host: Host, base: Base, kind: str, version: str) -> Source:
    """What updates a base of a kind; sets are updated where they stand, by freebsd-update(8)."""
    if kind == "src":
        from ansible_collections.cellblock.jails.plugins.module_utils.bases.world import Src

        return Src(base)
    if kind == "pkgbase":
        from ansible_collections.cellblock.jails.plugins.module_utils.bases.pkgbase import Pkgbase

        return Pkgbase(base, version, platform(host, base)[1])
    return Source(base, "sets" if kind == "sets" else None)
