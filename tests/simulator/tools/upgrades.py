# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What upgrades ask: df(1), nc(1), cap_mkdb(1), services_mkdb(8), make(1), freebsd-update(8), pkg(8)."""

from __future__ import annotations

import hashlib
import io
import re
from pathlib import Path
from typing import List, Tuple

from ..core import Refusal, SimulatedHost, tool

Answer = Tuple[int, str, str]


@tool("df")
def df(host: SimulatedHost, args: List[str], stdin: str) -> Answer:
    """df(1) -Pk; ``free_kb`` of the state is what is free."""
    free = int(host.state.get("free_kb", 10_000_000))
    rows = "".join(f"/dev/ada0p2 20000000 {20_000_000 - free} {free} 50% /\n" for _path in args[1:])
    return 0, f"Filesystem 1024-blocks Used Available Capacity Mounted on\n{rows}", ""


@tool("nc")
def nc(host: SimulatedHost, args: List[str], stdin: str) -> Answer:
    """nc(1) -z: what listens is in the state's ``answers``."""
    return (0 if ":".join(args[-2:]) in host.state.get("answers", []) else 1), "", ""


def _made(path: Path, text: str) -> None:
    path.write_bytes(b"\x00\xff" + hashlib.sha256(text.encode()).digest())


@tool("cap_mkdb")
def cap_mkdb(host: SimulatedHost, args: List[str], stdin: str) -> Answer:
    """cap_mkdb(1) -f: adds .db to the name."""
    _made(host.real(args[args.index("-f") + 1] + ".db"), host.real(args[-1]).read_text())
    return 0, "", ""


@tool("services_mkdb")
def services_mkdb(host: SimulatedHost, args: List[str], stdin: str) -> Answer:
    """services_mkdb(8) -o."""
    _made(host.real(args[args.index("-o") + 1]), host.real(args[-1]).read_text())
    return 0, "", ""


@tool("make")
def make(host: SimulatedHost, args: List[str], stdin: str) -> Answer:
    """make(1) -C SOURCE installworld and distribution: what a base set has, at the source's patch level."""
    import tarfile

    from ..fresh import base_set

    text = host.real(f"{args[args.index('-C') + 1]}/sys/conf/newvers.sh").read_text()
    found = dict(re.findall(r'^(REVISION|BRANCH)="([^"]+)"', text, re.MULTILINE))
    root = next(word.partition("=")[2] for word in args if word.startswith("DESTDIR="))
    with tarfile.open(fileobj=io.BytesIO(base_set(f"{found['REVISION']}-{found['BRANCH']}"))) as archive:
        archive.extractall(host.real(root), filter="tar")
    return 0, "", ""


@tool("freebsd-update")
def freebsd_update(host: SimulatedHost, args: List[str], stdin: str) -> Answer:
    """freebsd-update(8) -b -d: fetch, upgrade -r, install; ``updates`` of the state are the newest levels by release."""
    given = {word: args[place + 1] for place, word in enumerate(args) if word in ("-b", "-d", "-r", "--currently-running")}
    root, workdir = given["-b"], host.real(given["-d"])
    pending = workdir / (hashlib.sha256(f"{root}\n".encode()).hexdigest() + "-install")
    newest = host.state.get("updates", {})
    running = given["--currently-running"]
    if args[-1] == "install":
        if not pending.exists():
            return 2, "No updates are available to install.\nRun 'freebsd-update fetch' first.\n", ""
        return _install(host, pending, root)
    if "upgrade" in args and given["-r"] == running.partition("-p")[0]:
        raise Refusal("", 1, f"freebsd-update: Cannot upgrade from {running} to itself\n")
    release = given.get("-r", running.partition("-p")[0])
    if release not in newest:
        raise Refusal("", 1, "Fetching metadata signature ... failed.\nNo mirrors remaining, giving up.\n")
    if newest[release] == running:
        return 0, f"\nNo updates needed to update system to {running}.\n", ""
    pending.mkdir()
    (pending / "target").write_text(newest[release])
    (pending / "left").write_text("2" if "-r" in given else "1")
    return 0, f"The following files will be updated as part of updating to\n{newest[release]}:\n/bin/freebsd-version\n", ""


def _install(host: SimulatedHost, pending: Path, root: str) -> Answer:
    """The world first, then the old libraries, which is asked for in words and with exit code 0."""
    left = int((pending / "left").read_text()) - 1
    version = host.real(f"{root}/bin/freebsd-version")
    version.write_text(f'#!/bin/sh\nUSERLAND_VERSION="{(pending / "target").read_text()}"\n')
    if left:
        (pending / "left").write_text(str(left))
        return 0, "Completing this upgrade requires removing old shared object files.\nPlease rebuild all installed 3rd party software\n", ""
    for path in pending.iterdir():
        path.unlink()
    pending.rmdir()
    return 0, "Installing updates... done.\n", ""


@tool("pkg")
def pkg(host: SimulatedHost, args: List[str], stdin: str) -> Answer:
    """pkg(8): ``packages`` of the state are installed in every jail; what was upgraded, and what ran there then, is told in ``upgraded``."""
    verb = next(word for word in args if word in ("query", "info", "upgrade", "install", "update", "-N"))
    packages = host.state.get("packages", [])
    if verb == "query":
        return 0, "".join(f"{name}\n" for name in packages), ""
    if verb == "info":
        return (0 if any(name.startswith(args[-1]) for name in packages) else 1), "", ""
    if "-n" in args:
        return 0, "The following 1 package(s) will be affected (of 0 checked):\n" if host.state.get("newer") else "Your packages are up to date.\n", ""
    if verb == "upgrade":
        name = args[args.index("-j") + 1]
        jail = next((one for one in host.state["jails"].values() if one["name"] == name), None)
        if jail is None:
            raise Refusal(f"pkg: jail({name}): No such file or directory")
        host.state.setdefault("upgraded", []).append([name, " ".join(args), len(jail["processes"])])
    return 0, "", ""
