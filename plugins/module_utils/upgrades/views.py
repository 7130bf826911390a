# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a base is to the root of a jail: all of it, or, for a thin one, copies of what it owns and links for the rest."""

from __future__ import annotations

from typing import Dict, Mapping

from ansible_collections.cellblock.jails.plugins.module_utils.engine.walk import Stamp
from ansible_collections.cellblock.jails.plugins.module_utils.jails.model import BASE_MOUNT
from ansible_collections.cellblock.jails.plugins.module_utils.jails.roots import LEFT_OUT, LINKED, OWN, OWN_EMPTY, OWN_USR

# What is a jail's alone, or a running system's: no release has a word in it.
APART = (
    *LEFT_OUT, "dev", "proc", "tmp", "mnt", "media", "net", "home", "usr/home", "usr/local", "usr/obj", "usr/ports", "usr/src",
    "var/run", "var/tmp", "var/log", "var/cache", "var/crash", "var/db/pkg", ".zfs", ".snap", BASE_MOUNT,
)
# Made of others; they are made anew when those change.
DATABASES: Mapping[str, str] = {
    "etc/passwd": "etc/master.passwd", "etc/pwd.db": "etc/master.passwd", "etc/spwd.db": "etc/master.passwd",
    "etc/login.conf.db": "etc/login.conf", "var/db/services.db": "etc/services",
    "etc/mail/aliases.db": "etc/mail/aliases", "etc/aliases.db": "etc/aliases",
}
Stamps = Dict[str, Stamp]


def enters(path: str) -> bool:
    """Whether what is in a directory of a base matters."""
    return path not in APART


def enters_thin(path: str) -> bool:
    """The same for a thin jail, which sees most of its base through a mount."""
    return path == "usr" or (path not in APART and path not in LINKED and path.partition("/")[0] in OWN)


def whole(found: Mapping[str, Stamp]) -> Stamps:
    """A base as a jail that is a copy of it has it."""
    return {path: stamp for path, stamp in found.items() if path not in DATABASES and path not in APART}


def thin(found: Mapping[str, Stamp]) -> Stamps:
    """A base as the root of a thin jail has it, see roots.py."""
    view: Stamps = {}
    for path, stamp in whole(found).items():
        top, _slash, rest = path.partition("/")
        if path in LINKED:
            view[path] = _link(f"{'../' * path.count('/')}{BASE_MOUNT}/{path}")
        elif top == "usr":
            if rest and "/" not in rest and rest not in OWN_USR:
                view[path] = _link(f"../{BASE_MOUNT}/{path}")
        elif top in OWN or (not rest and stamp.kind != "directory"):
            view[path] = stamp
        elif not rest and top not in OWN_EMPTY:
            view[path] = _link(f"{BASE_MOUNT}/{path}")
    return view


def _link(target: str) -> Stamp:
    return Stamp("link", target=target)
