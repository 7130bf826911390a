# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which jails start when the host boots, and in which order."""

from __future__ import annotations

from typing import FrozenSet, List, Optional, Sequence, Tuple

from ansible_collections.cellblock.jails.plugins.module_utils.engine.plan import Step
from ansible_collections.cellblock.jails.plugins.module_utils.errors import InputError
from ansible_collections.cellblock.jails.plugins.module_utils.formats import rc_conf
from ansible_collections.cellblock.jails.plugins.module_utils.jails import promise
from ansible_collections.cellblock.jails.plugins.module_utils.jails.aspects.aspect import Always
from ansible_collections.cellblock.jails.plugins.module_utils.jails.boot import listing, rc_conf_after, rc_conf_before
from ansible_collections.cellblock.jails.plugins.module_utils.jails.definition import Definition, infix
from ansible_collections.cellblock.jails.plugins.module_utils.jails.model import Jail, needs
from ansible_collections.cellblock.jails.plugins.module_utils.jails.observed import RC_CONF
from ansible_collections.cellblock.jails.plugins.module_utils.jails.scene import Change, Draft, Scene, SharedFiles


class Boot(Always):
    """rc.conf: jail_list, what a jail depends on, and the definitions in the old style."""

    name = "boot"

    def check_host(self, scene: Scene) -> None:
        """Refuse what depends on each other, in other runs too; warn of a parallel start, which knows no order."""
        _refuse_circles(scene)
        _refuse_twins(scene)
        depending = [jail.name for jail in scene.jails if jail.depend and jail.boot and jail.state != "absent"]
        if depending and rc_conf.yes(scene.seen.rc.get("jail_parallel_start")):
            scene.warnings.append(
                f"jail_parallel_start is on: at boot rc.d/jail starts all jails at once, and {', '.join(depending)} may come up "
                "before what they depend on"
            )

    def define(self, scene: Scene, jail: Jail, old: Optional[Definition], draft: Draft) -> None:
        """The mark knows of the boot what rc.conf does not."""
        draft.meta.update(boot=jail.boot, boot_order=jail.boot_order)
        if jail.depend:
            draft.meta["depend"] = list(jail.depend)

    def check(self, change: Change) -> None:
        """What it needs must be up."""
        check_needs(change)

    def share(self, scene: Scene, changes: Sequence[Change], files: SharedFiles) -> None:
        """The definitions in the old style are there before a jail starts by them."""
        files.text(RC_CONF, scene.seen.rc_conf)
        defined = [(change.jail.name, change.new) for change in changes]
        text = rc_conf_before(scene.seen, defined, _adopted(changes))
        files.put(RC_CONF, text, "jail definitions")
        text = rc_conf_after(scene.seen, text, defined, _adopted(changes))
        promise.keep(scene, changes, text, listing(scene.seen, text, defined, scene.request.whole))

    def settle(self, scene: Scene, changes: Sequence[Change], failed: FrozenSet[str], files: SharedFiles) -> List[Step]:
        """jail_list names those that came to be."""
        alive = [(change.jail.name, change.stands(change.jail.name in failed)) for change in changes]
        text = rc_conf_after(scene.seen, files.text(RC_CONF, scene.seen.rc_conf) or "", alive, _adopted(changes))
        files.put(RC_CONF, text, "jail definitions")
        listed = listing(scene.seen, text, alive, scene.request.whole)
        if listed.path is not None and list(listed.before) != list(listed.after):
            now = files.text(listed.path, scene.seen.variables.texts.get(listed.path)) or ""
            files.put(listed.path, rc_conf.edit(now, {"jail_list": " ".join(listed.after)}), "jail_list")
        return []


def _refuse_circles(scene: Scene) -> None:
    declared = {jail.name: jail for jail in scene.jails}
    needed = {name: tuple(map(str, facts.get("depend") or ())) for name, facts in scene.marks.items()}
    needed.update((name, jail.depend if jail.state != "absent" else ()) for name, jail in declared.items())

    def way(name: str, aim: str, trail: Tuple[str, ...]) -> Tuple[str, ...]:
        if aim in needed.get(name, ()):
            return (*trail, name, aim)
        further = (way(need, aim, (*trail, name)) for need in needed.get(name, ()) if need not in (*trail, name))
        return next((found for found in further if found), ())

    for name, jail in declared.items():
        found = way(name, name, ()) if jail.depend else ()
        if found:
            raise InputError(f"a dependency loop: {' -> '.join(found)}", f"jail {name}", "Break it")


def _refuse_twins(scene: Scene) -> None:
    """Names that rc.d/jail cannot tell apart, of jails of other runs too."""
    declared = {jail.name for jail in scene.jails}
    others = {infix(name): name for name in scene.marks if name not in declared}
    for jail in scene.jails:
        twin = others.get(infix(jail.name))
        if twin is not None and jail.state != "absent" and jail.name not in scene.marks:
            raise InputError(f"rc.d/jail cannot tell it from {twin}", f"jail {jail.name}", "Give each jail a name of its own")


def check_needs(change: Change) -> None:
    """Refuse a start before what the jail needs.

    :raises InputError: it is neither declared as started nor running.
    """
    jail, running, scene = change.jail, change.scene.seen.running, change.scene
    declared = {other.name: other for other in (*scene.jails, *scene.request.as_they_are)}
    for need in needs(jail):
        other = declared.get(need)
        up = need in running if other is None else other.state in ("started", "restarted")
        up = up or (other is not None and other.state == "present" and need in running)
        if not up and jail.state in ("started", "restarted"):
            raise InputError(
                f"it needs jail {need}, which is neither declared as started nor running", f"jail {jail.name}",
                f"Declare {need} too" + (", a dot in a name means a child of that jail" if jail.parent else ""),
            )


def _adopted(changes: Sequence[Change]) -> List[str]:
    """Those that are taken over by this run."""
    return [change.jail.name for change in changes if change.is_new and change.jail.adopt]
