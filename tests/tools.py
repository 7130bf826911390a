# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""OpenSSH's server, sudo, doas and tcsh, which tests of the connection want: a private copy below build/ where this machine has none.

Debian's packages are downloaded and unpacked, which needs no root, and nothing of the machine is changed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import List, Optional

PACKAGES = {"sshd": "openssh-server", "sudo": "sudo", "doas": "opendoas", "tcsh": "tcsh"}
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"


def missing() -> List[str]:
    """The packages of what this machine lacks; CELLBLOCK_UNPACK=all says that it lacks all."""
    everything = os.environ.get("CELLBLOCK_UNPACK") == "all"
    return [package for tool, package in PACKAGES.items() if everything or shutil.which(tool, path=PATH) is None]


def unpacked(place: Path) -> Optional[Path]:
    """A directory with what is missing in it; None where nothing is missing, or it cannot be had.

    :param place: where it is kept.
    """
    wanted = missing()
    if not wanted or not all(map(shutil.which, ("apt-get", "dpkg-deb"))):
        return None
    stamp, root = place / "packages", place / "root"
    if stamp.exists() and stamp.read_text().split() == wanted:
        return root
    print(f"Unpacking {', '.join(wanted)} into {place} ...", flush=True)
    shutil.rmtree(place, ignore_errors=True)
    for directory in ("lists/partial", "cache/archives/partial", "root"):
        (place / directory).mkdir(parents=True)
    own = ["-q", "-y", "-o", f"Dir::State::lists={place}/lists", "-o", f"Dir::Cache={place}/cache", "-o", "Debug::NoLocking=1"]
    own += ["-o", "APT::Sandbox::User=", "--no-install-recommends"]
    for words in (["update"], ["install", "--download-only", "--reinstall", *wanted]):
        done = subprocess.run(["apt-get", *own, *words], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            print(f"apt-get {words[0]} failed: {' / '.join(done.stderr.splitlines()[-2:])}")
            return None
    for package in sorted((place / "cache/archives").glob("*.deb")):
        subprocess.run(["dpkg-deb", "-x", package, root], check=True)
    for name in ("bin", "sbin", "lib"):  # which are links on the machine
        if (root / name).is_dir():
            shutil.copytree(root / name, root / "usr" / name, symlinks=True, dirs_exist_ok=True)
    stamp.write_text(" ".join(wanted))
    return root
