# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a jail with a network stack of its own may be given besides: bpf(4), and an NFS server."""

from __future__ import annotations

import re
from typing import Any, Dict, Mapping, Optional

from ansible_collections.cellblock.jails.plugins.module_utils.errors import InputError
from ansible_collections.cellblock.jails.plugins.module_utils.jails.aspects.aspect import Aspect
from ansible_collections.cellblock.jails.plugins.module_utils.jails.definition import Definition
from ansible_collections.cellblock.jails.plugins.module_utils.jails.model import Jail
from ansible_collections.cellblock.jails.plugins.module_utils.jails.scene import Change, Draft, Scene
from ansible_collections.cellblock.jails.plugins.module_utils.networks.options import OF_JAILS

PLAIN = re.compile(r"[A-Za-z0-9/_.@+-]+")


class Devices(Aspect):
    """bpf(4) in its /dev; nfsd(8), with what the kernel demands of it."""

    name = "devices"
    options = OF_JAILS["devices"]

    def declare(self, jail: Jail, options: Mapping[str, Any]) -> Optional[Dict[str, bool]]:
        """Which of them."""
        where = f"jail {jail.name}"
        found = {"bpf": bool(options.get("bpf")), "nfsd": bool(options.get("nfsd"))}
        if found["bpf"] and jail.params.get("vnet") != ["new"]:
            said = "in a jail that shares the host's network, bpf shows all of the host's packets"
            raise InputError(said, f"{where}, bpf", "Give it networks, or vnet: true")
        if found["bpf"] and not PLAIN.fullmatch(jail.path):
            raise InputError(f"{jail.path} cannot stand in a hook", f"{where}, bpf", "Let path be of letters, digits and /_.@+-")
        if found["nfsd"]:
            _check_nfsd(jail, f"{where}, nfsd")
        return found if any(found.values()) else None

    def define(self, scene: Scene, jail: Jail, old: Optional[Definition], draft: Draft) -> None:
        """A hook and a parameter."""
        own = jail.own.get(self.name, {})
        if own.get("bpf"):
            hook = f"/sbin/devfs -m {jail.path}/dev rule apply path 'bpf*' unhide"
            draft.params["exec.created"] = [hook, *draft.params.get("exec.created", [])]
        if own.get("nfsd"):
            draft.params["allow.nfsd"] = ["true"]
            draft.params["enforce_statfs"] = draft.params.get("enforce_statfs", ["1"])
            draft.params["exec.prepare"] = ["/sbin/kldload -n nfsd", *draft.params.get("exec.prepare", [])]

    def check(self, change: Change) -> None:
        """The root of a server is the root of a file system."""
        jail, scene = change.jail, change.scene
        if jail.own.get(self.name, {}).get("nfsd") and scene.request.storage_dataset is None:
            if all(mount.node != jail.path for mount in scene.seen.mounts):
                raise InputError(
                    f"{jail.path} is not the root of a file system, and the kernel lets it serve none", f"jail {jail.name}, nfsd",
                    "Give it a dataset (storage_dataset), or mount one at its path",
                )


def _check_nfsd(jail: Jail, where: str) -> None:
    if jail.params.get("vnet") != ["new"]:
        raise InputError("an NFS server needs a network stack of its own", where, "Give it networks, or vnet: true")
    if jail.params.get("enforce_statfs", ["1"])[-1] not in ("1", "2"):
        raise InputError("the kernel wants enforce_statfs 1 or 2 for it", where, "Drop it from params")
    flags = jail.inside.rc_conf.get("nfs_server_flags") or "-t"
    if "-u" in flags.split() or any(re.match(r"-[a-z]*u", word) for word in flags.split()):
        raise InputError("in a jail it serves TCP only", where, "Leave -u out of nfs_server_flags")
