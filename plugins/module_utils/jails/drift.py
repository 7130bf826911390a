# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a jail is not what its declaration makes it: in another definition of it, and in the kernel."""

from __future__ import annotations

from typing import Dict, Iterable, List, Mapping, Sequence

from ansible_collections.cellblock.jails.plugins.module_utils.jails import params


def plain(given: Mapping[str, Iterable[str]]) -> Dict[str, List[str]]:
    """Parameters in one spelling each, to compare two definitions; an empty list says the same as none."""
    found: Dict[str, List[str]] = {}
    for name, values in given.items():
        known, said = params.find(name), list(values)
        if known is not None and known.type == "bool":
            turned = params.canonical(name) != name
            said = ["true" if params.true(said[-1] if said else None) != turned else "false"]
        elif known is not None and known.type == "jailsys":
            said = [params.jailsys(said[-1] if said else None)]
        elif known is not None and known.type not in params.LISTS:
            said = said[-1:]
        found[params.canonical(name)] = [value for value in said if value.strip()]
    return {name: values for name, values in found.items() if values}


def unsaid(name: str) -> List[str]:
    """What a parameter is where a definition does not name it."""
    param = params.find(name)
    said = None if param is None else "false" if param.type == "bool" and param.default is None else param.default
    return [said] if said else []


def differences(wanted: Mapping[str, Sequence[str]], found: Mapping[str, Sequence[str]]) -> Dict[str, List[str]]:
    """The parameters that come up as something else than wanted, each with what it comes up as; none is an empty list."""
    one, other = plain(wanted), plain(found)
    told = {}
    for name in sorted({*one, *other} - {"depend"}):
        default = unsaid(name)
        if one.get(name, default) != other.get(name, default):
            told[name] = other.get(name, [])
    return told
