# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a plan is made from, and what it comes to: the scene of a run, the change of one jail, texts of shared files."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional, Sequence, Tuple

from ansible_collections.cellblock.jails.plugins.module_utils.engine.plan import Step, write_step
from ansible_collections.cellblock.jails.plugins.module_utils.engine.tree import Entry
from ansible_collections.cellblock.jails.plugins.module_utils.formats.secrets import HIDDEN
from ansible_collections.cellblock.jails.plugins.module_utils.jails import stopping
from ansible_collections.cellblock.jails.plugins.module_utils.jails.definition import Definition
from ansible_collections.cellblock.jails.plugins.module_utils.jails.model import Jail, Params
from ansible_collections.cellblock.jails.plugins.module_utils.jails.observed import Observed

if TYPE_CHECKING:  # which needs the aspects, and they the scene
    from ansible_collections.cellblock.jails.plugins.module_utils.jails.filling import Filling
    from ansible_collections.cellblock.jails.plugins.module_utils.jails.request import Request


@dataclass
class Scene:
    """What is asked for and what is there.

    :param jails: the declared jails, and those that are pruned.
    :param marks: the facts of all marks of the host, by jail.
    :param warnings: what the operator should know; aspects add to it.
    :param owners: the jails that bring each address, once somebody asked.
    :param fillings: what new roots are filled by in place of a base, by jail.
    """

    request: Request
    seen: Observed
    jails: Sequence[Jail]
    marks: Mapping[str, Mapping[str, Any]]
    warnings: List[str] = field(default_factory=list)
    owners: Optional[Mapping[str, Sequence[str]]] = None
    fillings: Dict[str, Filling] = field(default_factory=dict)


@dataclass
class Draft:
    """A definition in the making: each aspect adds its share."""

    params: Params
    meta: Dict[str, Any] = field(default_factory=dict)


@dataclass
class Change:
    """What becomes of one jail.

    :param old: its definition of ours as it stands; None for a new jail.
    :param wanted: as it is declared; None for a jail that leaves.
    :param new: as it is written: what a running jail holds on to stays until it restarts.
    :param running: what the kernel says of it; None when it does not run.
    :param inside: what runs inside of it when all else is done, without the host's lock.
    :param waits: the parameters whose change waits for a restart.
    :param stops: whether it is stopped on the way.
    :param renamed: whether it has another name as yet, which it keeps when this fails.
    :param whole: whether its root is there and complete.
    :param files: what is at the paths that aspects looked at, below its root; None for a root that is still to be made.
    """

    scene: Scene
    jail: Jail
    old: Optional[Definition]
    wanted: Optional[Definition] = None
    new: Optional[Definition] = None
    running: Optional[Mapping[str, Any]] = None
    steps: List[Step] = field(default_factory=list)
    inside: List[Step] = field(default_factory=list)
    waits: List[str] = field(default_factory=list)
    stops: bool = False
    renamed: bool = False
    whole: bool = False
    files: Optional[Mapping[str, Entry]] = None

    @property
    def is_new(self) -> bool:
        """Whether it is made, or taken over, by this run."""
        return self.old is None and self.wanted is not None

    @property
    def note(self) -> Mapping[str, Any]:
        """What was noted as waiting, if the jail still lives the life that it was noted in."""
        if self.old is None or self.running is None:
            return {}
        return self.old.note(self.running.get("jid"), self.scene.seen.boot)

    @property
    def started(self) -> Optional[Definition]:
        """Its definition of ours as the running jail was started by it."""
        return replace(self.old, params=stopping.started(self.old)) if self.old is not None and self.note else self.old

    @property
    def live(self) -> bool:
        """Whether it goes on running all the while."""
        return self.running is not None and not self.stops

    @property
    def ends_running(self) -> bool:
        """Whether it runs when the run has ended."""
        return self.jail.state in ("started", "restarted") or (self.jail.state == "present" and self.running is not None)

    def stands(self, failed: bool) -> Optional[Definition]:
        """What defines it after the run: a failed creation leaves nothing, a failed removal its mark."""
        if not failed:
            return self.new
        return None if self.is_new or self.renamed else self.new or self.old


class SharedFiles:
    """Files of the host that belong to no jail. Several aspects may change one; it is written once."""

    def __init__(self, found: Optional[Mapping[str, Optional[str]]] = None) -> None:
        self._found: Dict[str, Optional[str]] = dict(found or {})
        self._texts: Dict[str, Optional[str]] = dict(self._found)
        self._why: Dict[str, List[str]] = {}

    def text(self, path: str, found: Optional[str]) -> Optional[str]:
        """The text as it is so far.

        :param found: what the host had, None for no file.
        """
        self._found.setdefault(path, found)
        return self._texts.setdefault(path, found)

    def put(self, path: str, text: Optional[str], why: str = "") -> None:
        """Let a file, which was asked for before, have another text (None: away)."""
        if text != self._texts[path]:
            self._texts[path] = text
            self._why.setdefault(path, []).extend([why] if why else [])

    def after(self) -> SharedFiles:
        """The files as they are once the steps are taken."""
        return SharedFiles(self._texts)

    def steps(self) -> List[Step]:
        """A step for each file that changes."""
        return [step for path, text in self._texts.items() for step in self._write(path, text)]

    def _write(self, path: str, text: Optional[str]) -> List[Step]:
        why = ", ".join(self._why.get(path, ()))
        return write_step(path, self._found[path], text, f"write {path}: {why}" if why else None, links=True)


def texts(values: Mapping[str, Sequence[str]]) -> str:
    """Parameters as a diff shows them."""
    shown = {param: [HIDDEN] if param == "env" or param.startswith("env.") else value for param, value in values.items()}
    return "".join(f"{param}: {', '.join(value)}\n" for param, value in sorted(shown.items()))


def differing(names: Sequence[str], old: Definition, new: Definition) -> Tuple[str, ...]:
    """Those of these parameters that two definitions do not have alike."""
    return tuple(name for name in names if old.params.get(name, []) != new.params.get(name, []))
