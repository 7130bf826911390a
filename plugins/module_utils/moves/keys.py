# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A key for one move: it opens one receive each, and nothing else, for a day at most."""

from __future__ import annotations

import re
import shlex
import time
from typing import List, Mapping, Sequence

from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.engine.noted import make_private
from ansible_collections.cellblock.jails.plugins.module_utils.errors import HostError, InputError, Refused
from ansible_collections.cellblock.jails.plugins.module_utils.formats.lines import kept_lines
from ansible_collections.cellblock.jails.plugins.module_utils.moves import journal

FOLDER = "/root/.ssh"
FILE = f"{FOLDER}/authorized_keys"
KEY = re.compile(r"ssh-ed25519 [A-Za-z0-9+/=]+")
DAY = 24 * 3600


def make(host: Host, name: str, streams: Sequence[str]) -> Mapping[str, str]:
    """A new key for each stream of a move; the public halves."""
    make_private(host, journal.home(name))
    found = {}
    for stream in streams:
        path = _path(name, stream)
        host.remove(path)
        host.remove(f"{path}.pub")
        host.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", _comment(name), "-f", path])
        found[stream] = " ".join((host.read(f"{path}.pub") or "").split()[:2])
    return found


def _path(name: str, stream: str) -> str:
    return f"{journal.home(name)}/key.{stream}"


def _comment(name: str) -> str:
    return f"cellblock-move-{name}"


def ssh(host: Host, name: str, stream: str, address: str, port: int, host_keys: Sequence[str]) -> List[str]:
    """The command that brings a stream to the other host, whose keys it knows beforehand."""
    if not re.fullmatch(r"[0-9A-Za-z][0-9A-Za-z.:%_-]*", address):
        raise InputError(f"{address!r} is no address", "address", "A name or an address that the source reaches the target by")
    known, there = f"{journal.home(name)}/known_hosts", f"[{address}]:{port}" if port != 22 else address
    host.write(known, "".join(f"{there} {key}\n" for key in host_keys if re.fullmatch(r"[a-z0-9@.-]+ [A-Za-z0-9+/=]+", key)), 0o600)
    words = {
        "BatchMode": "yes", "IdentitiesOnly": "yes", "UserKnownHostsFile": known, "GlobalKnownHostsFile": "/dev/null",
        "StrictHostKeyChecking": "yes", "ConnectTimeout": "20", "ServerAliveInterval": "15", "ServerAliveCountMax": "4",
        "Compression": "no", "ControlPath": "none",
    }
    options = [word for key, value in words.items() for word in ("-o", f"{key}={value}")]
    return ["ssh", "-T", "-F", "/dev/null", *options, "-i", _path(name, stream), "-p", str(port), f"root@{address}"]


def host_keys(host: Host) -> List[str]:
    """This host's own keys, without their comments."""
    names = [name for name in host.listdir("/etc/ssh") if re.fullmatch(r"ssh_host_[a-z0-9]+_key\.pub", name)]
    return [" ".join((host.read(f"/etc/ssh/{name}") or "").split()[:2]) for name in names]


def check(host: Host) -> None:
    """Root must be let in by a key, if only for a command.

    :raises HostError: sshd(8) does not.
    """
    told = host.ask(["sshd", "-T", "-C", "user=root,host=localhost,addr=127.0.0.1"])
    said = dict(line.split(" ", 1) for line in told.out.splitlines() if " " in line)
    if told.rc != 0 or not said:
        return  # the first connection tells
    if said.get("permitrootlogin") == "no":
        raise HostError(
            "sshd(8) lets root in for nothing, and streams are received by root", "PermitRootLogin",
            "Set it to forced-commands-only, at least for the time of the move",
        )
    if ".ssh/authorized_keys" not in said.get("authorizedkeysfile", ".ssh/authorized_keys").split():
        raise HostError(f"sshd(8) reads keys from {said['authorizedkeysfile']}", "AuthorizedKeysFile", "Let .ssh/authorized_keys be among them")


def allow(host: Host, name: str, commands: Mapping[str, Sequence[str]], public: Mapping[str, str]) -> None:
    """Let each key run its command; those of earlier runs run nothing any more."""
    until = time.strftime("%Y%m%d%H%M", time.gmtime(time.time() + DAY))
    lines = []
    for stream, command in commands.items():
        key = str(public.get(stream, ""))
        if not KEY.fullmatch(key):
            raise Refused(f"the source sent no key for stream {stream}", f"jail {name}", "Run the playbook from its beginning")
        line = " ".join(shlex.quote(word) for word in command).replace('"', '\\"')
        lines.append(f'restrict,expiry-time="{until}Z",command="{line}" {key} {_comment(name)}\n')
    if not host.isdir(FOLDER):
        host.makedirs(FOLDER, 0o700)
    host.write(FILE, _without(host.read(FILE) or "", name) + "".join(lines), 0o600)


def revoke(host: Host, name: str) -> None:
    """Let the keys of a move run nothing; a file that we made goes with its last line."""
    text = host.read(FILE)
    if text is None or _without(text, name) == text:
        return
    rest = _without(text, name)
    if rest:
        host.write(FILE, rest)
    else:
        host.remove(FILE)


def allowed(host: Host, name: str) -> bool:
    """Whether a key of a move may still do anything."""
    text = host.read(FILE) or ""
    return _without(text, name) != text


def _without(text: str, name: str) -> str:
    kept = [line for line in kept_lines(text) if not line.rstrip("\n").endswith(f" {_comment(name)}")]
    return "".join(kept) if not kept or kept[-1].endswith("\n") else "".join(kept) + "\n"
