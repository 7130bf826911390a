# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How fast a set is made, beside bare zfs-send(8) and tar(1) into a file that is on the disk at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from run import Bench

PLACE = "/var/tmp/benchbackups"
BARE = {
    "zfs": "zfs snapshot {dataset}@bench && zfs send -Lec {dataset}@bench > {file} && fsync {file}; zfs destroy {dataset}@bench; rm {file}",
    "tar": "tar -cf - -C {path} . > {file} && fsync {file}; rm {file}",
}
TURNS = 3


class Backups:
    """A jail with much in it, and one with nothing, which costs what is no stream."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.where = {"storage_path": bench.asked.path, "storage_dataset": bench.asked.dataset}

    def measure(self, megabytes: int) -> None:
        """Print it; the goal is 0.9."""
        bench = self.bench
        bench.bring([{"name": name, "root": "empty", "state": "stopped", "boot": False, "ip4": "disable"} for name in ("benchmuch", "benchlittle")])
        path, dataset = f"{bench.asked.path}/benchmuch", f"{bench.asked.dataset}/benchmuch"
        bench.shell(f"mkdir -p {PLACE} && dd if=/dev/random of={path}/data bs=1m count={megabytes} status=none && sync")
        for method, line in BARE.items():
            bare = min(bench.shell(line.format(path=path, dataset=dataset, file=f"{PLACE}/bare")) for _turn in range(TURNS))
            much = min(self._set("benchmuch", method) for _turn in range(TURNS)) - min(self._set("benchlittle", method) for _turn in range(TURNS))
            print(
                f"a set of {megabytes} MB by {method}: {megabytes / much:.0f} MB/s, bare {megabytes / bare:.0f} MB/s, ratio {bare / much:.2f}", flush=True,
            )
        bench.bring([])
        bench.shell(f"rm -rf {PLACE}")

    def _set(self, jail: str, method: str) -> float:
        options: Any = {"jails": [jail], "method": method, "incremental": False, "compress": "none", "keep": {"last": 1}, "destination": {"path": PLACE}}
        told = self.bench.answer("cellblock.jails.jail_backup", {**self.where, **options})
        return float(told["seconds"])
