# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Starting, stopping and changing a running jail. Judged by what jls(8) says, never by an exit code."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import List, Mapping, Optional, Sequence

from ansible_collections.cellblock.jails.plugins.module_utils.engine import ask
from ansible_collections.cellblock.jails.plugins.module_utils.engine.commands import CommandError, Result
from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.errors import HostError
from ansible_collections.cellblock.jails.plugins.module_utils.formats import outputs
from ansible_collections.cellblock.jails.plugins.module_utils.jails import stopping
from ansible_collections.cellblock.jails.plugins.module_utils.jails.definition import Definition
from ansible_collections.cellblock.jails.plugins.module_utils.jails.model import Address

START_TIMEOUT = 1800.0  # seconds; a jail's own exec.timeout is the finer bound
STOP_TIMEOUT = 600.0
DYING_TIMEOUT = 90.0  # a closed TCP connection holds a jail for 60 s, and for ten minutes if its other end does not close it
STILL_HELD = "Something still refers to it, such as a socket or a mount; run again later"
PATIENCE = 5.0  # before its root is taken from it


def alive(host: Host, name: str) -> bool:
    """Whether a jail runs, by name, dying ones aside.

    :raises HostError: when that is not to be known; nobody takes away the mounts of a jail that may run.
    """
    told = host.ask(["jls", "-j", name, "jid"])
    if told.rc != 0 and not told.err.rstrip().endswith(("not found", "is dying")):
        raise HostError(f"jls(8) failed: {told.said()}", f"jail {name}")
    return told.rc == 0


def start(host: Host, definition: Definition) -> None:
    """Start a jail, and leave nothing behind when it does not come up."""
    name = definition.name
    if definition.style == "rc_conf":
        # It writes jail(8)'s file. Its onestart would refuse while any jail(8) runs, and answer 0 whatever happens.
        host.run(["service", "jail", "oneconfig", name], where=f"jail {name}")
    result = host.ask(["jail", "-f", definition.start_file(), "-c", name], timeout=START_TIMEOUT)
    # jail(8) fails when the jail runs already.
    if result.rc != 0 and not alive(host, name):
        clean_up(host, definition)
        _run_poststop(host, definition)
        raise HostError(f"did not start: {result.said()}", f"jail {name}", _why(host, definition, result))


def _why(host: Host, definition: Definition, result: Result) -> Optional[str]:
    """What became of a start, and where to look: jail(8) names no hook, and the log has only what ran inside."""
    for param, commands in definition.params.items():
        if not param.startswith("exec.") or param in ("exec.clean", "exec.consolelog"):
            continue
        said = [word for word in ("failed", "timed out", "exited on signal") if any(f"{one}: {word}" in result.err for one in commands)]
        if said and param != "exec.start":
            return (
                f"{param} {said[0]}; it runs on the host, and what it said is above, not in the jail's log. Try it by hand as root; "
                "jail(8) of FreeBSD 15 sets JNAME, JID and JPATH for it"
            )
        missing = re.search(r"exec (\S+): No such file or directory", result.err)
        if said and missing:
            return f"{param} failed: there is no {missing.group(1)} in the jail's root"
    meant, log = result.meaning(), (definition.params.get("exec.consolelog") or [""])[-1]
    if meant is None and log and host.lstat(log) is not None:
        return f"Its own words are in {log}"
    return meant


def _run_poststop(host: Host, definition: Definition) -> None:
    """Undo what the hooks of a failed start did: jail(8) alone would not, and before FreeBSD 15 cannot be asked to."""
    hooks = {param: values for param, values in definition.params.items() if param in ("path", "exec.poststop", "exec.release")}
    if len(hooks) < 2:
        return
    done = _remove_by(host, replace(definition, params=hooks).without("waits"), "-rC")
    if "illegal option" in done.err:
        for hook in (*hooks.get("exec.poststop", ()), *hooks.get("exec.release", ())):
            host.ask(["/bin/sh", "-c", hook], timeout=STOP_TIMEOUT)  # as jail(8) itself does


def _remove_by(host: Host, definition: Definition, flags: str) -> Result:
    """Let jail(8) remove a jail by a definition that stands in no file.

    A fixed number is left out: by it jail(8) would look for the jail, and may find another one.
    """
    by_name = replace(definition, meta={fact: value for fact, value in definition.meta.items() if fact != "jid"})
    return host.ask(["jail", "-f", "-", flags, definition.name], stdin=by_name.conf(), timeout=STOP_TIMEOUT)


def stop(host: Host, definition: Definition, leaves: bool = False) -> None:
    """Stop a jail with the definition that it runs by, and take away what jail(8) leaves.

    :param leaves: whether it is to be removed: then what is inside it, its exec.stop, cannot prevent that.
    """
    name = definition.name
    path = definition.start_file()
    if not alive(host, name):
        clean_up(host, definition)
        return
    if "jid" in definition.meta:
        result = _remove_by(host, definition, "-r")
    else:
        result = host.ask(["jail", *(["-f", path] if host.lstat(path) is not None else []), "-r", name], timeout=STOP_TIMEOUT)
    if leaves and alive(host, name):
        rest = {param: values for param, values in definition.params.items() if param != "exec.stop"}
        result = _remove_by(host, replace(definition, params=rest), "-r")
    if alive(host, name):
        raise HostError(
            f"did not stop: {result.said()}", f"jail {name}",
            "Mend its exec.prestop or exec.stop, or stop it by hand with 'jail -R', which runs neither",
        )
    clean_up(host, definition)


def wait_dead(host: Host, name: str, interfaces: bool = False) -> None:
    """Wait until a stopped jail is quite gone. Where only its root is needed next, that is freed from one that goes on dying.

    :param interfaces: whether its interfaces, which come back when it is gone, are needed next.
    """

    def gone() -> bool:
        return not _dying(host, name)

    if host.wait_until(gone, DYING_TIMEOUT if interfaces else PATIENCE):
        return
    if interfaces or not all(free_root(host, path) for path in _dying(host, name)):
        raise HostError(f"is still dying after {DYING_TIMEOUT if interfaces else PATIENCE:g} s", f"jail {name}", STILL_HELD)


def _dying(host: Host, name: str) -> List[str]:
    """The roots of dying jails of a name."""
    listed = outputs.jails(host.ask(["jls", "-d", "--libxo", "json", "-n", "name", "path", "dying"]).out)
    return [host.names.called(str(jail.get("path"))) for jail in listed if jail.get("name") == name]


def free_root(host: Host, path: str) -> bool:
    """Take its root from a dying jail, in which nothing runs: the dataset is unmounted by force, and mounted anew.

    What is no mount point of its own is not held in the way of anything.
    """
    mounted = [mount for mount in ask.mounts(host) if mount.node == path or mount.node.startswith(f"{path}/")]
    if not any(mount.node == path and mount.fstype == "zfs" for mount in mounted):
        return True
    if any(mount.fstype != "zfs" for mount in mounted):
        return False
    for mount in reversed(mounted):
        host.run(["zfs", "unmount", "-f", mount.special])
    for mount in mounted:  # one that was delegated to the jail only the jail mounts
        (host.run if mount.node == path else host.ask)(["zfs", "mount", mount.special])
    return True


def wants_interfaces(definition: Definition) -> bool:
    """Whether it has interfaces that come back to the host only when it is quite gone; our own are made anew at each start."""
    return bool(set(definition.params.get("vnet.interface", ())) - {f"epair{one.get('unit')}b" for one in definition.meta.get("networks") or ()})


def mount_points(definition: Definition) -> List[str]:
    """Where jail(8) mounts for this definition, and did for the running jail, in the order of mounting."""
    points = [point for params in (stopping.started(definition), definition.params) for point, _type in stopping.mounted(params)]
    return list(dict.fromkeys(points))


def unmount(host: Host, definition: Definition) -> None:
    """Unmount what the definition mounts, where that was left undone."""
    points = set(mount_points(definition))
    for mount in reversed(ask.mounts(host)):
        if mount.node in points:
            host.run(["umount", mount.node], where=f"jail {definition.name}")


def clean_up(host: Host, definition: Definition) -> None:
    """Unmount what the definition mounts, and take its addresses off the interfaces, where that was left undone."""
    unmount(host, definition)
    addresses = own_addresses(definition)
    if not addresses:
        return
    interfaces = ask.interfaces(host)
    for address in addresses:
        if has_address(interfaces, address):
            remove_address(host, address)


def own_addresses(definition: Definition) -> List[Address]:
    """The addresses whose life is the jail's, and those that the running jail was started with: those with an interface."""
    return list(dict.fromkeys([*stopping.addresses(stopping.started(definition)), *stopping.addresses(definition.params)]))


def has_address(interfaces: Mapping[str, outputs.Interface], address: Address, anywhere: bool = False) -> bool:
    """Whether an address is on its interface, or on any."""
    listed = [interface for name, interface in interfaces.items() if anywhere or name == address.interface]
    return any(found.ip == address.ip for interface in listed for found in interface.addresses)


def add_address(host: Host, address: Address) -> None:
    """Put an address on its interface, as jail(8) would."""
    words = address.words.split()
    host.run(
        ["ifconfig", str(address.interface), address.family, f"{address.ip}/{address.prefix}", *words, "alias"]
    )


def remove_address(host: Host, address: Address) -> None:
    """Take an address off its interface, as jail(8) would."""
    host.run(["ifconfig", str(address.interface), address.family, address.ip, "-alias"])


def modify(host: Host, name: str, changes: Mapping[str, Sequence[str]]) -> None:
    """Change a running jail's parameters, see jail(8) -m. Values on its command line are taken as they are."""
    words = [f"{param}={','.join(values)}" for param, values in changes.items()]
    host.run(["jail", "-m", f"name={name}", *words], where=f"jail {name}")


def bring_addresses(
    host: Host, name: str, param: str, old: Sequence[Address], new: Sequence[Address], others: Sequence[str] = (),
) -> None:
    """Change a running jail's addresses: jail(8) -m tells the kernel, but leaves the interfaces alone.

    :param others: addresses that somebody else gave to the jail; they stay.
    """
    interfaces = ask.interfaces(host)
    added = [address for address in new if address.interface is not None and address not in old]
    for address in added:
        add_address(host, address)
    try:
        modify(host, name, {param: [*(address.ip for address in new), *others]})
    except CommandError:
        for address in added:
            if not has_address(interfaces, address):  # else the host had it before
                remove_address(host, address)
        raise
    kept = {(address.interface, address.ip) for address in new}
    for address in old:
        stays = (address.interface, address.ip) in kept
        if address.interface is not None and not stays and has_address(interfaces, address):
            remove_address(host, address)
