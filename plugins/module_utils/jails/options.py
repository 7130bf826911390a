# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of a jail and of where jails stand, shared by the modules; documented in doc_fragments/jail.py."""

from __future__ import annotations

from typing import Any, Dict

from ansible_collections.cellblock.jails.plugins.module_utils.engine.door import LOCK_OPTION
from ansible_collections.cellblock.jails.plugins.module_utils.engine.options import STORAGE_OPTIONS
from ansible_collections.cellblock.jails.plugins.module_utils.jails.registry import ASPECTS

JAIL: Dict[str, Dict[str, Any]] = {
    "name": {"type": "str", "required": True},
    "state": {"type": "str", "default": "started", "choices": ["present", "started", "stopped", "restarted", "absent"]},
    "root": {"type": "str", "default": "thin", "choices": ["thin", "clone", "thick", "empty", "existing"]},
    "base": {"type": "str"},
    "path": {"type": "path"},
    "quota": {"type": "str"},
    "reservation": {"type": "str"},
    "hostname": {"type": "str"},
    "interface": {"type": "str"},
    "ip4": {"type": "list", "elements": "str"},
    "ip6": {"type": "list", "elements": "str"},
    "vnet": {"type": "bool", "default": False},
    "vnet_interfaces": {"type": "list", "elements": "str"},
    "params": {"type": "dict"},
    "exec": {"type": "dict"},
    "depend": {"type": "list", "elements": "str"},
    "mounts": {"type": "list", "elements": "raw"},
    "devfs_ruleset": {"type": "str"},
    "fib": {"type": "int"},
    "cpuset": {"type": "str"},
    **{option: dict(spec) for aspect in ASPECTS for option, spec in aspect.options.items()},
    "boot": {"type": "bool", "default": True},
    "boot_order": {"type": "int", "default": 100},
    "boot_style": {"type": "str", "choices": ["jail_conf", "rc_conf"]},
    "rc_conf": {"type": "dict"},
    "resolv_conf": {"type": "str"},
    "timezone": {"type": "str"},
    "root_password": {"type": "str", "no_log": True},
    "aliases": {"type": "dict"},
    "authorized_keys": {"type": "list", "elements": "str", "no_log": False},
    "flavour": {"type": "str"},
    "restart": {"type": "str", "default": "never", "choices": ["never", "if_needed", "always"]},
    "adopt": {"type": "bool", "default": False},
    "destroy_snapshots": {"type": "bool", "default": False},
}

HOST: Dict[str, Dict[str, Any]] = {
    **STORAGE_OPTIONS,
    "assume": {
        "type": "dict",
        "options": {
            "bases": {"type": "list", "elements": "str", "default": []},
            "rulesets": {"type": "dict", "default": {}},
            "fibs": {"type": "bool", "default": False},
            "storage": {"type": "bool", "default": False},
            "networks": {"type": "list", "elements": "dict", "default": []},
        },
    },
    "parallel": {"type": "int", "default": 4},
    **LOCK_OPTION,
}
