# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a declared jail is: a frozen value, and what must hold among those of a host."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Callable, Dict, Iterable, List, Mapping, Optional, Sequence, Tuple

from ansible_collections.cellblock.jails.plugins.module_utils.errors import Faults, InputError
from ansible_collections.cellblock.jails.plugins.module_utils.formats import fields, fstab

Params = Dict[str, List[str]]

BASE_ROOTS = ("thin", "clone", "thick")
BASE_MOUNT = "basejail"  # where a thin jail sees its base, below its root
CONSOLE_LOG = "/var/log/jail_{name}_console.log"  # unless params.exec.consolelog says otherwise
CPUSET_HOOK = "/usr/bin/cpuset -l "
ZFS_HOOK = "/sbin/zfs jail "  # in place of zfs.dataset, which jail(8) has since FreeBSD 15
# What these hooks do at a start is done to a running jail too, so that a change of them waits for nothing.
LIVE_HOOKS = (CPUSET_HOOK, "/sbin/pfctl -q -a cellblock/", "/sbin/dnctl ", "/sbin/kldload -n ")
INTERFACE = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,14}")


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
            asks = address.lower() in ("dhcp", "slaac", "accept_rtadv", "auto")
            fix = "Only a jail with a network stack of its own can ask for one: declare it by networks" if asks else "Write [interface|]address[/prefix]"
            raise InputError(f"{address!r} is not an IP address", where, fix) from error
        if ip.is_multicast or ip.is_unspecified or str(ip) == "255.255.255.255":
            raise InputError(f"{address} is not an address of a host", where, "Give a unicast address")
        if interface is not None and not INTERFACE.fullmatch(interface):
            raise InputError(f"{interface!r} is not an interface's name", where, "At most 15 letters, digits, _ and .")
        length: int = ip.max_prefixlen
        if slash:
            try:
                length = _length(ip.version, prefix)
            except ValueError as error:
                raise InputError(f"{prefix!r} is not a prefix length", where, f"0 to {ip.max_prefixlen}") from error
        if re.match(r"[0-9]+\.[0-9.]+|[0-9A-Fa-f]*:[0-9A-Fa-f:]+", words.strip()):
            raise InputError(f"{text.strip()!r} holds several addresses", where, "Make it a list, or put commas between them")
        pattern, kind = fields.KINDS["words of ifconfig"]
        if not re.fullmatch(pattern, words.strip()):
            raise InputError(f"{text.strip()!r} has words that cannot stand there", where, f"Give {kind}")
        return cls(str(ip), length, interface, words.strip())


@lru_cache(maxsize=None)
def _length(version: int, prefix: str) -> int:
    """The length of a prefix, which may be written as a mask: jails share a few."""
    return int(ipaddress.ip_network(f"{'::' if version == 6 else '0.0.0.0'}/{prefix}").prefixlen)


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
    boot: bool = True
    boot_order: int = 100
    boot_style: str = "jail_conf"
    inside: Inside = Inside()
    flavour: Optional[str] = None
    restart: str = "never"
    adopt: bool = False
    destroy_snapshots: bool = False
    as_it_is: bool = False  # declared by name and state only: all else stays
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

    def sources(self) -> List[str]:
        """The files of the host that its declared mounts need."""
        return [entry.spec for entry in self.mounts if entry.spec.startswith("/") and entry.vfstype not in ("nfs", "tmpfs")]

    @property
    def parent(self) -> Optional[str]:
        """The jail that it is nested in, by its dotted name."""
        return self.name.rpartition(".")[0] or None


def cpus(params: Mapping[str, Sequence[str]]) -> Optional[str]:
    """The CPUs that a jail is started on, a list as cpuset(1) takes it; None for all."""
    known = [*params.get("exec.created", []), *params.get("exec.poststart", [])]  # where rc.conf has it
    hooks = [hook for hook in known if hook.startswith(CPUSET_HOOK)]
    return hooks[-1][len(CPUSET_HOOK):].partition(" ")[0] if hooks else None


def check_set(jails: Sequence[Jail]) -> None:
    """What must hold among the jails of one host: names, addresses, dependencies."""
    seen: Dict[str, str] = {}
    addresses: Dict[str, str] = {}
    roots: Dict[str, Jail] = {}
    faults = Faults()
    for jail in jails:
        with faults:
            _check_infix(jail, seen)
        with faults:
            _check_root(jail, roots)
        for address in jail.addresses:
            with faults:
                _check_shared(jail, address, addresses)
    with faults:
        order_by_need(jails)
    faults.tell()


def _check_infix(jail: Jail, seen: Dict[str, str]) -> None:
    infix = re.sub(r"[^A-Za-z0-9]", "_", jail.name)
    if infix in seen:
        same = "declared twice" if seen[infix] == jail.name else f"rc.d/jail cannot tell it from {seen[infix]}"
        raise InputError(same, f"jail {jail.name}", "Give each jail a name of its own")
    seen[infix] = jail.name


def _check_root(jail: Jail, roots: Dict[str, Jail]) -> None:
    """A root that is made is one jail's."""
    other = roots.setdefault(jail.path, jail)
    if jail.path and other.name != jail.name and {jail.root, other.root} != {"existing"}:
        raise InputError(f"{jail.path} is the root of jail {other.name} too", f"jail {jail.name}", "Give each a path of its own, or leave path out")


def _check_shared(jail: Jail, address: Address, addresses: Dict[str, str]) -> None:
    other = addresses.setdefault(address.ip, jail.name)
    if other != jail.name and address.interface is not None:
        raise InputError(
            f"{address.ip} is given to {other} too; the first to stop would take it from the other",
            f"jail {jail.name}", "Give each its own, or share an address of the host without an interface",
        )


def order_by_need(jails: Sequence[Jail]) -> List[Jail]:
    """The jails with whatever they depend on before them, otherwise in their order; a loop is an error."""
    by_name = {jail.name: jail for jail in jails}

    def needed(name: str) -> List[str]:
        return [need for need in needs(by_name[name]) if need in by_name and by_name[need].state != "absent"]

    def refuse(loop: Sequence[str]) -> None:
        raise InputError(f"a dependency loop: {' -> '.join(loop)}", f"jail {loop[-1]}", "Break it")

    return [by_name[name] for name in behind(list(by_name), needed, refuse)]


def behind(names: Sequence[str], needed: Callable[[str], Iterable[str]], loop: Callable[[Sequence[str]], object]) -> List[str]:
    """Names, each behind those of them that it needs, otherwise in their order.

    :param loop: is told of each loop, with the way that leads round; what closes it is left out of account.
    """
    known = frozenset(names)
    placed: Dict[str, None] = {}

    def place(name: str, trail: Tuple[str, ...]) -> None:
        way = (*trail, name)
        for need in needed(name):
            if need in way:
                loop((*way, need))
            elif need in known and need not in placed:
                place(need, way)
        placed[name] = None

    for name in names:
        if name not in placed:
            place(name, ())
    return list(placed)


def needs(jail: Jail) -> Tuple[str, ...]:
    """The jails that must be up before it."""
    return (*((jail.parent,) if jail.parent else ()), *jail.depend)
