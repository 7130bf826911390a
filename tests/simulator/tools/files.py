# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""rm(1), chflags(1), du(1), tar(1), fetch(1), sha256(1), pwd_mkdb(8)."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import List, Sequence, Set, Tuple

from ..core import Refusal, SimulatedHost, tool

Answer = Tuple[int, str, str]
# Not our own name on the PATH of a simulated host.
REAL_TAR = shutil.which("tar", path="/usr/bin:/bin") or "tar"


def _plain(args: List[str]) -> List[str]:
    return [word for place, word in enumerate(args) if not word.startswith("-") or "--" in args[:place]]


@tool("rm")
def rm(host: SimulatedHost, args: List[str], stdin: str) -> Answer:
    """rm(1): files flagged schg stay, mounts are not crossed with -x; the rest of a tree goes."""
    err = ""
    flags = "".join(word[1:] for word in args if word.startswith("-") and word != "--")
    nodes = {one["node"] for one in host.state["mounts"]}
    over = {one["node"]: one["special"] for one in host.state["mounts"] if one["special"].startswith("/")}
    for path in _plain(args):
        if path in over and "r" in flags.lower():  # -x minds what is mounted below, not where it begins
            err += "".join(_remove(host, f"{over[path]}/{name}", nodes) for name in sorted(os.listdir(host.real(over[path]))))
        if not os.path.lexists(host.real(path)):
            err += "" if "f" in flags else f"rm: {path}: No such file or directory\n"
        elif host.real(path).is_dir() and not host.real(path).is_symlink() and "r" not in flags.lower():
            err += f"rm: {path}: is a directory\n"
        else:
            err += _remove(host, path, nodes)
    return (1 if err else 0), "", err


def _remove(host: SimulatedHost, path: str, nodes: Set[str]) -> str:
    """Remove a path and what is below it, as far as can be; what rm(1) says."""
    if path in nodes:
        return f"rm: {path}: Device busy\n"
    real, err = host.real(path), ""
    held = path in host.state["flags"]
    if not real.is_dir() or real.is_symlink():
        if not held:
            real.unlink()
        return f"rm: {path}: Operation not permitted\n" if held else ""
    for name in sorted(os.listdir(real)):
        err += _remove(host, f"{path}/{name}", nodes)
    if held or err:
        return err + f"rm: {path}: {'Operation not permitted' if held else 'Directory not empty'}\n"
    real.rmdir()
    return ""


@tool("mv")
def mv(host: SimulatedHost, args: List[str], stdin: str) -> Answer:
    """mv(1) of one path to another on the same file system."""
    old, new = _plain(args)
    host.real(old).rename(host.real(new))
    host.state["flags"] = [new + flag[len(old):] if flag.startswith(f"{old}/") else flag for flag in host.state["flags"]]
    return 0, "", ""


@tool("chflags")
def chflags(host: SimulatedHost, args: List[str], stdin: str) -> Answer:
    """chflags(1): sets schg on a file, or clears all flags of a tree."""
    words = _plain(args)
    for path in words[1:]:
        host.state["flags"] = [flag for flag in host.state["flags"] if flag != path and not flag.startswith(path + "/")]
        host.state["flags"] += [path] if words[0] == "schg" else []
    return 0, "", ""


@tool("du")
def du(host: SimulatedHost, args: List[str], stdin: str) -> Answer:
    """du(1) -skx."""
    out = ""
    for path in _plain(args):
        size = sum(
            os.lstat(os.path.join(where, name)).st_size for where, _dirs, files in os.walk(host.real(path)) for name in files
        )
        out += f"{max(1, size // 1024)}\t{path}\n"
    return 0, out, ""


def real_words(host: SimulatedHost, args: Sequence[str]) -> List[str]:
    """Words of bsdtar(1) for the tar of this machine, below the root."""
    words = [word for word in args if word not in ("--unlink", "-U", "--fflags")]
    return ["--no-recursion" if word == "-n" else _real_word(host, word) for word in words]


def _real_word(host: SimulatedHost, word: str) -> str:
    """A path of the host; a dataset's snapshots are in its .zfs."""
    point, there, name = word.partition("/.zfs/snapshot/")
    dataset = next((mount["special"] for mount in host.state["mounts"] if mount["node"] == point), "") if there else ""
    if dataset:
        return str(host.root / ".snapshots" / f"{dataset}@{name}".replace("/", "%"))
    return str(host.real(word)) if word.startswith("/") else word


@tool("tar")
def tar(host: SimulatedHost, args: List[str], stdin: str) -> Answer:
    """tar(1): the real one, below the root. The base set's schg files are flagged as tar -p does."""
    target = args[args.index("-C") + 1] if "-C" in args else ""
    words = real_words(host, args)
    given = stdin.encode("utf-8", "surrogateescape")
    done = subprocess.run([REAL_TAR, *words], input=given, capture_output=True, check=False)
    if done.returncode:
        raise Refusal(f"tar: Error exit delayed from previous errors: {done.stderr.decode(errors='replace').strip()}")
    if any("x" in word for word in words[:1]):
        for flagged in ("sbin/init", "lib/libc.so.7", "var/empty"):
            if target and os.path.lexists(host.real(f"{target}/{flagged}")):
                host.state["flags"].append(f"{target}/{flagged}")
    return 0, done.stdout.decode(errors="surrogateescape"), ""


@tool("head")
def head(host: SimulatedHost, args: List[str], stdin: str) -> Answer:
    """head(1) -c."""
    return 0, stdin.encode("utf-8", "surrogateescape")[: int(args[args.index("-c") + 1])].decode("utf-8", "surrogateescape"), ""


@tool("dd")
def dd(host: SimulatedHost, args: List[str], stdin: str) -> Answer:
    """dd(1) of=, from its input."""
    words = dict(word.split("=", 1) for word in args)
    host.real(words["of"]).write_bytes(stdin.encode("utf-8", "surrogateescape"))
    return 0, "", ""


@tool("fetch")
def fetch(host: SimulatedHost, args: List[str], stdin: str) -> Answer:
    """fetch(1): file:// of the host, and http of this machine."""
    target, url = args[next(place for place, word in enumerate(args) if word in ("-o", "-qo")) + 1], args[-1]
    try:
        if url.startswith("file://"):
            data = host.real(url[7:]).read_bytes()
        else:
            import urllib.request  # takes longer than all other imports of the simulator

            with urllib.request.urlopen(url, timeout=10) as stream:  # noqa: S310
                data = stream.read()
    except OSError as error:
        reason = getattr(error, "strerror", None) or re.sub(r"^\[Errno \d+\] ", "", str(getattr(error, "reason", error)))
        raise Refusal(f"fetch: {url}: {reason}") from error
    if target == "-":
        return 0, data.decode(errors="surrogateescape"), ""
    real = host.real(target)
    have = real.read_bytes() if "-r" in args and real.exists() else b""
    real.write_bytes(have + data[len(have):] if have else data)
    return 0, "", ""


@tool("sha256")
def sha256(host: SimulatedHost, args: List[str], stdin: str) -> Answer:
    """sha256(1) -q."""
    path = args[-1]
    return 0, hashlib.sha256(host.real(path).read_bytes()).hexdigest() + "\n", ""


@tool("pwd_mkdb")
def pwd_mkdb(host: SimulatedHost, args: List[str], stdin: str) -> Answer:
    """pwd_mkdb(8) -p -d: the file becomes master.passwd, with passwd and the databases beside it."""
    directory: Path = host.real(args[args.index("-d") + 1])
    source = host.real(args[-1])
    text = source.read_text()
    lines: List[str] = []
    for line in text.splitlines():
        fields = line.split(":")
        if len(fields) != 10:
            raise Refusal(f"pwd_mkdb: corrupted entry\npwd_mkdb: at line #{len(lines) + 1}\npwd_mkdb: {args[-1]}: Inappropriate file type or format")
        lines.append(":".join([fields[0], "*", *fields[2:4], *fields[7:]]) + "\n")
    source.rename(directory / "master.passwd")
    (directory / "passwd").write_text("".join(lines))
    for database in ("pwd.db", "spwd.db"):
        (directory / database).write_bytes(b"\x00\xff" + hashlib.sha256(text.encode()).digest())
    return 0, "", ""
