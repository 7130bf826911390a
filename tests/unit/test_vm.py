# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The machines of molecule: where their images come from, and what is said when something is missing."""

from __future__ import annotations

import hashlib
import importlib.util
import lzma
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

PROGRAM = Path(__file__).resolve().parents[2] / "extensions" / "molecule" / "shared" / "vm.py"
NAME = "FreeBSD-15.1-RELEASE-amd64-BASIC-CLOUDINIT-ufs.qcow2.xz"


@pytest.fixture
def vm(tmp_path: Path, monkeypatch: Any) -> ModuleType:
    """The program, with an empty place of its own, and a site for downloads with one release."""
    spec = importlib.util.spec_from_file_location("vm", PROGRAM)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "STATE", tmp_path / "state")
    monkeypatch.setattr(module, "RELEASE", "15.1-RELEASE")
    monkeypatch.setattr(module, "DOWNLOADS", (tmp_path / "site").as_uri())
    folder = tmp_path / "site" / "15.1-RELEASE" / "amd64" / "Latest"
    folder.mkdir(parents=True)
    (folder / NAME).write_bytes(lzma.compress(b"image"))
    (folder / "CHECKSUM.SHA256").write_text(f"SHA256 ({NAME}) = {hashlib.sha256((folder / NAME).read_bytes()).hexdigest()}\n")
    return module


def test_an_official_image_is_fetched_checked_and_kept(vm: ModuleType, tmp_path: Path) -> None:
    image = vm.fetched_image()
    assert image.read_bytes() == b"image"
    (tmp_path / "site").rename(tmp_path / "gone")
    assert vm.fetched_image() == image
    assert [path.name for path in image.parent.iterdir()] == [image.name]


def test_an_image_that_is_not_what_its_sum_says_is_refused_and_not_kept(vm: ModuleType, tmp_path: Path) -> None:
    place = next((tmp_path / "site").rglob(NAME))
    place.write_bytes(lzma.compress(b"another"))
    with pytest.raises(SystemExit, match="is not what its CHECKSUM.SHA256 says"):
        vm.fetched_image()
    assert not any(path.is_file() for path in (tmp_path / "state").rglob("*"))


def test_without_a_network_it_says_what_else_can_be_given(vm: ModuleType, monkeypatch: Any) -> None:
    monkeypatch.setattr(vm, "RELEASE", "15.9-RELEASE")
    with pytest.raises(SystemExit, match="FREEBSD_IMAGE, or FREEBSD_KERNEL and FREEBSD_ROOT"):
        vm.fetched_image()


def test_without_qemu_it_says_where_that_comes_from(vm: ModuleType, monkeypatch: Any) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(SystemExit, match="qemu-system-x86"):
        vm.Vm("one").start()
