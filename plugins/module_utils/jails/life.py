# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps of a jail's life: it stops, starts, or leaves."""

from __future__ import annotations

from typing import Any, Callable, Iterable, List, Mapping

from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.engine.plan import Step
from ansible_collections.cellblock.jails.plugins.module_utils.errors import Refused
from ansible_collections.cellblock.jails.plugins.module_utils.jails import runtime
from ansible_collections.cellblock.jails.plugins.module_utils.jails.definition import Definition
from ansible_collections.cellblock.jails.plugins.module_utils.jails.observed import Observed


def stop(definition: Definition) -> Step:
    """Stop a jail that stays."""
    return Step(
        "stop", lambda host: _stop(host, definition), lambda host: runtime.start(host, definition),
        f"jail {definition.name}", "running\n", "stopped\n",
    )


def start(definition: Definition) -> Step:
    """Start a jail."""
    return Step(
        "start", lambda host: runtime.start(host, definition), lambda host: _unstart(host, definition),
        f"jail {definition.name}", "stopped\n", "running\n",
    )


def gone(name: str) -> Step:
    """A jail that was stopped before, and is still dying, holds its root."""
    return Step("wait until it is quite gone", lambda host: runtime.wait_dead(host, name))


def _unstart(host: Host, definition: Definition) -> None:
    runtime.stop(host, definition)
    runtime.wait_dead(host, definition.name)  # a new jail's root goes next


def leave(definition: Definition) -> Step:
    """Stop a jail for good."""
    return Step(
        "stop", lambda host: _stop(host, definition, leaves=True), None, f"jail {definition.name}", "running\n", "absent\n",
    )


def followers(name: str, ours: Mapping[str, Definition], marks: Mapping[str, Mapping[str, Any]], alive: Iterable[str]) -> List[Definition]:
    """What runs in a jail or depends on it, in the order of their stop.

    :param alive: the jails that run, or are to run again.
    """
    running = sorted(set(alive))
    found: List[str] = []

    def gather(one: str) -> None:
        for other in [other for other in running if other.startswith(f"{one}.") or one in (marks.get(other, {}).get("depend") or ())]:
            if other not in found and other != name:
                gather(other)
                found.append(other)

    gather(name)
    foreign = [one for one in found if one not in ours]
    if foreign:
        raise Refused(f"{', '.join(foreign)} runs in it, and was not made by us", f"jail {name}", "Stop it first")
    return [ours[one] for one in found]


def left_mounted(seen: Observed, old: Definition, mend: Callable[[Host, Definition], None]) -> List[Step]:
    """What a jail that went without jail(8) left mounted is in the way of its start, and of its removal."""
    points = set(runtime.mount_points(old))
    left = any(mount.node in points for mount in seen.mounts)
    return [Step("take away what it left mounted", lambda host: mend(host, old))] if left else []


def _stop(host: Host, definition: Definition, leaves: bool = False) -> None:
    """Stop; wait for its death where something that it holds is needed next: its root, its interfaces, its number."""
    runtime.stop(host, definition, leaves)
    if leaves or runtime.wants_interfaces(definition):
        runtime.wait_dead(host, definition.name, interfaces=not leaves)
