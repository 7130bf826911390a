# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Several plans in one: each made for the host as those before leave it, so that all are refused or none."""

from __future__ import annotations

from typing import Callable, Dict, Mapping, Optional, Sequence

from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.engine.plan import Lane, Plan, Step
from ansible_collections.cellblock.jails.plugins.module_utils.errors import Faults


class Foreseen(Host):
    """A host as it will be: of a file that steps write, the new text is read. All else is the host as it is."""

    def __init__(self, host: Host) -> None:
        super().__init__()
        self.__dict__.update(host.__dict__)
        self._texts: Dict[str, str] = {}

    def expect(self, steps: Sequence[Step]) -> None:
        """These steps are taken before what is planned next."""
        self._texts.update((step.label, step.after) for step in steps if step.label.startswith("/"))

    def read(self, path: str) -> Optional[str]:
        """A file's text, as it will be; None when there will be none."""
        return (self._texts[path] or None) if path in self._texts else super().read(path)


def one_after_another(host: Host, planners: Mapping[str, Callable[[Host], Plan]]) -> Plan:
    """The plan of all, a lane for each; one that fails stops those after it. Its facts are theirs, by name.

    :param planners: in order, each the planner of a plan of the host as a whole, without lanes.
    :raises CellblockError: one of them cannot be had; nothing has been touched.
    """
    seen, made, faults = Foreseen(host), Plan(), Faults()
    for name, planner in planners.items():
        part: Optional[Plan] = None
        with faults:
            part = planner(seen)
        if part is None:
            continue
        seen.expect(part.before)
        made.lanes.append(Lane(name, part.before, [lane.name for lane in made.lanes]))
        made.warnings += part.warnings
        made.facts[name] = {"changed": bool(part.before), **part.facts}
    faults.tell()
    return made
