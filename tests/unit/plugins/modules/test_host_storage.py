# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The place where jails live."""

from __future__ import annotations

import stat

import pytest

from ansible_collections.cellblock.jails.plugins.module_utils.engine.apply import take
from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.errors import CellblockError, InputError, Refused
from ansible_collections.cellblock.jails.plugins.module_utils.host import storage as host_storage
from ansible_collections.cellblock.jails.tests.simulator import SimulatedHost


def run(host: Host, path: str = "/usr/jails", dataset: str | None = None, **properties: str) -> list[str]:
    made = host_storage.plan(host, path, dataset, 0o700, properties)
    take(host, made)
    return made.told()


def mode(host: Host, path: str) -> int:
    found = host.lstat(path)
    assert found is not None
    return stat.S_IMODE(found.st_mode)


def test_a_directory_is_made_with_its_mode_once(host: Host) -> None:
    assert run(host) == ["create /usr/jails", "set mode of /usr/jails to 0700"]
    assert mode(host, "/usr/jails") == 0o700
    assert run(host) == []


def test_a_dataset_is_made_and_mounted_once(simulated: SimulatedHost, host: Host) -> None:
    simulated.run(["zfs", "create", "-o", "mountpoint=/zroot", "zroot"])
    made = host_storage.plan(host, "/usr/jails", "zroot/jails", 0o700, {"compression": "zstd"})
    assert made.facts["datasets"] == ["zroot/jails"]
    assert run(host, "/usr/jails", "zroot/jails", compression="zstd") == made.told()
    assert mode(host, "/usr/jails") == 0o700
    assert run(host, "/usr/jails", "zroot/jails", compression="zstd") == []


def test_a_property_is_changed_where_it_differs(simulated: SimulatedHost, host: Host) -> None:
    simulated.run(["zfs", "create", "-o", "mountpoint=/zroot", "zroot"])
    run(host, "/usr/jails", "zroot/jails", compression="zstd")
    assert run(host, "/usr/jails", "zroot/jails", compression="lz4") == ["set compression=lz4 of dataset zroot/jails"]


def test_files_never_vanish_below_a_new_mount(simulated: SimulatedHost, host: Host) -> None:
    simulated.run(["zfs", "create", "-o", "mountpoint=/zroot", "zroot"])
    host.makedirs("/usr/jails/precious")
    with pytest.raises(Refused, match="holds files"):
        run(host, "/usr/jails", "zroot/jails")


def test_a_pool_that_is_not_there_is_told_in_zfs_s_words(host: Host) -> None:
    with pytest.raises(CellblockError):
        run(host, "/usr/jails", "tank/jails")


@pytest.mark.parametrize("path, dataset", [("jails", None), ("/usr/../jails", None), ("/", None), ("/usr/jails", "-f")])
def test_odd_names_are_refused(host: Host, path: str, dataset: str | None) -> None:
    with pytest.raises(InputError):
        run(host, path, dataset)
