# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The jails of a host in one remote command, whether they run, die or are only written down.

An unprivileged ssh user can ask all of it: jls(8), jail.conf(5) and the jail's lines of rc.conf(5).
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Mapping
from typing import Any

from ansible_collections.cellblock.jails.plugins.module_utils.errors import FormatError
from ansible_collections.cellblock.jails.plugins.module_utils.formats import jail_conf, outputs, rc_conf
from ansible_collections.cellblock.jails.plugins.module_utils.jails import definition
from ansible_collections.cellblock.jails.plugins.module_utils.jails.params import canonical, find
from ansible_collections.cellblock.jails.plugins.plugin_utils.shown import line

# More than a host has; and what odd values make of code that reads good ones.
MOST_JAILS = 10_000
MOST_PAIRS = 100
_ODD = (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError, OverflowError)
_OFF = ("false", "no", "off", "0")
CONF = "/etc/jail.conf"
RC_CONF = "/etc/rc.conf"
_SCRIPT = """\
PATH=/sbin:/bin:/usr/sbin:/usr/bin; LC_ALL=C.UTF-8; export PATH LC_ALL
echo '{nonce} jls'; jls -d --libxo json -n || exit 1
for f in /etc/jail.conf /etc/jail.*.conf /etc/jail.conf.d/*.conf; do
if [ -f "$f" ] && [ -r "$f" ]; then echo; echo "{nonce} $f"; cat "$f"; fi
done
echo; echo '{nonce} /etc/rc.conf'
sed -n -e '/^# cellblock.jails /p' -e '/^jail_/p' /etc/rc.conf 2>/dev/null
echo; echo '{nonce} end'
"""


def script(nonce: str) -> str:
    """The script that the host's /bin/sh runs.

    :param nonce: a word that no file on the host holds.
    """
    return _SCRIPT.format(nonce=nonce)


class Files:
    """What came from the host, for ``.include``; nothing is read on this machine."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._texts = texts

    def read(self, path: str) -> str | None:
        """A file's text; None when it did not come."""
        return self._texts.get(path)

    def listdir(self, path: str) -> list[str]:
        """The names in a directory."""
        head = path.rstrip("/") + "/"
        return sorted({name[len(head) :].split("/")[0] for name in self._texts if name.startswith(head)})


def read(text: str, nonce: str) -> list[dict[str, Any]]:
    """The jails of the host by name, sorted.

    :param text: what the script printed.
    :returns: for each ``name``, ``state`` (``running``, ``dying``, ``stopped``), ``jid``, ``path``, ``hostname``,
        ``ip4``, ``ip6``, ``vnet``, ``managed``, ``base``, ``root``, ``definition``, ``parameters``, ``meta``, ``tags``.
    :raises FormatError: when the answer is no complete one.
    """
    try:
        return _jails(_parts(text, nonce))
    except _ODD as error:
        raise FormatError(f"the host's answer is malformed: {line(str(error), 200)}", None, "Does jls(8) run there?") from error


def _jails(texts: Mapping[str, str]) -> list[dict[str, Any]]:
    defined = _defined(texts)
    running: dict[str, dict[str, Any]] = {}
    for found in outputs.jails(texts["jls"]):
        jail = _checked(found)
        if jail["name"] not in running or not jail.get("dying"):
            running[jail["name"]] = jail
    names = sorted({*running, *defined})
    if len(names) > MOST_JAILS:
        raise FormatError(f"the host tells of {len(names)} jails")
    return [_jail(name, running.get(name), defined.get(name)) for name in names]


def _checked(jail: Mapping[str, Any]) -> dict[str, Any]:
    """What jls(8) says of a jail: each value a text, a truth, or a list of texts."""
    if not isinstance(jail.get("name"), str) or not re.fullmatch(r"[0-9]{1,10}", str(jail.get("jid", "0"))):
        raise FormatError("a jail without a name or a number")
    for key, value in jail.items():
        entries = value if isinstance(value, list) else [value]
        if not isinstance(key, str) or not all(isinstance(entry, (str, int, float, bool)) for entry in entries):
            raise FormatError(f"{key!r} of a jail is neither a text nor a list of texts")
    for key in ("ip4.addr", "ip6.addr"):
        if not isinstance(jail.get(key, []), list):
            raise FormatError(f"{key} of a jail is no list")
    return dict(jail)


def _parts(text: str, nonce: str) -> dict[str, str]:
    pieces = re.split(f"^{re.escape(nonce)} (.*)\n", text, flags=re.MULTILINE)
    parts = dict(zip(pieces[1::2], pieces[2::2], strict=True))
    if not {"end", "jls", RC_CONF} <= set(parts):
        raise FormatError(f"the host's answer is not complete: {text[:200]!r}", None, "Does jls(8) run there?")
    return parts


def _defined(texts: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """What is written down: the jail's own file counts before /etc/jail.conf, as for rc.d/jail."""
    found: dict[str, dict[str, Any]] = {}
    for path in sorted(texts, key=lambda path: (path != CONF, path)):
        if path.startswith("/etc/jail."):
            for jail in _conf(path, texts):
                found[jail["name"]] = jail
    found.update(_legacy(texts[RC_CONF]))
    for name, (facts, lines) in definition.rc_groups(texts[RC_CONF]).items():
        ours = definition.read_rc(name, facts, lines, "")
        found[name] = {"params": ours.params, "facts": facts, "definition": RC_CONF}
    return found


def _conf(path: str, texts: Mapping[str, str]) -> list[dict[str, Any]]:
    facts = definition.read_mark(texts[path].partition("\n")[0]) or {}
    try:
        jails = jail_conf.parse(texts[path], directory="/", name=path, files=Files(texts))
    except FormatError:
        return []  # a broken file starts no jail either
    return [
        {**jail, "facts": facts if facts.get("name") == jail["name"] else {}, "definition": path}
        for jail in jails
        if not any(part == "*" for part in jail["name"].split("."))
    ]


def _legacy(text: str) -> dict[str, dict[str, Any]]:
    """Jails of rc.conf(5) that are not ours: those in jail_list that have a root."""
    values = rc_conf.values(text)
    found = {}
    for name in values.get("jail_list", "").split():
        root = values.get(f"jail_{definition.infix(name)}_rootdir")
        if root:
            read_back = definition.read_rc(name, {}, values, "")
            found[name] = {"params": read_back.params, "facts": {}, "definition": RC_CONF}
    return found


def _jail(name: str, kernel: Mapping[str, Any] | None, written: Mapping[str, Any] | None) -> dict[str, Any]:
    facts: Mapping[str, Any] = written["facts"] if written else {}
    params: Mapping[str, list[str]] = written["params"] if written else {}

    def last(param: str) -> str:
        return str((kernel or {}).get(param) or (params.get(param) or [""])[-1])

    meta = pairs(kernel, params)
    return {
        "name": name,
        "state": "stopped" if kernel is None else "dying" if kernel.get("dying") else "running",
        "jid": int(str(kernel["jid"])) if kernel and "jid" in kernel else None,
        "path": last("path"),
        "hostname": last("host.hostname"),
        "ip4": _addresses(kernel, params, "ip4.addr"),
        "ip6": _addresses(kernel, params, "ip6.addr"),
        "vnet": last("vnet") in ("new", "1") or (kernel is None and params.get("vnet") == []),
        "managed": bool(facts),
        "base": facts.get("base"),
        "root": facts.get("root"),
        "definition": written["definition"] if written else None,
        "parameters": parameters(kernel if kernel is not None else params),
        "meta": meta,
        "tags": tags(meta),
    }


def parameters(found: Mapping[str, Any]) -> dict[str, Any]:
    """A jail's parameters in the types that jls(8) gives them, wherever they are from.

    :param found: what jls(8) told, or the values of a definition.
    :returns: truths for what is on or off, lists of texts for addresses, names, commands and mounts, else texts.
    """
    typed: dict[str, Any] = {}
    for key, value in found.items():
        values = value if isinstance(value, (list, tuple)) else [value]
        param = find(key)
        kind, head = param.type if param else "", key.partition(".")[0]
        if head in ("meta", "env") and "." in key:
            lines = [typed[head]] if typed.get(head) else []
            typed[head] = "\n".join([*lines, f"{key[len(head) + 1 :]}={values[-1] if values else ''}"])
        elif kind in ("address4", "address6"):
            typed[key] = [bare(one) for entry in values for one in str(entry).split(",")]
        elif kind in ("names", "list", "fstab") or (not kind and isinstance(value, list) and len(values) > 1):
            typed[key] = [str(entry) for entry in values]
        elif kind == "bool" or (not kind and (not values or isinstance(values[-1], bool))):
            name = canonical(key)
            said = values[-1] if values else True
            typed[name] = (said if isinstance(said, bool) else str(said).lower() not in _OFF) == (name == key)
        elif kind == "pairs":
            typed[key] = "\n".join([*([typed[key]] if typed.get(key) else []), *(str(entry) for entry in values)])
        else:
            typed[key] = str(values[-1]) if values else "new"
    return typed


def _addresses(kernel: Mapping[str, Any] | None, params: Mapping[str, list[str]], param: str) -> list[str]:
    if kernel is not None:
        return [str(address) for address in kernel.get(param) or []]
    return [bare(value) for values in params.get(param, []) for value in values.split(",")]


def bare(address: str) -> str:
    """An address without interface, prefix and words for ifconfig."""
    return re.split(r"[/\s]", address.rpartition("|")[2].strip())[0]


def pairs(kernel: Mapping[str, Any] | None, params: Mapping[str, list[str]]) -> dict[str, str]:
    """The jail's ``meta``, whole or by key."""
    text = str((kernel or {}).get("meta") or "") if kernel else "\n".join(params.get("meta") or [])
    found = dict(line.split("=", 1) for line in text.split("\n") if "=" in line)
    if kernel is None:
        found.update({key[5:]: value[-1] for key, value in params.items() if key.startswith("meta.") and value})
    return dict(list(found.items())[:MOST_PAIRS])


def tags(meta: Mapping[str, str]) -> list[str]:
    """The jail's tags: ``meta.tags``, separated by commas or blanks."""
    return [tag for tag in re.split(r"[,\s]+", meta.get("tags", "")) if tag][:MOST_PAIRS]


def matches(name: str, patterns: list[str]) -> bool:
    """Whether a name is one of these, or fits a pattern such as ``web*``."""
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
