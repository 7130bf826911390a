# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The parameters of jail(8) in general: what a running jail takes at once, and what waits."""

from __future__ import annotations

import shlex
from typing import Dict, Iterable, List, Optional, Sequence

from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.engine.plan import Step
from ansible_collections.cellblock.jails.plugins.module_utils.errors import InputError
from ansible_collections.cellblock.jails.plugins.module_utils.jails import drift, params, runtime
from ansible_collections.cellblock.jails.plugins.module_utils.jails.aspects.addresses import ADDRESSES, NETWORK
from ansible_collections.cellblock.jails.plugins.module_utils.jails.aspects.aspect import Always
from ansible_collections.cellblock.jails.plugins.module_utils.jails.definition import Definition
from ansible_collections.cellblock.jails.plugins.module_utils.jails.model import ZFS_HOOK, Jail
from ansible_collections.cellblock.jails.plugins.module_utils.jails.observed import Observed
from ansible_collections.cellblock.jails.plugins.module_utils.jails.scene import Change, Draft, Scene, texts


class Parameters(Always):
    """What the kernel holds of a jail, its network aside, and what only its start uses."""

    name = "parameters"
    # The kernel cannot be asked whether the running jail was started by these.
    at_start = (
        "exec.prepare", "exec.prestart", "exec.created", "exec.start", "command", "exec.poststart", "exec.clean",
        "exec.jail_user", "exec.system_jail_user", "exec.fib", "exec.consolelog", "zfs.dataset",
    )

    def observe(self, host: Host, seen: Observed, jails: Sequence[Jail]) -> None:
        """Which the kernel knows, where one is declared that not every kernel of its release does."""
        if any(params.unsure(name) for jail in jails for name in jail.params):
            known = host.run(["sysctl", "-N", "security.jail.param"]).out.split()
            seen.own[self.name] = frozenset(line.partition("security.jail.param.")[2].rstrip(".") for line in known)

    def define(self, scene: Scene, jail: Jail, old: Optional[Definition], draft: Draft) -> None:
        """Before FreeBSD 15 jail(8) gives no datasets to a jail: hooks do at the same moment what its ``zfs.dataset`` does."""
        given = draft.params.get("zfs.dataset", [])
        if given and params.since_problem("zfs.dataset", scene.seen.osreldate):
            hooks = [f"{ZFS_HOOK}{jail.name} {shlex.quote(dataset)}" for dataset in given]
            del draft.params["zfs.dataset"]
            draft.params["exec.created"] = [*draft.params.get("exec.created", []), *hooks]

    def check(self, change: Change) -> None:
        """The host must know them."""
        scene, where = change.scene, f"jail {change.jail.name}"
        found = change.wanted.params if change.wanted is not None else {}
        fib, fibs = found.get("exec.fib"), scene.seen.sysctl.get("net.fibs", "")
        if fib and fibs.isdigit() and int(fib[-1]) >= int(fibs) and not scene.request.assume.get("fibs"):
            raise InputError(f"fib {fib[-1]} does not exist, net.fibs is {fibs}", where, "Raise net.fibs with host_prepare")
        known = None if scene.request.assume else scene.seen.own.get(self.name)
        for name in found:
            problem = params.since_problem(name, scene.seen.osreldate)
            if problem:
                raise InputError(problem, f"{where}, {name}", "Drop the parameter, or upgrade the host")
            if known is not None and params.unsure(name) and name not in known:
                fix = "Drop the parameter, load the kernel module that brings it, or upgrade the host"
                raise InputError("the kernel of this host does not know it", f"{where}, {name}", fix)

    def weigh(self, change: Change) -> Iterable[str]:
        """What the kernel holds otherwise, and changes in no running jail."""
        if change.wanted is None or change.running is None:
            return
        for name, values in change.wanted.params.items():
            known = params.find(name)
            if known is None or not known.kernel or known.live or name in NETWORK or name == "path":
                continue
            if not drift.holds(name, values, change.wanted.params, change.running):
                yield name

    def alter(self, change: Change) -> List[Step]:
        """One jail -m for all that the kernel changes in a running jail."""
        name, old, new, running = change.jail.name, change.old, change.wanted, change.running
        if new is None or running is None:
            return []
        changes: Dict[str, List[str]] = {}
        dropped = [] if old is None else [param for param in old.params if param not in new.params]
        back = {param: params.default(param, new.params) for param in dropped}
        wanted = {**{param: values for param, values in back.items() if values is not None}, **new.params}
        for param, values in wanted.items():
            known = params.find(param)
            if known is None or not (known.kernel and known.live) or param in ADDRESSES:
                continue
            unheard = params.running(param, running) is None and (old is None or old.params.get(param) != values)
            if unheard or not drift.holds(param, values, new.params, running):
                changes[param] = list(values)
        changes.update(params.carried(changes, wanted))
        changes.update(drift.beyond({**new.params, **changes}, running, change.scene.seen.sysctl))
        if not changes:
            return []
        before = {param: [str(running.get(param))] for param in changes}
        return [Step(
            f"change the running jail: {', '.join(sorted(changes))}",
            lambda host: runtime.modify(host, name, changes), None, f"jail {name}, running", texts(before), texts(changes),
        )]
