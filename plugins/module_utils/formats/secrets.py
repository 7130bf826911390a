# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is secret in texts of FreeBSD's formats, and how such texts are shown. No answer, diff or message goes out without it."""

from __future__ import annotations

import re
from typing import Any

HIDDEN = "(hidden)"
_VALUE = r"(?:\"(?:[^\"\\]|\\.)*\"|'[^']*'|[^\s\"',;]+)"
_SECRETS = (
    # The password of CARP, see ifconfig(8), in addresses and in commands.
    re.compile(r"(\bvhid\s+\d+\b[^\n;,]*?\bpass\s+)[^\s\"',;]+"),
    # NAME=value and NAME: value, in environments, hooks, options of mounts and what programs print.
    re.compile(rf"(?i)((?<![A-Za-z])[\w.-]*(?:passw(?:or)?d|passphrase|secret|token|api_?key|private_?key)[\w.-]*\s*[=:]\s*){_VALUE}"),
    # The user's part of a URL.
    re.compile(r"(\b[A-Za-z][A-Za-z0-9+.-]*://)[^\s/@\"']+@"),
    # Whole environments of jails, see jail(8).
    re.compile(rf"(?m)(^\s*\"?env(?:\.[\w.-]+)?\"?\s*=\s*)(?:{_VALUE}(?:,\s*)?)+"),
    # Hashes of crypt(3).
    re.compile(r"(\$(?:1|2[abxy]?|5|6|argon2\w*)\$)[./A-Za-z0-9$=,]{8,}"),
)


def hide(text: str) -> str:
    """A text without the secrets in it."""
    for number, pattern in enumerate(_SECRETS):
        text = pattern.sub(rf"\g<1>{HIDDEN}" + ("@" if number == 2 else ""), text)
    return text


def hide_all(value: Any) -> Any:
    """The same for every text in a value made of lists and dictionaries."""
    if isinstance(value, str):
        return hide(value)
    if isinstance(value, dict):
        return {key: HIDDEN if str(key) == "env" or str(key).startswith("env.") else hide_all(one) for key, one in value.items()}
    return [hide_all(one) for one in value] if isinstance(value, (list, tuple)) else value
