# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bind the host's own daemons to the host's own addresses, so that jails have theirs for themselves.

A daemon is restarted because of what is seen (its flags changed, or it still listens on ``*``), never
because of a note from an earlier task: a run that died half way is finished by the next one.
"""

from __future__ import annotations

import ipaddress
import os
from dataclasses import dataclass, field
from typing import Any, Callable, Dict, FrozenSet, List, Mapping, Optional, Sequence, Set, Tuple

from ansible_collections.cellblock.jails.plugins.module_utils.engine import ask
from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.engine.plan import Plan, Step, write_step
from ansible_collections.cellblock.jails.plugins.module_utils.errors import HostError, InputError, Refused
from ansible_collections.cellblock.jails.plugins.module_utils.formats import rc_conf, sshd_config
from ansible_collections.cellblock.jails.plugins.module_utils.formats.lines import lines_of
from ansible_collections.cellblock.jails.plugins.module_utils.host import listeners
from ansible_collections.cellblock.jails.plugins.module_utils.host.options import POLICIES

RC_CONF = "/etc/rc.conf"
NTP_CONF = "/etc/ntp.conf"
SSHD_CONFIG = "/etc/ssh/sshd_config"
MARKS = ("# BEGIN cellblock.jails", "# END cellblock.jails")
PATIENCE = 20.0  # seconds for a restarted daemon to open its sockets


@dataclass(frozen=True)
class Daemon:
    """One of the host's daemons.

    :param name: its rc.d(8) script.
    :param programs: the names of its processes.
    :param ports: the ports that it opens by our flags; all of them when empty. Some daemons keep further
        sockets on ``*`` whatever their flags say (rpcbind(8) one for remote calls): those are reported only.
    :param enable: its rc.conf(5) switch.
    :param flags: its rc.conf(5) flags, "" when it is bound by a file of its own.
    :param option: its flag for an address; each address takes one.
    :param always: flags are written even where the daemon is not enabled, so that it is safe to enable it.
    """

    name: str
    programs: FrozenSet[str]
    ports: FrozenSet[int]
    enable: str
    flags: str = ""
    option: str = "-h"
    always: bool = False


DAEMONS: Sequence[Daemon] = (
    Daemon("sendmail", frozenset({"sendmail"}), frozenset({25, 465, 587}), "sendmail_enable"),
    Daemon("inetd", frozenset({"inetd"}), frozenset(), "inetd_enable", "inetd_flags", "-a", True),
    Daemon("rpcbind", frozenset({"rpcbind"}), frozenset({111}), "rpcbind_enable", "rpcbind_flags"),
    Daemon("syslogd", frozenset({"syslogd"}), frozenset({514}), "syslogd_enable", "syslogd_flags", "-b", True),
    Daemon("ntpd", frozenset({"ntpd"}), frozenset({123}), "ntpd_enable"),
    Daemon("mountd", frozenset({"mountd"}), frozenset(), "mountd_enable", "mountd_flags"),
    Daemon("nfsd", frozenset({"nfsd", "kernel"}), frozenset({2049}), "nfs_server_enable", "nfs_server_flags"),
)
SSHD = Daemon("sshd", frozenset({"sshd"}), frozenset(), "sshd_enable")


@dataclass(frozen=True)
class Wanted:
    """What is asked for.

    :param addresses: the host's addresses; none means the one that ssh came in on.
    :param policies: per daemon ``bound``, ``disabled``, ``closed`` or ``keep``.
    :param flags: per daemon its own flags, put before those for the addresses.
    :param max_sessions: sshd's MaxSessions; None leaves it.
    :param connection: the address of this host that the current connection uses, "" when unknown.
    """

    addresses: Sequence[str]
    policies: Mapping[str, str]
    flags: Mapping[str, str] = field(default_factory=dict)
    max_sessions: Optional[int] = None
    connection: str = ""


def plan_from(host: Host, options: Mapping[str, Any]) -> Plan:
    """The same, by a module's options."""
    return plan(host, Wanted(
        addresses=options["addresses"],
        policies={name: options[name] for name in POLICIES},
        flags={daemon.name: options[daemon.flags] for daemon in DAEMONS if daemon.flags},
        max_sessions=options["sshd_max_sessions"],
        connection=connection(os.environ),
    ))


def plan(host: Host, wanted: Wanted) -> Plan:
    """The way to daemons that leave the jails' addresses alone.

    :raises InputError: an address is malformed, or not one of the host's.
    :raises Refused: sshd would no longer listen where the current connection came in.
    """
    seen = listeners.observe(host)
    addresses = _addresses(wanted)
    made = Plan()
    _configure(host, wanted, addresses, seen, made)
    bound = [daemon for daemon in DAEMONS if wanted.policies.get(daemon.name, "keep") != "keep"]
    if wanted.policies.get("sshd") == "bound" or wanted.max_sessions:
        _plan_sshd(host, wanted, addresses, seen, made)
    if wanted.policies.get("sshd") == "bound":
        bound.append(SSHD)
    made.facts = {
        "addresses": addresses,
        "bound": sorted(name for daemon in bound for name in daemon.programs if _strays(daemon, seen)),
    }
    return made


def _addresses(wanted: Wanted) -> List[str]:
    addresses = list(wanted.addresses) or [wanted.connection]
    if addresses == [""]:
        raise InputError(
            "the host's address is unknown: nobody is connected by ssh", "addresses", "Name the host's addresses there",
        )
    checked = []
    for address in addresses:
        try:
            found = ipaddress.ip_address(address)
        except ValueError:
            raise InputError(f"'{address}' is not an IP address", "addresses") from None
        if found.is_loopback and not wanted.addresses:
            raise InputError(
                f"the connection came in on {address}, which says nothing about the host's address", "addresses",
                "Name the host's addresses there",
            )
        if found.is_unspecified or found.is_multicast:
            raise InputError(f"'{address}' is no address of a host", "addresses")
        checked.append(str(found))
    return list(dict.fromkeys(checked))


# -- the daemons of rc.conf(5)

def _configure(
    host: Host, wanted: Wanted, addresses: Sequence[str], seen: listeners.Listening, made: Plan
) -> None:
    """Add the steps for rc.conf and ntp.conf, and for the daemons that they change."""
    old = host.read(RC_CONF) or ""
    now = rc_conf.values(old)
    changes: Dict[str, Optional[str]] = {}
    stop: List[Daemon] = []
    restart: List[Daemon] = []
    for daemon in DAEMONS:
        policy = wanted.policies.get(daemon.name, "keep")
        if policy == "keep":
            continue
        running = any(seen.running(program) for program in daemon.programs)
        values = _values(daemon, policy, wanted, addresses, running or rc_conf.yes(now.get(daemon.enable)), made)
        changed = {name: value for name, value in values.items() if now.get(name) != value}
        changes.update(changed)
        if policy == "disabled":
            if _strays(daemon, seen):
                stop.append(daemon)
        elif running and (changed or _strays(daemon, seen)):
            restart.append(daemon)
    made.before += _ntp(host, wanted, addresses, seen, now, restart)
    _warn(host, changes, wanted, now, made)
    if changes:
        made.before.append(_rc_step(old, rc_conf.edit(old, changes), changes, restart))
    made.before += [_stop(daemon) for daemon in stop] + [_restart(daemon) for daemon in restart]


def _values(
    daemon: Daemon, policy: str, wanted: Wanted, addresses: Sequence[str], used: bool, made: Plan
) -> Dict[str, str]:
    """The rc.conf(5) variables that a policy asks for."""
    if policy == "disabled":
        return {daemon.enable: "NO"}
    if not daemon.flags or not (used or daemon.always):
        return {}
    if policy == "closed":
        return {daemon.flags: "-ss"}
    taken = addresses
    if daemon.name == "inetd" and len(addresses) > 1:
        made.warnings.append(f"inetd(8) takes one address: its services answer on {addresses[0]} only")
        taken = addresses[:1]
    own = wanted.flags.get(daemon.name, "")
    words = [f"{daemon.option} {_bracket(daemon, address)}" for address in taken]
    return {daemon.flags: " ".join([own, *words] if own else words)}


def _bracket(daemon: Daemon, address: str) -> str:
    return f"[{address}]" if daemon.name == "syslogd" and ":" in address else address


def _strays(daemon: Daemon, seen: listeners.Listening) -> List[listeners.Listener]:
    """Its sockets that would answer on a jail's address, as far as our flags bind them."""
    return [
        socket for socket in seen.of(daemon.programs)
        if socket.address == "*" and (socket.port in daemon.ports if daemon.ports else socket.program != "kernel")
    ]


def _warn(
    host: Host, changes: Mapping[str, Optional[str]], wanted: Wanted, now: Mapping[str, str], made: Plan
) -> None:
    later = rc_conf.values(host.read(f"{RC_CONF}.local") or "")
    made.warnings += [
        f"{name} is also set in {RC_CONF}.local, which wins over {RC_CONF}" for name in sorted(changes) if name in later
    ]
    if wanted.policies.get("rpcbind") == "disabled" and rc_conf.yes(now.get("nfs_server_enable")):
        made.warnings.append("nfs_server_enable is set: rc.d/nfsd starts rpcbind(8) all the same; bind rpcbind instead")


def _rc_step(old: str, new: str, changes: Mapping[str, Optional[str]], restart: Sequence[Daemon]) -> Step:
    def undo(host: Host) -> None:
        host.write(RC_CONF, old)
        for daemon in restart:
            host.run(("service", daemon.name, "onerestart"))

    return Step(
        f"set {', '.join(changes)} in {RC_CONF}", lambda host: host.write(RC_CONF, new), undo, RC_CONF, old, new,
    )


def _stop(daemon: Daemon) -> Step:
    def do(host: Host) -> None:
        # The onestop of a daemon that rc.conf has just disabled: plain stop would refuse, with exit code 0.
        host.run(("service", daemon.name, "onestop"), ok=(0, 1))
        _settled(host, daemon, lambda seen: not _strays(daemon, seen))

    return Step(f"stop {daemon.name}", do)


def _restart(daemon: Daemon) -> Step:
    def do(host: Host) -> None:
        host.run(("service", daemon.name, "onerestart"), where=daemon.name)
        _settled(host, daemon, lambda seen: not _strays(daemon, seen) and _alive(daemon, seen))

    return Step(f"restart {daemon.name}", do)


def _alive(daemon: Daemon, seen: listeners.Listening) -> bool:
    return any(seen.running(program) for program in daemon.programs)


def _settled(host: Host, daemon: Daemon, good: Callable[[listeners.Listening], bool]) -> None:
    """Wait for what the sockets say: exit codes of service(8) prove little."""
    if host.wait_until(lambda: good(listeners.observe(host)), PATIENCE):
        return
    left = ", ".join(str(socket) for socket in _strays(daemon, listeners.observe(host)))
    raise HostError(
        f"still listens on '*': {left}" if left else "does not run after its restart", daemon.name,
        f"Look at 'service {daemon.name} status' and /var/log/messages",
    )


# -- ntpd(8), which is bound by its own file

def _ntp(
    host: Host, wanted: Wanted, addresses: Sequence[str], seen: listeners.Listening, now: Mapping[str, str],
    restart: List[Daemon],
) -> List[Step]:
    """The step for ntp.conf, where ntpd is in use: the last rule that matches an address decides."""
    if wanted.policies.get("ntpd") != "bound" or not (seen.running("ntpd") or rc_conf.yes(now.get("ntpd_enable"))):
        return []
    old = host.read(NTP_CONF) or ""
    rules = ["ignore wildcard", "ignore all", *(f"listen {one}" for one in (*addresses, "127.0.0.1", "::1"))]
    block = [MARKS[0], *(f"interface {rule}" for rule in rules), MARKS[1]]
    lines = lines_of(old)
    if MARKS[0] in lines and MARKS[1] in lines[lines.index(MARKS[0]):]:
        start = lines.index(MARKS[0])
        del lines[start:lines.index(MARKS[1], start) + 1]
    steps = write_step(NTP_CONF, old, "\n".join([*lines, *block]) + "\n")
    ntpd = next(daemon for daemon in DAEMONS if daemon.name == "ntpd")
    if steps and seen.running("ntpd") and ntpd not in restart:
        restart.append(ntpd)
    return steps


# -- sshd(8), the door that we came in by

def _plan_sshd(
    host: Host, wanted: Wanted, addresses: Sequence[str], seen: listeners.Listening, made: Plan
) -> None:
    bind = wanted.policies.get("sshd") == "bound"
    before = host.read(SSHD_CONFIG)
    old = before or ""
    changes: Dict[str, Sequence[str]] = {"ListenAddress": list(addresses)} if bind else {}
    if wanted.max_sessions:
        changes["MaxSessions"] = [str(wanted.max_sessions)]
    new = sshd_config.edit(old, changes)
    sockets = seen.of(SSHD.programs)
    listening = {socket.address for socket in sockets}
    stale = bind and bool(sockets) and not _good(listening, set(addresses))
    if new == old and not stale:
        return
    if bind:
        _guard(host, wanted, addresses)
    if new != old:
        _check(host, new)
    expect = set(addresses) if bind else listening
    made.before.append(_sshd_step(before, new, sorted(changes) if new != old else [], expect if sockets else set()))


def _guard(host: Host, wanted: Wanted, addresses: Sequence[str]) -> None:
    """Never lock ourselves out: the addresses must be the host's, and the one in use among them."""
    own = _own_addresses(host)
    for address in addresses:
        if address not in own:
            raise InputError(
                f"{address} is not an address of this host (it has {', '.join(sorted(own)) or 'none'}), "
                "sshd could not listen there", "addresses", "Configure the address first, or name the right one",
            )
    for used in [wanted.connection] if wanted.connection else _connected(host):
        if used not in addresses:
            raise Refused(
                f"somebody is connected by ssh to {used}, where sshd would no longer listen", SSHD_CONFIG,
                f"Add {used} to the addresses, or connect by one of {', '.join(addresses)}",
            )


def _connected(host: Host) -> List[str]:
    """Addresses of the host that ssh connections use now; escalation may have wiped which one is ours."""
    return sorted({
        socket.address for socket in ask.sockets(host, "-c")
        if socket.command.startswith("sshd") and socket.address not in ("*", "127.0.0.1", "::1")
    })


def _own_addresses(host: Host) -> Set[str]:
    listed = ask.interfaces(host)
    return {str(ipaddress.ip_address(held.ip)) for interface in listed.values() for held in interface.addresses}


def _check(host: Host, text: str) -> None:
    """Let sshd itself read the new file before it takes the old one's place.

    :raises InputError: with sshd's own words.
    """
    with host.scratch() as directory:
        path = f"{directory}/sshd_config"
        host.write(path, text, 0o600)
        result = host.ask(("/usr/sbin/sshd", "-t", "-f", path))
    if result.rc != 0:
        raise InputError(
            f"sshd refuses the new file: {result.said().replace(path, SSHD_CONFIG)}", SSHD_CONFIG,
            "Mend the file as it is now; nothing was changed",
        )


def _sshd_step(old: Optional[str], new: str, names: Sequence[str], expect: Set[str]) -> Step:
    """Write and reload in one: sshd must never be left with a file that it was not seen to work with.

    A reload keeps open connections.
    """
    def bring(host: Host, text: Optional[str]) -> None:
        if text is None:
            host.remove(SSHD_CONFIG)
        elif host.read(SSHD_CONFIG) != text:
            host.write(SSHD_CONFIG, text)
        if expect:
            host.run(("service", "sshd", "onereload"), where="sshd")

    def do(host: Host) -> None:
        bring(host, new)
        if expect and not host.wait_until(lambda: _good(_listens(host), expect), PATIENCE):
            raise HostError(
                f"listens on {', '.join(sorted(_listens(host))) or 'nothing'} after its reload, not on "
                f"{', '.join(sorted(expect))}", "sshd", "The old file is put back; look at /var/log/auth.log",
            )

    def undo(host: Host) -> None:
        bring(host, old)
        if expect and not _listens(host):
            host.run(("service", "sshd", "onestart"), where="sshd")

    what = f"set {', '.join(names)} in {SSHD_CONFIG}, reload sshd" if names else "reload sshd"
    return Step(what if expect else what.partition(", reload")[0], do, undo, SSHD_CONFIG, old or "", new)


def _good(listening: Set[str], expect: Set[str]) -> bool:
    return listening >= expect and ("*" in expect or "*" not in listening)


def _listens(host: Host) -> Set[str]:
    return {socket.address for socket in listeners.observe(host).of(SSHD.programs)}


def connection(environment: Mapping[str, str]) -> str:
    """The address of this host that the current ssh connection uses; "" when there is none.

    sshd(8) tells it in SSH_CONNECTION; escalation may have wiped that.
    """
    words: Tuple[str, ...] = tuple(environment.get("SSH_CONNECTION", "").split())
    return words[2].split("%")[0] if len(words) == 4 else ""
