# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Trees of the simulated host as datasets hold them: copied, compared, and carried in streams."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import stat
import subprocess
from pathlib import Path
from typing import Any, Dict, List, Mapping, Sequence, Tuple

Look = Tuple[Any, ...]


def copy(source: Path, target: Path, nested: Sequence[str] = ()) -> None:
    """Copy a tree with owners, times, hard links, devices and FIFOs into a directory.

    :param nested: paths below it at which other file systems are mounted: their directory is copied, empty.
    """
    target.mkdir(parents=True, exist_ok=True)
    subprocess.run(["/bin/cp", "-a", f"{source}/.", str(target)], check=True, capture_output=True)
    for path in nested:
        empty(target / path)


def empty(top: Path) -> None:
    """Remove all that is in a directory."""
    for entry in list(top.iterdir()) if top.is_dir() else []:
        shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()


def looks(top: Path, nested: Sequence[str] = ()) -> Dict[str, Look]:
    """What is in a tree, by path: all that a change would change."""
    found: Dict[str, Look] = {}
    hidden = tuple(f"{path}/" for path in nested)
    for where, directories, files in os.walk(top):
        for name in [*directories, *files]:
            real = os.path.join(where, name)
            path = os.path.relpath(real, top)
            if path.startswith(hidden):
                continue
            info = os.lstat(real)
            shape: Look = (stat.S_IFMT(info.st_mode), stat.S_IMODE(info.st_mode), info.st_uid, info.st_gid)
            if stat.S_ISREG(info.st_mode):
                shape += (info.st_size, info.st_mtime_ns, hashlib.sha256(Path(real).read_bytes()).hexdigest())
            elif stat.S_ISLNK(info.st_mode):
                shape += (os.readlink(real),)
            elif stat.S_ISCHR(info.st_mode) or stat.S_ISBLK(info.st_mode):
                shape += (info.st_rdev,)
            found[path] = shape
    return found


def size(there: Mapping[str, Look]) -> int:
    """About what a stream of it takes."""
    return 624 + sum(312 + (look[4] if stat.S_ISREG(look[0]) else 0) for look in there.values())


def changed(before: Mapping[str, Look], after: Mapping[str, Look], top: Path) -> Tuple[List[str], List[str]]:
    """The paths that differ, with all names of a file that has several; and the paths that are gone."""
    new = {path for path, look in after.items() if before.get(path) != look or stat.S_ISDIR(look[0])}
    inodes = {os.lstat(top / path).st_ino for path in new if not stat.S_ISDIR(after[path][0])}
    new |= {path for path in after if not stat.S_ISDIR(after[path][0]) and os.lstat(top / path).st_ino in inodes}
    gone = [path for path in before if path not in after or stat.S_IFMT(before[path][0]) != stat.S_IFMT(after[path][0])]
    return sorted(new), sorted(gone, key=lambda path: -path.count("/"))


def pack(top: Path, paths: Sequence[str]) -> bytes:
    """The paths of a tree as an archive, its top first."""
    import tarfile

    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive:
        archive.add(top, ".", recursive=False)
        for path in paths:
            archive.add(top / path, f"./{path}", recursive=False)
    return stream.getvalue()


def unpack(data: bytes, top: Path, gone: Sequence[str] = ()) -> None:
    """Bring an archive's paths into a tree, and take others away."""
    import tarfile

    for path in gone:
        _discard(top / path)
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        archive.extraction_filter = lambda member, _path: member
        for member in archive.getmembers():
            if not member.isdir():
                _discard(top / member.name)
        archive.extractall(top)


def _discard(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    elif os.path.lexists(path):
        path.unlink()
