# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`make test`: sets up what it needs below build/, runs every gate, and closes with one line of counts.

A gate whose need is absent says so and counts as skipped. `gates.py tree` only lays the collection's
tree, `gates.py NAME ...` runs only the gates named.
"""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Callable, Dict, List, Optional, Tuple

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
Counts = Tuple[int, int, int]


def pythons() -> Dict[Tuple[int, int], Path]:
    """The interpreters that are here, by version; pyenv's own, not its shims."""
    places = [*Path.home().glob(".pyenv/versions/3.*/bin"), *map(Path, os.environ.get("PATH", "").split(os.pathsep))]
    found: Dict[Tuple[int, int], Path] = {}
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
        if path.is_file() and inside not in wanted and not inside.startswith("tests/output"):
            path.unlink()
    for name in sorted(wanted):
        target = TREE / name
        if target.exists() and target.read_bytes() == (TOP / name).read_bytes():
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(TOP / name, target.with_name(target.name + ".new"))
        target.with_name(target.name + ".new").rename(target)


def environment(venv: Path) -> Dict[str, str]:
    """For every gate: nothing of the caller's Ansible, and our own place for what it keeps."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("ANSIBLE_", "PYTHON"))}
    places = [str(venv / "bin"), *sorted({str(path.parent) for path in pythons().values()}, reverse=True)]
    return {
        **kept,
        "HOME": str(HOME),
        "ANSIBLE_HOME": str(BUILD / "ansible"),
        "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS),
        "PYTHONPATH": str(COLLECTIONS),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PATH": os.pathsep.join([*places, os.environ.get("PATH", "/usr/bin:/bin")]),
    }


def make_venv() -> Path:
    """The environment of the gates, anew when its requirements change."""
    newest = max((version for version in pythons() if (3, 12) <= version <= (3, 14)), default=None)
    if newest is None:
        raise SystemExit("The gates need Python 3.12 or later, for ansible-core 2.21.")
    wanted = TOP / "tests" / "requirements" / "gates.txt"
    stamp = hashlib.sha256(wanted.read_bytes() + str(newest).encode()).hexdigest()
    venv = BUILD / "venv"
    if (venv / "stamp").exists() and (venv / "stamp").read_text() == stamp:
        return venv
    print(f"Setting up build/venv with Python {newest[0]}.{newest[1]} ...", flush=True)
    shutil.rmtree(venv, ignore_errors=True)
    subprocess.run([pythons()[newest], "-m", "venv", venv], check=True)
    subprocess.run([venv / "bin" / "pip", "install", "-q", "-r", wanted], check=True)
    (venv / "stamp").write_text(stamp)
    return venv


class Gates:
    """The gates, each answering with what passed, failed and was skipped."""

    def __init__(self) -> None:
        self.venv = make_venv()
        self.environment = environment(self.venv)
        for version in ("24_2", "25_2"):
            cache = HOME / ".ansible" / "test" / "cache"
            cache.mkdir(parents=True, exist_ok=True)
            (cache / f"get_pip_{version}.py").write_text(GET_PIP)

    def call(self, *words: str, where: Path = TREE, output: Optional[List[str]] = None) -> int:
        """Run a command of the environment, its output shown."""
        with subprocess.Popen(
            [str(self.venv / "bin" / words[0]), *words[1:]], cwd=where, env=self.environment, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        ) as process:
            for line in process.stdout or ():
                print(line, end="", flush=True)
                if output is not None:
                    output.append(line)
        return process.returncode

    def one(self, *words: str, where: Path = TREE) -> Counts:
        """A gate that is one command."""
        return (0, 1, 0) if self.call(*words, where=where) else (1, 0, 0)

    def pytest(self, *words: str) -> Counts:
        """A gate of many tests, by pytest's own closing line."""
        output: List[str] = []
        code = self.call("pytest", "-q", *words, output=output)
        last = output[-1] if output else ""
        counts = {word: int(number) for number, word in re.findall(r"(\d+) (passed|failed|skipped|error)", last)}
        bad = counts.get("failed", 0) + counts.get("error", 0)
        return counts.get("passed", 0), max(bad, 1 if code else 0), counts.get("skipped", 0)

    def ruff(self) -> Counts:
        return self.one("ruff", "check", "--no-cache", ".")

    def mypy(self) -> Counts:
        packages = [word for name in ("plugins", "tests.simulator", "tests.acceptance") for word in ("-p", f"{NAME}.{name}")]
        return self.one(
            "mypy", "--config-file", str(TREE / "pyproject.toml"), "--cache-dir", str(BUILD / "mypy"), *packages,
            where=COLLECTIONS,
        )

    def units(self) -> Counts:
        return self.pytest("tests/unit")

    def acceptance(self) -> Counts:
        """The cases of users: on the host that CELLBLOCK_HOST names, else on the simulated one."""
        return self.pytest("tests/acceptance", *shlex.split(os.environ.get("CELLBLOCK_CASES", "")))

    def playbooks(self) -> Counts:
        return self.pytest("tests/e2e", "tests/e2e_jexec") if unshare_works() else skipped("user namespaces are off")

    def ansible_test(self) -> Counts:
        """Sanity and units of ansible-test, in a copy of the tree: below our own checkout it sees what git ignores."""
        venv = ("--venv", "--requirements", "--color", "no")
        with tempfile.TemporaryDirectory(prefix="cellblock.") as place:
            tree = Path(place) / "ansible_collections" / "cellblock" / "jails"
            shutil.copytree(TREE, tree, ignore=shutil.ignore_patterns("output", "__pycache__", ".hypothesis"))
            sanity = self.one("ansible-test", "sanity", *venv, where=tree)
            units = self.one("ansible-test", "units", *venv, "--python", "default", where=tree)
        return sanity[0] + units[0], sanity[1] + units[1], 0

    def lint(self) -> Counts:
        return self.one("ansible-lint", "--offline", "--profile", "production", "roles", "playbooks", "examples")

    def docs(self) -> Counts:
        return self.one("antsibull-docs", "lint-collection-docs", "--plugin-docs", "--skip-rstcheck", str(TREE))

    def changelog(self) -> Counts:
        return self.one("antsibull-changelog", "lint")


def skipped(why: str) -> Counts:
    """A gate that cannot run here."""
    print(f"skipped: {why}")
    return 0, 0, 1


def unshare_works() -> bool:
    """Whether the simulated host can be entered."""
    words = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"]), "true"]
    try:
        return subprocess.run(words, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


ORDER = ("ruff", "mypy", "changelog", "units", "acceptance", "playbooks", "lint", "docs", "ansible_test")


def main(asked: List[str]) -> int:
    """Run the gates; 0 when none failed."""
    lay_tree()
    if asked == ["tree"]:
        return 0
    gates = Gates()
    totals, table = [0, 0, 0], []
    for name in asked or ORDER:
        print(f"\n=== {name}", flush=True)
        gate: Callable[[], Counts] = getattr(gates, name)
        counts = gate()
        totals = [total + count for total, count in zip(totals, counts)]
        table.append(f"{name:15} {'FAILED' if counts[1] else 'skipped' if counts[2] and not counts[0] else 'ok'}")
    print("\n" + "\n".join(table))
    print(f"{totals[0]} passed, {totals[1]} failed, {totals[2]} skipped")
    return 1 if totals[1] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
