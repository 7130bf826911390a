# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Into a jail through its host's ssh and jexec(8)."""

from __future__ import annotations

DOCUMENTATION = r"""
name: jexec
short_description: Reach a FreeBSD jail through its host
version_added: 0.1.0
description:
  - Connects to the jail's host as C(ansible.builtin.ssh) does, and enters the jail there with C(jexec -l).
    The jail needs no sshd.
  - Has every option of the ssh plugin of the ansible-core it runs with; C(ansible_user), C(ansible_port), keys,
    passwords, ControlPersist and jump hosts are about the host.
  - Nothing is put on the host. A file streams through C(jexec) into a temporary name inside the jail and is renamed
    there once it is whole; a fetched file streams back.
  - C(~) and C(remote_tmp) are those of the user in the jail.
author:
  - cellblock.jails contributors (@cellblock)
extends_documentation_fragment:
  - cellblock.jails.ssh_live
options:
  jail_host:
    description:
      - The host that the jail is on, as ssh knows it.
      - Without it, C(ansible_host), where O(ignore:host) of the form C(jail@host) gives both.
    type: string
    vars:
      - name: ansible_jail_host
  jail_name:
    description: The jail's name, as C(jls name) shows it (C(parent.child) for a nested one), or its jid.
    type: string
    default: inventory_hostname
    vars:
      - name: inventory_hostname
      - name: ansible_jail_name
  jail_user:
    description: The user in the jail, from the jail's own user database. Without it, root.
    type: string
    vars:
      - name: ansible_jail_user
    env:
      - name: ANSIBLE_JAIL_USER
    ini:
      - section: jexec_connection
        key: jail_user
  privilege_escalation:
    description:
      - How the ssh user becomes root on the host, which jexec(8) needs.
      - V(none), for root. V(auto), nothing for root, else doas where the host has it, else sudo, without a password.
      - V(doas), V(sudo), or the name of any become plugin.
    type: string
    default: auto
    vars:
      - name: ansible_jail_privilege_escalation
    env:
      - name: ANSIBLE_JAIL_PRIVILEGE_ESCALATION
    ini:
      - section: jexec_connection
        key: privilege_escalation
  escalation_user:
    description: Who to become on the host.
    type: string
    default: root
    vars:
      - name: ansible_jail_escalation_user
  escalation_password:
    description: The password that doas, sudo or another become plugin asks for on the host.
    type: string
    vars:
      - name: ansible_jail_escalation_password
    env:
      - name: ANSIBLE_JAIL_ESCALATION_PASSWORD
  escalation_flags:
    description: Flags in place of the tool's usual ones.
    type: string
    vars:
      - name: ansible_jail_escalation_flags
  escalation_executable:
    description: The tool, where it has another name or path.
    type: string
    vars:
      - name: ansible_jail_escalation_executable
  stopped:
    description:
      - What to do when the jail is defined but does not run.
      - V(fail), say so. V(chroot), work below its root with chroot(8); nothing else confines what runs there. V(start),
        start it with C(service jail onestart).
    type: string
    default: fail
    choices: [fail, chroot, start]
    vars:
      - name: ansible_jail_stopped
    env:
      - name: ANSIBLE_JAIL_STOPPED
    ini:
      - section: jexec_connection
        key: stopped
  jail_root:
    description:
      - The jail's root on the host, for V(chroot) of O(stopped). Without it, what the host's configuration says.
    type: string
    vars:
      - name: ansible_jail_root
  jexec_executable:
    description: jexec(8) or a wrapper that takes the same arguments.
    type: string
    default: /usr/sbin/jexec
    vars:
      - name: ansible_jail_jexec
    env:
      - name: ANSIBLE_JAIL_JEXEC
    ini:
      - section: jexec_connection
        key: jexec_executable
  jail_path:
    description: E(PATH) in the jail.
    type: string
    default: /sbin:/bin:/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin
    vars:
      - name: ansible_jail_path
    ini:
      - section: jexec_connection
        key: jail_path
  jail_locale:
    description: E(LANG) and E(LC_ALL) in the jail.
    type: string
    default: C.UTF-8
    vars:
      - name: ansible_jail_locale
    ini:
      - section: jexec_connection
        key: jail_locale
  sessions_per_master:
    description:
      - Sessions through one ssh connection of a host, where ControlPersist is on. sshd's C(MaxSessions) is 10 unless it
        was changed; the rest is left for whoever works on the host itself.
    type: integer
    default: 8
    vars:
      - name: ansible_jail_sessions_per_master
    env:
      - name: ANSIBLE_JAIL_SESSIONS_PER_MASTER
    ini:
      - section: jexec_connection
        key: sessions_per_master
  masters:
    description: The most ssh connections to one host; tasks wait for a session beyond that. 0 for as many as they need.
    type: integer
    default: 0
    vars:
      - name: ansible_jail_masters
    env:
      - name: ANSIBLE_JAIL_MASTERS
    ini:
      - section: jexec_connection
        key: masters
notes:
  - With O(escalation_password) and doas, which reads a password from a terminal only, there is no pipelining.
  - A O(ignore:control_path) of your own turns the spreading over several connections off.
seealso:
  - plugin: cellblock.jails.jexec
    plugin_type: become
  - plugin: cellblock.jails.jails
    plugin_type: inventory
"""

EXAMPLES = r"""
# An inventory with a jail of a host that is reached as root.
# all:
#   hosts:
#     web:
#       ansible_connection: cellblock.jails.jexec
#       ansible_jail_host: jailhost.example.org
#       ansible_user: root
- name: Work in a jail
  hosts: web
  gather_facts: false
  tasks:
    - name: Give it Python
      ansible.builtin.raw: test -x /usr/local/bin/python3 || env ASSUME_ALWAYS_YES=yes pkg install -q python3
      changed_when: false

    - name: See that it answers
      ansible.builtin.ping:
"""

import contextlib
import difflib
import io
import os
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ansible.errors import AnsibleAuthenticationFailure, AnsibleConnectionFailure, AnsibleError
from ansible.module_utils.common.text.converters import to_bytes, to_text
from ansible.plugins.connection.ssh import Connection as SshConnection
from ansible.utils.display import Display
from ansible.utils.path import makedirs_safe, unfrackpath

from ansible_collections.cellblock.jails.plugins.module_utils.errors import FormatError, InputError
from ansible_collections.cellblock.jails.plugins.plugin_utils import remote, survey
from ansible_collections.cellblock.jails.plugins.plugin_utils.escalation import Escalation
from ansible_collections.cellblock.jails.plugins.plugin_utils.homes import ASKED, Homes
from ansible_collections.cellblock.jails.plugins.plugin_utils.slots import Slots
from ansible_collections.cellblock.jails.plugins.plugin_utils.talk import Rung, Talk

display = Display()

NO_PYTHON = re.compile(rb"python[0-9.]*['\"]?: (?:command )?(?:not found|No such file)")
NO_JAIL = re.compile(r"jexec: jail (?:\"(?P<name>.*)\"|(?P<jid>\d+)) not found|jail_attach\(.*\): Invalid argument")
# `jexec -l` goes to the user's home first; those of nobody, www and their like are never there.
NO_HOME = re.compile(r"^jexec: chdir: (/.*): [^:]*$", re.MULTILINE)
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
        r"(?P<it>doas|sudo)(?:: (?:command )?not found|: No such file.*)|.*: (?P<that>doas|sudo): not found",
        "escalation was refused, the host has no such tool",
        "Install it on the host, or set ansible_jail_privilege_escalation to none, doas or sudo",
    ),
    (
        r"doas: .*",
        "escalation was refused by doas",
        "Give the ssh user a rule in the host's doas.conf, such as: permit nopass {user} as root cmd {jexec}",
    ),
    (
        r"sudo: .*|.*not (?:allowed to execute|in the sudoers file).*|Sorry, user .*",
        "escalation was refused by sudo",
        "Give the ssh user a rule in the host's sudoers, such as: {user} ALL=(root) NOPASSWD: {jexec}",
    ),
    (
        r".*jexec: (?:Command |command )?not found.*|.*jexec: No such file.*",
        "the host has no jexec(8)",
        "With pkgbase, install the package FreeBSD-jail on the host; or set ansible_jail_jexec",
    ),
)


@dataclass
class Order:
    """One command or transfer.

    :param script: what the jail's shell is to run.
    :param user: the user in the jail; None for root.
    :param source: opens what is sent.
    :param sink: where output goes instead of memory.
    :param rung: the jail's own escalation.
    :param terminal: ask for a terminal.
    """

    script: str
    user: str | None
    source: Any = None
    sink: Any = None
    rung: Rung | None = None
    terminal: bool = False


@dataclass
class Answer:
    """What came of it; ``entered`` says whether the jail was."""

    rc: int
    out: bytes
    err: bytes
    entered: bool


class Connection(SshConnection):  # type: ignore[misc]
    """ssh to the host, jexec into the jail."""

    transport = "cellblock.jails.jexec"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._for_ssh = False
        self._want_terminal = False
        self._shard = 0
        self._slots: Slots | None = None
        self._root: str | None = None
        self._no_home: dict[str, str] = {}  # users without a home in the jail, and where it would be
        self._create_control_path = self._path_of_master

    # -- options

    def get_option(self, option: str, hostvars: Any = None) -> Any:
        """An option's value; to whoever works in the jail, ``remote_user`` is the user there."""
        if option == "remote_user" and not self._for_ssh:
            return super().get_option("jail_user", hostvars) or "root"
        if option == "host":
            return self._jail_host()
        return super().get_option(option, hostvars)

    def _jail_host(self) -> str:
        given = super().get_option("jail_host")
        address = str(super().get_option("host") or self._play_context.remote_addr)
        if given or "@" in address:
            return str(given or address.rpartition("@")[2])
        if address == str(super().get_option("jail_name")):
            raise AnsibleError(f"Nothing says which host the jail {address} is on. Set ansible_jail_host.")
        return address

    def _jail_name(self) -> str:
        name = str(super().get_option("jail_name"))
        try:
            return remote.check_name(name.rpartition("@")[0] or name)
        except InputError as error:
            raise AnsibleError(str(error)) from error

    def _escalation(self) -> Escalation:
        method = str(self.get_option("privilege_escalation"))
        if method == "auto" and super().get_option("remote_user") == "root":
            method = "none"
        return Escalation(
            method,
            self.get_option("escalation_user"),
            self.get_option("escalation_password"),
            self.get_option("escalation_flags"),
            self.get_option("escalation_executable"),
        )

    def is_pipelining_enabled(self, wrap_async: bool = False) -> bool:
        """Whether modules go through standard input; a terminal in between would spoil them."""
        return not self._escalation().terminal and bool(super().is_pipelining_enabled(wrap_async))

    # -- what core calls

    def exec_command(self, cmd: str, in_data: bytes | None = None, sudoable: bool = True) -> tuple[int, bytes, bytes]:
        """Run a command in the jail."""
        if ASKED.match(to_text(cmd)) and self.get_option("remote_user") == "root":
            return self._home(to_text(cmd))
        return self._execute(to_text(cmd), in_data, sudoable)

    def _home(self, cmd: str) -> tuple[int, bytes, bytes]:
        """Root's home in the jail."""
        base = self._socket(0)
        makedirs_safe(os.path.dirname(base), 0o700)
        homes, jail = Homes(f"{base}.homes"), self._jail_name()
        known = homes.get(jail)
        if known is not None:
            return 0, to_bytes(known + "\n"), b""
        rc, out, err = self._execute(cmd, None, False)
        home = to_text(out).strip()
        if rc == 0 and home.startswith("/"):
            homes.put(jail, home)
        return rc, out, err

    def _execute(self, cmd: str, in_data: bytes | None, sudoable: bool) -> tuple[int, bytes, bytes]:
        cmd, user = self._jexec_become(cmd)
        success = getattr(self.become, "success", "") if sudoable and user is None else ""
        rung = Rung(self.become, to_bytes(success)) if success and success in cmd else None
        order = Order(
            cmd,
            user or self.get_option("jail_user"),
            (lambda: io.BytesIO(to_bytes(in_data))) if in_data else None,
            rung=rung,
            terminal=bool(not in_data and sudoable and self.get_option("use_tty")),
        )
        answer = self._reach(order)
        if answer.rc == 127 and NO_PYTHON.search(answer.out + answer.err):
            answer.err += to_bytes(self._no_python())
        return answer.rc, answer.out, answer.err

    def _file_transport_command(self, in_path: str, out_path: str, sftp_action: str) -> tuple[int, bytes, bytes]:
        """Stream a file through jexec; sftp and scp would end on the host."""
        move = self._put if sftp_action == "put" else self._fetch
        answer = move(to_text(in_path), to_text(out_path))
        if answer.rc != 0:
            said = to_text(answer.err + answer.out).strip() or f"exit code {answer.rc}"
            raise AnsibleError(
                f"Failed to transfer {to_text(in_path)} to {to_text(out_path)}, jail {self._jail_name()}: {said}"
            )
        return answer.rc, answer.out, answer.err

    def _put(self, in_path: str, out_path: str) -> Answer:
        local = to_bytes(in_path, errors="surrogate_or_strict")
        size, token = os.stat(local).st_size, secrets.token_hex(8)
        script = remote.put(out_path, size, token, self._escalation().terminal)
        return self._reach(Order(script, self.get_option("jail_user"), source=lambda: open(local, "rb")))

    def _fetch(self, in_path: str, out_path: str) -> Answer:
        local = to_bytes(out_path, errors="surrogate_or_strict")
        order = Order(remote.fetch(in_path), self.get_option("jail_user"))
        if os.path.exists(local) and not os.path.isfile(local):
            raise AnsibleError(f"{out_path} is not a regular file")
        temporary = os.path.join(os.path.dirname(local), b".cellblock-" + secrets.token_hex(8).encode())
        try:
            with open(temporary, "xb") as order.sink:
                answer = self._reach(order)
            if answer.rc == 0:
                os.replace(temporary, local)
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)
        return answer

    def reset(self) -> None:
        """Close every master connection of the host that this plugin may have opened."""
        for shard in range(self._most_masters()):
            self._shard = shard
            if shard == 0 or os.path.exists(self._socket(shard)):
                super().reset()
        self._shard = 0

    # -- into the jail

    def _jexec_become(self, cmd: str) -> tuple[str, str | None]:
        """Take the become plugin's mark out of a command; gives the user that it asks for."""
        mark = getattr(self.become, "mark", None)
        if mark is None or getattr(self.become, "name", "") != "cellblock.jails.jexec" or f"{mark()} " not in cmd:
            return cmd, None
        return cmd.replace(f"{mark()} ", "", 1), str(self.become.get_option("become_user") or "root")

    def _reach(self, order: Order, sought: bool = False) -> Answer:
        """Take an order to the jail; raise when the jail could not be entered.

        :param sought: whether a way to a jail that was not there has been found before.
        """
        answer = self._attempt(order)
        if answer.entered or answer.rc == 0:
            return answer
        said = to_text(answer.err + answer.out)
        missing = NO_HOME.search(said)
        if missing and order.user and order.user not in self._no_home:
            self._no_home[order.user] = missing[1]
            return self._reach(order, sought)
        if not sought and NO_JAIL.search(said) and self._find_a_way(order):
            return self._reach(order, True)
        raise self._refusal(said, answer.rc)

    def _attempt(self, order: Order) -> Answer:
        """Once through ssh, the host's escalation and jexec."""
        mark = f"cellblock-in-{secrets.token_hex(8)}"
        escalation = self._escalation()
        data = order.source is not None or order.sink is not None
        terminal = (
            order.terminal
            or escalation.terminal
            or bool(order.rung and order.rung.become.require_tty and order.rung.become.expect_prompt())
        )
        environment = remote.Environment(self.get_option("jail_path"), self.get_option("jail_locale"))
        line = escalation.wrap(
            self._line(order, environment.script(order.script, mark, terminal and data)), self._shell
        )
        rungs = [Rung(escalation.become, to_bytes(mark))] if escalation.asks or (terminal and data) else []
        waited = bool(rungs)
        rungs += [order.rung] if order.rung else []
        talk = None
        if rungs or data:
            talk = Talk(rungs, order.source, order.sink, terminal and not data, 2.0 + float(self.get_option("timeout")))
        rc, out, err = self._ssh(line, talk, terminal)
        if talk is not None and waited and talk.taken:
            return Answer(rc, out, err, True)
        err, entered = _without(err, mark)
        if not entered:
            out, entered = _without(out, mark)
        return Answer(rc, out, err, entered)

    def _line(self, order: Order, script: str) -> str:
        if self._root is not None:
            return remote.chroot(self._root, order.user, script)
        home = self._no_home.get(order.user or "")
        return remote.jexec(str(self.get_option("jexec_executable")), self._jail_name(), order.user, script, home)

    def _ssh(self, line: str, talk: Talk | None, terminal: bool) -> tuple[int, bytes, bytes]:
        """One ssh process to the host."""
        self._want_terminal = terminal
        try:
            with self._session():
                rc, out, err = super().exec_command(line, in_data=talk, sudoable=False)
        except AnsibleConnectionFailure as error:
            kind = (
                AnsibleAuthenticationFailure
                if isinstance(error, AnsibleAuthenticationFailure)
                else AnsibleConnectionFailure
            )
            raise kind(
                f"The host {self._jail_host()} of the jail {self._jail_name()} cannot be reached: {error.message} "
                f"Try: ssh {self._jail_host()} jls"
            ) from error
        finally:
            self._want_terminal = False
        return rc, out, err

    # -- inside core's ssh plugin

    def _build_command(self, binary: str, subsystem: str, *other_args: Any) -> list[bytes]:
        self._for_ssh = True
        try:
            if self._want_terminal and subsystem == "ssh":
                other_args = ("-tt", "-o", "EscapeChar=none", *other_args)
            return list(super()._build_command(binary, subsystem, *other_args))
        finally:
            self._for_ssh = False

    def _bare_run(
        self, cmd: list[bytes], in_data: Any, sudoable: bool = True, checkrc: bool = True
    ) -> tuple[int, bytes, bytes]:
        talk = in_data if isinstance(in_data, Talk) else None
        with self._birth():
            try:
                rc, out, err = super()._bare_run(cmd, in_data, sudoable=sudoable, checkrc=checkrc)
            except AnsibleConnectionFailure as error:
                if talk is None or not talk.err:
                    raise
                raise type(error)(f"{error.message} {to_text(talk.err).strip()}") from error
        return (rc, talk.out + out, talk.err + err) if talk is not None else (rc, out, err)

    def _send_initial_data(self, fh: Any, in_data: Any, ssh_process: Any) -> None:
        if isinstance(in_data, Talk):
            in_data.run(fh, ssh_process)
        else:
            super()._send_initial_data(fh, in_data, ssh_process)

    # -- many jails, few connections

    def _path_of_master(self, host: Any, port: Any, user: Any) -> str:
        """Core asks for it in the place of ``_create_control_path``; the first master is plain ssh's own."""
        return str(SshConnection._create_control_path(host, port, user, self._shard or None))

    def _socket(self, shard: int) -> str:
        self._for_ssh = True
        try:
            ends = (self._jail_host(), self.get_option("port"), self.get_option("remote_user"))
        finally:
            self._for_ssh = False
        path = SshConnection._create_control_path(*ends, shard or None)
        return str(path % {"directory": unfrackpath(self.get_option("control_path_dir"))})

    def _most_masters(self) -> int:
        return int(self.get_option("masters")) or 64

    @contextlib.contextmanager
    def _session(self) -> Iterator[None]:
        if self.get_option("control_path"):
            yield
            return
        self._shard = 0
        base = self._socket(0)
        makedirs_safe(os.path.dirname(base), 0o700)
        self._slots = Slots(
            f"{base}.slots", int(self.get_option("sessions_per_master")), int(self.get_option("masters"))
        )
        try:
            with self._slots.session() as self._shard:
                yield
        finally:
            self._slots.close()
            self._slots = None

    @contextlib.contextmanager
    def _birth(self) -> Iterator[None]:
        if self._slots is None or not getattr(self, "_persistent", False) or not self.control_path:
            yield
            return
        with self._slots.birth(self._shard, self._socket(self._shard), float(self.get_option("timeout"))):
            yield

    # -- when it does not work

    def _look(self) -> list[dict[str, Any]]:
        """The jails of the host; none when they cannot be told."""
        nonce = f"cellblock-{secrets.token_hex(8)}"
        rc, out, _err = self._ssh(remote.sh(survey.script(nonce)), None, False)
        try:
            return survey.read(to_text(out), nonce) if rc == 0 else []
        except FormatError:
            return []

    def _find_a_way(self, order: Order) -> bool:
        """What to do about a jail that is not there: true to try again, otherwise raise."""
        name, jails = self._jail_name(), self._look()
        found = next((jail for jail in jails if name in (jail["name"], str(jail["jid"]))), None)
        host = self._jail_host()
        if found is None:
            names = [str(jail["name"]) for jail in jails]
            near = difflib.get_close_matches(name, names, 1)
            hint = f"Did you mean {near[0]}? " if near else ""
            there = f"There are: {', '.join(names[:20])}. " if names else ""
            raise AnsibleConnectionFailure(
                f"There is no jail {name} on {host}. {hint}{there}"
                "Set ansible_jail_name to one that jls shows, or make it."
            )
        if found["state"] == "running":
            return True  # it came back between two questions
        if found["state"] == "dying":
            raise AnsibleConnectionFailure(
                f"The jail {name} on {host} is dying: it was removed, and something still holds it. "
                "Wait until 'jls -d' no longer shows it, then start it; 'sockstat -j' and 'ps -J' show what is left."
            )
        return self._stopped(name, host, found)

    def _stopped(self, name: str, host: str, found: dict[str, Any]) -> bool:
        choice = self.get_option("stopped")
        if choice == "chroot":
            self._root = str(self.get_option("jail_root") or found["path"])
            return True
        if choice == "start":
            start = remote.sh(remote.start(name))
            escalation = self._escalation()
            rungs = [Rung(escalation.become, b"cellblock-started")] if escalation.asks else []
            line = remote.sh(f"echo cellblock-started >&2; {start}")
            talk = Talk(rungs, keep_open=escalation.terminal) if rungs else None
            rc, out, err = self._ssh(escalation.wrap(line, self._shell), talk, escalation.terminal)
            if rc != 0:
                raise self._refusal(to_text(err + out), rc)
            return True  # service(8) answers 0 whatever happened; the next attempt tells
        raise AnsibleConnectionFailure(
            f"The jail {name} on {host} is stopped. Start it (service jail onestart {name}), "
            "or set ansible_jail_stopped to start, or to chroot to work below its root."
        )

    def _refusal(self, said: str, rc: int) -> AnsibleConnectionFailure:
        """The error for a jail that was not entered."""
        name, host = self._jail_name(), self._jail_host()
        said = re.sub(r"^(?:Shared c|C)onnection to .* closed\.\r?$", "", said, flags=re.MULTILINE).strip()
        where = f"The jail {name} on {host} cannot be entered"
        if rc < 0:
            return AnsibleConnectionFailure(
                f"The connection to the jail {name} on {host} broke: ssh ended by signal {-rc}"
            )
        if NO_JAIL.search(said) and self.get_option("stopped") == "start":
            return AnsibleConnectionFailure(
                f"{where}: it was started, but does not run. See /var/log/jail_{name}_console.log on the host."
            )
        for pattern, meaning, fix in REFUSALS:
            match = re.search(f"^(?:{pattern})\r?$", said, re.MULTILINE)
            if match:
                self._for_ssh = True
                user = self.get_option("remote_user") or "USER"
                self._for_ssh = False
                words = {**match.groupdict(), "user": user, "jexec": self.get_option("jexec_executable")}
                return AnsibleConnectionFailure(
                    f"{where}: {meaning.format(**words)}. {fix.format(**words)}. It said: {match[0].strip()}"
                )
        return AnsibleConnectionFailure(f"{where}: {said or f'exit code {rc}'}")

    def _no_python(self) -> str:
        name = self._jail_name()
        where = f"-c {self._root}" if self._root else f"-j {name}"
        return (
            f"\nThere is no such Python in the jail {name}. Install it from its host with "
            f"'pkg {where} install -y python3', or in the jail with ansible.builtin.raw: "
            "env ASSUME_ALWAYS_YES=yes pkg install python3; and set ansible_python_interpreter, "
            "such as to /usr/local/bin/python3.\n"
        )


def _without(text: bytes, mark: str) -> tuple[bytes, bool]:
    """A text without the line that says that the jail was entered, and whether it was there."""
    found = re.search(re.escape(mark.encode()) + rb"\r?\n", text)
    return (text[: found.start()] + text[found.end() :], True) if found else (text, False)
