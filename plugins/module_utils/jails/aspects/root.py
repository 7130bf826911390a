# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A jail's root: the directory or dataset that it lives in, and what it is made of."""

from __future__ import annotations

from typing import List, Optional

from ansible_collections.cellblock.jails.plugins.module_utils.engine.plan import Step
from ansible_collections.cellblock.jails.plugins.module_utils.errors import Faults, InputError, Refused
from ansible_collections.cellblock.jails.plugins.module_utils.jails import roots, runtime
from ansible_collections.cellblock.jails.plugins.module_utils.jails.aspects.aspect import Always
from ansible_collections.cellblock.jails.plugins.module_utils.jails.definition import Definition, infix
from ansible_collections.cellblock.jails.plugins.module_utils.jails.model import Jail
from ansible_collections.cellblock.jails.plugins.module_utils.jails.observed import private
from ansible_collections.cellblock.jails.plugins.module_utils.jails.scene import Change, Draft, Scene


class Root(Always):
    """The root, its base, and the sizes of its dataset."""

    name = "root"

    def check_host(self, scene: Scene) -> None:
        """Storage must be where it is said to be."""
        top, path = scene.request.storage_dataset, scene.request.storage_path
        found = (scene.seen.datasets or {}).get(top or "")
        if found is not None and found["mountpoint"] != path:
            raise InputError(
                f"dataset {top} is mounted at {found['mountpoint']}, not at {path}",
                "storage_path", f"Give storage_path: {found['mountpoint']}",
            )

    def define(self, scene: Scene, jail: Jail, old: Optional[Definition], draft: Draft) -> None:
        """The mark knows what the root is made of."""
        draft.meta.update(root=jail.root, base=jail.base, path=jail.path)
        dataset = dataset_of(scene, jail)
        if dataset is not None:
            draft.meta["dataset"] = dataset

    def check(self, change: Change) -> None:
        """A root does not change its kind, nor take a place that is not ours."""
        scene, jail, faults = change.scene, change.jail, Faults()
        with faults:
            if change.old is None:
                roots.refuse_foreign(jail, scene.seen, dataset_of(scene, jail), jail.root == "existing")
            else:
                _refuse_conversion(scene, jail, change.old)
        with faults:
            filled = jail.name in scene.fillings and jail.root != "thin"
            if not faults.found and not is_whole(scene, jail) and not filled:  # elsewhere there may be other bases too
                _base_path(scene, jail)
        with faults:
            _check_sizes(scene, jail)
        faults.tell()
        if change.old is not None and change.old.meta.get("base") != jail.base:
            scene.warnings.append(
                f"jail {jail.name}: it moves from base {change.old.meta.get('base')} to {jail.base}, but its /etc and /var stay of "
                "the old one; jail_upgrade merges them"
            )

    def prepare(self, change: Change) -> List[Step]:
        """Make it, or bring its sizes to what is declared."""
        scene, jail = change.scene, change.jail
        dataset, datasets = dataset_of(scene, jail), scene.seen.datasets or {}
        if change.whole:
            return roots.resize(jail, dataset, datasets[dataset]) if dataset is not None else []
        top = scene.request.storage_dataset
        if dataset is not None and top not in datasets and not scene.request.assume.get("storage"):
            raise InputError(f"dataset {top} is not there", "storage_dataset", "Make it with host_storage, as the role host_prepare does")
        mountpoint = None if jail.path == f"{scene.request.storage_path}/{jail.name}" else jail.path
        hidden = private(scene.request.storage_path, jail.name) if scene.seen.outer(jail.path) is not None else None
        filling = scene.fillings.get(jail.name)
        base = (_base_path(scene, jail), _base_dataset(scene, jail)) if filling is None else ("", None)
        source = roots.Source(
            *base, mountpoint, dataset is not None and dataset in datasets, hidden,
            scene.seen.own.get("flavour", {}).get(jail.flavour, ""), filling,
        )
        return [roots.make(jail, dataset, source)]

    def remove(self, change: Change) -> List[Step]:
        """Remove a root of ours; refuse while it holds what is not ours."""
        scene, old, name = change.scene, change.old, change.jail.name
        if old is None:
            return []
        path = old.root
        mounts = _leaving_mounts(scene, name, path, old)
        _refuse_inner(scene, name, path)
        if old.meta.get("root") == "existing":
            return []
        _refuse_shared(scene, name, path)
        _refuse_used(scene, name, path)
        if name in scene.seen.unsafe:
            scene.warnings.append(f"jail {name}: its root is left where it is: {scene.seen.unsafe[name]}")
        return roots.destroy(
            name, path, scene.seen, scene.seen.dataset_of(name, old.meta), mounts, change.jail.destroy_snapshots,
            scene.request.storage_path,
        )


def _check_sizes(scene: Scene, jail: Jail) -> None:
    if jail.quota is not None or jail.reservation is not None:
        if scene.request.storage_dataset is None or jail.root == "existing":
            raise InputError("quota and reservation need a ZFS dataset", f"jail {jail.name}", "Give storage_dataset")


def dataset_of(scene: Scene, jail: Jail) -> Optional[str]:
    """The dataset of a declared jail's root; None for a plain directory."""
    return roots.dataset_of(jail, scene.request.storage_dataset, scene.request.storage_path)


def is_whole(scene: Scene, jail: Jail) -> bool:
    """Whether the root is there and complete."""
    return roots.is_whole(jail, scene.seen, dataset_of(scene, jail))


def _refuse_conversion(scene: Scene, jail: Jail, old: Definition) -> None:
    where, facts = f"jail {jail.name}", old.meta
    fix = "Remove the jail and create it anew"
    if facts.get("root") != jail.root:
        raise Refused(f"its root is {facts.get('root')}, and cannot become {jail.root}", where, fix)
    if facts.get("base") != jail.base and jail.root != "thin":
        raise Refused(f"its root was made of base {facts.get('base')}, not {jail.base}", where, fix)
    stands, asked = scene.seen.dataset_of(jail.name, facts), dataset_of(scene, jail)
    if jail.root != "existing" and stands != asked and (stands is not None or asked in (scene.seen.datasets or {})):
        was, wanted = (f"dataset {one}" if one else "a plain directory" for one in (stands, asked))
        raise Refused(
            f"its root is {was}, not {wanted}", where,
            f"Give storage_dataset: {stands.rpartition('/')[0]}" if stands else "Leave storage_dataset out",
        )
    if facts.get("path") != jail.path:
        raise Refused(f"its root is {facts.get('path')}, and cannot move to {jail.path}", where, fix)


def _base_path(scene: Scene, jail: Jail) -> str:
    path = jail.base_path(scene.request.storage_path)
    if jail.base and path not in scene.seen.directories and jail.base not in scene.request.assume.get("bases", ()):
        raise InputError(f"base {jail.base} is not there ({path})", f"jail {jail.name}", "Make it with basejail")
    return path


def _base_dataset(scene: Scene, jail: Jail) -> Optional[str]:
    path = jail.base_path(scene.request.storage_path)
    for name, found in (scene.seen.datasets or {}).items():
        if found["type"] == "filesystem" and found["mountpoint"] == path:
            return name
    if scene.request.storage_dataset and jail.base in scene.request.assume.get("bases", ()):
        return f"{scene.request.storage_dataset}/basejails/{jail.base}"
    if jail.root == "clone":
        raise InputError(
            f"base {jail.base} is not a ZFS dataset", f"jail {jail.name}", "Use root: thin or thick, or give storage_dataset"
        )
    return None


def _leaving_mounts(scene: Scene, name: str, path: str, old: Definition) -> List[str]:
    """What is mounted by a jail that leaves, and by those that leave before it: its children, and what stands in its root."""
    found = runtime.mount_points(old)
    for jail in scene.jails:
        leaves = scene.seen.definition(jail.name) if jail.state == "absent" and jail.name != name else None
        inner = str(leaves.meta.get("path")) if leaves is not None else ""
        if leaves is not None and (jail.name.startswith(f"{name}.") or inner.startswith(f"{path}/")):
            found += [*runtime.mount_points(leaves), inner]
    return found


def _refuse_inner(scene: Scene, name: str, path: str) -> None:
    """A root goes with all that stands in it, so no other jail's may."""
    leaving = {jail.name for jail in scene.jails if jail.state == "absent"}
    inner = [
        f"{other} ({root})" for root, other in sorted(scene.seen.roots.items())
        if root.startswith(f"{path}/") and other not in leaving and other != name
    ]
    if inner:
        raise Refused(f"the roots of other jails stand in {path}: {', '.join(inner)}", f"jail {name}", "Remove or move them first")


def _refuse_shared(scene: Scene, name: str, path: str) -> None:
    """A root that others have as well, as by a definition that was copied by hand, is theirs too."""
    gone = {infix(one) for one in (name, *(jail.name for jail in scene.jails if jail.state == "absent"))}
    same = {other for other, facts in scene.marks.items() if str(facts.get("path")) == path}
    same |= {other for other, running in scene.seen.running.items() if str(running.get("path")) == path}
    others = sorted(other for other in {*same, scene.seen.theirs.get(path, name)} if infix(other) not in gone)
    if others:
        raise Refused(f"{path} is the root of {', '.join(others)} too", f"jail {name}", "Remove or move that first")


def _refuse_used(scene: Scene, name: str, path: str) -> None:
    """Others may see a part of it through a mount, or be made of it."""
    leaving = {jail.name for jail in scene.jails if jail.state == "absent"}
    going = [scene.seen.definition(other) for other in leaving]
    points = {point for one in going if one is not None for point in runtime.mount_points(one)}
    used = [
        f"{mount.special} is mounted at {mount.node}" for mount in scene.seen.mounts
        if f"{mount.special}/".startswith(f"{path}/") and not mount.node.startswith(f"{path}/") and mount.node not in points
    ]
    for other, facts in sorted(scene.marks.items()):
        if other not in leaving and facts.get("root") == "thin" and f"{facts.get('base')}/".startswith(f"{path}/"):
            used.append(f"jail {other} is a thin jail of {facts['base']}")
    if used:
        raise Refused(f"others use what is in {path}: {', '.join(used)}", f"jail {name}", "Remove or change them first")
