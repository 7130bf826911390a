# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the gates share: the collection's tree below build/, environments with what a gate needs, rows of the closing table."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Callable, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

TOP = Path(__file__).resolve().parent.parent
BUILD = TOP / "build"
COLLECTIONS = BUILD / "collections"
TREE = COLLECTIONS / "ansible_collections" / "cellblock" / "jails"
HOME = BUILD / "home"
NAME = "ansible_collections.cellblock.jails"
# ansible-test bootstraps pip by a script that it would download; pip itself brings all that is needed.
GET_PIP = """\
import os
import runpy
import sys

import ensurepip

kept = dict(os.environ)
ensurepip.bootstrap(default_pip=True)
os.environ.clear()
os.environ.update(kept)
words = [word for word in sys.argv[1:] if word not in ("--no-setuptools", "--no-wheel")]
sys.argv = ["pip", "install", *words]
runpy.run_module("pip", run_name="__main__")
"""
# Why tests did not run, and how many.
NOT_RUN: Dict[str, int] = {}
Counts = Tuple[int, int, int]
Version = Tuple[int, int]


class Absent(Exception):
    """What a gate needs is not here; says what."""


class Row(NamedTuple):
    """A line of the closing table: what passed, failed and was skipped, why, and how long it took."""

    name: str
    counts: Counts
    why: str = ""
    seconds: float = 0.0

    def told(self) -> str:
        """What became of it."""
        passed, failed, absent = self.counts
        return "FAILED" if failed else f"skipped: {self.why}" if absent and not passed else "ok"


def pythons() -> Dict[Version, Path]:
    """The interpreters that are here, by version; pyenv's own, not its shims."""
    places = [*Path.home().glob(".pyenv/versions/3.*/bin"), *map(Path, os.environ.get("PATH", "").split(os.pathsep))]
    found: Dict[Version, Path] = {}
    for place in [*places, Path(sys.executable).parent]:
        if "shims" in place.parts:
            continue
        for path in sorted(place.glob("python3.*")):
            version = re.fullmatch(r"python3\.(\d+)", path.name)
            if version:
                found.setdefault((3, int(version.group(1))), path)
    return found


def lay_tree() -> None:
    """Copy what git tracks, or would, to where Ansible looks for the collection."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "-c", "-o", "--exclude-standard"], cwd=TOP, capture_output=True, check=False
    )
    names = [name for name in listed.stdout.decode().split("\0") if name]
    if not names:
        names = [str(path.relative_to(TOP)) for path in TOP.rglob("*") if path.is_file() and BUILD not in path.parents]
    wanted = {name for name in names if (TOP / name).is_file() and not name.startswith((".git/", "build/"))}
    for path in sorted(TREE.rglob("*"), reverse=True) if TREE.exists() else []:
        inside = str(path.relative_to(TREE))
        if path.is_file() and inside not in wanted and not inside.startswith("tests/output") and path.parent.name != "__pycache__":
            path.unlink()
    for name in sorted(wanted):
        target = TREE / name
        if target.exists() and target.read_bytes() == (TOP / name).read_bytes():
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(TOP / name, target.with_name(target.name + ".new"))
        target.with_name(target.name + ".new").rename(target)


def compile_tree(venv: Path) -> None:
    """Compile what simulated hosts import at each call, and nobody else may write."""
    shutil.rmtree(COLLECTIONS / ".compiled", ignore_errors=True)  # of modules, as they were; see tests/simulator/compiled
    subprocess.run([venv / "bin" / "python", "-m", "compileall", "-q", TREE / "plugins" / "module_utils", TREE / "tests" / "simulator"], check=True)


def environment(venv: Path) -> Dict[str, str]:
    """For every gate: nothing of the caller's Ansible, and our own place for what it keeps."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("ANSIBLE_", "PYTHON"))}
    places = [str(venv / "bin"), *sorted({str(path.parent) for path in pythons().values()}, reverse=True)]
    return {
        "FREEBSD_KEY": str(Path.home() / ".ssh" / "id_ed25519"), "FREEBSD_STATE": str(BUILD / "vm"),
        **kept,
        "HOME": str(HOME),
        "ANSIBLE_HOME": str(BUILD / "ansible"),
        "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS),
        "PYTHONPATH": str(COLLECTIONS),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PATH": os.pathsep.join([*places, os.environ.get("PATH", "/usr/bin:/bin")]),
    }


def make_venv(name: str, python: Version, *words: str) -> Path:
    """An environment below build/ with what ``pip install`` is given, anew when that changes."""
    files = [Path(word) for word in words if word.endswith(".txt")]
    wanted = repr((words, str(pythons()[python]))).encode() + b"".join(path.read_bytes() for path in files)
    stamp, venv = hashlib.sha256(wanted).hexdigest(), BUILD / name
    if (venv / "stamp").exists() and (venv / "stamp").read_text() == stamp:
        return venv
    print(f"Setting up build/{name} with Python {python[0]}.{python[1]} ...", flush=True)
    shutil.rmtree(venv, ignore_errors=True)
    subprocess.run([pythons()[python], "-m", "venv", venv], check=True)
    subprocess.run([venv / "bin" / "pip", "install", "-q", *words], check=True)
    (venv / "stamp").write_text(stamp)
    return venv


def newest_python() -> Version:
    """What the gates run with."""
    newest = max((version for version in pythons() if (3, 12) <= version <= (3, 14)), default=None)
    if newest is None:
        raise SystemExit("The gates need Python 3.12 or later, for ansible-core 2.21.")
    return newest


class Kit:
    """An environment, and how commands run in it."""

    def __init__(self, venv: Path) -> None:
        self.venv = venv
        compile_tree(venv)
        self.environment = environment(venv)
        cache = HOME / ".ansible" / "test" / "cache"
        cache.mkdir(parents=True, exist_ok=True)
        for version in ("24_2", "25_2"):
            (cache / f"get_pip_{version}.py").write_text(GET_PIP)

    def call(self, *words: str, where: Path = TREE, output: Optional[List[str]] = None, quiet: bool = False, **more: str) -> int:
        """Run a command of the environment, its output shown; ``more`` are environment variables."""
        with subprocess.Popen(
            words, cwd=where, env={**self.environment, **more}, text=True, errors="replace",
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        ) as process:
            for line in process.stdout or ():
                if not quiet:
                    print(line, end="", flush=True)
                if output is not None:
                    output.append(line)
        return process.returncode

    def one(self, *words: str, where: Path = TREE) -> Counts:
        """A gate that is one command."""
        return (0, 1, 0) if self.call(*words, where=where) else (1, 0, 0)

    def pytest(self, *words: str, where: Path = TREE) -> Counts:
        """A gate of many tests, by pytest's own closing line."""
        output: List[str] = []
        code = self.call("pytest", "-q", "-rs", *words, where=where, output=output)
        for number, why in re.findall(r"^SKIPPED \[(\d+)\] \S+ (.*)$", "".join(output), re.MULTILINE):
            NOT_RUN[why] = NOT_RUN.get(why, 0) + int(number)
        return tests_counted(output, code)

    def by_ansible_test(self, tree: Path, *words: str) -> Counts:
        """A gate that is one command of ansible-test."""
        return self.one("ansible-test", *words, "--venv", "--requirements", "--color", "no", where=tree)


def tests_counted(output: Sequence[str], code: int) -> Counts:
    """What pytest's last counting line says."""
    lines = [line for line in output if re.search(r"\d+ (passed|failed|skipped|error)", line)]
    counts = {word: int(number) for number, word in re.findall(r"(\d+) (passed|failed|skipped|error)", lines[-1] if lines else "")}
    bad = counts.get("failed", 0) + counts.get("error", 0)
    return counts.get("passed", 0), max(bad, 1 if code else 0), counts.get("skipped", 0)


@contextlib.contextmanager
def copied() -> Iterator[Path]:
    """A copy of the tree, for ansible-test: below our own checkout it sees what git ignores."""
    with tempfile.TemporaryDirectory(prefix="cellblock.") as place:
        tree = Path(place) / "ansible_collections" / "cellblock" / "jails"
        shutil.copytree(TREE, tree, ignore=shutil.ignore_patterns("output", "__pycache__", ".hypothesis"))
        yield tree


def need_unshare() -> None:
    """The simulated host is entered by a mount namespace of its own.

    :raises Absent: it cannot be.
    """
    words = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"]), "true"]
    with contextlib.suppress(FileNotFoundError):
        if subprocess.run(words, capture_output=True, check=False).returncode == 0:
            return
    raise Absent("user namespaces are off")


def passed_through(name: str, gate: Callable[[], Counts]) -> Row:
    """Run a gate, and tell."""
    print(f"\n=== {name}", flush=True)
    begin = time.monotonic()
    try:
        return Row(name, gate(), "", time.monotonic() - begin)
    except Absent as absent:
        print(f"skipped: {absent}")
        return Row(name, (0, 0, 1), str(absent))


def close(rows: Sequence[Row]) -> int:
    """The closing table and the line of counts; 0 when nothing failed."""
    width = max([15, *(len(row.name) for row in rows)])
    print("\n" + "\n".join(f"{row.name:{width}} {row.told():<8} {row.seconds:6.0f} s" for row in rows))
    passed, failed, absent = (sum(row.counts[place] for row in rows) for place in range(3))
    print(f"{passed} passed, {failed} failed, {absent} skipped")
    for why, number in sorted(NOT_RUN.items()):
        print(f"{number} not run here: {why}")
    for row in rows:
        if row.why:
            print(f"{row.name} not run here: {row.why}")
    return 1 if failed else 0
