# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said when a jail or its host cannot be reached, what it means, and how to mend it."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.cellblock.jails.plugins.plugin_utils.shown import line, shown

NO_PYTHON = re.compile(rb"python[0-9.]*['\"]?: (?:command )?(?:not found|No such file)")
NO_JAIL = re.compile(r"jexec: jail (?:\"(?P<name>.*)\"|(?P<jid>\d+)) not found|jail_attach\(.*\): Invalid argument")
# `jexec -l` goes to the user's home first; those of nobody, www and their like are never there.
NO_HOME = re.compile(r"^jexec: chdir: (/.*): [^:\n]*$", re.MULTILINE)
# What is said on the way into a jail, what it means, and how to mend it.
REFUSALS: tuple[tuple[str, str, str], ...] = (
    (
        r"jexec: (?P<it>.*): no such user",
        "there is no user {it} in the jail",
        "Make it there (as root: pw useradd {it}), or set ansible_jail_user or become_user to one that exists",
    ),
    (
        r"chroot: (?P<it>/bin/sh|/usr/bin/env): .*",
        "there is no {it} below the jail's root; a thin jail has its base only while it runs",
        "Set ansible_jail_stopped to start",
    ),
    (
        r"jexec: execvp: (?P<it>.*?): .*",
        "there is no {it} in the jail",
        "An empty root needs a base first; see the basejail module",
    ),
    (
        r"jexec: jail_attach.*: Operation not permitted|jexec:.*Operation not permitted",
        "the ssh user is not root on the host, and nothing makes it root",
        "Set ansible_jail_privilege_escalation to doas or sudo, or ansible_user to root",
    ),
    (
        r"cellblock-jexec: (?P<it>\S+) may not enter .*",
        "the host's list of jails for {it} does not have it",
        "Put it into host_prepare_jexec_users and run the role host_prepare, with its tag host_prepare_jexec",
    ),
    (
        r"cellblock-jexec: .*",
        "the wrapper of jexec(8) refused",
        "See 'Letting a user into some jails only' in docs/jexec.md",
    ),
    (
        r"(?P<it>doas|sudo)(?:: (?:command )?not found|: No such file.*)|.*: (?P<that>doas|sudo): not found",
        "escalation was refused, the host has no such tool",
        "Install it on the host, or set ansible_jail_privilege_escalation to none, doas or sudo",
    ),
    (
        r"doas: .*",
        "escalation was refused by doas",
        "Give the ssh user a rule in the host's doas.conf, such as: permit{nopass} {user} as root{doas_rule}",
    ),
    (
        r"sudo: .*|.*not (?:allowed to execute|in the sudoers file).*|Sorry, user .*",
        "escalation was refused by sudo",
        "Give the ssh user a rule in the host's sudoers, such as: {user} ALL=(root) {nopasswd}{sudo_rule}",
    ),
    (
        r".*jexec: (?:Command |command )?not found.*|.*jexec: No such file.*",
        "the host has no jexec(8)",
        "With pkgbase, install the package FreeBSD-jail on the host; or set ansible_jail_jexec",
    ),
)
# What ssh(1) says, and how to mend it.
UNREACHABLE: tuple[tuple[str, str], ...] = (
    (
        r"REMOTE HOST IDENTIFICATION HAS CHANGED",
        "The host shows another key than it did; if it was made anew, take the old one away: ssh-keygen -R '{known}'",
    ),
    (
        r"Host key verification failed|No \S+ host key is known",
        "See the host's key and accept it: {ssh}; or put it into known_hosts",
    ),
    (
        r"Permission denied|Too many authentication failures|No supported authentication methods",
        "Set ansible_user and ansible_ssh_private_key_file, or ansible_password, to what lets one in there",
    ),
    (
        r"Could not resolve hostname|Name or service not known|nodename nor servname",
        "Set ansible_jail_host to a name or address that ssh knows",
    ),
    (
        r"Connection refused",
        "Does sshd run there, and at that port? Set ansible_port",
    ),
    (
        r"timed out|No route to host|Network is unreachable|Host is down",
        "Is it up, and the address right? Set ansible_jail_host; for a jump host, ansible_ssh_common_args",
    ),
    (
        r"kex_exchange_identification|Connection (?:closed|reset) by",
        "Its sshd may have too many connections at once: raise MaxStartups there, or set ansible_jail_masters",
    ),
)


@dataclass(frozen=True)
class Place:
    """Which jail, and how its host is reached."""

    jail: str
    host: str
    user: str = ""
    port: int | None = None

    @property
    def login(self) -> str:
        """How one logs in on the host."""
        return f"as {self.user or 'the current user'} at port {self.port or 22}"

    @property
    def ssh(self) -> str:
        """The command that tries the same by hand."""
        port = f"-p {self.port} " if self.port and self.port != 22 else ""
        return f"ssh {port}{self.user + '@' if self.user else ''}{self.host}"


def unreachable(said: str, place: Place) -> str:
    """What to say when ssh fails: its own words once, and how to mend it."""
    words: list[str] = []
    for entry in shown(re.sub(r"Failed to connect to the host via ssh: ?", "\n", said)).splitlines():
        entry = entry.strip()
        if entry and entry not in words and not entry.startswith(("Warning: Permanently added", "@@@@")):
            words.append(entry)
    port = place.port or 22
    known = place.host if port == 22 else f"[{place.host}]:{port}"
    mend = next((fix for pattern, fix in UNREACHABLE if re.search(pattern, "\n".join(words))), "Try: {ssh}")
    told = " ".join(words).rstrip(". ") or "ssh failed without a word"
    return f"{told}. {mend.format(ssh=place.ssh, known=known)}."


def refusal(said: str, code: int, place: Place, jexec: str, asks: bool) -> str:
    """The words for a jail that was not entered.

    :param said: what was said instead.
    :param jexec: jexec(8) or its wrapper.
    :param asks: whether the escalation has a password, and so needs more than a rule for jexec(8) alone.
    """
    said = re.sub(r"^(?:Shared c|C)onnection to .* closed\.\r?$", "", shown(said), flags=re.MULTILINE).strip()
    if code < 0:
        return f"The connection to the jail {place.jail} on {place.host} broke: ssh ended by signal {-code}"
    where = f"The jail {place.jail} on {place.host} cannot be entered"
    alone = not asks or jexec.endswith("/cellblock-jexec")
    words = {
        "user": place.user or "USER", "nopass": "" if asks else " nopass", "nopasswd": "" if asks else "NOPASSWD: ",
        "doas_rule": f" cmd {jexec}" if alone else "", "sudo_rule": jexec if alone else "ALL",
    }
    for pattern, meaning, fix in REFUSALS:
        match = re.search(f"^(?:{pattern})$", said, re.MULTILINE)
        if match:
            words = {**{key: line(value or "", 100) for key, value in match.groupdict().items()}, **words}
            return f"{where}: {meaning.format(**words)}. {fix.format(**words)}. It said: {line(match[0].strip(), 500)}"
    return f"{where}: {said or f'exit code {code}'}"


def no_jail(place: Place, names: Sequence[str]) -> str:
    """The words for a jail that is not there.

    :param names: the jails that are there.
    """
    near = difflib.get_close_matches(place.jail, names, 1)
    hint = f"Did you mean {line(near[0], 100)}? " if near else ""
    there = f"There are: {line(', '.join(names[:20]), 1000)}. " if names else ""
    return (
        f"There is no jail {place.jail} on {place.host}. {hint}{there}Set ansible_jail_name to one that jls shows, or make it."
    )


def not_running(place: Place, found: Mapping[str, Any]) -> str:
    """The words for a jail that is there and does not run."""
    if found["state"] == "dying":
        return (
            f"The jail {place.jail} on {place.host} is dying: it was removed, and something still holds it. "
            "Wait until 'jls -d' no longer shows it, then start it; 'sockstat -j' and 'ps -J' show what is left."
        )
    return (
        f"The jail {place.jail} on {place.host} is stopped. Start it (service jail onestart {place.jail}), "
        "or set ansible_jail_stopped to start, or to chroot to work below its root."
    )


def not_started(place: Place) -> str:
    """The words for a jail that was started in vain."""
    return (
        f"The jail {place.jail} on {place.host} cannot be entered: it was started, but does not run. "
        f"See /var/log/jail_{place.jail}_console.log on the host."
    )


def no_python(place: Place, root: str | None) -> str:
    """The words for a jail without Python.

    :param root: the jail's root, where it is worked in by chroot(8).
    """
    where = f"-c {root}" if root else f"-j {place.jail}"
    return (
        f"\nThere is no such Python in the jail {place.jail}. Install it from its host with "
        f"'pkg {where} install -y python3', or in the jail with ansible.builtin.raw: "
        "env ASSUME_ALWAYS_YES=yes pkg install python3; and set ansible_python_interpreter, "
        "such as to /usr/local/bin/python3.\n"
    )
