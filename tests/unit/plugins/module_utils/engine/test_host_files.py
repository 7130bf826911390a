# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of the host keep their owner, mode and place, also where links lead into a repository of configuration."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Callable

import pytest

from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host


@pytest.fixture(name="host", params=["real", "simulated"])
def fixture_host(request: pytest.FixtureRequest, tmp_path: Path) -> "tuple[Host, Callable[[str], str]]":
    """A host, and what a path below its /etc is called there."""
    (tmp_path / "etc").mkdir()
    (tmp_path / "repo").mkdir()
    if request.param == "real":
        return Host(), lambda path: f"{tmp_path}{path}"
    return Host(root=str(tmp_path)), lambda path: path


@pytest.mark.parametrize("relative", [True, False])
def test_a_link_stays_and_its_target_keeps_its_mode(host: "tuple[Host, Callable[[str], str]]", tmp_path: Path, relative: bool) -> None:
    machine, named = host
    target = tmp_path / "repo" / "rc.conf"
    target.write_text("old\n")
    target.chmod(0o600)
    link = tmp_path / "etc" / "rc.conf"
    link.symlink_to("../repo/rc.conf" if relative else named("/repo/rc.conf"))
    machine.write(named("/etc/rc.conf"), "new\n")
    assert link.is_symlink() and target.read_text() == "new\n"
    assert target.stat().st_mode & 0o7777 == 0o600
    assert os.listdir(tmp_path / "etc") == os.listdir(tmp_path / "repo") == ["rc.conf"]


def test_a_link_to_nothing_gets_its_file(host: "tuple[Host, Callable[[str], str]]", tmp_path: Path) -> None:
    machine, named = host
    (tmp_path / "etc" / "rctl.conf").symlink_to("../repo/rctl.conf")
    machine.write(named("/etc/rctl.conf"), "new\n")
    assert (tmp_path / "etc" / "rctl.conf").is_symlink() and (tmp_path / "repo" / "rctl.conf").read_text() == "new\n"


def test_bytes_that_are_no_utf8_stay(host: "tuple[Host, Callable[[str], str]]", tmp_path: Path) -> None:
    machine, named = host
    (tmp_path / "etc" / "aliases").write_bytes(b"r\xf6\xf6t: ops\r\n")
    machine.write(named("/etc/aliases"), (machine.read(named("/etc/aliases")) or "") + "more: ops\n")
    assert (tmp_path / "etc" / "aliases").read_bytes() == b"r\xf6\xf6t: ops\r\nmore: ops\n"
