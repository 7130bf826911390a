# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""jail.conf(5), read exactly as FreeBSD 15.1's jail(8) reads it, and written so that it reads back unharmed."""

from __future__ import annotations

import re
from typing import Any, Dict, List, Mapping, Optional, Protocol, Sequence, Set

from ansible_collections.cellblock.jails.plugins.module_utils.errors import FormatError


class Files(Protocol):
    """Where included files come from; a Host is one."""

    def read(self, path: str) -> Optional[str]:
        """A file's text; None when there is none."""

    def listdir(self, path: str) -> List[str]:
        """Names in a directory; none when there is no such directory."""


def parse(
    text: str,
    directory: Optional[str] = None,
    name: str = "jail.conf",
    warnings: Optional[List[str]] = None,
    files: Optional[Files] = None,
    jids: Optional[Dict[str, str]] = None,
) -> List[Dict[str, Any]]:
    """Read a jail.conf.

    :param text: the file's text; bytes that are not UTF-8 as surrogate escapes.
    :param directory: what relative names of included files start from (jail(8)'s working directory);
        None refuses every ``.include``.
    :param name: the file's name, as messages show it; the directory in it counts for ``.include``.
    :param warnings: gets what jail(8) says on stderr of a file that it does not refuse, such as a variable
        that is not found; each such jail would fail to start.
    :param files: where included files are read; this machine by default.
    :param jids: gets the number that a named jail is fixed to, by its name.
    :returns: a list of ``{"name": str, "params": {parameter: [values]}}`` in the order of ``jail -e``; a
        parameter without a value has an empty list under the name it is printed with; ``jid`` is left out,
        as jail(8) leaves it out.
    :raises FormatError: jail(8) refuses the file, or crashes on it; the message is jail(8)'s own.
    """
    # Only a file that is not as we would write it is read: a module call compiles what it imports.
    from ansible_collections.cellblock.jails.plugins.module_utils.formats import jail_conf_reader

    return jail_conf_reader.read(text, directory, name, warnings, files, jids)


def render(jails: Sequence[Mapping[str, Any]]) -> str:
    """Write what :func:`parse` gives: a block for each jail, every value quoted, nothing left to substitute.

    :param jails: ``{"name": str, "params": {parameter: [values]}}``; a bare string or number counts as one
        value.
    :raises FormatError: something that jail.conf cannot hold, or that would read back as something else.
    """
    return "\n".join(_render_jail(jail.get("name"), jail.get("params") or {}) for jail in jails)


def quote(value: str) -> str:
    """A value between double quotes that jail(8) reads back as the same bytes; FormatError for a NUL."""
    if "\0" in value:
        raise FormatError(f"{value!r} holds a NUL, which jail.conf cannot hold", fix="Take it out")
    return '"' + _UNSAFE.sub(_escape, value) + '"'


# -- writing

_UNSAFE = re.compile("[\\x01-\\x1f\"$\\\\\\x7f\ud800-\udfff]")
_NAMED = {"\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v"}
_PLAIN_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*\Z")


def _escape(match: "re.Match[str]") -> str:
    found = match.group()
    if found in '"$\\':
        return "\\" + found
    return _NAMED.get(found) or "".join(f"\\{ord(byte):03o}" for byte in as_bytes(found))


def _render_jail(name: Any, params: Mapping[str, Any]) -> str:
    if not isinstance(name, str) or is_wild(name):
        raise FormatError(f"{name!r} is not the name of one jail", "to_jail_conf", "Give each jail a name of its own")
    lines = [quote(name) + " {"]
    for param, values in params.items():
        for other in spellings(param) - {param}:
            if other in params:
                raise FormatError(f"{param} and {other} are one parameter to jail(8)", name, "Take one of them out")
        if "name" in spellings(param):
            raise FormatError(f"{param} stands among the parameters", name, "The jail's name is given beside them")
        shown = param if _PLAIN_NAME.match(param) else quote(param)
        listed = ", ".join(quote(value) for value in _strings(values))
        lines.append("\t" + shown + (" = " + listed if listed else "") + ";")
    return "\n".join(lines) + "\n}\n"


def _strings(values: Any) -> List[str]:
    if isinstance(values, bool):
        return ["true" if values else "false"]
    if isinstance(values, (str, int)):
        return [str(values)]
    return [string for value in values or () for string in _strings(value)]


def as_bytes(text: str) -> str:
    """A text as jail(8) sees it: a str of code points below 256."""
    try:
        return text.encode("utf-8", "surrogateescape").decode("latin-1")
    except UnicodeEncodeError as error:
        raise FormatError("the text holds half of a character", fix="Give text that UTF-8 can hold") from error


def spellings(name: str) -> Set[str]:
    """A parameter's names: with and without a "no" before any of its components."""
    found = {name}
    starts = [0] + [place + 1 for place, character in enumerate(name) if character == "."]
    for start in starts:
        head, tail = name[:start], name[start:]
        found.add(head + "no" + tail)
        if tail.startswith("no"):
            found.add(head + tail[2:])
    return found


def is_wild(name: str) -> bool:
    """Whether a name matches jails instead of naming one."""
    return "*" in name.split(".")
