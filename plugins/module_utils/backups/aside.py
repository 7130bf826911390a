# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stood at a place, moved aside while something else is tried there; back again, or gone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Optional

from ansible_collections.cellblock.jails.plugins.module_utils.engine import ask, storage
from ansible_collections.cellblock.jails.plugins.module_utils.engine.commands import CommandError
from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.jails.roots import OURS
from ansible_collections.cellblock.jails.plugins.module_utils.upgrades.keeping import beside, hide, local_properties


@dataclass(frozen=True)
class Aside:
    """A root that was moved aside.

    :param root: where it stood, and is to stand again if need be.
    :param set: the set that is restored in its place.
    :param dataset: its dataset's name then; None for a plain directory.
    """

    root: str
    set: str
    dataset: Optional[str] = None

    @property
    def name(self) -> str:
        """Where it is meanwhile; no jail's name has a colon, or begins with a dot."""
        return f"{self.dataset}:before-{self.set}" if self.dataset is not None else beside(self.root, f"before-{self.set}")

    def noted(self) -> Dict[str, Any]:
        """As a mark keeps it."""
        return {"root": self.root, "set": self.set, **({"dataset": self.dataset} if self.dataset is not None else {})}

    @classmethod
    def read(cls, noted: Optional[Mapping[str, Any]]) -> Optional[Aside]:
        """What a mark says stands aside."""
        return cls(str(noted["root"]), str(noted["set"]), noted.get("dataset")) if noted else None

    def there(self, host: Host) -> bool:
        """Whether it stands aside now."""
        if self.dataset is None:
            return host.isdir(self.name)
        return storage.is_there(host, self.name)

    def move(self, host: Host) -> None:
        """Move it aside; fine when that was done."""
        if self.there(host):
            if self.dataset is not None:
                hide(host, self.name)
            return
        if self.dataset is None:
            if host.isdir(self.root):
                host.rename(self.root, self.name)
            return
        storage.rename_dataset(host, self.dataset, self.name)
        hide(host, self.name)

    def back(self, host: Host) -> None:
        """Let it stand where it stood; what was made there is gone by then. Fine when that was done."""
        if not self.there(host):
            return
        if self.dataset is None:
            host.rmdir(self.root)
            host.rename(self.name, self.root)
            return
        place = local_properties(host, self.name).get("mountpoint")
        storage.rename_dataset(host, self.name, self.dataset)
        storage.set_properties(host, self.dataset, {"cellblock:state": "ready"})
        storage.forget_properties(host, self.dataset, ["cellblock:mountpoint"])
        if place:
            storage.set_properties(host, self.dataset, {"mountpoint": place})
        else:
            storage.forget_properties(host, self.dataset, ["mountpoint"])

    def drop(self, host: Host) -> None:
        """Keep it no longer; fine when it is gone.

        :raises Refused: others hold on to it.
        """
        if not self.there(host):
            return
        if self.dataset is None:
            storage.remove_tree(host, self.name, ask.mounts(host))
            return
        for name in _doomed(host, self.name):
            if "@" in name:
                release(host, name)
            storage.destroy_dataset(host, name)


def _doomed(host: Host, dataset: str) -> List[str]:
    """What has to be destroyed, in order."""
    columns = "name,origin"
    told = host.run(["zfs", "list", "-H", "-r", "-t", "filesystem,volume,snapshot", "-o", columns, dataset.partition("/")[0]]).out
    found = {name: {"origin": origin} for name, origin in (line.split("\t") for line in told.splitlines())}
    return storage.doomed(
        found, dataset, lambda taken: taken.startswith(OURS), dataset,
        "It is what the jail was before it was restored: destroy it by hand when nobody needs it",
    )


def release(host: Host, snapshot: str) -> None:
    """Let go of a snapshot that we hold; fine when we do not."""
    held = host.ask(["zfs", "holds", "-H", snapshot]).out.split("\n")
    if any(line.split("\t")[1:2] == [storage.HOLD] for line in held):
        result = host.ask(["zfs", "release", storage.HOLD, snapshot])
        if result.rc != 0 and "no such tag" not in result.err:
            raise CommandError(result)
