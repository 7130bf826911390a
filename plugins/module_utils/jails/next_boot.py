# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What rc.d/jail does at the next boot: which jails it starts, in which order, by which file. Reads like FreeBSD's script."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any, List, Mapping, Optional, Protocol, Sequence, Tuple

from ansible_collections.cellblock.jails.plugins.module_utils.errors import CellblockError
from ansible_collections.cellblock.jails.plugins.module_utils.formats import rc_conf
from ansible_collections.cellblock.jails.plugins.module_utils.jails.model import Params

# As /etc/defaults/rc.conf has them.
DEFAULTS: Mapping[str, str] = {
    "jail_enable": "NO", "jail_conf": "/etc/jail.conf", "jail_parallel_start": "NO", "jail_list": "", "jail_reverse_stop": "NO",
}
# Such a jail.conf is read in place of the files in jail.conf.d.
INCLUDES = re.compile(r"(?m)^\s*\.include\s*[\"']?/etc/jail.conf.d/")
# What jail(8) takes beside -f and -c; with any other it prints its usage.
FLAGS = re.compile(r"-[dqvi]+|-[pJ].*|[0-9]+")


class Files(Protocol):
    """The host's files, as they are or as they will be."""

    def text(self, path: str) -> Optional[str]:
        """A file's text; None when it cannot be read."""

    def jails(self, path: str) -> Sequence[Mapping[str, Any]]:
        """The jails that jail(8) reads in a file, with what it says of each that it refuses under ``problem``."""

    def legacy(self, text: str) -> Sequence[Mapping[str, Any]]:
        """The same of a text that rc.d/jail generates."""


@dataclass(frozen=True)
class Start:
    """One start of a jail: by which file, and as what; ``problem`` says why it does not come up."""

    name: str
    conf: str
    params: Optional[Params] = None
    problem: str = ""


@dataclass(frozen=True)
class Boot:
    """What the next boot does for jails.

    :param enabled: jail_enable; otherwise this is what ``service jail onestart`` does.
    :param everything: no jail_list: all that the one jail.conf defines.
    :param tried: every start, those too that fail.
    """

    enabled: bool
    everything: bool
    parallel: bool
    tried: Tuple[Start, ...]

    @property
    def order(self) -> List[str]:
        """The jails that come up, in their order."""
        return list(dict.fromkeys(start.name for start in self.tried if not start.problem))

    def find(self, name: str) -> Optional[Start]:
        """How a jail comes up; None when it does not."""
        return next((start for start in self.tried if start.name == name and not start.problem), None)


def infix(name: str) -> str:
    """A jail's name inside a variable of rc.conf(5)."""
    return re.sub(r"[^A-Za-z0-9]", "_", name)


def called(name: str) -> str:
    """The name that rc.d/jail makes of an entry of jail_list."""
    return re.sub(r"[/.]", "_", name)


def predict(variables: Mapping[str, str], files: Files) -> Boot:
    """What the next boot starts.

    :param variables: those of rc.conf(5) and its like, as rc.subr(8) loads them.
    """
    known = {**DEFAULTS, **{name: value for name, value in variables.items() if value}}
    names = known["jail_list"].split()
    tried = _by_list(names, known, files) if names else _everything(known, files)
    parallel = rc_conf.yes(known["jail_parallel_start"])
    return Boot(rc_conf.yes(known["jail_enable"]), not names, parallel, tuple(tried))


def stopping(boot: Boot, variables: Mapping[str, str], running: Sequence[str]) -> List[str]:
    """The jails that ``service jail stop`` stops, in its order; others stay.

    :param running: what runs, in the order of its start.
    """
    asked = list(running) if boot.everything else [called(name) for name in variables.get("jail_list", "").split()]
    if rc_conf.yes(variables.get("jail_reverse_stop")):
        asked.reverse()
    return [name for name in dict.fromkeys(asked) if name in running]


def chosen(name: str, known: Mapping[str, str], files: Files) -> Optional[str]:
    """The file that rc.d/jail reads for a jail that stands in jail_list; None when there is none."""
    own = known.get(f"jail_{infix(name)}_conf") or f"/etc/jail.{name}.conf"
    if files.text(own) is not None:
        return own
    whole = known.get("jail_conf") or DEFAULTS["jail_conf"]
    below = f"/etc/jail.conf.d/{name}.conf"
    text = files.text(whole)
    if files.text(below) is not None and not INCLUDES.search(text or ""):
        return below
    return whole if text is not None else None


def is_legacy(name: str, known: Mapping[str, str]) -> bool:
    """Whether a jail is defined by variables of its own."""
    return bool(known.get(f"jail_{infix(name)}_rootdir")) and bool(known.get(f"jail_{infix(name)}_hostname"))


def _by_list(names: Sequence[str], known: Mapping[str, str], files: Files) -> List[Start]:
    tried: List[Start] = []
    for name in map(called, names):
        flags = known.get(f"jail_{infix(name)}_flags") or known.get("jail_flags", "")
        if is_legacy(name, known):
            conf = f"/var/run/jail.{name}.conf"
            found = _read(files.legacy, legacy_text(name, known, files))
        else:
            place = chosen(name, known, files)
            if place is None:
                tried.append(Start(name, "", None, "no file defines it"))
                continue
            conf, found = place, _read(files.jails, place)
        if isinstance(found, str):
            tried.append(Start(name, conf, None, found))
        elif not all(FLAGS.fullmatch(word) for word in flags.split()):
            tried.append(Start(name, conf, None, f"jail(8) does not take the flags {flags}"))
        else:
            tried += _with_needs(name, conf, found)
    return tried


def _read(reader: Any, what: str) -> Any:
    """The jails of a file; jail(8)'s words when it refuses it."""
    try:
        return list(reader(what))
    except CellblockError as error:
        return error.what


def _with_needs(name: str, conf: str, jails: Sequence[Mapping[str, Any]], trail: Tuple[str, ...] = ()) -> List[Start]:
    """A jail's start, after those of what it depends on in the same file."""
    found = next((jail for jail in jails if jail["name"] == name), None)
    if found is None or name in trail:
        return [Start(name, conf, None, f'jail "{name}" not found' if found is None else "a dependency loop")]
    starts: List[Start] = []
    for need in found["params"].get("depend", []):
        starts += _with_needs(need, conf, jails, (*trail, name))
    failed = next((start.name for start in starts if start.problem), None)
    problem = str(found.get("problem") or "") or (f"it depends on {failed}, which does not start" if failed else "")
    return [*starts, Start(name, conf, dict(found["params"]), problem)]


def _everything(known: Mapping[str, str], files: Files) -> List[Start]:
    conf = known["jail_conf"]
    found = _read(files.jails, conf) if files.text(conf) is not None else []
    if isinstance(found, str) or not all(FLAGS.fullmatch(word) for word in known.get("jail_flags", "").split()):
        return []
    starts: List[Start] = []
    for jail in found:
        starts += _with_needs(jail["name"], conf, found)
    return _with_parents(list({start.name: start for start in reversed(starts)}.values())[::-1])


def _with_parents(starts: Sequence[Start]) -> List[Start]:
    """A jail with a dotted name comes up in its parent, or not at all."""
    found: List[Start] = []
    for start in starts:
        parent = start.name.rpartition(".")[0]
        if parent and not start.problem and not any(one.name == parent and not one.problem for one in found):
            start = replace(start, problem=f'jail "{parent}" not found')
        found.append(start)
    return found


# -- the old style: what rc.d/jail makes of variables


def legacy_text(name: str, known: Mapping[str, str], files: Files) -> str:
    """The jail.conf that rc.d/jail generates for a jail in the old style. Values are pasted as they are."""
    return _Legacy(name, known).text(lambda path: files.text(path) is not None)


class _Legacy:
    def __init__(self, name: str, known: Mapping[str, str]) -> None:
        self.name, self.known = name, known
        self.lines: List[str] = []

    def own(self, word: str) -> str:
        return self.known.get(f"jail_{infix(self.name)}_{word}", "")

    def get(self, word: str, default: str = "") -> str:
        """The jail's own value, else the one of all jails."""
        return self.own(word) or self.known.get(f"jail_{word}", "") or default

    def say(self, word: str, param: str, default: str = "") -> None:
        value = self.get(word, default)
        if value:
            self.lines.append(f'{param} = "{value}";')

    def switch(self, word: str, param: str, default: str, turned: bool = False) -> None:
        self.lines.append(f"{param} = {int(rc_conf.yes(self.get(word, default)) != turned)};")

    def numbered(self, word: str, param: str) -> None:
        number = 0
        while self.get(f"{word}{number}") or number == 0:
            if self.get(f"{word}{number}"):
                self.lines.append(f'{param} += "{self.get(f"{word}{number}")}";')
            number += 1

    def text(self, readable: Any) -> str:
        self.say("hostname", "host.hostname")
        self.say("rootdir", "path")
        if self.own("ip"):
            self._addresses()
            self.say("fib", "exec.fib")
            self.switch("socket_unixiproute_only", "allow.raw_sockets", "YES", turned=True)
        else:
            self.lines.append("vnet;")
            interfaces = self.get("vnet_interface").split()
            if interfaces:
                self.lines.append("vnet.interface = " + ", ".join(f'"{one}"' for one in interfaces) + ";")
        self.lines += ["exec.clean;", 'exec.system_user = "root";', 'exec.jail_user = "root";']
        self._commands()
        self.say("consolelog", "exec.consolelog", f"/var/log/jail_{self.name}_console.log")
        fstab = self.get("fstab", f"/etc/fstab.{self.name}")
        if readable(fstab):
            self.lines.append(f'mount.fstab = "{fstab}";')
        self._mounts()
        self.switch("set_hostname_allow", "allow.set_hostname", "NO")
        self.switch("sysvipc_allow", "allow.sysvipc", "NO")
        self.say("enforce_statfs", "enforce_statfs", "2")
        self.say("osreldate", "osreldate")
        self.say("osrelease", "osrelease")
        self.lines += [f"zfs.dataset += {dataset};" for dataset in self.own("zfs_dataset").split()]
        self.lines += [f"{word[:-1] if word.endswith(';') else word};" for word in self.get("parameters").split()]
        return f"{self.name} {{\n" + "".join(f"\t{line}\n" for line in self.lines) + "}\n"

    def _addresses(self) -> None:
        self.say("interface", "interface")
        texts, number = [self.own("ip")], 0
        while self.own(f"ip_multi{number}"):
            texts.append(self.own(f"ip_multi{number}"))
            number += 1
        sixth = False
        for text in texts:
            words = [*text.split(), *self.get("interface").split()]
            for one in filter(None, words[0].split(",")):
                family, address = _address(one, words[1] if len(words) > 1 else "")
                sixth = sixth or family == "ip6.addr"
                self.lines += [f'{family} += "{address}";'] if family else []
        if sixth:  # for duplicate address detection
            self.lines.append('exec.start += "sleep 2 ";')

    def _commands(self) -> None:
        for word in ("prestart", "poststart", "prestop", "poststop"):
            self.numbered(f"exec_{word}", f"exec.{word}")
        start, stop = self.own("exec") or self.own("exec_start"), "" if self.own("exec") else self.own("exec_stop")
        if not start:
            start, stop = "/bin/sh /etc/rc", stop or "/bin/sh /etc/rc.shutdown jail"
        self.lines.append(f'exec.start += "{start}";')
        self.numbered("exec_afterstart", "exec.start")
        self.lines.append(f'exec.stop = "{stop}";')

    def _mounts(self) -> None:
        if rc_conf.yes(self.get("devfs_enable")):
            self.lines.append("mount.devfs;")
            ruleset = self.get("devfs_ruleset")
            self.lines += [f'devfs_ruleset = "{ruleset}";'] if ruleset[:1].isdigit() else []
        for word, param in (("fdescfs_enable", "mount.fdescfs"), ("procfs_enable", "mount.procfs"), ("mount_enable", "allow.mount")):
            if rc_conf.yes(self.get(word)):
                self.lines.append(f"{param};")


def _address(text: str, default: str) -> Tuple[str, str]:
    """The parameter and its value for one address of jail_NAME_ip."""
    interface = text.partition("|")[0] if "|" in text else ""
    rest = text.rpartition("|")[2]
    address = re.split("[/ ]", rest, maxsplit=1)[0]
    mask = rest[len(address):]
    if address.count(".") >= 3:
        family = "ip4.addr"
        mask = f" netmask {mask[1:]}" if mask.count(".") >= 3 else mask or "/32"
    elif ":" in address:
        family, mask = "ip6.addr", mask or "/128"
    else:
        return "", ""
    place = interface or default
    return family, (f"{place}|" if place else "") + address + mask
