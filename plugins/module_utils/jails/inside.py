# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The jail's own files, kept from outside and never through a link that the jail planted."""

from __future__ import annotations

import re
import stat
from typing import Callable, Dict, List, Mapping, Optional

from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.engine.plan import Step
from ansible_collections.cellblock.jails.plugins.module_utils.engine.tree import Entry, Tree
from ansible_collections.cellblock.jails.plugins.module_utils.errors import HostError
from ansible_collections.cellblock.jails.plugins.module_utils.formats import rc_conf
from ansible_collections.cellblock.jails.plugins.module_utils.formats.lines import kept_lines
from ansible_collections.cellblock.jails.plugins.module_utils.formats.secrets import HIDDEN
from ansible_collections.cellblock.jails.plugins.module_utils.jails.model import Inside

FSTAB, RC_CONF, RESOLV = "etc/fstab", "etc/rc.conf", "etc/resolv.conf"
LOCALTIME, ZONE = "etc/localtime", "var/db/zoneinfo"
ALIASES, MASTER, KEYS = "etc/mail/aliases", "etc/master.passwd", "root/.ssh/authorized_keys"
MAILER = "etc/mail/mailer.conf"
SCRIPT = "flavour.sh"  # of a flavour: run once inside, and removed
ZONES = "/usr/share/zoneinfo"
DATABASES = {"master.passwd": 0o600, "passwd": 0o644, "pwd.db": 0o644, "spwd.db": 0o600}

Edit = Callable[[Optional[str]], Optional[str]]


def edits(wanted: Inside, resolv_conf: str) -> Dict[str, Edit]:
    """For each declared file, what its text becomes, given its text now (None: absent)."""
    found: Dict[str, Edit] = {}
    if wanted.fstab is not None:
        fstab = wanted.fstab
        found[FSTAB] = lambda now: fstab
    if wanted.rc_conf:
        found[RC_CONF] = lambda now: _rc_conf(now or "", wanted.rc_conf)
    if wanted.resolv_conf == "none":
        found[RESOLV] = lambda now: None
    elif wanted.resolv_conf is not None:
        text = resolv_conf if wanted.resolv_conf == "copy" else _line(wanted.resolv_conf)
        found[RESOLV] = lambda now: text
    if wanted.timezone is not None:
        zone = f"{wanted.timezone}\n"
        found[ZONE] = lambda now: zone
    if wanted.aliases:
        found[ALIASES] = lambda now: set_aliases(now or "", wanted.aliases)
    if wanted.authorized_keys is not None:
        keys = "".join(f"{key}\n" for key in wanted.authorized_keys)
        found[KEYS] = lambda now: keys
    return found


def _line(text: str) -> str:
    return text if not text or text.endswith("\n") else text + "\n"


def _rc_conf(now: str, wanted: Mapping[str, Optional[str]]) -> str:
    have = rc_conf.values(now)
    return rc_conf.edit(now, {key: value for key, value in wanted.items() if have.get(key) != value})


def set_aliases(text: str, wanted: Mapping[str, str]) -> str:
    """Set entries of an aliases(5) file; a commented or absent one is added at the end."""
    left = dict(wanted)
    lines: List[str] = []
    dropping = False
    for line in kept_lines(text):
        if dropping and line[:1] in (" ", "\t"):
            continue  # the old entry's continuation
        dropping = False
        name, colon, _rest = line.partition(":")
        key = name.strip().strip('"')
        if colon and not line.startswith(("#", " ", "\t")) and key in wanted:
            dropping = True
            if key in left:
                lines.append(f"{key}: {left.pop(key)}\n")
            continue
        lines.append(line)
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += "\n"
    return "".join(lines) + "".join(f"{key}: {value}\n" for key, value in left.items())


def root_password(text: str) -> Optional[str]:
    """Root's password field in a master.passwd(5)."""
    found = re.search(r"^root:([^:\n]*):", text, re.MULTILINE)
    return found.group(1) if found else None


def look(tree: Tree, wanted: Inside) -> Dict[str, Entry]:
    """What is at the declared paths of a jail's root."""
    paths = [*edits(wanted, ""), *([LOCALTIME] if wanted.timezone else []), *([MASTER] if wanted.root_password else [])]
    return {path: tree.look(path) for path in paths}


def plan(
    root: str, name: str, wanted: Inside, resolv_conf: str, seen: Optional[Mapping[str, Entry]], running: bool
) -> List[Step]:
    """The steps that bring a jail's own files to what is declared.

    :param root: the jail's root on the host.
    :param seen: what is there; None for a root that is still to be made: then every declared file is a step.
    """
    steps = []
    for path, edit in edits(wanted, resolv_conf).items():
        entry = None if seen is None else seen.get(path, Entry("absent"))
        now = entry.text if entry is not None and entry.kind == "file" else None
        after = edit(now)
        if entry is not None and (after == now if entry.kind in ("file", "absent") else False):
            continue
        steps.append(_step(root, name, path, edit, now, after, running))
    if wanted.timezone is not None:
        target = f"{ZONES}/{wanted.timezone}"
        entry = None if seen is None else seen.get(LOCALTIME)
        if entry is None or (entry.kind, entry.text) != ("link", target):
            before = "" if entry is None or entry.kind != "link" else f"-> {entry.text}\n"
            steps.append(Step(
                f"set the time zone to {wanted.timezone}", lambda host: host.tree(root).link(LOCALTIME, target), None,
                f"{root}/{LOCALTIME}", before, f"-> {target}\n",
            ))
    if wanted.root_password is not None:
        steps += _password(root, wanted.root_password, None if seen is None else seen.get(MASTER))
    return steps


def _step(
    root: str, name: str, path: str, edit: Edit, now: Optional[str], after: Optional[str], running: bool
) -> Step:
    mode = 0o600 if path == KEYS else 0o644

    def do(host: Host) -> None:
        tree = host.tree(root)
        entry = tree.look(path)
        text = edit(entry.text if entry.kind == "file" else None)
        if text is None:
            tree.remove(path)
            return
        if path == KEYS:
            tree.makedirs("root/.ssh", 0o700)
        tree.write(path, text, stat.S_IMODE(entry.mode) & 0o777 if entry.kind == "file" and path != KEYS else mode)
        if path == ALIASES and running and "libexec/sendmail" in (tree.look(MAILER).text or ""):
            # dma(8) reads the text itself; sendmail(8) wants its database made anew.
            host.run(["jexec", "-l", name, "/usr/bin/newaliases"], timeout=60, where=f"jail {name}")

    verb = "remove" if after is None else "write"
    return Step(f"{verb} {path}", do, None, f"{root}/{path}", now or "", after or "")


def _password(root: str, wanted: str, entry: Optional[Entry]) -> List[Step]:
    if entry is not None and entry.kind == "file" and root_password(entry.text or "") == wanted:
        return []

    def do(host: Host) -> None:
        tree = host.tree(root)
        text = tree.read(MASTER)
        if text is None or root_password(text) is None:
            raise HostError("has no entry for root", f"{root}/{MASTER}", "Is the root a FreeBSD userland?")
        changed = re.sub(r"^root:[^:\n]*:", lambda _match: f"root:{wanted}:", text, count=1, flags=re.MULTILINE)
        # pw(8) and pwd_mkdb(8) would follow the jail's links, so the databases are made outside and put in.
        with host.scratch() as scratch:
            host.write(f"{scratch}/new", changed, 0o600)
            host.run(["pwd_mkdb", "-p", "-d", scratch, f"{scratch}/new"])
            for database, mode in DATABASES.items():
                tree.write(f"etc/{database}", host.read(f"{scratch}/{database}") or "", mode)

    return [Step("set root's password", do, None, f"{root}/{MASTER}", f"root:{HIDDEN}\n", f"root:{HIDDEN}, new\n")]
