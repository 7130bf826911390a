# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ps(1) and sockstat(1): the host's daemons as they were last started, and those of jails that run."""

from __future__ import annotations

import json
from typing import Any, Dict, Iterator, List, Tuple

from ..core import Refusal, SimulatedHost, tool
from .system import PORTS, daemon_flags

Answer = Tuple[int, str, str]
PIDS = {name: 1000 + 100 * place for place, name in enumerate(PORTS, 1)}


def of_jails(host: SimulatedHost) -> Iterator[Tuple[str, int, str]]:
    """The processes of running jails: jail, number and command."""
    for jid in sorted(host.state["jails"], key=int):
        for place, command in enumerate(host.state["jails"][jid]["processes"]):
            yield jid, 20000 + 10 * int(jid) + place, command


@tool("ps")
def ps(host: SimulatedHost, args: List[str], stdin: str) -> Answer:
    """ps(1) ax -o jid,pid,command, and -J JAIL -o pid=."""
    if len(args) == 4 and (args[0], *args[2:]) == ("-J", "-o", "pid="):
        jails = [jid for jid, jail in host.state["jails"].items() if args[1] in (jid, jail["name"])]
        if not jails:
            raise Refusal(f"ps: Invalid jail id: {args[1]}")
        pids = [pid for jid, pid, _command in of_jails(host) if jid in jails]
        return (0 if pids else 1), "".join(f"{pid}\n" for pid in pids), ""
    if args != ["ax", "-o", "jid,pid,command"]:
        raise Refusal(f"ps: not simulated: {' '.join(args)}")
    rows = [("0", 1, "/sbin/init")]
    rows += [("0", PIDS[name], f"/usr/sbin/{name} {daemon_flags(host, name)}".rstrip()) for name in host.state["services"]]
    rows += of_jails(host)
    return 0, "JID  PID COMMAND\n" + "".join(f"{jid:>3} {pid:>4} {command}\n" for jid, pid, command in rows), ""


@tool("sockstat")
def sockstat(host: SimulatedHost, args: List[str], stdin: str) -> Answer:
    """sockstat(1) -l, and -c for the ssh connections that a test puts into the state."""
    found = []
    if "--libxo" in args and host.osreldate < 1402000:
        return 1, "", "sockstat: illegal option -- -\nusage: sockstat [-46CciLlnqSsUuvw] [-j jid] [-p ports] [-P protocols]\n"
    if "-c" not in args:
        for name in sorted(host.state["services"]):
            found += [(name, PIDS[name], *one, "*", 0) for one in host.state["services"][name]]
        for jid, pid, command in of_jails(host):
            held = host.state["jails"][jid].get("ip4.addr", [])
            # What listens on all addresses of a jail listens on its only one.
            found += [("syslogd", pid, "udp4", held[0] if len(held) == 1 else "*", 514, "*", 0)] if "syslogd" in command else []
    else:
        found += [("sshd-session", 1122, "tcp4", address, 22, "10.10.10.1", 50022) for address in host.state.get("ssh", [])]
    listed = [
        # The kernel itself has nfsd's socket for UDP.
        {**({} if (command, proto[:3]) == ("nfsd", "udp") else {"user": "root", "command": command, "pid": pid, "fd": 6 + number}),
         "proto": proto, "local": {"address": address, "port": port}, "foreign": {"address": far, "port": far_port}}
        for number, (command, pid, proto, address, port, far, far_port) in enumerate(found)
    ]
    if "--libxo" in args:
        return 0, json.dumps({"__version": "1", "sockstat": {"socket": listed}}) + "\n", ""
    return 0, "".join(map(_line, listed)), ""


def _line(socket: Dict[str, Any]) -> str:
    """A line of sockstat(1) -q -w."""
    if "pid" in socket:
        begin = f"{socket['user']:<8} {socket['command'][:10]:<10} {socket['pid']:>5} {socket['fd']:<3} "
    else:
        begin = f"{'?':<8} {'?':<10} {'?':<5} {'?':<2} "
    local, far = (f"{end['address']}:{end['port'] or '*'}" for end in (socket["local"], socket["foreign"]))
    return f"{begin:<30}{socket['proto']:<6} {local:<46}{far}\n"
