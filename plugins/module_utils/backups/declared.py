# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The declaration that a jail's definition came from, as far as options can say it: what a backup makes a jail of."""

from __future__ import annotations

import re
import shlex
from typing import Any, Dict, List, Mapping, Sequence

from ansible_collections.cellblock.jails.plugins.module_utils.formats import fstab
from ansible_collections.cellblock.jails.plugins.module_utils.jails import loopback
from ansible_collections.cellblock.jails.plugins.module_utils.jails.definition import RC_START, RC_STOP, Definition
from ansible_collections.cellblock.jails.plugins.module_utils.jails.model import BASE_MOUNT, CONSOLE_LOG, CPUSET_HOOK, ZFS_HOOK, Params
from ansible_collections.cellblock.jails.plugins.module_utils.networks import join as joins
from ansible_collections.cellblock.jails.plugins.module_utils.networks.join import Join
from ansible_collections.cellblock.jails.plugins.module_utils.networks.loopback import HOOK as LOOPBACK

Options = Dict[str, Any]
# Hooks that aspects make of options; they are made anew.
BPF = re.compile(r"/sbin/devfs -m \S+/dev rule apply path 'bpf\*' unhide")
NFSD = "/sbin/kldload -n nfsd"
TRAFFIC = re.compile(r"/sbin/pfctl -q (?:-a cellblock/|-k label -k )\S+.*|/sbin/dnctl .*")
MODULES = ("/sbin/kldload -n pf", "/sbin/kldload -n dummynet")
RULE = re.compile(r"jail:[^:]+:([a-z]+):([a-z]+)=(\d+)")


def options_of(definition: Definition, rules: Sequence[str] = (), same: bool = True) -> Options:
    """The options of the jail of a definition.

    :param rules: its limits, as rctl(8) tells them.
    :param same: whether it is the jail itself, not another that begins as it was: then its interfaces keep their addresses.
    """
    params = {name: list(values) for name, values in definition.params.items()}
    meta, name = definition.meta, definition.name
    path = definition.root
    found: Options = {
        "name": name, "root": meta.get("root"), "base": meta.get("base"), "boot": bool(meta.get("boot", True)),
        "boot_order": int(meta.get("boot_order", 100)), "boot_style": definition.style, "depend": list(meta.get("depend") or ()),
    }
    if found["root"] == "existing" or path.rpartition("/")[2] != name:
        found["path"] = path
    params.pop("path", None)
    hostname = params.pop("host.hostname", [name])
    if hostname != [name]:
        found["hostname"] = hostname[-1]
    found.update(_hooks(params, meta))
    found.update(_network(params, meta, name, same))
    found["mounts"] = _mounts(params.pop("mount", []), path, found["root"] == "thin")
    rest = _plain(params, name, found["root"] == "empty", definition.style)
    limits = dict(one for one in map(_limit, rules) if one[0])
    return {key: value for key, value in {**found, **rest, "limits": limits}.items() if value not in (None, [], {})}


def _hooks(params: Params, meta: Mapping[str, Any]) -> Options:
    """Take away the hooks of options, and say which options these are."""
    found: Options = {}
    made = joins.joins_of(meta)
    for one in made:
        _drop(params, "exec.prestart", joins.prestart(one))
        _drop(params, "exec.poststart", joins.prestart(one))
        _drop(params, "exec.poststop", joins.poststop(one))
    for hook in params.get("exec.created", []) + params.get("exec.poststart", []):
        if hook.startswith(CPUSET_HOOK):
            found["cpuset"] = hook[len(CPUSET_HOOK):].partition(" ")[0]
        if BPF.fullmatch(hook):
            found["bpf"] = True
        if hook.startswith(ZFS_HOOK):
            params.setdefault("zfs.dataset", []).append(shlex.split(hook)[-1])
    if NFSD in params.get("exec.prepare", []):
        found["nfsd"] = True
        params.pop("allow.nfsd", None)
        _drop(params, "exec.prepare", [NFSD])
    _drop(params, "exec.prepare", [LOOPBACK])
    asked = (meta.get("traffic") or {}).get("asked")
    if meta.get("traffic"):
        found.update(asked or {})
        _drop(params, "exec.prestart", MODULES)
    for param in [param for param in params if param.startswith("exec.")]:
        kept = [hook for hook in params[param] if not (hook.startswith((CPUSET_HOOK, ZFS_HOOK)) or BPF.fullmatch(hook))]
        params[param] = [hook for hook in kept if not (meta.get("traffic") and TRAFFIC.fullmatch(hook))]
    return found


def _drop(params: Params, name: str, hooks: Sequence[str]) -> None:
    for hook in hooks:
        if hook in params.get(name, []):
            params[name].remove(hook)


def _network(params: Params, meta: Mapping[str, Any], name: str, same: bool) -> Options:
    found: Options = {}
    made = joins.joins_of(meta)
    if made:
        found["networks"] = [_member(one, same) for one in made]
        inners = {one.inner for one in made}
        params["vnet.interface"] = [one for one in params.get("vnet.interface", []) if one not in inners]
        for one in made:  # of a root without rc(8)
            _drop(params, "exec.created", joins.created(one, name))
    if params.pop("vnet", ["inherit"]) == ["new"]:
        found["vnet"] = True
    found["vnet_interfaces"] = params.pop("vnet.interface", [])
    for family, word in (("ip4", "ip4"), ("ip6", "ip6")):
        texts = params.pop(f"{family}.addr", [])
        if meta.get("loopback"):
            own = [text for text in texts if text.startswith(f"{loopback.DEVICE}|")]
            texts = [text for text in texts if text not in own]
            found.update(_loopback(own, name) if own and "loopback" not in found else {})
        told = params.pop(word, None)
        found[family] = texts or (told[-1] if told else None)
    return found


def _loopback(own: List[str], name: str) -> Options:
    """``true`` where the address is what its name makes it; a jail of another name has another then."""
    address = re.sub(r"^.*\||/.*$", "", own[0])
    derived = {one.ip for one in loopback.declared({"name": name, "loopback": "true"}, (), f"jail {name}")}
    return {"loopback": "true" if address in derived else address}


def _member(one: Join, same: bool) -> Options:
    via = [route for route in (one.route4, one.route6) if route]
    told = {"name": one.network, "ip4": one.ip4, "ip6": one.ip6, "gateway": via, "mac": one.mac if same else ""}
    return {key: value for key, value in told.items() if value}


def _mounts(lines: Sequence[str], path: str, thin: bool) -> List[Options]:
    entries = [entry for entry in map(fstab.parse_line, lines) if entry is not None]
    if thin:
        entries = [entry for entry in entries if entry.file != f"{path}/{BASE_MOUNT}"]
    return [
        {"src": entry.spec, "dest": entry.file[len(path):] if entry.file.startswith(f"{path}/") else entry.file, "type": entry.vfstype, "opts": entry.mntops}
        for entry in entries
    ]


def _plain(params: Params, name: str, empty: bool, style: str) -> Options:
    """What is left: parameters, commands, and the options that are one parameter each."""
    found: Options = {}
    vnet_default = params.pop("devfs_ruleset", None)
    if vnet_default and vnet_default[-1] not in ("4", "5"):
        found["devfs_ruleset"] = vnet_default[-1]
    if "exec.fib" in params:
        found["fib"] = int(params.pop("exec.fib")[-1])
    if params.get("exec.consolelog") == [CONSOLE_LOG.format(name=name)]:
        del params["exec.consolelog"]
    commands: Dict[str, Any] = {}
    if not empty:
        for word, usual in (("start", [RC_START]), ("stop", [RC_STOP])):
            now = params.pop(f"exec.{word}", [])
            if now != usual:
                commands[word] = now
    for param in [param for param in params if param.startswith("exec.") and param != "exec.clean"]:
        values = params.pop(param)
        if values:
            commands[param[5:]] = values[0] if len(values) == 1 else values
    plain = {key: values[0] if len(values) == 1 else values for key, values in params.items() if values or style}
    return {**found, "exec": commands, "params": {key: value if value != [] else "true" for key, value in plain.items()}}


def _limit(rule: str) -> Any:
    """A rule of rctl(8), as the option has it."""
    read = RULE.fullmatch(rule)
    return (read.group(1), {"action": read.group(2), "amount": int(read.group(3))}) if read else ("", None)
