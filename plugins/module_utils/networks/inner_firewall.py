# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A firewall inside of a jail that has a network stack of its own: its rules are the jail's, its module is the host's."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any, Dict, List, Mapping, Optional, Sequence

from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.engine.plan import Step
from ansible_collections.cellblock.jails.plugins.module_utils.errors import HostError, InputError
from ansible_collections.cellblock.jails.plugins.module_utils.formats import fields
from ansible_collections.cellblock.jails.plugins.module_utils.jails.aspects.aspect import Aspect
from ansible_collections.cellblock.jails.plugins.module_utils.jails.definition import Definition
from ansible_collections.cellblock.jails.plugins.module_utils.jails.model import Jail
from ansible_collections.cellblock.jails.plugins.module_utils.jails.observed import Observed
from ansible_collections.cellblock.jails.plugins.module_utils.jails.scene import Change, Draft, Scene
from ansible_collections.cellblock.jails.plugins.module_utils.networks.inner import PLAIN
from ansible_collections.cellblock.jails.plugins.module_utils.networks.options import OF_JAILS

VERSION = "bin/freebsd-version"
FILES = {"pf": "etc/pf.conf", "ipfw": "etc/ipfw.rules"}
VARIABLES: Mapping[str, Mapping[str, str]] = {
    "pf": {"pf_enable": "YES"}, "ipfw": {"firewall_enable": "YES", "firewall_type": "/etc/ipfw.rules"},
}
# Loading ipfw denies all packets of the host and of every jail, unless it is told otherwise before.
MODULES: Mapping[str, List[str]] = {
    "pf": ["/sbin/kldload -n pf"],
    "ipfw": ["/sbin/kldstat -q -m ipfw || /bin/kenv net.inet.ip.fw.default_to_accept=1 > /dev/null", "/sbin/kldload -n ipfw"],
}
# What only the jail itself can know: pfctl(8) looks up addresses of interfaces when it reads them.
ITS_OWN = re.compile(r"no IP address found for|Interface .* does not exist")


@dataclass(frozen=True)
class Rules:
    """The rules of one jail.

    :param kind: ``pf`` or ``ipfw``.
    :param given: their text, or a path of the host.
    """

    kind: str
    given: str


class InnerFirewall(Aspect):
    """Its rules are checked before they are written, and it runs before the jail counts as started."""

    name = "firewall"
    options = OF_JAILS["firewall"]
    facts = ("firewall",)

    def declare(self, jail: Jail, options: Mapping[str, Any]) -> Optional[Rules]:
        """One kind, and its rules."""
        where, asked = f"jail {jail.name}, firewall", options["firewall"]
        found = [Rules(kind, str(asked[kind])) for kind in FILES if asked.get(kind) is not None]
        if not found:
            return None
        if len(found) > 1:
            raise InputError("it has pf and ipfw", where, "Give it one of them")
        if jail.params.get("vnet") != ["new"]:
            raise InputError("a jail that shares the host's network has the host's firewall", where, "Give it networks, or vnet: true")
        if jail.root == "empty":
            raise InputError("an empty root has nothing that loads rules", where, "Use ports and bandwidth, which the host holds")
        if not PLAIN.fullmatch(jail.path):
            raise InputError(f"{jail.path} cannot stand in a hook", where, "Let path be of letters, digits and /_.@+-")
        if not _is_path(found[0].given):
            fields.check("text", found[0].given, where)
        return found[0]

    def observe(self, host: Host, seen: Observed, jails: Sequence[Jail]) -> None:
        """Read files of the host that have rules."""
        texts: Dict[str, str] = {}
        for jail in jails:
            rules: Optional[Rules] = jail.own.get(self.name)
            if rules is None:
                continue
            text = host.read(rules.given) if _is_path(rules.given) else rules.given
            if text is None:
                raise InputError(f"{rules.given} is not a file of the host", f"jail {jail.name}, firewall", "Give a path there, or the rules themselves")
            texts[jail.name] = text if not text or text.endswith("\n") else text + "\n"
        seen.own[self.name] = texts

    def look(self, jail: Jail) -> Mapping[str, int]:
        """Its rules, and what userland it has."""
        version = {VERSION: 1 << 16} if jail.root != "thin" else {}  # there it is the base's, by a link
        return {**version, **({FILES[jail.own[self.name].kind]: 1 << 20} if self.name in jail.own else {})}

    def define(self, scene: Scene, jail: Jail, old: Optional[Definition], draft: Draft) -> None:
        """The module, the device, and the mark."""
        rules: Optional[Rules] = jail.own.get(self.name)
        if rules is None:
            return
        draft.params["exec.prepare"] = [*MODULES[rules.kind], *draft.params.get("exec.prepare", [])]
        if rules.kind == "pf":
            draft.params["exec.created"] = [_unhide(jail), *draft.params.get("exec.created", [])]
        draft.meta[self.name] = rules.kind

    def check(self, change: Change) -> None:
        """Its tools must fit the host's kernel; its rc.conf enables it, or no longer."""
        rules, had = change.jail.own.get(self.name), _had(change)
        variables: Dict[str, Optional[str]] = dict.fromkeys(VARIABLES.get(had, {}))
        if rules is not None:
            variables.update(VARIABLES[rules.kind])
            self._check_version(change, rules)
        if variables:
            jail = change.jail
            change.jail = replace(jail, inside=replace(jail.inside, rc_conf={**variables, **jail.inside.rc_conf}))

    def _check_version(self, change: Change, rules: Rules) -> None:
        jail, kernel = change.jail, change.scene.seen.osreldate // 100000
        entry = (change.files or {}).get(VERSION)
        told = re.search(r'USERLAND_VERSION="(\d+)', entry.text or "") if entry is not None else None
        told = told or re.match(r"(\d+)\.\d", (jail.base or "").rsplit("/", 1)[-1])
        if told is None or int(told.group(1)) == kernel:
            return
        said = f"its userland is FreeBSD {told.group(1)}, and the kernel {kernel}"
        if rules.kind == "ipfw":
            raise InputError(f"{said}: its ipfw(8) cannot load rules there", f"jail {jail.name}, firewall", "Upgrade the jail, or use ports and bandwidth")
        change.scene.warnings.append(f"jail {jail.name}: {said}: its pfctl(8) speaks another interface, and may not load its rules")

    def prepare(self, change: Change) -> List[Step]:
        """Check the rules, then write them."""
        rules: Optional[Rules] = change.jail.own.get(self.name)
        if rules is None:
            return []
        text, path, root = change.scene.seen.own[self.name][change.jail.name], FILES[rules.kind], change.jail.path
        entry = (change.files or {}).get(path)
        now = entry.text if entry is not None and entry.kind == "file" else None
        if now == text:
            return []
        where = f"jail {change.jail.name}, firewall"
        check = Step(f"check rules of {rules.kind}", lambda host: _check(host, rules.kind, text, where))
        before = now
        return [check, Step(
            f"write {path}", lambda host: host.tree(root).write(path, text, 0o600),
            None if before is None else lambda host: host.tree(root).write(path, before, 0o600), f"{root}/{path}", now or "", text,
        )]

    def inside(self, change: Change) -> List[Step]:
        """A running jail loads what changed; a started one must run it."""
        rules, name = change.jail.own.get(self.name), change.jail.name
        writes = any(step.what == f"write {path}" for step in change.steps for path in FILES.values())
        if rules is None:
            return [Step(f"stop {_had(change)}", lambda host: _off(host, name, _had(change)))] if _had(change) and change.live else []
        kind = rules.kind
        if change.live and (writes or _had(change) != kind):
            hook = _unhide(change.jail)
            return [Step(f"load rules of {kind}", lambda host: _load(host, name, kind, hook))]
        if change.live:
            return []
        return [Step(f"see that {kind} runs in it", lambda host: _started(host, name, kind))]


def _is_path(given: str) -> bool:
    return given.startswith("/") and "\n" not in given


def _had(change: Change) -> str:
    return str(change.old.meta.get("firewall") or "") if change.old is not None else ""


def _unhide(jail: Jail) -> str:
    return f"/sbin/devfs -m {jail.path}/dev rule apply path pf unhide"


def _check(host: Host, kind: str, text: str, where: str) -> None:
    """By the host's own tool: nothing of the jail is run, and nothing is loaded."""
    if kind == "pf":
        host.run(["kldload", "-n", "pf"])
        done = host.ask(["pfctl", "-n", "-f", "-"], stdin=text)
    else:
        done = host.ask(["ipfw", "-n", "/dev/stdin"], stdin=text)
    if done.rc and not ITS_OWN.search(done.err):
        raise HostError(f"{kind} does not understand them: {done.said()}", where, "Mend the rules; those that are loaded stay")


def _started(host: Host, name: str, kind: str) -> None:
    """Its rc(8) has started it; where another exec.start did without, it is started now."""
    if kind == "pf" and host.ask(["jexec", "-l", name, "/sbin/pfctl", "-q", "-s", "Running"]).rc:
        host.ask(["jexec", "-l", name, "/usr/sbin/service", "pf", "onestart"])
    _runs(host, name, kind)


def _load(host: Host, name: str, kind: str, unhide: str) -> None:
    if kind == "pf":
        host.run(["kldload", "-n", "pf"])
        host.run(unhide.split())
        host.run(["jexec", "-l", name, "/sbin/pfctl", "-n", "-f", "/etc/pf.conf"], where=f"jail {name}, firewall")
        running = host.ask(["jexec", "-l", name, "/sbin/pfctl", "-q", "-s", "Running"]).rc == 0
        host.run(["jexec", "-l", name, "/usr/sbin/service", "pf", "onereload" if running else "onestart"], where=f"jail {name}")
    else:
        for hook in MODULES[kind]:
            host.run(["/bin/sh", "-c", hook])  # words of ours alone
        host.run(["jexec", "-l", name, "/usr/sbin/service", "ipfw", "onestart"], where=f"jail {name}")
    _runs(host, name, kind)


def _runs(host: Host, name: str, kind: str) -> None:
    argv = ["/sbin/pfctl", "-q", "-s", "Running"] if kind == "pf" else ["/sbin/ipfw", "-q", "list"]
    done = host.ask(["jexec", "-l", name, *argv])
    if done.rc:
        raise HostError(f"{kind} does not run in it: {done.said() or 'it is disabled'}", f"jail {name}, firewall", "See its console log")


def _off(host: Host, name: str, kind: str) -> None:
    host.ask(["jexec", "-l", name, "/usr/sbin/service", kind, "onestop"])
