# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stands for ssh(1): runs the remote command on a simulated FreeBSD host, see ../README.md.

Ansible's own ssh connection plugin calls it through ``ansible_ssh_executable``. A host is a directory
below ``CELLBLOCK_SIMULATOR``, laid out at first contact.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[6]))

from ansible_collections.cellblock.jails.tests.simulator import door  # noqa: E402

if __name__ == "__main__":
    os._exit(door.ssh(sys.argv[1:]))
