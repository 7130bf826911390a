# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan for the jails of a host: (wanted, observed) -> steps. Deciding touches nothing."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Callable, Dict, FrozenSet, List, Mapping, Optional, Sequence, Tuple

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.cellblock.jails.plugins.module_utils.engine.door import serve
from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.engine.plan import Lane, Plan, Step, write_step
from ansible_collections.cellblock.jails.plugins.module_utils.errors import (
    CellblockError,
    InputError,
    Refused,
    UnsafePath,
)
from ansible_collections.cellblock.jails.plugins.module_utils.formats import fstab, outputs, rc_conf
from ansible_collections.cellblock.jails.plugins.module_utils.jails import cpusets, inside, limits, params, roots, runtime
from ansible_collections.cellblock.jails.plugins.module_utils.jails import definition as definitions
from ansible_collections.cellblock.jails.plugins.module_utils.jails.boot import rc_conf_after, rc_conf_before
from ansible_collections.cellblock.jails.plugins.module_utils.jails.definition import Definition
from ansible_collections.cellblock.jails.plugins.module_utils.jails.model import (
    BASE_MOUNT,
    CPUSET_HOOK,
    Address,
    Jail,
    Params,
    check_set,
    cpus,
    jail_from,
    needs,
    order_by_need,
)
from ansible_collections.cellblock.jails.plugins.module_utils.jails.observe import JAIL_CONF, RC_CONF, Observed, observe, private

NETWORK = ("vnet", "ip4", "ip6")
# As rc.d/jail looks for it: such a jail.conf is read in place of the files in jail.conf.d.
INCLUDES = r"(?m)^[ \t]*\.include[ \t]*[\"']?/etc/jail\.conf\.d/"
# What a running jail keeps from its start: jail(8) reads these again to undo them when it stops, so a
# running jail's definition holds on to the old ones until it may be restarted.
HELD = ("mount", "mount.devfs", "mount.fdescfs", "mount.procfs", "mount.fstab")
# What only a start uses; the kernel cannot be asked whether the running jail was started by it.
AT_START = (
    "exec.prepare", "exec.prestart", "exec.created", "exec.start", "command", "exec.poststart", "exec.clean",
    "exec.jail_user", "exec.system_jail_user", "exec.fib", "exec.consolelog", "vnet.interface", "zfs.dataset",
)


@dataclass(frozen=True)
class Request:
    """What a module call asks for.

    :param jails: the declared jails.
    :param storage_path: the directory that roots stand in.
    :param storage_dataset: the ZFS dataset mounted there; None for plain directories.
    :param whole: whether this is the whole set of the host, in its order.
    :param prune: whether managed jails that are not declared are removed.
    :param assume: in check mode, what earlier tasks of the run would have made.
    """

    jails: Sequence[Jail]
    storage_path: str = "/usr/jails"
    storage_dataset: Optional[str] = None
    whole: bool = True
    prune: bool = False
    assume: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_options(cls, options: Mapping[str, Any], check_mode: bool, whole: bool = True) -> Request:
        """Check a module's options."""
        storage_path = str(options.get("storage_path") or "/usr/jails")
        style = options.get("boot_style")
        jails = [jail_from({"boot_style": style, **_given(jail)}, storage_path) for jail in options["jails"]]
        check_set(jails)
        return cls(
            order_by_need(jails), storage_path, options.get("storage_dataset"), whole,
            bool(options.get("prune")), dict(options.get("assume") or {}) if check_mode else {},
        )


def _given(options: Mapping[str, Any]) -> Dict[str, Any]:
    return {key: value for key, value in options.items() if value is not None}


def plan(host: Host, request: Request) -> Plan:
    """Read the host once, and say what has to be done.

    :raises CellblockError: when the request cannot be met; nothing has been touched.
    """
    seen = observe(host, request.jails, request.storage_path, request.storage_dataset)
    jails = list(request.jails)
    if request.prune:
        declared = {jail.name for jail in jails}
        jails += [Jail(name, "absent") for name in sorted(seen.marks()) if name not in declared]
    return Planner(request, seen, jails).plan()


@dataclass
class Change:
    """What becomes of one jail."""

    jail: Jail
    old: Optional[Definition]
    new: Optional[Definition]
    steps: List[Step] = field(default_factory=list)
    waits: List[str] = field(default_factory=list)
    is_new: bool = False


class Planner:
    """Plans for the jails of a host."""

    def __init__(self, request: Request, seen: Observed, jails: Sequence[Jail]) -> None:
        self.request = request
        self.seen = seen
        self.jails = jails
        self.result = Plan()
        self.marks = seen.marks()

    def plan(self) -> Plan:
        """The whole plan."""
        self._check_storage()
        changes: List[Change] = []
        for jail in self.jails:
            try:
                changes.append(self._change(jail))
            except UnsafePath as error:
                self.result.refused[jail.name] = error
        after_before = rc_conf_before(
            self.seen, [(change.jail.name, change.new) for change in changes], _adopted(changes)
        )
        self.result.before += write_step(RC_CONF, self.seen.rc_conf, after_before, f"write {RC_CONF}: jail definitions")
        self.result.lanes = [
            Lane(change.jail.name, change.steps, self._lane_needs(change.jail)) for change in self._in_order(changes)
        ]
        self.result.settle = lambda failed: self._settle(changes, after_before, failed)
        self.result.facts = self._facts(changes)
        self._warn_of_parallel_start()
        return self.result

    def _warn_of_parallel_start(self) -> None:
        depending = [jail.name for jail in self.jails if jail.depend and jail.boot and jail.state != "absent"]
        if depending and rc_conf.yes(self.seen.rc.get("jail_parallel_start")):
            self.result.warnings.append(
                f"jail_parallel_start is on: at boot rc.d/jail starts all jails at once, and {', '.join(depending)} may come up "
                "before what they depend on"
            )

    def _check_storage(self) -> None:
        top = self.request.storage_dataset
        found = (self.seen.datasets or {}).get(top or "")
        if found is not None and found["mountpoint"] != self.request.storage_path:
            raise InputError(
                f"dataset {top} is mounted at {found['mountpoint']}, not at {self.request.storage_path}",
                "storage_path", f"Give storage_path: {found['mountpoint']}",
            )

    def _in_order(self, changes: Sequence[Change]) -> List[Change]:
        """Removals last and children before parents; what starts, in its order."""
        leaving = [change for change in changes if change.jail.state == "absent"]
        return [change for change in changes if change.jail.state != "absent"] + sorted(
            leaving, key=lambda change: -change.jail.name.count(".")
        )

    def _lane_needs(self, jail: Jail) -> Tuple[str, ...]:
        if jail.state == "absent":
            return tuple(other.name for other in self.jails if self._goes_before(other, jail))
        around = [
            other.name for other in self.jails
            if other.state != "absent" and other.path and jail.path.startswith(f"{other.path}/") and other.name not in needs(jail)
        ]
        return (*needs(jail), *around)

    def _goes_before(self, other: Jail, jail: Jail) -> bool:
        """Whether another jail leaves before one: it is its child, stands in its root, or depends on it."""
        if other.state != "absent" or other.name == jail.name:
            return False
        mark, path = self.marks.get(other.name, {}), str(self.marks.get(jail.name, {}).get("path"))
        inside = str(mark.get("path")).startswith(f"{path}/")
        return other.name.startswith(f"{jail.name}.") or inside or jail.name in mark.get("depend", ())

    # -- one jail

    def _change(self, jail: Jail) -> Change:
        written = self._as_written(jail)
        old = written or self.seen.definition(jail.name)
        self._refuse_foreign(jail, old)
        if jail.state == "absent":
            return self._remove(jail, old)
        if jail.name in self.seen.unsafe:
            if jail.state != "stopped" or old is None:
                raise self.seen.unsafe[jail.name]
            self.result.warnings.append(f"{self.seen.unsafe[jail.name]}. It is stopped, and otherwise left as it is.")
            return self._as_it_stands(jail, old)
        wanted = written or self._define(jail, old)
        mended: List[Step] = []
        if old is not None and old.lost:  # jail(8) has to read it when it stops the jail
            old = replace(old, params=wanted.params)
            mended = write_step(definitions.conf_path(jail.name), self.seen.confs[jail.name], wanted.conf())
        change = Change(jail, old, wanted, mended)
        self._check_needs(jail)
        if old is not None:
            self._refuse_conversion(jail, old)
        self._bring(change, wanted)
        return change

    def _as_it_stands(self, jail: Jail, old: Definition) -> Change:
        """The steps that only start or stop a jail."""
        change = Change(jail, old, old)
        running = jail.name in self.seen.running
        if running and jail.state in ("stopped", "restarted"):
            change.steps.append(_stop_step(jail.name, old, old))
        elif not running and jail.state in ("started", "restarted"):
            change.steps += self._left_mounted(old, runtime.unmount)
        if jail.state == "restarted" or (jail.state == "started" and not running):
            change.steps.append(_start_step(jail.name, old))
        return change

    def _bring(self, change: Change, wanted: Definition) -> None:
        """The steps that bring a jail that stays to what is wanted."""
        jail, old = change.jail, change.old
        dataset = roots.dataset_of(jail, self.request.storage_dataset, self.request.storage_path)
        change.is_new = old is None
        if old is None:
            roots.refuse_foreign(jail, self.seen, dataset, jail.root == "existing")
        whole = roots.is_whole(jail, self.seen, dataset)
        running = self.seen.running.get(jail.name)
        self._weigh(change, running)
        stops = running is not None and (jail.state == "stopped" or self._restarts(change))
        new = self._written(change, wanted, running, stops)
        if stops:
            change.steps.append(_stop_step(jail.name, old or new, old or new))
        elif running is None and old is not None and jail.state in ("started", "restarted"):
            change.steps += self._left_mounted(old, runtime.unmount)
        change.steps += self._definition_steps(change, new)
        change.steps += self._root_steps(jail, dataset, whole)
        live = running is not None and not stops
        files = self.seen.seen.get(jail.name) if whole else None
        change.steps += roots.make_mount_points(jail, files)
        change.steps += inside.plan(jail.path, jail.name, jail.inside, self.seen.resolv_conf, files, live)
        change.steps += limits.plan(jail.name, jail.limits, self.seen, self.result.warnings)
        if live and running is not None:
            change.steps += self._live(change, wanted, running)
        if (jail.state in ("started", "restarted") and not live) or (stops and jail.state == "present"):
            change.steps.append(_start_step(jail.name, new))
        change.steps += self._once_inside(change, new, files)
        change.new = new

    def _root_steps(self, jail: Jail, dataset: Optional[str], whole: bool) -> List[Step]:
        if not whole:
            stale = dataset is not None and dataset in (self.seen.datasets or {})
            mountpoint = None if jail.path == f"{self.request.storage_path}/{jail.name}" else jail.path
            hidden = private(self.request.storage_path, jail.name) if self.seen.outer(jail.path) is not None else None
            source = roots.Source(self._base_path(jail), self._base_dataset(jail), mountpoint, stale, hidden)
            return [roots.make(jail, dataset, source)]
        return roots.resize(jail, dataset, (self.seen.datasets or {})[dataset]) if dataset is not None else []

    def _left_mounted(self, old: Definition, mend: Callable[[Host, Definition], None]) -> List[Step]:
        """What a jail that went without jail(8) left mounted is in the way of its start, and of its removal."""
        points = set(runtime.mount_points(old))
        left = any(mount.node in points for mount in self.seen.mounts)
        return [Step("take away what it left mounted", lambda host: mend(host, old))] if left else []

    def _as_written(self, jail: Jail) -> Optional[Definition]:
        """The definition that stands, when its file is just what we would write: it needs no reading, and is what is wanted."""
        text, facts = self.seen.confs.get(jail.name), self.marks.get(jail.name)
        if text is not None and facts is not None and jail.boot_style == "jail_conf" and jail.state != "absent":
            wanted = self._define(jail, Definition(jail.name, "jail_conf", facts))
            if wanted.conf() == text:
                return wanted
        return None

    def _refuse_foreign(self, jail: Jail, old: Optional[Definition]) -> None:
        where, name = f"jail {jail.name}", jail.name
        if old is not None:
            return
        if jail.adopt:
            self._check_adoption(jail)
            return
        fix = "Set adopt: true to take it over, or choose another name"
        if jail.state == "absent":
            fix = "It is not ours to remove; remove it by hand"
        if name in self.seen.confs:
            raise Refused(f"{definitions.conf_path(name)} was not made by us", where, fix)
        place = self.seen.elsewhere(name)
        if place is not None:
            raise Refused(f"it is defined in {place}, not by us", where, fix)
        if name in self.seen.running:
            raise Refused("a jail of this name runs, and was not made by us", where, fix)

    def _check_adoption(self, jail: Jail) -> None:
        """Taking over must leave one definition that counts: ours."""
        place, where = self.seen.elsewhere(jail.name), f"jail {jail.name}"
        ours = definitions.conf_path(jail.name)
        if place == f"/etc/jail.{jail.name}.conf":
            raise Refused(f"rc.d/jail reads {place} in place of {ours}", where, f"Move {place} away, then adopt the jail")
        if place == JAIL_CONF and re.search(INCLUDES, self.seen.jail_conf):
            raise Refused(f"{place} defines it and includes jail.conf.d, it would be defined twice", where, f"Take its block out of {place}")
        if place == JAIL_CONF:
            self.result.warnings.append(f"{where}: {place} defines it too; what counts now is ours, take the old block out")

    def _refuse_conversion(self, jail: Jail, old: Definition) -> None:
        where, facts = f"jail {jail.name}", old.meta
        fix = "Remove the jail and create it anew"
        if facts.get("root") != jail.root:
            raise Refused(f"its root is {facts.get('root')}, and cannot become {jail.root}", where, fix)
        if facts.get("base") != jail.base and jail.root != "thin":
            raise Refused(f"its root was made of base {facts.get('base')}, not {jail.base}", where, fix)
        stands, asked = self.seen.dataset_of(jail.name, facts), roots.dataset_of(jail, self.request.storage_dataset, self.request.storage_path)
        if jail.root != "existing" and stands != asked and (stands is not None or asked in (self.seen.datasets or {})):
            raise Refused(
                f"its root is {f'dataset {stands}' if stands else 'a plain directory'}, not {f'dataset {asked}' if asked else 'a plain directory'}",
                where, f"Give storage_dataset: {stands.rpartition('/')[0]}" if stands else "Leave storage_dataset out",
            )
        if facts.get("path") != jail.path:
            raise Refused(f"its root is {facts.get('path')}, and cannot move to {jail.path}", where, fix)

    def _check_needs(self, jail: Jail) -> None:
        declared = {other.name: other for other in self.jails}
        for need in needs(jail):
            other = declared.get(need)
            up = need in self.seen.running if other is None else other.state in ("started", "restarted")
            up = up or (other is not None and other.state == "present" and need in self.seen.running)
            if not up and jail.state in ("started", "restarted"):
                raise InputError(
                    f"it needs jail {need}, which is neither declared as started nor running", f"jail {jail.name}",
                    f"Declare {need} too" + (", a dot in a name means a child of that jail" if jail.parent else ""),
                )

    def _base_path(self, jail: Jail) -> str:
        path = jail.base_path(self.request.storage_path)
        if jail.base and path not in self.seen.directories and jail.base not in self.request.assume.get("bases", ()):
            raise InputError(f"base {jail.base} is not there ({path})", f"jail {jail.name}", "Make it with basejail")
        return path

    def _base_dataset(self, jail: Jail) -> Optional[str]:
        path = jail.base_path(self.request.storage_path)
        for name, found in (self.seen.datasets or {}).items():
            if found["type"] == "filesystem" and found["mountpoint"] == path:
                return name
        if self.request.storage_dataset and jail.base in self.request.assume.get("bases", ()):
            return f"{self.request.storage_dataset}/basejails/{jail.base}"
        if jail.root == "clone":
            raise InputError(
                f"base {jail.base} is not a ZFS dataset", f"jail {jail.name}", "Use root: thin or thick, or give storage_dataset"
            )
        return None

    # -- definitions

    def _define(self, jail: Jail, old: Optional[Definition]) -> Definition:
        found: Params = dict(jail.params)
        if found.get("mount.devfs") == ["true"]:
            found["devfs_ruleset"] = [str(self._ruleset(jail))]
        meta: Dict[str, Any] = {
            "root": jail.root, "base": jail.base, "path": jail.path, "boot": jail.boot, "boot_order": jail.boot_order,
        }
        dataset = roots.dataset_of(jail, self.request.storage_dataset, self.request.storage_path)
        if dataset is not None:
            meta["dataset"] = dataset
        if jail.depend:
            meta["depend"] = list(jail.depend)
        if jail.packages:
            meta["packages"] = sorted(jail.packages)
        hosts = self._hosts_own(jail, old)
        if hosts:
            meta["host_addresses"] = hosts
        for address in jail.addresses:
            param = "ip6.addr" if address.family == "inet6" else "ip4.addr"
            owned = replace(address, interface=None) if address.ip in hosts else address
            found.setdefault(param, []).append(owned.conf())
        mounts = [fstab.render_line(entry) for entry in jail.mounts]
        if jail.root == "thin":
            base = fstab.Entry(jail.base_path(self.request.storage_path), f"{jail.path}/{BASE_MOUNT}", "nullfs", "ro", 0, 0)
            mounts.insert(0, fstab.render_line(base))
        if mounts:
            found["mount"] = mounts
        if jail.boot_style == "rc_conf":
            for key, value in definitions.RC_ALWAYS.items():
                found.setdefault(key, value)
        self._check_host(jail, found)
        new = Definition(jail.name, jail.boot_style, meta, found)
        if jail.boot_style == "rc_conf":
            # As it will be read back: rc.conf has no word for some things, and another order.
            lines = "".join(f"{line}\n" for line in found.get("mount", []))
            return definitions.read_rc(jail.name, meta, definitions.rc_lines(new), lines)
        return new

    def _hosts_own(self, jail: Jail, old: Optional[Definition]) -> List[str]:
        """The declared addresses that the host had before the jail: jail(8) would take them away at its stop."""
        had = set(old.meta.get("host_addresses", ())) if old is not None else set()
        known = {address.ip for address in runtime.own_addresses(old)} if old is not None else set()
        found = []
        for address in jail.addresses:
            there = address.interface is not None and runtime.has_address(self.seen.interfaces, address, anywhere=True)
            if there and address.ip not in known and (address.ip in had or jail.name not in self.seen.running):
                found.append(address.ip)
        return sorted(found)

    def _check_host(self, jail: Jail, found: Params) -> None:
        where = f"jail {jail.name}"
        for address in jail.addresses:
            if address.interface is not None and address.interface not in self.seen.interfaces:
                raise InputError(
                    f"interface {address.interface} does not exist", f"{where}, {address.conf()}",
                    f"This host has {', '.join(sorted(self.seen.interfaces))}",
                )
        fib, fibs = found.get("exec.fib"), self.seen.sysctl.get("net.fibs", "")
        if fib and fibs.isdigit() and int(fib[-1]) >= int(fibs) and not self.request.assume.get("fibs"):
            raise InputError(f"fib {fib[-1]} does not exist, net.fibs is {fibs}", where, "Raise net.fibs with host_prepare")
        for name in found:
            problem = params.since_problem(name, self.seen.osreldate)
            if problem:
                raise InputError(problem, f"{where}, {name}", "Drop the parameter, or upgrade the host")
        if jail.quota is not None or jail.reservation is not None:
            if self.request.storage_dataset is None or jail.root == "existing":
                raise InputError("quota and reservation need a ZFS dataset", where, "Give storage_dataset")
        if jail.packages and not self.seen.has_pkg:
            raise InputError("packages need pkg(8) on the host", where, "Run 'pkg bootstrap' there")
        if jail.flavour is not None and jail.flavour not in self.seen.directories and jail.name not in self.marks:
            raise InputError(f"flavour {jail.flavour} is not a directory of the host", where, "Put the tree there first")
        zone = jail.inside.timezone
        if zone is not None and zone in self.seen.missing_zones:
            raise InputError(f"time zone {zone} is not in {inside.ZONES}", where, "See tzsetup(8)")

    def _ruleset(self, jail: Jail) -> int:
        if jail.ruleset is None:
            return 5 if "vnet" in jail.params else 4
        assumed = self.request.assume.get("rulesets") or {}
        where = f"jail {jail.name}, devfs_ruleset"
        if jail.ruleset.isdigit():
            number = int(jail.ruleset)
            if not 0 <= number <= 65535:
                raise InputError(f"{number} is out of range", where, "0 to 65535, see devfs(8)")
        elif jail.ruleset in self.seen.rulesets:
            number = self.seen.rulesets[jail.ruleset]
        elif jail.ruleset in assumed:
            return int(assumed[jail.ruleset])
        else:
            raise InputError(
                f"no ruleset {jail.ruleset} in /etc/devfs.rules", where,
                params.nearest(jail.ruleset, self.seen.rulesets) + "; the devfs_ruleset module makes them",
            )
        loaded = self.seen.loaded_rulesets
        if number and loaded is not None and number not in loaded and number not in assumed.values():
            raise InputError(
                f"ruleset {number} is not loaded, and the jail would see every device", where,
                "Load it with the devfs_ruleset module, or 'service devfs restart'",
            )
        return number

    # -- what a running jail takes, and what waits

    def _weigh(self, change: Change, running: Optional[Mapping[str, Any]]) -> None:
        """Find what of the change waits for a restart."""
        old, new, waits = change.old, change.new, change.waits
        if running is None or new is None:
            return
        shares = "vnet" not in new.params and running.get("vnet") != "new"
        # Unsaid, a jail has the addresses that are given, if any; whether it shares all the host's is settled at its start.
        implied = {"ip4": ["disable"], "ip6": ["disable"]} if shares else {}
        for name, values in {**implied, **new.params}.items():
            known = params.find(name)
            if known is not None and known.kernel and not known.live and not params.same(name, values, params.running(name, running)):
                if name != "path":
                    waits.append(name)
        if ("vnet" in new.params) != (running.get("vnet") == "new"):
            waits.append("vnet")
        if old is None:
            return
        waits += [name for name in HELD if old.params.get(name, []) != new.params.get(name, [])]
        waits += [name for name in AT_START if _at_start(old, name) != _at_start(new, name)]
        waits += [name for name in self._noted(old, running) if name in AT_START]
        change.waits = sorted(set(waits))

    def _noted(self, old: Definition, running: Mapping[str, Any]) -> List[str]:
        """What was noted as waiting, if the jail still lives the life that it was noted in."""
        noted = old.meta.get("waits") or {}
        current = noted.get("jid") == str(running.get("jid")) and noted.get("boot") == self.seen.boot
        return list(noted.get("names", [])) if current else []

    def _restarts(self, change: Change) -> bool:
        policy, state = change.jail.restart, change.jail.state
        if state == "restarted":
            return True
        if state not in ("started", "present") or policy == "never":
            return False
        differs = change.old is not None and change.new is not None and (
            change.old.params != change.new.params or change.old.style != change.new.style
        )
        return bool(change.waits) or (policy == "always" and differs)

    def _written(
        self, change: Change, new: Definition, running: Optional[Mapping[str, Any]], stops: bool
    ) -> Definition:
        """The definition that is written: what a running jail holds on to stays, and what waits is noted."""
        if running is None or stops or not change.waits:
            reverted = running is not None and not stops and change.old is not None and self._noted(change.old, running)
            return new if reverted else self._keep_stale(change.old, new)
        found = dict(new.params)
        if change.old is not None:
            held = list(HELD)
            if set(change.waits) & set(NETWORK):
                held += [*NETWORK, "ip4.addr", "ip6.addr", "vnet.interface"]
            for name in held:
                found.pop(name, None)
                if name in change.old.params:
                    found[name] = change.old.params[name]
            found = {name: found[name] for name in [*new.params, *found] if name in found}
        # What the kernel cannot be asked about: what the file no longer shows, or does not show yet.
        noted = [name for name in change.waits if name in AT_START or found.get(name) != new.params.get(name)]
        meta = dict(new.meta)
        if noted:
            meta["waits"] = {"jid": str(running.get("jid")), "boot": self.seen.boot, "names": noted}
        return replace(new, params=found, meta=meta)

    @staticmethod
    def _keep_stale(old: Optional[Definition], new: Definition) -> Definition:
        """A note of an earlier life of the jail says nothing any more; it is no reason to write either."""
        if old is not None and "waits" in old.meta and old.without("waits") == new:
            return old
        return new

    def _definition_steps(self, change: Change, new: Definition) -> List[Step]:
        name, old = change.jail.name, change.old
        steps: List[Step] = []
        if new.style == "jail_conf":
            now = self.seen.confs.get(name)
            if now is None or old != new:
                steps += write_step(definitions.conf_path(name), now, new.conf())
        elif name in self.seen.confs and (old is not None or change.jail.adopt):
            steps += write_step(definitions.conf_path(name), self.seen.confs[name], None)
        lines = "".join(f"{line}\n" for line in new.params.get("mount", [])) if new.style == "rc_conf" else None
        now = self.seen.fstabs.get(name)
        if lines or (now is not None and old is not None and old.style == "rc_conf"):
            steps += write_step(definitions.fstab_path(name), now, lines or None)
        return steps

    def _live(self, change: Change, new: Definition, running: Mapping[str, Any]) -> List[Step]:
        """The steps that change a running jail in place."""
        name, old = change.jail.name, change.old
        changes: Dict[str, List[str]] = {}
        dropped = [] if old is None else [param for param in old.params if param not in new.params]
        back = {param: params.default(param, new.params) for param in dropped}
        wanted = {**{param: values for param, values in back.items() if values is not None}, **new.params}
        for param, values in wanted.items():
            known = params.find(param)
            if known is None or not (known.kernel and known.live) or param in ("ip4.addr", "ip6.addr"):
                continue
            if not params.same(param, values, params.running(param, running)):
                changes[param] = list(values)
        changes.update(params.carried(changes, wanted))
        steps = []
        if changes:
            before = {param: [str(running.get(param))] for param in changes}
            steps.append(Step(
                f"change the running jail: {', '.join(sorted(changes))}",
                lambda host: runtime.modify(host, name, changes), None, f"jail {name}, running",
                _lines(before), _lines(changes),
            ))
        steps += self._live_cpus(name, old, new, self.seen.cpus.get(str(running["jid"])))
        if not set(change.waits) & set(NETWORK):
            steps += self._live_addresses(change, new, running)
        return steps

    @staticmethod
    def _live_cpus(name: str, old: Optional[Definition], new: Definition, now: Optional[FrozenSet[int]]) -> List[Step]:
        before, after = None if old is None else cpus(old.params), cpus(new.params)
        if now is None or (after is None and before is None) or (after is not None and outputs.cpulist(after) == now):
            return []
        wanted = after or "all"
        return [Step(
            f"give the running jail CPUs {wanted}", lambda host: cpusets.give(host, name, wanted), None,
            f"CPUs of jail {name}", f"{', '.join(map(str, sorted(now)))}\n", f"{wanted}\n",
        )]

    def _live_addresses(self, change: Change, wanted: Definition, running: Mapping[str, Any]) -> List[Step]:
        steps = []
        for param in ("ip4.addr", "ip6.addr"):
            new = [Address.parse(text, None, param) for text in wanted.params.get(param, [])]
            old = [] if change.old is None else [
                Address.parse(text, None, param) for text in change.old.params.get(param, [])
            ]
            now = [str(ip) for ip in running.get(param) or []]
            on_host = all(
                address.interface is None or runtime.has_address(self.seen.interfaces, address) for address in new
            )
            if params.same(param, [address.ip for address in new], now) and on_host:
                continue
            missing = [address for address in old if runtime.has_address(self.seen.interfaces, address)]
            steps.append(_address_step(change.jail.name, param, missing, new, now))
        return steps

    def _once_inside(self, change: Change, new: Definition, files: Optional[Mapping[str, Any]]) -> List[Step]:
        jail, steps = change.jail, []
        up = jail.state in ("started", "restarted") or (jail.state == "present" and jail.name in self.seen.running)
        if jail.flavour is not None and up:
            pending = files[inside.SCRIPT].kind == "file" if files is not None else jail.flavour in self.seen.scripted
            if pending:
                steps.append(roots.run_script(jail))
        old = set(change.old.meta.get("packages", ())) if change.old is not None else set()
        missing = sorted(set(jail.packages) - old)
        if missing and up:
            steps.append(Step(f"install packages {', '.join(missing)}", partial(_install, jail.name, missing)))
        return steps

    # -- removal

    def _remove(self, jail: Jail, old: Optional[Definition]) -> Change:
        change = Change(jail, old, None)
        if old is None:
            return change
        name, facts = jail.name, old.meta
        if old.lost:
            raise Refused(
                f"{definitions.conf_path(name)} cannot be read any more, and so not what its stop has to undo", f"jail {name}",
                "Mend the file, or declare the jail once: that writes it anew",
            )
        path = str(facts.get("path") or (old.params.get("path") or [""])[-1])
        own = self._leaving_mounts(name, path, old)
        dataset = self.seen.dataset_of(name, facts)
        self._refuse_inner(name, path)
        made = facts.get("root") != "existing"
        removal = roots.destroy(
            name, path, self.seen, dataset, own, jail.destroy_snapshots, self.request.storage_path
        ) if made else []
        if made and name in self.seen.unsafe:
            self.result.warnings.append(f"jail {name}: its root is left where it is: {self.seen.unsafe[name]}")
        if name in self.seen.running:
            change.steps.append(Step(
                "stop", lambda host: _stop(host, old, leaves=True), None, f"jail {name}", "running\n", "absent\n",
            ))
        else:
            change.steps += self._left_mounted(old, runtime.clean_up)
        change.steps += limits.plan(name, (), self.seen, [])
        change.steps += removal
        if old.style == "jail_conf":
            change.steps += write_step(definitions.conf_path(name), self.seen.confs[name], None)
        elif name in self.seen.fstabs:
            change.steps += write_step(definitions.fstab_path(name), self.seen.fstabs[name], None)
        return change

    def _leaving_mounts(self, name: str, path: str, old: Definition) -> List[str]:
        """What is mounted by a jail that leaves, and by those that leave before it: its children, and what stands in its root."""
        found = runtime.mount_points(old)
        for jail in self.jails:
            leaves = self.seen.definition(jail.name) if jail.state == "absent" and jail.name != name else None
            inner = str(leaves.meta.get("path")) if leaves is not None else ""
            if leaves is not None and (jail.name.startswith(f"{name}.") or inner.startswith(f"{path}/")):
                found += [*runtime.mount_points(leaves), inner]
        return found

    def _refuse_inner(self, name: str, path: str) -> None:
        """A root goes with all that stands in it, so no other jail's may."""
        leaving = {jail.name for jail in self.jails if jail.state == "absent"}
        inner = [
            f"{other} ({root})" for root, other in sorted(self.seen.roots.items())
            if root.startswith(f"{path}/") and other not in leaving and other != name
        ]
        if inner:
            raise Refused(f"the roots of other jails stand in {path}: {', '.join(inner)}", f"jail {name}", "Remove or move them first")

    # -- the host's shared files

    def _settle(self, changes: Sequence[Change], before: str, failed: FrozenSet[str]) -> List[Step]:
        alive = [(change.jail.name, _stands(change, change.jail.name in failed)) for change in changes]
        after = rc_conf_after(self.seen, before, alive, self.request.whole, _adopted(changes))
        steps = write_step(RC_CONF, before, after, f"write {RC_CONF}: jail_list")
        lost = {change.jail.name for change in changes if change.is_new and change.jail.name in failed}
        wanted = {change.jail.name: () if change.jail.name in lost else change.jail.limits for change in changes}
        return steps + limits.file_steps(wanted, self.seen)

    def _facts(self, changes: Sequence[Change]) -> Dict[str, Any]:
        told = {}
        for change in changes:
            name = change.jail.name
            told[name] = {
                "changed": bool(change.steps),
                "state": change.jail.state,
                "restart_waits": [] if any(step.what in ("stop", "start") for step in change.steps) else change.waits,
            }
        waiting = any(change.jail.limits for change in changes) and self.seen.rules is None
        return {"jails": told, "reboot_waits": ["kern.racct.enable"] if waiting else []}


def _stop_step(name: str, definition: Definition, back: Definition) -> Step:
    return Step(
        "stop", lambda host: _stop(host, definition), lambda host: runtime.start(host, back),
        f"jail {name}", "running\n", "stopped\n",
    )


def _start_step(name: str, definition: Definition) -> Step:
    return Step(
        "start", lambda host: runtime.start(host, definition), lambda host: runtime.stop(host, definition),
        f"jail {name}", "stopped\n", "running\n",
    )


def _stop(host: Host, definition: Definition, leaves: bool = False) -> None:
    """Stop; wait for its death where something that it holds is needed next: its root, its interfaces."""
    runtime.stop(host, definition, leaves)
    if leaves or "vnet" in definition.params:
        runtime.wait_dead(host, definition.name)


def _at_start(definition: Definition, name: str) -> List[str]:
    """What only a start uses; CPUs are given to a running jail too."""
    return [value for value in definition.params.get(name, []) if not value.startswith(CPUSET_HOOK)]


def _adopted(changes: Sequence[Change]) -> List[str]:
    """Those that are taken over by this run."""
    return [change.jail.name for change in changes if change.is_new and change.jail.adopt]


def _stands(change: Change, failed: bool) -> Optional[Definition]:
    """What defines a jail after the run: a failed creation leaves nothing, a failed removal its mark."""
    if not failed:
        return change.new
    return None if change.is_new else change.new or change.old


def _address_step(name: str, param: str, old: List[Address], new: List[Address], now: List[str]) -> Step:
    return Step(
        f"change the running jail: {param}",
        lambda host: runtime.bring_addresses(host, name, param, old, new), None, f"jail {name}, running",
        f"{param}: {', '.join(now)}\n", f"{param}: {', '.join(address.ip for address in new)}\n",
    )


def _install(name: str, packages: Sequence[str], host: Host) -> None:
    argv = ["pkg", "-j", name, "install", "-y", "--", *packages]
    host.run(argv, timeout=3600, env={"ASSUME_ALWAYS_YES": "yes"}, where=f"jail {name}")


def _lines(values: Mapping[str, Sequence[str]]) -> str:
    return "".join(f"{param}: {', '.join(value)}\n" for param, value in sorted(values.items()))


def verify(host: Host, request: Request, failed: Dict[str, CellblockError]) -> None:
    """After a run: what was to run must run, as jls(8) sees it."""
    listed = outputs.jails(host.run(["jls", "--libxo", "json", "-n", "name"]).out)
    running = {str(jail["name"]) for jail in listed}
    for jail in request.jails:
        if jail.state in ("started", "restarted") and jail.name not in running and jail.name not in failed:
            failed[jail.name] = CellblockError(
                "started, but is gone again: nothing runs in it", f"jail {jail.name}",
                "Let params.persist be true, or look at its console log",
            )


def serve_jails(module: AnsibleModule, options: Mapping[str, Any], whole: bool) -> None:
    """The main() of the modules jail and jails."""
    asked: List[Request] = []

    def planner(host: Host) -> Plan:
        asked.append(Request.from_options(options, module.check_mode, whole))
        return plan(host, asked[0])

    serve(
        module, planner, int(options["parallel"]),
        lambda host, failed: verify(host, asked[0], failed),
    )
