# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""sysctl(8), service(8), sysrc(8), uname(1), kldload(8), sshd(8) and the rest of the system."""

from __future__ import annotations

import datetime
import os
import re
from typing import Any, Dict, List, Tuple

from ansible_collections.cellblock.jails.plugins.module_utils.formats import devfs_rules, rc_conf

from ..core import Refusal, SimulatedHost, tool
from . import firewall, ipfw, rc_jail

Answer = Tuple[int, str, str]


def rc(host: SimulatedHost, service: str = "") -> Dict[str, str]:
    """rc.conf's variables, and those of a service's own file."""
    files = [host.real(path) for path in ("/etc/rc.conf", *([f"/etc/rc.conf.d/{service}"] if service else []))]
    return {name: value for real in files if real.exists() for name, value in rc_conf.values(real.read_text()).items()}


@tool("sysctl")
def sysctl(host: SimulatedHost, args: List[str], stdin: str) -> Answer:
    """sysctl(8)."""
    known = host.state["sysctl"]
    known["hw.ncpu"] = str(host.state.get("cpus", 4))
    out, err, code = "", "", 0
    for word in [word for word in args if not word.startswith("-")]:
        name, equals, value = word.partition("=")
        if name == "security.jail.param" and "-N" in args:
            out += "".join(f"security.jail.param.{key}\n" for key in host.kernel())
        elif name not in known:
            code, err = 1, err + f"sysctl: unknown oid '{name}'\n"
        elif equals:
            out += f"{name}: {known[name]} -> {value}\n"
            known[name] = value
        else:
            out += f"{known[name]}\n" if "-n" in args else f"{name}: {known[name]}\n"
    return code, out, err


@tool("service")
def service(host: SimulatedHost, args: List[str], stdin: str) -> Answer:
    """service(8)."""
    name, asked = args[0], args[1]
    verb = re.sub("^(one|quiet|force)", "", asked)
    if name == "jail":
        return rc_jail.service(host, asked, args[2:])
    if name == "ipfw" and verb == "start":
        return ipfw.start(host, rc(host))
    if name == "netif":
        for interface in args[2:]:  # rc.d/netif makes what is not there, then configures it
            host.run(["ifconfig", interface, "create"])
            words = rc(host).get(f"ifconfig_{interface}", "").split()
            if words:
                host.run(["ifconfig", interface, *words])
        return 0, "", ""
    if name == "devfs":
        load_rulesets(host)
        return 0, "", ""
    out, err = "", ""
    if verb in ("stop", "restart"):
        there = host.state["services"].pop(name, None) is not None
        out = f"Stopping {name}.\nWaiting for PIDS: 1000.\n" if there else ""
        err = "" if there else f"{name} not running? (check /var/run/{name}.pid).\n"
        if verb == "stop":
            return 0 if there else 1, out, err
    if verb in ("start", "restart", "reload"):
        listen(host, name, asked != verb)
        checked = "Performing sanity check on sshd configuration.\n" if name == "sshd" else ""
        return 0, out + (checked if verb == "reload" else f"Starting {name}.\n"), err
    running = name in host.state["services"]
    return (0 if running else 1), f"{name} is {'running as pid 1000' if running else 'not running'}.\n", ""


def load_rulesets(host: SimulatedHost) -> None:
    """What rc.d/devfs does: read the files in order; a header empties its set, a bad line ends the file."""
    numbers: Dict[str, int] = {}
    for path in ("/etc/defaults/devfs.rules", "/etc/devfs.rules"):
        real = host.real(path)
        for name, ruleset in devfs_rules.rulesets(real.read_text() if real.exists() else "").items():
            numbers[name] = ruleset.number
            rules = []
            for rule in ruleset.rules:
                text = re.sub(r"\$(\w+)", lambda found: str(numbers.get(found.group(1), "")), rule)
                rules.append(re.sub(r"^add ", "", text).replace("'", "").replace('"', "").replace("\\", ""))
            host.state["rulesets"][str(ruleset.number)] = rules


PORTS = {
    "sshd": (("tcp",), 22), "syslogd": (("udp",), 514), "sendmail": (("tcp",), 25), "inetd": (("tcp",), 21),
    "rpcbind": (("udp", "tcp"), 111), "ntpd": (("udp",), 123), "mountd": (("udp", "tcp"), 893), "nfsd": (("udp", "tcp"), 2049),
}
FLAGS = {"syslogd": "-s", "inetd": "-wW -C 60", "mountd": "-r -S", "nfsd": "-u -t"}
# Where these are bound to an address, they keep the loopback addresses too; rpcbind keeps sockets for remote calls.
LOOPBACK = ("rpcbind", "mountd")
STRAYS = {"rpcbind": [["udp6", "*", 646], ["udp4", "*", 993]]}


def daemon_flags(host: SimulatedHost, name: str) -> str:
    """A daemon's flags, as rc.conf has them now."""
    return rc(host, name).get(f"{'nfs_server' if name == 'nfsd' else name}_flags", FLAGS.get(name, ""))


def listen(host: SimulatedHost, name: str, forced: bool = False) -> None:
    """What a service listens on after it was started with its present configuration. Assumed: see assumptions.py.

    :param forced: started by onestart or its like, which does not ask rc.conf whether it may.
    """
    enable = f"{'nfs_server' if name == 'nfsd' else name}_enable"
    enabled = rc(host).get(enable, "YES" if name in ("syslogd", "sshd") else "NO").upper() == "YES"
    services = host.state["services"]
    services.pop(name, None)
    if name not in PORTS or not (enabled or forced):
        return
    flags = daemon_flags(host, name)
    if name == "sshd":
        text = host.real("/etc/ssh/sshd_config").read_text()
        found = re.findall(r"^\s*ListenAddress\s+(\S+)", text, re.MULTILINE | re.IGNORECASE)
    elif name == "ntpd":
        real = host.real("/etc/ntp.conf")
        found = re.findall(r"^interface listen (\S+)", real.read_text() if real.exists() else "", re.MULTILINE)
    else:
        found = re.findall(r"-(?:a|b|h)\s+(\S+)", flags)
    services[name] = [] if "-ss" in flags.split() else _sockets(name, [address.strip("[]") for address in found])


def _sockets(name: str, bound: List[str]) -> List[List[Any]]:
    """A daemon's sockets: protocol, address and port."""
    kinds, port = PORTS[name]
    if bound and name in LOOPBACK:
        bound = list(dict.fromkeys(["::1", "127.0.0.1", *bound]))
    found = []
    for family in (6, 4):
        there = [address for address in bound if (":" in address) == (family == 6)] if bound else ["*"]
        if bound or (name, family) != ("inetd", 6):  # its services are of IPv4, when nothing else is said
            found += [[f"{kind}{family}", address, port] for kind in kinds for address in there]
    return found + STRAYS.get(name, [])


@tool("sshd")
def sshd(host: SimulatedHost, args: List[str], stdin: str) -> Answer:
    """sshd(8) -t: a line without a value is refused."""
    path = args[args.index("-f") + 1] if "-f" in args else "/etc/ssh/sshd_config"
    for number, line in enumerate(host.real(path).read_text().splitlines(), 1):
        words = line.split("#")[0].split()
        if len(words) == 1:
            raise Refusal(
                f"{path} line {number}: no argument after keyword \"{words[0]}\"\r\n"
                f"{path}: terminating, 1 bad configuration options\r\n", 255,
            )
    return 0, "", ""


@tool("sysrc")
def sysrc(host: SimulatedHost, args: List[str], stdin: str) -> Answer:
    """sysrc(8) -n and plain, for reading."""
    variables = rc(host)
    out = ""
    for word in [word for word in args if not word.startswith("-")]:
        if word not in variables:
            raise Refusal(f"sysrc: unknown variable '{word}'")
        out += f"{variables[word]}\n" if "-n" in args else f"{word}: {variables[word]}\n"
    return 0, out, ""


@tool("kldload", "kldstat")
def kld(host: SimulatedHost, args: List[str], stdin: str) -> Answer:
    """kldload(8), and kldstat(8) -q -m."""
    names = [word for word in args if not word.startswith("-")]
    loaded = host.state["modules"]
    if "-m" in args or "-q" in args:
        return (0 if all(name in loaded for name in names) else 1), "", ""
    if not names:
        lines = [f"{number:2}    1 0xffffffff80200000   1f3c600 {name}\n" for number, name in enumerate(["kernel", *[f"{one}.ko" for one in loaded]], 1)]
        return 0, "Id Refs Address                Size Name\n" + "".join(lines), ""
    host.state["modules"] = [*loaded, *[name for name in names if name not in loaded]]
    if "ipfw" in names and "ipfw" not in loaded:
        ipfw.loaded(host)
    return 0, "", ""


@tool("xargs")
def xargs(host: SimulatedHost, args: List[str], stdin: str) -> Answer:
    """xargs(1) -n 1, or -I with a word that stands for each line: goes on when a command fails."""
    words = [*args[2:], args[1]] if args[0] == "-n" else args[2:]
    told = [host.run([line if word == args[1] else word for word in words]) for line in stdin.split()]
    return (1 if any(code for code, _out, _err in told) else 0), "".join(out for _code, out, _err in told), "".join(err for _code, _out, err in told)


@tool("uname")
def uname(host: SimulatedHost, args: List[str], stdin: str) -> Answer:
    """uname(1)."""
    date, release = (host.state["sysctl"][f"kern.{name}"] for name in ("osreldate", "osrelease"))
    shown = {"-K": date, "-U": date, "-r": release, "-m": "amd64", "-p": "amd64", "-n": "jailhost1"}
    return 0, (shown.get(args[0], "FreeBSD") if args else "FreeBSD") + "\n", ""


@tool("freebsd-version")
def freebsd_version(host: SimulatedHost, args: List[str], stdin: str) -> Answer:
    """freebsd-version(1)."""
    return 0, f"{host.state['sysctl']['kern.osrelease']}\n" * max(1, len(args)), ""


@tool("touch")
def touch(host: SimulatedHost, args: List[str], stdin: str) -> Answer:
    """touch(1) -d."""
    when = datetime.datetime.fromisoformat(args[1].replace("Z", "+00:00")).timestamp() if args[:1] == ["-d"] else None
    for path in args[2:] if when is not None else args:
        host.real(path).touch()
        if when is not None:
            os.utime(host.real(path), (when, when))
    return 0, "", ""


@tool("newaliases", "true", "hostname")
def quiet(host: SimulatedHost, args: List[str], stdin: str) -> Answer:
    """Commands that say nothing."""
    return 0, "", ""


@tool("false")
def false(host: SimulatedHost, args: List[str], stdin: str) -> Answer:
    """false(1)."""
    return 1, "", ""


@tool("reboot")
def reboot_tool(host: SimulatedHost, args: List[str], stdin: str) -> Answer:
    """reboot(8), and the host is up again when it answers."""
    reboot(host)
    return 0, "", ""


def reboot(host: SimulatedHost) -> None:
    """Everything stops; then what rc(8) does: rulesets, limits, jails in order."""
    state = host.state
    for name in list(host.running()):
        host.run(["service", "jail", "onestop", name])
    state["jails"], state["dying"] = {}, []
    state["mounts"] = [one for one in state["mounts"] if one["fstype"] in ("ufs", "zfs") or one["node"] == "/dev"]
    state["sysctl"]["kern.boottime"] = "{ sec = 1795999999, usec = 0 } Sat Nov 28 16:13:19 2026"
    loader = host.real("/boot/loader.conf")
    tunables = rc_conf.values(loader.read_text()) if loader.exists() else {}
    state["sysctl"].update({key: value for key, value in tunables.items() if key in state["sysctl"]})
    racct = re.search(r'^kern\.racct\.enable="?(\d)', loader.read_text() if loader.exists() else "", re.MULTILINE)
    if racct:
        state["sysctl"]["kern.racct.enable"] = racct.group(1)
    load_rulesets(host)
    state["kenv"] = dict(tunables)
    firewall.boot(host, rc(host))
    state["rctl"] = []
    rules = host.real("/etc/rctl.conf")
    for line in rules.read_text().splitlines() if rules.exists() else []:
        if line and not line.startswith("#") and rc(host).get("rctl_enable") == "YES":
            host.run(["rctl", "-a", line.split()[0]])
    host.run(["service", "jail", "start"])
