# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands of the simulated host between pipes: its own tools, tar(1) and filters of this machine, ssh(1) to other such hosts."""

from __future__ import annotations

import base64
import os
import re
import shlex
import subprocess
import threading
from pathlib import Path
from typing import TYPE_CHECKING, List, Optional, Sequence, Tuple

from ansible_collections.cellblock.jails.plugins.module_utils.engine.commands import ENVIRONMENT, Process, spawn_command

if TYPE_CHECKING:
    from .core import SimulatedHost

# OpenSSH's options that take a value.
WITH_VALUE = "BbcDEeFIiJLlmOopQRSWw"


def remote(arguments: Sequence[str]) -> Tuple[str, List[str]]:
    """ssh's host, and the words that its shell makes of the remote command."""
    words = list(arguments)
    while words and words[0].startswith("-"):
        word = words.pop(0)
        if len(word) == 2 and word[1] in WITH_VALUE and words:
            words.pop(0)
    host = words.pop(0) if words else ""
    return host.rpartition("@")[2], shlex.split(" ".join(words[1:] if words[:1] == ["--"] else words))


class Piped(threading.Thread):
    """A command under way."""

    def __init__(self, host: "SimulatedHost", argv: Sequence[str], ends: Tuple[int, int, int], cut: Optional[int]) -> None:
        super().__init__(daemon=True)
        self._host, self._argv, self._cut = host, list(argv), cut
        self._stdin, self._stdout, self._stderr = (os.dup(end) for end in ends)
        self._rc = 0
        self.start()

    def wait(self) -> int:
        """Its exit code, at its end."""
        self.join()
        return self._rc

    def kill(self) -> None:
        """Its pipes are closed; it ends by that."""

    def run(self) -> None:
        try:
            self._rc = self._answer()
        finally:
            for end in (self._stdin, self._stdout, self._stderr):
                os.close(end)

    def _answer(self) -> int:
        with open(self._stdin, "rb", closefd=False) as stream:
            given = stream.read() if self._cut is None else stream.read(self._cut)
        code, out, err = self._host.run(self._argv, given.decode("utf-8", "surrogateescape"))
        data = out.encode("utf-8", "surrogateescape")
        if self._cut is not None and not (given and self._argv[0] != "ssh"):
            data, code, err = data[: self._cut], 255 if self._argv[0] == "ssh" else -9, "client_loop: send disconnect: Broken pipe\n"
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(self._stdout, view):]
        except BrokenPipeError:
            code, err = (1, f"warning: cannot send '{self._argv[-1]}': signal received\n") if self._argv[0] == "zfs" else (-13, "")
        os.write(self._stderr, err.encode("utf-8", "surrogateescape"))
        return code


def started(host: "SimulatedHost", argv: Sequence[str], ends: Tuple[int, int, int], cut: Optional[int]) -> Process:
    """Start a command of the simulated host."""
    from .core import TOOLS
    from .tools.files import REAL_TAR, real_words

    name = argv[0].rsplit("/", 1)[-1]
    if cut is not None or host.failing(argv) or name in TOOLS and name != "tar":
        return Piped(host, argv, ends, cut)
    if name == "tar":
        return spawn_command([REAL_TAR, *real_words(host, argv[1:])], *ends, ENVIRONMENT)
    return spawn_command(argv, *ends, ENVIRONMENT)


def ssh(host: "SimulatedHost", args: List[str], stdin: str) -> Tuple[int, str, str]:
    """ssh(1) to another simulated host that this one knows; by a key, what the other's authorized_keys lets it do."""
    name, argv = remote(args)
    peer = host.peers.get(name)
    if peer is None:
        return 255, "", f"ssh: Could not resolve hostname {name}: Name does not resolve\r\n"
    if "-i" in args:
        allowed = forced(peer, host.real(args[args.index("-i") + 1]))
        if allowed is None:
            return 255, "", f"root@{name}: Permission denied (publickey).\r\n"
        argv = allowed
    if argv[0].rsplit("/", 1)[-1] != "tar":
        return peer.run(argv, stdin)
    from .tools.files import REAL_TAR, real_words

    given = stdin.encode("utf-8", "surrogateescape")
    done = subprocess.run([REAL_TAR, *real_words(peer, argv[1:])], input=given, capture_output=True, check=False)
    return done.returncode, done.stdout.decode("utf-8", "surrogateescape"), done.stderr.decode("utf-8", "surrogateescape")


def forced(peer: "SimulatedHost", key: Path) -> Optional[List[str]]:
    """The command that a key may run, as its line in authorized_keys says; see sshd(8)."""
    public = key.with_name(key.name + ".pub").read_text().split()[1] if key.is_file() else ""
    file = peer.real("/root/.ssh/authorized_keys")
    for line in file.read_text().splitlines() if public and file.is_file() else []:
        found = re.match(r'restrict,expiry-time="(\d{12})Z",command="((?:[^"\\]|\\.)*)" ssh-ed25519 (\S+)', line)
        if found and found.group(3) == public:
            return shlex.split(found.group(2).replace('\\"', '"'))
    return None


def keygen(host: "SimulatedHost", args: List[str], stdin: str) -> Tuple[int, str, str]:
    """ssh-keygen(1) -f: a key that nobody else has."""
    path, comment = host.real(args[args.index("-f") + 1]), args[args.index("-C") + 1]
    public = base64.b64encode(os.urandom(51)).decode()
    path.write_text(f"a private key of {public}\n")
    path.chmod(0o600)
    path.with_name(path.name + ".pub").write_text(f"ssh-ed25519 {public} {comment}\n")
    return 0, "", ""
