# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""mkdir(1), chmod(1), test(1), dd(1), find(1), sync(8), mtree(8): what sets of backups are made and found by."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path
from typing import Dict, Iterator, List, Tuple

from ansible_collections.cellblock.jails.plugins.module_utils.formats import mtree as lists

from ..core import Refusal, SimulatedHost, tool
from .files import real_words

Answer = Tuple[int, str, str]


@tool("mkdir")
def mkdir(host: SimulatedHost, args: List[str], stdin: str) -> Answer:
    """mkdir(1) -p -m."""
    mode = int(args[args.index("-m") + 1], 8) if "-m" in args else 0o755
    real = host.real(args[-1])
    if real.is_dir() and "-p" in args:
        return 0, "", ""
    try:
        real.mkdir(parents="-p" in args)
    except OSError as error:
        raise Refusal(f"mkdir: {args[-1]}: {error.strerror}") from error
    real.chmod(mode)
    return 0, "", ""


@tool("chmod")
def chmod(host: SimulatedHost, args: List[str], stdin: str) -> Answer:
    """chmod(1) of an octal mode."""
    if not host.real(args[1]).exists():
        raise Refusal(f"chmod: {args[1]}: No such file or directory")
    host.real(args[1]).chmod(int(args[0], 8))
    return 0, "", ""


@tool("test")
def test(host: SimulatedHost, args: List[str], stdin: str) -> Answer:
    """test(1) -d, -e."""
    real = host.real(args[1])
    return (0 if (real.is_dir() if args[0] == "-d" else real.exists()) else 1), "", ""


@tool("ln")
def ln(host: SimulatedHost, args: List[str], stdin: str) -> Answer:
    """ln(1) of one file."""
    try:
        os.link(host.real(args[-2]), host.real(args[-1]))
    except OSError as error:
        raise Refusal(f"ln: {args[-2]}: {error.strerror}") from error
    return 0, "", ""


@tool("sync")
def sync(host: SimulatedHost, args: List[str], stdin: str) -> Answer:
    """sync(8)."""
    return 0, "", ""


@tool("dd")
def dd(host: SimulatedHost, args: List[str], stdin: str) -> Answer:
    """dd(1) from a file, or into one; ``full`` of the state is how many bytes the disk still takes."""
    words = dict(word.partition("=")[::2] for word in args)
    if "if" in words:
        real = host.real(words["if"])
        if not real.exists():
            raise Refusal(f"dd: {words['if']}: No such file or directory")
        return 0, real.read_bytes().decode("utf-8", "surrogateescape"), ""
    data = stdin.encode("utf-8", "surrogateescape")
    room = int(host.state.get("full", len(data)))
    try:
        host.real(words["of"]).write_bytes(data[:room])
    except OSError as error:
        raise Refusal(f"dd: {words['of']}: {error.strerror}") from error
    if room < len(data):
        raise Refusal(f"dd: {words['of']}: No space left on device")
    return 0, "", ""


@tool("find")
def find(host: SimulatedHost, args: List[str], stdin: str) -> Answer:
    """find(1) for the manifests of sets, and for what is no set yet, as FarDirectory asks it; and for what was touched since."""
    if "-acl" in args:  # this machine's files have none that count
        return 0, "", ""
    if args[0] == "-x":
        return _newer(host, args[1], args[args.index("-newercm") + 1])
    top = host.real(args[0])
    if not top.is_dir():
        raise Refusal(f"find: {args[0]}: No such file or directory")
    out = ""
    for path in sorted(top.glob("*/*")):
        if path.name.startswith(".") and path.name.endswith(".partial"):
            out += f"{args[0]}/{path.relative_to(top)}\n"
        if (path / "manifest.json").is_file():
            out += f"{args[0]}/{path.relative_to(top)}/manifest.json\n" + (path / "manifest.json").read_text()
    return 0, out, ""


def _newer(host: SimulatedHost, path: str, reference: str) -> Answer:
    # A snapshot here is a copy, with times of its own: the times are those of what it was taken of.
    top, since = os.fsencode(host.real(path.partition("/.zfs/snapshot/")[0])), os.stat(host.real(reference)).st_mtime
    found = [top, *(os.path.join(where, name) for where, folders, files in os.walk(top) for name in folders + files)]
    newer = [path + os.fsdecode(one[len(top):]) for one in found if os.lstat(one).st_ctime > since]
    return 0, "".join(f"{one}\0" for one in newer), ""


def _escaped(name: str) -> str:
    """A name as vis(3) writes it."""
    kept = set(range(33, 127)) - {ord(char) for char in "\\#*?[="}
    return "".join(chr(byte) if byte in kept else f"\\{byte:03o}" for byte in os.fsencode(name))


def _words(host: SimulatedHost, real: Path) -> Dict[str, str]:
    info = os.lstat(real)
    kinds = {stat.S_IFDIR: "dir", stat.S_IFREG: "file", stat.S_IFLNK: "link", stat.S_IFIFO: "fifo", stat.S_IFSOCK: "socket",
             stat.S_IFCHR: "char", stat.S_IFBLK: "block"}
    path = str(real)[len(str(host.root)):]
    said = {
        "type": kinds[stat.S_IFMT(info.st_mode)], "uid": str(info.st_uid), "gid": str(info.st_gid), "mode": f"0{stat.S_IMODE(info.st_mode):o}",
        "nlink": str(info.st_nlink), "time": f"{info.st_mtime_ns // 10**9}.{info.st_mtime_ns % 10**9:09d}",
        "flags": "schg" if path in host.state["flags"] else "none",
    }
    if said["type"] == "file":
        said.update({"size": str(info.st_size), "sha256digest": hashlib.sha256(real.read_bytes()).hexdigest()})
    if said["type"] == "link":
        said["link"] = _escaped(os.readlink(real))
    return said


def _list(host: SimulatedHost, top: Path, name: str, nodes: List[str]) -> Iterator[str]:
    told = " ".join(f"{key}={value}" for key, value in _words(host, top).items())
    yield f"{_escaped(name)} {told}\n"
    for entry in sorted(top.iterdir()):
        if entry.is_dir() and not entry.is_symlink():
            if str(entry)[len(str(host.root)):] not in nodes:
                yield from _list(host, entry, entry.name, nodes)
        else:
            told = " ".join(f"{key}={value}" for key, value in _words(host, entry).items())
            yield f"    {_escaped(entry.name)} {told}\n"
    yield "..\n"


@tool("mtree")
def mtree(host: SimulatedHost, args: List[str], stdin: str) -> Answer:
    """mtree(8) -c, or -f to compare a tree with a list: 2 when they differ."""
    shown = args[args.index("-p") + 1]
    top = Path(real_words(host, [shown])[0])
    if not top.is_dir():
        raise Refusal(f"mtree: {shown}: No such file or directory")
    lines = list(_list(host, top, ".", host.nodes()))
    if "-c" in args:
        return 0, "#\t   user: root\n#\tmachine: jailhost1\n\n# .\n/set type=file uid=0 gid=0 mode=0644 nlink=1 flags=none\n" + "".join(lines), ""
    wanted = dict(lists.entries(host.real(args[args.index("-f") + 1]).read_text().splitlines(), "it"))
    there = dict(lists.entries(lines, "it"))
    out = "".join(f"extra: {path}\n" for path in there if path not in wanted) + "".join(f"./{path} missing\n" for path in wanted if path not in there)
    for path in wanted:
        keys = [key for key in wanted[path] if path in there and wanted[path][key] != there[path].get(key)]
        out += "".join(f"{path}:\t{key} ({wanted[path][key]}, {there[path].get(key)})\n" for key in keys)
    return (2 if out else 0), out, ""
