# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The house of CONTRIBUTING.md: its arrows go one way, its rooms stay small, only the engine touches the machine."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Iterator, List, Optional, Tuple

import pytest

PLUGINS = Path(__file__).resolve().parents[2] / "plugins"
HOUSE = PLUGINS / "module_utils"
ROOT = "ansible_collections.cellblock.jails.plugins.module_utils."
FILES = sorted(path for path in HOUSE.rglob("*.py"))
# What each room may import besides itself. A room that is not named stands on all of these, and nobody of them on it.
ARROWS = {
    "errors": (),
    "formats": ("errors",),
    "engine": ("errors", "formats"),
    "jails": ("errors", "formats", "engine"),
    "bases": ("errors", "formats", "engine", "jails"),
    "host": ("errors", "formats", "engine", "jails"),
}
REGISTRY = "jails/registry.py"  # the one place that knows aspects of every room
MACHINE = {"subprocess", "tempfile", "shutil", "fcntl", "socket", "pty", "ctypes", "multiprocessing"}
TOUCHING = {
    "open", "read", "write", "unlink", "remove", "rename", "replace", "mkdir", "makedirs", "rmdir", "chmod", "chown", "link", "symlink",
    "system", "popen", "listdir", "scandir", "stat", "lstat", "kill", "fork", "execv", "execve",
}
# Methods of these that change a host, or that only lead to others; every other one that touches it is a question or spoils the watch.
CHANGING = {"write", "remove", "makedirs", "rmdir", "rename", "chmod", "link", "take_out", "put_in", "scratch"}
# The filters read the files of the control node by it; on a host it is given the engine's.
LOCAL_FILES = "formats/jail_conf_reader.py"
PURE = [
    path for path in FILES
    if "aspects" in path.relative_to(HOUSE).parts or path.name == "aspect.py" or path.relative_to(HOUSE).as_posix() in {
        f"jails/{name}.py" for name in (
            "planning", "weighing", "lanes", "ownership", "scene", "request", "declaring", "model", "definition", "boot", "registry", "options",
        )
    }
]
READERS = {"observe", "verify"}  # methods and functions of pure files that are given the host to read it
LINES = {"file": 400, ast.ClassDef: 200, ast.FunctionDef: 45}
LARGER: "dict[str, int]" = {}


def name_of(path: Path) -> str:
    return path.relative_to(HOUSE).as_posix()


def room_of(dotted: str) -> str:
    return dotted.split(".")[0]


def imported(path: Path) -> Iterator[str]:
    """The modules of the house that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        yield from (name[len(ROOT):] for name in names if name.startswith(ROOT))


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_arrows_go_one_way(path: Path) -> None:
    own = path.relative_to(HOUSE).parts[0].removesuffix(".py")
    if name_of(path) == REGISTRY or own not in ARROWS:
        return
    allowed = {own, *ARROWS[own]}
    wrong = sorted({name for name in imported(path) if room_of(name) not in allowed})
    assert not wrong, f"{own} does not stand on {', '.join(wrong)}"


@pytest.mark.parametrize("path", [path for path in FILES if path.relative_to(HOUSE).parts[0] != "engine"], ids=name_of)
def test_only_the_engine_touches_the_machine(path: Path) -> None:
    found: List[str] = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names if alias.name.split(".")[0] in MACHINE]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in MACHINE:
            found.append(str(node.module))
        elif isinstance(node, ast.Call) and name_of(path) != LOCAL_FILES:
            call = ast.unparse(node.func)
            if call == "open" or (call.startswith("os.") and call[3:] in TOUCHING):
                found.append(call)
    assert not found, f"ask the Host: {', '.join(found)}"


@pytest.mark.parametrize(("name", "kind"), [("host", "Host"), ("tree", "Tree")])
def test_all_that_reads_the_host_can_be_asked_again(name: str, kind: str) -> None:
    """What recall.py tells again rests on knowing all that a plan has read."""
    body, = (node for node in ast.parse((HOUSE / f"engine/{name}.py").read_text()).body if isinstance(node, ast.ClassDef) and node.name == kind)
    unseen = []
    for method in (node for node in body.body if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")):
        text, decorators = ast.unparse(method), {ast.unparse(one) for one in method.decorator_list}
        touches = any(word in text for word in ("os.", "open(", "self._runner", "self._spawner", "run_pipe", "self._parent(", "self._top(", "time.", "_at("))
        if touches and "question" not in decorators and "self._spoil()" not in text and method.name not in CHANGING | {"tree"}:
            unseen.append(method.name)
    assert not unseen


def calls_of_host(tree: ast.AST, above: Tuple[ast.AST, ...] = ()) -> Iterator[Tuple[ast.Call, Tuple[ast.AST, ...]]]:
    """The calls ``host.something()``, each with the functions that it stands in."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("host."):
            yield node, above
        yield from calls_of_host(node, (*above, node) if isinstance(node, (ast.FunctionDef, ast.Lambda)) else above)


def given_by(above: Tuple[ast.AST, ...]) -> Optional[int]:
    """Which of the functions is given the host, counted from outside."""
    given = [
        depth for depth, function in enumerate(above)
        if isinstance(function, (ast.FunctionDef, ast.Lambda)) and "host" in {one.arg for one in function.args.args}
    ]
    return given[-1] if given else None


@pytest.mark.parametrize("path", PURE, ids=name_of)
def test_planning_runs_nothing(path: Path) -> None:
    """The host is only used in what a step does: a function within a function, or a lambda."""
    wrong = []
    for call, above in calls_of_host(ast.parse(path.read_text())):
        depth = given_by(above)
        reads = isinstance(above[0], ast.FunctionDef) and above[0].name in READERS if above else False
        if not reads and (depth is None or (depth == 0 and not isinstance(above[0], ast.Lambda))):
            wrong.append(f"line {call.lineno}: {ast.unparse(call.func)}")
    assert not wrong, wrong


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_everything_fits(path: Path) -> None:
    text = path.read_text()
    large = [f"{name_of(path)}: {text.count(chr(10))} lines"] if text.count("\n") > LINES["file"] else []
    for node in ast.walk(ast.parse(text)):
        limit = LINES.get(type(node))
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and limit is not None:
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            large += [f"{node.name}: {lines} lines"] if lines > LARGER.get(node.name, limit) else []
    assert not large


@pytest.mark.parametrize("path", sorted((PLUGINS / "modules").glob("*.py")), ids=lambda path: path.name)
def test_a_module_is_a_door(path: Path) -> None:
    """Documentation, an argument spec, a short main(): no class, and little besides."""
    tree = ast.parse(path.read_text())
    assert not [node.name for node in tree.body if isinstance(node, ast.ClassDef)]
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    assert sum((node.end_lineno or node.lineno) - node.lineno + 1 for node in functions) <= 70
