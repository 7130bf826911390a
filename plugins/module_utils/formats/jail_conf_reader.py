# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The reader of jail.conf(5).

jail(8) is a flex scanner below a byacc parser; what it says of a wrong file follows from both, so both are
kept here: the scanner's longest match and its two modes, the parser's states and its error recovery. All
text is handled as bytes (a str of code points below 256), as jail(8) does.
"""

from __future__ import annotations

import errno
import fnmatch
import os
import re
from typing import Any, Callable, Dict, List, Optional

from ansible_collections.cellblock.jails.plugins.module_utils.errors import CellblockError, FormatError
from ansible_collections.cellblock.jails.plugins.module_utils.formats.jail_conf import Files, as_bytes
from ansible_collections.cellblock.jails.plugins.module_utils.formats.jail_conf_blocks import Jail, Param, Value, decoded, merge, plain, spoken
from ansible_collections.cellblock.jails.plugins.module_utils.formats.jail_conf_scanner import END, PLEQ, STR, STR1, VAR, VAR1, Scanner

MAX_INCLUDE_DEPTH = 32


class LocalFiles:
    """The files of this machine."""

    def read(self, path: str) -> Optional[str]:
        """A file's text; None when there is none; OSError when it cannot be read."""
        try:
            with open(path, encoding="utf-8", errors="surrogateescape", newline="") as stream:
                return stream.read()
        except FileNotFoundError:
            return None

    def listdir(self, path: str) -> List[str]:
        """Names in a directory; none when it cannot be listed."""
        try:
            return os.listdir(path)
        except OSError:
            return []


def read(
    text: str, directory: Optional[str], name: str, warnings: Optional[List[str]], files: Optional[Files],
    jids: Optional[Dict[str, str]] = None,
) -> List[Dict[str, Any]]:
    """What :func:`jail_conf.parse` answers."""
    said: List[str] = []
    source = _Source(said, files or LocalFiles(), directory)
    source.parse(as_bytes(text), as_bytes(name))
    jails = merge(source.jails, said)
    if warnings is not None:
        warnings.extend(spoken([line]) for line in said)
    return [plain(jail, {} if jids is None else jids) for jail in jails]


class _Source:
    """The files of one configuration, parsed: jails in the order of their blocks, nothing merged."""

    def __init__(self, said: List[str], files: Files, directory: Optional[str]) -> None:
        self.jails: List[Jail] = []
        self.said = said
        self.global_jail: Optional[Jail] = None
        self.open_jails: List[Jail] = []
        self._files = files
        self._directory = directory
        self._depth = 0

    def parse(self, text: str, name: str) -> None:
        scanner = Scanner(text, name, self.said)
        if not _Parser(scanner, self).run() or scanner.failed:
            raise self.refuse()

    def refuse(self, message: Optional[str] = None) -> FormatError:
        if message is not None:
            self.said.append(message)
        return FormatError(spoken(self.said))

    def open_jail(self, name: str) -> None:
        if self.open_jails:
            name = f"{self.open_jails[-1].name}.{name}"
        self.open_jails.append(Jail(name))
        self.jails.append(self.open_jails[-1])

    def add(self, param: Param, scanner: Scanner) -> None:
        """A parameter at its ";": those outside of any block belong to one jail named "*"."""
        if param.juxtaposed and param.name == ".include" and not param.variable:
            for value in param.values:
                if value.variables:
                    scanner.warn("variables not permitted in '.include' filename")
                else:
                    self._include(value.text, scanner.name)
            return
        if not self.open_jails and self.global_jail is None:
            self.global_jail = Jail("*")
            self.jails.append(self.global_jail)
        jail = self.open_jails[-1] if self.open_jails else self.global_jail
        if jail is None:
            raise AssertionError
        jail.params.append(param)

    def _include(self, wanted: str, including: str) -> None:
        self._depth += 1
        if self._depth > MAX_INCLUDE_DEPTH:
            raise self.refuse("jail: maximum include depth exceeded")
        if not wanted.startswith("/"):
            wanted = including[: including.rfind("/") + 1] + wanted
        if self._directory is None:
            fix = "Say in which directory included files are"
            raise FormatError(f"includes {decoded(wanted)}", decoded(including), fix)
        for path in self._glob(wanted) if _has_magic(wanted) else [wanted]:
            self.parse(self._read(path), path)
        self._depth -= 1

    def _read(self, path: str) -> str:
        reason = os.strerror(errno.ENOENT)
        try:
            text = self._files.read(self._real(path))
        except IsADirectoryError as error:
            raise self.refuse("input in flex scanner failed") from error
        except OSError as error:
            text, reason = None, error.strerror or reason
        except CellblockError as error:
            raise self.refuse(f"jail: {path}: {as_bytes(error.what)}") from error
        if text is None:
            raise self.refuse(f"jail: {path}: {reason}")
        return as_bytes(text)

    def _real(self, path: str) -> str:
        return os.path.join(self._directory or "", decoded(path))

    def _glob(self, pattern: str) -> List[str]:
        """glob(3): what is there, sorted by byte; a leading dot is only matched by a dot."""
        found = [""]
        listing = False
        for part in re.split("(/+)", pattern):
            listing = listing or _has_magic(part)
            if listing and part.strip("/"):
                # fnmatch has no backslash; a bracket of one character does the same
                rule = re.compile(fnmatch.translate(re.sub(r"\\(.)", r"[\1]", part, flags=re.DOTALL)))
                found = [path + name for path in found for name in self._names(path, part) if rule.match(name)]
            else:
                found = [path + re.sub(r"\\(.)", r"\1", part, flags=re.DOTALL) for path in found]
        return sorted(found)

    def _names(self, path: str, part: str) -> List[str]:
        names = [as_bytes(name) for name in self._files.listdir(self._real(path))]
        return [name for name in [".", "..", *names] if not name.startswith(".") or part.startswith(".")]


def _has_magic(pattern: str) -> bool:
    return re.search(r"[*?]|\[!?[^!].*?\]", re.sub(r"\\.", "", pattern, flags=re.DOTALL), re.DOTALL) is not None


_State = Callable[[str], Any]  # a token's kind in, the next _State out, or None when the token is wrong


class _Parser:
    """jail(8)'s jailparse.y as byacc runs it: its states, and what it does on an error.

    Only the state in which a jail, a parameter or a ";" may begin takes the error token. So every error drops
    what has been begun, skips to the next ";", and takes all that as one parameter.
    """

    def __init__(self, scanner: Scanner, source: _Source) -> None:
        self._scanner = scanner
        self._source = source
        self._depth = 0
        self._ahead = ""
        self._quiet = 0  # byacc's yyerrflag: no message until three tokens in a row were right
        self._param = Param("")

    def run(self) -> bool:
        """Parse to the end; false when byacc gives up before it."""
        state: _State = self._conf
        self._ahead = self._scanner.next()
        while self._ahead != END or state != self._conf or self._depth:
            following = state(self._ahead)
            if following is None:
                if not self._recover():
                    return False
                following = self._conf
            state = following
            self._quiet = max(0, self._quiet - 1)
            self._ahead = self._scanner.next()
        return True

    def _recover(self) -> bool:
        """Skip to the ";" that ends a wrong parameter; false when there is none."""
        if not self._quiet:
            self._scanner.syntax_error()
        # The wrong parameter is whatever the last token left as its value; jail(8) follows it as a pointer.
        crashes = self._scanner.value is None
        while self._ahead != ";":
            if self._ahead == END:
                return False
            self._ahead = self._scanner.next()
        if crashes:
            raise self._source.refuse()
        self._quiet = 3
        return True

    def _conf(self, kind: str) -> Optional[_State]:
        if kind == STR or kind == VAR:
            self._param = Param(self._scanner.value or "", variable=kind == VAR)
            return self._jail_or_param if kind == STR else self._named
        if kind == "}" and self._depth:
            self._depth -= 1
            self._source.open_jails.pop()
            return self._conf
        return self._conf if kind == ";" else None

    def _jail_or_param(self, kind: str) -> Optional[_State]:
        if kind != "{":
            return self._named(kind)
        self._depth += 1
        self._source.open_jail(self._param.name)
        return self._conf

    def _named(self, kind: str) -> Optional[_State]:
        if kind == ";":
            return self._finish()
        if kind == "=" or kind == PLEQ:
            self._param.append = kind == PLEQ
            return self._value
        self._param.juxtaposed = True
        return self._value(kind)

    def _value(self, kind: str) -> Optional[_State]:
        if kind != STR and kind != VAR:
            return None
        self._param.values.append(Value())
        return self._piece(STR1 if kind == STR else VAR1)

    def _piece(self, kind: str) -> Optional[_State]:
        value = self._param.values[-1]
        if kind == STR1:
            value.text += self._scanner.value or ""
        elif kind == VAR1:
            value.variables.append((len(value.text), self._scanner.value or ""))
        elif kind == ",":
            return self._value
        else:
            return self._finish() if kind == ";" else None
        return self._piece

    def _finish(self) -> _State:
        self._source.add(self._param, self._scanner)
        return self._conf
