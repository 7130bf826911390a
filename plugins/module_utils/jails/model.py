# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a declared jail is: options in, a checked and frozen value out. Nothing here touches a host."""

from __future__ import annotations

import ipaddress
import os.path
import re
from dataclasses import dataclass, field
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from ansible_collections.cellblock.jails.plugins.module_utils.errors import InputError
from ansible_collections.cellblock.jails.plugins.module_utils.formats import fstab
from ansible_collections.cellblock.jails.plugins.module_utils.formats.outputs import amount, cpulist
from ansible_collections.cellblock.jails.plugins.module_utils.formats.rc_conf import NAME as RC_NAME
from ansible_collections.cellblock.jails.plugins.module_utils.jails import params as table

Params = Dict[str, List[str]]

BASE_ROOTS = ("thin", "clone", "thick")
BASE_MOUNT = "basejail"  # where a thin jail sees its base, below its root
RESERVED = ("basejails", "flavours", "all")
CPUSET_HOOK = "/usr/bin/cpuset -l "
CONSOLE_LOG = "/var/log/jail_{name}_console.log"
# rc.d/jail and rctl(8) bound what a name may hold; jail(8) takes 255 bytes for the whole dotted name.
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*(\.[A-Za-z_][A-Za-z0-9_-]*)*")
NAME_MAX = 255
INTERFACE = re.compile(r"[A-Za-z][A-Za-z0-9_.]{0,14}")

RESOURCES = frozenset(
    "cputime datasize stacksize coredumpsize memoryuse memorylocked maxproc openfiles vmemoryuse pseudoterminals "
    "swapuse nthr msgqqueued msgqsize nmsgq nsem nsemop nshm shmsize wallclock pcpu readbps writebps readiops "
    "writeiops".split()
)
RATES = frozenset(("readbps", "writebps", "readiops", "writeiops"))
UNDENIABLE = RATES | {"cputime", "wallclock"}


@dataclass(frozen=True)
class Address:
    """An address of a jail: ``[interface|]address/prefix [words for ifconfig]``, as in jail(8)."""

    ip: str
    prefix: int
    interface: Optional[str] = None
    words: str = ""

    @property
    def family(self) -> str:
        """``inet`` or ``inet6``, as ifconfig(8) names them."""
        return "inet6" if ":" in self.ip else "inet"

    def conf(self) -> str:
        """As jail.conf(5) has it. Without an interface, jail(8) neither adds nor removes the address."""
        if self.interface is None:
            return self.ip
        return f"{self.interface}|{self.ip}/{self.prefix}" + (f" {self.words}" if self.words else "")

    @classmethod
    def parse(cls, text: str, interface: Optional[str], where: str) -> Address:
        """Read one; raise :class:`InputError` for what ifconfig would take but no jail can use."""
        given, mark, rest = text.strip().rpartition("|")
        rest, _blank, words = rest.partition(" ")
        address, slash, prefix = rest.partition("/")
        interface = given if mark else interface
        try:
            ip = ipaddress.ip_address(address)
        except ValueError as error:
            raise InputError(f"{address!r} is not an IP address", where, "Write [interface|]address[/prefix]") from error
        if ip.is_multicast or ip.is_unspecified or str(ip) == "255.255.255.255":
            raise InputError(f"{address} is not an address of a host", where, "Give a unicast address")
        if interface is not None and not INTERFACE.fullmatch(interface):
            raise InputError(f"{interface!r} is not an interface's name", where, "At most 15 letters, digits, _ and .")
        length: int = ip.max_prefixlen
        if slash:
            try:
                length = ipaddress.ip_network(f"{'::' if ip.version == 6 else '0.0.0.0'}/{prefix}").prefixlen
            except ValueError as error:
                raise InputError(f"{prefix!r} is not a prefix length", where, f"0 to {ip.max_prefixlen}") from error
        return cls(str(ip), length, interface, words.strip())


@dataclass(frozen=True)
class Rule:
    """A resource limit of a jail, as in rctl(8): ``jail:NAME:resource:action=amount``."""

    resource: str
    action: str
    amount: int

    def text(self, name: str) -> str:
        """The rule as rctl(8) lists it."""
        return f"jail:{name}:{self.resource}:{self.action}={self.amount}"


@dataclass(frozen=True)
class Inside:
    """What stands in the jail's own files; None leaves a file as it is."""

    fstab: Optional[str] = None
    rc_conf: Mapping[str, Optional[str]] = field(default_factory=dict)
    resolv_conf: Optional[str] = None  # a text, "copy" or "none"
    timezone: Optional[str] = None
    root_password: Optional[str] = None
    aliases: Mapping[str, str] = field(default_factory=dict)
    authorized_keys: Optional[Tuple[str, ...]] = None


@dataclass(frozen=True)
class Jail:
    """A declared jail."""

    name: str
    state: str
    root: str = "thin"
    base: Optional[str] = None
    path: str = ""
    quota: Optional[int] = None
    reservation: Optional[int] = None
    params: Params = field(default_factory=dict)
    addresses: Tuple[Address, ...] = ()
    mounts: Tuple[fstab.Entry, ...] = ()
    depend: Tuple[str, ...] = ()
    ruleset: Optional[str] = None
    limits: Tuple[Rule, ...] = ()
    boot: bool = True
    boot_order: int = 100
    boot_style: str = "jail_conf"
    inside: Inside = Inside()
    flavour: Optional[str] = None
    packages: Tuple[str, ...] = ()
    restart: str = "never"
    adopt: bool = False
    destroy_snapshots: bool = False
    own: Mapping[str, Any] = field(default_factory=dict)  # what aspects made of their options, by their names

    def base_path(self, storage_path: str) -> str:
        """Where its base stands: a base's name, or a path."""
        base = self.base or ""
        return base if base.startswith("/") else f"{storage_path}/basejails/{base}"

    def own_points(self) -> List[str]:
        """Where jail(8) mounts by parameters of its own, as paths below the root."""
        wanted = {"dev": "mount.devfs", "proc": "mount.procfs"}
        return [point for point, param in wanted.items() if self.params.get(param) == ["true"]]

    def declared_points(self) -> List[str]:
        """Where the declared mounts go, as paths below the root."""
        return [entry.file[len(self.path) + 1:] for entry in self.mounts]

    @property
    def parent(self) -> Optional[str]:
        """The jail that it is nested in, by its dotted name."""
        return self.name.rpartition(".")[0] or None


def check_name(name: str) -> str:
    """Refuse a name that FreeBSD would misread, with the reason."""
    where = f"jail {name!r}"
    fix = "Use letters, digits, '_' and '-', beginning with a letter; a dot only between a parent's name and a child's"
    if not name:
        raise InputError("a jail needs a name", None, fix)
    if not name.isascii():
        raise InputError("the name is not ASCII; jail(8) silently ends the file there", where, fix)
    if any(part.isdigit() for part in name.split(".")):
        raise InputError("the name is all digits; jail(8), jls(8) and jexec(8) take it for a jid", where, fix)
    if len(name.encode()) > NAME_MAX:
        raise InputError(f"the name is longer than {NAME_MAX} bytes", where, fix)
    if not NAME.fullmatch(name):
        raise InputError("FreeBSD would misread the name", where, fix)
    if name in RESERVED:
        raise InputError("the name is reserved", where, "Choose another")
    return name


def _limits(given: Mapping[str, Any], where: str) -> Tuple[Rule, ...]:
    rules = []
    for resource, value in given.items():
        here = f"{where}, limits.{resource}"
        if resource not in RESOURCES:
            raise InputError(f"{resource!r} is not a resource", here, table.nearest(resource, RESOURCES))
        spec = value if isinstance(value, Mapping) else {"amount": value}
        action = str(spec.get("action", "throttle" if resource in RATES else "deny"))
        if action == "deny" and resource in UNDENIABLE:
            raise InputError("rctl(8) cannot deny this resource", here, "Give an action: log, devctl, or a signal")
        if action == "throttle" and resource not in RATES:
            raise InputError("only readbps, writebps, readiops and writeiops can be throttled", here, "Use deny")
        if not re.fullmatch(r"deny|log|devctl|throttle|sig[a-z0-9]+", action):
            raise InputError(f"{action!r} is not an action", here, "Use deny, log, devctl, throttle or sigNAME")
        try:
            rules.append(Rule(resource, action, amount(str(spec["amount"]))))
        except (KeyError, ValueError) as error:
            raise InputError(f"{spec.get('amount')!r} is not an amount", here, "A number, with k, m, g or t") from error
    return tuple(sorted(rules, key=lambda rule: rule.resource))


def _size(value: Any, where: str) -> Optional[int]:
    if value in (None, "", "none"):
        return None
    try:
        return amount(str(value))
    except ValueError as error:
        raise InputError(f"{value!r} is not a size", where, "A number of bytes, with k, m, g or t") from error


def _mounts(given: Sequence[Any], path: str, where: str) -> Tuple[fstab.Entry, ...]:
    entries = []
    for number, value in enumerate(given, 1):
        here = f"{where}, mounts[{number}]"
        try:
            entry = fstab.parse_line(value) if isinstance(value, str) else _mount(value, path)
        except (KeyError, ValueError) as error:
            raise InputError(f"not a mount: {error}", here, "Give an fstab(5) line, or src, dest and type") from error
        if entry is None:
            raise InputError("an empty mount", here, "Give an fstab(5) line, or src, dest and type")
        if os.path.normpath(entry.file) != entry.file or not entry.file.startswith(path + "/"):
            raise InputError(
                f"{entry.file} is not below the jail's root {path}", here, "Mount points are paths of the host"
            )
        entries.append(entry)
    return tuple(entries)


def _mount(value: Mapping[str, Any], path: str) -> fstab.Entry:
    dest = str(value["dest"])
    kind = str(value.get("type") or "nullfs")
    return fstab.Entry(
        str(value.get("src") or kind), os.path.normpath(f"{path}/{dest.lstrip('/')}"), kind,
        str(value.get("opts") or "rw"), 0, 0,
    )


def _addresses(option: Any, family: str, interface: Optional[str], where: str) -> Tuple[Address, ...]:
    texts = [option] if isinstance(option, str) else list(option or [])
    found = []
    for text in texts:
        address = Address.parse(str(text), interface, f"{where}, {family}")
        if (address.family == "inet6") != (family == "ip6"):
            raise InputError(f"{address.ip} is of the other family", f"{where}, {family}", "Use ip4 and ip6 for each")
        found.append(address)
    return tuple(found)


def _network(options: Mapping[str, Any], where: str) -> Tuple[Params, Tuple[Address, ...]]:
    """The parameters of the jail's network, addresses aside, and the addresses."""
    found: Params = {}
    addresses: List[Address] = []
    vnet = bool(options.get("vnet"))
    for family in ("ip4", "ip6"):
        option = options.get(family)
        if option in ("inherit", "none", "disable", ["inherit"], ["none"], ["disable"]):
            word = option if isinstance(option, str) else option[0]
            found[family] = ["inherit" if word == "inherit" else "disable"]
        else:
            addresses.extend(_addresses(option, family, options.get("interface"), where))
    if vnet and (addresses or found):
        raise InputError(
            "a vnet jail has its own network stack, ip4 and ip6 do not apply", where,
            "Set addresses inside (rc_conf: ifconfig_...), or drop vnet",
        )
    if vnet:
        found["vnet"] = ["new"]
    if options.get("vnet_interfaces"):
        if not vnet:
            raise InputError("vnet_interfaces without vnet", where, "Set vnet: true")
        found["vnet.interface"] = [str(name) for name in options["vnet_interfaces"]]
    return found, tuple(addresses)


def _params(options: Mapping[str, Any], path: str, network: Params, where: str) -> Params:
    """Everything that goes into jail.conf(5) and does not depend on the host."""
    name = str(options["name"])
    found: Params = {
        "path": [path],
        "host.hostname": [str(options.get("hostname") or name)],
        **network,
        "persist": ["true"],
        "exec.clean": ["true"],
        "exec.consolelog": [CONSOLE_LOG.format(name=name)],
        "mount.devfs": ["true"],
    }
    if options.get("root") != "empty":
        found["exec.start"] = ["/bin/sh /etc/rc"]
        found["exec.stop"] = ["/bin/sh /etc/rc.shutdown jail"]
    if options.get("fib") is not None:
        found["exec.fib"] = table.check("exec.fib", options["fib"], f"{where}, fib")
    for key, value in (options.get("exec") or {}).items():
        full = key if key.startswith("exec.") else f"exec.{key}"
        found[full] = table.check(full, value, f"{where}, exec.{key}")
    for key, value in (options.get("params") or {}).items():
        here = f"{where}, params"
        if key in OWN_OPTION:
            raise InputError(f"{key} has an option of its own", here, f"Use {OWN_OPTION[key]}")
        found[table.canonical(key)] = table.check(key, value, here)
    for group in ("meta", "env"):
        _gather_keys(found, group)
    asked = _cpuset(options.get("cpuset"), where)
    if asked is not None:
        # The kernel forgets a jail's CPU set with the jail; the hook sets it anew at every start.
        found.setdefault("exec.created", []).append(f"{CPUSET_HOOK}{asked} -j {name}")
    return {key: value for key, value in found.items() if value or not key.startswith("exec.")}


def _gather_keys(found: Params, group: str) -> None:
    """Put ``meta.KEY`` beside a whole ``meta`` into it: the kernel holds one text."""
    names = [name for name in found if name.startswith(f"{group}.")]
    if group not in found or not names:
        return
    keys = {name[len(group) + 1:]: found.pop(name)[-1] for name in names}
    lines = [line for line in found[group][-1].split("\n") if line and line.partition("=")[0] not in keys]
    found[group] = ["\n".join([*lines, *(f"{key}={value}" for key, value in keys.items())])]


OWN_OPTION = {
    "name": "name", "path": "path", "host.hostname": "hostname", "ip4.addr": "ip4", "ip6.addr": "ip6",
    "ip4": "ip4", "ip6": "ip6", "interface": "interface", "vnet": "vnet", "vnet.interface": "vnet_interfaces",
    "depend": "depend", "mount": "mounts", "mount.fstab": "mounts", "devfs_ruleset": "devfs_ruleset",
    "exec.fib": "fib",
}


def _inside(options: Mapping[str, Any], where: str) -> Inside:
    rc_conf = options.get("rc_conf") or {}
    for key in rc_conf:
        if not RC_NAME.fullmatch(key):
            raise InputError(f"{key!r} is not a variable's name", f"{where}, rc_conf", "Letters, digits and '_'")
    keys = options.get("authorized_keys")
    password = options.get("root_password")
    if password is not None and (":" in password or "\n" in password or not (password.startswith(("$", "*")))):
        raise InputError(
            "root_password is not a crypt(3) hash", where, "Give a hash such as $6$..., or '*' to lock the account"
        )
    zone = options.get("timezone")
    if zone is not None and not re.fullmatch(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*", zone):
        raise InputError(f"{zone!r} is not a time zone", f"{where}, timezone", "Such as Europe/Athens or UTC")
    return Inside(
        fstab="" if str(options.get("root") or "thin") in BASE_ROOTS else None,
        rc_conf={key: _rc_value(value) for key, value in rc_conf.items()},
        resolv_conf=options.get("resolv_conf"),
        timezone=zone,
        root_password=password,
        aliases={str(key): str(value) for key, value in (options.get("aliases") or {}).items()},
        authorized_keys=None if keys is None else tuple(str(key).strip() for key in keys),
    )


def _rc_value(value: Any) -> Optional[str]:
    if value is None:
        return None
    return ("YES" if value else "NO") if isinstance(value, bool) else str(value)


def jail_from(options: Mapping[str, Any], storage_path: str) -> Jail:
    """Check one declared jail.

    :param options: the module's options of one jail, as in its documentation.
    :param storage_path: the directory that roots stand in by default.
    :raises InputError: saying which jail and option, and how to mend it.
    """
    name = check_name(str(options.get("name") or ""))
    where = f"jail {name}"
    state = str(options.get("state") or "started")
    if state == "absent":
        return Jail(name, state, destroy_snapshots=bool(options.get("destroy_snapshots")))
    root = str(options.get("root") or "thin")
    base = options.get("base")
    if root in BASE_ROOTS and not base:
        raise InputError(f"a {root} jail needs a base", where, "Name one in 'base'; the basejail module makes them")
    if root not in BASE_ROOTS and base:
        raise InputError(f"root '{root}' takes no base", where, "Drop 'base', or use root thin, clone or thick")
    path = str(options.get("path") or f"{storage_path}/{name}")
    _check_path(path, where)
    network, addresses = _network(options, where)
    jail = Jail(
        name=name, state=state, root=root, base=base, path=path,
        quota=_size(options.get("quota"), f"{where}, quota"),
        reservation=_size(options.get("reservation"), f"{where}, reservation"),
        params=_params(options, path, network, where),
        addresses=addresses,
        mounts=_mounts(options.get("mounts") or [], path, where),
        depend=tuple(options.get("depend") or ()),
        ruleset=None if options.get("devfs_ruleset") is None else str(options["devfs_ruleset"]),
        limits=_limits(options.get("limits") or {}, where),
        boot=bool(options.get("boot", True)),
        boot_order=int(options.get("boot_order", 100)),
        boot_style=str(options.get("boot_style") or "jail_conf"),
        inside=_inside(options, where),
        flavour=_flavour(options.get("flavour"), storage_path),
        packages=tuple(options.get("packages") or ()),
        restart=str(options.get("restart") or "never"),
        adopt=bool(options.get("adopt")),
    )
    if "." in name and jail.boot:
        raise InputError("rc.d/jail cannot start a nested jail at boot", where, "Set boot: false")
    return jail


def _flavour(value: Any, storage_path: str) -> Optional[str]:
    """Where a flavour's tree is on the host: a path, or a name below the storage."""
    if not value:
        return None
    return str(value) if str(value).startswith("/") else f"{storage_path}/flavours/{value}"


def _check_path(path: str, where: str) -> None:
    if not path.startswith("/") or os.path.normpath(path) != path or path == "/":
        raise InputError(f"{path!r} is not a clean absolute path", where, "No '..', '//' or trailing slash")
    if len(path.encode()) > 1023 or any(ord(char) < 32 for char in path):
        raise InputError(f"{path!r} is too long or holds control characters", where, "At most 1023 bytes")


def cpus(params: Mapping[str, Sequence[str]]) -> Optional[str]:
    """The CPUs that a jail is started on, a list as cpuset(1) takes it; None for all."""
    hooks = [hook for hook in params.get("exec.created", []) if hook.startswith(CPUSET_HOOK)]
    return hooks[-1][len(CPUSET_HOOK):].partition(" ")[0] if hooks else None


def _cpuset(value: Any, where: str) -> Optional[str]:
    if value is None:
        return None
    try:
        cpulist(str(value))
    except ValueError as error:
        raise InputError(f"{value!r} is not a list of CPUs", f"{where}, cpuset", "Such as 0-3,6") from error
    return str(value)


def check_set(jails: Sequence[Jail]) -> None:
    """What must hold among the jails of one host: names, addresses, dependencies."""
    seen: Dict[str, str] = {}
    addresses: Dict[str, str] = {}
    for jail in jails:
        infix = re.sub(r"[^A-Za-z0-9]", "_", jail.name)
        if infix in seen:
            same = "declared twice" if seen[infix] == jail.name else f"rc.d/jail cannot tell it from {seen[infix]}"
            raise InputError(same, f"jail {jail.name}", "Give each jail a name of its own")
        seen[infix] = jail.name
        for address in jail.addresses:
            other = addresses.setdefault(address.ip, jail.name)
            if other != jail.name and address.interface is not None:
                raise InputError(
                    f"{address.ip} is given to {other} too; the first to stop would take it from the other",
                    f"jail {jail.name}", "Give each its own, or share an address of the host without an interface",
                )
    order_by_need(jails)


def order_by_need(jails: Sequence[Jail]) -> List[Jail]:
    """The jails with whatever they depend on before them, otherwise in their order; a loop is an error."""
    by_name = {jail.name: jail for jail in jails if jail.state != "absent"}
    placed: Dict[str, Jail] = {}

    def place(jail: Jail, trail: Tuple[str, ...]) -> None:
        if jail.name in trail:
            raise InputError(f"a dependency loop: {' -> '.join((*trail, jail.name))}", f"jail {jail.name}", "Break it")
        for need in needs(jail):
            if need in by_name and need not in placed:
                place(by_name[need], (*trail, jail.name))
        placed.setdefault(jail.name, jail)

    for jail in jails:
        place(jail, ())
    return list(placed.values())


def needs(jail: Jail) -> Tuple[str, ...]:
    """The jails that must be up before it."""
    return (*((jail.parent,) if jail.parent else ()), *jail.depend)
