# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files into a jail and out of it, as streams through jexec(8)."""

from __future__ import annotations

import contextlib
import os
import secrets

from ansible.errors import AnsibleError
from ansible.module_utils.common.text.converters import to_bytes

from ansible_collections.cellblock.jails.plugins.plugin_utils import remote
from ansible_collections.cellblock.jails.plugins.plugin_utils.entering import Answer, Entrance, Order


def put(entrance: Entrance, user: str | None, in_path: str, out_path: str) -> Answer:
    """Send a file, whole or not at all."""
    local = to_bytes(in_path, errors="surrogate_or_strict")
    size, token = os.stat(local).st_size, secrets.token_hex(8)
    script = remote.put(out_path, size, token, entrance.terminal)
    return entrance.reach(Order(script, user, source=lambda: open(local, "rb")))


def fetch(entrance: Entrance, user: str | None, in_path: str, out_path: str) -> Answer:
    """Bring a file, whole or not at all."""
    local = to_bytes(out_path, errors="surrogate_or_strict")
    order = Order(remote.fetch(in_path), user)
    if os.path.exists(local) and not os.path.isfile(local):
        raise AnsibleError(f"{out_path} is not a regular file")
    temporary = os.path.join(os.path.dirname(local), b".cellblock-" + secrets.token_hex(8).encode())
    try:
        with open(temporary, "xb") as order.sink:
            answer = entrance.reach(order)
        if answer.rc == 0:
            os.replace(temporary, local)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
    return answer
