# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The scanner of jail.conf(5): jail(8)'s jaillex.l, its longest match and its two modes."""

from __future__ import annotations

import re
from typing import List, Optional, Tuple

END, STR, STR1, VAR, VAR1, PLEQ, OTHER = "end", "STR", "STR1", "VAR", "VAR1", "+=", "other"
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


class Scanner:
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
        return END

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
            return self._take(whole.end(), _unescape(whole.group(1), "}"), (VAR, VAR1))
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
        return self._take(match.end(), _unescape(match.group()), (STR, STR1))

    def _on_single(self, match: "re.Match[str]") -> str:
        return self._take(match.end(), _unescape(match.group("single")), (STR, STR1))

    def _on_double(self, match: "re.Match[str]") -> str:
        """A string in double quotes, or the rest of one, up to the first variable in it."""
        group = match.lastgroup or ""
        dollar = re.match(r"(?:[^$\\]|\\.)*", match.group(group), re.DOTALL)
        end = match.start(group) + (dollar.end() if dollar else 0)
        self._in_quotes = end < match.end(group)
        return self._take(
            end if self._in_quotes else match.end(), _unescape(self.text[match.start(group):end]), (STR, STR1)
        )

    _on_rest = _on_double

    def _on_variable(self, match: "re.Match[str]") -> str:
        return self._take(match.end(), match.group("variable"), (VAR, VAR1))

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
        return OTHER if "\0" < self.token < "\x80" else END
