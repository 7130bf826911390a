# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host's boot settings, and what of them a running kernel can take at once."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple

from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.engine.plan import Plan, Step, write_step
from ansible_collections.cellblock.jails.plugins.module_utils.errors import InputError
from ansible_collections.cellblock.jails.plugins.module_utils.formats import loader_conf, rc_conf
from ansible_collections.cellblock.jails.plugins.module_utils.formats.lines import lines_of

RC_CONF = "/etc/rc.conf"
LOADER_CONF = "/boot/loader.conf"
FIBS_MAX = 65536  # setfib(2)
# Variables of rc.conf(5) that nothing reads before the next boot, and what reads them now; jail_* are read by each start.
LATER: Tuple[Tuple[str, Optional[str]], ...] = (
    (r"cloned_interfaces|jail_.*|rctl_enable|kld_list", None),  # told otherwise, or of no matter now
    (r"(?:ifconfig|ipv4_addrs|create_args)_([a-z0-9.]+?)(?:_ipv6|_alias\d+|_aliases|_name|_descr)?", "service netif restart {0}"),
    (r"defaultrouter|ipv6_defaultrouter|(?:ipv6_)?static_routes|(?:ipv6_)?route_.*|gateway_enable|ipv6_gateway_enable", "service routing restart"),
    (r"hostname", "service hostname start"),
    (r"([a-z0-9]+)_(?:enable|flags|rules)", "service {0} restart"),
    (r".*", ""),
)


@dataclass(frozen=True)
class Wanted:
    """What is asked for.

    :param rc_conf: variables of rc.conf(5); None unsets one.
    :param loader_conf: variables of loader.conf(5); None unsets one.
    :param modules: kernel modules, in their order of loading.
    :param racct: whether rctl(8) limits can be set; None leaves it.
    :param fibs: the number of routing tables; None leaves it.
    :param interfaces_now: whether interfaces of ``cloned_interfaces`` that are not there are made at once.
    """

    rc_conf: Mapping[str, Optional[str]] = field(default_factory=dict)
    loader_conf: Mapping[str, Optional[str]] = field(default_factory=dict)
    modules: Sequence[str] = ()
    racct: Optional[bool] = None
    fibs: Optional[int] = None
    interfaces_now: bool = False


def plan_from(host: Host, options: Mapping[str, Any]) -> Plan:
    """The same, by a module's options."""
    return plan(host, Wanted(
        _words(options["rc_conf"]), _words(options["loader_conf"]), options["kernel_modules"], options["racct"], options["fibs"],
        bool(options.get("interfaces_now")),
    ))


def _words(values: Mapping[str, Any]) -> Dict[str, Optional[str]]:
    """Ansible's values as the files spell them: YES and NO, null for a variable that goes."""
    spelled: Dict[str, Optional[str]] = {}
    for name, value in values.items():
        if isinstance(value, bool):
            spelled[str(name)] = "YES" if value else "NO"
        else:
            spelled[str(name)] = None if value is None else str(value)
    return spelled


def plan(host: Host, wanted: Wanted) -> Plan:
    """The way to the settings; what only a reboot can bring is told in the fact ``reboot``.

    :raises InputError: a name or value that the files or the kernel cannot take.
    """
    _refuse(wanted)
    kernel = _kernel(host) if wanted.racct is not None or wanted.fibs is not None else {}
    rc: Dict[str, Optional[str]] = dict(wanted.rc_conf)
    loader: Dict[str, Optional[str]] = dict(wanted.loader_conf)
    made = Plan()
    reboot: List[str] = []
    if wanted.racct is not None:
        loader["kern.racct.enable"] = "1" if wanted.racct else "0"
        rc["rctl_enable"] = "YES" if wanted.racct else "NO"
        reboot += _racct(wanted.racct, kernel)
    live: List[Step] = []
    if wanted.fibs is not None:
        loader["net.fibs"] = str(wanted.fibs)
        now = int(kernel.get("net.fibs", "1"))
        if now < wanted.fibs:
            live.append(_sysctl("net.fibs", now, wanted.fibs))
        elif now > wanted.fibs:
            reboot.append(f"net.fibs is {now} and can only grow while the host runs: {wanted.fibs} needs a reboot")
    if wanted.modules:
        rc["kld_list"] = _kld_list(host, wanted.modules)
        live += [_load(name) for name in wanted.modules if not _loaded(host, name)]
    made.before = [
        *_edit(host, RC_CONF, rc, rc_conf.values, rc_conf.edit, made),
        *_edit(host, LOADER_CONF, loader, loader_conf.values, loader_conf.edit, made),
        *live,
    ]
    missing = _missing(host, wanted.rc_conf)
    if wanted.interfaces_now:
        made.before += [_clone(name) for name in missing]
    made.facts = {"reboot": reboot, "waits": _waits([] if wanted.interfaces_now else missing, made.before, wanted.rc_conf)}
    return made


def _refuse(wanted: Wanted) -> None:
    for name in wanted.modules:
        if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_./-]*", name):
            raise InputError(f"'{name}' cannot be the name of a kernel module", "kernel_modules")
    if wanted.fibs is not None and not 1 <= wanted.fibs <= FIBS_MAX:
        raise InputError(f"{wanted.fibs} routing tables are not possible", "fibs", f"Give 1 to {FIBS_MAX}")


def _kernel(host: Host) -> Dict[str, str]:
    """The live values; a kernel without one of them leaves it out."""
    said = host.ask(("sysctl", "kern.racct.enable", "net.fibs")).out
    return {name: value.strip() for name, _colon, value in (line.partition(":") for line in lines_of(said))}


def _racct(wanted: bool, kernel: Mapping[str, str]) -> List[str]:
    if "kern.racct.enable" not in kernel:
        if wanted:
            raise InputError(
                "this kernel has no RACCT: limits cannot be set", "racct", "Use a kernel with options RACCT and RCTL",
            )
        return []
    now = kernel["kern.racct.enable"] != "0"
    if now == wanted:
        return []
    return [f"kern.racct.enable is {int(now)} until a reboot makes it {int(wanted)}"]


def _missing(host: Host, rc: Mapping[str, Optional[str]]) -> List[str]:
    """The interfaces of ``cloned_interfaces`` that are not there yet."""
    names = (rc.get("cloned_interfaces") or "").split()
    there = host.ask(("ifconfig", "-l")).out.split() if names else []
    return [name for name in names if name not in there and f"{name}a" not in there]  # of a pair, each end has a name


def _clone(name: str) -> Step:
    return Step(f"make interface {name} as rc.conf says", _runs("service", "netif", "start", name), None, f"interface {name}", "absent\n", "there\n")


def _waits(missing: Sequence[str], steps: Sequence[Step], rc: Mapping[str, Optional[str]]) -> List[str]:
    """What of rc.conf is there for the next boot, and is not so now."""
    found = [f"interface {name} is made by the next boot, or by 'service netif start {name}'" for name in missing]
    changed = [name for step in steps if step.label == RC_CONF for name in rc if re.search(rf"\b{re.escape(name)}\b", step.what)]
    for name in changed:
        now = _read_by(name, missing)
        found += [] if now is None else [f"{name} is read by the next boot" + (f", or by '{now}'" if now else "")]
    return found


def _read_by(name: str, missing: Sequence[str]) -> Optional[str]:
    """The command that reads a variable of rc.conf now, "" when none does; None where nothing has to be said."""
    matches = ((re.fullmatch(pattern, name), text) for pattern, text in LATER)
    match, text = next((match, text) for match, text in matches if match)
    return None if text is None or set(match.groups()) & set(missing) else text.format(*match.groups())


def _kld_list(host: Host, modules: Sequence[str]) -> str:
    """The list with what is missing at its end; what others put there stays."""
    names = rc_conf.values(host.read(RC_CONF) or "").get("kld_list", "").split()
    return " ".join(names + [name for name in modules if name not in names])


def _loaded(host: Host, name: str) -> bool:
    """Whether a module is there, as a file of its own or compiled in."""
    return any(host.ask(("kldstat", "-q", how, name)).rc == 0 for how in ("-n", "-m"))


def _load(name: str) -> Step:
    return Step(f"load kernel module {name}", _runs("kldload", "-n", name))


def _sysctl(name: str, before: int, after: int) -> Step:
    return Step(
        f"set sysctl {name}={after}", _runs("sysctl", f"{name}={after}"),
        None, f"sysctl {name}", f"{before}\n", f"{after}\n",
    )


def _runs(*argv: str) -> Callable[[Host], None]:
    def do(host: Host) -> None:
        host.run(argv)

    return do


def _edit(
    host: Host, path: str, wanted: Mapping[str, Optional[str]], values: Callable[[str], Mapping[str, str]],
    edit: Callable[[str, Mapping[str, Optional[str]]], str], made: Plan,
) -> List[Step]:
    """The step that sets variables of a file."""
    old = host.read(path) if wanted else None
    now = values(old or "")
    changes = {name: value for name, value in wanted.items() if now.get(name) != value}
    if not changes:
        return []
    later = values(host.read(f"{path}.local") or "")
    made.warnings += [f"{name} is also set in {path}.local, which wins over {path}" for name in changes if name in later]
    return write_step(path, old, edit(old or "", changes), f"set {', '.join(changes)} in {path}")
