# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""rc.d/jail of FreeBSD 15.1, step by step as the script goes, and rc.conf(5) as a real sh(1) reads it."""

from __future__ import annotations

import functools
import os
import re
import shlex
import subprocess
import tempfile
from typing import Callable, Dict, List, Optional, Tuple

from ..core import SimulatedHost, tool

Answer = Tuple[int, str, str]
# What load_rc_config does, below a directory that stands for /: paths in the files move there too.
LOAD = r"""
set -a
jail_enable=NO jail_conf=/etc/jail.conf jail_confwarn=YES jail_parallel_start=NO jail_list= jail_reverse_stop=NO
rc_conf_files="/etc/rc.conf /etc/rc.conf.local" local_startup=/usr/local/etc/rc.d
dot() { sed -E "s#(^|[^A-Za-z0-9._/-])/(etc|usr|var|boot|tmp)/#\1$ROOT/\2/#g" "$1" > "$COPY"; . "$COPY"; }
if [ -r "$ROOT/etc/defaults/vendor.conf" ]; then dot "$ROOT/etc/defaults/vendor.conf"; fi
done=
for again in 1 2; do for i in $rc_conf_files; do i=${i#$ROOT}
    case $done in *":$i:"*) ;; *) done="$done:$i:"; if [ -r "$ROOT$i" ]; then dot "$ROOT$i"; fi;; esac
done; done
for d in /etc $local_startup; do d=${d#$ROOT}; d=${d%/rc.d}
    if [ -f "$ROOT$d/rc.conf.d/jail" ]; then dot "$ROOT$d/rc.conf.d/jail"
    elif [ -d "$ROOT$d/rc.conf.d/jail" ]; then for f in "$ROOT$d/rc.conf.d/jail"/*; do if [ -f "$f" ]; then dot "$f"; fi; done; fi
done
exec 1>&3
env -0
"""
OBSOLETE = (
    "/etc/rc.d/jail: WARNING: Per-jail configuration via jail_* variables  is obsolete.  "
    "Please consider migrating to {}.\n"
)
IGNORED = (
    "/etc/rc.d/jail: WARNING: Invalid configuration for {}  (no jail.conf, no hostname, or no path).   Jail {} was ignored.\n"
)


@functools.lru_cache(maxsize=256)
def _loaded(root: str, texts: Tuple[Tuple[str, str], ...]) -> Dict[str, str]:
    """What the shell answers; the texts stand for the state of the files."""
    below = root.rstrip("/")  # nothing where the simulated host has a root of its own
    with tempfile.NamedTemporaryFile() as copy:
        environment = {"ROOT": below, "COPY": copy.name, "PATH": "/usr/bin:/bin"}
        done = subprocess.run(
            ["/bin/sh", "-c", "exec 3>&1 >/dev/null\n" + LOAD], env=environment, capture_output=True, check=False, timeout=60
        )
    words = (one.partition("=") for one in done.stdout.decode("utf-8", "surrogateescape").split("\0") if one)
    return {name: value.replace(below, "") if below else value for name, _equals, value in words if name not in environment}


def variables(host: SimulatedHost) -> Dict[str, str]:
    """The variables that rc.d/jail has."""
    places = [*host.real("/etc").glob("rc.conf*"), *host.real("/etc").glob("rc.conf.d/jail*"), *host.real("/etc").glob("rc.conf.d/jail/*")]
    places += host.real("/usr/local/etc").glob("rc.conf.d/jail*")
    places.append(host.real("/etc/defaults/vendor.conf"))
    texts = [(str(path), path.read_text(errors="surrogateescape")) for path in sorted(places) if path.is_file()]
    if any(re.search(r"[`(]|^\s*\.|\bif\b|\bfor\b|\bcase\b", text, re.MULTILINE) for _path, text in texts):
        _loaded.cache_clear()  # what commands answer may have changed
    return dict(_loaded(str(host.root), tuple(texts)))


@tool("sh")
def shell(host: SimulatedHost, args: List[str], stdin: str) -> Answer:
    """sh(1): what the variables of rc.conf are, or a line of a hook."""
    if args[:1] != ["-c"] or "\n" in args[1] and "load_rc_config jail" not in args[1]:
        return 0, "", ""
    if "load_rc_config jail" not in args[1]:
        return host.call(args[1])
    return 0, "".join(f"{name}={shlex.quote(value)}\n" for name, value in sorted(variables(host).items())), ""


class _Script:
    """One run of the script."""

    def __init__(self, host: SimulatedHost) -> None:
        self.host, self.known = host, variables(host)
        self.said, self.warned = "", ""
        self.conf, self.hostname, self.confwarn = "", "", False

    def var(self, name: str, *others: str) -> str:
        return next((value for value in (self.known.get(one, "") for one in (name, *others)) if value), "")

    def yes(self, value: str) -> bool:
        return value.lower() in ("yes", "true", "on", "1")

    def readable(self, path: str) -> bool:
        return bool(path) and os.path.exists(self.host.real(path))

    # -- parse_options

    def parse_options(self, j: str, jv: str) -> bool:
        self.confwarn = False
        jail_conf = self.var("jail_conf")
        jconf = self.var(f"jail_{jv}_conf") or f"/etc/jail.{j}.conf"
        rootdir, self.hostname = self.var(f"jail_{jv}_rootdir"), self.var(f"jail_{jv}_hostname")
        if not rootdir or not self.hostname:
            below = f"/etc/jail.conf.d/{j}.conf"
            if self.readable(jconf):
                self.conf = jconf
            elif self.readable(below) and not self._includes(jail_conf):
                self.conf = below
            elif self.readable(jail_conf):
                self.conf = jail_conf
            else:
                self.warned += IGNORED.format(j, j)
                return False
            return True
        self.conf = f"/var/run/jail.{j}.conf"
        self.confwarn = self.yes(self.var("jail_confwarn"))
        if (self.readable(jail_conf) or self.readable(jconf)) and not self.yes(self.var("jail_parallel_start")):
            self.warned += f"/etc/rc.d/jail: WARNING: {self.conf} is created and used for jail {j}.\n"
        self.host.real(self.conf).write_text(self._generated(j, jv), errors="surrogateescape")
        return True

    def _includes(self, path: str) -> bool:
        real = self.host.real(path)
        lines = real.read_text(errors="surrogateescape").splitlines() if real.is_file() else []
        return any(re.match(r"\s*\.include\s*[\"']?/etc/jail.conf.d/", line) for line in lines)

    def _generated(self, j: str, jv: str) -> str:
        lines: List[str] = []

        def two(word: str) -> str:
            return self.var(f"jail_{jv}_{word}", f"jail_{word}")

        def plain(word: str, param: str, default: str = "") -> None:
            value = two(word) or default
            lines.extend([f'{param} = "{value}";'] if value else [])

        def counted(word: str, param: str) -> None:
            number = 0
            while True:
                value = two(f"{word}{number}")
                if value:
                    lines.append(f'{param} += "{value}";')
                elif number:
                    return
                number += 1

        plain("hostname", "host.hostname")
        plain("rootdir", "path")
        if self.var(f"jail_{jv}_ip"):
            plain("interface", "interface")
            self._ips(jv, lines)
            plain("fib", "exec.fib")
            lines.append(f"allow.raw_sockets = {0 if self.yes(two('socket_unixiproute_only') or 'YES') else 1};")
        else:
            lines.append("vnet;")
            names = [f'"{name}"' for name in two("vnet_interface").split()]
            lines.extend([f"vnet.interface = {', '.join(names)};"] if names else [])
        lines.extend(["exec.clean;", 'exec.system_user = "root";', 'exec.jail_user = "root";'])
        for hook in ("prestart", "poststart", "prestop", "poststop"):
            counted(f"exec_{hook}", f"exec.{hook}")
        self._commands(jv, lines, counted)
        plain("consolelog", "exec.consolelog", f"/var/log/jail_{j}_console.log")
        fstab = two("fstab") or f"/etc/fstab.{j}"
        lines.extend([f'mount.fstab = "{fstab}";'] if self.readable(fstab) else [])
        self._filesystems(two, lines)
        for word, param in (("set_hostname_allow", "allow.set_hostname"), ("sysvipc_allow", "allow.sysvipc")):
            lines.append(f"{param} = {1 if self.yes(two(word) or 'NO') else 0};")
        plain("enforce_statfs", "enforce_statfs", "2")
        plain("osreldate", "osreldate")
        plain("osrelease", "osrelease")
        datasets = self.var(f"jail_{jv}_zfs_dataset") if self.host.osreldate >= 1500000 else ""
        lines.extend(f"zfs.dataset += {name};" for name in datasets.split())
        lines.extend(re.sub(";$", "", word) + ";" for word in two("parameters").split())
        return f"# Generated by rc.d/jail\n{j} {{\n" + "".join(f"\t{line}\n" for line in lines) + "}\n"

    def _commands(self, jv: str, lines: List[str], counted: Callable[[str, str], None]) -> None:
        simple, start, stop = (self.var(f"jail_{jv}_{word}") for word in ("exec", "exec_start", "exec_stop"))
        if simple:
            start, stop = simple, ""
        elif not start:
            start, stop = "/bin/sh /etc/rc", stop or "/bin/sh /etc/rc.shutdown jail"
        lines.append(f'exec.start += "{start}";')
        counted("exec_afterstart", "exec.start")
        lines.append(f'exec.stop = "{stop}";')

    def _filesystems(self, two: Callable[[str], str], lines: List[str]) -> None:
        if self.yes(two("devfs_enable")):
            lines.append("mount.devfs;")
            ruleset = two("devfs_ruleset")
            if re.match("[0-9]", ruleset):
                lines.append(f'devfs_ruleset = "{ruleset}";')
            elif ruleset not in ("", "devfsrules_jail"):
                self.warned += "/etc/rc.d/jail: WARNING: devfs_ruleset must be an integer.\n"
        for word, param in (("fdescfs", "mount.fdescfs"), ("procfs", "mount.procfs"), ("mount", "allow.mount")):
            lines.extend([f"{param};"] if self.yes(two(f"{word}_enable")) else [])

    def _ips(self, jv: str, lines: List[str]) -> None:
        given, number = [self.var(f"jail_{jv}_ip")], 0
        while self.var(f"jail_{jv}_ip_multi{number}"):
            given.append(self.var(f"jail_{jv}_ip_multi{number}"))
            number += 1
        wait = False
        for text in given:
            words = f"{text} {self.var(f'jail_{jv}_interface', 'jail_interface')}".split()
            for one in [part for part in words[0].split(",") if part]:
                interface = one.split("|")[0] if "|" in one else (words[1] if len(words) > 1 else "")
                rest = one.rsplit("|", 1)[-1]
                found = re.match(r"([^/ ]*)(.*)", rest)
                address, mask = found.groups() if found else ("", "")
                prefix = f"{interface}|" if interface else ""
                if re.match(r".*\..*\..*\.", address):
                    mask = " netmask " + mask[1:] if re.match(r"/.*\..*\..*\.", mask) else mask or "/32"
                    lines.append(f'ip4.addr += "{prefix}{address}{mask}";')
                elif ":" in address:
                    lines.append(f'ip6.addr += "{prefix}{address}{mask or "/128"}";')
                    wait = True
        lines.extend(['exec.start += "sleep  2 ";'] if wait else [])

    # -- the commands

    def names(self, words: List[str]) -> List[Tuple[str, str]]:
        called = [re.sub("[/.]", "_", word) for word in words]
        return [(j, re.sub("[^A-Za-z0-9]", "_", j)) for j in called]

    def alive(self, name: str) -> bool:
        return self.host.run(["jls", "-j", name])[0] == 0

    def note(self, name: str) -> None:
        jid = str(self.host.running().get(name, {}).get("jid", ""))
        self.host.real(f"/var/run/jail_{name}.id").write_text(f"{jid}\n")

    def start(self, words: Optional[List[str]]) -> None:
        self.said += "Starting jails:"
        if words is None:
            serial = [] if self.yes(self.var("jail_parallel_start")) else ["-p1"]
            code, out, err = self.host.run(["jail", *self.var("jail_flags").split(), "-f", self.var("jail_conf"), "-c", *serial])
            if code:
                self.said += out + err
            for name in self.host.running() if not code else ():
                self.said += f" {name}"
                self.note(name)
        for j, jv in self.names(words or []):
            if not self.parse_options(j, jv):
                continue
            flags = self.var(f"jail_{jv}_flags", "jail_flags").split()
            program = self.var(f"jail_{jv}_program", "jail_program") or "jail"
            code, out, err = self.host.run([program, *flags, "-i", "-f", self.conf, "-c", j])
            shown = self.hostname or j
            if code:
                self.said += f' cannot start jail  "{shown}": \n{out}{err}'
            else:
                self.said += f" {shown}"
                self.note(j)
        self.said += ".\n"
        if self.confwarn:
            self.warned += OBSOLETE.format(self.var("jail_conf"))

    def stop(self, words: Optional[List[str]], reverse: bool) -> None:
        self.said += "Stopping jails:"
        backward = reverse and self.yes(self.var("jail_reverse_stop"))
        if words is None:
            running = list(self.host.running())
            for name in running[::-1] if backward else running:
                self.said += f" {name}"
                code, out, err = self.host.run(["jail", *self.var("jail_flags").split(), "-f", self.var("jail_conf"), "-r", name])
                self._stopped(name, out + err)
        for j, jv in self.names((words or [])[::-1] if backward else words or []):
            if not self.parse_options(j, jv) or not self.alive(j):
                continue
            self.said += f" {self.hostname or j}"
            code, out, err = self.host.run(["jail", "-q", "-f", self.conf, "-r", j])
            self._stopped(j, out + err)
        self.said += ".\n"

    def _stopped(self, name: str, words: str) -> None:
        if self.alive(name):
            self.said += words
        else:
            self.host.real(f"/var/run/jail_{name}.id").unlink(missing_ok=True)

    def config(self, words: List[str]) -> None:
        for j, jv in self.names(words):
            if self.parse_options(j, jv):
                self.said += f"{j}: parameters are in {self.conf}.\n"


def service(host: SimulatedHost, asked: str, names: List[str]) -> Answer:
    """``service jail ...``: always answers 0."""
    verb, script = re.sub("^(one|quiet|force)", "", asked), _Script(host)
    if verb == "status":
        return host.run(["jls", "-N"])
    if verb == asked and verb in ("start", "stop", "restart") and not script.yes(script.var("jail_enable")):
        words = f"Cannot '{verb}' jail. Set jail_enable to YES in /etc/rc.conf or use 'one{verb}' instead of '{verb}'.\n"
        return 0, words, ""
    listed = script.var("jail_list").split()
    words_ = names or listed or None
    if verb in ("stop", "restart"):
        script.stop(words_, reverse=not names)
    if verb in ("start", "restart"):
        script.start(words_)
    if verb == "config" and words_:
        script.config(words_)
    return 0, script.said, script.warned
