# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options in, a declared jail out, checked. Nothing here touches a host."""

from __future__ import annotations

import os.path
import re
from dataclasses import replace
from typing import Any, List, Mapping, Optional

from ansible_collections.cellblock.jails.plugins.module_utils.errors import Faults, InputError
from ansible_collections.cellblock.jails.plugins.module_utils.formats import fields
from ansible_collections.cellblock.jails.plugins.module_utils.formats.outputs import amount
from ansible_collections.cellblock.jails.plugins.module_utils.jails import params as table
from ansible_collections.cellblock.jails.plugins.module_utils.jails.aspects import addresses, mounts, own_files
from ansible_collections.cellblock.jails.plugins.module_utils.jails.model import BASE_ROOTS, CONSOLE_LOG, CPUSET_HOOK, Jail, Params
from ansible_collections.cellblock.jails.plugins.module_utils.jails.registry import ASPECTS

RESERVED = ("basejails", "flavours", "all")
# What jail(8) calls a shell for when a command has one of them, see command.c.
SHELL = "!\"$&'()*;<>?[\\]`{|}~"
BUILTIN = frozenset(
    "cd export set unset umask ulimit eval exec trap read shift return local alias unalias wait exit source break continue if while until"
    " for case function readonly getopts . :".split()
)
HOOKS = frozenset(
    f"exec.{word}" for word in "prepare prestart created start poststart prestop stop poststop release".split()
)
MANY_LINES = ("meta", "env")  # a whole one; its keys and all else are lines
# rc.d/jail and rctl(8) bound what a name may hold; jail(8) takes 255 bytes for the whole dotted name.
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*(\.[A-Za-z_][A-Za-z0-9_-]*)*")
NAME_MAX = 255
OWN_OPTION = {
    "name": "name", "path": "path", "host.hostname": "hostname", "ip4.addr": "ip4", "ip6.addr": "ip6",
    "ip4": "ip4", "ip6": "ip6", "interface": "interface", "vnet": "vnet", "vnet.interface": "vnet_interfaces",
    "depend": "depend", "mount": "mounts", "mount.fstab": "mounts", "devfs_ruleset": "devfs_ruleset",
    "exec.fib": "fib",
}


def jail_from(options: Mapping[str, Any], storage_path: str) -> Jail:
    """Check one declared jail.

    :param options: the module's options of one jail, as in its documentation.
    :param storage_path: the directory that roots stand in by default.
    :raises InputError: saying which jail and option, and how to mend it.
    """
    name = str(options.get("name") or "")
    where, faults = f"jail {name}", Faults()
    with faults:
        check_name(name)
    state = str(options.get("state") or "started")
    if state != "absent" and not faults.found and not is_state_only(options):
        with faults:
            _check_boot(name, bool(options.get("boot", True)), where)
    if state == "absent":
        faults.tell()
        return Jail(name, state, destroy_snapshots=bool(options.get("destroy_snapshots")))
    if is_state_only(options):
        faults.tell()
        return Jail(name, state, as_it_is=True)
    root = str(options.get("root") or "thin")
    base = options.get("base")
    path = str(options.get("path") or f"{storage_path}/{'NAME' if faults.found else name}")
    with faults:
        _check_base(root, base, where)
    with faults:
        _check_path(path, where)
    jail = Jail(
        name=name, state=state, root=root, base=base, path=path,
        depend=tuple(faults.each(options.get("depend") or (), lambda other: check_name(str(other)))),
        ruleset=None if options.get("devfs_ruleset") is None else str(options["devfs_ruleset"]),
        boot=bool(options.get("boot", True)),
        boot_order=int(options.get("boot_order", 100)),
        boot_style=str(options.get("boot_style") or "jail_conf"),
        restart=str(options.get("restart") or "never"),
        adopt=bool(options.get("adopt")),
    )
    jail = _with_values(jail, options, storage_path, faults)
    faults.tell()
    return jail


# What says nothing of what a jail is.
ASIDE = {"name", "state", "restart", "destroy_snapshots", "adopt", "boot_style"}
# What an option that is left out is filled with.
FILLED = {"root": "thin", "boot": True, "boot_order": 100}


def is_state_only(options: Mapping[str, Any]) -> bool:
    """Whether options say no more of a jail than its name and its state."""
    rest = {key: value for key, value in options.items() if key not in ASIDE and value not in (None, False, [], {})}
    return all(FILLED.get(key) == value for key, value in rest.items()) and options.get("boot") is not False and not options.get("adopt")


def _with_values(jail: Jail, options: Mapping[str, Any], storage_path: str, faults: Faults) -> Jail:
    """The jail with what its options hold; what is wrong with one keeps no other from being looked at."""
    where = f"jail {jail.name}"
    network: Params = {}
    with faults:
        network, own = addresses.declared(options, where)
        jail = replace(jail, addresses=own)
    with faults:
        jail = replace(jail, quota=_size(options.get("quota"), f"{where}, quota"))
    with faults:
        jail = replace(jail, reservation=_size(options.get("reservation"), f"{where}, reservation"))
    with faults:
        jail = replace(jail, params=_params(options, jail.path, network, where))
    with faults:
        jail = replace(jail, mounts=mounts.declared(options.get("mounts") or [], jail.path, where))
    with faults:
        jail = replace(jail, inside=own_files.declared(options, where))
    with faults:
        jail = replace(jail, flavour=_flavour(options.get("flavour"), storage_path, where))
    asked = [aspect for aspect in ASPECTS if any(options.get(option) is not None for option in aspect.options)]
    made = dict(faults.each(asked, lambda aspect: (aspect.name, aspect.loaded().declare(jail, options))))
    return replace(jail, own={name: value for name, value in made.items() if value is not None})


def _check_base(root: str, base: Optional[str], where: str) -> None:
    if root in BASE_ROOTS and not base:
        raise InputError(
            f"a {root} jail needs a base", where,
            "Name one in 'base'; the basejail module makes them. Name and state alone leave a jail that is there as it is",
        )
    if root not in BASE_ROOTS and base:
        raise InputError(f"root '{root}' takes no base", where, "Drop 'base', or use root thin, clone or thick")
    if base:
        fields.check("path" if str(base).startswith("/") else "name of a base", str(base), f"{where}, base")


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


def _check_boot(name: str, boot: bool, where: str) -> None:
    if "." in name and boot:
        raise InputError(
            f"a dot in a name means a child of jail {name.rpartition('.')[0]}, and rc.d/jail cannot start a nested jail at boot", where,
            f"For a jail of its own write {name.replace('.', '-')}; for a child set boot: false",
        )


def _check_path(path: str, where: str) -> None:
    if not path.startswith("/") or os.path.normpath(path) != path or path == "/":
        raise InputError(f"{path!r} is not a clean absolute path", where, "No '..', '//' or trailing slash")
    fields.check("path", path, f"{where}, path")
    if len(path.encode()) > 1023:
        raise InputError(f"{path!r} is too long", where, "At most 1023 bytes")


def _size(value: Any, where: str) -> Optional[int]:
    if value in (None, "", "none"):
        return None
    try:
        return amount(str(value))
    except ValueError as error:
        raise InputError(f"{value!r} is not a size", where, "A number of bytes, with k, m, g or t") from error


def _flavour(value: Any, storage_path: str, where: str) -> Optional[str]:
    """Where a flavour's tree is on the host: a path, or a name below the storage."""
    if not value:
        return None
    kind = "path" if str(value).startswith("/") else "name of a base"
    fields.check(kind, str(value), f"{where}, flavour")
    return str(value) if kind == "path" else f"{storage_path}/flavours/{value}"


def _params(options: Mapping[str, Any], path: str, network: Params, where: str) -> Params:
    """Everything that goes into jail.conf(5) and does not depend on the host."""
    name = str(options["name"])
    found: Params = {
        "path": [path],
        "host.hostname": [fields.check("host name", str(options.get("hostname") or name), f"{where}, hostname")],
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
    faults = Faults()
    for key, value in (options.get("exec") or {}).items():
        full = key if key.startswith("exec.") else f"exec.{key}"
        with faults:
            found[full] = table.check(full, value, f"{where}, exec.{key}")
            for command in found[full] if full in HOOKS else ():
                _check_hook(command, f"{where}, exec.{key}")
    for key, value in (options.get("params") or {}).items():
        with faults:
            found[table.canonical(key)] = _param(key, value, f"{where}, params")
    faults.tell()
    for group in ("meta", "env"):
        _gather_keys(found, group)
    if found.get("host") == ["inherit"]:
        _inherit_host(found, options, where)
    asked = _cpuset(options.get("cpuset"), where)
    if asked is not None:
        # The kernel forgets a jail's CPU set with the jail; the hook sets it anew at every start.
        found.setdefault("exec.created", []).append(f"{CPUSET_HOOK}{asked} -j {name}")
    return {key: value for key, value in found.items() if value or not key.startswith("exec.")}


def _inherit_host(found: Params, options: Mapping[str, Any], where: str) -> None:
    """A jail without a name of its own: the kernel takes any word on it for one."""
    given = [name for name in found if name.startswith("host.") and (name != "host.hostname" or options.get("hostname"))]
    if given:
        raise InputError(f"{given[0]} gives it a host name of its own, and host: inherit that of the host", where, "Drop one of them")
    if options.get("boot_style") == "rc_conf":
        raise InputError("rc.conf wants a host name of its own for each jail, and host: inherit has none", where, "Use boot_style: jail_conf")
    del found["host.hostname"]


def _param(key: str, value: Any, where: str) -> List[str]:
    if key in OWN_OPTION:
        raise InputError(f"{key} has an option of its own", where, f"Use {OWN_OPTION[key]}")
    values = table.check(key, value, where)
    return values if key in MANY_LINES else [fields.check("value", one, f"{where}, {key}") for one in values]


def _check_hook(command: str, where: str) -> None:
    """Refuse a command that only a shell understands, where jail(8) would see no reason to call one."""
    words = command.split()
    if not words or any(char in SHELL for char in command):
        return
    what = "an assignment" if re.match(r"[A-Za-z_]\w*=", words[0]) else f"{words[0]}, a word of the shell's" if words[0] in BUILTIN else ""
    what = what or ("a comment" if any(word.startswith("#") for word in words[1:]) else "")
    what = what or ("several lines" if "\n" in command.strip() else "")
    if what:
        raise InputError(
            f"it has {what}, and jail(8) calls no shell for {command!r}: it would run its first word with all others", where,
            f"Put a ';' at its end, or write /bin/sh -c '{command}'",
        )


def _gather_keys(found: Params, group: str) -> None:
    """Put ``meta.KEY`` beside a whole ``meta`` into it: the kernel holds one text."""
    names = [name for name in found if name.startswith(f"{group}.")]
    if group not in found or not names:
        return
    keys = {name[len(group) + 1:]: found.pop(name)[-1] for name in names}
    lines = [line for line in found[group][-1].split("\n") if line and line.partition("=")[0] not in keys]
    found[group] = ["\n".join([*lines, *(f"{key}={value}" for key, value in keys.items())])]


def _cpuset(value: Any, where: str) -> Optional[str]:
    if value is None:
        return None
    return fields.check("CPUs", str(value), f"{where}, cpuset")
