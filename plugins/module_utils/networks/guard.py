# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Enable a firewall without locking anybody out.

The connection that does it is let through without state, and a timer on the host takes it all back, unless a run that
comes by a *new* connection confirms: then the next boot has the firewall too.
"""

from __future__ import annotations

import functools
import json
import os
import re
import shlex
from dataclasses import dataclass, field
from typing import Any, Dict, Iterable, List, Mapping, Optional, Tuple

from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.engine.plan import Plan, Step
from ansible_collections.cellblock.jails.plugins.module_utils.errors import Refused
from ansible_collections.cellblock.jails.plugins.module_utils.formats import rc_conf
from ansible_collections.cellblock.jails.plugins.module_utils.jails.rc_variables import Variables, load
from ansible_collections.cellblock.jails.plugins.module_utils.networks import firewall, pf

PIDFILE = "/var/run/cellblock-firewall.pid"
NOTE = "/var/run/cellblock-firewall.json"
RC_CONF = "/etc/rc.conf"
DEFAULTS = {"pf_enable": "NO", "firewall_enable": "NO", "firewall_type": "UNKNOWN"}  # of /etc/defaults/rc.conf
SESSION = "0-session"  # an anchor; the first in the alphabet


@dataclass(frozen=True)
class Guard:
    """Whether a firewall waits to be confirmed.

    :param note: the connection that enabled it.
    :param session: the connection that this run came by: client, its port, host, its port; empty at a console.
    :param variables: what rc.conf(5), and what counts over it, says to the script of rc.d that enables it.
    """

    waits: bool = False
    note: Mapping[str, Any] = field(default_factory=dict)
    session: Tuple[str, ...] = ()
    variables: Variables = Variables()

    @property
    def conf(self) -> str:
        """The file of pf's rules."""
        return self.variables.values.get("pf_rules") or pf.CONF

    @property
    def load(self) -> List[str]:
        """How rc.d/pf loads them, but for the file."""
        return ["pfctl", "-q", *shlex.split(self.variables.values.get("pf_flags", ""))]


def observe(host: Host, kind: str, environment: Optional[Mapping[str, str]] = None) -> Guard:
    """Read it; a host that waits for nothing is asked nothing.

    :param kind: ``pf`` or ``ipfw``.
    """
    words = tuple((os.environ if environment is None else environment).get("SSH_CONNECTION", "").split())
    variables = load(host, "pf", "pf_") if kind == "pf" else load(host, "ipfw", "firewall_")
    text = host.read(NOTE)
    waits = text is not None and host.ask(["pgrep", "-F", PIDFILE]).rc == 0
    try:
        note = json.loads(text or "{}")
    except ValueError:
        note = {}
    return Guard(waits, note, words if len(words) == 4 else (), variables)


def steps(manage: bool, patience: int, conf: Optional[str], found: firewall.Firewall, seen: Guard, plan: Plan) -> List[Step]:
    """The steps to a firewall that runs, calls our anchors, and comes back at boot."""
    wanted = pf.with_calls(conf or "")
    if not manage:
        _tell(conf, found, seen, plan)
        return []
    if conf is None and found.ruled:
        raise Refused(
            f"pf has rules, and {seen.conf} is not there: they would be lost, and all be let in", "firewall", "Name their file in pf_rules of rc.conf(5)",
        )
    made: List[Step] = []
    if found.running and not seen.waits:
        return [*_reload(conf, wanted, found, seen), *keep(seen)]
    if seen.waits:
        if tuple(seen.note.get("session", ())) == seen.session and seen.session:
            plan.warnings.append("pf was enabled over this same connection: a new one has to confirm it, or it is taken back")
            return []
        return [Step("keep the firewall: a new connection came through it", confirm), *keep(seen)]
    made.append(Step(f"enable pf for {patience} s, until a new connection confirms it" if seen.session else "enable pf",
                     lambda host: enable(host, wanted, seen, patience), None, seen.conf, conf or "", wanted))
    if not seen.session:
        return [*made, *keep(seen)]
    plan.facts["confirm"] = patience
    return made


def _tell(conf: Optional[str], found: firewall.Firewall, seen: Guard, plan: Plan) -> None:
    lacking = pf.missing(conf or "")
    if lacking:
        plan.warnings.append(f"{seen.conf} does not call the anchors of networks. It lacks: {'; '.join(lacking)}; manage: true writes them")
    elif found.running and found.uncalled:
        plan.warnings.append(f"{seen.conf} calls the anchors of networks, but is not loaded: service pf reload")
    if not found.running:
        plan.warnings.append("pf is not running: nothing is translated, limited or let in by it; manage: true enables it")


def _reload(conf: Optional[str], wanted: str, found: firewall.Firewall, seen: Guard) -> List[Step]:
    if wanted == (conf or "") and not found.uncalled:
        return []

    def put(host: Host, text: str) -> None:
        host.run([*seen.load, "-n", "-f", "-"], stdin=text, where=seen.conf)
        host.write(seen.conf, text)
        host.run([*seen.load, "-f", seen.conf])

    return [Step(f"write and reload {seen.conf}", lambda host: put(host, wanted), lambda host: put(host, conf or ""), seen.conf, conf or "", wanted)]


def keep(seen: Guard, name: str = "pf_enable") -> List[Step]:
    """Let the next boot enable it."""
    return [] if rc_conf.yes(seen.variables.values.get(name)) else set_variables(seen, {name: "YES"})


def set_variables(seen: Guard, changes: Mapping[str, str]) -> List[Step]:
    """Set variables where they count: what is set after rc.conf, such as in rc.conf.local, counts over it.

    :raises Refused: for a value that a shell builds.
    """
    steps: List[Step] = []
    for path, names in _places(seen, changes).items():
        before, after = {name: seen.variables.values.get(name) for name in names}, {name: changes[name] for name in names}
        shown = ["".join(f"{name}={value}\n" for name, value in one.items() if value is not None) for one in (before, after)]
        steps.append(Step(
            f"set {', '.join(names)} in {path}", functools.partial(_edit, path, after), functools.partial(_edit, path, before),
            f"{path}, {', '.join(names)}", *shown,
        ))
    return steps


def _places(seen: Guard, names: Iterable[str]) -> Dict[str, List[str]]:
    found: Dict[str, List[str]] = {}
    for name in names:
        path = seen.variables.place(name)
        if seen.variables.values.get(name) == DEFAULTS.get(name, "") and not any(name in rc_conf.names(text) for text in seen.variables.texts.values()):
            path = RC_CONF
        if path is None:
            raise Refused(f"the value of {name} is built by a shell", seen.variables.setter(name), "Let it be plain text, or take it out")
        found.setdefault(path, []).append(name)
    return found


def _edit(path: str, values: Mapping[str, Optional[str]], host: Host) -> None:
    host.write(path, rc_conf.edit(host.read(path) or "", values))


def enable(host: Host, wanted: str, seen: Guard, patience: int) -> None:
    """Check the rules, start the timer, let this connection through, and only then enable."""
    host.run(["kldload", "-n", "pf"])
    host.run([*seen.load, "-n", "-f", "-"], stdin=wanted, where=seen.conf)
    if seen.session:
        host.write(NOTE, json.dumps({"session": list(seen.session)}), 0o600)
        # Only names of ours and a number stand in it.
        timer = f"sleep {int(patience)}; /sbin/pfctl -q -d; /sbin/pfctl -q -a {pf.ROOT}/{SESSION} -f /dev/null; /bin/rm -f {NOTE}"
        host.run(["daemon", "-f", "-p", PIDFILE, "/bin/sh", "-c", timer])
        firewall.load(host, SESSION, session_rules(seen.session))
    host.write(seen.conf, wanted)
    host.run([*seen.load, "-f", seen.conf])
    for name in host.listdir(pf.FOLDER):  # written while pf was not loaded
        if name.startswith("n-") and name.endswith(".pf"):
            firewall.load(host, name[:-3], host.read(f"{pf.FOLDER}/{name}") or "")
    host.run(["pfctl", "-q", "-e"])


def confirm(host: Host) -> None:
    """Stop the timer."""
    host.run(["pkill", "-F", PIDFILE])
    host.remove(NOTE)
    firewall.load(host, SESSION, "")


def session_rules(session: Tuple[str, ...]) -> str:
    """Let one connection through, which pf has no state of."""
    client, port, here, own = session
    if not all(re.fullmatch(r"[0-9A-Fa-f:.]+", word) for word in (client, here)) or not (port.isdigit() and own.isdigit()):
        return ""
    family = "inet6" if ":" in client else "inet"
    there, back = f"{client} port {port}", f"{here} port {own}"
    return (
        f"pass in quick {family} proto tcp from {there} to {back} no state\n"
        f"pass out quick {family} proto tcp from {back} to {there} no state\n"
    )
