# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A jail's root: how each kind is made whole or not at all, and how it is removed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Dict, List, Mapping, Optional

from ansible_collections.cellblock.jails.plugins.module_utils.engine import ask, storage
from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.engine.plan import Step
from ansible_collections.cellblock.jails.plugins.module_utils.engine.tree import Entry
from ansible_collections.cellblock.jails.plugins.module_utils.errors import HostError, InputError, Refused, UnsafePath
from ansible_collections.cellblock.jails.plugins.module_utils.jails.inside import SCRIPT
from ansible_collections.cellblock.jails.plugins.module_utils.jails.model import BASE_MOUNT, Jail
from ansible_collections.cellblock.jails.plugins.module_utils.jails.observed import Observed, partial, private

if TYPE_CHECKING:
    from ansible_collections.cellblock.jails.plugins.module_utils.jails.filling import Filling

# What a thin jail has of its own; everything else of a base is seen through the mounted base.
OWN = ("etc", "root", "var", "tmp")
OWN_EMPTY = ("dev", "proc", "mnt", "media", "home", "net")
OWN_USR = ("local", "obj", "home", "ports")
# Of /etc, what nobody edits: seen through the base as well, and so always of its release.
LINKED = (
    "etc/rc.d", "etc/rc.subr", "etc/network.subr", "etc/defaults", "etc/periodic", "etc/mtree", "etc/devd", "etc/autofs",
    "etc/pf.os", "etc/regdomain.xml", "etc/ssh/moduli", "etc/ssl/cert.pem", "etc/mail/freebsd.cf", "etc/mail/freebsd.submit.cf",
)
# State of the host's tools, not of the system; it would only grow the copy.
LEFT_OUT = ("var/db/etcupdate", "var/db/freebsd-update", "var/cache/pkg", "var/db/mergemaster.mtree")
OURS = "cellblock-"  # what all snapshots of ours are called by, whoever of us takes them
BEFORE_UPGRADE = f"{OURS}before-"  # those that jail_upgrade keeps of a jail


def dataset_of(jail: Jail, dataset: Optional[str], storage_path: str) -> Optional[str]:
    """The dataset of a jail's root; None for a plain directory."""
    if dataset is None or jail.root == "existing":
        return None
    return f"{dataset}/{jail.name}"


def is_whole(jail: Jail, seen: Observed, dataset: Optional[str]) -> bool:
    """Whether the root is there and complete."""
    if dataset is not None:
        found = (seen.datasets or {}).get(dataset)
        return found is not None and found["cellblock:state"] != "partial"
    return jail.path in seen.directories


def refuse_foreign(jail: Jail, seen: Observed, dataset: Optional[str], ours: bool) -> None:
    """A root that is there already must be ours."""
    fix = "Move it away, or take it as it is with root: existing"
    if dataset is not None:
        found = (seen.datasets or {}).get(dataset)
        if found is not None and found["cellblock:jail"] != jail.name:
            raise Refused(f"dataset {dataset} is there, and not ours", f"jail {jail.name}", fix)
        if found is None and jail.path in seen.filled:
            raise Refused(f"{jail.path} is there, and not empty", f"jail {jail.name}", fix)
    elif not ours and jail.path in seen.filled:
        raise Refused(f"{jail.path} is there, and not empty", f"jail {jail.name}", fix)


@dataclass(frozen=True)
class Source:
    """What a root is made of.

    :param path: where its base stands.
    :param dataset: the base's dataset, for a clone.
    :param mountpoint: the new dataset's mountpoint, unless it inherits the right one.
    :param stale: whether a run that died left a half made dataset.
    :param private: where the root is made and unmade, when its place is in another jail's root: out of that jail's sight.
    :param flavour: what its flavour is, in a few words.
    :param filling: what it is filled by in place of a base.
    """

    path: str
    dataset: Optional[str] = None
    mountpoint: Optional[str] = None
    stale: bool = False
    private: Optional[str] = None
    flavour: str = ""
    filling: Optional[Filling] = None


def make(jail: Jail, dataset: Optional[str], source: Source) -> Step:
    """The step that makes a root, flavour and all."""
    if jail.root == "existing" and source.filling is None:
        raise InputError(f"{jail.path} is not there", f"jail {jail.name}", "root: existing takes a directory as it is")
    of_base = f" of base {jail.base}" if jail.base else ""
    of_base += f", {source.filling.words}" if source.filling is not None else ""
    what = f"make {jail.root} root{of_base} at {f'dataset {dataset}' if dataset else jail.path}"
    laid = f"flavour {jail.flavour}: {source.flavour}" if jail.flavour is not None else ""
    what += f", with {laid}" if laid else ""

    def do(host: Host) -> None:
        if dataset is not None:
            _make_dataset(host, jail, dataset, source)
        else:
            _make_directory(host, jail, source)
        for point in jail.own_points():  # whatever its base lacks
            host.tree(jail.path).makedirs(point)

    def undo(host: Host) -> None:
        if source.filling is not None:
            source.filling.clear(host, dataset)
        if dataset is not None:
            _destroy_dataset(host, dataset)
            if source.private is not None:
                _drop_private(host, source.private)
        elif source.private is not None:
            _remove_inside(host, jail.path, source.private)
        else:
            for path in (partial(jail.path), jail.path):
                storage.remove_tree(host, path)

    sizes = "".join(f"{name}: {size}\n" for name, size in _sizes(jail).items())
    return Step(what, do, undo, f"root of jail {jail.name}", "", f"{jail.root}{of_base}\n{sizes}{laid}\n" if laid else f"{jail.root}{of_base}\n{sizes}")


def _sizes(jail: Jail) -> Dict[str, str]:
    """The dataset's limits, in bytes; ZFS says 'none' for no limit."""
    sizes = {"quota": jail.quota, "reservation": jail.reservation}
    return {name: str(size) for name, size in sizes.items() if size is not None}


def resize(jail: Jail, dataset: str, found: Mapping[str, str]) -> List[Step]:
    """The steps that bring quota and reservation to what is declared."""
    steps = []
    for name, wanted in (("quota", jail.quota), ("reservation", jail.reservation)):
        now, after = found[name] if found[name] != "-" else "0", str(wanted or 0)
        if now != after:
            steps.append(_resize_step(dataset, name, now, after))
    return steps


def _resize_step(dataset: str, name: str, now: str, after: str) -> Step:
    return Step(
        f"set {name} of {dataset} to {after if after != '0' else 'none'}",
        lambda host: storage.set_properties(host, dataset, {name: after}),
        lambda host: storage.set_properties(host, dataset, {name: now}),
        f"{dataset} {name}", f"{now}\n", f"{after}\n",
    )


def _make_dataset(host: Host, jail: Jail, dataset: str, source: Source) -> None:
    if source.filling is not None:
        source.filling.clear(host, dataset)
    if source.stale:
        _destroy_dataset(host, dataset)
    place = source.private or jail.path
    whole = jail.root == "clone" and jail.flavour is None and source.private is None and source.filling is None
    properties = {"cellblock:jail": jail.name, "cellblock:state": "ready" if whole else "partial", **_sizes(jail)}
    if source.private is not None:
        _make_private(host, source.private)
        properties["mountpoint"] = source.private
    elif source.mountpoint is not None:
        properties["mountpoint"] = source.mountpoint
    if source.filling is not None:
        source.filling.fill_dataset(host, dataset, properties, place)
    elif jail.root == "clone":
        if source.dataset is None:
            raise HostError(f"base {jail.base} is not a dataset", f"jail {jail.name}", "Use root: thick or thin")
        storage.clone(host, storage.newest_snapshot(host, source.dataset), dataset, properties)
    else:
        storage.create_dataset(host, dataset, properties)
        _fill(host, jail, place, source.path)
    if not whole:
        _flavour(host, jail, place)
        if source.filling is not None:
            source.filling.finish(host, place)
        if source.private is not None:
            _mount_inside(host, jail, dataset)
            _drop_private(host, source.private)
        storage.set_properties(host, dataset, {"cellblock:state": "ready"})


def _make_private(host: Host, private: str) -> None:
    """The directory above a private place, which only root of the host can enter."""
    top = private.rpartition("/")[0]
    host.makedirs(top, 0o700)
    host.chmod(top, 0o700)


def _drop_private(host: Host, private: str) -> None:
    """Nothing stands in it any more."""
    host.rmdir(private)
    host.rmdir(private.rpartition("/")[0])


def _mount_inside(host: Host, jail: Jail, dataset: str) -> None:
    """Mount a dataset at its place in another jail's root, and see that it came there: zfs(8) would follow a link."""
    place = host.below(jail.path)
    if place is not None:
        place[0].makedirs(place[1])
    storage.set_properties(host, dataset, {"mountpoint": jail.path})
    node = next((mount.node for mount in ask.mounts(host) if mount.special == dataset), None)
    if node != jail.path:
        if node is not None:
            host.run(["umount", node])
        storage.set_properties(host, dataset, {"mountpoint": "none"})
        raise UnsafePath(
            f"was moved away while the root was made: dataset {dataset} was mounted at {node}", jail.path,
            "Look at what the outer jail's root did there",
        )


def _make_directory(host: Host, jail: Jail, source: Source) -> None:
    growing = source.private or partial(jail.path)
    if source.filling is not None:
        source.filling.clear(host, None)
    storage.remove_tree(host, growing)
    if source.private is not None:
        _make_private(host, growing)
    host.makedirs(growing)
    if source.filling is not None:
        source.filling.fill_directory(host, growing)
    else:
        _fill(host, jail, growing, source.path)
    _flavour(host, jail, growing)
    if source.filling is not None:
        source.filling.finish(host, growing)
    place = host.below(jail.path)
    if place is not None:
        place[0].put_in(host.real(growing), place[1])
        _drop_private(host, growing)
        return
    host.rmdir(jail.path)  # an empty one may be there
    host.rename(growing, jail.path)


def _fill(host: Host, jail: Jail, root: str, base_path: str) -> None:
    if jail.root == "thick":
        storage.copy_tree(host, base_path, root)
    elif jail.root == "thin":
        _thin(host, root, base_path)
    elif jail.root == "empty":
        for name in ("dev", "proc"):
            host.makedirs(f"{root}/{name}", 0o555)


def make_mount_points(jail: Jail, seen: Optional[Mapping[str, Entry]]) -> List[Step]:
    """The step that makes the directories which mounts need; none when they are there.

    :param seen: what is there; None for a root that is still to be made, with the points of jail(8)'s own in it.
    """
    points = jail.declared_points() if seen is None else [*jail.own_points(), *jail.declared_points()]
    missing = [point for point in points if seen is None or seen[point].kind == "absent"]
    if not missing:
        return []

    def do(host: Host) -> None:
        for point in missing:
            host.tree(jail.path).makedirs(point)

    return [Step(f"make mount points {', '.join(missing)}", do)]


def _thin(host: Host, root: str, base_path: str) -> None:
    """The writable rest of a thin jail: copies of what it owns, links into the base for all else."""
    tree = host.tree(root)
    names = host.listdir(base_path)
    copied = [name for name in OWN if name in names]
    copied += [name for name in names if not host.isdir(f"{base_path}/{name}")]
    storage.copy_tree(host, base_path, root, copied, (*LEFT_OUT, *LINKED))
    for path in LINKED:
        if host.lstat(f"{base_path}/{path}") is not None:
            tree.link(path, f"{'../' * path.count('/')}{BASE_MOUNT}/{path}")
    for name in (*OWN_EMPTY, BASE_MOUNT, "usr"):
        tree.makedirs(name, 0o555 if name in ("dev", "proc") else 0o755)
    for name in names:
        if name not in (*copied, *OWN_EMPTY, "usr") and host.isdir(f"{base_path}/{name}"):
            tree.link(name, f"{BASE_MOUNT}/{name}")
    for name in {*host.listdir(f"{base_path}/usr"), *OWN_USR[:2]}:
        if name in OWN_USR:
            tree.makedirs(f"usr/{name}")
        else:
            tree.link(f"usr/{name}", f"../{BASE_MOUNT}/usr/{name}")


def _flavour(host: Host, jail: Jail, root: str) -> None:
    if jail.flavour is not None:
        path = jail.flavour
        if not host.isdir(path):
            raise HostError("is not a directory", path, "A flavour is a tree that is laid over a new jail")
        storage.copy_tree(host, path, root)


def run_script(jail: Jail) -> Step:
    """The step that runs a flavour's script once, inside the jail, and removes it."""

    def do(host: Host) -> None:
        host.run(["jexec", "-l", jail.name, "/bin/sh", f"/{SCRIPT}"], timeout=3600, where=f"jail {jail.name}")
        host.tree(jail.path).remove(SCRIPT)

    return Step(f"run {SCRIPT} inside", do)


def destroy(
    name: str, path: str, seen: Observed, dataset: Optional[str], own_mounts: List[str], snapshots: bool, storage_path: str,
) -> List[Step]:
    """The steps that remove a root of ours; refuses while it holds what is not ours to destroy.

    :param own_mounts: the mount points that the jail's stop takes away.
    :param snapshots: whether snapshots of the jail's dataset may go with it.
    :param storage_path: the directory that roots stand in.
    """
    where = f"jail {name}"
    over = [mount for mount in seen.mounts if mount.node == path and (dataset is None or mount.special != dataset)]
    foreign = [*(mount for mount in seen.mounted_below(path) if mount.node not in own_mounts), *over]
    if foreign:
        listed = ", ".join(f"{mount.node} ({mount.fstype} of {mount.special})" for mount in foreign)
        raise Refused(f"something foreign is mounted {'there' if over else 'inside'}: {listed}", where, "Unmount it first")
    if dataset is not None and dataset in (seen.datasets or {}):
        names = storage.doomed(
            seen.datasets or {}, dataset, lambda taken: snapshots or taken.startswith(OURS), where,
            "Destroy them, or set destroy_snapshots: true",
        )
        return [_destruction(doomed) for doomed in names]
    hidden = private(storage_path, name)
    if seen.outer(path) is not None:
        there = [part for part in (hidden, path) if part in seen.directories]
        return [Step(
            f"remove {path}", lambda host: _remove_inside(host, path, hidden), None, f"root of {where}", f"{path}\n", "",
        )] if there else []
    return [_removal(part, where) for part in (partial(path), path) if part in seen.directories]


def _remove_inside(host: Host, path: str, hidden: str) -> None:
    """Remove a root that stands in another jail's: moved out of that jail's sight first, by descriptors."""
    storage.remove_tree(host, hidden)
    place = host.below(path)
    if place is None:
        storage.remove_tree(host, path)
        return
    _make_private(host, hidden)
    try:
        if place[0].take_out(place[1], host.real(hidden)):
            storage.remove_tree(host, hidden)
    finally:
        if host.lstat(hidden) is None:
            _drop_private(host, hidden)


def _removal(path: str, where: str) -> Step:
    return Step(
        f"remove {path}", lambda host: storage.remove_tree(host, path), None, f"root of {where}", f"{path}\n", ""
    )


def _destruction(name: str) -> Step:
    return Step(f"destroy {name}", lambda host: _destroy_dataset(host, name), None, name, f"{name}\n", "")


def _destroy_dataset(host: Host, name: str) -> None:
    """Destroy a dataset; where it is mounted in another jail's root, umount(8) finds it by its number, zfs(8) by a path."""
    if "@" not in name:
        for mount in ask.mounts(host):
            if mount.special == name and host.outer(mount.node) is not None:
                host.run(["umount", mount.node])
    if f"@{OURS}" in name:
        host.ask(["zfs", "release", storage.HOLD, name])  # those of backups and moves are held by us
    storage.destroy_dataset(host, name)
