# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A jail that begins as a copy of another."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional, Sequence, Set, Tuple

from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.engine.plan import Step
from ansible_collections.cellblock.jails.plugins.module_utils.errors import Faults, HostError, InputError, Refused
from ansible_collections.cellblock.jails.plugins.module_utils.formats import rc_conf
from ansible_collections.cellblock.jails.plugins.module_utils.jails import roots
from ansible_collections.cellblock.jails.plugins.module_utils.jails.aspects.aspect import Aspect
from ansible_collections.cellblock.jails.plugins.module_utils.jails.definition import Definition
from ansible_collections.cellblock.jails.plugins.module_utils.jails.model import BASE_ROOTS, Jail, needs
from ansible_collections.cellblock.jails.plugins.module_utils.jails.scene import Change, Draft, Scene

if TYPE_CHECKING:  # what only a root that is to be made needs
    from ansible_collections.cellblock.jails.plugins.module_utils.jails.copying import Copying

OWN = ("host.hostuuid", "host.hostid", "host.hostname")  # what no two systems may have alike
INNER = re.compile(r"ifconfig_\w+")


@dataclass(frozen=True)
class Wish:
    """What is asked for: the jail to copy, and what is run in the copy before it is whole."""

    of: str
    hook: Tuple[str, ...] = ()


class Copy(Aspect):
    """Only a root that is to be made is filled; later the jail it came from is nobody's business."""

    name = "copy"
    options = {"copy_of": {"type": "str"}, "copy_hook": {"type": "list", "elements": "str"}}
    facts = ("copy_of",)

    def declare(self, jail: Jail, options: Mapping[str, Any]) -> Wish:
        """The jail to copy."""
        from ansible_collections.cellblock.jails.plugins.module_utils.jails.declaring import check_name

        where, of = f"jail {jail.name}, copy_of", options.get("copy_of")
        if of is None:
            raise InputError("copy_hook without copy_of", f"jail {jail.name}", "Say what it is a copy of")
        if check_name(str(of)) == jail.name:
            raise InputError("it cannot be a copy of itself", where, "Name another jail")
        if jail.root == "existing":
            raise InputError("root: existing is taken as it is, and is no copy", where, "Let root be what that jail's is")
        hook = tuple(str(word) for word in options.get("copy_hook") or ())
        if hook and not hook[0].startswith("/"):
            raise InputError(f"{hook[0]!r} is not the path of a program inside", f"jail {jail.name}, copy_hook", "Such as [/bin/sh, /root/renew.sh]")
        return Wish(str(of), hook)

    def observe(self, host: Host, seen: Any, jails: Sequence[Jail]) -> None:
        """The addresses that the copied jails give their interfaces themselves."""
        marks = seen.marks()
        found: Dict[str, Dict[str, str]] = {}
        made = {jail.name for jail in jails if jail.name in marks and jail.path in seen.directories}
        for of in {jail.own[self.name].of for jail in jails if self.name in jail.own and jail.name not in made}:
            try:
                text = host.tree(str(marks[of].get("path"))).read("etc/rc.conf") if of in marks else None
            except (HostError, FileNotFoundError):
                continue
            values = rc_conf.values(text or "")
            found[of] = {key: value for key, value in values.items() if INNER.fullmatch(key) and re.search(r"\binet6?\s", value)}
        seen.own[self.name] = found

    def define(self, scene: Scene, jail: Jail, old: Optional[Definition], draft: Draft) -> None:
        """The mark knows where it came from."""
        of = jail.own[self.name].of if self.name in jail.own and old is None else (old.meta.get("copy_of") if old is not None else None)
        if of:
            draft.meta["copy_of"] = of

    def check(self, change: Change) -> None:
        """A root that is to be made must have something to be made of."""
        from ansible_collections.cellblock.jails.plugins.module_utils.jails.aspects.root import is_whole

        scene, jail = change.scene, change.jail
        if self.name not in jail.own or is_whole(scene, jail):
            return
        if change.old is not None and "copy_of" not in change.old.meta:
            return
        wish: Wish = jail.own[self.name]
        source, faults = _Source.of(scene, jail, wish), Faults()
        with faults:
            source.check_kind(jail)
        with faults:
            source.check_identity(scene, change)
        faults.tell()
        scene.fillings[jail.name] = source.copying(scene, jail, wish)
        below = [name for name in scene.seen.datasets or {} if source.dataset and name.startswith(f"{source.dataset}/") and "@" not in name]
        if below:
            scene.warnings.append(f"jail {jail.name}: datasets below that of jail {wish.of} are not copied: {', '.join(sorted(below))}")
        if source.runs and not scene.fillings[jail.name].dataset:  # type: ignore[attr-defined]
            scene.warnings.append(
                f"jail {jail.name}: jail {wish.of} runs while it is copied, file by file, so files that it writes meanwhile may come in any state. "
                "Stop it first where that matters"
            )

    def remove(self, change: Change) -> List[Step]:
        """A snapshot that a run which was killed has left on what it copied."""
        from ansible_collections.cellblock.jails.plugins.module_utils.jails.copying import TAKEN

        own = change.scene.seen.dataset_of(change.jail.name, change.old.meta) if change.old is not None else None
        left = [one for one in change.scene.seen.datasets or {} if one.endswith(f"@{TAKEN}{change.jail.name}") and one.partition("@")[0] != own]
        return [_destruction(snapshot) for snapshot in sorted(left)]

    def report(self, seen: Any, name: str, facts: Mapping[str, Any]) -> Mapping[str, Any]:
        """What it is a copy of."""
        return {"copy_of": facts["copy_of"]} if facts.get("copy_of") else {}


@dataclass(frozen=True)
class _Source:
    """The jail that is copied."""

    name: str
    root: str
    base: Optional[str]
    path: str
    dataset: Optional[str]
    ips: Set[str]
    params: Mapping[str, List[str]]
    runs: bool

    @classmethod
    def of(cls, scene: Scene, jail: Jail, wish: Wish) -> _Source:
        """Find it: it is there, or this run makes it before."""
        where, found = f"jail {jail.name}, copy_of", scene.seen.definition(wish.of)
        declared = next((one for one in scene.jails if one.name == wish.of and one.state != "absent"), None)
        if jail.name in _needed(scene, wish.of):
            raise InputError(f"jail {wish.of} depends on its own copy", where, "Take that out of depend")
        if found is None and declared is None:
            raise InputError(f"there is no jail {wish.of} of ours", where, "See jail_info; a jail that others made is taken over by adopt: true")
        if found is not None and found.lost:
            raise Refused(f"the definition of jail {wish.of} cannot be read", where, "Declare it once: that writes it anew")
        runs = wish.of in scene.seen.running or (found is None and declared is not None and declared.state in ("started", "restarted"))
        if found is None and declared is not None:
            dataset = roots.dataset_of(declared, scene.request.storage_dataset, scene.request.storage_path)
            ips = {one.ip for one in declared.addresses}
            return cls(wish.of, declared.root, declared.base, declared.path, dataset, ips, declared.params, runs)
        if found is None:
            raise AssertionError
        meta = found.meta
        ips = _ips(found.params)
        for one in meta.get("networks") or ():
            ips |= {str(one.get(key)).partition("/")[0] for key in ("ip4", "ip6") if re.search(r"[.:]", str(one.get(key)))}
        return cls(
            wish.of, str(meta.get("root")), meta.get("base"), str(meta.get("path")), scene.seen.dataset_of(wish.of, meta), ips, found.params, runs,
        )

    def check_kind(self, jail: Jail) -> None:
        """Its content must be what a root of the declared kind has."""
        where = f"jail {jail.name}, copy_of"
        alike = self.root == jail.root or (jail.root == "thick" and self.root in ("clone", "existing"))
        if not alike or (self.base is not None and self.base != jail.base):
            kind = "thick" if self.root == "existing" else self.root
            of = f" and base: {self.base}" if self.root in BASE_ROOTS else ""
            raise InputError(f"the root of jail {self.name} is {self.root}{f' of base {self.base}' if self.base else ''}", where, f"Declare root: {kind}{of}")
        if jail.root == "clone" and self.dataset is None:
            raise InputError(f"the root of jail {self.name} is no dataset", where, "Declare root: thick")

    def check_identity(self, scene: Scene, change: Change) -> None:
        """What only one of them may have."""
        jail, faults = change.jail, Faults()
        wanted = change.wanted.params if change.wanted is not None else jail.params
        mine = {one.ip for one in jail.addresses}
        for one in (change.wanted.meta.get("networks") or ()) if change.wanted is not None else ():
            mine |= {str(one.get(key)).partition("/")[0] for key in ("ip4", "ip6")}
        for ip in sorted(mine & self.ips):
            with faults:
                raise InputError(f"{ip} is the address of jail {self.name}, which it is a copy of", f"jail {jail.name}", "Give it one of its own")
        for param in OWN:
            if wanted.get(param) and wanted.get(param) == self.params.get(param):
                with faults:
                    raise InputError(f"{param} is that of jail {self.name}, which it is a copy of", f"jail {jail.name}", "Give it its own, or leave it out")
        networks = {f"ifconfig_{one.get('inner')}" for one in (change.wanted.meta.get("networks") or ())} if change.wanted is not None else set()
        inner = scene.seen.own.get("copy", {}).get(self.name, {}) if "vnet" in wanted else {}
        for key, value in inner.items():
            if jail.inside.rc_conf.get(key, value) == value and key not in networks:
                with faults:
                    raise InputError(
                        f"the rc.conf of jail {self.name} has {key}=\"{value}\", and its copy would have that address too", f"jail {jail.name}, rc_conf",
                        f"Give {key} another value, or null for none",
                    )
        faults.tell()

    def copying(self, scene: Scene, jail: Jail, wish: Wish) -> Copying:
        """How it is copied."""
        from ansible_collections.cellblock.jails.plugins.module_utils.jails.copying import Copying

        top = scene.request.storage_dataset
        same_pool = top is not None and self.dataset is not None and top.partition("/")[0] == self.dataset.partition("/")[0]
        dataset = self.dataset if same_pool else None
        origin = str((scene.seen.datasets or {}).get(dataset or "", {}).get("origin", "-"))
        if jail.root == "clone" and origin == "-" and dataset in (scene.seen.datasets or {}):
            raise InputError(f"dataset {dataset} of jail {self.name} is a clone no more", f"jail {jail.name}, copy_of", "Declare root: thick")
        return Copying(
            jail.name, self.name, self.path, dataset, origin if jail.root == "clone" and origin != "-" else None, self.runs, wish.hook,
            jail.base_path(scene.request.storage_path) if jail.root == "thin" else None,
        )


def _needed(scene: Scene, name: str) -> Set[str]:
    """All that a declared jail depends on."""
    by_name = {jail.name: jail for jail in scene.jails}
    found: Set[str] = set()
    todo = [name]
    while todo:
        jail = by_name.get(todo.pop())
        new = [need for need in needs(jail) if need not in found] if jail is not None else []
        found.update(new)
        todo += new
    return found


def _destruction(snapshot: str) -> Step:
    from ansible_collections.cellblock.jails.plugins.module_utils.jails.copying import drop

    return Step(f"destroy {snapshot}", lambda host: drop(host, snapshot), None, snapshot, f"{snapshot}\n", "")


def _ips(params: Mapping[str, List[str]]) -> Set[str]:
    return {re.sub(r"^.*\||[/ ].*$", "", text) for param in ("ip4.addr", "ip6.addr") for text in params.get(param, [])}
