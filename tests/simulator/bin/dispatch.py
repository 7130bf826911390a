# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every FreeBSD tool of a simulated host, by the name it is called by."""

from __future__ import annotations

import os
import sys

name, words = sys.argv[1], sys.argv[2:]
if name == "tar" and "-" in words:  # streams go through the real one
    os.execv("/usr/bin/tar", ["tar", *["--no-recursion" if word == "-n" else word for word in words if word not in ("--unlink", "--fflags")]])

sys.path.insert(0, "/.collections")

from ansible_collections.cellblock.jails.tests.simulator import door  # noqa: E402

if __name__ == "__main__":
    sys.exit(door.dispatch(name, words))
