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
from typing import Any, Callable, Dict, Iterable, List, Optional, Tuple

from ansible_collections.cellblock.jails.plugins.module_utils.errors import CellblockError, FormatError
from ansible_collections.cellblock.jails.plugins.module_utils.formats.jail_conf import Files, as_bytes, is_wild, spellings

MAX_INCLUDE_DEPTH = 32

CRASHES = "jail(8) crashes on this file: a variable with several values is substituted"


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
    jails = _merge(source.jails, said)
    if warnings is not None:
        warnings.extend(_message([line]) for line in said)
    return [_plain(jail, {} if jids is None else jids) for jail in jails]


def _text(data: str, errors: str = "surrogateescape") -> str:
    return data.encode("latin-1").decode("utf-8", errors)


def _message(said: Iterable[str]) -> str:
    """What jail(8) said, fit for a terminal."""
    return _text("\n".join(said), "replace")


# -- reading: what a file says, before it is merged

class _Value:
    """One value: its literal text, and the variables to put in, each with its place."""

    def __init__(self, text: str = "", variables: Iterable[Tuple[int, str]] = ()) -> None:
        self.text = text
        self.variables = list(variables)


class _Param:
    def __init__(self, name: str, values: Iterable[_Value] = (), variable: bool = False) -> None:
        self.name = name
        self.values = list(values)
        self.variable = variable
        self.append = False
        self.juxtaposed = False  # written "name value", without a "="
        self.immutable = False
        self.generation = 0
        self.bad = False


class _Jail:
    def __init__(self, name: str) -> None:
        self.name = name
        self.params: List[_Param] = []
        self.has_name = False

    def find(self, name: str) -> Optional[_Param]:
        """The parameter of this name, or of its "no" form: jail(8) takes the first that it finds."""
        names = spellings(name)
        return next((param for param in self.params if param.name in names), None)


_END, _STR, _STR1, _VAR, _VAR1, _PLEQ, _OTHER = "end", "STR", "STR1", "VAR", "VAR1", "+=", "other"

# What the scanner's rules match in its usual mode (_) and after a variable inside of double quotes (DQ).
# flex takes the longest match; the order of these alternatives comes to the same, but for "${", where both
# rules may match and are compared.
_ESCAPE = r"\\(?:[0-7]{1,3}|x[0-9A-Fa-f]{1,2}|.)"
_ATOM = rf"(?P<atom>[A-Za-z0-9_!%&()\-.:<>?@\[\]^`|~]+|{_ESCAPE}|[$*+/\\])"
_VARIABLE = r"\$(?P<variable>[A-Za-z_][A-Za-z_0-9]*)"
_USUAL = re.compile(
    r"(?P<skip>[ \t\r\n]+|\#[^\n]*|//[^\n]*|/\*.*?\*/)|(?P<comment>/\*.*)|(?P<token>\+=|[,;={}])"
    r"|'(?P<single>[^'\\]*(?:\\.[^'\\]*)*)'" + r'|"(?P<double>[^"\\]*(?:\\.[^"\\]*)*)"'
    r"|(?P<string>'(?:[^\n'\\]|\\[^\n])*" + r'|"(?:[^\n"\\]|\\[^\n])*)'
    rf"|{_VARIABLE}|{_ATOM}|(?P<other>.)",
    re.DOTALL,
)
_IN_QUOTES = re.compile(
    r'(?P<close>")|(?P<rest>[^"$\\][^"\\]*(?:\\.[^"\\]*)*)"' rf"|{_VARIABLE}|{_ATOM}|(?P<leave>.)", re.DOTALL
)
_BRACED = {
    False: (re.compile(r"\$\{((?:[^\n{}]|(?<=\\)[\n{}])*)\}"), re.compile(r"\$\{(?:[^\n{}]|(?<=\\)[{}])*")),
    True: (re.compile(r'\$\{((?:[^\n"{}]|(?<=\\)[\n"{}])*)\}'), re.compile(r'\$\{(?:[^\n"{}]|(?<=\\)["{}])*')),
}
_ESCAPES = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\n": ""}


def _unescape(text: str, after: str = "") -> str:
    """Take a token's escapes out; ``after`` is what a last, lone backslash escapes. C strings end at a NUL."""

    def plain(match: "re.Match[str]") -> str:
        octal, hexadecimal, single = match.groups()
        if octal:
            return chr(int(octal, 8) & 0xFF)
        if hexadecimal is not None:
            return chr(int(hexadecimal or "0", 16))
        single = single or after
        return _ESCAPES.get(single, single)

    return re.sub(r"\\(?:([0-7]{1,3})|x([0-9A-Fa-f]{0,2})|(.?))", plain, text, flags=re.DOTALL).split("\0", 1)[0]


class _Scanner:
    """jail(8)'s jaillex.l: tokens, one at a time."""

    def __init__(self, text: str, name: str, said: List[str]) -> None:
        self.text = text
        self.name = name
        self.said = said
        self.failed = False
        self.position = 0
        self.token = ""  # the text of the last token, as messages show it
        self.value: Optional[str] = None  # of the last token that had one
        self._in_quotes = False
        self._in_string = False

    def warn(self, what: str) -> None:
        line = self.text.count("\n", 0, self.position) + 1
        self.said.append(f"jail: {self.name} line {line}: {what}")
        self.failed = True

    def syntax_error(self) -> None:
        token = self.token.split("\0", 1)[0]
        if token:
            self.warn(f"{token}: syntax error")
        else:
            self.said.append(f"jail: {self.name}: unexpected EOF")
            self.failed = True

    def next(self) -> str:
        """The next token's kind: one of the kinds above, or the character itself for ``, ; = { }``."""
        while self.position < len(self.text):
            kind = self._braced() if self.text.startswith("${", self.position) else self._match()
            if kind:
                return kind
        self.token = ""
        return _END

    def _take(self, end: int, value: str, kinds: Tuple[str, str]) -> str:
        self.token = self.text[self.position:end]
        self.position = end
        self.value = value
        kind = kinds[self._in_string]
        self._in_string = True
        return kind

    def _braced(self) -> str:
        whole, partial = (rule.match(self.text, self.position) for rule in _BRACED[self._in_quotes])
        if whole and (not partial or whole.end() >= partial.end()):
            return self._take(whole.end(), _unescape(whole.group(1), "}"), (_VAR, _VAR1))
        if partial is None:  # it matches whatever follows a "${"
            raise AssertionError
        self.position = partial.end()
        self.warn("unterminated variable")
        return ""

    def _match(self) -> str:
        match = (_IN_QUOTES if self._in_quotes else _USUAL).match(self.text, self.position)
        if match is None or match.lastgroup is None:  # the last alternative takes any character
            raise AssertionError
        return str(getattr(self, "_on_" + match.lastgroup)(match))

    def _on_skip(self, match: "re.Match[str]") -> str:
        self.position = match.end()
        self._in_string = False
        return ""

    def _on_token(self, match: "re.Match[str]") -> str:
        self._on_skip(match)
        self.token = match.group()
        return self.token

    def _on_atom(self, match: "re.Match[str]") -> str:
        return self._take(match.end(), _unescape(match.group()), (_STR, _STR1))

    def _on_single(self, match: "re.Match[str]") -> str:
        return self._take(match.end(), _unescape(match.group("single")), (_STR, _STR1))

    def _on_double(self, match: "re.Match[str]") -> str:
        """A string in double quotes, or the rest of one, up to the first variable in it."""
        group = match.lastgroup or ""
        dollar = re.match(r"(?:[^$\\]|\\.)*", match.group(group), re.DOTALL)
        end = match.start(group) + (dollar.end() if dollar else 0)
        self._in_quotes = end < match.end(group)
        return self._take(
            end if self._in_quotes else match.end(), _unescape(self.text[match.start(group):end]), (_STR, _STR1)
        )

    _on_rest = _on_double

    def _on_variable(self, match: "re.Match[str]") -> str:
        return self._take(match.end(), match.group("variable"), (_VAR, _VAR1))

    def _on_close(self, match: "re.Match[str]") -> str:
        self.position = match.end()
        self._in_quotes = False
        return ""

    def _on_leave(self, match: "re.Match[str]") -> str:
        self._in_quotes = False
        return ""

    def _on_comment(self, match: "re.Match[str]") -> str:
        self.position = match.end()
        self.warn("unterminated comment")
        return ""

    def _on_string(self, match: "re.Match[str]") -> str:
        self.position = match.end()
        self.warn("unterminated string")
        return ""

    def _on_other(self, match: "re.Match[str]") -> str:
        """Any other byte. From 0x80 on it is a negative char to jail(8), and that is the end of the file."""
        self.position = match.end()
        self.token = match.group()
        return _OTHER if "\0" < self.token < "\x80" else _END


class _Source:
    """The files of one configuration, parsed: jails in the order of their blocks, nothing merged."""

    def __init__(self, said: List[str], files: Files, directory: Optional[str]) -> None:
        self.jails: List[_Jail] = []
        self.said = said
        self.global_jail: Optional[_Jail] = None
        self.open_jails: List[_Jail] = []
        self._files = files
        self._directory = directory
        self._depth = 0

    def parse(self, text: str, name: str) -> None:
        scanner = _Scanner(text, name, self.said)
        if not _Parser(scanner, self).run() or scanner.failed:
            raise self.refuse()

    def refuse(self, message: Optional[str] = None) -> FormatError:
        if message is not None:
            self.said.append(message)
        return FormatError(_message(self.said))

    def open_jail(self, name: str) -> None:
        if self.open_jails:
            name = f"{self.open_jails[-1].name}.{name}"
        self.open_jails.append(_Jail(name))
        self.jails.append(self.open_jails[-1])

    def add(self, param: _Param, scanner: _Scanner) -> None:
        """A parameter at its ";": those outside of any block belong to one jail named "*"."""
        if param.juxtaposed and param.name == ".include" and not param.variable:
            for value in param.values:
                if value.variables:
                    scanner.warn("variables not permitted in '.include' filename")
                else:
                    self._include(value.text, scanner.name)
            return
        if not self.open_jails and self.global_jail is None:
            self.global_jail = _Jail("*")
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
            raise FormatError(f"includes {_text(wanted)}", _text(including), fix)
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
        return os.path.join(self._directory or "", _text(path))

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

    def __init__(self, scanner: _Scanner, source: _Source) -> None:
        self._scanner = scanner
        self._source = source
        self._depth = 0
        self._ahead = ""
        self._quiet = 0  # byacc's yyerrflag: no message until three tokens in a row were right
        self._param = _Param("")

    def run(self) -> bool:
        """Parse to the end; false when byacc gives up before it."""
        state: _State = self._conf
        self._ahead = self._scanner.next()
        while self._ahead != _END or state != self._conf or self._depth:
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
            if self._ahead == _END:
                return False
            self._ahead = self._scanner.next()
        if crashes:
            raise self._source.refuse()
        self._quiet = 3
        return True

    def _conf(self, kind: str) -> Optional[_State]:
        if kind == _STR or kind == _VAR:
            self._param = _Param(self._scanner.value or "", variable=kind == _VAR)
            return self._jail_or_param if kind == _STR else self._named
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
        if kind == "=" or kind == _PLEQ:
            self._param.append = kind == _PLEQ
            return self._value
        self._param.juxtaposed = True
        return self._value(kind)

    def _value(self, kind: str) -> Optional[_State]:
        if kind != _STR and kind != _VAR:
            return None
        self._param.values.append(_Value())
        return self._piece(_STR1 if kind == _STR else _VAR1)

    def _piece(self, kind: str) -> Optional[_State]:
        value = self._param.values[-1]
        if kind == _STR1:
            value.text += self._scanner.value or ""
        elif kind == _VAR1:
            value.variables.append((len(value.text), self._scanner.value or ""))
        elif kind == ",":
            return self._value
        else:
            return self._finish() if kind == ";" else None
        return self._piece

    def _finish(self) -> _State:
        self._source.add(self._param, self._scanner)
        return self._conf


# -- reading: merging

# The parameters that jail(8) itself knows: no variable may have the name of one.
_KNOWN = frozenset(
    "allow.dying command depend exec.clean exec.consolelog exec.fib exec.jail_user exec.poststart exec.poststop"
    " exec.prepare exec.prestart exec.prestop exec.release exec.created exec.start exec.stop exec.system_jail_user"
    " exec.system_user exec.timeout interface ip_hostname mount mount.devfs mount.fdescfs mount.procfs mount.fstab"
    " stop.timeout vnet.interface zfs.dataset allow.chflags allow.mount allow.raw_sockets allow.set_hostname"
    " allow.socket_af allow.sysvipc devfs_ruleset host.hostname ip4.addr ip6.addr jid name path persist securelevel"
    " vnet".split()
)


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


def _merge(jails: List[_Jail], said: List[str]) -> List[_Jail]:
    """Give each jail the parameters of the blocks that match it, in the order of the blocks."""
    places = {id(jail): place for place, jail in enumerate(jails)}
    wild = [jail for jail in jails if is_wild(jail.name)]
    real = [jail for jail in jails if not is_wild(jail.name)]
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
        _substitute(jail, said)
        jail.params = [param for param in jail.params if not param.variable]
    return real


def _imply(jail: _Jail, name: str) -> None:
    param = _Param(name, [_Value(jail.name)])
    param.immutable = True
    jail.has_name = jail.has_name or name == "name"
    jail.params.append(param)


def _add_all(jail: _Jail, params: Iterable[_Param], said: List[str]) -> None:
    for param in params:
        _add(jail, param, said)


def _add(jail: _Jail, param: _Param, said: List[str]) -> None:
    """Append or replace a parameter; the last spelling ("x" or "nox") is the one that stays."""
    name = param.name
    clash = f'jail: {jail.name}: variable "${name}" cannot have the same name as a parameter.'
    values = [_Value(value.text, value.variables) for value in param.values]
    old = jail.find(name)
    if old is None:
        new = _Param(name, values, param.variable)
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


def _substitute(jail: _Jail, said: List[str]) -> None:
    """Put the values of variables and parameters in, each after those that it stands on."""
    generation = place = 0
    while place < len(jail.params):
        generation += 1
        jail.params[place].generation = generation
        moved = True
        while moved:
            moved = _fill(jail, place, generation, said)
        place += 1


def _fill(jail: _Jail, place: int, generation: int, said: List[str]) -> bool:
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
                    raise FormatError(_message(said) or CRASHES)
                put = found.values[0].text
                value.text = value.text[:at] + put + value.text[at:]
                value.variables = [(later + len(put), other) for later, other in value.variables]
            else:
                if problem:
                    said.append(f"jail: {jail.name}: {problem}")
                for other in jail.params:
                    other.bad = other.bad or other.generation == generation
            del value.variables[0]
    return False


def _problem(param: _Param, value: _Value, name: str, found: Optional[_Param], generation: int) -> Optional[str]:
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


def _plain(jail: _Jail, jids: Dict[str, str]) -> Dict[str, Any]:
    params = {_text(param.name): [_text(value.text) for value in param.values] for param in jail.params}
    name, jid = ",".join(params.pop("name", []) or [_text(jail.name)]), params.pop("jid", None)
    if jid and jid[-1] != name:
        jids[name] = jid[-1]
    return {"name": name, "params": params}
