# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""pfctl(8), dnctl(8), route(8), and what guards a firewall: daemon(8), pgrep(1), pkill(1). Read in FreeBSD's source: see assumptions.py."""

from __future__ import annotations

import re
from typing import Any, Dict, List, Mapping, Tuple

from ..core import Refusal, SimulatedHost, tool

Answer = Tuple[int, str, str]
TRANSLATION = ("nat", "rdr", "binat", "no nat", "no rdr")
WORDS = ("pass", "block", "match", "anchor", "antispoof", "set", "scrub", "table", "load", "nat", "rdr", "binat", "no", "ext_if", "#", "}")


def _pf(host: SimulatedHost) -> Dict[str, Any]:
    found: Dict[str, Any] = host.state.setdefault("pf", {"enabled": False, "main": [], "anchors": {}, "states": []})
    return found


def _rules(host: SimulatedHost, path: str, stdin: str, macros: List[str]) -> List[str]:
    """The rules of a text; pfctl(8) refuses the whole for one bad line, or for a filter rule before a translation.

    :param macros: those of the command line.
    """
    if path == "-":
        text, shown = stdin, "stdin"
    else:
        real = host.real(path)
        if not path.startswith("/dev/") and not real.exists():
            raise Refusal(f"pfctl: {path}: No such file or directory")
        text, shown = "" if path.startswith("/dev/") else real.read_text(), path
    found: List[str] = []
    filtering = False
    for number, line in enumerate(text.splitlines(), 1):
        rule = line.strip()
        if not rule or rule.startswith("#"):
            continue
        unknown = [name for name in re.findall(r"\$(\w+)", rule) if name not in [one.partition("=")[0] for one in macros]]
        if unknown:
            raise Refusal(f"{shown}:{number}: macro '{unknown[0]}' not defined\npfctl: Syntax error in config file: pf rules not loaded")
        translating = rule.startswith(TRANSLATION)
        if not rule.startswith(WORDS) or (translating and filtering):
            said = "syntax error" if not translating else "Rules must be in order: options, ethernet, normalization, queueing, translation, filtering"
            raise Refusal(f"{shown}:{number}: {said}\npfctl: Syntax error in config file: pf rules not loaded")
        filtering = filtering or rule.startswith(("pass", "block", "match", "anchor"))
        found.append(rule)
    return found


@tool("pfctl")
def pfctl(host: SimulatedHost, args: List[str], stdin: str) -> Answer:
    """pfctl(8): main and each anchor are loaded whole; an anchor that is not there lists nothing, and answers 0."""
    if "pf" not in host.state["modules"]:
        raise Refusal("pfctl: /dev/pf: No such file or directory")
    pf, options = _pf(host), _options(args)
    if "k" in options:
        label = options["k"][-1]
        killed = [one for one in pf["states"] if one == label]
        pf["states"] = [one for one in pf["states"] if one != label]
        return 0, "", "" if "q" in options else f"killed {len(killed)} states\n"
    anchor = (options.get("a") or [""])[0]
    if "s" in options:
        return 0, _listed(pf, anchor, options["s"][0]), ""
    if "f" in options:
        rules = _rules(host, options["f"][0], stdin, options.get("D", []))
        if "n" in options:
            return 0, "", ""
        if not anchor:
            pf["main"] = rules
        elif rules:
            pf["anchors"][anchor] = rules
        else:
            pf["anchors"].pop(anchor, None)
    for letter, enabled in (("e", True), ("d", False)):
        if letter in options:
            if pf["enabled"] == enabled:
                raise Refusal("pfctl: pf already enabled" if enabled else "pfctl: pf not enabled")
            pf["enabled"] = enabled
    return 0, "", ""


def _options(args: List[str]) -> Dict[str, List[str]]:
    found: Dict[str, List[str]] = {}
    words = list(args)
    while words:
        word = words.pop(0)
        for place, letter in enumerate(word[1:], 1):
            if letter in "aDfks":
                found.setdefault(letter, []).append(word[place + 1:] or words.pop(0))
                break
            found.setdefault(letter, [])
    return found


def _listed(pf: Mapping[str, Any], anchor: str, what: str) -> str:
    if what == "info":
        return f"Status: {'Enabled for 0 days 00:01:00' if pf['enabled'] else 'Disabled'}           Debug: Urgent\n"
    if what == "Anchors":
        tops = {name.partition("/")[0] for name in pf["anchors"]}
        return "".join(f"  {name}\n" for name in sorted([*tops, *pf["anchors"]]))
    rules = pf["anchors"].get(anchor, []) if anchor else pf["main"]
    translating = what.startswith("n")
    shown = [rule for rule in rules if rule.startswith(TRANSLATION) == translating and rule.split()[0] not in ("set", "table")]
    return "".join(f"{rule}{' all' if 'anchor' in rule else ''}\n" for rule in shown)


@tool("dnctl")
def dnctl(host: SimulatedHost, args: List[str], stdin: str) -> Answer:
    """dnctl(8): pipes are made, or changed in place."""
    words = args
    if "-q" in words:
        raise Refusal('dnctl: illegal option -- q\ndnctl: usage: dnctl [options]\ndo "dnctl -h" or "man dnctl" for details', 64)
    if "dummynet" not in host.state["modules"] and words == ["pipe", "list"]:
        return 0, "", ""
    if "dummynet" not in host.state["modules"]:
        raise Refusal("dnctl: setsockopt(IP_DUMMYNET_CONFIGURE): Protocol not available", 69)
    if words[0].startswith("/"):
        for line in host.real(words[0]).read_text().splitlines():
            dnctl(host, line.split(), "")
        return 0, "", ""
    pipes: Dict[str, float] = host.state.setdefault("pipes", {})
    if words == ["pipe", "list"]:
        return 0, "".join(f"{int(number):05d}: {_rate(bits)}    0 ms burst 0 \n" for number, bits in sorted(pipes.items())), ""
    if words[1] == "delete":
        missing = [number for number in words[2:] if pipes.pop(number, None) is None]
        return 0, "", "".join("dnctl: rule 1: setsockopt(IP_DUMMYNET3): Invalid argument\n" for _number in missing)
    found = re.fullmatch(r"(\d+)bit/s", words[words.index("bw") + 1])
    if found is None:
        raise Refusal("dnctl: invalid bandwidth", 65)
    pipes[words[1]] = float(found.group(1))
    return 0, "", ""


def _rate(bits: float) -> str:
    for unit, size in (("Gbit/s", 1e9), ("Mbit/s", 1e6), ("Kbit/s", 1e3)):
        if bits >= size:
            return f"{bits / size:7.3f} {unit}"
    return f"{bits:7.3f} bit/s "


@tool("route")
def route(host: SimulatedHost, args: List[str], stdin: str) -> Answer:
    """route(8): the default route goes out by the first interface that is no loopback."""
    if "get" in args:
        return 0, "   route to: default\ndestination: default\n    gateway: 10.10.10.1\n  interface: rl0\n", ""
    return 0, "", ""


@tool("grep")
def grep(host: SimulatedHost, args: List[str], stdin: str) -> Answer:
    """grep(1) -qx."""
    return (0 if args[-1] in stdin.splitlines() else 1), "", ""


@tool("daemon")
def daemon(host: SimulatedHost, args: List[str], stdin: str) -> Answer:
    """daemon(8) -f -p: what it runs waits until a test lets the time pass."""
    host.state.setdefault("timers", {})[args[args.index("-p") + 1]] = args[-1]
    return 0, "", ""


@tool("pgrep")
def pgrep(host: SimulatedHost, args: List[str], stdin: str) -> Answer:
    """pgrep(1) -F."""
    return (0 if args[-1] in host.state.get("timers", {}) else 1), "", ""


@tool("pkill")
def pkill(host: SimulatedHost, args: List[str], stdin: str) -> Answer:
    """pkill(1) -F."""
    return (0 if host.state.get("timers", {}).pop(args[-1], None) is not None else 1), "", ""


def expire(host: SimulatedHost) -> None:
    """The time of every timer has passed."""
    for line in host.state.pop("timers", {}).values():
        for part in line.split("; ")[1:]:
            if "/rm " in part:
                host.real(part.split()[-1]).unlink(missing_ok=True)
            else:
                host.call(part)


def boot(host: SimulatedHost, variables: Mapping[str, str]) -> None:
    """What rc(8) does of networks before jails: interfaces made by ifconfig(8) are gone, those of rc.conf are made."""
    for name in [name for name, link in host.state.get("links", {}).items() if link.get("made")]:
        host.state["interfaces"].pop(name, None)
    for key in ("links", "groups", "moved", "pipes", "timers", "ipfw"):
        host.state.pop(key, None)
    host.state.pop("pf", None)
    for name in variables.get("cloned_interfaces", "").split():
        host.run(["ifconfig", name, "create"])
    for name in list(host.state["interfaces"]):
        if f"ifconfig_{name.replace('.', '_')}" in variables:
            host.state["interfaces"][name].clear()
        for key in (f"ifconfig_{name.replace('.', '_')}", f"ifconfig_{name.replace('.', '_')}_ipv6"):
            for words in re.split(r"(?=\baddm\b|\binet6?\b|\bmtu\b)|(?<= )(?=up$)", variables.get(key, "").replace(" auto_linklocal", "")):
                if words.strip():
                    host.run(["ifconfig", name, *words.split()])
    for name, variable in (("net.inet.ip.forwarding", "gateway_enable"), ("net.inet6.ip6.forwarding", "ipv6_gateway_enable")):
        host.state["sysctl"][name] = "1" if variables.get(variable) == "YES" else "0"
    if variables.get("firewall_enable") == "YES":
        host.run(["service", "ipfw", "start"])
    if variables.get("pf_enable") == "YES":
        host.run(["kldload", "-n", "pf"])
        host.run(["pfctl", *variables.get("pf_flags", "").split(), "-f", variables.get("pf_rules", "/etc/pf.conf")])
        host.run(["pfctl", "-e"])
        script = host.real("/usr/local/etc/rc.d/cellblock_networks")
        anchors = host.real("/usr/local/etc/cellblock")
        for path in sorted(anchors.glob("n-*.pf")) if script.exists() and script.stat().st_mode & 0o100 else ():
            host.run(["pfctl", "-q", "-a", f"cellblock/{path.name[:-3]}", "-f", f"/usr/local/etc/cellblock/{path.name}"])
