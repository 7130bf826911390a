# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a set says of its jail besides its files: all that another host needs to make it again."""

from __future__ import annotations

import re
from dataclasses import asdict
from typing import Any, Dict, List, Mapping

from ansible_collections.cellblock.jails.plugins.module_utils.backups.observe import Sight
from ansible_collections.cellblock.jails.plugins.module_utils.engine import ask
from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.formats import devfs_rules
from ansible_collections.cellblock.jails.plugins.module_utils.jails.definition import Definition
from ansible_collections.cellblock.jails.plugins.module_utils.networks.join import joins_of
from ansible_collections.cellblock.jails.plugins.module_utils.networks.model import networks_of

VERSION = "0.1.0"
PACKAGE = re.compile(r"[^\s/]+-[^\s-]+")
MOST_PACKAGES = 20000
# Facts of a jail's mark that are about this host's keeping of it, and mean nothing in another place.
PASSING = ("upgrade", "waits")


def words_of(host: Host, sight: Sight, definition: Definition) -> Dict[str, Any]:
    """The words of a manifest that come from the host."""
    seen = sight.seen
    name, meta = definition.name, definition.meta
    return {
        "host": seen.sysctl.get("kern.hostname", "") or sight.hostname, "release": sight.release, "collection": VERSION,
        "style": definition.style, "mark": {key: value for key, value in meta.items() if key not in PASSING},
        "parameters": {key: list(values) for key, values in definition.params.items()},
        "definition": definition.conf(), "fstab": seen.fstabs.get(name, ""),
        "limits": _limits(sight, name), "rulesets": _rulesets(host, sight, definition), "networks": _networks(seen.rc_conf, meta),
        "base": _base(host, sight, definition), "packages": _packages(host, sight, definition),
    }


def _limits(sight: Sight, name: str) -> List[str]:
    """Its rules in the kernel, and those of the file that the next boot loads."""
    kept = [line.split()[0] for line in sight.seen.rctl_conf.splitlines() if line.startswith(f"jail:{name}:")]
    loaded = [rule for rule in sight.seen.rules or () if rule.startswith(f"jail:{name}:")]
    return sorted({*kept, *loaded})


def _rulesets(host: Host, sight: Sight, definition: Definition) -> Dict[str, List[str]]:
    wanted = (definition.params.get("devfs_ruleset") or [""])[-1]
    for path in ("/etc/defaults/devfs.rules", "/etc/devfs.rules"):
        for name, ruleset in devfs_rules.rulesets(host.read(path) or "").items():
            if wanted in (name, str(ruleset.number)) and ruleset.number > 5:
                return {name: list(ruleset.rules)}
    return {}


def _networks(rc_conf: str, meta: Mapping[str, Any]) -> Dict[str, Any]:
    names = {member.network for member in joins_of(meta)}
    known = networks_of(rc_conf) if names else {}
    return {name: _plain(asdict(known[name])) for name in sorted(names & set(known))}


def _plain(value: Any) -> Any:
    """As JSON has it."""
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, (list, tuple, set, frozenset)) else value


def base_path(sight: Sight, definition: Definition) -> str:
    """Where a jail's base stands."""
    base = str(definition.meta.get("base"))
    return base if base.startswith("/") else f"{sight.storage_path}/basejails/{base}"


def version(host: Host, path: str) -> str:
    """The version of a tree."""
    return ask.version(host, path)


def _base(host: Host, sight: Sight, definition: Definition) -> Dict[str, str]:
    """The base that a root came from: its name, version and identity."""
    meta, base = definition.meta, definition.meta.get("base")
    found = {"root": str(meta.get("root") or "")}
    if not base:
        return {**found, "version": ask.version(host, definition.root)}
    path = base_path(sight, definition)
    found.update({"name": str(base), "path": path, "version": version(host, path), **({"digest": sight.bases[path]} if path in sight.bases else {})})
    origin = (sight.seen.datasets or {}).get(sight.dataset(definition) or "", {}).get("origin", "-")
    if origin != "-":
        told = host.ask(["zfs", "get", "-Hp", "-o", "value", "guid", origin])
        found.update({"origin": origin, "guid": told.out.strip() if told.rc == 0 else ""})
    return found


def _packages(host: Host, sight: Sight, definition: Definition) -> List[str]:
    """Those that are installed, as its own database says; that is whatever the jail's root wants."""
    root = definition.root
    if not sight.seen.has_pkg or host.outer(root) not in (None, root):
        return []
    try:
        if host.tree(root).look("var/db/pkg/local.sqlite", 0).kind != "file":
            return []
    except OSError:
        return []
    told = host.ask(["pkg", "-r", root, "query", "%n-%v"], timeout=120)
    lines = told.out.splitlines() if told.rc == 0 else []
    return sorted(line for line in lines[:MOST_PACKAGES] if PACKAGE.fullmatch(line))
