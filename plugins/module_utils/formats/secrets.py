# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is secret in texts of FreeBSD's formats, and how such texts are shown. No answer, diff or message goes out without it."""

from __future__ import annotations

import re
from typing import Any

HIDDEN = "(hidden)"
_VALUE = r"(?:\"(?:[^\"\\]|\\.)*\"|'[^']*'|[^\s\"',;\\]+)"
_NAMES = (
    r"passw(?:or)?d|passphrase|secret|token|credential|(?<![A-Za-z])psk"
    r"|(?:api|auth|access|private|wpa|wep|nw|wg|shared|signing|encryption|master)[_-]?key"
)
_SECRETS = (
    # The password of CARP, see ifconfig(8), in addresses and in commands.
    re.compile(r"(\bvhid\s+\d+\b[^\n;,]*?\bpass\s+)[^\s\"',;]+"),
    re.compile(r"(\bpass\s+)[^\s\"',;]+(?=[^\n;,\"]*?\bvhid\s+\d)"),
    re.compile(r"(\|[0-9A-Fa-f.:]+(?:/[0-9.]+)?\s[^\n;,\"]*?\bpass\s+)[^\s\"',;]+"),
    # NAME=value and NAME: value, in environments, hooks, options of mounts and what programs print.
    re.compile(rf"(?i)((?<![A-Za-z])[\w.-]*(?:{_NAMES})[\w.-]*\s*[=:]\s*){_VALUE}"),
    re.compile(rf"(?i)((?<![A-Za-z])(?:pass|pwd)\s*=\s*){_VALUE}"),
    # --name value, and the keys of ifconfig(8) and its like; a name of a file is none.
    re.compile(rf"(?i)((?<![\w-])--?(?![\w-]*(?:file|path)\b)[\w-]*(?:{_NAMES}|pass)\s+)(?!-){_VALUE}"),
    re.compile(rf"(?i)(\b(?:wpakey|wepkey|nwkey|wgkey|psk)\s+){_VALUE}"),
    # Headers of HTTP, and the options of some programs.
    re.compile(r"(?i)(\bauthorization\s*:\s*(?:\w+\s+)?)[^\s\"',;]+"),
    re.compile(r"(?i)(\bbearer\s+)[^\s\"',;]{8,}"),
    re.compile(rf"(\b(?:mysql\w*|mariadb\w*|sshpass)\b[^\n;|&]*?\s-p\s?){_VALUE}"),
    re.compile(r"(\bcurl\b[^\n;|&]*?\s(?:-u|--user)\s+[^\s:\"']+:)[^\s\"']+"),
    # The user's part of a URL, and the password in a share of mount_smbfs(8).
    re.compile(r"(\b[A-Za-z][A-Za-z0-9+.-]*://)[^\s/@\"']+(?=@)"),
    re.compile(r"((?<![\w:])//[^\s/@:\"']+:)[^\s/@\"']+(?=@)"),
    # Whole environments of jails, see jail(8).
    re.compile(rf"(?m)(^\s*\"?env(?:\.[\w.-]+)?\"?\s*=\s*)(?:{_VALUE}(?:,\s*)?)+"),
    # Hashes of crypt(3).
    re.compile(r"(\$(?:1|2[abxy]?|5|6|argon2\w*)\$)[./A-Za-z0-9$=,]{8,}"),
)


def hide(text: str) -> str:
    """A text without the secrets in it."""
    for pattern in _SECRETS:
        text = pattern.sub(rf"\g<1>{HIDDEN}", text)
    return text


def hide_all(value: Any) -> Any:
    """The same for every text in a value made of lists and dictionaries."""
    if isinstance(value, str):
        return hide(value)
    if isinstance(value, dict):
        if _is_env(value.get("parameter")):  # what drifted
            return {key: one if key == "parameter" else HIDDEN for key, one in value.items()}
        return {key: HIDDEN if _is_env(key) else hide_all(one) for key, one in value.items()}
    return [hide_all(one) for one in value] if isinstance(value, (list, tuple)) else value


def _is_env(name: Any) -> bool:
    return str(name) == "env" or str(name).startswith("env.")
