# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host's pf(4) and dummynet(4): what they hold of ours, read in a few questions, and the steps that change it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.engine.plan import Step, write_step
from ansible_collections.cellblock.jails.plugins.module_utils.networks import dummynet, pf

OURS = (".pf", ".pipes", ".ipfw", "ipfw.rules", "ipfw.sh")


@dataclass(frozen=True)
class Firewall:
    """What is loaded.

    :param running: whether pf is enabled; None where it is not loaded.
    :param uncalled: the lines that the main ruleset lacks.
    :param ruled: whether pf has rules besides those lines.
    :param digests: of the anchors of ours, by anchor.
    :param pipes: the rates of pipes.
    :param files: those of ours, by path.
    :param listeners: sockets of the host's own daemons.
    :param kind: ``pf``, or ``ipfw``, for which ``digest`` tells the text that is loaded.
    :param one_pass: whether ipfw lets pass what was translated or limited, in spite of its next rules.
    """

    running: Optional[bool] = None
    uncalled: Sequence[str] = ()
    digests: Mapping[str, str] = field(default_factory=dict)
    pipes: Mapping[int, float] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    listeners: Sequence[Tuple[str, str, int]] = ()
    kind: str = "pf"
    digest: str = ""
    one_pass: bool = False
    ruled: bool = False


def observe(host: Host, kind: str = "pf", listening: bool = False) -> Firewall:
    """Read the firewall; a host without one is asked two questions.

    :param kind: ``pf`` or ``ipfw``; where pf is not loaded, and ipfw is, that is meant.
    :param listening: whether to ask what the host's own daemons listen on.
    """
    from ansible_collections.cellblock.jails.plugins.module_utils.networks import ipfw_host

    files: Dict[str, str] = {}
    for name in host.listdir(pf.FOLDER):
        if name.endswith(OURS):
            files[f"{pf.FOLDER}/{name}"] = host.read(f"{pf.FOLDER}/{name}") or ""
    found = ipfw_host.observe(host) if kind == "ipfw" else _pf(host)
    if found.running is None and kind == "pf":
        other = ipfw_host.observe(host)
        found = other if other.running is not None else found
    return replace(found, files=files, listeners=_listeners(host) if listening else ())


def _pf(host: Host) -> Firewall:
    running: Optional[bool] = None
    listed = ""
    digests: Mapping[str, str] = {}
    status = host.ask(["pfctl", "-s", "info"])
    if status.rc == 0:
        running = "Status: Enabled" in status.out
        listed = host.ask(["pfctl", "-s", "nat"]).out + host.ask(["pfctl", "-s", "rules"]).out
        digests = pf.loaded(_anchors(host))
    pipes = dummynet.listed(host.ask(["dnctl", "pipe", "list"]).out)
    return Firewall(running, pf.missing(listed), digests, pipes, ruled=bool(pf.others(listed)))


def _anchors(host: Host) -> str:
    """The rules of all anchors of ours. A listing of all at once leaves out those that pf.conf does not call."""
    names = [name.strip() for name in host.ask(["pfctl", "-v", "-s", "Anchors"]).out.splitlines()]
    ours = "".join(f"{name}\n" for name in names if name.startswith(f"{pf.ROOT}/"))
    return host.ask(["xargs", "-n", "1", "pfctl", "-s", "rules", "-a"], stdin=ours).out if ours else ""


def _listeners(host: Host) -> Sequence[Tuple[str, str, int]]:
    from ansible_collections.cellblock.jails.plugins.module_utils.host import listeners

    return [(socket.proto, socket.address, socket.port) for socket in listeners.observe(host).sockets]


def load(host: Host, anchor: str, rules: str) -> None:
    """Put rules into an anchor, in one transaction, in place of all that was there."""
    host.run(["pfctl", "-q", "-a", f"{pf.ROOT}/{anchor}", "-f", "-"], stdin=rules, where=f"anchor {pf.ROOT}/{anchor}")


def load_step(anchor: str, found: Firewall, rules: str) -> List[Step]:
    """The step that brings an anchor's loaded rules to a text; none when they are."""
    now, path = found.digests.get(anchor, ""), pf.path(anchor)
    if found.running is None or now == pf.sign_of(rules):
        return []
    before = found.files.get(path, "")
    known = before if pf.sign_of(before) == now else f"# not what {path} says, but {now or 'nothing'}\n"
    return [Step(
        f"load anchor {pf.ROOT}/{anchor}", lambda host: load(host, anchor, rules), lambda host: load(host, anchor, before if now else ""),
        f"pf anchor {pf.ROOT}/{anchor}", known, rules,
    )]


def alter(
    jail: str, found: Firewall, rules: str, pipes: str, ended: Sequence[str], dropped: Sequence[int],
) -> List[Step]:
    """Bring what is loaded for a running jail to its files.

    :param ended: labels of ports that are no longer; their connections end.
    :param dropped: pipes that are no longer.
    """
    steps = _pipe_steps(jail, found, pipes)
    steps += load_step(pf.jail_anchor(jail), found, rules)
    if ended and found.running is not None:
        steps.append(Step(f"end connections of {len(ended)} closed ports", lambda host: _end(host, ended)))
    return steps + _drop_pipes(found, dropped)


def forget(jail: str, found: Firewall, dropped: Sequence[int]) -> List[Step]:
    """Take away what is loaded for a jail that went without its hooks."""
    return [*load_step(pf.jail_anchor(jail), found, ""), *_drop_pipes(found, dropped)]


def _end(host: Host, labels: Sequence[str]) -> None:
    for label in labels:
        host.run(["pfctl", "-q", "-k", "label", "-k", label])


def _pipe_steps(jail: str, found: Firewall, pipes: str) -> List[Step]:
    lines = [line.split() for line in pipes.splitlines()]
    differing = [
        words for words in lines if not dummynet.holds(int(words[words.index("bw") + 1][:-5]), found.pipes.get(int(words[1])))
    ]
    if not differing:
        return []
    before = found.files.get(f"{pf.FOLDER}/{pf.jail_anchor(jail)}.pipes", "")
    path = f"{pf.FOLDER}/{pf.jail_anchor(jail)}.pipes"

    def put(host: Host, text: str) -> None:
        host.run(["kldload", "-n", "dummynet"])  # without it pf drops what a rule sends into a pipe
        for line in text.splitlines():
            host.run(["dnctl", *line.split()], where=f"jail {jail}")

    return [Step(
        f"set pipes {', '.join(words[1] for words in differing)}", lambda host: put(host, pipes), lambda host: put(host, before),
        f"{path}, loaded", before, pipes,
    )]


def _drop_pipes(found: Firewall, pipes: Sequence[int]) -> List[Step]:
    there = [str(pipe) for pipe in pipes if pipe in found.pipes]

    def do(host: Host) -> None:
        for pipe in there:
            host.ask(["dnctl", "pipe", "delete", pipe])

    return [Step(f"delete pipes {', '.join(there)}", do)] if there else []


def drop_files(paths: Sequence[str], found: Firewall) -> List[Step]:
    """Take away files that are there."""
    return [step for path in paths for step in write_step(path, found.files.get(path), None)]


def drop_made(paths: Sequence[str]) -> Step:
    """Take away files that this run made for what failed."""

    def do(host: Host) -> None:
        for path in paths:
            if host.lstat(path) is not None:
                host.remove(path)

    return Step(f"remove {', '.join(paths)}", do)


# -- told of what is loaded


def limits(found: Firewall, jail: str, pipe: int) -> Dict[str, int]:
    """A jail's bandwidth, as the file of its pipes has it."""
    anchor = pf.jail_anchor(jail)
    text = found.files.get(f"{pf.FOLDER}/{anchor}.pipes", "") + found.files.get(f"{pf.FOLDER}/{anchor}.ipfw", "")
    rates = {int(number): int(rate) for number, rate in re.findall(r"(?m)^pipe (\d+) config bw (\d+)bit/s", text)}
    both = (("in", pipe), ("out", pipe + 1))
    return {way: rates[number] for way, number in both if number in rates}


def drift(found: Firewall, jail: str) -> List[Dict[str, Any]]:
    """Where what is loaded for a running jail is not what its file says."""
    anchor = pf.jail_anchor(jail)
    if found.kind == "ipfw":
        from ansible_collections.cellblock.jails.plugins.module_utils.networks import ipfw

        said, now = ipfw.loaded(found.files.get(ipfw.RULES, "")), found.digest
    else:
        said, now = pf.sign_of(found.files.get(pf.path(anchor), "")), found.digests.get(anchor, "")
    told = [] if said == now else [{"parameter": "firewall", "file": [said] if said else [], "kernel": [now] if now else []}]
    for line in found.files.get(f"{pf.FOLDER}/{anchor}.pipes", "").splitlines() if found.kind == "pf" else ():
        number, rate = int(line.split()[1]), int(line.split()[4][:-5])
        if not dummynet.holds(rate, found.pipes.get(number)):
            told.append({"parameter": "bandwidth", "file": [str(rate)], "kernel": [f"{found.pipes[number]:.0f}"] if number in found.pipes else []})
    return told
