# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ifconfig(8), mount(8), umount(8)."""

from __future__ import annotations

import ipaddress
import json
import os
import re
from typing import Any, Dict, List, Tuple

from ..core import Refusal, SimulatedHost, tool

Answer = Tuple[int, str, str]

LOOKS: Dict[str, Tuple[str, str, List[str]]] = {
    "lo": ("1008049<UP,LOOPBACK,RUNNING,MULTICAST,LOWER_UP> metric 0 mtu 16384",
           "680003<RXCSUM,TXCSUM,LINKSTATE,RXCSUM_IPV6,TXCSUM_IPV6>", ["\tgroups: lo"]),
    "epair": ("1008842<BROADCAST,RUNNING,SIMPLEX,MULTICAST,LOWER_UP> metric 0 mtu 1500",
              "60001b<RXCSUM,TXCSUM,VLAN_MTU,VLAN_HWTAGGING,RXCSUM_IPV6,TXCSUM_IPV6>", ["\tgroups: epair"]),
    "": ("1008843<UP,BROADCAST,RUNNING,SIMPLEX,MULTICAST,LOWER_UP> metric 0 mtu 1500",
         "880028<VLAN_MTU,JUMBO_MTU,LINKSTATE,HWSTATS>", ["\tstatus: active"]),
}


def _link(host: SimulatedHost, name: str) -> Dict[str, Any]:
    """What was set of an interface besides its addresses."""
    links: Dict[str, Dict[str, Any]] = host.state.setdefault("links", {})
    return links.setdefault(name, {})


def _shown(host: SimulatedHost, name: str, held: List[List[Any]], cidr: bool) -> str:
    kind = next(kind for kind in LOOKS if name.startswith(kind))
    flags, options, tail = LOOKS[kind]
    link = host.state.get("links", {}).get(name, {})
    if link.get("mtu"):
        flags = re.sub(r"mtu \d+", f"mtu {link['mtu']}", flags)
    if link.get("made") and not link.get("up"):
        flags = re.sub(r"<UP,", "<", flags)
    elif link.get("up") and "<UP," not in flags:
        flags = flags.replace("<", "<UP,")
    lines = [f"{name}: flags={flags}", f"\toptions={options}"]
    lines += [f"\tether {link['ether']}"] if link.get("ether") else []
    if kind == "" and name in host.state.get("groups", {}):
        tail = [f"\tgroups: {host.state['groups'][name]}"]
    if link.get("groups"):
        tail = [" ".join([line, *link["groups"]]) if line.startswith("\tgroups:") else line for line in tail]
    for ip, prefix in sorted(held, key=lambda one: ":" in one[0]):
        address = ipaddress.ip_interface(f"{ip}/{prefix}")
        if address.version == 6:
            lines.append(f"\tinet6 {ip}/{prefix}" if cidr else f"\tinet6 {ip} prefixlen {prefix}")
            continue
        mask = f"/{prefix}" if cidr else f" netmask 0x{int(address.netmask):08x}"
        wide = kind != "lo" and prefix < 31
        lines.append(f"\tinet {ip}{mask}" + (f" broadcast {address.network.broadcast_address}" if wide else ""))
    members = [f"\tmember: {one} flags=143<LEARNING,DISCOVER,AUTOEDGE,AUTOPTP>" for one in link.get("members", [])]
    return "\n".join([*lines, *members, *tail]) + "\n"


@tool("ifconfig")
def ifconfig(host: SimulatedHost, args: List[str], stdin: str) -> Answer:
    """ifconfig(8)."""
    interfaces = host.state["interfaces"]
    cidr = "-f" in args and "cidr" in args[args.index("-f") + 1]
    words = [word for place, word in enumerate(args) if word not in ("-a", "-f") and args[place - 1:place] != ["-f"]]
    if words == ["-l"]:
        return 0, " ".join(interfaces) + "\n", ""
    if words[:1] == ["-g"]:
        found = [name for name in interfaces if words[1] in host.state.get("links", {}).get(name, {}).get("groups", [])]
        return 0, "".join(f"{name}\n" for name in found), ""
    if not words:
        return 0, "".join(_shown(host, name, interfaces[name], cidr) for name in interfaces), ""
    jid = ""
    if words[0] == "-j":
        jid, words = _jid(host, words[1]), words[2:]
        interfaces = {name: held for name, (owner, held) in host.state.get("moved", {}).items() if owner == jid}
    name, rest = words[0], words[1:]
    if rest[:1] == ["create"] and not jid:
        asked, name = name, _create(host, name, rest[1:])
        _set(host, name, host.state["interfaces"][name], [] if rest[1:2] == ["name"] else rest[1:])
        return 0, f"{name}\n" if name != asked else "", ""
    if name not in interfaces:
        raise Refusal(f"ifconfig: interface {name} does not exist")
    if not rest or rest in (["inet"], ["inet6"]):
        wanted = [one for one in interfaces[name] if not rest or (":" in one[0]) == (rest == ["inet6"])]
        return 0, _shown(host, name, wanted, cidr), ""
    if rest == ["destroy"]:
        _destroy(host, name)
    else:
        _set(host, name, interfaces[name], rest)
    return 0, "", ""


def _jid(host: SimulatedHost, jail: str) -> str:
    for jid, one in host.state["jails"].items():
        if jail in (jid, one["name"]):
            return str(jid)
    raise Refusal(f"ifconfig: jail \"{jail}\" not found")


def _leave_bridges(host: SimulatedHost, name: str) -> None:
    for link in host.state.get("links", {}).values():
        if name in link.get("members", []):
            link["members"].remove(name)


def _destroy(host: SimulatedHost, name: str) -> None:
    pair = name.startswith("epair")
    for gone in [name, name[:-1] + {"a": "b", "b": "a"}.get(name[-1], "-")] if pair else [name]:
        host.state["interfaces"].pop(gone, None)
        host.state.get("moved", {}).pop(gone, None)
        host.state.get("groups", {}).pop(gone, None)
        host.state.get("links", {}).pop(gone, None)
        _leave_bridges(host, gone)


def _set(host: SimulatedHost, name: str, held: List[List[Any]], rest: List[str]) -> None:
    """The words after an interface's name, one after the other."""
    words = list(rest)
    while words:
        verb = words.pop(0)
        if verb in ("inet", "inet6"):
            if words[:1] in (["-ifdisabled"], ["auto_linklocal"]):
                return
            if "up" in words:
                _link(host, name)["up"] = True
            _address(held, [word for word in words if word != "up"])
            return
        if verb in ("up", "down"):
            _link(host, name)["up"] = verb == "up"
        elif verb in ("mtu", "ether"):
            _link(host, name)[verb] = words.pop(0)
        elif verb == "group":
            _link(host, name).setdefault("groups", []).append(words.pop(0))
        elif verb == "addm":
            _add_member(host, name, words.pop(0))
        elif verb == "deletem":
            _link(host, name)["members"].remove(words.pop(0))
        elif verb == "private":
            _link(host, name).setdefault("private", []).append(words.pop(0))
        elif verb == "vnet":
            _leave_bridges(host, name)
            host.state["interfaces"].pop(name)
            host.state.setdefault("moved", {})[name] = [_jid(host, words.pop(0)), []]
        elif verb in ("descr", "name"):
            words.pop(0)


def _add_member(host: SimulatedHost, bridge: str, name: str) -> None:
    if name not in host.state["interfaces"]:
        raise Refusal(f"ifconfig: BRDGADD {name}: No such file or directory")
    for other, link in host.state.get("links", {}).items():
        if name in link.get("members", []):
            raise Refusal(f"ifconfig: BRDGADD {name}: " + ("File exists" if other == bridge else "Device busy"))
    _link(host, bridge).setdefault("members", []).append(name)
    if "mtu" in _link(host, bridge):
        _link(host, name)["mtu"] = _link(host, bridge)["mtu"]


def _create(host: SimulatedHost, name: str, rest: List[str]) -> str:
    interfaces = host.state["interfaces"]
    numbered = re.fullmatch(r"([a-z]+)(\d+)(\.\d+)?", name)
    if numbered:
        if any(one in interfaces or one in host.state.get("moved", {}) for one in (name, f"{name}a", f"{name}b")):
            raise Refusal(f"ifconfig: interface {name} already exists")
        ends = [f"{name}a", f"{name}b"] if numbered.group(1) == "epair" else [name]
        for one in ends:
            interfaces[one] = []
            _link(host, one)["made"] = True
        if len(ends) == 1 and numbered.group(1) != "lo":
            host.state.setdefault("groups", {})[name] = "vlan" if numbered.group(3) else numbered.group(1)
        return ends[0]
    number = 0
    while any(other.startswith(f"{name}{number}") for other in interfaces):
        number += 1
    if name == "epair":
        interfaces[f"epair{number}a"], interfaces[f"epair{number}b"] = [], []
        return f"epair{number}a"
    new = rest[1] if rest[:1] == ["name"] else f"{name}{number}"
    interfaces[new] = []
    host.state.setdefault("groups", {})[new] = name
    return new


def _address(held: List[List[Any]], words: List[str]) -> None:
    ip, _slash, prefix = words[0].partition("/")
    if "-alias" in words:
        found = [one for one in held if one[0] == ip]
        if not found:
            raise Refusal("ifconfig: ioctl (SIOCDIFADDR): Can't assign requested address")
        held.remove(found[0])
        return
    if "netmask" in words:
        prefix = str(ipaddress.ip_network(f"0.0.0.0/{words[words.index('netmask') + 1]}").prefixlen)
    if ip not in [one[0] for one in held]:
        held.append([ip, int(prefix or 32)])


MOUNT_OPTIONS = ("local", "read-only", "soft-updates", "nfsv4acls")  # in mount(8)'s own order


@tool("mount", "mount_nullfs")
def mount(host: SimulatedHost, args: List[str], stdin: str) -> Answer:
    """mount(8)."""
    if args[:2] == ["--libxo", "json"]:
        listed = [{key: value for key, value in one.items() if key != "opts" or value} for one in host.state["mounts"]]
        return 0, json.dumps({"mount": {"mounted": listed}}) + "\n", ""
    if args in ([], ["-p"]):
        lines = [f"{one['special']}\t\t{one['node']}\t\t{one['fstype']}\trw\t\t0 0\n" for one in host.state["mounts"]]
        return 0, "".join(lines), ""
    fstype = "ufs"
    opts: List[str] = []
    words = list(args)
    while words and words[0].startswith("-"):
        flag = words.pop(0)
        if flag == "-t":
            fstype = words.pop(0)
        elif flag.startswith("-o"):
            opts += (flag[2:] or words.pop(0)).split(",")
    special, node = words
    node = host.resolved(node)
    if fstype == "nullfs" and host.real(special).is_dir():
        special = host.resolved(special)
    if fstype == "nullfs" and not host.real(special).is_dir():
        raise Refusal(f"mount_nullfs: {special}: No such file or directory", 64)
    if fstype == "nullfs" and any((one["special"], one["node"]) == (special, node) for one in host.state["mounts"]):
        raise Refusal(f"mount_nullfs: {node}: Resource deadlock avoided")
    in_devfs = any(one["fstype"] == "devfs" and node.startswith(one["node"] + "/") for one in host.state["mounts"])
    if not host.real(node).is_dir() and not in_devfs:
        raise Refusal(f"mount: {node}: No such file or directory")
    shown = {"devfs": "devfs", "tmpfs": "tmpfs", "fdescfs": "fdescfs", "procfs": "procfs"}.get(fstype, special)
    seen = ([] if fstype in ("devfs", "fdescfs") else ["local"]) + (["read-only"] if "ro" in opts else [])
    if fstype == "nullfs" and host.osreldate < 1500000:  # it shows what is below it, too
        below = max((one for one in host.state["mounts"] if f"{special}/".startswith(f"{one['node'].rstrip('/')}/")), key=lambda one: len(one["node"]))
        seen = [opt for opt in MOUNT_OPTIONS if opt in (*seen, *below["opts"])]
    host.state["mounts"].append({"special": shown, "node": node, "fstype": fstype, "opts": seen})
    return 0, "", ""


@tool("umount")
def umount(host: SimulatedHost, args: List[str], stdin: str) -> Answer:
    """umount(8)."""
    node = args[-1] if args[-1] in host.nodes() else host.resolved(args[-1])
    found = [one for one in host.state["mounts"] if one["node"] == node]
    if not found:
        if not os.path.lexists(host.real(node)):
            raise Refusal(f"umount: {node}: statfs: No such file or directory\numount: {node}: unknown file system")
        raise Refusal(f"umount: {node}: not a file system root directory")
    if any(one["node"].startswith(node + "/") for one in host.state["mounts"]):
        raise Refusal(f"umount: unmount of {node} failed: Device busy")
    mounts = host.state["mounts"]
    del mounts[max(place for place, one in enumerate(mounts) if one["node"] == node)]
    return 0, "", ""
