# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The blocks of a jail.conf(5), and how jail(8) makes jails of them: merged, then substituted."""

from __future__ import annotations

import re
from typing import Any, Dict, Iterable, List, Optional, Tuple

from ansible_collections.cellblock.jails.plugins.module_utils.errors import FormatError
from ansible_collections.cellblock.jails.plugins.module_utils.formats.jail_conf import is_wild, spellings

CRASHES = "jail(8) crashes on this file: a variable with several values is substituted"
# The parameters that jail(8) itself knows: no variable may have the name of one.
_KNOWN = frozenset(
    "allow.dying command depend exec.clean exec.consolelog exec.fib exec.jail_user exec.poststart exec.poststop"
    " exec.prepare exec.prestart exec.prestop exec.release exec.created exec.start exec.stop exec.system_jail_user"
    " exec.system_user exec.timeout interface ip_hostname mount mount.devfs mount.fdescfs mount.procfs mount.fstab"
    " stop.timeout vnet.interface zfs.dataset allow.chflags allow.mount allow.raw_sockets allow.set_hostname"
    " allow.socket_af allow.sysvipc devfs_ruleset host.hostname ip4.addr ip6.addr jid name path persist securelevel"
    " vnet".split()
)


def decoded(data: str, errors: str = "surrogateescape") -> str:
    return data.encode("latin-1").decode("utf-8", errors)


def spoken(said: Iterable[str]) -> str:
    """What jail(8) said, fit for a terminal."""
    return decoded("\n".join(said), "replace")


class Value:
    """One value: its literal text, and the variables to put in, each with its place."""

    def __init__(self, text: str = "", variables: Iterable[Tuple[int, str]] = ()) -> None:
        self.text = text
        self.variables = list(variables)


class Param:
    def __init__(self, name: str, values: Iterable[Value] = (), variable: bool = False) -> None:
        self.name = name
        self.values = list(values)
        self.variable = variable
        self.append = False
        self.juxtaposed = False  # written "name value", without a "="
        self.immutable = False
        self.generation = 0
        self.bad = False


# How much may be copied to put the values of variables in: doubled again and again, a few lines would fill any memory.
MOST_FILLED = 1 << 25


class Jail:
    def __init__(self, name: str) -> None:
        self.name = name
        self.params: List[Param] = []
        self.has_name = False
        self.room = MOST_FILLED

    def find(self, name: str) -> Optional[Param]:
        """The parameter of this name, or of its "no" form: jail(8) takes the first that it finds."""
        names = spellings(name)
        return next((param for param in self.params if param.name in names), None)


def _wild_match(name: str, wild: str) -> bool:
    """A "*" component matches one component; the last one matches one or more."""
    names, wilds = name.split("."), wild.split(".")
    while len(names) > 1 and len(wilds) > 1:
        if names.pop(0) != wilds[0] and wilds[0] != "*":
            return False
        wilds.pop(0)
    return wilds == ["*"] or names == wilds


def _is_number(name: str) -> bool:
    """Whether C's strtol takes the whole of a name and makes something but 0 of it."""
    return re.match(r"[ \t\n\v\f\r]*[+-]?0*[1-9][0-9]*\Z", name) is not None


def merge(jails: List[Jail], said: List[str]) -> List[Jail]:
    """Give each jail the parameters of the blocks that match it, in the order of the blocks."""
    places = {id(jail): place for place, jail in enumerate(jails)}
    wild = [jail for jail in jails if is_wild(jail.name)]
    real = [jail for jail in jails if not is_wild(jail.name)]
    room = MOST_FILLED
    for jail in real:
        own, jail.params = jail.params, []
        numeric = _is_number(jail.name)
        _imply(jail, "jid" if numeric else "name")
        before = [block for block in wild if places[id(block)] < places[id(jail)]]
        for block in before:
            if _wild_match(jail.name, block.name):
                _add_all(jail, block.params, said)
        _add_all(jail, own, said)
        for block in wild[len(before):]:
            if _wild_match(jail.name, block.name):
                _add_all(jail, block.params, said)
        if not jail.has_name:
            _imply(jail, "name")
        jail.room = room
        _substitute(jail, said)
        room = jail.room
        jail.params = [param for param in jail.params if not param.variable]
    return real


def _imply(jail: Jail, name: str) -> None:
    param = Param(name, [Value(jail.name)])
    param.immutable = True
    jail.has_name = jail.has_name or name == "name"
    jail.params.append(param)


def _add_all(jail: Jail, params: Iterable[Param], said: List[str]) -> None:
    for param in params:
        _add(jail, param, said)


def _add(jail: Jail, param: Param, said: List[str]) -> None:
    """Append or replace a parameter; the last spelling ("x" or "nox") is the one that stays."""
    name = param.name
    clash = f'jail: {jail.name}: variable "${name}" cannot have the same name as a parameter.'
    values = [Value(value.text, value.variables) for value in param.values]
    old = jail.find(name)
    if old is None:
        new = Param(name, values, param.variable)
        jail.params.append(new)
        known = _KNOWN & spellings(name)
        if known and param.variable:
            said.append(clash)
            return
        jail.has_name = jail.has_name or "name" in known
        new.immutable = "name" in known or "jid" in known
    elif old.variable != param.variable:
        said.append(clash)
    elif old.immutable:
        said.append(f'jail: {jail.name}: cannot redefine parameter "{old.name}".')
    else:
        old.name = name
        old.values = old.values + values if param.append and values else values


def _substitute(jail: Jail, said: List[str]) -> None:
    """Put the values of variables and parameters in, each after those that it stands on."""
    generation = place = 0
    while place < len(jail.params):
        generation += 1
        jail.params[place].generation = generation
        moved = True
        while moved:
            moved = _fill(jail, place, generation, said)
        place += 1


def _fill(jail: Jail, place: int, generation: int, said: List[str]) -> bool:
    """Fill one parameter in; true when another had to be moved to its place, to be filled in first."""
    param = jail.params[place]
    for value in param.values:
        while value.variables:
            at, name = value.variables[0]
            found = next((other for other in jail.params if other.name == name), None)
            problem = _problem(param, value, name, found, generation)
            if problem is None:
                if found is None:
                    raise AssertionError
                if any(other.variables for other in found.values):
                    found.generation = generation
                    jail.params.remove(found)
                    jail.params.insert(jail.params.index(param), found)
                    return True
                if len(found.values) > 1:
                    raise FormatError(spoken(said) or CRASHES)
                put = found.values[0].text
                jail.room -= len(value.text) + len(put) + len(value.variables)
                if jail.room < 0:
                    raise FormatError("its variables make more than jail(8) could use", f"jail {jail.name}", "Write it with fewer")
                value.text = value.text[:at] + put + value.text[at:]
                value.variables = [(later + len(put), other) for later, other in value.variables]
            else:
                if problem:
                    said.append(f"jail: {jail.name}: {problem}")
                for other in jail.params:
                    other.bad = other.bad or other.generation == generation
            del value.variables[0]
    return False


def _problem(param: Param, value: Value, name: str, found: Optional[Param], generation: int) -> Optional[str]:
    """Why a variable cannot be put in: None when it can, empty when that has been said already."""
    if found is None or not found.values:
        return f'{param.name}: variable "{name}" not found'
    if found.bad:
        return ""
    if found.generation == generation:
        return f"{name}: variable loop"
    if any(other.variables for other in found.values):
        return None
    if len(found.values) > 1 and (value.text or len(value.variables) > 1):
        return f"{param.name}: array cannot be substituted inline"
    return None


def plain(jail: Jail, jids: Dict[str, str]) -> Dict[str, Any]:
    params = {decoded(param.name): [decoded(value.text) for value in param.values] for param in jail.params}
    name, jid = ",".join(params.pop("name", []) or [decoded(jail.name)]), params.pop("jid", None)
    if jid and jid[-1] != name:
        jids[name] = jid[-1]
    return {"name": name, "params": params}
