# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The parameters of jail(8): one table, and what follows from it.

The table says of each parameter what it holds, what a new jail has, since which release FreeBSD knows it,
whether ``jail -m`` changes it in a running jail, and whether the kernel holds it (jls(8) shows it) or only
jail(8) itself.
"""

from __future__ import annotations

import ipaddress
import os.path
import re
from typing import Any, Dict, Iterable, List, Mapping, NamedTuple, Optional

from ansible_collections.cellblock.jails.plugins.module_utils.errors import InputError


class Param(NamedTuple):
    """A parameter of jail(8).

    ``type`` is one of: ``bool``; ``int``; ``string``; ``path`` (absolute); ``jailsys`` (disable, new, inherit);
    ``address4``, ``address6``, ``names``, ``list`` (of commands or files) and ``fstab`` (lines of fstab(5)), which
    are lists; ``pairs`` (lines of key=value).
    """

    name: str
    type: str
    default: Optional[str] = None  # of a new jail; None when it is the parent's, or depends
    since: int = 1000000  # kern.osreldate of the first release that can have it
    live: bool = True  # jail -m changes it in a running jail
    kernel: bool = True  # else a pseudo-parameter, which only jail(8) knows
    low: Optional[int] = None
    high: Optional[int] = None
    size: Optional[int] = None  # longest value, in bytes
    fixed: Optional[str] = None  # why nobody may set it


def _bools(default: str, since: int, names: str) -> List[Param]:
    return [Param(name, "bool", default, since) for name in names.split()]


def _pseudo(kind: str, names: str, since: int = 1000000) -> List[Param]:
    low = 0 if kind == "int" else None
    return [Param(name, kind, None, since, False, False, low) for name in names.split()]


_BY_KERNEL = "the kernel sets it"

# jail(8), "Jail Parameters", and sys/kern/kern_jail.c of 15.1. Where the release is not certain, the earliest
# that can have it stands here: jail(8) itself still refuses what a host does not know.
_TABLE: List[Param] = [
    Param("jid", "int", live=False, fixed="a jail is known by its name, and the kernel numbers it"),
    Param("name", "string", fixed="the jail's name is given beside its parameters"),
    Param("parent", "int", fixed=_BY_KERNEL + ", a dotted name says in which jail a jail is"),
    Param("dying", "bool", fixed=_BY_KERNEL),
    Param("children.cur", "int", fixed=_BY_KERNEL),
    Param("cpuset.id", "int", fixed=_BY_KERNEL + ", the option cpuset says on which CPUs a jail runs"),
    Param("path", "path", "/", live=False, size=1023),
    Param("persist", "bool", "false"),
    Param("securelevel", "int", "-1", low=-1, high=3),
    Param("enforce_statfs", "int", "2", low=0, high=2),
    Param("devfs_ruleset", "int", "0", low=0, high=65535),
    Param("children.max", "int", "0", low=0, high=999999),
    Param("host", "jailsys", "new"),
    Param("host.hostname", "string", "", size=255),
    Param("host.domainname", "string", "", size=255),
    Param("host.hostuuid", "string", "00000000-0000-0000-0000-000000000000", size=63),
    Param("host.hostid", "int", "0", low=0, high=2**64 - 1),
    Param("vnet", "jailsys", "inherit", 1200000, live=False),
    Param("ip4", "jailsys", "disable", live=False),
    Param("ip6", "jailsys", "disable", live=False),
    Param("ip4.addr", "address4"),
    Param("ip6.addr", "address6"),
    Param("ip4.saddrsel", "bool", "true"),
    Param("ip6.saddrsel", "bool", "true"),
    Param("osrelease", "string", since=1100000, live=False, size=31),
    Param("osreldate", "int", since=1100000, live=False, low=1, high=2**31 - 1),
    *_bools("true", 1000000, "allow.set_hostname"),
    *_bools(
        "false",
        1000000,
        "allow.sysvipc allow.raw_sockets allow.chflags allow.mount allow.quotas allow.socket_af allow.mount.devfs"
        " allow.mount.nullfs allow.mount.procfs allow.mount.zfs allow.mount.tmpfs",
    ),
    *_bools(
        "false",
        1200000,
        "allow.mlock allow.read_msgbuf allow.vmm allow.mount.fdescfs allow.mount.fusefs allow.mount.linprocfs"
        " allow.mount.linsysfs",
    ),
    *_bools("true", 1200000, "allow.reserved_ports"),
    *_bools("true", 1300000, "allow.unprivileged_proc_debug allow.suser"),
    *_bools("false", 1303000, "allow.nfsd"),
    *_bools(
        "false",
        1400000,
        "allow.extattr allow.adjtime allow.settime allow.routing allow.setaudit allow.vmm_ppt"
        " allow.unprivileged_parent_tampering allow.mount.lindebugfs allow.mount.p9fs",
    ),
    Param("sysvmsg", "jailsys", "disable", 1100000),
    Param("sysvsem", "jailsys", "disable", 1100000),
    Param("sysvshm", "jailsys", "disable", 1100000),
    Param("linux", "jailsys"),
    Param("linux.osname", "string", size=64),
    Param("linux.osrelease", "string", size=64),
    Param("linux.oss_version", "int", low=0, high=2**31 - 1),
    Param("zfs", "jailsys", since=1400000),
    Param("zfs.mount_snapshot", "int", "0", 1400000, low=0, high=1),
    Param("mac.do", "jailsys", since=1400000),
    Param("mac.do.rules", "string", since=1400000),
    Param("meta", "pairs", "", 1500000),
    Param("env", "pairs", "", 1500000),
    *_pseudo(
        "list",
        "command exec.prestart exec.created exec.start exec.poststart exec.prestop exec.stop exec.poststop mount.fstab",
    ),
    *_pseudo("list", "exec.prepare exec.release", 1300000),
    *_pseudo("names", "depend vnet.interface"),
    *_pseudo("names", "zfs.dataset", 1500000),
    *_pseudo("string", "exec.jail_user exec.system_user interface"),
    *_pseudo("path", "exec.consolelog"),
    *_pseudo("int", "exec.fib exec.timeout stop.timeout"),
    *_pseudo(
        "bool",
        "allow.dying exec.clean exec.system_jail_user ip_hostname mount.devfs mount.fdescfs mount.procfs",
    ),
    *_pseudo("fstab", "mount"),
]

PARAMS: Dict[str, Param] = {param.name: param for param in _TABLE}

_KEY = re.compile(r"(meta|env)\.[^\s=\0]+\Z")
_JAILSYS = ("disable", "new", "inherit")
_NEVER_DISABLED = ("host", "vnet")
_SYSV = ("sysvmsg", "sysvsem", "sysvshm")
LISTS = ("address4", "address6", "names", "list", "fstab")


def canonical(name: str) -> str:
    """A parameter's own name: ``persist`` of ``nopersist``, ``allow.mount`` of ``allow.nomount``."""
    head, dot, last = name.rpartition(".")
    positive = head + dot + last[2:]
    if name not in PARAMS and last.startswith("no") and positive in PARAMS and PARAMS[positive].type == "bool":
        return positive
    return name


def find(name: str) -> Optional[Param]:
    """What is known of a parameter, by any of its names, ``meta.KEY`` and ``env.KEY`` too; None when nothing."""
    if _KEY.match(name):
        return Param(name, "string", since=1500000)
    return PARAMS.get(canonical(name))


def nearest(word: str, known: Iterable[str]) -> str:
    """How to mend a name that is not known: the nearest that is."""
    from ansible_collections.cellblock.jails.plugins.module_utils.jails import guiding  # a module starts anew at every call

    return guiding.nearest(word, known)


def since_problem(name: str, osreldate: int) -> Optional[str]:
    """Why a host of this kern.osreldate cannot have a parameter; None when it can."""
    param = find(name)
    if param is None or osreldate >= param.since:
        return None
    return f"{param.name} is in FreeBSD {_release(param.since)} and later, this host runs {_release(osreldate)}"


def unsure(name: str) -> bool:
    """Whether the release does not say if a kernel has a parameter: it came within a branch, or with a kernel module."""
    param = PARAMS.get(name)
    return param is not None and param.kernel and 1303000 <= param.since < 1500000 and not name.startswith("allow.mount.")


def default(name: str, others: Mapping[str, List[str]]) -> Optional[List[str]]:
    """The value that puts a running jail's parameter back to a new jail's; None when there is none.

    An empty list is the bare name, which takes a ``meta.KEY`` or ``env.KEY`` away.

    :param others: the parameters that the jail is to have.
    """
    if _KEY.match(name):
        return []
    if name.startswith("host.") and others.get("host") == ["inherit"]:
        return None  # any word on it would make it the jail's own
    if name in _SYSV and "allow.sysvipc" in others:
        said = others["allow.sysvipc"]
        return ["inherit" if true(said[-1] if said else None) else "disable"]
    param = find(name)
    if param is None or not (param.kernel and param.live) or param.default is None:
        return None
    return [param.default]


def carried(changes: Mapping[str, List[str]], wanted: Mapping[str, List[str]]) -> Dict[str, List[str]]:
    """What must be said again beside a running jail's changes: allow.sysvipc sets each kind of System V IPC that is not named."""
    return {name: wanted[name] for name in _SYSV if name in wanted} if "allow.sysvipc" in changes else {}


def running(name: str, kernel: Mapping[str, Any]) -> Any:
    """A parameter's value in what jls(8) shows of a jail; a key of ``meta`` or ``env`` is looked up in its lines."""
    group, _dot, key = name.partition(".")
    if not _KEY.match(name) or name in kernel:
        return kernel.get(canonical(name))
    pairs = (line.partition("=") for line in str(kernel.get(group) or "").split("\n"))
    return next((value for found, equals, value in pairs if found == key and equals), None)


def same(name: str, wanted: List[str], kernel_value: Any) -> bool:
    """Whether a running jail has what is wanted.

    :param wanted: the values as jail.conf has them, as :func:`check` gives them.
    :param kernel_value: what ``jls --libxo json -n`` shows: a string, a boolean, a list, or None for nothing.
    """
    param = find(name)
    if param is None or kernel_value is None:
        return False
    last = wanted[-1] if wanted else None
    if param.type == "bool":
        negative = canonical(name) != name
        return (true(last) != negative) == (kernel_value is True or str(kernel_value).lower() == "true")
    if param.type == "jailsys":
        one, other = jailsys(last), jailsys(str(kernel_value))
        # jls cannot tell "new" from "disable" for ip4 and ip6
        return one == other or (param.name in ("ip4", "ip6") and "inherit" not in (one, other))
    if param.type in ("address4", "address6"):
        return _addresses(wanted) == _addresses(kernel_value if isinstance(kernel_value, list) else [kernel_value])
    if param.type == "int":
        return _number(last) == _number(kernel_value)
    if param.type == "pairs":
        return sorted((last or "").split("\n")) == sorted(str(kernel_value).split("\n"))
    if param.type == "path":
        return os.path.normpath(last or "/") == os.path.normpath(str(kernel_value))
    return (last or "") == str(kernel_value)


def within(wanted: List[str], kernel_value: Any) -> bool:
    """Whether a running jail has these addresses, among others."""
    return set(_addresses(wanted)) <= set(_addresses(kernel_value if isinstance(kernel_value, list) else [kernel_value]))


def check(name: str, value: Any, where: str) -> List[str]:
    """The values that jail.conf wants for what an Ansible user gave; they belong to ``canonical(name)``.

    :param value: a boolean, a number, a string, a list of them, or for ``meta`` and ``env`` a dictionary.
    :param where: the jail and option it is about, for the message.
    :raises InputError: the name is not known or not for setting, or the value is not one for it.
    """
    param = find(name)
    if param is None:
        raise InputError(f"{name} is not a parameter of jail(8)", where, _mend(name))
    if param.fixed:
        raise InputError(f"{name} cannot be set: {param.fixed}", where, "Take it out")
    here = f"{where}, {name}"
    if param.type == "bool":
        return ["true" if _boolean(value, here) != (param.name != name) else "false"]
    if param.type == "jailsys":
        return [_check_jailsys(param, value, here)]
    if param.type == "pairs" and isinstance(value, Mapping):
        value = "\n".join(f"{key}={_string(one, here)}" for key, one in value.items())
    if param.type in LISTS:
        values = [_string(one, here) for one in (value if isinstance(value, (list, tuple)) else [value])]
        return _check_list(param, values, here)
    if isinstance(value, (list, tuple)):
        raise InputError("it takes one value, not a list", here, "jail(8) would silently take the last one")
    text = _string(value, here)
    _CHECKS.get(param.type, _check_string)(param, text, here)
    return [text]


def _mend(name: str) -> str:
    """What is meant by a name that jail(8) does not know."""
    from ansible_collections.cellblock.jails.plugins.module_utils.jails import guiding

    return guiding.parameter(name, PARAMS)


def _boolean(value: Any, where: str) -> bool:
    if isinstance(value, bool):
        return value
    if str(value).lower() in ("true", "false"):
        return str(value).lower() == "true"
    if value in (0, 1) and not isinstance(value, str):
        return bool(value)
    raise InputError(f"{value!r} is not a boolean", where, "Write true or false; jail(8) has no other words")


def _string(value: Any, where: str) -> str:
    if isinstance(value, bool):
        raise InputError("a boolean stands where a text is wanted", where, "Put it in quotes, or see jail(8)")
    if value is None or isinstance(value, (list, tuple, Mapping)):
        raise InputError(f"{value!r} is not a text", where, "Give a text or a number")
    text = str(value)
    if "\0" in text:
        raise InputError("the value holds a NUL, which jail.conf cannot hold", where, "Take it out")
    return text


def _check_jailsys(param: Param, value: Any, where: str) -> str:
    allowed = _JAILSYS[1:] if param.name in _NEVER_DISABLED else _JAILSYS
    if isinstance(value, bool):
        return "new" if value else allowed[0] if "disable" in allowed else "inherit"
    text = jailsys(str(value))
    if text not in allowed:
        raise InputError(f"{value!r} is none of {', '.join(allowed)}", where, "See jail(8)")
    return text


def _check_string(param: Param, text: str, where: str) -> None:
    size = len(text.encode("utf-8", "surrogateescape"))
    if param.size is not None and size > param.size:
        raise InputError(f"it has {size} bytes", where, f"FreeBSD takes at most {param.size}")


def _check_path(param: Param, text: str, where: str) -> None:
    if not text.startswith("/"):
        raise InputError(f"{text!r} is not an absolute path", where, "Start it with a /")
    _check_string(param, text, where)


def _check_int(param: Param, text: str, where: str) -> None:
    number = _number(text)
    if number is None:
        raise InputError(f"{text!r} is not a whole number", where, "Write digits only")
    if (param.low is not None and number < param.low) or (param.high is not None and number > param.high):
        bounds = f"{param.low} to {param.high}" if param.high is not None else f"{param.low} or more"
        raise InputError(f"{number} is out of range", where, f"Give {bounds}")


_CHECKS = {"int": _check_int, "path": _check_path}


def _check_list(param: Param, values: List[str], where: str) -> List[str]:
    if param.type.startswith("address"):
        # the kernel's lists are split at commas, quoted or not
        values = [part.strip() for value in values for part in value.split(",") if part.strip()]
        for value in values:
            _check_address(value, int(param.type[-1]), where)
    for value in values if param.type == "fstab" else ():
        fields = value.split()
        if len(fields) < 3 or not fields[1].startswith("/"):
            raise InputError(f"{value!r} is no line of fstab(5)", where, "Give device, absolute mount point and type")
    for value in values if param.type == "names" else ():
        if not value or "," in value or param.name == "zfs.dataset" and not re.fullmatch(r"[\w.:/-]+", value, re.ASCII):
            raise InputError(f"{value!r} is not one name", where, "Give a list of names, without commas; of datasets, without what a shell reads")
    return values


def _check_address(value: str, version: int, where: str) -> None:
    try:
        if ipaddress.ip_address(_bare(value)).version == version:
            return
    except ValueError:
        pass
    raise InputError(f"{value!r} is not an IPv{version} address", where, "Write [interface|]address[/prefix]")


def _bare(address: str) -> str:
    """An address without what jail(8) takes off before the kernel gets it."""
    return re.split("[/ ]", address.rpartition("|")[2], maxsplit=1)[0]


def _addresses(values: Iterable[Any]) -> List[str]:
    """Addresses in the kernel's order: the first one first, the others sorted."""
    bare = [_one_spelling(_bare(part.strip())) for value in values for part in str(value).split(",") if part]
    return bare[:1] + sorted(bare[1:])


def _one_spelling(address: str) -> str:
    try:
        return str(ipaddress.ip_address(address))
    except ValueError:
        return address


def jailsys(text: Optional[str]) -> str:
    """The word for a jailsys value; the bare name is "new"."""
    if text is None:
        return "new"
    return _JAILSYS[int(text)] if text in ("0", "1", "2") else text


def true(text: Optional[str]) -> bool:
    """Whether jail(8) takes a boolean's text for true; the bare name is."""
    return text is None or text.lower() == "true" or bool(_number(text))


def _number(text: Any) -> Optional[int]:
    return int(text) if re.match(r"[+-]?[0-9]{1,20}\Z", str(text)) else None


def _release(osreldate: int) -> str:
    return f"{osreldate // 100000}.{osreldate // 1000 % 100}"
