# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The jails that are declared for a host, in the form in which a live host tells of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.cellblock.jails.plugins.module_utils.errors import InputError
from ansible_collections.cellblock.jails.plugins.module_utils.jails.declaring import jail_from
from ansible_collections.cellblock.jails.plugins.module_utils.jails.model import Jail
from ansible_collections.cellblock.jails.plugins.module_utils.jails.options import JAIL
from ansible_collections.cellblock.jails.plugins.plugin_utils import survey

STATES = {"started": "running", "restarted": "running", "present": "stopped", "stopped": "stopped"}
STORAGE = "/usr/jails"


def jails(declared: Sequence[Any], variables: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What the role ``jail`` would make of the variables of a host.

    :param declared: the role's ``jail_jails``.
    :param variables: the host's variables, of which ``jail_storage_path`` and ``jail_boot_style`` count.
    :raises InputError: for what the role would refuse.
    """
    storage = str(variables.get("jail_storage_path") or STORAGE)
    found = []
    for entry in declared:
        if not isinstance(entry, Mapping):
            raise InputError(f"{entry!r} is not a jail", "jail_jails", "Give a list of dictionaries, each with a name")
        options = {name: spec.get("default") for name, spec in JAIL.items()} | {str(key): entry[key] for key in entry}
        options["boot_style"] = options.get("boot_style") or variables.get("jail_boot_style") or "jail_conf"
        jail = jail_from(options, storage)
        if jail.state != "absent":
            found.append(_jail(jail))
    return sorted(found, key=lambda one: str(one["name"]))


def _jail(jail: Jail) -> dict[str, Any]:
    params = {key: list(values) for key, values in jail.params.items()}
    meta = survey.pairs(None, params)
    addresses = {
        family: [address.ip for address in jail.addresses if address.family == word]
        for family, word in (("ip4", "inet"), ("ip6", "inet6"))
    }
    return {
        "name": jail.name,
        "state": STATES[jail.state],
        "jid": None,
        "path": jail.path,
        "hostname": (params.get("host.hostname") or [""])[-1],
        **addresses,
        "vnet": "vnet" in params,
        "managed": True,
        "base": jail.base,
        "root": jail.root,
        "definition": None,
        "parameters": survey.parameters({**params, **{f"{family}.addr": found for family, found in addresses.items() if found}}),
        "meta": meta,
        "tags": survey.tags(meta),
    }
