# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lays out a simulated host in a directory, unless another call just did."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[6]))

from ansible_collections.cellblock.jails.tests.simulator import door

if __name__ == "__main__":
    door.settle(Path(sys.argv[1]))
