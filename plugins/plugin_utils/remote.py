# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The text that ssh hands to the host's login shell, so that a command arrives unharmed in a jail.

ssh(1) joins its arguments to one string and the user's login shell reads it: sh, csh, or something
else. Every value is quoted on the way, and what csh(1) or fish would read in another way than sh(1)
does is sent escaped.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from ansible_collections.cellblock.jails.plugins.module_utils.errors import InputError

PATH = "/sbin:/bin:/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin"
LOCALE = "C.UTF-8"
JEXEC = "/usr/sbin/jexec"
WRAPPER = "cellblock-jexec"
# What a shell that is not of sh's family reads in another way between single quotes.
_ODD = re.compile(r"[\n!\\]")
_PLAIN = re.compile(r"[^A-Za-z0-9_ ./=:,@+-]")
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@:+-]*\Z")


def check_name(name: str) -> str:
    """Refuse a name or jid that jexec(8) would read as something else."""
    if not _NAME.match(name):
        raise InputError(
            f"{name!r} is not a jail's name", None, "Set ansible_jail_name to a name or jid that jls shows"
        )
    return name


def join(argv: Sequence[str]) -> str:
    """A command line that sh(1) splits into these words again."""
    return " ".join(shlex.quote(word) for word in argv)


def odd(command: str) -> bool:
    """Whether a shell that is not of sh's family would read it in another way."""
    return bool(_ODD.search(command))


def sh(script: str) -> str:
    """A command line that runs a script with /bin/sh, whatever shell reads it."""
    if not odd(script):
        return join(["/bin/sh", "-c", script])
    escaped = _PLAIN.sub(
        lambda found: "".join(f"\\0{byte:03o}" for byte in found[0].encode(errors="surrogateescape")), script
    )
    return f"/bin/sh -c 'eval \"$(printf %b \"$0\")\"' '{escaped}'"


@dataclass(frozen=True)
class Environment:
    """What every command in a jail finds."""

    path: str = PATH
    locale: str = LOCALE

    def script(self, command: str, mark: str, raw_terminal: bool = False) -> str:
        """The script that the jail's /bin/sh runs: say that we are in, set the environment, go on.

        :param mark: a line for standard error, by which we know that the jail was entered.
        :param raw_terminal: there is a terminal, and bytes are to pass it unharmed.
        """
        stty = "stty raw -echo; " if raw_terminal else ""
        return (
            f"{stty}echo {shlex.quote(mark)} >&2; PATH={shlex.quote(self.path)}; LANG={shlex.quote(self.locale)}; "
            f"LC_ALL=$LANG; export PATH LANG LC_ALL; cd 2>/dev/null || cd /; {command}"
        )


def gate(command: str, mark: str, terminal: bool) -> str:
    """A command after a line that says that the host's escalation is behind us.

    :param terminal: there is a terminal, and so one stream.
    """
    said = f"echo {shlex.quote(mark)}"
    return sh(f"{said}; {'' if terminal else said + ' >&2; '}exec {command}")


def says_marks(executable: str) -> bool:
    """Whether it is our own wrapper of jexec(8), which says by itself that the escalation is behind us."""
    return executable.rpartition("/")[2] == WRAPPER


def jexec(
    executable: str, jail: str, user: str | None, script: str, home: str | None = None, mark: str | None = None
) -> str:
    """Run a script in a running jail, with a clean environment, as root or a user of the jail; see jexec(8).

    :param home: the user's home, when the jail has no such directory: ``jexec -l`` refuses to enter then.
    :param mark: what our wrapper is to say first.
    """
    who = [*(["-U", user] if user else []), *(["-m", mark] if mark else [])]
    if user and home is not None:
        words = [f"HOME={home}", f"USER={user}", f"LOGNAME={user}", "SHELL=/bin/sh", f"PATH={PATH}"]
        return join([executable, *who, check_name(jail), "/usr/bin/env", "-i", *words, "/bin/sh", "-c", script])
    return join([executable, "-l", *who, check_name(jail), "/bin/sh", "-c", script])


def start(jail: str) -> str:
    """Start a jail; rc.d/jail refuses while any jail(8) runs on the host, so it is asked again as long as one does."""
    name = shlex.quote(check_name(jail))
    return (
        f"n=0; while service jail onestart {name} </dev/null >/dev/null 2>&1; ! jls -j {name} >/dev/null 2>&1 && "
        "pgrep -x jail >/dev/null 2>&1 && [ $n -lt 60 ]; do n=$((n + 1)); sleep 1; done; true"
    )


def chroot(root: str, user: str | None, script: str) -> str:
    """Run a script below the root of a jail that does not run. Nothing confines it but chroot(8)."""
    if not root.startswith("/") or root.rstrip("/") == "":
        raise InputError(f"{root!r} is not a jail's root", None, "Set ansible_jail_root to the jail's absolute path")
    clean = ["/usr/bin/env", "-i", "HOME=/root", "SHELL=/bin/sh", f"PATH={PATH}"]
    command = ["/bin/sh", "-c", script]
    if user and user != "root":
        command = ["/bin/sh", "-c", f"exec su -m {shlex.quote(user)} -c {shlex.quote(script)}"]
    return join([*clean, "chroot", "--" if root.startswith("-") else root, *command])


def escalate_if_needed(command: str) -> str:
    """Run a command as root: at once for root, else through doas(1) where it is, or sudo(8)."""
    return (
        'e=; [ "$(id -u)" = 0 ] || { e="sudo -n"; command -v doas >/dev/null 2>&1 && e="doas -n"; }; '
        f"exec $e {command}"
    )


def put(path: str, size: int, token: str, terminal: bool) -> str:
    """Take a file from standard input, whole or not at all.

    It arrives under a temporary name in the same directory and is renamed once every byte is there.
    An end of input that came early, because the connection broke, counts as an error.
    """
    directory, slash, _name = path.rpartition("/")
    temporary = f"{directory}{slash}.cellblock-{token}"
    source = "cat" if not terminal else f"head -c {size}" if size else ":"
    return (
        f"f={shlex.quote(path)}; t={shlex.quote(temporary)}; "
        '[ ! -d "$f" ] || { echo "$f: is a directory" >&2; exit 1; }; '
        'trap \'rm -f -- "$t"\' 0; trap "exit 1" 1 2 13 15; set -C; '
        f'{source} > "$t" || exit 1; n=$(wc -c < "$t"); '
        f'[ "$n" -eq {size} ] || {{ echo "$f: only" $n "of {size} bytes arrived" >&2; exit 1; }}; '
        'mv -f -- "$t" "$f" || exit 1; trap - 0'
    )


def fetch(path: str) -> str:
    """Give a regular file on standard output; never wait at a FIFO."""
    return (
        f"f={shlex.quote(path)}; "
        '[ -e "$f" ] || { echo "$f: No such file or directory" >&2; exit 1; }; '
        '[ -f "$f" ] || { echo "$f: not a regular file" >&2; exit 1; }; exec cat < "$f"'
    )
