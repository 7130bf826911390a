# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a jail is not what its declaration makes it: in another definition of it, and in the kernel."""

from __future__ import annotations

from typing import Any, Dict, Iterable, List, Mapping, Sequence

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


# What a privilege counts in, where it is no allow.*: more of it is more than the declaration gives.
_COUNTS = ("children.max", "zfs.mount_snapshot")
_SYSV = ("sysvmsg", "sysvsem", "sysvshm")


def holds(
    name: str, values: List[str], wanted: Mapping[str, List[str]], kernel: Mapping[str, Any], dropped: Sequence[str] = (),
) -> bool:
    """Whether the kernel has what a definition says of a parameter, as far as the kernel shows it, and it is the definition's to say.

    Addresses that others add, behind those of the definition, are none of its business.

    :param wanted: the whole definition: by ip_hostname, jail(8) adds addresses to those that are declared.
    :param dropped: the addresses that were the definition's, and are to go.
    """
    now = params.running(name, kernel)
    if now is None:
        return not name.startswith(("meta.", "env."))
    if name in ("ip4.addr", "ip6.addr"):
        named = wanted.get("ip_hostname", ["false"]) in (["true"], [])
        first = named or not values or params.same(name, values[:1], list(now)[:1])
        return first and params.within(values, now) and not any(params.within([one], now) for one in dropped)
    return params.same(name, values, now)


def beyond(wanted: Mapping[str, List[str]], kernel: Mapping[str, Any], sysctl: Mapping[str, str]) -> Dict[str, List[str]]:
    """What a running jail may beyond its definition, or may not although a new jail may; each with a new jail's value.

    :param kernel: what jls(8) shows of the jail.
    """
    found: Dict[str, List[str]] = {}
    said = {params.canonical(name) for name in wanted}
    nested = "." in str(kernel.get("name") or "")  # its parent's bounds are its own
    for name, value in kernel.items():
        known = params.PARAMS.get(name)
        default = (known.default if known is not None else None) or "false"
        if name in said:
            continue
        if name.startswith("allow.") and isinstance(value, bool):
            if value is not (default == "true") and not (nested and default == "true"):
                found[name] = [str(default)]
        elif name == "enforce_statfs":
            usual = sysctl.get("security.jail.enforce_statfs") or "2"
            if str(value).isdigit() and int(value) < int(usual):
                found[name] = [usual]
        elif name in _COUNTS and str(value) != default:
            found[name] = [str(default)]
        elif name in _SYSV and str(value) != (params.default(name, wanted) or [default])[-1]:
            found[name] = params.default(name, wanted) or [str(default)]
    return found
