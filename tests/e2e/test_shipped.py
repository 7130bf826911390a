# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A module as Ansible ships it: what it keeps of a call that changes nothing is found by the next one, and by that code only."""

from __future__ import annotations

import os
import sys
from pathlib import Path

TREE = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TREE / "benchmarks"))

import start  # noqa: E402


def test_the_shipped_code_knows_its_last_call(tmp_path: Path) -> None:
    host = start.Replayed(tmp_path / "host", 2)
    kept = host.root / "var/cache/cellblock"
    python = Path(os.path.realpath(sys.executable))
    module = start.shipped("cellblock.jails.jails", {"jails": start.declared(2)})
    first = host.told(python, module)
    assert first["changed"] is False and first["jails"]["j1"]["state"] == "started"
    file, = kept.iterdir()
    written = file.stat().st_mtime_ns
    assert host.told(python, module) == first
    assert [path.stat().st_mtime_ns for path in kept.iterdir()] == [written], "it planned anew, and kept that"
    other = start.shipped("cellblock.jails.jail", start.declared(1)[0])
    assert host.told(python, other)["changed"] is False and len(list(kept.iterdir())) == 2
