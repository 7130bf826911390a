# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Enable a firewall without locking anybody out.

The connection that does it is let through without state, and a timer on the host takes it all back, unless a run that
comes by a *new* connection confirms: then the next boot has the firewall too.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass, field
from typing import Any, Dict, List, Mapping, Optional, Tuple

from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.engine.plan import Plan, Step
from ansible_collections.cellblock.jails.plugins.module_utils.formats import rc_conf
from ansible_collections.cellblock.jails.plugins.module_utils.networks import firewall, pf

PIDFILE = "/var/run/cellblock-firewall.pid"
NOTE = "/var/run/cellblock-firewall.json"
RC_CONF = "/etc/rc.conf"
SESSION = "0-session"  # an anchor; the first in the alphabet


@dataclass(frozen=True)
class Guard:
    """Whether a firewall waits to be confirmed.

    :param note: the connection that enabled it.
    :param session: the connection that this run came by: client, its port, host, its port; empty at a console.
    :param pf_enable: what rc.conf says.
    """

    waits: bool = False
    note: Mapping[str, Any] = field(default_factory=dict)
    session: Tuple[str, ...] = ()
    rc_text: str = ""


def observe(host: Host, environment: Optional[Mapping[str, str]] = None) -> Guard:
    """Read it; a host that waits for nothing is asked nothing."""
    words = tuple((os.environ if environment is None else environment).get("SSH_CONNECTION", "").split())
    text = host.read(NOTE)
    waits = text is not None and host.ask(["pgrep", "-F", PIDFILE]).rc == 0
    try:
        note = json.loads(text or "{}")
    except ValueError:
        note = {}
    return Guard(waits, note, words if len(words) == 4 else (), host.read(RC_CONF) or "")


def steps(manage: bool, patience: int, conf: Optional[str], found: firewall.Firewall, seen: Guard, plan: Plan) -> List[Step]:
    """The steps to a firewall that runs, calls our anchors, and comes back at boot."""
    wanted = pf.with_calls(conf or "")
    if not manage:
        _tell(conf, found, plan)
        return []
    made: List[Step] = []
    enabled = rc_conf.yes(rc_conf.values(seen.rc_text).get("pf_enable"))
    if found.running and not seen.waits:
        made += _reload(conf, wanted, found)
        return made + ([] if enabled else keep(seen))
    if seen.waits:
        if tuple(seen.note.get("session", ())) == seen.session and seen.session:
            plan.warnings.append("pf was enabled over this same connection: a new one has to confirm it, or it is taken back")
            return []
        return [Step("keep the firewall: a new connection came through it", confirm), *keep(seen)]
    made.append(Step(f"enable pf for {patience} s, until a new connection confirms it" if seen.session else "enable pf",
                     lambda host: enable(host, wanted, seen.session, patience), None, pf.CONF, conf or "", wanted))
    if not seen.session:
        return [*made, *keep(seen)]
    plan.facts["confirm"] = patience
    return made


def _tell(conf: Optional[str], found: firewall.Firewall, plan: Plan) -> None:
    lacking = pf.missing(conf or "")
    if lacking:
        plan.warnings.append(f"{pf.CONF} does not call the anchors of networks. It lacks: {'; '.join(lacking)}; manage: true writes them")
    elif found.running and found.uncalled:
        plan.warnings.append(f"{pf.CONF} calls the anchors of networks, but is not loaded: service pf reload")
    if not found.running:
        plan.warnings.append("pf is not running: nothing is translated, limited or let in by it; manage: true enables it")


def _reload(conf: Optional[str], wanted: str, found: firewall.Firewall) -> List[Step]:
    if wanted == (conf or "") and not found.uncalled:
        return []

    def put(host: Host, text: str) -> None:
        host.run(["pfctl", "-n", "-f", "-"], stdin=text, where=pf.CONF)
        host.write(pf.CONF, text)
        host.run(["pfctl", "-q", "-f", pf.CONF])

    return [Step(f"write and reload {pf.CONF}", lambda host: put(host, wanted), lambda host: put(host, conf or ""), pf.CONF, conf or "", wanted)]


def keep(seen: Guard, name: str = "pf_enable") -> List[Step]:
    """Let the next boot enable it."""
    changes: Dict[str, Optional[str]] = {name: "YES"}
    if rc_conf.yes(rc_conf.values(seen.rc_text).get(name)):
        return []

    def put(host: Host, before: bool) -> None:
        text = host.read(RC_CONF) or ""
        host.write(RC_CONF, rc_conf.edit(text, {name: rc_conf.values(seen.rc_text).get(name)} if before else changes))

    return [Step(f"set {name} in {RC_CONF}", lambda host: put(host, False), lambda host: put(host, True), f"{RC_CONF}, {name}", "", "YES\n")]


def enable(host: Host, wanted: str, session: Tuple[str, ...], patience: int) -> None:
    """Check the rules, start the timer, let this connection through, and only then enable."""
    host.run(["kldload", "-n", "pf"])
    host.run(["pfctl", "-n", "-f", "-"], stdin=wanted, where=pf.CONF)
    if session:
        host.write(NOTE, json.dumps({"session": list(session)}), 0o600)
        # Only names of ours and a number stand in it.
        timer = f"sleep {int(patience)}; /sbin/pfctl -q -d; /sbin/pfctl -q -a {pf.ROOT}/{SESSION} -f /dev/null; /bin/rm -f {NOTE}"
        host.run(["daemon", "-f", "-p", PIDFILE, "/bin/sh", "-c", timer])
        firewall.load(host, SESSION, session_rules(session))
    host.write(pf.CONF, wanted)
    host.run(["pfctl", "-q", "-f", pf.CONF])
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
