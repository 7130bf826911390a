# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What backups need to know of a host besides its jails, in a number of commands that does not grow with them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Dict, List, Optional

from ansible_collections.cellblock.jails.plugins.module_utils.backups.manifest import SNAPSHOT
from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.jails.definition import Definition
from ansible_collections.cellblock.jails.plugins.module_utils.jails.observe import observe
from ansible_collections.cellblock.jails.plugins.module_utils.jails.sight import JailSight


@dataclass
class Sight(JailSight):
    """What is there for backups.

    :param bases: digests of bases, by path, as far as they were asked for.
    :param points: snapshots and bookmarks of the jails' datasets, and the guid of each; oldest first.
    """

    hostname: str = ""
    release: str = ""
    points: Dict[str, str] = field(default_factory=dict)
    bases: Dict[str, str] = field(default_factory=dict)

    def datasets(self, definition: Definition) -> List[str]:
        """The datasets of a jail, its root's first; none where that is a plain directory."""
        top = self.dataset(definition)
        if top is None:
            return []
        known = self.seen.datasets or {}
        return [top, *sorted(name for name in known if name.startswith(f"{top}/") and "@" not in name)]

    def of_ours(self, dataset: str, tail: str) -> List[str]:
        """Snapshots and bookmarks of a dataset that backups to one destination made.

        :param tail: what their names end in.
        """
        starts = (f"{dataset}@{SNAPSHOT}", f"{dataset}#{SNAPSHOT}")
        return [name for name in self.points if name.startswith(starts) and name.endswith(tail)]


def look(host: Host, storage_path: str, dataset: Optional[str], names: Optional[List[str]]) -> Sight:
    """Read the host.

    :param names: the jails that matter; all of ours by default.
    """
    seen = observe(host, [], storage_path, dataset)
    ours = seen.ours()
    sight = Sight(seen, ours, storage_path)
    told = host.ask(["sysctl", "-n", "kern.hostname", "kern.osrelease"]).out.splitlines()
    sight.hostname, sight.release = (told + ["", ""])[:2]
    wanted = [definition for name, definition in ours.items() if names is None or name in names]
    tops = sorted({top for top in map(sight.dataset, wanted) if top is not None})
    if tops:
        listed = host.ask(["zfs", "list", "-Hp", "-r", "-t", "snapshot,bookmark", "-s", "createtxg", "-o", "name,guid", *tops]).out
        for line in listed.splitlines():
            name, _tab, guid = line.partition("\t")
            if guid.isdigit():
                sight.points[name] = guid
    return sight
