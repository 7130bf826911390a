# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The state of the whole host, as one reading found it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Dict, FrozenSet, List, Mapping, Optional, Set

from ansible_collections.cellblock.jails.plugins.module_utils.engine.tree import Entry, outermost
from ansible_collections.cellblock.jails.plugins.module_utils.errors import HostError
from ansible_collections.cellblock.jails.plugins.module_utils.formats import outputs
from ansible_collections.cellblock.jails.plugins.module_utils.jails import definition, rc_variables
from ansible_collections.cellblock.jails.plugins.module_utils.jails.boot_files import Snapshot, whole_conf
from ansible_collections.cellblock.jails.plugins.module_utils.jails.definition import Definition
from ansible_collections.cellblock.jails.plugins.module_utils.jails.next_boot import INCLUDES
from ansible_collections.cellblock.jails.plugins.module_utils.jails.rc_variables import Variables

RC_CONF = rc_variables.RC_CONF
RCTL_CONF = "/etc/rctl.conf"


def partial(path: str) -> str:
    """Where a plain root grows until it is whole."""
    parent, _slash, name = path.rpartition("/")
    return f"{parent}/.{name}.partial"


def private(storage_path: str, name: str) -> str:
    """Where a root that stands in another jail's is made and removed: out of that jail's sight."""
    return f"{storage_path}/.{name}.private/root"


@dataclass
class Observed:
    """What the host is. Made by ``observe``; planning reads it and nothing else."""

    running: Dict[str, Mapping[str, Any]] = field(default_factory=dict)
    dying: FrozenSet[str] = frozenset()
    mounts: List[outputs.Mount] = field(default_factory=list)
    interfaces: Mapping[str, outputs.Interface] = field(default_factory=dict)
    datasets: Optional[Mapping[str, Mapping[str, str]]] = None
    sysctl: Mapping[str, str] = field(default_factory=dict)
    rules: Optional[FrozenSet[str]] = None
    cpus: Mapping[str, FrozenSet[int]] = field(default_factory=dict)  # by jid, of jails that are given some
    rulesets: Dict[str, int] = field(default_factory=dict)
    loaded_rulesets: Optional[FrozenSet[int]] = None
    rc_conf: str = ""
    rctl_conf: str = ""
    variables: Variables = Variables()  # of rc.conf and what counts over it
    boot_files: Snapshot = Snapshot()  # what rc.d/jail reads beside them
    resolv_conf: str = ""
    confs: Dict[str, str] = field(default_factory=dict)  # jail.conf.d, ours or not
    fstabs: Dict[str, str] = field(default_factory=dict)
    foreign: Dict[str, str] = field(default_factory=dict)  # names that other files define, and where
    groups: Dict[str, Definition] = field(default_factory=dict)  # ours in rc.conf
    directories: Set[str] = field(default_factory=set)  # of the paths asked about, which are there
    filled: Set[str] = field(default_factory=set)  # of these, which hold anything
    seen: Dict[str, Dict[str, Entry]] = field(default_factory=dict)  # the jails' own files
    unsafe: Dict[str, HostError] = field(default_factory=dict)
    scripted: Set[str] = field(default_factory=set)  # flavours with a script
    missing_sources: Set[str] = field(default_factory=set)  # of declared mounts
    missing_zones: Set[str] = field(default_factory=set)  # declared, and unknown to the host
    has_pkg: bool = False
    roots: Dict[str, str] = field(default_factory=dict)  # of all jails, whoever made them, and whose each is
    theirs: Dict[str, str] = field(default_factory=dict)  # of these, what definitions of others name, and rc.conf
    places: Dict[str, str] = field(default_factory=dict)  # where roots are now that will be elsewhere
    own: Dict[str, Any] = field(default_factory=dict)  # what aspects read for themselves, by their names

    def place(self, path: str) -> str:
        """Where it is now what will be at a path."""
        for new, now in self.places.items():
            if path == new or path.startswith(f"{new}/"):
                return now + path[len(new):]
        return path

    def outer(self, path: str) -> Optional[str]:
        """The root of the outermost jail that a path is below."""
        return outermost(self.roots, path)

    @property
    def osreldate(self) -> int:
        """The kernel's __FreeBSD_version."""
        return int(self.sysctl.get("kern.osreldate", "0"))

    @cached_property
    def boot(self) -> str:
        """When the host booted, seconds since 1970; tells one life of the kernel from another."""
        found = re.search(r"sec = (\d+)", self.sysctl.get("kern.boottime", ""))
        return found.group(1) if found else ""

    @property
    def rc(self) -> Mapping[str, str]:
        """The variables of rc.conf and its like, as rc.d/jail has them."""
        return self.variables.values

    @property
    def whole_conf(self) -> str:
        """The file of all jails, which rc.d/jail reads where a jail has none of its own."""
        return whole_conf(self.variables)

    @property
    def includes(self) -> bool:
        """Whether rc.d/jail reads that file in place of those in jail.conf.d, because it includes them."""
        return bool(INCLUDES.search(self.boot_files.text(self.whole_conf) or ""))

    @property
    def gathers(self) -> bool:
        """Whether that file includes any other: by a relative name, or by others in between, ours too where it starts all jails."""
        return ".include" in (self.boot_files.text(self.whole_conf) or "")

    def elsewhere(self, name: str) -> Optional[str]:
        """The file besides jail.conf.d that defines a jail in another's hand, if there is one."""
        infix = definition.infix(name)
        named = self.rc.get(f"jail_{infix}_conf", "")
        if named != definition.conf_path(name) and self.boot_files.text(named) is not None:
            return named
        return self.foreign.get(name) or (RC_CONF if self.foreign.get(infix) == RC_CONF else None)

    def ours(self) -> Dict[str, Definition]:
        """The definitions of ours."""
        found = dict(self.groups)
        for name, text in self.confs.items():
            read = definition.read_conf(name, text)
            if read is not None:
                found[name] = read
        return found

    def definition(self, name: str) -> Optional[Definition]:
        """A jail's definition of ours, if there is one."""
        if name in self.confs:
            found = definition.read_conf(name, self.confs[name])
            if found is not None:
                return found
        return self.groups.get(name)

    def marks(self) -> Dict[str, Dict[str, Any]]:
        """The facts of all marks, without reading whole definitions."""
        found = {name: dict(group.meta) for name, group in self.groups.items()}
        for name, text in self.confs.items():
            facts = definition.read_own_mark(name, text)
            if facts is not None:
                found[name] = facts
        return found

    def dataset_of(self, name: str, facts: Mapping[str, Any]) -> Optional[str]:
        """The dataset that a jail's root is, by its mark or by what is mounted there; None for a plain directory."""
        noted, path = facts.get("dataset"), facts.get("path")
        mounted = [mount.special for mount in self.mounts if mount.node == path and mount.fstype == "zfs"]
        for dataset in [str(noted)] if noted else [*mounted[-1:], *(self.datasets or {})]:
            found = (self.datasets or {}).get(dataset, {})
            if found.get("cellblock:jail") == name and "@" not in dataset and found.get("mountpoint") in (path, "none"):
                return dataset
        return None

    def mounted_below(self, path: str) -> List[outputs.Mount]:
        """What is mounted below a path, deepest and latest first."""
        below = [mount for mount in self.mounts if mount.node.startswith(path + "/")]
        return sorted(reversed(below), key=lambda mount: -mount.node.count("/"))
