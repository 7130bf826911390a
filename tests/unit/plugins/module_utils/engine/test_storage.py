# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Trees and datasets: nothing foreign is lost, everything of a tree arrives, everything of it goes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.cellblock.jails.plugins.module_utils.engine import storage
from ansible_collections.cellblock.jails.plugins.module_utils.engine.commands import CommandError
from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.errors import HostError, Refused
from ansible_collections.cellblock.jails.plugins.module_utils.formats.outputs import Mount
from ansible_collections.cellblock.jails.tests.simulator import SimulatedHost, fresh_host
from ansible_collections.cellblock.jails.tests.unit.captures import captures

LETTERS = st.characters(blacklist_categories=("Cs", "Cc"), blacklist_characters="/")
NAMES = st.text(LETTERS, min_size=1, max_size=20).filter(
    lambda name: name not in (".", "..") and len(os.fsencode(name)) < 200
)


@pytest.fixture
def simulated(tmp_path: Path) -> SimulatedHost:
    return fresh_host(tmp_path, storage="zfs")


@pytest.fixture
def host(simulated: SimulatedHost) -> Host:
    return Host(simulated.runner, str(simulated.root))


def ours(name: str) -> bool:
    return storage.LEVEL.fullmatch(name) is not None


def test_a_dataset_goes_after_its_own_snapshots() -> None:
    found = {"z": {"origin": "-"}, "z/b": {"origin": "-"}, "z/b@15.1-RELEASE": {"origin": "-"}, "z/b2": {"origin": "-"}}
    assert storage.doomed(found, "z/b", ours, "base b") == ["z/b@15.1-RELEASE", "z/b"]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"z/b/var": {"origin": "-"}}, "children: z/b/var"),
        ({"z/b@daily": {"origin": "-"}}, "not ours: z/b@daily"),
        ({"other/c": {"origin": "z/b@15.1-RELEASE"}}, "clones: other/c"),
    ],
)
def test_what_would_be_lost_with_a_dataset_is_named(more: dict[str, Any], said: str) -> None:
    found = {"z/b": {"origin": "-"}, "z/b@15.1-RELEASE": {"origin": "-"}, **more}
    with pytest.raises(Refused, match=said):
        storage.doomed(found, "z/b", ours, "base b")


@pytest.mark.parametrize("name", ["15.1-RELEASE", "15.1-RELEASE-p12", "14.0-RC3", "16.0-CURRENT", "15.1-RELEASE-p1-2"])
def test_a_patch_level_is_told_from_other_snapshots(name: str) -> None:
    assert ours(name)
    assert not ours(f"auto-{name}")


def test_a_jail_is_cloned_from_the_newest_patch_level_only(host: Host) -> None:
    storage.create_dataset(host, "zroot/jails/b", {"cellblock:base": "b"})
    for name in ("15.1-RELEASE", "15.1-RELEASE-p1", "hourly", storage.BEFORE_UPDATE):
        storage.snapshot(host, f"zroot/jails/b@{name}")
    assert storage.newest_snapshot(host, "zroot/jails/b") == "zroot/jails/b@15.1-RELEASE-p1"


def test_a_base_without_patch_levels_is_cloned_from_its_newest_snapshot(host: Host) -> None:
    storage.create_dataset(host, "zroot/jails/b", {})
    with pytest.raises(HostError, match="no snapshot"):
        storage.newest_snapshot(host, "zroot/jails/b")
    storage.snapshot(host, "zroot/jails/b@mine")
    assert storage.newest_snapshot(host, "zroot/jails/b") == "zroot/jails/b@mine"


def test_making_and_destroying_twice_is_as_once(host: Host) -> None:
    storage.create_dataset(host, "zroot/jails/b", {})
    storage.snapshot(host, "zroot/jails/b@s")
    storage.snapshot(host, "zroot/jails/b@s")
    with pytest.raises(CommandError, match="has children"):
        storage.destroy_dataset(host, "zroot/jails/b")
    for _time in range(2):
        storage.destroy_dataset(host, "zroot/jails/b@s")
        storage.destroy_dataset(host, "zroot/jails/b")


def test_the_words_of_a_real_zfs_are_understood() -> None:
    """What storage takes for 'is there already' and 'is not there' is what FreeBSD 15.1 says."""
    said = {one["cmd"]: one["stderr"] for one in captures("commands")}
    assert "dataset already exists" in said["zfs snapshot zroot/base@p1"]
    assert "does not exist" in said["zfs destroy zroot/nope"]
    assert "Operation not permitted" in said["rm -f /jails/r151/sbin/init"]


def test_a_copy_keeps_hard_links_modes_and_links(host: Host, simulated: SimulatedHost) -> None:
    source, target = simulated.real("/var/a"), simulated.real("/var/b")
    (source / "sub/-rf").mkdir(parents=True)
    target.mkdir()
    (source / "one").write_text("text")
    (source / "one").chmod(0o4751)
    os.link(source / "one", source / "sub/two")
    (source / "out").symlink_to("/etc/passwd")
    (source / "sub/-rf/--exclude=x").write_text("")
    storage.copy_tree(host, "/var/a", "/var/b")
    assert (target / "one").samefile(target / "sub/two")
    assert (target / "one").stat().st_mode & 0o7777 == 0o4751
    assert os.readlink(target / "out") == "/etc/passwd"
    assert (target / "sub/-rf/--exclude=x").exists()


def test_only_the_members_that_are_asked_for_are_copied(host: Host, simulated: SimulatedHost) -> None:
    for name in ("etc/rc", "var/db/etcupdate/big", "var/log/x", "usr/y"):
        path = simulated.real(f"/var/a/{name}")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    simulated.real("/var/b").mkdir()
    storage.copy_tree(host, "/var/a", "/var/b", ["etc", "var"], ["var/db/etcupdate"])
    target = simulated.real("/var/b")
    found = {str(path.relative_to(target)) for path in target.rglob("*") if path.is_file()}
    assert found == {"etc/rc", "var/log/x"}


@settings(max_examples=25)
@given(parts=st.lists(NAMES, min_size=1, max_size=5))
def test_odd_names_are_copied_and_removed(host: Host, simulated: SimulatedHost, parts: list[str]) -> None:
    source, target = simulated.real("/var/a"), simulated.real("/var/b")
    (source / Path(*parts)).mkdir(parents=True, exist_ok=True)
    target.mkdir(exist_ok=True)
    storage.copy_tree(host, "/var/a", "/var/b")
    assert (target / Path(*parts)).is_dir()
    for path in ("/var/a", "/var/b"):
        storage.remove_tree(host, path)
        assert host.lstat(path) is None


def test_flagged_files_do_not_stop_a_removal(host: Host, simulated: SimulatedHost) -> None:
    simulated.real("/var/a/sbin").mkdir(parents=True)
    simulated.real("/var/a/sbin/init").write_text("elf")
    simulated.state["flags"].append("/var/a/sbin/init")
    storage.remove_tree(host, "/var/a")
    assert host.lstat("/var/a") is None
    storage.remove_tree(host, "/var/a")


def test_a_tree_with_a_mount_stays_whole(host: Host, simulated: SimulatedHost) -> None:
    simulated.real("/var/a/dev").mkdir(parents=True)
    simulated.real("/var/a/file").write_text("")
    for node in ("/var/a/dev", "/var/a"):
        with pytest.raises(Refused, match=node):
            storage.remove_tree(host, "/var/a", [Mount("devfs", node, "devfs")])
    storage.remove_tree(host, "/var/a/file", [Mount("devfs", "/var/ab", "devfs")])
    assert simulated.real("/var/a/dev").is_dir()


def test_a_failing_removal_is_told_and_no_flag_is_touched_in_vain(host: Host, simulated: SimulatedHost) -> None:
    simulated.real("/var/a").mkdir()
    simulated.fail_once("rm", says="rm: /var/a: Device busy")
    with pytest.raises(CommandError, match="Device busy"):
        storage.remove_tree(host, "/var/a")
    assert all(argv[0] != "chflags" for argv in simulated.commands)
