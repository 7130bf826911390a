# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the bare words of FreeBSD's tools mean here, and what to do. The words themselves are always told beside it."""

from __future__ import annotations

import re
from typing import Tuple

# The program (any of them: ""), a pattern in its words, and the sentence; what the pattern's group found stands in for {0}.
MEANINGS: Tuple[Tuple[str, str, str], ...] = (
    ("umount", r"unmount of (\S+) failed: Device busy",
     "Something still uses what is mounted at {0}: 'fstat -f {0}' names processes, 'mount' what is mounted below it; end that, and run again"),
    ("zfs", r"(?:dataset|pool or dataset) is busy",
     "Something still uses it: a process ('fstat -f PATH'), a mount below it, or a hold ('zfs holds'); end that, and run again"),
    ("zfs", r"has dependent clones", "Jails or datasets were cloned from it: 'zfs list -t all -o name,origin' names them; remove them first"),
    ("zfs", r"has children", "Datasets or snapshots that were not made here are below it: move or destroy them by hand first"),
    ("zfs", r"dataset already exists", "Another made a dataset of this name meanwhile; run again to see whose it is"),
    ("zfs", r"dataset does not exist", "It went meanwhile, or its pool is not imported, see 'zpool import'"),
    ("zfs", r"out of space|space available", "The pool or a quota is full, see 'zfs list -o space'"),
    ("cpuset", r"setaffinity: Invalid argument",
     "One of these CPUs does not exist, or its parent jail may not use it: 'cpuset -g' names those that this host has"),
    ("cpuset", r"Resource deadlock avoided", "A process in the jail is bound to a CPU that is to go: see 'cpuset -g -p PID', or restart the jail"),
    ("ifconfig", r"interface (\S+) does not exist", "Make {0} first, as by cloned_interfaces in host_prepare_rc_conf, or name another"),
    ("ifconfig", r"SIOCAIFADDR\): File exists", "Another interface of this host has the address, or its network, already: see 'ifconfig'"),
    ("ifconfig", r"Can't assign requested address", "The address was not on the interface any more"),
    ("ifconfig", r"SIOCIFCREATE2?\)?: Invalid argument", "The kernel module of that kind of interface is not loaded: add it to host_prepare_kernel_modules"),
    ("ifconfig", r"BRDGADD (\S+): Device busy", "{0} is a member of another bridge"),
    ("", r"mount_nullfs: (\S+): No such file or directory", "The source {0} is not there; make it before, or mend src of the mount"),
    ("mount", r"Resource deadlock avoided", "A directory cannot be mounted into itself, or over what is mounted from it"),
    ("mount", r"(?:Operation not supported by device|unknown file system|No such file system)",
     "The kernel module of this file system is not loaded: add it to host_prepare_kernel_modules"),
    ("mount", r"mount: (\S+): No such file or directory", "The mount point {0} is not there"),
    ("jail", r"unknown parameter: (\S+)", "This kernel does not know {0}: the kernel module that brings it is not loaded, or the release is older"),
    ("jail", r"jail_set: Invalid argument", "The kernel refused a value without saying which: devfs_ruleset and numbers are the usual ones"),
    ("jail", r"jail_set: (?:Operation not permitted|prison limit exceeded)|prison limit exceeded",
     "The parent jail does not allow it: see its children.max, and that it has what its child is to have"),
    ("jail", r"addresses clash", "Another jail that runs has one of the addresses: 'jls' names it"),
    ("jail", r"ifconfig: interface (\S+) does not exist", "The interface {0} must be there when the jail starts, as by an exec.prestart that makes it"),
    ("jail", r"is a symbolic link", "The jail has put a link where something is to be mounted; take the link away in the jail"),
    ("jail", r"getpwnam: No such file or directory",
     "The jail's root has no such user, or none at all: what is no FreeBSD userland wants exec.start and exec.stop of its own"),
    ("rctl", r"RACCT/RCTL present, but disabled", "Limits work after a reboot with kern.racct.enable=1: set host_prepare_racct: true"),
    ("rctl", r"Operation not supported", "rctl(8) cannot do this with that resource, see the table in rctl(8)"),
    ("rctl", r"No such process", "The rule was gone already"),
    ("kldload", r"can't load (\S+): No such file or directory", "There is no kernel module {0} on this host; look in /boot/kernel and /boot/modules"),
    ("kldload", r"Exec format error", "The module was built for another kernel; reinstall its package, or build it anew"),
    ("devfs", r"DEVFSIO_RADD: No such process", "A ruleset that is included is not loaded: 'service devfs restart' loads those of /etc/devfs.rules"),
    ("fetch", r"No address record|Host does not resolve|Transient resolver failure", "The host cannot resolve that name: see its /etc/resolv.conf"),
    ("fetch", r"Not Found", "There is no such file at that address; old releases move to archive.freebsd.org"),
    ("fetch", r"Connection refused|No route to host|timed out|Network is unreachable", "The host cannot reach that server: a firewall, a proxy, or no route"),
    ("fetch", r"Certificate verification failed|Authentication error", "Its certificate is not trusted here: certctl(8), and the host's clock"),
    ("pkg", r"exclusive lock|database is locked", "Another pkg(8) runs there; run again when it has ended"),
    ("pkg", r"No packages available to install matching '([^']+)'", "No repository of the jail has {0}; see 'pkg search {0}'"),
    ("pkg", r"repository \S+ (?:cannot be opened|contains packages for wrong)|Unable to update repository",
     "The jail cannot reach its repository, or it is of another release: resolv_conf and a route are needed inside"),
    ("pfctl", r"/dev/pf: No such file or directory", "pf is not loaded: add it to host_prepare_kernel_modules"),
    ("tar", r"Truncated|Unrecognized archive format", "The archive is not whole: remove it, and let it be fetched anew"),
    ("", r"No space left on device", "The file system is full, see 'df -h' and 'df -i'"),
    ("", r"Disc quota exceeded", "The quota is used up: raise it, or make room"),
    ("", r"Read-only file system", "It is mounted read-only"),
    ("", r"Operation not permitted", "A file flag (chflags(1)), a securelevel, or a host that is itself a jail stands against it"),
    ("", r"Resource temporarily unavailable|Cannot allocate memory", "The host, or a limit of rctl(8), has no more processes or memory to give"),
    ("", r"Too many open files", "The host is out of file descriptors: see 'sysctl kern.maxfiles kern.openfiles'"),
)


def meaning(program: str, words: str) -> str:
    """What a tool's words mean here, a sentence without a full stop; "" when nothing more is known.

    :param program: the tool, with or without its directory.
    """
    name = program.rpartition("/")[2]
    for of, pattern, text in MEANINGS:
        found = re.search(pattern, words) if of in ("", name) else None
        if found:
            return text.format(*found.groups()) if found.groups() else text
    return ""
