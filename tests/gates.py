# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`make test`: sets up what it needs below build/, runs every gate, and closes with one line of counts.

A gate whose need is absent says so and counts as skipped. `gates.py tree` only lays the collection's
tree, `gates.py NAME ...` runs only the gates named, `gates.py all` runs the combinations of matrix.py too,
or with CELLBLOCK_ONLY those whose name has its text in it.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Dict, List, Sequence, Tuple

import artifact
import matrix
import tools
from kit import (
    BUILD,
    COLLECTIONS,
    HOME,
    NAME,
    TOP,
    TREE,
    Absent,
    Counts,
    Kit,
    Row,
    close,
    copied,
    lay_tree,
    make_venv,
    need_unshare,
    newest_python,
    passed_through,
)


def given_host() -> str:
    """The host that the command names, such as root@10.0.0.1:22."""
    host = os.environ.get("CELLBLOCK_HOST", "")
    if not host:
        raise SystemExit("Say which host: HOST=root@address[:port]")
    return host


class Gates(Kit):
    """The gates, each answering with what passed, failed and was skipped."""

    def __init__(self) -> None:
        super().__init__(make_venv("venv", newest_python(), "-r", str(TOP / "tests" / "requirements" / "gates.txt")))

    def have_tools(self) -> None:
        """Let the tests find what this machine lacks."""
        unpacked = tools.unpacked(BUILD / "tools")
        if unpacked is not None and "CELLBLOCK_TOOLS" not in self.environment:
            self.environment["CELLBLOCK_TOOLS"] = str(unpacked)
            self.environment["PATH"] += f"{os.pathsep}{unpacked}/usr/bin"

    def ruff(self) -> Counts:
        return self.one("ruff", "check", "--no-cache", ".")

    def mypy(self) -> Counts:
        packages = [word for name in ("plugins", "tests.simulator", "tests.acceptance") for word in ("-p", f"{NAME}.{name}")]
        own = [word for name in ("artifact", "gates", "kit", "matrix", "tools") for word in ("-m", name)]
        words = ["mypy", "--config-file", str(TREE / "pyproject.toml"), "--cache-dir", str(BUILD / "mypy"), *packages, *own]
        return (0, 1, 0) if self.call(*words, where=COLLECTIONS, MYPYPATH=str(TREE / "tests")) else (1, 0, 0)

    def units(self) -> Counts:
        return self.pytest(*BOTH, "tests/unit", *shlex.split(os.environ.get("CELLBLOCK_CASES", "")))

    def acceptance(self) -> Counts:
        """The cases of users: on the host that CELLBLOCK_HOST names, else on the simulated one."""
        many = () if os.environ.get("CELLBLOCK_HOST") else BOTH
        return self.pytest(*many, "tests/acceptance", *shlex.split(os.environ.get("CELLBLOCK_CASES", "")))

    def playbooks(self) -> Counts:
        need_unshare()
        self.have_tools()
        return self.pytest(*BOTH, "tests/e2e", "tests/e2e_jexec", *shlex.split(os.environ.get("CELLBLOCK_CASES", "")))

    def integration(self) -> Counts:
        """ansible-test's targets: on the host that CELLBLOCK_HOST names, else on two simulated ones at once."""
        names = sorted(path.parent.name for path in (TREE / "tests" / "integration" / "targets").glob("*/aliases"))
        names = shlex.split(os.environ.get("CELLBLOCK_TARGETS", "")) or [name for name in names if name != "setup_host"]
        if os.environ.get("CELLBLOCK_HOST"):
            return self._targets(names, given_host())
        need_unshare()
        if shutil.which("ssh-keygen") is None:
            raise Absent("no ssh-keygen here, which ansible-test wants")
        key = HOME / ".ansible" / "test" / "id_rsa"
        if not key.exists():  # ansible-test makes one, and two at once would be in each other's way
            key.parent.mkdir(parents=True, exist_ok=True)
            self.call("ssh-keygen", "-m", "PEM", "-q", "-t", "rsa", "-N", "", "-f", str(key))
        shares = [[name for name in names[start::2] if name != "teardown_host"] + ["teardown_host"] for start in (0, 1)]
        with ThreadPoolExecutor(2) as pool:
            counted = list(pool.map(self._targets, [share for share in shares if len(share) > 1] or shares[:1]))
        return sum(counts[0] for counts in counted), sum(counts[1] for counts in counted), 0

    def _targets(self, names: Sequence[str], host: str = "") -> Counts:
        """Run targets on a real host, or on a simulated one of their own."""
        output: List[str] = []
        with copied() as tree:
            config = {} if host else {"ansible_ssh_transfer_method": "piped", "cellblock_sets": "file:///var/dist"}
            config.update(json.loads(os.environ.get("CELLBLOCK_VARS") or "{}"))
            (tree / "tests" / "integration" / "integration_config.yml").write_text(json.dumps(config))
            target, more = self._real_target(host) if host else self._simulated_target(tree)
            words = ["ansible-test", "integration", "--color", "no", "--allow-destructive", "--continue-on-error", "--target", target, *names]
            if host and not os.environ.get("SSH_AUTH_SOCK"):  # ansible-test names a key of its own, so only an agent's are tried besides
                words = ["ssh-agent", "sh", "-c", 'ssh-add -q; exec "$@"', "sh", *words]
            code = self.call(*words, where=tree, output=output, quiet=not host, **more)
        if not host:
            print("".join(output), flush=True)
        ran = sum(line.endswith(" integration test role\n") for line in output)
        bad = re.findall(r"The (\d+) integration test\(s\) listed below", "".join(output))
        failed = int(bad[-1]) if bad else 1 if code else 0
        return max(ran - failed, 0), failed, 0

    def _simulated_target(self, tree: Path) -> Tuple[str, Dict[str, str]]:
        """ansible-test calls the ssh that is first on PATH, with an environment of its own."""
        script = tree.parents[2] / "bin" / "ssh"
        script.parent.mkdir()
        script.write_text(f"#!/bin/sh\nCELLBLOCK_SIMULATOR={tree.parents[2]}/hosts exec {tree}/tests/simulator/bin/ssh \"$@\"\n")
        script.chmod(0o755)
        version = ".".join(map(str, newest_python()))
        return f"ssh:root@simulated,python={version}@/usr/local/bin/python3", {"PATH": f"{script.parent}:{self.environment['PATH']}"}

    def _real_target(self, host: str) -> Tuple[str, Dict[str, str]]:
        """With the version of the Python that is there."""
        where, _colon, port = host.partition(":")
        ask = 'import sys; print("%d.%d@%s" % (*sys.version_info[:2], sys.executable))'
        words = ["ssh", "-o", "BatchMode=yes", "-p", port or "22", where, os.environ.get("CELLBLOCK_PYTHON") or "python3", "-c", shlex.quote(ask)]
        told = subprocess.run(words, capture_output=True, text=True, check=False)
        if told.returncode != 0:
            raise SystemExit(f"{host} does not answer: {told.stderr}")
        return f"ssh:{host},python={told.stdout.strip()}", {}

    def ansible_test(self) -> Counts:
        """Sanity of ansible-test, the longest of its tests first and beside others; and that it finds the unit tests, which all ran by pytest."""
        skipped = [word for name in LONG_SANITY for word in ("--skip-test", name)]
        parts: List[Tuple[str, ...]] = [("sanity", "--test", name) for name in LONG_SANITY]
        parts.insert(2, ("sanity", *skipped))
        parts.append(("units", "--python", ".".join(map(str, newest_python())), "tests/unit/plugins/module_utils/engine/test_spec.py"))

        def part(words: Sequence[str]) -> Counts:
            with copied() as tree:
                return self.by_ansible_test(tree, *words)

        with ThreadPoolExecutor(2) as pool:
            counted = list(pool.map(part, parts))
        return sum(counts[0] for counts in counted), sum(counts[1] for counts in counted), 0

    def molecule(self) -> Counts:
        """The scenarios on simulated hosts, or those that the command names."""
        named = [word for name in shlex.split(os.environ.get("CELLBLOCK_SCENARIOS", "")) for word in ("-s", name)]
        if named:
            return self.one("molecule", "test", *named)
        need_unshare()
        alone = self.one("molecule", "test", "-s", "simulated")
        shared = self.one("molecule", "test", "-s", "host_prepare", "-s", "jail")
        return alone[0] + shared[0], alone[1] + shared[1], 0

    def fidelity(self) -> Counts:
        """Compare the simulated host with a real one."""
        return self.one("python", str(TREE / "tests" / "fidelity.py"), given_host(), "--save", str(TOP / "docs" / "fidelity"))

    def benchmark(self) -> Counts:
        """What a call that changes nothing costs beside a bare ping; run.py measures the rest, on a real host."""
        need_unshare()
        return self.one("python", str(TREE / "benchmarks" / "start.py"), *shlex.split(os.environ.get("CELLBLOCK_ARGS", "")))

    def lint(self) -> Counts:
        return self.one("ansible-lint", "--offline", "--profile", "production", "roles", "playbooks", "examples")

    def docs(self) -> Counts:
        return self.one("antsibull-docs", "lint-collection-docs", "--plugin-docs", "--skip-rstcheck", str(TREE))

    def site(self) -> Counts:
        """The documentation as a site, in build/docs."""
        return artifact.site()

    def artifact(self) -> Counts:
        """The archive that is published, in build/dist."""
        print(artifact.build(self))
        return 1, 0, 0

    def release(self) -> Counts:
        """CHANGELOG.rst of the checkout, from the fragments."""
        return artifact.write_changelog(self)

    def newcomer(self) -> Counts:
        """The guides and the first hours, from the built archive, with the oldest and the newest ansible-core that are supported."""
        need_unshare()
        oldest = matrix.bare("2.19")
        self.environment["CELLBLOCK_ARTIFACT"] = str(artifact.build(self))
        self.environment["CELLBLOCK_CORES"] = json.dumps({"2.19": str(oldest / "bin"), "newest": str(self.venv / "bin")})
        return self.pytest("-n", "2", "--dist", "loadfile", "tests/newcomer", *shlex.split(os.environ.get("CELLBLOCK_CASES", "")))

    def changelog(self) -> Counts:
        return self.one("antsibull-changelog", "lint")


BOTH = ("-n", "2", "--dist", "worksteal")  # both cores to the end, however long single tests are
LONG_SANITY = ("import", "pylint", "validate-modules")
ORDER = (
    "ruff", "mypy", "changelog", "units", "acceptance", "playbooks", "newcomer", "integration", "molecule", "lint", "docs", "ansible_test",
)


def main(asked: List[str]) -> int:
    """Run the gates; 0 when none failed."""
    lay_tree()
    if asked == ["tree"]:
        return 0
    rows: List[Row] = []
    only = os.environ.get("CELLBLOCK_ONLY", "") if asked == ["all"] else ""
    if not only:
        gates = Gates()
        names = list(ORDER) if asked in ([], ["all"]) else asked
        if names == list(ORDER):
            gates.have_tools()
        rows += [passed_through(name, getattr(gates, name)) for name in names]
    if asked == ["all"]:
        rows += [passed_through(name, gate) for name, gate in matrix.combinations() if only in name]
    return close(rows)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
