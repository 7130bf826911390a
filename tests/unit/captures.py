# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a real FreeBSD 15.1 host answered; see tests/captures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def captures(name: str) -> Any:
    """The captures of a name: ``commands`` or ``jail-conf-cases``."""
    return json.loads((Path(__file__).parent.parent / "captures" / f"{name}.json").read_text(encoding="utf-8"))
