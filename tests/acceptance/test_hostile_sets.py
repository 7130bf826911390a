# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sets of a tampered mirror, whose MANIFEST fits them: what is in an archive reaches no further than the base."""

from __future__ import annotations

import hashlib
import io
import tarfile
from typing import Any, Dict, List, Tuple, cast

import pytest

from .machine import Failed, Machine, Remote, Simulated

VICTIM = "/var/cbvictim"
Member = Tuple[str, Dict[str, Any], bytes]


def _file(name: str, **more: Any) -> Member:
    return name, more, b"evil\n"


def _link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> Member:
    return name, {"type": kind, "linkname": target}, b""


def _members(victim: str) -> Dict[str, List[Member]]:
    up = "../" * 12 + victim.lstrip("/")
    return {
        "dots": [_file(f"{up}/planted")],
        "dots inside": [_file(f"usr/{up}/planted")],
        "an absolute path": [_file(f"{victim}/planted")],
        "through a link": [_link("usr/out", victim), _file("usr/out/planted")],
        "through links of two": [_link("a", up), _link("b", "a"), _file("b/planted")],
        "over a linked file": [_link("etc/motd", f"{victim}/file"), _file("etc/motd")],
        "over a hard link": [_link("etc/motd", f"{victim}/file", tarfile.LNKTYPE), _file("etc/motd")],
        "modes of a link's target": [_link("usr/out", f"{victim}/file"), _file("usr/out", mode=0o6777)],
        "a device": [("dev/null0", {"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 3}, b""), _file("etc/fine")],
    }


def _archive(members: List[Member]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:xz", format=tarfile.PAX_FORMAT) as archive:
        for name, more, data in [("bin", {"type": tarfile.DIRTYPE, "mode": 0o755}, b""), *members]:
            info = tarfile.TarInfo(name)
            info.mode, info.size = 0o644, len(data)
            for key, value in more.items():
                setattr(info, key, value)
            archive.addfile(info, io.BytesIO(data))
    return stream.getvalue()


def _put(machine: Machine, path: str, data: bytes) -> None:
    if machine.real:
        cast(Remote, machine).ssh(f"cat > {path}", data)
    else:
        cast(Simulated, machine).sim.real(path).write_bytes(data)


def _look(machine: Machine) -> str:
    if machine.real:
        return machine.run("ls", "-lR", VICTIM)
    return "".join(f"{path} {path.lstat().st_mode:o}\n" for path in sorted(cast(Simulated, machine).sim.real(VICTIM).rglob("*")))


@pytest.mark.parametrize("way", sorted(_members(VICTIM)))
def test_an_archive_writes_nowhere_but_into_its_base(machine: Machine, way: str) -> None:
    """Taken as far as that goes or refused, never further."""
    machine.write(f"{VICTIM}/file", "precious\n")
    place = str(cast(Simulated, machine).sim.real(VICTIM)) if not machine.real else VICTIM
    data = _archive(_members(place)[way])
    sets = "/var/cbsets"
    machine.write(f"{sets}/MANIFEST", f'base.txz\t{hashlib.sha256(data).hexdigest()}\t1\tbase\t"Base"\ton\n')
    _put(machine, f"{sets}/base.txz", data)
    before = _look(machine)
    try:
        try:
            machine.module("basejail", name="hostile", url=sets, **machine.storage)
        except Failed as error:
            assert "base.txz" in str(error)
        assert _look(machine) == before
        assert machine.read(f"{VICTIM}/file") == "precious\n"
        machine.module("basejail", name="hostile", state="absent", **machine.storage)
        assert "hostile" not in machine.names(f"{machine.place}/basejails")
        assert machine.read(f"{VICTIM}/file") == "precious\n"
    finally:
        machine.run("rm", "-r", VICTIM, sets)
