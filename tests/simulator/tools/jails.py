# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""jail(8), jls(8), jexec(8), rctl(8), devfs(8)."""

from __future__ import annotations

import copy
import ipaddress
import json
import os
import re
from typing import Any, Dict, List, Optional, Set, Tuple

from ansible_collections.cellblock.jails.plugins.module_utils.errors import FormatError
from ansible_collections.cellblock.jails.plugins.module_utils.formats import fstab, jail_conf
from ansible_collections.cellblock.jails.plugins.module_utils.formats.outputs import amount
from ansible_collections.cellblock.jails.plugins.module_utils.jails import params as table

from ..core import Refusal, SimulatedHost, tool

Answer = Tuple[int, str, str]
Params = Dict[str, List[str]]
ONLY_AT_CREATION = ("path", "vnet", "ip4", "ip6", "osrelease", "osreldate")
# What /etc/rc leaves running in a jail, and what other commands answer.
RC_COMMANDS = ("/bin/sh /etc/rc",)


def by_name(host: SimulatedHost, name: str) -> Optional[Dict[str, Any]]:
    """A running jail, by name or jid."""
    for jail in host.state["jails"].values():
        if jail["name"] == name or (name.isdigit() and jail["jid"] == name):
            return jail  # type: ignore[no-any-return]
    return None


def _true(params: Params, name: str) -> bool:
    values = params.get(name)
    return values is not None and (not values or values[-1] in ("true", "1"))


# -- jail


@tool("jail")
def jail(host: SimulatedHost, args: List[str], stdin: str) -> Answer:
    """jail(8)."""
    words = list(args)
    options: Dict[str, str] = {}
    verb = ""
    while words and words[0].startswith("-"):
        flag = words.pop(0)
        for place, letter in enumerate(flag[1:], 1):
            if letter in "feJpuUns":
                options[letter] = flag[place + 1:] or words.pop(0)
                break
            if letter in "cmrR":
                verb += letter
            else:
                options[letter] = ""
    if "C" in options and host.osreldate < 1500000:
        raise Refusal(f"jail: illegal option -- C\n{JAIL_USAGE}")
    if "e" in options:
        return _dump(host, options, options["e"], stdin)
    if set(options) & set("lUunsh") and not any("=" in word for word in words):
        raise Refusal(JAIL_USAGE)
    if "f" not in options and any("=" in word for word in words):
        return _command_line(host, verb, words, options)
    if "f" not in options and not host.real("/etc/jail.conf").exists():
        return _raw_remove(host, words) if verb in ("r", "R") else (1, "", "jail: /etc/jail.conf: No such file or directory\n")
    path = options.get("f", "/etc/jail.conf")
    defined = _read(host, path, stdin)
    out, err, rc = "", "", 0
    for name in _to_do(host, verb, words, defined):
        try:
            out += _one(host, verb, name, defined, options)
        except Refusal as refusal:
            said = refusal.out
            if "i" in options and said:  # numbers in place of words
                said = f"{host.state['next_jid'] - 1}\n"
            rc, out, err = 1, out + said, err + refusal.err + "\n"
    return rc, "" if "q" in options else out, err


JAIL_USAGE = """\
usage: jail [-dhilqv] [-J jid_file] [-u username] [-U username]
            -[cmr] param=value ... [command=command ...]
       jail [-dqv] [-f file] -[cmr] [jail]
       jail [-qv] [-f file] -[rR] ['*' | jail ...]
       jail [-dhilqv] [-J jid_file] [-u username] [-U username]
            [-n jailname] [-s securelevel]
            path hostname ip[,...] command ...
       jail [-f file] -e separator
"""


def _to_do(host: SimulatedHost, verb: str, words: List[str], defined: List[Dict[str, Any]]) -> List[str]:
    """What a command is about: the jails named, or all; before a start, what it depends on and does not run."""
    names = words or [one["name"] for one in defined]
    if "c" not in verb:
        return names
    needs = {one["name"]: one["params"].get("depend", []) for one in defined}
    placed: List[str] = []

    def place(name: str, trail: Tuple[str, ...]) -> None:
        for need in needs.get(name, []):
            if need not in needs:
                raise Refusal(f'jail: {name}: depends on undefined jail "{need}"')
            if need not in trail and need not in placed and by_name(host, need) is None:
                place(need, (*trail, name))
        placed.append(name)

    for name in names:
        if (words or by_name(host, name) is None) and name not in placed:
            place(name, ())
    return placed


class _Files:
    """The host's files, for what a file includes."""

    def __init__(self, host: SimulatedHost) -> None:
        self.host = host

    def read(self, path: str) -> Optional[str]:
        real = self.host.real(path)
        return real.read_text(errors="surrogateescape") if real.exists() else None

    def listdir(self, path: str) -> List[str]:
        real = self.host.real(path)
        return sorted(os.listdir(real)) if real.is_dir() else []


def _read(host: SimulatedHost, path: str, stdin: str) -> List[Dict[str, Any]]:
    real = host.real(path)
    if path != "-" and not real.is_file():
        raise Refusal(f"jail: {path}: No such file or directory")
    said: List[str] = []
    jids: Dict[str, str] = {}
    try:
        text = stdin if path == "-" else real.read_text(errors="surrogateescape")
        jails = list(jail_conf.parse(text, os.path.dirname(path), path, said, _Files(host), jids))
    except FormatError as error:
        raise Refusal(error.what) from error
    for one in jails:
        if one["name"] in jids:
            one["params"]["jid"] = [jids[one["name"]]]
        one["refused"] = [line for line in said if line.startswith(f"jail: {one['name']}: ")]
    return jails


def _dump(host: SimulatedHost, options: Dict[str, str], separator: str, stdin: str) -> Answer:
    lines = []
    for one in _read(host, options.get("f", "/etc/jail.conf"), stdin):
        words = [f"name={one['name']}"]
        words += [f"{key}={','.join(values)}" if values else key for key, values in one["params"].items()]
        lines.append(separator.join(words) + "\n")
    return 0, "".join(lines), ""


def _one(host: SimulatedHost, verb: str, name: str, defined: List[Dict[str, Any]], options: Dict[str, str]) -> str:
    found = [one for one in defined if one["name"] == name]
    params: Params = dict(found[0]["params"]) if found else {}
    alive = by_name(host, params.get("jid", [name])[-1])  # a number that the file fixes counts, not the name
    out = ""
    if "r" in verb or "R" in verb:
        if alive is None and "C" in options:
            _clean(host, params)
        elif alive is None and "c" not in verb:
            raise Refusal(f'jail: "{name}" not found')
        if alive is not None:
            out += stop(host, str(alive["name"]), params if found and "R" not in verb else {}, name)
            alive = None
    if "c" in verb and alive is None:
        if not found:
            raise Refusal(f'jail: "{name}" not found')
        if found[0].get("refused"):
            raise Refusal("\n".join(found[0]["refused"]))
        jid = start(host, name, params, name)
        out += f"{jid}\n" if "i" in options else f"{name}: created\n"
    elif "m" in verb and alive is not None:
        modify(host, name, params, name)
        out += f"{name}: updated\n"
    elif verb == "c":
        raise Refusal(f'jail: "{name}" already exists')
    elif verb == "m":
        raise Refusal(f'jail: "{name}" not found')
    return out


def _going_on(host: SimulatedHost, commands: List[str]) -> List[str]:
    """Run the hooks that follow a stop; what those say that fail."""
    told = [host.call(command) for command in commands]
    return [err.rstrip() for rc, _out, err in told if rc]


def _clean(host: SimulatedHost, params: Params) -> None:
    """jail(8) -rC of a jail that is gone: what follows a stop."""
    problems = _going_on(host, [*params.get("exec.poststop", []), *params.get("exec.release", [])])
    if problems:
        raise Refusal("\n".join(problems))


def _command_line(host: SimulatedHost, verb: str, words: List[str], options: Dict[str, str]) -> Answer:
    params: Params = {}
    for word in words:
        key, equals, value = word.partition("=")
        values = value.split(",") if key in ("ip4.addr", "ip6.addr", "vnet.interface", "zfs.dataset") else [value]
        if equals:
            params[key] = params.get(key, []) + values if key in params and key != "name" else values
        else:
            params[key] = []
    if len([word for word in words if word.startswith("name=")]) > 1:
        raise Refusal('jail: cannot redefine parameter "name".')
    name = (params.pop("name", None) or params.get("jid") or [""])[-1]
    alive = by_name(host, name) if name else None
    if verb == "m":
        if alive is None:
            raise Refusal(f'jail: "{name}" not found')
        modify(host, str(alive["name"]), params, "")
        return 0, "", ""
    if alive is not None:
        raise Refusal(f'jail: "{alive["jid"] if host.osreldate >= 1500000 else name}" already exists')
    jid = start(host, name, params, "")
    return 0, f"{jid}\n" if "i" in options else "", ""


def _raw_remove(host: SimulatedHost, names: List[str]) -> Answer:
    out, err, rc = "", "", 0
    targets = list(host.running()) if names == ["*"] else names
    there = {name: by_name(host, name) for name in targets}
    for name in reversed(targets):
        alive = there[name]
        if alive is None:
            rc, err = 1, err + f'jail: "{name}" not found\n'
        else:
            _remove(host, str(alive["name"]))
            out += f"{name}: removed\n" if len(targets) > 1 else ""
    return rc, out, err


def _said(name: str, text: str) -> str:
    return f"jail: {name}: {text}" if name else f"jail: {text}"


def _addresses(params: Params) -> List[Tuple[str, str, str, List[str]]]:
    """Family, interface, address/prefix and words of each address that jail(8) handles."""
    default = (params.get("interface") or [""])[-1]
    found = []
    for key, family, length in (("ip4.addr", "inet", 32), ("ip6.addr", "inet6", 128)):
        for value in params.get(key, []):
            interface, mark, rest = value.rpartition("|")
            address, _blank, words = rest.partition(" ")
            found.append((
                family, interface if mark else default, address if "/" in address else f"{address}/{length}", words.split()
            ))
    return found


def _mounts(host: SimulatedHost, params: Params, name: str) -> List[Tuple[str, str, str, str, str]]:
    """Parameter, type, options, special and node of all that jail(8) mounts, in its order."""
    path = (params.get("path") or ["/"])[-1]
    lines = [("mount", line) for line in params.get("mount", [])]
    for file in params.get("mount.fstab", []):
        if not host.real(file).is_file():
            raise Refusal(_said(name, f"mount.fstab: {file}: No such file or directory"))
        lines += [("mount.fstab", line) for line in host.real(file).read_text().splitlines()]
    found = []
    for param, line in lines:
        entry = fstab.parse_line(line)
        if entry is not None:
            found.append((param, entry.vfstype, entry.mntops, entry.spec, entry.file))
    if _true(params, "mount.devfs"):
        ruleset = (params.get("devfs_ruleset") or ["4"])[-1]
        found.append(("mount.devfs", "devfs", f"ruleset={ruleset if ruleset != '0' else '4'}", ".", f"{path}/dev"))
    if _true(params, "mount.fdescfs"):
        found.append(("mount.fdescfs", "fdescfs", "", ".", f"{path}/dev/fd"))
    if _true(params, "mount.procfs"):
        found.append(("mount.procfs", "procfs", "", ".", f"{path}/proc"))
    return found


def _check_node(host: SimulatedHost, path: str, param: str, node: str, name: str) -> None:
    below = node[len(path):] if node.startswith(path + "/") else ""
    place = path
    for part in [part for part in below.split("/") if part]:
        place = f"{place}/{part}"
        real = host.real(place)
        if real.is_symlink():
            raise Refusal(_said(name, f"{param}: {place} is a symbolic link"))
        # fdescfs stands in the devfs that was just mounted.
        if not os.path.lexists(real) and not below.startswith("/dev/"):
            raise Refusal(_said(name, f"{param}: {place}: No such file or directory"))


def start(host: SimulatedHost, name: str, params: Params, shown: str) -> str:
    """Create a jail as jail(8) -c does, and undo everything when it fails.

    :param shown: its name, when it stands in a file; then its coming and going is told.
    """
    undo: List[List[str]] = []
    path = (params.get("path") or ["/"])[-1]
    try:
        _check(host, name, params, shown)
        _hooks(host, params, "exec.prepare", shown)
        for family, interface, address, words in _addresses(params):
            if interface:
                _do(host, ["ifconfig", interface, family, address, *words, "alias"], shown, "/sbin/ifconfig")
                undo.append(["ifconfig", interface, family, address.split("/")[0], "-alias"])
        for param, fstype, opts, special, node in _mounts(host, params, shown):
            _check_node(host, path, param, node, shown)
            option = ["-o", opts] if opts else []
            _do(host, ["mount", "-t", fstype, *option, special, node], shown, "/sbin/mount")
            undo.append(["umount", node])
        _hooks(host, params, "exec.prestart", shown)
        created = _create(host, name, params, shown)
        undo.append(["jail-remove", created["name"]])
        _hooks(host, params, "exec.created", shown)
        for interface in params.get("vnet.interface", []):
            called = created["jid"] if host.osreldate >= 1500000 else name or created["jid"]
            _do(host, ["ifconfig", interface, "vnet", called], shown, "/sbin/ifconfig")
        for command in [*params.get("exec.start", []), *params.get("command", [])]:
            _inside(host, created, params, command, shown)
        _hooks(host, params, "exec.poststart", shown)
    except Refusal as refusal:
        for argv in reversed(undo):
            if argv[0] == "jail-remove":
                _remove(host, argv[1])
                refusal.out = f"{shown}: created\n{shown}: removed\n" if shown else ""
            else:
                host.run(argv)
        raise
    if not created["persist"] and not created["processes"]:
        _remove(host, created["name"])
    return str(created["jid"])


def _do(host: SimulatedHost, argv: List[str], shown: str, program: str) -> None:
    rc, _out, err = host.run(argv)
    if rc:
        told = " ".join([program, *argv[1:]])
        raise Refusal(f"{err.rstrip()}\n{_said(shown, told + ': failed')}")


def _hooks(host: SimulatedHost, params: Params, name: str, shown: str) -> None:
    for command in params.get(name, []):
        rc, _out, err = host.call(command)
        if rc or command.endswith("/false"):
            raise Refusal((err.rstrip() + "\n" if err else "") + _said(shown, f"{command}: failed"))


def _inside(host: SimulatedHost, jail_: Dict[str, Any], params: Params, command: str, shown: str) -> None:
    """A command in the jail: its user and its program must be there; /etc/rc leaves daemons."""
    if not command.strip():
        return
    if _true(params, "exec.clean") and not _seen_inside(host, jail_["path"], "etc/pwd.db"):
        raise Refusal(f"{_said(shown, 'getpwnam: No such file or directory')}\n{_said(shown, command + ': failed')}")
    program = command.split()[0]
    if not _seen_inside(host, jail_["path"], program):
        raise Refusal(f"{_said(shown, f'exec {program}: No such file or directory')}\n{_said(shown, command + ': failed')}")
    if program.endswith("/false"):
        raise Refusal(_said(shown, f"{command}: failed"))
    if command in RC_COMMANDS:
        # Without an address syslogd does not start: seen on 15.1.
        addressed = jail_["ip4.addr"] or jail_["ip6.addr"] or "inherit" in (jail_["ip4"], jail_["ip6"])
        jail_["processes"] = [*(["/usr/sbin/syslogd -s"] if addressed else []), "/usr/sbin/cron -s"]


def _seen_inside(host: SimulatedHost, path: str, program: str) -> bool:
    """Whether a file is seen in the jail, through links into what is mounted there too."""
    parent = host.real(f"{path}/{program}").parent
    if os.path.lexists(parent / os.path.basename(program)) and str(parent.resolve()).startswith(str(host.real(path))):
        return True
    mounted = {one["node"]: one["special"] for one in host.state["mounts"] if one["fstype"] == "nullfs"}
    parts = [part for part in program.split("/") if part]
    for depth in range(len(parts), 0, -1):
        link = host.real("/".join([path, *parts[:depth]]))
        if link.is_symlink():
            target = os.path.normpath(os.path.join("/", *parts[: depth - 1], os.readlink(link)))
            for node, special in mounted.items():
                inside = node[len(path):] if node.startswith(path) else ""
                if inside and target.startswith(inside + "/"):
                    rest = "/".join([target[len(inside):].lstrip("/"), *parts[depth:]])
                    return os.path.lexists(host.real(f"{special}/{rest}"))
    return False


def _knows(host: SimulatedHost, param: table.Param) -> bool:
    """Whether a host of this release has a parameter."""
    return host.osreldate >= param.since and param.name not in host.state["absent"]


def _check(host: SimulatedHost, name: str, params: Params, shown: str) -> None:
    for key, values in params.items():
        known = table.find(key)
        if known is None or not _knows(host, known):
            raise Refusal(_said(shown, f"unknown parameter: {key}"))
        value = values[-1] if values else ""
        if known.type == "bool" and values and value.lower() not in ("true", "false") and not value.lstrip("-").isdigit():
            raise Refusal(_said(shown, f'{key}: unknown boolean value "{value}"'))
        if known.type == "int" and not re.fullmatch(r"-?\d+", value):
            raise Refusal(_said(shown, f'{key}: non-integer value "{value}"'))
        for address in values if known.type in ("address4", "address6") else []:
            plain = re.sub(r"^.*\||[/ ].*$", "", address)
            try:
                ipaddress.ip_address(plain)
            except ValueError:
                version = known.type[-1]
                raise Refusal(_said(shown, f"{key}: not an IPv{version} address: {plain}")) from None
    path = (params.get("path") or ["/"])[-1]
    if not path.startswith("/") or not host.real(path).is_dir():
        raise Refusal(_said(shown, f"path {path}: No such file or directory"))
    if "." in name and by_name(host, name.rpartition(".")[0]) is None:
        raise Refusal(_said(shown, f'jail "{name.rpartition(".")[0]}" not found'))
    if int((params.get("devfs_ruleset") or ["0"])[-1]) > 65535:
        raise Refusal("jail: jail_set: Invalid argument")
    if len(name) > 255:
        raise Refusal("jail: jail_set: File name too long")
    if not _true(params, "persist") and not any(key in params for key in ("exec.start", "command", "exec.poststart")):
        raise Refusal(_said(shown, "new jail must persist or attach"))


def _kernel(params: Params, jail_: Dict[str, Any]) -> None:
    """Put parameters into the kernel's idea of a jail."""
    for key, values in params.items():
        canonical = table.canonical(key)
        if canonical not in jail_ or canonical in ("name", "jid"):
            group, _dot, word = key.partition(".")
            if group in ("meta", "env") and word:
                pairs = dict(line.split("=", 1) for line in jail_[group].split("\n") if "=" in line)
                pairs[word] = (values or [""])[-1]
                jail_[group] = "\n".join(f"{one}={two}" for one, two in pairs.items())
            continue
        if isinstance(jail_[canonical], bool):
            jail_[canonical] = _true(params, key) != (canonical != key)
        elif isinstance(jail_[canonical], list):
            jail_[canonical] = [re.sub(r"^.*\||[/ ].*$", "", value) for value in values if value]
        elif canonical in ("ip4", "ip6", "vnet", "host", "zfs", "sysvmsg", "sysvsem", "sysvshm"):
            jail_[canonical] = {"1": "new", "2": "inherit", "0": "disable"}.get((values or ["new"])[-1], (values or ["new"])[-1])
        else:
            jail_[canonical] = (values or [""])[-1]
    if any(key.startswith("host.") for key in params) and "host" in jail_:
        jail_["host"] = "new"  # whatever else is said: PR_HOST in kern_jail.c


def _sysvipc(params: Params, jail_: Dict[str, Any]) -> None:
    """The old word for System V IPC decides where nothing else is said."""
    for key in params:
        if table.canonical(key) == "allow.sysvipc":
            kind = "inherit" if jail_["allow.sysvipc"] else "disable"
            jail_.update({name: kind for name in ("sysvmsg", "sysvsem", "sysvshm") if name in jail_ and name not in params})


def _create(host: SimulatedHost, name: str, params: Params, shown: str) -> Dict[str, Any]:
    if _true(params, "vnet") or params.get("vnet") == ["new"]:
        if params.get("ip4.addr") or params.get("ip6.addr"):
            raise Refusal(_said(shown, "vnet jails cannot have IP address restrictions"))
    addresses = [address.split("/")[0] for _family, _interface, address, _words in _addresses(params)]
    for other in host.state["jails"].values():
        clash = set(addresses) & set(other["ip4.addr"] + other["ip6.addr"])
        if clash and (len(addresses) > 1 or len(other["ip4.addr"]) > 1):
            raise Refusal(_said(shown, "IPv4 addresses clash"))
    jail_ = host.kernel()
    jid = str((params.get("jid") or [name if name.isdigit() else host.state["next_jid"]])[-1])
    host.state["next_jid"] = max(host.state["next_jid"], int(jid)) + 1
    _kernel(params, jail_)
    jail_["path"] = host.resolved(jail_["path"])
    _sysvipc(params, jail_)
    vnet = jail_["vnet"] == "new"
    jail_.update({"jid": jid, "name": name or jid, "processes": [], "cpuset.id": str(int(jid) + 1)})
    if vnet:
        jail_["ip4"] = jail_["ip6"] = "inherit"
    if "." in name:
        parent = by_name(host, name.rpartition(".")[0])
        assert parent is not None
        jail_["parent"] = parent["jid"]
        parent["children.cur"] = str(int(parent["children.cur"]) + 1)
        jail_["securelevel"] = str(max(int(jail_["securelevel"]), int(parent["securelevel"])))
    host.state["jails"][jid] = jail_
    return jail_


def modify(host: SimulatedHost, name: str, params: Params, shown: str) -> None:
    """Change a running jail as jail(8) -m does: the kernel's list only, no alias, no mount, no hook."""
    jail_ = by_name(host, name)
    assert jail_ is not None
    fresh = copy.deepcopy(jail_)
    for key, values in params.items():
        known = table.find(key)
        if known is None or not _knows(host, known):
            raise Refusal(_said(shown, f"unknown parameter: {key}"))
        if not known.kernel or (not known.live and known.name not in ONLY_AT_CREATION):
            continue
        family = known.name.partition(".addr")[0]
        if family in ("ip4", "ip6") and jail_["vnet"] != "new":
            if (jail_[family] == "inherit") != (known.name == family and bool(values) and values[-1] in ("inherit", "2")):
                raise Refusal(_said(shown, f"{family} cannot be changed after creation"))
        _kernel({key: values}, fresh)
        if known.name in ONLY_AT_CREATION and fresh[known.name] != jail_[known.name] and known.name not in ("ip4", "ip6"):
            raise Refusal(_said(shown, f"{known.name} cannot be changed after creation"))
    _sysvipc(params, fresh)
    # Lowering is not refused to the host: seen on 15.1.
    jail_.update(fresh)


def _remove(host: SimulatedHost, name: str) -> None:
    for jid, jail_ in list(host.state["jails"].items()):
        if jail_["name"] == name or jail_["name"].startswith(name + "."):
            del host.state["jails"][jid]
            above = host.state["jails"].get(jail_["parent"])
            if above is not None:
                above["children.cur"] = str(int(above["children.cur"]) - 1)
            if host.state["linger"]:
                host.state["dying"].append(dict(jail_, dying=True))
            for interface, (owner, _held) in list(host.state.get("moved", {}).items()):
                if owner == jid:
                    host.state["interfaces"][interface] = []
                    del host.state["moved"][interface]


def stop(host: SimulatedHost, name: str, params: Params, shown: str) -> str:
    """Remove a jail as jail(8) -r does, by the file as it is now."""
    jail_ = by_name(host, name)
    assert jail_ is not None
    for hook in ("exec.prestop",):
        _hooks(host, params, hook, shown)
    for command in params.get("exec.stop", []):
        _inside(host, dict(jail_), params, command, shown)
    mounts = _mounts(host, params, shown) if params else []
    _remove(host, name)
    problems = _going_on(host, params.get("exec.poststop", []))
    for param, _fstype, _opts, _special, node in reversed(mounts):
        if node not in host.nodes():
            problems.append(_said(shown, f"{param}: {node}: not a mount point"))
            continue
        rc, _out, err = host.run(["umount", node])
        problems += [err.rstrip()] if rc else []
    for family, interface, address, _words in reversed(_addresses(params)):
        if interface:
            rc, _out, err = host.run(["ifconfig", interface, family, address.split("/")[0], "-alias"])
            told = f"/sbin/ifconfig {interface} {family} {address} -alias: failed"
            problems += [err.rstrip(), _said(shown, told)] if rc else []
    if problems:
        raise Refusal("\n".join(problems), 1, f"{name}: removed\n")
    return f"{name}: removed\n"


# -- jls


@tool("jls")
def jls(host: SimulatedHost, args: List[str], stdin: str) -> Answer:
    """jls(8)."""
    json_out = False
    flags: Set[str] = set()
    wanted: Optional[str] = None
    names: List[str] = []
    words = list(args)
    while words:
        word = words.pop(0)
        if word == "--libxo":
            json_out = "json" in words.pop(0)
        elif word == "-j":
            wanted = words.pop(0)
        elif word.startswith("-"):
            flags |= set(word[1:])
        else:
            names.append(word)
    if "c" in flags and host.osreldate < 1500000:
        raise Refusal("jls: illegal option -- c\njls: usage: jls [-dhNnqv] [-j jail] [param ...]")
    found = sorted(host.state["jails"].values(), key=lambda one: int(one["jid"]))
    if flags & {"d", "a"}:
        found += host.state["dying"]
        if host.state["linger"] != "long":
            host.state["dying"] = []  # gone at the next look
    if wanted is not None:
        found = [one for one in found if wanted in (one["name"], one["jid"])]
        if "c" in flags:
            return (0 if found else 1), "", ""
        if not found:
            shown = wanted if wanted.isdigit() else f'"{wanted}"'
            said = "is dying" if any(wanted in (one["name"], one["jid"]) for one in host.state["dying"]) else "not found"
            head = "" if names or "n" in flags else HEAD
            empty = _envelope([]) if json_out else head
            return 1, empty, f"jls: jail {shown} {said}\n"
    unknown = [name for name in names if name not in host.kernel() and not name.startswith(("meta.", "env."))]
    if unknown:
        return 1, "", f"jls: unknown parameter: {unknown[0]}\n"
    keys = names or list(host.kernel())
    if json_out and ("n" in flags or names):
        return 0, _envelope([{key: _json(one[key], "n" in flags) for key in keys if key in one} for one in found]), ""
    if json_out:
        return 0, _envelope([_brief(one, "N" in flags) for one in found]), ""
    if names or "n" in flags:
        return 0, "".join(" ".join(_text(key, one[key], flags) for key in keys) + "\n" for one in found), ""
    return 0, _table(found, "N" in flags), ""


HEAD = "   JID  IP Address      Hostname                      Path\n"


def _table(found: List[Dict[str, Any]], by_names: bool) -> str:
    if not by_names:
        lines = [
            f"{one['jid']:>6}  {(one['ip4.addr'] or [''])[0]:<15} {one['host.hostname']:<29} {one['path']}\n" for one in found
        ]
        return HEAD + "".join(lines)
    lines = [f" {one['name']:<15} {(one['ip4.addr'] or [''])[0]:<15} {one['host.hostname']:<29} {one['path']}\n" for one in found]
    return " JID             IP Address      Hostname                      Path\n" + "".join(lines)


def _envelope(found: List[Dict[str, Any]]) -> str:
    return json.dumps({"__version": "2", "jail-information": {"jail": found}}) + "\n"


def _brief(one: Dict[str, Any], by_names: bool) -> Dict[str, Any]:
    head = {"name": one["name"]} if by_names else {"jid": int(one["jid"])}
    return {**head, "ipv4": (one["ip4.addr"] or [""])[0], "hostname": one["host.hostname"], "path": one["path"]}


def _json(value: Any, named: bool) -> Any:
    return ("true" if value else "false") if isinstance(value, bool) and not named else value


def _text(key: str, value: Any, flags: Set[str]) -> str:
    named = "n" in flags
    if isinstance(value, bool):
        head, _dot, tail = key.rpartition(".")
        plain = f"{head}.no{tail}" if head else f"no{key}"
        return (key if value else plain) if named else ("true" if value else "false")
    if isinstance(value, list):
        shown = ",".join(value) or ('""' if "q" in flags else "")
    else:
        shown = value or '""'
    return f"{key}={shown}" if named else shown


# -- jexec, rctl, devfs


@tool("jexec")
def jexec(host: SimulatedHost, args: List[str], stdin: str) -> Answer:
    """jexec(8): the command is not run here; its program must be in the jail."""
    words = list(args)
    while words and words[0].startswith("-"):
        if words.pop(0) in ("-u", "-U", "-d"):
            words.pop(0)
    name = words.pop(0)
    found = by_name(host, name)
    if found is None:
        raise Refusal(f'jexec: jail "{name}" not found')
    host.state.setdefault("jexec", []).append([name, *words])
    program = words[0] if words else ""
    if program.startswith("/") and not _seen_inside(host, found["path"], program):
        raise Refusal(f"jexec: execvp: {program}: No such file or directory")
    return (1 if program.endswith("/false") else 0), "", ""


@tool("rctl")
def rctl(host: SimulatedHost, args: List[str], stdin: str) -> Answer:
    """rctl(8)."""
    if host.state["sysctl"]["kern.racct.enable"] != "1":
        raise Refusal("rctl: RACCT/RCTL present, but disabled; enable using kern.racct.enable=1 tunable")
    rules = host.state["rctl"]
    failed, out, err = 0, "", ""
    flags = [word for word in args if word.startswith("-")]
    words = [word for word in args if not word.startswith("-")]
    if not words:
        return 0, "".join(f"{_human(rule) if '-h' in flags else rule}\n" for rule in reversed(rules)), ""
    for word in words:
        try:
            out += _rule(host, "".join(flags), word)
        except Refusal as refusal:
            failed, err = failed + 1, err + refusal.err + "\n"
    return failed, out, err


def _human(rule: str) -> str:
    """A rule with its amount in units, where it is a whole number of them."""
    subject, _equals, plain = rule.rpartition("=")
    number, units = int(plain), "KMGTPE"
    place = -1
    while number and number % 1024 == 0 and place + 1 < len(units):
        number, place = number // 1024, place + 1
    return f"{subject}={number}{units[place] if place >= 0 else ''}"


def _rule(host: SimulatedHost, flags: str, word: str) -> str:
    rules = host.state["rctl"]
    if "a" in flags:
        subject, equals, value = word.partition("=")
        try:
            plain = f"{subject}={amount(value)}"
        except ValueError:
            raise Refusal(f"rctl: malformed rule '{word}': invalid numeric value '{value}'") from None
        _kind, _name, resource, action = subject.split(":")
        if resource not in USAGE:
            raise Refusal(f"rctl: failed to add rule '{word}': Invalid argument")
        if action == "deny" and resource in ("cputime", "wallclock", "readbps", "writebps", "readiops", "writeiops"):
            raise Refusal(f"rctl: failed to add rule '{word}': Operation not supported")
        rules[:] = [rule for rule in rules if rule != plain and not (action == "deny" and rule.startswith(subject + "="))]
        rules.append(plain)
        return ""
    matching = [rule for rule in rules if rule == word or rule.startswith((word + ":", word + "="))]
    if "r" in flags:
        if not matching:
            raise Refusal(f"rctl: failed to remove rule '{word}': No such process")
        rules[:] = [rule for rule in rules if rule not in matching]
        return ""
    if "l" in flags:
        raise Refusal(f"rctl: failed to get limits for '{word}': Operation not supported")
    if "u" in flags:
        return "".join(f"{name}=0\n" for name in USAGE)
    return "".join(f"{rule}\n" for rule in reversed(matching))


USAGE = (
    "cputime datasize stacksize coredumpsize memoryuse memorylocked maxproc openfiles vmemoryuse pseudoterminals "
    "swapuse nthr msgqqueued msgqsize nmsgq nsem nsemop nshm shmsize wallclock pcpu readbps writebps readiops "
    "writeiops"
).split()


WITH_VALUE = ("path", "type", "user", "group", "mode", "include")


def _numbered(rules: List[str]) -> List[Tuple[int, str]]:
    """The rules of a set in order, each with its number: its own, or 100 more than the last one's."""
    found: List[Tuple[int, str]] = []
    for rule in rules:
        words = rule.split()
        last = found[-1][0] if found else 0
        number, words = (int(words[0]), words[1:]) if words[0].isdigit() else (last + 100, words)
        found = sorted([one for one in found if one[0] != number] + [(number, _in_order(words))])
    return found


def _in_order(words: List[str]) -> str:
    """A rule's parts in the order in which devfs(8) shows them."""
    order = ("type", "path", "hide", "unhide", "user", "group", "mode", "include")
    parts: Dict[str, str] = {}
    while words:
        width = 2 if words[0] in WITH_VALUE else 1
        parts[words[0]] = " ".join(words[:width])
        words = words[width:]
    if "mode" in parts:
        parts["mode"] = "mode " + (parts["mode"].split()[1].lstrip("0") or "0")
    return " ".join(parts[part] for part in order if part in parts)


def _unknown_word(words: List[str]) -> str:
    """What devfs(8) takes for no word of a rule; conditions come first."""
    left, acts = words[1:] if words[0].isdigit() else list(words), False
    while left:
        word = left.pop(0)
        if word not in (*WITH_VALUE, "hide", "unhide") or (acts and word in ("path", "type")):
            return word
        left, acts = left[1:] if word in WITH_VALUE else left, acts or word not in ("path", "type")
    return ""


@tool("devfs")
def devfs(host: SimulatedHost, args: List[str], stdin: str) -> Answer:
    """devfs(8) rule."""
    sets, words = host.state["rulesets"], list(args)
    if words[:1] == ["-m"]:
        words = words[2:]
    words = words[1:]
    number = "0"
    if words[:1] == ["-s"]:
        number, words = words[1], words[2:]
    if int(number) > 65535:
        raise Refusal(f"devfs rule: error converting to number: {number}")
    if words == ["showsets"]:
        return 0, "".join(f"{one}\n" for one in sorted(sets, key=int)), ""
    if words[0] == "show":
        return 0, "".join(f"{place} {rule}\n" for place, rule in _numbered(sets.get(number, []))), ""
    if words[0] == "del":
        sets[number] = [f"{place} {rule}" for place, rule in _numbered(sets.get(number, [])) if place != int(words[1])]
    elif words[0] == "delset":
        if number in sets and any(jail.get("devfs_ruleset") == number for jail in host.state["jails"].values()):
            sets[number] = []  # it stays while a mount of devfs has it
        else:
            sets.pop(number, None)
    elif words[0] == "add":
        rule = " ".join(words[1:] if words[1:] != ["-"] else stdin.split())
        unknown = _unknown_word(rule.split())
        if unknown:
            raise Refusal(f"devfs rule: unknown argument: {unknown}")
        included = rule.split("include ")[1].split()[0] if "include " in rule else ""
        if included and not included.isdigit():
            raise Refusal(f"devfs rule: error converting to number: {included}")
        if included and included not in sets:
            raise Refusal("devfs rule: ioctl DEVFSIO_RADD: No such process")
        sets.setdefault(number, []).append(rule)
    return 0, "", ""
