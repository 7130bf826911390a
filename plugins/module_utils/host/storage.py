# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan for the place where jails and their bases live."""

from __future__ import annotations

import re
import stat
from typing import Any, List, Mapping, Optional

from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.engine.plan import Plan, Step
from ansible_collections.cellblock.jails.plugins.module_utils.errors import HostError, InputError, Refused
from ansible_collections.cellblock.jails.plugins.module_utils.formats.lines import lines_of


def plan_from(host: Host, options: Mapping[str, Any]) -> Plan:
    """The same, by a module's options."""
    mode = str(options["mode"])
    if not re.fullmatch(r"0?[0-7]{3}", mode):
        raise InputError(f"'{mode}' is not an octal mode", "mode", 'Write it as "0700", in quotes')
    properties = {str(name): str(value) for name, value in options["properties"].items()}
    return plan(host, options["path"], options["dataset"], int(mode, 8), properties)


def plan(host: Host, path: str, dataset: Optional[str], mode: int, properties: Mapping[str, str]) -> Plan:
    """The way to the storage.

    :raises InputError: a value that cannot be.
    :raises Refused: files would vanish below a new mount.
    """
    if not re.fullmatch(r"(/[^/\0]+)+", path) or {".", ".."} & set(path.split("/")):
        raise InputError(f"'{path}' is not a clean absolute path", "path", "Write it from / without '.', '..' or '//'")
    steps = _dataset(host, path, dataset, properties) if dataset else []
    new = bool(dataset) and any(step.what.startswith("create") for step in steps)
    there = host.lstat(path)
    if there is not None and not stat.S_ISDIR(there.st_mode):
        raise Refused("is there, and is not a directory", path, "Move it away, or choose another path")
    if there is None and not dataset:
        steps.append(Step(
            f"create {path}", lambda host: host.makedirs(path), lambda host: host.rmdir(path), path, "", "directory\n",
        ))
    now = 0o755 if new or there is None else stat.S_IMODE(there.st_mode)
    if now != mode:
        steps.append(Step(
            f"set mode of {path} to {mode:04o}", lambda host: host.chmod(path, mode),
            lambda host: host.chmod(path, now), f"mode of {path}", f"{now:04o}\n", f"{mode:04o}\n",
        ))
    return Plan(before=steps, facts={"datasets": [dataset] if new else []})


def _dataset(host: Host, path: str, dataset: str, properties: Mapping[str, str]) -> List[Step]:
    wanted = {**properties, "mountpoint": path}
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.:-]*(/[A-Za-z0-9][A-Za-z0-9_.:-]*)*", dataset):
        raise InputError(f"'{dataset}' cannot be a dataset's name", "dataset")
    names = ",".join(sorted(wanted))
    result = host.ask(("zfs", "get", "-Hp", "-o", "property,value", names, dataset))
    if result.rc != 0 and "does not exist" not in result.err:
        raise HostError(f"'zfs get' failed: {result.said()}", dataset, "Look at 'zpool status', and at the properties")
    if result.rc == 0:
        now = dict(line.partition("\t")[::2] for line in lines_of(result.out))
        return [_set(dataset, name, now.get(name, "-"), value) for name, value in wanted.items() if now.get(name) != value]
    if host.listdir(path):
        raise Refused(
            f"holds files, which would vanish below dataset {dataset}", path, "Move them away, or choose another path",
        )
    options = [word for name, value in wanted.items() for word in ("-o", f"{name}={value}")]
    return [Step(
        f"create dataset {dataset}, mounted at {path}",
        _runs("zfs", "create", "-p", *options, dataset), _runs("zfs", "destroy", dataset),
        f"dataset {dataset}", "", "".join(f"{name}={value}\n" for name, value in sorted(wanted.items())),
    )]


def _set(dataset: str, name: str, before: str, after: str) -> Step:
    return Step(
        f"set {name}={after} of dataset {dataset}", _runs("zfs", "set", f"{name}={after}", dataset),
        _runs("zfs", "set", f"{name}={before}", dataset), f"{name} of dataset {dataset}", f"{before}\n", f"{after}\n",
    )


def _runs(*argv: str) -> Any:
    def do(host: Host) -> None:
        host.run(argv)

    return do
