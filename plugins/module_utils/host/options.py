# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of a host's parts, shared by the modules; documented in doc_fragments/parts.py."""

from __future__ import annotations

from typing import Any, Dict

Options = Dict[str, Dict[str, Any]]

STORAGE: Options = {
    "path": {"type": "path", "default": "/usr/jails"},
    "dataset": {"type": "str"},
    "mode": {"type": "str", "default": "0700"},
    "properties": {"type": "dict", "default": {}},
}
SETTINGS: Options = {
    "rc_conf": {"type": "dict", "default": {}},
    "loader_conf": {"type": "dict", "default": {}},
    "kernel_modules": {"type": "list", "elements": "str", "default": []},
    "racct": {"type": "bool"},
    "fibs": {"type": "int"},
    "interfaces_now": {"type": "bool", "default": False},
}
RULESET: Options = {
    "name": {"type": "str", "required": True},
    "number": {"type": "int"},
    "rules": {"type": "list", "elements": "str"},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "load": {"type": "bool", "default": True},
    "apply": {"type": "bool", "default": False},
}
RULESETS: Options = {
    "rulesets": {
        "type": "list", "elements": "dict", "default": [], "options": RULESET, "required_if": [("state", "present", ["rules"])],
    },
    "prune": {"type": "bool", "default": False},
}
POLICIES: Options = {
    "sendmail": {"type": "str", "choices": ["disabled", "keep"], "default": "disabled"},
    "inetd": {"type": "str", "choices": ["bound", "keep"], "default": "bound"},
    "rpcbind": {"type": "str", "choices": ["bound", "disabled", "keep"], "default": "disabled"},
    "syslogd": {"type": "str", "choices": ["bound", "closed", "keep"], "default": "bound"},
    "sshd": {"type": "str", "choices": ["bound", "keep"], "default": "bound"},
    "ntpd": {"type": "str", "choices": ["bound", "keep"], "default": "bound"},
    "mountd": {"type": "str", "choices": ["bound", "keep"], "default": "bound"},
    "nfsd": {"type": "str", "choices": ["bound", "keep"], "default": "bound"},
}
SERVICES: Options = {
    "addresses": {"type": "list", "elements": "str", "default": []},
    "sshd_max_sessions": {"type": "int"},
    **POLICIES,
    "inetd_flags": {"type": "str", "default": "-wW"},
    "rpcbind_flags": {"type": "str", "default": ""},
    "syslogd_flags": {"type": "str", "default": "-s"},
    "mountd_flags": {"type": "str", "default": "-r -S"},
    "nfs_server_flags": {"type": "str", "default": "-u -t"},
}
LISTENERS: Options = {
    "allow": {"type": "list", "elements": "str", "default": []},
    "fail": {"type": "bool", "default": False},
}
