# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a field of FreeBSD's text formats can carry. A value that would become text of another meaning is refused.

This is the one place that decides it: who declares a value names the kind of its field, and who reads the table knows
all that is ever written.
"""

from __future__ import annotations

import re
from typing import Dict, Tuple

from ansible_collections.cellblock.jails.plugins.module_utils.errors import InputError

# Kind of field: what it may be, and that in words.
_PLAIN = r"[^\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]*"  # no control characters, no other ends of lines, nothing but UTF-8
KINDS: Dict[str, Tuple[str, str]] = {
    "line": (_PLAIN, "one line without control characters"),
    "value": (r"[^\x00\n]*", "one line"),
    "text": (r"[^\x00]*", "any text without a NUL"),
    "path": ("/" + _PLAIN, "an absolute path without control characters"),
    "name of a base": (r"[A-Za-z0-9][A-Za-z0-9._:+-]*", "a name of letters, digits and '._:+-', or an absolute path"),
    "host name": (r"[A-Za-z0-9_.:-]+", "letters, digits, '.', '-', '_' and ':'"),
    "interface": (r"[A-Za-z][A-Za-z0-9_.-]{0,14}", "at most 15 letters, digits, '_', '.' and '-', beginning with a letter"),
    "words of ifconfig": (r"[A-Za-z0-9_.:/ +@%=-]*", "words of letters, digits and '_.:/+@%=-', with blanks between"),
    "type of file system": (r"[A-Za-z][A-Za-z0-9._-]*", "a type as mount(8) has it, such as nullfs or tmpfs"),
    "options of a mount": (r"[A-Za-z0-9_.,:/=@%+-]+", "options as mount(8) has them, with commas and without blanks"),
    "CPUs": (r"[0-9]+(-[0-9]+)?(,[0-9]+(-[0-9]+)?)*", "a list such as 0-3,6"),
    "package": (r"[A-Za-z0-9][A-Za-z0-9._+@/,~-]*", "a package's name or origin"),
    "alias": (r"[A-Za-z0-9_.+@-]+", "letters, digits and '_.+@-'"),
}


def check(kind: str, value: str, where: str) -> str:
    """The value, if a field of this kind can carry it.

    :param kind: one of KINDS.
    :param where: the option that it is from.
    :raises InputError: it cannot.
    """
    pattern, words = KINDS[kind]
    if not re.fullmatch(pattern, value):
        raise InputError(f"{value!r} cannot stand there", where, f"Give {words}")
    return value
