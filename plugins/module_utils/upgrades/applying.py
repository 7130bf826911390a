# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A merge comes into a root: files, and the databases that are made of some. Nothing of the jail's is run for it."""

from __future__ import annotations

import re
from typing import Callable, Dict, List, Mapping, Sequence, Tuple

from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.engine.walk import Walk
from ansible_collections.cellblock.jails.plugins.module_utils.errors import HostError, Refused
from ansible_collections.cellblock.jails.plugins.module_utils.formats.secrets import HIDDEN
from ansible_collections.cellblock.jails.plugins.module_utils.jails.inside import ALIASES, DATABASES, MAILER, MASTER
from ansible_collections.cellblock.jails.plugins.module_utils.upgrades.merging import Bases, Change, Conflict, Merge, Rules, merge

# What is shown to the line; of the rest of a system only the number.
SHOWN = ("etc/", "var/", "root/", ".")


def conflicted(name: str, conflicts: Sequence[Conflict]) -> Refused:
    """Why a jail is not touched."""
    listed = "; ".join(map(str, conflicts))
    return Refused(
        f"{len(conflicts)} conflicts: {listed}", f"jail {name}",
        "Decide each by merge: {PATH: keep} for what the jail has, or take for what the new base has",
    )


def apply(host: Host, name: str, root: str, bases: Bases, rules: Rules) -> None:
    """Merge anew, now that the jail is down, and bring what came of it into the root. Twice is once."""
    ours = Walk.of(host, root)
    found = merge(bases, ours, rules)
    if found.conflicts:
        raise conflicted(name, found.conflicts)
    names: Dict[Tuple[int, int], str] = {}
    for change in found.changes:
        bring(ours, bases.new, change, names)
    rebuild(host, root, found.databases)


def bring(ours: Walk, new: Walk, change: Change, names: Dict[Tuple[int, int], str]) -> None:
    """Bring one change into a root."""
    if change.act == "take":
        ours.bring(new, change.path, change.stamp, names)
    elif change.act == "remove":
        ours.discard(change.path)
    elif change.act == "shape":
        ours.shape(change.path, change.stamp)
    else:
        ours.loosen(change.path)
        ours.write(change.path, change.after or "", change.stamp.mode, (change.stamp.uid, change.stamp.gid))


def rebuild(host: Host, root: str, sources: Sequence[str]) -> None:
    """Make the databases of some files anew: outside, by the host's own tools, and put in."""
    for source in sources:
        maker = MAKERS.get(source)
        if maker is not None:
            with host.scratch() as scratch:
                maker(host, root, scratch)


def _accounts(host: Host, root: str, scratch: str) -> None:
    tree = host.tree(root)
    host.write(f"{scratch}/new", tree.read(MASTER) or "", 0o600)
    host.run(["pwd_mkdb", "-p", "-d", scratch, f"{scratch}/new"], where=f"{root}/{MASTER}")
    for database, mode in DATABASES.items():
        text = host.read(f"{scratch}/{database}")
        if text is None:
            raise HostError(f"pwd_mkdb(8) made no {database}", f"{root}/{MASTER}")
        tree.write(f"etc/{database}", text, mode)


def _classes(host: Host, root: str, scratch: str) -> None:
    _database(host, root, scratch, "etc/login.conf", "etc/login.conf.db", lambda text, made: ["cap_mkdb", "-f", made[:-3], text])


def _services(host: Host, root: str, scratch: str) -> None:
    _database(host, root, scratch, "etc/services", "var/db/services.db", lambda text, made: ["services_mkdb", "-q", "-o", made, text])


def _database(host: Host, root: str, scratch: str, source: str, database: str, argv: Callable[[str, str], List[str]]) -> None:
    tree = host.tree(root)
    if tree.look(database, 1 << 26).kind != "file":
        return  # what looks things up reads the text itself
    host.write(f"{scratch}/text", tree.read(source, 1 << 24) or "")
    host.run(argv(f"{scratch}/text", f"{scratch}/made.db"), where=f"{root}/{source}")
    text = host.read(f"{scratch}/made.db")
    if text is None:
        raise HostError("no database was made of it", f"{root}/{source}")
    tree.write(database, text)


MAKERS: Mapping[str, Callable[[Host, str, str], None]] = {
    MASTER: _accounts, "etc/login.conf": _classes, "etc/services": _services,
}


def wants_newaliases(host: Host, root: str, found: Merge) -> bool:
    """Whether sendmail(8) of the jail needs its aliases made anew, which only it can do."""
    if ALIASES not in found.databases and "etc/aliases" not in found.databases:
        return False
    return "libexec/sendmail" in (host.tree(root).look(MAILER).text or "")


def told(found: Merge) -> Tuple[str, str]:
    """What changes, before and after, to the line."""
    before, after = [], []
    for change in found.changes:
        if change.path.startswith(SHOWN) and change.act != "shape":
            before.append(_shown(change.path, change.before))
            after.append(_shown(change.path, change.after))
    others = len([change for change in found.changes if not change.path.startswith(SHOWN)])
    if others:
        after.append(f"and {others} other paths of the system\n")
    return "".join(before), "".join(after)


def _shown(path: str, text: "str | None") -> str:
    if text is None:
        return ""
    if path == MASTER:
        text = re.sub(r"(?m)^([^:\n#]*):([^:\n*][^:\n]*):", rf"\1:{HIDDEN}:", text)
    return f"=== /{path}\n{text}" + ("" if not text or text.endswith("\n") else "\n")
