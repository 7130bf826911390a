# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The two sides of a comparison: a simulated host and a real one, asked in the captured host's names."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from typing import Callable, Dict, Iterator, Mapping, Optional, Protocol, Sequence, Set, Tuple

from ansible_collections.cellblock.jails.plugins.module_utils.engine.commands import ENVIRONMENT

from .assumptions import Assumption, Step
from .compare import Answer, pick
from .core import SimulatedHost

# What steps need beside FreeBSD's own tools; the simulated host has no need of them otherwise.
PLAIN = ("cat", "ls", "ln", "mkdir", "tee", "test", "touch")
PREPARING = ("ln", "mkdir", "tee", "touch")
SECONDS = 600
# Answers are files until the command has ended: daemons of a starting jail would keep a pipe open.
ASK = (
    "cd {home} && {{ timeout --foreground {seconds} env {env} {line} >{home}/out 2>{home}/err; "
    "echo $? $(wc -c <{home}/out); cat {home}/out {home}/err; }}"
)


class Side(Protocol):
    """A host that answers."""

    def run(self, argv: Sequence[str], stdin: str = "") -> Answer:
        """What the host answers to a command, in the captured host's names."""

    def write(self, path: str, text: str) -> None:
        """Write a file."""


class Simulated:
    """The simulated side."""

    def __init__(self, host: SimulatedHost) -> None:
        self.host = host

    def run(self, argv: Sequence[str], stdin: str = "") -> Answer:
        if argv[0] == "linger":  # the jails that are removed from now on are dying for a while
            self.host.state["linger"] = True
            return Answer(0, "", "")
        if list(argv[:2]) == ["sh", "-c"]:
            return Answer(*self.host.call(argv[2]))
        return self._plain(argv, stdin) if argv[0] in PLAIN else Answer(*self.host.run(list(argv), stdin))

    def _plain(self, argv: Sequence[str], stdin: str) -> Answer:
        root = str(self.host.root)
        words = [str(self.host.real(word)) if word.startswith("/") else word for word in argv]
        if argv[0] == "tee":
            self.host.real(argv[-1]).parent.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(words, input=stdin, capture_output=True, text=True, env={"LC_ALL": "C", "PATH": "/bin:/usr/bin"}, check=False)
        return Answer(done.returncode, done.stdout.replace(root, ""), done.stderr.replace(root, ""))

    def write(self, path: str, text: str) -> None:
        self.run(["tee", path], text)


def take(one: Assumption, side: Side, name: str) -> Iterator[Tuple[Step, Answer]]:
    """What a side answers to the commands that show an assumption, as far as that is compared.

    :param name: the side's own: ``real`` or ``simulated``.
    """
    side.run(["mkdir", "-p", "/jails/f"])
    for step in one.steps:
        argv = shlex.split(step.line)
        if step.where in ("both", name):
            told = side.run(argv, step.stdin)
            if step.where == "both" and argv[0] not in PREPARING:
                yield step, pick(told, step.pick) if step.pick else told


class Names:
    """The captured host's names, and what stands for them on another one.

    :param pairs: its words, such as ``/jails`` or ``zroot``, to the other host's.
    :param told: words of the other host that only its answers have, to the captured host's.
    """

    def __init__(self, pairs: Mapping[str, str], told: Optional[Mapping[str, str]] = None) -> None:
        self.pairs: Dict[str, str] = dict(pairs)
        self.told: Dict[str, str] = dict(told or {})

    def there(self, text: str) -> str:
        """A text in the other host's names."""
        return self._put(text, self.pairs)

    def here(self, text: str) -> str:
        """A text of the other host in the captured host's names."""
        return self._put(text, {**self.told, **{theirs: ours for ours, theirs in self.pairs.items()}})

    @staticmethod
    def _put(text: str, pairs: Mapping[str, str]) -> str:
        words = "|".join(re.escape(word) for word in sorted(pairs, key=len, reverse=True))
        # A whole path or name: /etc/jail.conf is not in /etc/jail.conf.d, nor zroot in zroot2.
        pattern = rf"(?<![\w.-])({words})(?![\w-]|\.\w)"
        return re.sub(pattern, lambda found: pairs[found.group(1)], text) if words else text


Shell = Callable[[str, bytes], "subprocess.CompletedProcess[bytes]"]


class Real:
    """The real side.

    :param shell: runs a command line there.
    :param home: a directory of ours there.
    :param names: its names.
    """

    def __init__(self, shell: Shell, home: str, names: Names) -> None:
        self.shell, self.home, self.names = shell, home, names
        self.written: Set[str] = set()  # by us, where the host has its own files

    def ask(self, *argv: str, stdin: str = "") -> Answer:
        """What the host answers, in its own names.

        :raises subprocess.TimeoutExpired: when it does not.
        """
        env = shlex.join(f"{name}={value}" for name, value in ENVIRONMENT.items())
        line = ASK.format(home=self.home, seconds=SECONDS, env=env, line=shlex.join(argv))
        done = self.shell(f"/bin/sh -c {shlex.quote(line)}", stdin.encode())
        head, _newline, rest = done.stdout.partition(b"\n")
        if done.returncode or not re.fullmatch(rb"\d+ +\d+", head.strip()):
            raise ConnectionError(f"the host did not answer to {shlex.join(argv)}: {done.stderr.decode(errors='replace').strip()}")
        code, size = (int(word) for word in head.split())
        return Answer(code, rest[:size].decode(errors="replace"), rest[size:].decode(errors="replace"))

    def run(self, argv: Sequence[str], stdin: str = "") -> Answer:
        words = [self.names.there(word) for word in argv]
        if words[0] == "tee" and not words[-1].startswith(self.home):
            if self.ask("test", "-e", words[-1]).rc == 0 and words[-1] not in self.written:
                raise FileExistsError(f"{words[-1]} is the host's own")
            self.written.add(words[-1])
        told = self.ask(*words, stdin=self.names.there(stdin))
        if list(argv) == ["ifconfig", "epair", "create"] and told.rc == 0:
            new = told.out.strip()[:-1]
            self.names.pairs.update({f"epair0{end}": f"{new}{end}" for end in "ab"})
        return Answer(told.rc, self.names.here(self._ours(words, told.out)), self.names.here(told.err))

    def _ours(self, words: Sequence[str], out: str) -> str:
        """Of listed datasets and mounts, those that are ours."""
        if words == ["mount", "--libxo", "json"]:
            found = json.loads(out)
            found["mount"]["mounted"] = [one for one in found["mount"]["mounted"] if one["node"].startswith(f"{self.home}/")]
            return json.dumps(found)
        if words[:2] not in (["zfs", "list"], ["zpool", "list"]) or "-j" in words:
            return out
        top = self.names.there("zroot")
        return "".join(line for line in out.splitlines(keepends=True) if re.match(rf"{re.escape(top)}[/@\s]", line))

    def write(self, path: str, text: str) -> None:
        self.run(["tee", path], text)
