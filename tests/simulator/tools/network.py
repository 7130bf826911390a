# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ifconfig(8), mount(8), umount(8)."""

from __future__ import annotations

import ipaddress
import json
import os
from typing import Dict, List, Tuple

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


def _shown(host: SimulatedHost, name: str, cidr: bool) -> str:
    kind = next(kind for kind in LOOKS if name.startswith(kind))
    flags, options, tail = LOOKS[kind]
    lines = [f"{name}: flags={flags}", f"\toptions={options}"]
    if kind == "" and name in host.state.get("groups", {}):
        tail = [f"\tgroups: {host.state['groups'][name]}"]
    for ip, prefix in sorted(host.state["interfaces"][name], key=lambda held: ":" in held[0]):
        address = ipaddress.ip_interface(f"{ip}/{prefix}")
        if address.version == 6:
            lines.append(f"\tinet6 {ip}/{prefix}" if cidr else f"\tinet6 {ip} prefixlen {prefix}")
            continue
        mask = f"/{prefix}" if cidr else f" netmask 0x{int(address.netmask):08x}"
        wide = kind != "lo" and prefix < 31
        lines.append(f"\tinet {ip}{mask}" + (f" broadcast {address.network.broadcast_address}" if wide else ""))
    return "\n".join([*lines, *tail]) + "\n"


@tool("ifconfig")
def ifconfig(host: SimulatedHost, args: List[str], stdin: str) -> Answer:
    """ifconfig(8)."""
    interfaces = host.state["interfaces"]
    cidr = "-f" in args and "cidr" in args[args.index("-f") + 1]
    words = [word for place, word in enumerate(args) if word not in ("-a", "-f") and args[place - 1:place] != ["-f"]]
    if words == ["-l"]:
        return 0, " ".join(interfaces) + "\n", ""
    if not words:
        return 0, "".join(_shown(host, name, cidr) for name in interfaces), ""
    name, rest = words[0], words[1:]
    if rest[:1] == ["create"]:
        return 0, _create(host, name, rest[1:]) + "\n", ""
    if name not in interfaces:
        raise Refusal(f"ifconfig: interface {name} does not exist")
    if not rest:
        return 0, _shown(host, name, cidr), ""
    if rest == ["destroy"]:
        for gone in [name, name[:-1] + {"a": "b", "b": "a"}.get(name[-1], "-")] if name.startswith("epair") else [name]:
            interfaces.pop(gone, None)
            host.state.get("groups", {}).pop(gone, None)
    elif rest[0] in ("inet", "inet6"):
        _address(host, name, rest[1:])
    elif rest[0] == "vnet":
        host.state.setdefault("moved", {})[name] = [rest[1], interfaces.pop(name)]
    return 0, "", ""


def _create(host: SimulatedHost, name: str, rest: List[str]) -> str:
    interfaces = host.state["interfaces"]
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


def _address(host: SimulatedHost, name: str, words: List[str]) -> None:
    held = host.state["interfaces"][name]
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
    if fstype == "nullfs" and not host.real(special).is_dir():
        raise Refusal(f"mount_nullfs: {special}: No such file or directory", 64)
    if fstype == "nullfs" and any((one["special"], one["node"]) == (special, node) for one in host.state["mounts"]):
        raise Refusal(f"mount_nullfs: {node}: Resource deadlock avoided")
    in_devfs = any(one["fstype"] == "devfs" and node.startswith(one["node"] + "/") for one in host.state["mounts"])
    if not host.real(node).is_dir() and not in_devfs:
        raise Refusal(f"mount: {node}: No such file or directory")
    shown = {"devfs": "devfs", "tmpfs": "tmpfs", "fdescfs": "fdescfs", "procfs": "procfs"}.get(fstype, special)
    seen = ([] if fstype in ("devfs", "fdescfs") else ["local"]) + (["read-only"] if "ro" in opts else [])
    host.state["mounts"].append({"special": shown, "node": node, "fstype": fstype, "opts": seen})
    return 0, "", ""


@tool("umount")
def umount(host: SimulatedHost, args: List[str], stdin: str) -> Answer:
    """umount(8)."""
    node = args[-1]
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
