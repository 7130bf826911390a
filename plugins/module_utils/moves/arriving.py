# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The place on the other host that a jail comes to: datasets that nobody mounts, or a directory that nobody knows, until it is whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Optional

from ansible_collections.cellblock.jails.plugins.module_utils.engine import ask, storage
from ansible_collections.cellblock.jails.plugins.module_utils.engine.commands import CommandError
from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.engine.walk import Stamp, Walk, looks
from ansible_collections.cellblock.jails.plugins.module_utils.errors import HostError
from ansible_collections.cellblock.jails.plugins.module_utils.moves import journal, sending
from ansible_collections.cellblock.jails.plugins.module_utils.moves.offer import BASE, ROOT, SURVEY, Offer

QUIET = ("mountpoint", "canmount", "readonly", "jailed", "sharenfs", "sharesmb")  # of a dataset that only receives
OWN = "cellblock:move"  # on a dataset, which move it comes by


@dataclass(frozen=True)
class Place:
    """Where one jail comes to.

    :param kind: ``zfs`` for streams of snapshots, ``tar`` for trees.
    :param base_kind: how its base is sent; "" when it is there.
    :param clone: whether the root is a clone of a base that is there, by its guid.
    """

    name: str
    move: str
    offer: Offer
    kind: str
    path: str
    dataset: Optional[str]
    base_path: str = ""
    base_dataset: Optional[str] = None
    base_kind: str = ""
    clone: bool = False

    @property
    def growing(self) -> str:
        """Where a tree grows."""
        return _beside(self.path)

    @property
    def base_growing(self) -> str:
        """Where a base grows that is a tree."""
        return _beside(self.base_path)

    def datasets(self) -> Dict[str, str]:
        """The datasets, by their streams."""
        if self.kind != "zfs" or self.dataset is None:
            return {}
        return {stream: f"{self.dataset}{one['below']}" for stream, one in self.offer.datasets.items()}

    def streams(self) -> List[str]:
        """The streams that are received here, the base first."""
        own = list(self.datasets()) if self.kind == "zfs" else [ROOT, SURVEY]
        return [*([BASE] if self.base_kind else []), *own]

    def commands(self) -> Dict[str, List[str]]:
        """What receives each stream, and nothing but it."""
        receive = ["/sbin/zfs", "receive", "-s", "-u"]
        found = {stream: [*receive, "-o", "readonly=on", "-o", "canmount=noauto", "-x", "mountpoint", name] for stream, name in self.datasets().items()}
        if self.base_kind == "zfs" and self.base_dataset is not None:
            found[BASE] = [*receive, "-o", "canmount=noauto", self.base_dataset]
        elif self.base_kind:
            found[BASE] = _untar(self.base_growing)
        if self.kind == "tar":
            found[ROOT] = _untar(self.growing)
            found[SURVEY] = ["/bin/dd", f"of={journal.home(self.name)}/survey", "bs=64k", "status=none"]
        return found

    # -- while it comes

    def prepare(self, host: Host, anew: bool) -> None:
        """Make room. A tree whose first pass was cut begins anew."""
        if self.kind == "tar":
            if anew or not self.offer.passed:
                self.drop_tree(host)
            if self.dataset is not None and not storage.is_there(host, self.dataset):
                storage.create_dataset(host, self.dataset, {OWN: self.move, "mountpoint": self.growing})
            host.makedirs(self.growing, 0o700)
        elif anew:
            self.drop_datasets(host)
        if self.base_kind == "tar":
            storage.remove_tree(host, self.base_growing)
            host.makedirs(self.base_growing, 0o755)
        elif self.base_kind and self.base_dataset is not None:
            parent = self.base_dataset.rpartition("/")[0]
            if not storage.is_there(host, parent):
                storage.create_dataset(host, parent, {})

    def there(self, host: Host) -> Dict[str, Any]:
        """What has come: snapshots and tokens of streams that were cut."""
        found = {stream: _received(host, name) for stream, name in self.datasets().items()}
        told: Dict[str, Any] = {"datasets": found, "acls": storage.acls(ask.mounts(host), self.path)}
        if self.base_kind == "zfs" and self.base_dataset is not None:
            base = _received(host, self.base_dataset)
            told["base"] = base
            told["base_there"] = self.offer.base.get("guid") in base["snapshots"].values()
        return told

    def drop_datasets(self, host: Host) -> None:
        """Take away what has come of datasets; what is not of this move stays."""
        for name in reversed(list(self.datasets().values())):
            if not storage.is_there(host, name):
                continue
            host.ask(["zfs", "receive", "-A", name])
            journal.drop_snapshots(host, [name], self.move)
            storage.destroy_dataset(host, name)
        if host.isdir(self.path) and not host.listdir(self.path):
            host.rmdir(self.path)  # where it was mounted for a while

    def drop_tree(self, host: Host) -> None:
        """Take away what has come of a tree."""
        if self.dataset is not None and host.ask(["zfs", "get", "-H", "-o", "value", OWN, self.dataset]).out.strip() == self.move:
            storage.destroy_dataset(host, self.dataset)
            host.rmdir(self.growing)
        storage.remove_tree(host, self.growing, ask.mounts(host))

    # -- when it has come

    def settle_base(self, host: Host) -> None:
        """The base is one of this host's from now on; fine when that was done."""
        if not self.base_kind:
            return
        name, source = str(self.offer.base["name"]), str(self.offer.base.get("source") or "adopted")
        if self.base_kind == "zfs" and self.base_dataset is not None:
            storage.set_properties(host, self.base_dataset, {
                "cellblock:base": name, "cellblock:state": "ready", "cellblock:source": source, "canmount": "on",
            })
            _mount(host, self.base_dataset)
            return
        if host.isdir(self.base_growing) and host.listdir(self.base_growing) and not host.isdir(self.base_path):
            host.write(f"{self.base_path.rpartition('/')[0]}/.{name}.json", '{"source": "directory"}\n')
            host.rename(self.base_growing, self.base_path)
            host.chmod(self.base_path, 0o755)

    def prune(self, host: Host) -> None:
        """Take away what the jail has no more, and what stands in the way of what it has now."""
        wanted, tree = self._listed(host), Walk.of(host, self.growing)
        there = tree.survey(lambda path: True)
        for path in sorted(there, key=lambda path: -path.count("/")):
            if path not in wanted or wanted[path].kind != there[path].kind:
                tree.discard(path)

    def _listed(self, host: Host) -> Dict[str, Stamp]:
        text = host.read(f"{journal.home(self.name)}/survey")
        if not text:
            raise HostError("the list of what it has did not come", f"jail {self.name}", "Run the playbook again")
        return sending.read_text(text)

    def compare(self, host: Host, identities: Mapping[str, str]) -> None:
        """What came must be what was there when the jail was stopped.

        :param identities: the guids of the last snapshots, by stream.
        :raises HostError: it is not.
        """
        where = f"jail {self.name}"
        if self.kind == "tar":
            if not host.isdir(self.growing) and host.isdir(self.path):
                return  # it was compared, and put there
            differing = self._differing(host)
            if differing:
                raise HostError(
                    f"{len(differing)} paths are not as they were on {self.offer.host}: {', '.join(map(repr, differing[:5]))}", where,
                    "Run again with jail_move_restart=true, which sends it anew",
                )
            return
        for stream, name in self.datasets().items():
            own = list(journal.snapshots(host, name).values())
            if not own or own[-1] != identities.get(stream):
                raise HostError(f"the last snapshot of {name} is not that of {self.offer.host}", where, "Run the playbook again, it sends what lacks")
            if host.run(["zfs", "get", "-H", "-o", "value", "keystatus", name]).out.strip() == "unavailable":
                raise HostError(f"dataset {name} is encrypted, and its key is not loaded here", where, f"zfs load-key {name}, then run again")

    def _differing(self, host: Host) -> List[str]:
        wanted, found = (_solid(listed) for listed in (self._listed(host), sending.survey(host, self.growing)))
        return sorted({*wanted, *found} - {path for path in wanted if path in found and looks(wanted[path]) == looks(found[path])})

    def put(self, host: Host) -> None:
        """Let it stand where the jail will; fine when that was done."""
        if self.kind == "tar":
            if self.dataset is not None:
                storage.set_properties(host, self.dataset, {"cellblock:jail": self.name, "cellblock:state": "ready", "mountpoint": self.path})
                storage.forget_properties(host, self.dataset, [OWN])
            elif host.isdir(self.growing) and not host.isdir(self.path):
                host.rename(self.growing, self.path)
            host.chmod(self.path, 0o755)
            return
        for stream, name in self.datasets().items():
            own = dict(self.offer.datasets[stream]["properties"])
            place = {"mountpoint": self.path} if stream == ROOT and self.path.rpartition("/")[2] != self.name else {}
            kept = {key: value for key, value in own.items() if key not in QUIET}
            marks = {"cellblock:jail": self.name, "cellblock:state": "ready"} if stream == ROOT else {}
            storage.forget_properties(host, name, ["readonly"])
            storage.set_properties(host, name, {**kept, **place, **marks, "canmount": own.get("canmount", "on")})
            if own.get("jailed") == "on":
                storage.set_properties(host, name, {"jailed": "on"})
            else:
                _mount(host, name)

    def take_back(self, host: Host) -> None:
        """Let it be what came, before anything ran on it: so that more can come."""
        if self.kind == "tar":
            if self.dataset is not None:
                storage.set_properties(host, self.dataset, {OWN: self.move, "mountpoint": self.growing})
                storage.forget_properties(host, self.dataset, ["cellblock:jail", "cellblock:state"])
            elif host.isdir(self.path) and not host.isdir(self.growing):
                host.rename(self.path, self.growing)
            return
        for name in reversed(list(self.datasets().values())):
            host.ask(["zfs", "unmount", name])
            own = [taken for taken in journal.snapshots(host, name) if taken.startswith(journal.prefix(self.move))]
            if own:
                storage.rollback(host, f"{name}@{own[-1]}")
            storage.set_properties(host, name, {"readonly": "on", "canmount": "noauto"})
            storage.forget_properties(host, name, ["cellblock:jail", "cellblock:state"])
            host.ask(["zfs", "unmount", name])


def _beside(path: str) -> str:
    parent, _slash, name = path.rpartition("/")
    return f"{parent}/.{name}.arriving"


def _untar(path: str) -> List[str]:
    tar, *words = storage.unpacking(path, "-U")
    return [f"/usr/bin/{tar}", *words]


def _received(host: Host, name: str) -> Dict[str, Any]:
    told = host.ask(["zfs", "get", "-H", "-o", "value", "receive_resume_token", name])
    if told.rc != 0:
        if "does not exist" not in told.err:
            raise CommandError(told)
        return {"snapshots": {}}
    token = told.out.strip()
    return {"snapshots": journal.snapshots(host, name), **({"token": token} if token not in ("", "-") else {})}


def _mount(host: Host, name: str) -> None:
    result = host.ask(["zfs", "mount", name])
    if result.rc != 0 and "already mounted" not in result.err and "legacy" not in result.err and "none" not in result.err:
        raise CommandError(result)


def _solid(listed: Mapping[str, Stamp]) -> Dict[str, Stamp]:
    """What has to be alike: a socket goes with whoever listened, and no archive has it."""
    return {path: stamp for path, stamp in listed.items() if stamp.kind != "other"}
