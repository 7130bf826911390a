# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long an upgrade of thin jails takes, and each of them is down, beside the same by hand: stop, another mount line, start."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from run import Bench

NEXT = "benchnext"


class Upgrades:
    """Thin jails that come to a second base, which is a copy of the first with some files changed."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.where = {"storage_path": bench.asked.path, "storage_dataset": bench.asked.dataset}

    def measure(self, number: int) -> None:
        """Print it."""
        bases = f"{self.bench.asked.path}/basejails"
        self._base(source="directory", directory=f"{bases}/{self.bench.asked.base}")
        self.bench.shell(f"for f in hosts.allow newsyslog.conf ntp.conf; do echo '# new' >> {bases}/{NEXT}/etc/$f; done")
        names = [f"bench{place}" for place in range(number)]
        self.bench.bring([{"name": name, "base": self.bench.asked.base, "boot": False} for name in names])
        hand = self.bench.shell(
            f"for j in {' '.join(names)}; do f=/etc/jail.conf.d/$j.conf; jail -qf $f -r $j; jail -qf $f -c $j > /dev/null; done"
        )
        told = self.bench.answer("cellblock.jails.jail_upgrade", {**self.where, "to": NEXT, "gate": {"every": 0.2}})
        down = [told["jails"][name]["down"] for name in names]
        print(
            f"an upgrade of {number} thin jails: {told['seconds']:.1f} s, each down {sum(down) / number:.1f} s, at most {max(down):.1f} s; "
            f"stop and start by hand {hand / number:.1f} s each"
        )
        self.bench.bring([])
        self._base(state="absent")

    def _base(self, **options: Any) -> None:
        self.bench.module("cellblock.jails.basejail", {"name": NEXT, **self.where, **options})
