# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a jail stands in the host's configuration, in either boot style, and how ours are told apart.

A definition of ours carries a comment ``# cellblock.jails {json}``: the mark of what we made, and the
few facts that FreeBSD's formats have no word for. There is no other database.
"""

from __future__ import annotations

import functools
import json
import re
from dataclasses import dataclass, field, replace
from typing import Any, Dict, List, Mapping, Optional, Tuple

from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.engine.plan import Step
from ansible_collections.cellblock.jails.plugins.module_utils.errors import FormatError, InputError
from ansible_collections.cellblock.jails.plugins.module_utils.formats import fstab, jail_conf, rc_conf
from ansible_collections.cellblock.jails.plugins.module_utils.formats.lines import kept_lines
from ansible_collections.cellblock.jails.plugins.module_utils.jails import stopping
from ansible_collections.cellblock.jails.plugins.module_utils.jails.model import CPUSET_HOOK, Params

MARK = "# cellblock.jails "
CONF_DIR = "/etc/jail.conf.d"
NOTICE = "# Made by Ansible, collection cellblock.jails; what is changed by hand is changed back.\n"
TRUE: Tuple[List[str], ...] = (["true"], [], ["1"])

# rc.d/jail's word, the jail's parameter, and whether the word is YES or NO.
RC_WORDS: Tuple[Tuple[str, str, bool], ...] = (
    ("hostname", "host.hostname", False),
    ("rootdir", "path", False),
    ("fib", "exec.fib", False),
    ("devfs_enable", "mount.devfs", True),
    ("devfs_ruleset", "devfs_ruleset", False),
    ("fdescfs_enable", "mount.fdescfs", True),
    ("procfs_enable", "mount.procfs", True),
    ("mount_enable", "allow.mount", True),
    ("set_hostname_allow", "allow.set_hostname", True),
    ("sysvipc_allow", "allow.sysvipc", True),
    ("enforce_statfs", "enforce_statfs", False),
    ("osreldate", "osreldate", False),
    ("osrelease", "osrelease", False),
    ("consolelog", "exec.consolelog", False),
)
RC_SHARED = ("fib",)  # rc.d/jail reads it of a jail that shares the host's network only
RC_HOOKS = (
    ("exec_prestart", "exec.prestart"),
    ("exec_poststart", "exec.poststart"),
    ("exec_prestop", "exec.prestop"),
    ("exec_poststop", "exec.poststop"),
)
# All that makes a jail, by what follows jail_NAME_; jail_web_2_ip is not one of web. Flags and the like go on counting.
RC_VARIABLE = (
    "(?:" + "|".join(word for word, _param, _boolean in RC_WORDS) + r"|ip|ip_multi\d+|interface|vnet_interface"
    r"|socket_unixiproute_only|exec|exec_start|exec_stop|exec_afterstart\d+|(?:" + "|".join(word for word, _param in RC_HOOKS)
    + r")\d*|fstab|zfs_dataset|parameters|conf)"
)
# What rc.d/jail always says, whatever the variables are.
RC_ALWAYS: Params = {
    "exec.clean": ["true"],
    "allow.raw_sockets": ["false"],
    "allow.set_hostname": ["false"],
    "allow.sysvipc": ["false"],
    "enforce_statfs": ["2"],
}
RC_CONF = "/etc/rc.conf"
NOTE_WAIT = 300.0  # seconds for another run to end
RC_START = "/bin/sh /etc/rc"
RC_STOP = "/bin/sh /etc/rc.shutdown jail"


def conf_path(name: str) -> str:
    """The jail's own configuration file, as rc.d/jail looks for it."""
    return f"{CONF_DIR}/{name}.conf"


def fstab_path(name: str) -> str:
    """The jail's fstab on the host, as rc.d/jail looks for it."""
    return f"/etc/fstab.{name}"


def infix(name: str) -> str:
    """A jail's name inside an rc.conf(5) variable."""
    return re.sub(r"[^A-Za-z0-9]", "_", name)


@dataclass(frozen=True)
class Definition:
    """A jail's definition: the boot style, the mark's facts, and the parameters as jail(8) sees them."""

    name: str
    style: str
    meta: Mapping[str, Any] = field(default_factory=dict)
    params: Params = field(default_factory=dict)

    @property
    def lost(self) -> bool:
        """Whether its file was edited by hand beyond reading; any of ours has parameters."""
        return not self.params

    @property
    def root(self) -> str:
        """Where its root is."""
        return str(self.meta.get("path") or (self.params.get("path") or [""])[-1])

    def without(self, *keys: str) -> Definition:
        """The same without some of the mark's facts."""
        return replace(self, meta={key: value for key, value in self.meta.items() if key not in keys})

    def noting(self, fact: str, said: Optional[Mapping[str, Any]]) -> Definition:
        """The same with another word of the mark on something; None takes it away."""
        rest = self.without(fact)
        return rest if said is None else replace(rest, meta={**rest.meta, fact: dict(said)})

    def barred(self, hook: str) -> Definition:
        """The same as no boot starts it: a hook comes first that fails."""
        others = self.unbarred(hook).params.get("exec.prestart", [])
        return replace(self, params={**self.params, "exec.prestart": [hook, *others]})

    def unbarred(self, hook: str) -> Definition:
        """The same without such a hook."""
        hooks = [one for one in self.params.get("exec.prestart", []) if one != hook]
        params = {name: hooks if name == "exec.prestart" else values for name, values in self.params.items() if name != "exec.prestart" or hooks}
        return replace(self, params=params)

    def mark(self) -> str:
        """The comment that marks it as ours."""
        return MARK + json.dumps({"name": self.name, **self.meta}, sort_keys=True, ensure_ascii=True)

    def conf(self) -> str:
        """The text of /etc/jail.conf.d/NAME.conf."""
        return f"{self.mark()}\n{NOTICE}" + jail_conf.render([{"name": self.name, "params": self.written()}])

    def written(self) -> Params:
        """The parameters as they stand in the file: those of the next start, and what the next stop has to undo beside them."""
        written = stopping.with_hooks(self) if "waits" in self.meta else dict(self.params)
        return {"jid": [str(self.meta["jid"])], **written} if "jid" in self.meta else written

    def read(self) -> Definition:
        """The same without what :meth:`written` adds."""
        read = replace(self, params=stopping.without_hooks(self)) if "waits" in self.meta else self
        return replace(read, params={key: values for key, values in read.params.items() if key != "jid"}) if "jid" in self.meta else read

    def note(self, jid: object, boot: str) -> Mapping[str, Any]:
        """What was noted as waiting, if the jail still lives the life that it was noted in."""
        noted = self.meta.get("waits") or {}
        return noted if noted.get("jid") == str(jid) and noted.get("boot") == boot else {}

    def start_file(self) -> str:
        """The file that jail(8) reads for this jail."""
        return conf_path(self.name) if self.style == "jail_conf" else f"/var/run/jail.{self.name}.conf"


def read_mark(line: str) -> Optional[Dict[str, Any]]:
    """The facts of a mark; None when the line is none."""
    if not line.startswith(MARK):
        return None
    try:
        found = json.loads(line[len(MARK):])
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def read_own_mark(name: str, text: str) -> Optional[Dict[str, Any]]:
    """The facts of the mark of NAME.conf; None where there is none, or another jail's, as in a copy that somebody made by hand."""
    line = text.partition("\n")[0]
    if not line.startswith(MARK) and MARK in text:  # somebody wrote above it
        line = next((one for one in text.lstrip("\ufeff").split("\n") if one.startswith(MARK)), "")
    facts = read_mark(line)
    return facts if facts is not None and facts.get("name", name) == name else None


def others_in(name: str, text: str) -> List[str]:
    """The jails that somebody else defines in NAME.conf beside it."""
    try:
        return [jail["name"] for jail in jail_conf.parse(text) if jail["name"] != name]
    except FormatError:
        return []


@functools.lru_cache(maxsize=1024)
def read_conf(name: str, text: str) -> Optional[Definition]:
    """The definition in a jail.conf.d file; None when it is not ours. It is asked for again and again, and nobody changes it."""
    facts = read_own_mark(name, text)
    if facts is None:
        return None
    facts.pop("name", None)
    try:
        params = {jail["name"]: jail["params"] for jail in jail_conf.parse(text)}.get(name, {})
    except FormatError:
        params = {}  # edited by hand beyond reading: the next write mends it
    return Definition(name, "jail_conf", facts, params).read()


def in_style(name: str, style: str, meta: Mapping[str, Any], params: Params) -> Definition:
    """The definition with these facts and parameters, as it will be read back in its boot style.

    :raises InputError: for what the style has no word for.
    """
    if style != "rc_conf":
        return Definition(name, style, meta, params)
    found = {**params, **{key: value for key, value in RC_ALWAYS.items() if key not in params}}
    # rc.conf has no word for some things, and another order.
    lines = "".join(f"{line}\n" for line in found.get("mount", []))
    return read_rc(name, meta, rc_lines(Definition(name, style, meta, found)), lines)


def note_step(definition: Definition, fact: str, value: Any) -> Step:
    """The step that notes in a jail's mark what was done inside of it, and changes nothing else of its file.

    :param value: what is noted; None takes the fact away.
    """
    path = conf_path(definition.name) if definition.style == "jail_conf" else RC_CONF

    def noted(line: str) -> str:
        mark = read_mark(line.rstrip("\n"))
        if mark is None or mark.get("name") != definition.name:
            return line
        meta = {**mark, fact: value}
        return replace(definition, meta={key: one for key, one in meta.items() if key != "name" and one is not None}).mark() + "\n"

    def do(host: Host) -> None:
        from ansible_collections.cellblock.jails.plugins.module_utils.engine.lock import locked

        with locked(host, NOTE_WAIT):
            host.write(path, "".join(map(noted, kept_lines(host.read(path) or ""))))

    return Step(f"note its {fact}", do)


# -- rc.conf


def _escaped(value: str) -> str:
    """rc.d/jail pastes values between double quotes of a jail.conf; what jail.conf would read is escaped."""
    return re.sub(r'([\\"$])', r"\\\1", value)


def _unescaped(value: str) -> str:
    return re.sub(r"\\(.)", r"\1", value)


def rc_lines(definition: Definition) -> Dict[str, str]:
    """The definition as ``jail_NAME_*`` variables of rc.conf(5), and the fstab beside it.

    :raises InputError: for what these variables cannot say.
    """
    rest = {key: list(value) for key, value in definition.written().items()}
    where = f"jail {definition.name}"
    fix = "Use boot_style: jail_conf"
    lines: Dict[str, str] = {}
    vnet = "vnet" in rest
    lines.update(_rc_network(rest, where, fix))
    for word, param, boolean in RC_WORDS:
        if param in rest and not (vnet and word in RC_SHARED):
            value = rest.pop(param)
            lines[word] = ("YES" if value in TRUE else "NO") if boolean else _escaped(value[-1] if value else "")
    if not vnet and rest.pop("allow.raw_sockets", ["false"]) in TRUE:
        lines["socket_unixiproute_only"] = "NO"
    lines.update(_rc_hooks(rest, where, fix))
    if rest.pop("mount", []):
        lines["fstab"] = fstab_path(definition.name)
    if rest.get("exec.clean") in TRUE:
        del rest["exec.clean"]
    words = [_rc_word(param, value, where, fix) for param, value in rest.items()]
    if words:
        lines["parameters"] = " ".join(words)
    prefix = f"jail_{infix(definition.name)}_"
    return {prefix + word: value for word, value in lines.items()}


def _rc_network(rest: Params, where: str, fix: str) -> Dict[str, str]:
    addresses = rest.pop("ip4.addr", []) + rest.pop("ip6.addr", [])
    if addresses:
        if any(" " in address for address in addresses):
            raise InputError("an address with words for ifconfig cannot stand in rc.conf", where, fix)
        return {"ip": ",".join(addresses)}
    if rest.pop("vnet", None) is None:
        raise InputError("rc.conf makes a jail without an address a vnet jail", where, fix)
    interfaces = rest.pop("vnet.interface", [])
    return {"vnet_interface": " ".join(interfaces)} if interfaces else {}


def _rc_hooks(rest: Params, where: str, fix: str) -> Dict[str, str]:
    lines = {}
    # There is no variable for exec.created. After the start is another moment, but for what no start minds.
    created = rest.pop("exec.created", [])
    others = [one for one in created if not one.startswith(CPUSET_HOOK)]
    if others and any(one.strip() for one in rest.get("exec.start", [])):
        raise InputError(f"rc.conf has no variable for exec.created ({others[0]}), and exec.poststart comes after exec.start", where, fix)
    hooks = {"exec.poststart": created + rest.pop("exec.poststart", [])}
    for word, param in RC_HOOKS:
        for number, command in enumerate(hooks.get(param) or rest.pop(param, [])):
            lines[f"{word}{number}"] = _escaped(command)
    start, stop = ([one for one in rest.pop(param, []) if one.strip()] for param in ("exec.start", "exec.stop"))
    if [start, stop] != [[RC_START], [RC_STOP]]:
        # rc.d/jail takes an empty one for /etc/rc; jail(8) runs nothing for a blank.
        lines["exec_start"] = _escaped(start[0]) if start else " "
        if stop:
            lines["exec_stop"] = _escaped("; ".join(stop))
    for number, command in enumerate(start[1:]):
        lines[f"exec_afterstart{number}"] = _escaped(command)
    return lines


def _rc_word(param: str, value: List[str], where: str, fix: str) -> str:
    word = param if value in ([], ["true"]) else f"{param}={','.join(value)}"
    if not re.fullmatch(r"[A-Za-z0-9_.:/=,-]+", word) or "//" in word:
        raise InputError(f"{param} has a value that jail_NAME_parameters cannot hold", where, fix)
    return word


def read_rc(name: str, facts: Mapping[str, Any], lines: Mapping[str, str], mounts: str) -> Definition:
    """The definition in a group of ``jail_NAME_*`` variables of ours.

    :param mounts: the text of /etc/fstab.NAME.
    """
    prefix = f"jail_{infix(name)}_"
    words = {key[len(prefix):]: value for key, value in lines.items() if key.startswith(prefix)}
    params: Params = {key: list(value) for key, value in RC_ALWAYS.items()}
    for word, param, boolean in RC_WORDS:
        if word in words:
            value = words[word]
            params[param] = ["true" if value == "YES" else "false"] if boolean else [_unescaped(value)]
    for address in filter(None, words.get("ip", "").split(",")):
        params.setdefault("ip6.addr" if address.count(":") > 1 else "ip4.addr", []).append(address)
    if not words.get("ip"):
        params["vnet"] = ["new"]
        if "vnet_interface" in words:
            params["vnet.interface"] = words["vnet_interface"].split()
    if words.get("socket_unixiproute_only") == "NO":
        params["allow.raw_sockets"] = ["true"]
    for word in words.get("parameters", "").split():
        key, equals, value = word.partition("=")
        params[key] = value.split(",") if equals else ["true"]
    _read_hooks(words, params)
    entries = [entry for entry in map(fstab.parse_line, mounts.split("\n")) if entry is not None]
    if entries:
        params["mount"] = [fstab.render_line(entry) for entry in entries]
    return Definition(name, "rc_conf", facts, params).read()


def _read_hooks(words: Mapping[str, str], params: Params) -> None:
    start = words.get("exec_start") or RC_START
    if start.strip():
        params["exec.start"] = [_unescaped(start)]
    stop = words.get("exec_stop") or ("" if words.get("exec_start") else RC_STOP)
    if stop:
        params["exec.stop"] = [_unescaped(stop)]
    for word, param in (*RC_HOOKS, ("exec_afterstart", "exec.start")):
        found = sorted((key for key in words if re.fullmatch(word + r"\d+", key)), key=lambda key: int(key[len(word):]))
        for key in found:
            params.setdefault(param, []).append(_unescaped(words[key]))


def rc_variables(text: str, name: str) -> List[str]:
    """The variables of rc.conf(5) that define a jail, in anybody's hand."""
    prefix = f"jail_{infix(name)}_"
    return [key for key in rc_conf.names(text) if key.startswith(prefix) and re.fullmatch(RC_VARIABLE, key[len(prefix):])]


def rc_groups(text: str) -> Dict[str, Tuple[Dict[str, Any], Dict[str, str]]]:
    """The groups of ours in an rc.conf: name to the mark's facts and the variables below it."""
    found = {}
    for line, lines in rc_conf.groups(text, MARK).items():
        facts = read_mark(line)
        if facts and isinstance(facts.get("name"), str):
            found[facts.pop("name")] = (facts, lines)
    return found
