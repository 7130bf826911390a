# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ipfw(8) and rc.d/ipfw, as 15.1 answered; without packets."""

from __future__ import annotations

import re
from typing import Any, Dict, List, Tuple

from ..core import Refusal, SimulatedHost, tool
from . import firewall

Answer = Tuple[int, str, str]
ACTIONS = ("allow", "pass", "deny", "reset", "count", "pipe", "nat", "skipto", "check-state")
OPEN = "65000 allow ip from any to any"


def _state(host: SimulatedHost) -> Dict[str, Any]:
    found: Dict[str, Any] = host.state.setdefault("ipfw", {"rules": [], "disabled": [], "nat": {}})
    return found


def loaded(host: SimulatedHost) -> None:
    """The module comes: without the tunable, it denies all."""
    sysctl = host.state["sysctl"]
    accept = str(host.state.get("kenv", {}).get("net.inet.ip.fw.default_to_accept", "0"))
    for name, value in (("net.inet.ip.fw.enable", "1"), ("net.inet6.ip6.fw.enable", "1"), ("net.inet.ip.fw.one_pass", "1"),
                        ("net.inet.ip.fw.default_to_accept", accept)):
        sysctl.setdefault(name, value)


@tool("kenv")
def kenv(host: SimulatedHost, args: List[str], stdin: str) -> Answer:
    """kenv(1)."""
    name, _equals, value = args[-1].partition("=")
    host.state.setdefault("kenv", {})[name] = value
    return 0, f'{name}="{value}"\n', ""


@tool("ipfw")
def ipfw(host: SimulatedHost, args: List[str], stdin: str) -> Answer:
    """ipfw(8): a file is taken line by line, up to the first bad one."""
    if args[0] == "-n":  # checked without the module
        return _check(stdin if args[1] == "/dev/stdin" else host.real(args[1]).read_text())
    if "ipfw" not in host.state["modules"]:
        raise Refusal("ipfw: retrieving config failed: Protocol not available", 71)
    words = [word for word in args if word not in ("-q", "-f")]
    if words[0].startswith("/"):
        text = stdin if words[0] == "/dev/stdin" else host.real(words[0]).read_text()
        for number, line in enumerate(text.splitlines(), 1):
            try:
                _do(host, line.split())
            except Refusal as refusal:
                raise Refusal(f"Line {number}: {refusal.err.strip()}\n", 65) from refusal
        return 0, "", ""
    return _do(host, words)


def _check(text: str) -> Answer:
    for number, line in enumerate(text.splitlines(), 1):
        words = [word for word in line.split() if not word.isdigit()]
        if words[:1] == ["add"] and words[1] not in ACTIONS:
            raise Refusal(f"Line {number}: invalid action {words[1]}\n", 65)
    return 0, text, ""


def _do(host: SimulatedHost, words: List[str]) -> Answer:
    state = _state(host)
    if words[:1] == ["add"]:
        number, words = int(words[1]), words[2:]
        group = 0
        if words[0] == "set":
            group, words = int(words[1]), words[2:]
        if words[0] not in ACTIONS:
            raise Refusal(f"invalid action {words[0]}", 65)
        state["rules"].append([number, group, " ".join(words)])
    elif words[:1] == ["set"]:
        return _set(state, words[1:])
    elif words[:2] == ["delete", "set"]:
        state["rules"] = [rule for rule in state["rules"] if rule[1] != int(words[2])]
    elif words[:1] == ["flush"]:
        state["rules"] = [rule for rule in state["rules"] if rule[1] == 31]
    elif words[:1] in (["nat"], ["pipe"]):
        return _configure(host, state, words)
    elif words[:1] == ["list"]:
        return 0, _listed(state, lambda group: group not in state["disabled"]) + "65535 allow ip from any to any\n", ""
    return 0, "", ""


def _set(state: Dict[str, Any], words: List[str]) -> Answer:
    if words[0] == "swap":
        first, second = int(words[1]), int(words[2])
        for rule in state["rules"]:
            rule[1] = {first: second, second: first}.get(rule[1], rule[1])
    elif words[0] == "disable":
        state["disabled"] = sorted({*state["disabled"], int(words[1])})
    elif words[0] == "enable":
        state["disabled"] = [one for one in state["disabled"] if one != int(words[1])]
    elif words[1:] == ["list"]:
        return 0, _listed(state, lambda group: group == int(words[0])), ""
    return 0, "", ""


def _listed(state: Dict[str, Any], shown: Any) -> str:
    return "".join(f"{number:05d} {text}\n" for number, group, text in sorted(state["rules"], key=lambda rule: int(rule[0])) if shown(group))


def _configure(host: SimulatedHost, state: Dict[str, Any], words: List[str]) -> Answer:
    if words[:3] == ["nat", "show", "config"]:
        return 0, "".join(f"ipfw nat {number} config {text}\n" for number, text in sorted(state["nat"].items())), ""
    if words[0] == "pipe":
        return firewall.dnctl(host, [word for word in words if word != "-q"] if words[2] != "delete" else ["pipe", "delete", words[1]], "")
    if words[2] == "config":
        if not re.fullmatch(r"\d+", words[1]) or words[3] not in ("ip", "if"):
            raise Refusal("syntax error", 65)
        state["nat"][words[1]] = " ".join(words[3:])
    elif words[2] == "delete":
        state["nat"].pop(words[1], None)
    return 0, "", ""


def start(host: SimulatedHost, variables: Dict[str, str]) -> Answer:
    """rc.d/ipfw start: the module, rc.firewall, which flushes, the scripts, and then it is enabled."""
    host.run(["kldload", "-n", "ipfw"])
    host.run(["ipfw", "-f", "flush"])
    if variables.get("firewall_type", "").lower() == "open":
        host.run(["ipfw", "add", *OPEN.split()])
    for path in variables.get("firewall_coscripts", "").split():
        real = host.real(path)
        for line in real.read_text().splitlines() if real.exists() and real.stat().st_mode & 0o100 else []:
            if line.startswith("/sbin/"):
                host.run(line.partition(" 2>")[0].split())
    for name in ("net.inet.ip.fw.enable", "net.inet6.ip6.fw.enable"):
        host.state["sysctl"][name] = "1"
    return 0, "Firewall rules loaded.\n", ""
