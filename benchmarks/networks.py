# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What networks of jails cost: a start beside the same by hand, and packets through NAT and a pipe beside the bare path."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Dict, List, Tuple

if TYPE_CHECKING:
    from run import Bench

WORLD = {"name": "benchworld", "ip4": "10.98.0.1/24", "bridge": "bridge8"}
LAN = {"name": "benchlan", "ip4": "10.99.7.1/24", "nat": True, "via": "bridge8", "bridge": "bridge9"}
STILL = {"sendmail_enable": "NONE", "cron_enable": "NO", "syslogd_enable": "NO"}
CALLS = 'set skip on lo\\nnat-anchor "cellblock/*"\\nrdr-anchor "cellblock/*"\\nanchor "cellblock/*"\\n'
TURNS = 5


class Networks:
    """The measurements, on a host without jails and without networks of its own."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.root = f"{bench.asked.path}/benchhand"

    def measure(self) -> None:
        """All of it, printed."""
        bench = self.bench
        bench.shell(f"kldload -n pf dummynet; printf '{CALLS}' | pfctl -q -f -; pfctl -q -e; sysctl -q net.inet.ip.forwarding=1")
        try:
            bench.module("cellblock.jails.jail_networks", {"networks": [WORLD, LAN]})
            ours, hand = self.starts()
            print(f"a start of a jail with a network / the same by hand: {ours / hand:.2f} ({ours:.2f} s)")
            bare, paths = self.paths()
            print(f"the bare path: {bare:.0f} Mbit/s; " + ", ".join(f"{name} {rate / bare:.2f} of it" for name, rate in paths.items()))
        finally:
            bench.bring([])
            bench.module("cellblock.jails.jail_networks", {"prune": True})
            bench.shell("pfctl -q -d; pfctl -q -F all; true")

    def jail(self, name: str, network: str, ip4: str, **options: Any) -> Dict[str, Any]:
        join = {"name": network, "ip4": ip4, "gateway": True}
        return {"name": name, "root": "clone", "base": self.bench.asked.base, "boot": False, "networks": [join], "rc_conf": STILL, **options}

    def starts(self) -> Tuple[float, float]:
        """Seconds of a start by jail(8) with our hooks, and of one by a shell that does no more than it must."""
        bench = self.bench
        hand = {**self.jail("benchhand", "benchlan", "10.99.7.21"), "state": "stopped", "vnet": True, "networks": []}
        hand["rc_conf"] = {**STILL, "ifconfig_epair77b": "inet 10.99.7.21/24", "defaultrouter": "10.99.7.1"}
        bench.bring([self.jail("benchours", "benchlan", "10.99.7.20"), hand])
        begin = "ifconfig epair77 create up >/dev/null; ifconfig bridge9 addm epair77a; "
        made = "jail -c name=benchhand path={0} vnet vnet.interface=epair77b mount.devfs exec.clean exec.start='/bin/sh /etc/rc' persist >/dev/null"
        end = f"jail -r benchhand; umount {self.root}/dev; sleep 1; ifconfig epair77a destroy"
        times: Dict[str, List[float]] = {"ours": [], "hand": []}
        for _turn in range(TURNS):
            bench.shell("jail -r benchours >/dev/null; sleep 1")
            times["ours"].append(self.took("jail -c benchours >/dev/null"))
            times["hand"].append(self.took(begin + made.format(self.root)))
            bench.shell(end)
        return min(times["ours"]), min(times["hand"])

    def took(self, command: str) -> float:
        """Seconds that a command took there, without the way to it."""
        told = self.bench.asked_shell(f"/usr/bin/time -p sh -c \"{command}\" 2>&1")
        return float(re.findall(r"(?m)^real\s+([\d.]+)", told)[-1])

    def paths(self) -> Tuple[float, Dict[str, float]]:
        """Mbit/s from a jail to the outside: without a firewall, through NAT, and through NAT and a pipe."""
        bench = self.bench
        out, web = self.jail("benchout", "benchworld", "10.98.0.2"), self.jail("benchours", "benchlan", "10.99.7.20")
        bench.bring([out, web])
        bench.shell("pfctl -q -d; true")
        bare = max(self.rate() for _turn in range(TURNS))
        bench.shell("pfctl -q -e; true")
        found = {"through NAT": max(self.rate() for _turn in range(TURNS))}
        bench.bring([out, {**web, "bandwidth": {"in": "4G", "out": "4G"}}])
        found["through NAT and a pipe"] = max(self.rate() for _turn in range(TURNS))
        return bare, found

    def rate(self, megabytes: int = 16) -> float:
        self.bench.shell("jexec benchout daemon -f sh -c 'nc -n -l 9000 > /dev/null'; sleep 1")
        line = f"dd if=/dev/zero bs=64k count={megabytes * 16} 2>/dev/null | nc -n -N 10.98.0.2 9000"
        return megabytes * 8 * 1.048576 / self.took(f"jexec benchours sh -c '{line}'")
