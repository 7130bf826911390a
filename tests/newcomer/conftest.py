# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a newcomer has: an empty directory, an ansible-core, the built artifact, and a host. Nothing of the checkout is on the path."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any, Dict, Tuple

import pytest

TREE = Path(__file__).resolve().parents[2]
SIMULATOR = TREE / "tests" / "simulator" / "bin" / "ssh"
PROFILE = {"storage": "zfs", "racct": True, "interfaces": {"em0": [["10.10.10.10", 24]], "lo0": [["127.0.0.1", 8], ["::1", 128]]}}
# The ansible-core to try: a name, and the directory of its commands; the gate `newcomer` says which.
CORES: Dict[str, str] = json.loads(os.environ.get("CELLBLOCK_CORES", "{}"))
# What stands for the world: no Galaxy, and the release's sets lie on the host.
WORLD = {"https://download.freebsd.org/releases/amd64/amd64/15.1-RELEASE": "file:///var/dist"}


class Newcomer:
    """A directory, and commands in it."""

    def __init__(self, place: Path, core: str, artifact: Path) -> None:
        self.place, self.artifact, self.bin = place, artifact, Path(CORES[core])
        self.environment = {
            "PATH": f"{self.bin}:/usr/bin:/bin", "HOME": str(place), "LANG": "C.UTF-8",
            "ANSIBLE_HOME": str(place / ".ansible"), "ANSIBLE_COLLECTIONS_PATH": str(place / "collections"), "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_SSH_EXECUTABLE": str(SIMULATOR), "ANSIBLE_SSH_TRANSFER_METHOD": "piped", "ANSIBLE_PIPELINING": "1",
            "CELLBLOCK_SIMULATOR": str(place / "hosts"), "CELLBLOCK_SIMULATOR_PROFILE": json.dumps(PROFILE),
        }

    def write(self, path: str, text: str) -> None:
        for word, stand_in in WORLD.items():
            text = text.replace(word, stand_in)
        if path == "requirements.yml":
            text = text.replace("name: cellblock.jails", f"name: {self.artifact}\n    type: file")
        (self.place / path).parent.mkdir(parents=True, exist_ok=True)
        (self.place / path).write_text(text)

    def run(self, command: str, code: "int | None" = 0) -> str:
        """What a command prints; its exit code must be this one, if one is given."""
        done = subprocess.run(
            ["/bin/sh", "-c", command], cwd=self.place, env=self.environment, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
        )
        assert code is None or done.returncode == code, f"$ {command}\n{done.stdout[-4000:]}{done.stderr[-2000:]}"
        return done.stdout + done.stderr

    def host(self, command: str) -> None:
        """Do something on the host by hand."""
        subprocess.run([SIMULATOR, "root@10.10.10.10", command], env={**os.environ, **self.environment}, check=True, capture_output=True)


def plain(text: str) -> str:
    """On one line, with single blanks: how Ansible wraps and indents says nothing."""
    return re.sub(r"\s+", " ", text)


@pytest.fixture(scope="session")
def artifact() -> Path:
    """The built collection."""
    return Path(os.environ["CELLBLOCK_ARTIFACT"])


def pytest_generate_tests(metafunc: Any) -> None:
    """Once with each ansible-core; guides with the newest."""
    if "newcomer" in metafunc.fixturenames:
        metafunc.parametrize("newcomer", list(CORES)[-1:] if "guides" in metafunc.module.__name__ else list(CORES), indirect=True, scope="module")


@pytest.fixture(scope="module")
def newcomer(request: Any, artifact: Path, tmp_path_factory: Any) -> Newcomer:
    """Somebody with an empty directory."""
    core: Tuple[str] = request.param
    return Newcomer(tmp_path_factory.mktemp("newcomer"), str(core), artifact)
