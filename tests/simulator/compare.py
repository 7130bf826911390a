# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two hosts' answers to one command: the same, less what no two hosts have in common."""

from __future__ import annotations

import json
import re
from typing import Any, Dict, List, NamedTuple, Pattern, Tuple


class Answer(NamedTuple):
    """What a command answered."""

    rc: int
    out: str
    err: str


# What differs from host to host, or from one moment to the next, and what stands for it.
VOLATILE: Tuple[Tuple[Pattern[str], str], ...] = tuple((re.compile(pattern, re.MULTILINE), word) for pattern, word in (
    # Interfaces: the collection reads names, addresses and groups, and never one of link-local kind.
    (r"^\t(?:options|ether|media|status|nd6 options|id|maxage|root id|bridge flags|lladdr|hwaddr)\b.*\n", ""),
    (r"^\tinet6 fe80:.*\n", ""),
    (r"^(\S+): flags=.*$", r"\1: flags=FLAGS"),
    (r"\bepair\d+([ab])\b", r"epairN\1"),
    # Jails: sets of CPUs are numbered like jails, but not one by one.
    (r'("cpuset\.id": ?"|\bcpuset\.id=)\d+', r"\1N"),
    # Sizes of zfs(8) and zpool(8), and what a jail uses.
    (r"^(cputime|datasize|stacksize|coredumpsize|memory\w+|maxproc|openfiles|vmemoryuse|pseudoterminals|swapuse|nthr|n?msg\w+|"
     r"n?sem\w*|n?shm\w*|wallclock|pcpu|(?:read|write)(?:bps|iops))=\S+$", r"\1=N"),
    # Processes and times.
    (r"\bpid \d+", "pid N"), (r'("(?:pid|fd)": ?)\d+', r"\1 0"),
    (r"^ *0 +\d+ (/usr/)", r"host: \1"), (r"^ *\d+ +\d+ (/usr/)", r"jail: \1"),
    (r"^Waiting for PIDS: .*\n", ""),  # told where a process is still there a moment later
    (r"\{ sec = \d+, usec = \d+ \}.*$", "TIME"),
    (r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", "UUID"),
    (r"\bcellblock\.\w+", "cellblock.N"),
    # Streams: what names one, and when it was held.
    (r"\b1-[0-9a-f]+-[0-9a-f]+-[0-9a-f]+\b", "TOKEN"), (r"\b[A-Z]\w\w [A-Z]\w\w +\d+ \d\d:\d\d \d{4}$", "DATE"),
))
# Where jails are numbered, by the kernel's own count.
JIDS = re.compile(
    r'(?:"(?:jid|parent)": ?"?|\b(?:jid|parent)=|\bjail (?=\d+ (?:mask|domain))|\bvnet |\bjail: "(?=\d+" already)|^ {1,5})(\d+)'
    r'(?=[",}:\s]|$)', re.MULTILINE,
)
SIZES = re.compile(r"(?<=\t)\d+(?:\.\d+)?[KMGTPE]?B?(?=\t|$)", re.MULTILINE)


def normal(text: str) -> str:
    """A text without what differs from host to host.

    Jails' numbers become their order of appearance, so that what belongs together still does.
    """
    seen: Dict[str, str] = {"0": "0"}

    def number(found: "re.Match[str]") -> str:
        name = seen.setdefault(found.group(1), f"JID{len(seen)}")
        before = found.group(0)[: -len(found.group(1))]
        return before.strip() + name if before.startswith(" ") else f'{before}"{name}"' if before.rstrip().endswith(":") else before + name

    for pattern, word in VOLATILE:
        text = pattern.sub(word, text)
    text = JIDS.sub(number, text)
    lines = [SIZES.sub("SIZE", line) if line.startswith("zroot") else line for line in text.splitlines(keepends=True)]
    return _one_json("".join(lines))


def _one_json(text: str) -> str:
    """JSON in one form, and of mounts and sockets what a test may have made; other text as it is."""
    try:
        found = json.loads(text)
    except ValueError:
        return text
    if isinstance(found, dict) and "mount" in found:
        found["mount"]["mounted"] = [one for one in found["mount"].get("mounted", []) if below_jails(one["node"])]
    return json.dumps(found, sort_keys=True) + "\n"


def below_jails(path: str) -> bool:
    """Whether a path is where tests make jails."""
    return path == "/jails" or path.startswith("/jails/")


def pick(answer: Answer, pattern: str) -> Answer:
    """An answer less all lines and JSON rows that a pattern is not in: what is told of one thing among others'."""
    try:
        rows = _rows(json.loads(answer.out))
        out = "".join(json.dumps(row, sort_keys=True) + "\n" for row in rows if re.search(pattern, json.dumps(row)))
    except ValueError:
        out = "".join(line for line in answer.out.splitlines(keepends=True) if re.search(pattern, line))
    return answer._replace(out=out)


def _rows(found: Any) -> List[Any]:
    """The rows of libxo's JSON, whatever they are called there."""
    while isinstance(found, dict):
        found = next((value for value in found.values() if isinstance(value, (dict, list))), [])
    return list(found)


def normal_answer(answer: Answer) -> Answer:
    """An answer without what differs from host to host."""
    return Answer(answer.rc, normal(answer.out), normal(answer.err))


def differences(one: Answer, other: Answer) -> List[str]:
    """In which of ``rc``, ``out`` and ``err`` two answers differ."""
    pairs = zip(Answer._fields, normal_answer(one), normal_answer(other))
    return [name for name, mine, yours in pairs if mine != yours]
