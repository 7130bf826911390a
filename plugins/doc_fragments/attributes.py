# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every module of the collection can do."""

from __future__ import annotations


class ModuleDocFragment:
    """The attributes of modules."""

    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Can run in C(check_mode) and tell what it would do, without changing the host.
    support: full
  diff_mode:
    description: Tells in diff mode what has changed, or would be, with secrets hidden.
    support: full
  platform:
    description: The hosts it works on.
    platforms: FreeBSD
    support: full
"""

    INFO = r"""
options: {}
attributes:
  check_mode:
    description: Can run in C(check_mode) and tell what it would do, without changing the host.
    support: full
    details:
      - It changes nothing in any mode.
  diff_mode:
    description: Tells in diff mode what has changed, or would be, with secrets hidden.
    support: N/A
    details:
      - It changes nothing.
  platform:
    description: The hosts it works on.
    platforms: FreeBSD
    support: full
"""

    LOCK = r"""
options:
  lock_timeout:
    description:
      - How many seconds to wait for another run on the same host.
    type: int
    default: 300
"""

    STORAGE = r"""
options:
  storage_path:
    description:
      - The directory that jails and bases stand in.
    type: path
    default: /usr/jails
  storage_dataset:
    description:
      - The ZFS dataset that is mounted there. Roots and bases are datasets below it then.
    type: str
"""

    PARALLEL = r"""
options:
  parallel:
    description:
      - How many jails at once. Those that depend on each other go one after another.
    type: int
    default: 1
"""
