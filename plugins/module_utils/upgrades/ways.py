# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Roots that are upgraded where they stand: by freebsd-update(8), or by pkg(8) when the system is of packages."""

from __future__ import annotations

import hashlib
import re
from typing import List, Mapping, Optional

from ansible_collections.cellblock.jails.plugins.module_utils.bases.sources import UPDATABLE, network
from ansible_collections.cellblock.jails.plugins.module_utils.engine import storage
from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.errors import HostError, InputError
from ansible_collections.cellblock.jails.plugins.module_utils.jails.definition import Definition
from ansible_collections.cellblock.jails.plugins.module_utils.upgrades import closing
from ansible_collections.cellblock.jails.plugins.module_utils.upgrades.subject import PACKAGES, RELEASE, Side, Subject, Way

STATE = "/var/db/cellblock/freebsd-update"
CONF = "/etc/freebsd-update.conf"
MOST = 6  # runs of install; a release needs up to three
RUNTIME = "FreeBSD-runtime"
BASE = "FreeBSD-base"


def latest(host: Host, definition: Definition, root: str, old: Side, running: bool) -> Optional[Side]:
    """What a root becomes by its newest patch level; None when it has it."""
    if of_packages(host, definition.name, root, running):
        where = ["-j", definition.name] if running else ["-r", root]
        said = host.ask(["pkg", *where, "upgrade", "-n", "-r", BASE], env={**network(), "ASSUME_ALWAYS_YES": "yes"}).out
        return Side(None, "", "its newest packages") if "will be affected" in said else None
    way = FreebsdUpdate(definition.name, root, old.version, None)
    with host.scratch() as scratch:
        said = way.ask(host, scratch, "fetch")
    if "No updates needed" in said:
        return None
    found = re.search(r"as part of updating to\s+([A-Za-z0-9._-]+):", said)
    return Side(None, "", found.group(1).replace("-p0", "") if found else "its newest patch level")


def of_packages(host: Host, name: str, root: str, running: bool) -> bool:
    """Whether the system of a root is installed by packages."""
    if host.tree(root).look("var/db/pkg/local.sqlite", 1 << 31).kind != "file":
        return False
    return host.ask(["pkg", *(["-j", name] if running else ["-r", root]), "info", "-e", RUNTIME]).rc == 0


def installed(host: Host, name: str, root: str, running: bool) -> List[str]:
    """The packages of a jail, by name and version; those of the system aside."""
    if host.tree(root).look("var/db/pkg/local.sqlite", 1 << 31).kind != "file":
        return []
    said = host.ask(["pkg", *(["-j", name] if running else ["-r", root]), "query", "%n-%v"]).out.split()
    return sorted(package for package in said if not package.startswith("FreeBSD-"))


def in_place(host: Host, one: Subject) -> Way:
    """The way of a root."""
    if of_packages(host, one.name, one.root, one.running):
        return Packages(one)
    if not UPDATABLE.fullmatch(one.old.version):
        raise InputError(
            f"freebsd-update(8) serves releases, and this is {one.old.version or 'no FreeBSD system'}", f"jail {one.name}",
            "Name a base that it was made of",
        )
    same = one.new.version.partition("-p")[0] == one.old.version.partition("-p")[0]
    return FreebsdUpdate(one.name, one.root, one.old.version, None if same else one.new.version)


class FreebsdUpdate(Way):
    """By binary updates of sets. What is left to do tells its state directory, never its exit code."""

    kind = RELEASE

    def __init__(self, name: str, root: str, version: str, release: Optional[str]) -> None:
        if re.search(r"\s", root):
            raise InputError("freebsd-update(8) breaks at spaces in a path", root, "Upgrade it by a base")
        self.root, self.version, self.release = root, version, release
        self.workdir = f"{STATE}/{name}"

    def words(self) -> str:
        """What it does."""
        return f"updates from {self.version} to {self.release or 'its newest patch level'} by freebsd-update(8)"

    def fetch(self, host: Host) -> None:
        """Unless an install was cut off, which has to end first."""
        if self.pending(host):
            return
        storage.remove_tree(host, self.workdir)
        host.makedirs(self.workdir, 0o700)
        self.ask(host, self.workdir, *(["-r", self.release, "upgrade"] if self.release else ["fetch"]))

    def bring(self, host: Host) -> None:
        """Install as often as there is something to install: the world, then what is obsolete."""
        for _again in range(MOST):
            if not self.pending(host):
                storage.remove_tree(host, self.workdir)
                return
            result = host.ask(self._argv(host, self.workdir, "install"), stdin="y\n" * 100, env=network())
            if result.rc not in (0, 2) and self.pending(host):
                raise HostError(f"'freebsd-update install' failed: {result.said()}", self.root, "Run again, it goes on")
        raise HostError(f"'freebsd-update install' still has something to install after {MOST} runs", self.root, f"Look into {self.workdir}")

    def pending(self, host: Host) -> bool:
        """Whether there is something to install: a link of this name, see freebsd-update.sh."""
        digest = hashlib.sha256(f"{self.root}\n".encode()).hexdigest()
        return f"{digest}-install" in host.listdir(self.workdir)

    def ask(self, host: Host, workdir: str, *command: str) -> str:
        """What a fetch or an upgrade said."""
        result = host.ask(self._argv(host, workdir, *command), stdin="y\n" * 100, env=network())
        # Past its end of life a release is still served, but the exit code is 1.
        if result.rc != 0 and "END-OF-LIFE" not in result.out and "No updates needed" not in result.out:
            words = " / ".join((result.err + result.out).splitlines()[-3:])
            raise HostError(f"'freebsd-update {' '.join(command)}' failed: {words}", self.root, "Look whether the update server answers from this host")
        return result.out

    def _argv(self, host: Host, workdir: str, *command: str) -> List[str]:
        conf = f"{workdir}/cellblock.conf"
        host.write(conf, _conf(host.read(CONF) or ""), 0o600)
        return [
            "freebsd-update", "--not-running-from-cron", *(["-F"] if command[-1] != "install" else []), "-f", conf, "-b", self.root,
            "-d", workdir, "--currently-running", self.version, *command,
        ]


def _conf(of_host: str) -> str:
    """A configuration of our own: the world only, and no file that the jail changed."""
    kept: Mapping[str, str] = dict(re.findall(r"(?m)^(KeyPrint|ServerName)[ \t]+(\S+)", of_host))
    lines = [f"{key} {value}" for key, value in kept.items()]
    lines += ["Components world", "StrictComponents yes", "MergeChanges", "BackupKernel no", "CreateBootEnv no"]
    lines.append("UpdateIfUnmodified /etc/ /var/ /root/ /.cshrc /.profile")
    return "".join(f"{line}\n" for line in lines)


class Packages(Way):
    """By pkg(8), inside the jail, with nothing else of it running."""

    kind = PACKAGES

    def __init__(self, one: Subject) -> None:
        self.one = one

    def words(self) -> str:
        """What it does."""
        return f"packages of the base system, to {self.one.new}, by pkg(8) inside"

    def bring(self, host: Host) -> None:
        """Upgrade them. pkg(8) merges configuration itself, and leaves FILE.pkgnew where it could not."""
        alone = closing.bare(self.one.before)
        closing.start(host, alone)
        try:
            argv = ["pkg", *self._release(host), "-o", "IGNORE_OSVERSION=yes", "-j", self.one.name, "upgrade", "-y", "-r", BASE]
            host.run(argv, timeout=7200, env={"ASSUME_ALWAYS_YES": "yes"}, where=f"jail {self.one.name}")
        finally:
            closing.stop(host, alone)

    def _release(self, host: Host) -> List[str]:
        """ABI and OSVERSION of the release belong together, see pkg.conf(5)."""
        found = re.match(r"(\d+)\.(\d+)-", self.one.new.version)
        if found is None:
            return []
        major, minor = int(found.group(1)), int(found.group(2))
        processor = host.run(["uname", "-p"]).out.strip()
        return ["-o", f"ABI=FreeBSD:{major}:{processor}", "-o", f"OSVERSION={major * 100000 + minor * 1000}"]
