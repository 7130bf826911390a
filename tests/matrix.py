# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`make test-all`: what is supported, in each combination that can run here, a line of the closing table for each."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Callable, Dict, Iterator, List, Tuple

from kit import BUILD, TOP, Absent, Counts, Kit, Version, copied, make_venv, need_unshare, pythons

# The ansible-core on control nodes, with the oldest and the newest Python that each runs on.
CONTROLLERS: Dict[str, List[Version]] = {"2.19": [(3, 11), (3, 13)], "2.20": [(3, 12), (3, 14)], "2.21": [(3, 12), (3, 14)]}
# The Python on hosts.
TARGETS: List[Version] = [(3, 9), (3, 10), (3, 11), (3, 12), (3, 13), (3, 14)]
FREEBSD = ("14.3-RELEASE", "15.0-RELEASE", "15.1-RELEASE")
VM = TOP / "extensions" / "molecule" / "shared" / "vm.py"
Combination = Tuple[str, Callable[[], Counts]]


def combinations() -> Iterator[Combination]:
    """All of them by name, those too that cannot run here."""
    for core, controllers in CONTROLLERS.items():
        for python in controllers:
            on = f"ansible-core {core}, Python {shown(python)}"
            yield f"{on}: units", partial(units, core, python)
            yield f"{on}: playbooks", partial(playbooks, core, python)
        yield f"ansible-core {core}: sanity", partial(sanity, core)
        for python in TARGETS:
            yield f"ansible-core {core}, Python {shown(python)} on hosts: units", partial(target_units, core, python)
    for release in FREEBSD:
        yield f"FreeBSD {release}: acceptance", partial(freebsd, release)


def shown(python: Version) -> str:
    """A version as people write it."""
    return ".".join(map(str, python))


def kit(core: str, python: Version) -> Kit:
    """An environment with this ansible-core on this Python.

    :raises Absent: the Python is not here.
    """
    if python not in pythons():
        raise Absent(f"no Python {shown(python)} here")
    words = (f"ansible-core~={core}.0", "-r", str(TOP / "tests" / "requirements" / "core.txt"))
    return Kit(make_venv(f"core-{core}-python{shown(python)}", python, *words))


def bare(core: str) -> Path:
    """An environment with this ansible-core and nothing besides, on the newest of its Pythons that is here."""
    for python in reversed(CONTROLLERS[core]):
        if python in pythons():
            return make_venv(f"core-{core}-bare", python, f"ansible-core~={core}.0")
    raise Absent("no Python " + " or ".join(map(shown, CONTROLLERS[core])) + " here")


def any_kit(core: str) -> Kit:
    """An environment with this ansible-core on the first Python that is here."""
    for python in CONTROLLERS[core]:
        if python in pythons():
            return kit(core, python)
    raise Absent("no Python " + " or ".join(map(shown, CONTROLLERS[core])) + " here")


def units(core: str, python: Version) -> Counts:
    """The unit tests, on a control node of this kind."""
    return kit(core, python).pytest("tests/unit")


def playbooks(core: str, python: Version) -> Counts:
    """The playbooks from end to end."""
    need_unshare()
    return kit(core, python).pytest("tests/e2e")


def sanity(core: str) -> Counts:
    """ansible-test's own checks, which byte-compile and import for all Pythons that are here."""
    with copied() as tree:
        return any_kit(core).by_ansible_test(tree, "sanity")


def target_units(core: str, python: Version) -> Counts:
    """The unit tests of what runs on hosts, on their Python."""
    found = any_kit(core)
    if python not in pythons():
        raise Absent(f"no Python {shown(python)} here")
    with copied() as tree:
        return found.by_ansible_test(tree, "units", "--python", shown(python))


def freebsd(release: str) -> Counts:
    """The cases of users on a machine that QEMU boots from the official image.

    :raises Absent: no QEMU, no KVM (without, it takes hours), or no image.
    """
    image = f"FreeBSD-{release}-amd64-BASIC-CLOUDINIT-ufs.qcow2"
    if shutil.which("qemu-system-x86_64") is None:
        raise Absent("no qemu-system-x86_64 here")
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        raise Absent("no KVM here; .github/workflows/ci.yml has it")
    if not (BUILD / "vm" / "images" / image).exists() and os.environ.get("FREEBSD_FETCH") != "yes":
        raise Absent(f"no {image} in build/vm/images; FREEBSD_FETCH=yes downloads it")
    name = f"matrix-{release.lower()}"
    started = subprocess.run(
        [sys.executable, VM, "start", name], env={**os.environ, "FREEBSD_RELEASE": release}, stdout=subprocess.PIPE, text=True, check=False,
    )
    if started.returncode != 0:
        raise Absent(f"{release} did not boot")
    facts = json.loads(started.stdout)[0]
    try:
        return on_machine(facts)
    finally:
        subprocess.run([sys.executable, VM, "stop", name], check=False)


def on_machine(facts: Dict[str, object]) -> Counts:
    """The cases, on a machine that was just made: its key is nobody's secret, and its host key is new."""
    wrapper = BUILD / "vm" / "bin" / "ssh"
    wrapper.parent.mkdir(parents=True, exist_ok=True)
    trust = "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR"
    wrapper.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -i {facts["key"]} {trust} "$@"\n')
    wrapper.chmod(0o755)
    found = any_kit(max(CONTROLLERS))
    found.environment["PATH"] = f"{wrapper.parent}{os.pathsep}{found.environment['PATH']}"
    found.environment["CELLBLOCK_HOST"] = f"root@127.0.0.1:{facts['port']}"
    return found.pytest("tests/acceptance")
