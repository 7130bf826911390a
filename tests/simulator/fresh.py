# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fresh host: what a FreeBSD 15.1 has on its first day, as far as the collection touches it."""

from __future__ import annotations

import functools
import hashlib
import io
from pathlib import Path
from typing import Any, Dict, Optional

from .core import LOGIN, SimulatedHost, fresh_state
from .tools.system import listen

DEVFS_RULES = """\
[devfsrules_hide_all=1]
add hide

[devfsrules_unhide_basic=2]
add path null unhide
add path zero unhide
add path crypto unhide
add path random unhide
add path urandom unhide

[devfsrules_unhide_login=3]
LOGIN

[devfsrules_jail=4]
add include $devfsrules_hide_all
add include $devfsrules_unhide_basic
add include $devfsrules_unhide_login
add path fuse unhide
add path zfs unhide

[devfsrules_jail_vnet=5]
add include $devfsrules_hide_all
add include $devfsrules_unhide_basic
add include $devfsrules_unhide_login
add include $devfsrules_jail
add path pf unhide
""".replace("LOGIN", "\n".join(f"add path {name!r} unhide" if "*" in name else f"add path {name} unhide" for name in LOGIN))
SSHD_CONFIG = """\
#\t$OpenBSD: sshd_config,v 1.104 2021/07/02 05:11:21 dtucker Exp $

#Port 22
#AddressFamily any
#ListenAddress 0.0.0.0
#ListenAddress ::

PermitRootLogin prohibit-password
Subsystem\tsftp\t/usr/libexec/sftp-server
"""
MASTER = "root::0:0::0:0:Charlie &:/root:/bin/sh\ntoor:*:0:0::0:0:Bourne-again Superuser:/root:\n"
ZONES = ("Europe/Amsterdam", "Europe/Athens", "Europe/Berlin", "UTC", "America/New_York")
BASE: Dict[str, str] = {
    "bin/sh": "elf", "bin/freebsd-version": '#!/bin/sh\nUSERLAND_VERSION="15.1-RELEASE-p1"\n', "sbin/init": "elf",
    "lib/libc.so.7": "elf", "libexec/ld-elf.so.1": "elf", "usr/bin/true": "elf", "usr/bin/false": "elf",
    "usr/bin/newaliases": "elf", "usr/sbin/cron": "elf", "sbin/pfctl": "elf",
    "sbin/ipfw": "elf", "usr/sbin/service": "elf", "usr/sbin/syslogd": "elf", "etc/rc": "#!/bin/sh\n",
    "etc/rc.shutdown": "#!/bin/sh\n", "etc/master.passwd": MASTER, "etc/passwd": "root:*:0:0:Charlie &:/root:/bin/sh\n",
    "etc/pwd.db": "db", "etc/spwd.db": "db",
    "etc/group": "wheel:*:0:root\n", "etc/mail/aliases": "# Basic system aliases\nMAILER-DAEMON: postmaster\npostmaster: root\n# root:\tme@my.domain\n",
    "etc/mail/mailer.conf": "sendmail\t/usr/libexec/dma\n", "etc/login.conf": "default:\\\n\t:path=/sbin:\n",
    "root/.profile": "# $FreeBSD$\n", "usr/share/zoneinfo/UTC": "TZif", "COPYRIGHT": "The FreeBSD Project\n",
    "var/log/messages": "", "usr/local/.keep": "", "tmp/.keep": "", "var/empty/.keep": "", "dev/.keep": "", "proc/.keep": "",
    "mnt/.keep": "",
}


@functools.lru_cache(maxsize=None)
def base_set(version: str = "15.1-RELEASE-p1") -> bytes:
    """A tiny base.txz."""
    import tarfile

    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:xz") as archive:
        for name, text in sorted(BASE.items()):
            data = text.replace("15.1-RELEASE-p1", version).encode()
            if name.endswith("/.keep"):
                entry = tarfile.TarInfo("./" + name[:-6])
                entry.type, entry.mode = tarfile.DIRTYPE, 0o755
                archive.addfile(entry)
                continue
            entry = tarfile.TarInfo("./" + name)
            entry.size, entry.mode = len(data), 0o755 if text in ("elf",) or text.startswith("#!") else 0o644
            archive.addfile(entry, io.BytesIO(data))
    return stream.getvalue()


def put_sets(directory: Path, version: str = "15.1-RELEASE-p1") -> str:
    """Put base.txz and its MANIFEST into a directory; returns the MANIFEST's sha256."""
    directory.mkdir(parents=True, exist_ok=True)
    data = base_set(version)
    digest = hashlib.sha256(data).hexdigest()
    manifest = f'base.txz\t{digest}\t{len(BASE)}\tbase\t"Base system (MANDATORY)"\ton\n'
    (directory / "base.txz").write_bytes(data)
    (directory / "MANIFEST").write_text(manifest)
    return hashlib.sha256(manifest.encode()).hexdigest()


def older(state: Dict[str, Any]) -> None:
    """Make a fresh host's state one of 14.0; see tests/captures/assumptions-14.0.json."""
    state["sysctl"].update({"kern.osreldate": "1400097", "kern.osrelease": "14.0-RELEASE"})
    del state["sysctl"]["security.jail.meta_maxbufsize"]
    later = "adjtime extattr routing setaudit settime unprivileged_parent_tampering"
    state["absent"] = ["env", "meta", *(f"allow.{name}" for name in later.split())]


def fresh_host(
    root: Path, storage: str = "ufs", racct: bool = False, interfaces: Optional[Dict[str, Any]] = None, release: str = "15.1"
) -> SimulatedHost:
    """Lay out a fresh host.

    :param storage: "ufs", or "zfs" for a pool zroot with zroot/jails at /usr/jails.
    :param release: 15.1 or 14.0.
    """
    state = fresh_state()
    if release == "14.0":
        older(state)
    if interfaces is not None:
        state["interfaces"] = interfaces
    state["sysctl"]["kern.racct.enable"] = "1" if racct else "0"
    files = {
        "etc/rc.conf": 'hostname="jailhost1"\nifconfig_rl0="inet 10.10.10.10/24"\nsshd_enable="YES"\n',
        "etc/defaults/devfs.rules": DEVFS_RULES, "etc/ssh/sshd_config": SSHD_CONFIG,
        "etc/resolv.conf": "nameserver 10.10.10.1\n", "etc/master.passwd": MASTER,
        "etc/mail/mailer.conf": "sendmail\t/usr/libexec/dma\n", "boot/loader.conf": 'autoboot_delay="3"\n',
        "bin/freebsd-version": BASE["bin/freebsd-version"],
    }
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for zone in ZONES:
        path = root / "usr/share/zoneinfo" / zone
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("TZif")
    for name in ("var/run", "var/tmp", "var/log", "var/db", "var/cache", "usr/bin", "usr/sbin", "dev", "tmp", "root", "home"):
        (root / name).mkdir(parents=True, exist_ok=True)
    put_sets(root / "var/dist")
    host = SimulatedHost(root, state)
    if storage == "zfs":
        host.run(["zfs", "create", "-o", "mountpoint=/zroot", "zroot"])
        host.run(["zfs", "create", "-o", "mountpoint=/usr/jails", "zroot/jails"])
    for name in ("sshd", "syslogd"):
        listen(host, name)
    return host
