# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run did, a line for each jail that changed. Pure: what modules returned in, lines out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ansible_collections.cellblock.jails.plugins.plugin_utils.shown import line as shown

HOST, WIDEST, NAME_WIDEST = "(host)", 200, 40


class Told(NamedTuple):
    """One line: a jail of a host, or the host itself, and what became of it."""

    host: str
    subject: str
    text: str
    kind: str  # done, waits or failed


def of_hosts(results: Mapping[str, Any]) -> list[Told]:
    """What there is to tell, host by host; nothing of those where nothing happened and nothing waits.

    :param results: by host's name, what a module of this collection returned there, or a list of that.
    """
    found: list[Told] = []
    for host, given in results.items():
        listed = [given] if isinstance(given, Mapping) else given
        found.extend(_of_host(str(host), [one for result in listed for one in _flat(result)]))
    return found


def _flat(result: Any) -> Iterator[Mapping[str, Any]]:
    """A result, or those of a loop."""
    if isinstance(result, Mapping) and isinstance(result.get("results"), (list, tuple)):
        for one in result["results"]:
            yield from _flat(one)
    elif isinstance(result, Mapping) and not result.get("skipped"):
        yield result


def _of_host(host: str, results: Sequence[Mapping[str, Any]]) -> Iterator[Told]:
    waits: list[Told] = []
    for result in results:
        jails, failures = _mapping(result.get("jails")), _mapping(result.get("failures"))
        steps = [str(step) for step in _list(result.get("steps"))]
        did = {name: _did(_mapping(of_one)) for name, of_one in jails.items()}
        busy = any(did.values())
        own = [step for step in steps if not any(step.startswith(f"{name}: ") for name in jails)]
        own = [step for step in own if not (busy and step.startswith("write /etc/"))]  # files that jails share
        yield from (Told(host, HOST, line, "done") for line in _parts(own))
        for name, of_one in jails.items():
            facts = _mapping(of_one)
            if name not in failures and did[name]:
                yield Told(host, str(name), did[name], "done")
            if name not in failures and facts.get("restart_waits"):
                waits.append(Told(host, str(name), f"waits for a restart: {', '.join(map(str, _list(facts['restart_waits'])))}", "waits"))
        for name, why in failures.items():
            yield Told(host, str(name), f"failed: {why}", "failed")
        for part in (result, *map(_mapping, result.values())):
            for what in (*_list(part.get("reboot")), *_list(part.get("reboot_waits"))):
                waits.append(Told(host, HOST, f"waits for a reboot: {what}", "waits"))
            waits += [Told(host, HOST, f"waits: {what}", "waits") for what in _list(part.get("waits"))]
    yield from dict.fromkeys(waits)


def _did(facts: Mapping[str, Any]) -> str:
    """What was done with a jail: as its module says, or from where to where it was upgraded."""
    if "did" in facts or not facts.get("changed"):
        return str(facts.get("did") or "")
    ways = [str(facts[end]) for end in ("from", "to") if facts.get(end)]
    return f"upgraded from {ways[0]} to {ways[1]}" if len(ways) == 2 else "changed"


def _parts(steps: Sequence[str]) -> list[str]:
    """Steps of the host on one line for each part that they begin with, such as ``storage: ``."""
    found: dict[str, list[str]] = {}
    for step in steps:
        part, colon, rest = step.partition(": ")
        named = bool(colon) and " " not in part and "/" not in part
        found.setdefault(part if named else "", []).append(rest if named else step)
    return [f"{part}: {'; '.join(words)}" if part else "; ".join(words) for part, words in found.items()]


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> Sequence[Any]:
    return value if isinstance(value, (list, tuple)) else []


def lines(told: Sequence[Told]) -> list[tuple[str, str]]:
    """Lines as they are shown, in columns, each with its kind."""
    widths = [max((min(len(shown(one[column])), NAME_WIDEST) for one in told), default=0) for column in (0, 1)]
    return [
        (f"{shown(one.host, NAME_WIDEST):{widths[0]}}  {shown(one.subject, NAME_WIDEST):{widths[1]}}  {shown(one.text, WIDEST)}", one.kind)
        for one in told
    ]


def artifacts(told: Sequence[Told]) -> dict[str, Any]:
    """What a workflow may want to know, by host: which jails changed, which failed, and what waits."""
    found: dict[str, Any] = {"cellblock_changed": {}, "cellblock_failed": {}, "cellblock_waits": {}}
    for one in told:
        where = found[{"done": "cellblock_changed", "failed": "cellblock_failed", "waits": "cellblock_waits"}[one.kind]]
        text = f"{one.subject}: {one.text}" if one.kind == "waits" else one.subject
        where.setdefault(one.host, [])
        if text not in where[one.host]:
            where[one.host].append(text)
    return found
