# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the jails of a host are, managed or not: for people, inventories and reports. Changes nothing."""

from __future__ import annotations

import re
from dataclasses import asdict
from typing import Any, Dict, List, Mapping, Optional, Sequence

from ansible_collections.cellblock.jails.plugins.module_utils.engine import ask
from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.formats.lines import lines_of
from ansible_collections.cellblock.jails.plugins.module_utils.formats.outputs import cpulist
from ansible_collections.cellblock.jails.plugins.module_utils.jails import drift, next_boot, params
from ansible_collections.cellblock.jails.plugins.module_utils.jails.definition import Definition, conf_path
from ansible_collections.cellblock.jails.plugins.module_utils.jails.model import cpus
from ansible_collections.cellblock.jails.plugins.module_utils.jails.observe import ZFS_COLUMNS, observe
from ansible_collections.cellblock.jails.plugins.module_utils.jails.observed import RC_CONF, Observed
from ansible_collections.cellblock.jails.plugins.module_utils.jails.registry import ASPECTS, concerned

SCHEMA_VERSION = 1


def gather(
    host: Host, storage_path: str, dataset: Optional[str], sizes: bool, only: Optional[Sequence[str]] = None
) -> Dict[str, Any]:
    """Everything about a host's jails, JSON-safe.

    :param only: the names of the jails to tell of; None for all.
    :param sizes: also measure plain directories, which reads every inode of theirs.
    """
    seen = observe(host, [], storage_path, dataset, (*ZFS_COLUMNS, "used"))
    seen.own["ends"] = _ends_of_life(host)
    ours = seen.ours()
    parsed = {conf_path(name): [{"name": name, "params": one.params}] for name, one in ours.items() if one.style == "jail_conf"}
    booting = next_boot.predict(seen.variables.values, seen.boot_files.put({}, parsed))
    boot = booting.order
    names = sorted({*ours, *seen.running, *seen.dying, *seen.foreign, *seen.confs})
    names = [name for name in names if only is None or name in only]
    names.sort(key=lambda name: boot.index(name) if name in boot else len(boot))
    versions: Dict[str, str] = {}
    jails = [_jail(host, seen, name, ours.get(name), booting, storage_path, dataset, versions) for name in names]
    aspects = concerned([], seen.marks())
    for jail in jails:
        for aspect in aspects if jail["managed"] else ():
            told = dict(aspect.report(seen, jail["name"], ours[jail["name"]].meta))
            jail["drift"] += told.pop("drift", [])
            jail.update(told)
    usage = _usage(host, seen, [jail["name"] for jail in jails if jail["state"] == "running"])
    measured = _measure(host, [jail["path"] for jail in jails if jail["managed"] and jail["path"]]) if sizes else {}
    for jail in jails:
        jail["usage"] = usage.get(jail["name"], {})
        if jail["root"]["size"] is None:
            jail["root"]["size"] = measured.get(jail["path"])
    return {
        "schema_version": SCHEMA_VERSION,
        "host": {
            "osreldate": seen.osreldate,
            "jail_enable": seen.rc.get("jail_enable", "NO"),
            "jail_list": seen.rc.get("jail_list", "").split(),
            "boot_order": boot if booting.enabled else [],
            "racct": seen.rules is not None,
            "fibs": int(seen.sysctl["net.fibs"]) if seen.sysctl.get("net.fibs", "").isdigit() else 1,
            **{key: value for aspect in ASPECTS for key, value in aspect.loaded().report_host(seen).items()},
        },
        "jails": jails,
    }


def _jail(
    host: Host, seen: Observed, name: str, ours: Optional[Definition], booting: next_boot.Boot,
    storage_path: str, dataset: Optional[str], versions: Dict[str, str],
) -> Dict[str, Any]:
    running = seen.running.get(name)
    facts: Mapping[str, Any] = ours.meta if ours is not None else {}
    path = str(facts.get("path") or (running or {}).get("path") or "")
    kernel = {str(key): value for key, value in (running or {}).items()}
    return {
        "name": name,
        "state": "running" if running is not None else "dying" if name in seen.dying else "stopped",
        "managed": ours is not None,
        "jid": int(str(kernel["jid"])) if "jid" in kernel else None,
        "path": path,
        "hostname": str(kernel.get("host.hostname") or _last(ours, "host.hostname")),
        "ip4": _addresses(kernel, ours, "ip4.addr"),
        "ip6": _addresses(kernel, ours, "ip6.addr"),
        "localhost": _localhost(kernel, ours),
        "vnet": kernel.get("vnet") == "new" or (running is None and ours is not None and "vnet" in ours.params),
        "parameters": kernel,
        "defined": {} if ours is None else {key: list(value) for key, value in ours.params.items()},
        "definition": _file(seen, name, ours),
        "boot_style": ours.style if ours is not None else None,
        **_boot(name, ours, booting),
        "depend": list(facts.get("depend") or []),
        "root": _root(seen, name, facts, dataset),
        "base": _base(host, seen, facts, path, storage_path, versions),
        "mounts": [asdict(mount) for mount in seen.mounted_below(path)] if len(path) > 1 else [],
        "limits": sorted(rule for rule in seen.rules or () if rule.startswith(f"jail:{name}:")),
        "console_log": _last(ours, "exec.consolelog") or None,
        "drift": [*_drift(seen, ours, kernel), *_cpu_drift(seen, ours, kernel)],
        "restart_waits": _waits(seen, ours, kernel),
        "upgrade": _upgrade(host, seen, facts),
    }


def _boot(name: str, ours: Optional[Definition], booting: next_boot.Boot) -> Dict[str, Any]:
    """What the next boot does for the jail."""
    start = booting.find(name)
    shared = ours is not None and start is not None and start.params is not None and ours.style == "jail_conf"
    return {
        "boot": booting.enabled and start is not None,
        "boot_position": booting.order.index(name) + 1 if start is not None else None,
        "boot_file": start.conf if start is not None else None,
        "boot_problem": next((one.problem for one in booting.tried if one.name == name and one.problem), None),
        "boot_differs": drift.differences(ours.params, start.params) if shared and ours and start and start.params else {},
    }


def _upgrade(host: Host, seen: Observed, facts: Mapping[str, Any]) -> Optional[Dict[str, Any]]:
    """What the mark says of its last upgrade, and whether there is a way back."""
    noted = facts.get("upgrade")
    if not isinstance(noted, dict):
        return None
    keep = noted.get("keep") or {}
    names = [keep["aside"]] if keep.get("aside") else [f"{dataset}@{keep.get('snapshot')}" for dataset in keep.get("datasets") or ()]
    kept = all(name in (seen.datasets or {}) for name in names) if names else bool(keep.get("copy")) and host.isdir(str(keep["copy"]))
    return {**noted, "rollback": kept and noted.get("phase") in ("done", "not well")}


def _last(ours: Optional[Definition], param: str) -> str:
    values = ours.params.get(param) if ours is not None else None
    return values[-1] if values else ""


def _addresses(kernel: Mapping[str, Any], ours: Optional[Definition], param: str) -> List[str]:
    if kernel:
        return [str(address) for address in kernel.get(param) or []]
    texts = ours.params.get(param, []) if ours is not None else []
    return [re.sub(r"^.*\||/.*$", "", text) for text in texts]


def _localhost(kernel: Mapping[str, Any], ours: Optional[Definition]) -> str:
    """The address that stands for 127.0.0.1 inside: a jail that shares the host's network has its first address there."""
    if kernel.get("vnet") == "new" or kernel.get("ip4") == "inherit" or (not kernel and ours is not None and "vnet" in ours.params):
        return "127.0.0.1"
    return next(iter(_addresses(kernel, ours, "ip4.addr")), "")


def _file(seen: Observed, name: str, ours: Optional[Definition]) -> Optional[str]:
    if ours is not None:
        return conf_path(name) if ours.style == "jail_conf" else RC_CONF
    return conf_path(name) if name in seen.confs else seen.foreign.get(name)


def _root(seen: Observed, name: str, facts: Mapping[str, Any], dataset: Optional[str]) -> Dict[str, Any]:
    own = f"{dataset}/{name}" if dataset is not None else ""
    found = (seen.datasets or {}).get(own)
    return {
        "kind": facts.get("root"),
        "dataset": own if found is not None else None,
        "size": int(found["used"]) if found is not None else None,
        "quota": int(found["quota"]) or None if found is not None and found["quota"].isdigit() else None,
        "origin": found["origin"] if found is not None and found["origin"] != "-" else None,
    }


def _base(
    host: Host, seen: Observed, facts: Mapping[str, Any], path: str, storage_path: str, versions: Dict[str, str]
) -> Dict[str, Any]:
    base = facts.get("base")
    home = path
    if base and facts.get("root") == "thin":
        home = base if base.startswith("/") else f"{storage_path}/basejails/{base}"
    if home and facts and home not in versions:
        versions[home] = ask.version(host, home)
    version = versions.get(home) or None
    return {"name": base, "version": version, "end_of_life": seen.own["ends"].get((version or "").partition("-p")[0])}


def _ends_of_life(host: Host) -> Dict[str, int]:
    """When releases end, seconds since 1970, as far as freebsd-update(8) has learnt it here."""
    found: Dict[str, int] = {}
    for path in ("/var/db/freebsd-update/tag", "/var/cache/cellblock/freebsd-update/tag"):
        fields = (host.read(path) or "").strip().split("|")
        if len(fields) == 6 and fields[5].isdigit():
            found[fields[2]] = int(fields[5])
    return found


def _drift(seen: Observed, ours: Optional[Definition], kernel: Mapping[str, Any]) -> List[Dict[str, Any]]:
    """Where the running jail is not as its file says, nor as it waits to become."""
    if ours is None or not kernel:
        return []
    waiting = ours.note(kernel.get("jid"), seen.boot).get("was", {})
    wanted = {name: values for name, values in ours.params.items() if name not in waiting}
    found = []
    for name, values in wanted.items():
        known = params.find(name)
        if known is not None and known.kernel and not drift.holds(name, values, ours.params, kernel, ours.meta.get("dropped", ())):
            found.append({"parameter": name, "file": values, "kernel": params.running(name, kernel)})
    beyond = drift.beyond(ours.params, kernel, seen.sysctl)
    return found + [{"parameter": name, "file": [], "kernel": kernel[name]} for name in beyond if name not in waiting]


def _cpu_drift(seen: Observed, ours: Optional[Definition], kernel: Mapping[str, Any]) -> List[Dict[str, Any]]:
    wanted, now = cpus(ours.params) if ours is not None else None, seen.cpus.get(str(kernel.get("jid")))
    if wanted is None or now is None or cpulist(wanted) == now:
        return []
    return [{"parameter": "cpuset", "file": [wanted], "kernel": [str(cpu) for cpu in sorted(now)]}]


def _waits(seen: Observed, ours: Optional[Definition], kernel: Mapping[str, Any]) -> List[str]:
    """What only a restart would bring."""
    if ours is None or not kernel:
        return []
    waits = {entry["parameter"] for entry in _drift(seen, ours, kernel) if not _live(entry["parameter"])}
    return sorted(waits | set(ours.note(kernel.get("jid"), seen.boot).get("names", [])))


def _live(name: str) -> bool:
    known = params.find(name)
    return known is not None and known.live


def _usage(host: Host, seen: Observed, names: Sequence[str]) -> Dict[str, Dict[str, int]]:
    """What running jails use, see rctl(8) -u. It prints one jail after another without saying which."""
    if seen.rules is None or not names:
        return {}
    result = host.ask(["rctl", "-u", *(f"jail:{name}" for name in names)])
    blocks: List[Dict[str, int]] = []
    for line in lines_of(result.out):
        resource, _equals, value = line.partition("=")
        if not blocks or resource in blocks[-1]:
            blocks.append({})
        blocks[-1][resource] = int(value) if value.isdigit() else 0
    return dict(zip(names, blocks)) if result.rc == 0 and len(blocks) == len(names) else {}


def _measure(host: Host, paths: Sequence[str]) -> Dict[str, int]:
    """Bytes that directories hold by themselves, what is mounted in them aside; see du(1)."""
    there = [path for path in paths if host.isdir(path)]
    found = {}
    for line in lines_of(host.ask(["du", "-skx", *there]).out) if there else []:
        size, _tab, path = line.partition("\t")
        if size.strip().isdigit():
            found[path] = int(size) * 1024
    return found
