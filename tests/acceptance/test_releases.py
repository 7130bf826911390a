# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an older FreeBSD does not have, and what stands in for it: on a simulated host of 14.0, whichever host the others run on."""

from __future__ import annotations

from pathlib import Path

import pytest

from .machine import Failed, Simulated
from .test_jails import IDLE


@pytest.fixture
def older(tmp_path: Path) -> Simulated:
    """A host of FreeBSD 14.0."""
    return Simulated(tmp_path / "host", "zfs", release="14.0")


def test_a_failed_start_is_undone_where_jail_8_cannot_be_asked_to(older: Simulated) -> None:
    hooks = {"prestart": "ifconfig rl0 inet 10.99.0.77/32 alias", "poststop": "ifconfig rl0 inet 10.99.0.77 -alias"}
    with pytest.raises(Failed, match="/usr/bin/false"):
        older.jails([older.web(exec={"start": "/usr/bin/false", "stop": "", **hooks})])
    assert "10.99.0.77/32" not in older.addresses()


def test_what_came_later_is_refused_before_anything_is_made(older: Simulated) -> None:
    before = older.picture()
    for name, said in {"meta": "meta is in FreeBSD 15.0 and later", "allow.routing": "the kernel of this host does not know it"}.items():
        with pytest.raises(Failed, match=f"jail cbweb, {name}: {said}"):
            older.jails([older.web(params={name: "a=b" if name == "meta" else True}, **IDLE)])
    assert older.picture() == before


def test_a_given_dataset_outlives_the_upgrade_of_its_host(older: Simulated) -> None:
    older.run("zfs", "create", "-o", "mountpoint=none", "zroot/own")
    declared = [older.web(root="clone", params={"zfs.dataset": ["zroot/own"]}, **IDLE)]
    older.jails(declared)
    assert "/sbin/zfs jail cbweb zroot/own" in str(older.read("/etc/jail.conf.d/cbweb.conf"))
    assert older.jails(declared)["steps"] == []
    older.sim.state["sysctl"]["kern.osreldate"] = "1501000"
    assert older.jails(declared)["jails"]["cbweb"]["restart_waits"]
    older.jails([{**declared[0], "state": "restarted"}])
    text = str(older.read("/etc/jail.conf.d/cbweb.conf"))
    assert "zfs.dataset" in text and "/sbin/zfs" not in text
    assert older.jails(declared)["steps"] == []
