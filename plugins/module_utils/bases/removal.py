# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The way to a base that is not there any more."""

from __future__ import annotations

from typing import Any, Dict, List

from ansible_collections.cellblock.jails.plugins.module_utils.bases.base import Base, adopts
from ansible_collections.cellblock.jails.plugins.module_utils.bases.making import destruction, remove
from ansible_collections.cellblock.jails.plugins.module_utils.bases.observe import ADOPTED, OURS, Seen, beside, marks, mounts_of
from ansible_collections.cellblock.jails.plugins.module_utils.engine import storage
from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.engine.plan import Step, write_step
from ansible_collections.cellblock.jails.plugins.module_utils.errors import Refused


def absent(host: Host, base: Base, seen: Seen, warnings: List[str]) -> List[Step]:
    where = f"base {base.name}"
    leftover = f"{seen.dataset}.partial"
    steps = []
    if seen.datasets.get(leftover, {}).get("cellblock:base") == base.name:
        steps.append(destruction(leftover))
    if seen.kind is None:
        if seen.found is not None or (seen.filled and seen.mark is None):
            if adopts(base):
                return []  # it was never adopted, or is forgotten
            raise Refused(
                f"{seen.dataset or base.path} was not made by us", where, "It is not ours to remove; remove it by hand",
            )
        if seen.mark is not None or (seen.dataset is None and seen.partial):
            steps.append(Step(f"remove what is left of {where}", lambda host: remove(host, base.path)))
        return steps
    _refuse_standing(host, base, seen, warnings)
    if seen.kind == ADOPTED:
        return [*steps, *_forget(base, seen, where)]
    if seen.dataset is None:
        return [Step(
            f"remove {where} at {base.path}", lambda host: remove(host, base.path), None,
            where, f"{seen.version or base.path}\n", "",
        )]
    names = storage.doomed(
        seen.datasets, seen.dataset,
        lambda name: name in (storage.BEFORE_UPDATE, "base") or storage.LEVEL.fullmatch(name) is not None, where,
    )
    return [*steps, *(destruction(name) for name in names)]


def _forget(base: Base, seen: Seen, where: str) -> List[Step]:
    """An adopted tree was there before us, and stays."""
    dataset = seen.dataset
    if dataset is None:
        return write_step(beside(base.path, "json"), seen.mark, None, f"forget {where}, which stays at {base.path}")
    return [Step(
        f"forget {where}, which stays as dataset {dataset}",
        lambda host: storage.forget_properties(host, dataset, OURS), None, where, f"{ADOPTED}: {dataset}\n", "",
    )]


def _refuse_standing(host: Host, base: Base, seen: Seen, warnings: List[str]) -> None:
    """Refuse while jails stand on the base, naming all of them."""
    standing: Dict[str, str] = {}
    copies = []
    for name, facts in marks(host).items():
        if _base_path(base, facts.get("base")) == base.path:
            if facts.get("root") == "thick":
                copies.append(name)
            else:
                standing[name] = str(facts.get("root"))
    for dataset, found in seen.datasets.items():
        if seen.dataset is not None and found["origin"].startswith(f"{seen.dataset}@"):
            jail = found["cellblock:jail"]
            standing.setdefault(jail if jail != "-" else dataset, f"clone {dataset}")
    used = [f"{mount.node} (nullfs)" for mount in mounts_of(base.path, seen.mounts)]
    where = f"base {base.name}"
    if standing or used:
        listed = [f"{name} ({root})" for name, root in sorted(standing.items())] + ([] if standing else used)
        raise Refused(f"jails stand on it: {', '.join(listed)}", where, "Remove these jails first")
    below = [mount.node for mount in seen.mounts if mount.node.startswith(f"{base.path}/")]
    if below:
        raise Refused(f"something is mounted in it: {', '.join(below)}", where, "Unmount it first")
    if copies:
        warnings.append(f"jails that are copies of {where} stay: {', '.join(sorted(copies))}")


def _base_path(base: Base, named: Any) -> str:
    text = str(named or "")
    return text if text.startswith("/") else f"{base.storage_path}/basejails/{text}"
