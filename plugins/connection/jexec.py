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
      - name: CELLBLOCK_JAILS_PRIVILEGE_ESCALATION
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
    description:
      - The password that doas, sudo or another become plugin asks for on the host.
      - It is given to whoever asks before the host itself says that the escalation is behind us, and to nobody after.
        A shell says so as root, so the rule must allow C(/bin/sh), or the wrapper of the role
        P(cellblock.jails.host_prepare#role), which says so itself.
    type: string
    vars:
      - name: ansible_jail_escalation_password
    env:
      - name: ANSIBLE_JAIL_ESCALATION_PASSWORD
      - name: CELLBLOCK_JAILS_ESCALATION_PASSWORD
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
  host_user:
    description: The ssh user, for hosts that do not say so themselves by C(ansible_user); a credential of AWX sets it.
    type: string
    env:
      - name: CELLBLOCK_JAILS_USER
  host_private_key_file:
    description: The ssh key, for hosts that do not say so themselves.
    type: path
    env:
      - name: CELLBLOCK_JAILS_PRIVATE_KEY_FILE
  output_limit:
    description:
      - The most bytes of a command's output that are kept; a command that says more fails. 0 for any.
      - A file that is fetched may be as long as it is.
    type: integer
    default: 268435456
    vars:
      - name: ansible_jail_output_limit
    env:
      - name: ANSIBLE_JAIL_OUTPUT_LIMIT
    ini:
      - section: jexec_connection
        key: output_limit
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
import io
from collections.abc import Iterator
from typing import Any

from ansible.errors import AnsibleAuthenticationFailure, AnsibleConnectionFailure, AnsibleError
from ansible.module_utils.common.text.converters import to_bytes, to_text
from ansible.plugins.connection.ssh import Connection as SshConnection

from ansible_collections.cellblock.jails.plugins.module_utils.errors import InputError
from ansible_collections.cellblock.jails.plugins.plugin_utils import diagnosis, remote, transfer
from ansible_collections.cellblock.jails.plugins.plugin_utils.entering import Answer, Entrance, Order, Settings
from ansible_collections.cellblock.jails.plugins.plugin_utils.escalation import Escalation
from ansible_collections.cellblock.jails.plugins.plugin_utils.homes import ASKED, Homes
from ansible_collections.cellblock.jails.plugins.plugin_utils.sharing import Ends, Masters
from ansible_collections.cellblock.jails.plugins.plugin_utils.shown import shown
from ansible_collections.cellblock.jails.plugins.plugin_utils.talk import Gate, Talk


class Connection(SshConnection):  # type: ignore[misc]
    """ssh to the host, jexec into the jail: what core calls, and what its ssh plugin calls of its own."""

    transport = "cellblock.jails.jexec"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._for_ssh = False
        self._want_terminal = False
        self._masters = Masters(self._ends)
        self._entrance = Entrance(self._settings, self._ssh, lambda: self._shell)
        self._create_control_path = self._masters.path

    # -- options

    def get_option(self, option: str, hostvars: Any = None) -> Any:
        """An option's value; to whoever works in the jail, ``remote_user`` is the user there."""
        if option == "remote_user" and not self._for_ssh:
            return super().get_option("jail_user", hostvars) or "root"
        if option == "host":
            return self._jail_host()
        value = super().get_option(option, hostvars)
        fallback = {"remote_user": "host_user", "private_key_file": "host_private_key_file"}.get(option)
        return super().get_option(fallback, hostvars) or value if fallback and not value else value

    @contextlib.contextmanager
    def _as_ssh(self) -> Iterator[None]:
        """Within, ``remote_user`` is the one that logs in on the host."""
        self._for_ssh = True
        try:
            yield
        finally:
            self._for_ssh = False

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

    def _place(self) -> diagnosis.Place:
        with self._as_ssh():
            user, port = self.get_option("remote_user"), self.get_option("port")
        return diagnosis.Place(self._jail_name(), self._jail_host(), str(user or ""), int(port) if port else None)

    def _ends(self) -> Ends:
        with self._as_ssh():
            host, port, user = self._jail_host(), self.get_option("port"), self.get_option("remote_user")
        return Ends(
            host, port, user, self.get_option("control_path_dir"),
            int(self.get_option("sessions_per_master")), int(self.get_option("masters")), float(self.get_option("timeout")),
        )

    def _escalation(self) -> Escalation:
        method = str(self.get_option("privilege_escalation") or "auto")
        with self._as_ssh():
            user = self.get_option("remote_user")
        if method == "auto" and user == "root":
            method = "none"
        return Escalation(
            method,
            self.get_option("escalation_user"),
            self.get_option("escalation_password"),
            self.get_option("escalation_flags"),
            self.get_option("escalation_executable"),
        )

    def _settings(self) -> Settings:
        return Settings(
            self._place(), self._escalation(), str(self.get_option("jexec_executable")),
            remote.Environment(self.get_option("jail_path"), self.get_option("jail_locale")),
            self.get_option("stopped"), self.get_option("jail_root"),
            float(self.get_option("timeout")), int(self.get_option("output_limit")),
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
        homes, jail = Homes(self._masters.beside("homes")), self._jail_name()
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
        order = Order(
            cmd,
            user or self.get_option("jail_user"),
            (lambda: io.BytesIO(to_bytes(in_data))) if in_data else None,
            gate=Gate(to_bytes(success), self.become) if success and success in cmd else None,
            terminal=bool(not in_data and sudoable and self.get_option("use_tty")),
        )
        answer = self._entrance.reach(order)
        if answer.rc == 127 and diagnosis.NO_PYTHON.search(answer.out + answer.err):
            answer.err += to_bytes(diagnosis.no_python(self._place(), self._entrance.root))
        return answer.rc, answer.out, answer.err

    def _jexec_become(self, cmd: str) -> tuple[str, str | None]:
        """Take the become plugin's mark out of a command; gives the user that it asks for."""
        mark = getattr(self.become, "mark", None)
        if mark is None or getattr(self.become, "name", "") != "cellblock.jails.jexec" or f"{mark()} " not in cmd:
            return cmd, None
        return cmd.replace(f"{mark()} ", "", 1), str(self.become.get_option("become_user") or "root")

    def _file_transport_command(self, in_path: str, out_path: str, sftp_action: str) -> tuple[int, bytes, bytes]:
        """Stream a file through jexec; sftp and scp would end on the host."""
        move = transfer.put if sftp_action == "put" else transfer.fetch
        answer: Answer = move(self._entrance, self.get_option("jail_user"), to_text(in_path), to_text(out_path))
        if answer.rc != 0:
            said = shown(to_text(answer.err + answer.out).strip()) or f"exit code {answer.rc}"
            raise AnsibleError(
                f"Failed to transfer {to_text(in_path)} to {to_text(out_path)}, jail {self._jail_name()}: {said}"
            )
        return answer.rc, answer.out, answer.err

    def reset(self) -> None:
        """Close every master connection of the host that this plugin may have opened."""
        for _master in self._masters.every():
            super().reset()

    # -- ssh to the host

    def _ssh(self, line: str, talk: Talk, terminal: bool) -> tuple[int, bytes, bytes]:
        """One ssh process."""
        self._want_terminal = terminal
        own_path = bool(self.get_option("control_path"))
        try:
            with contextlib.nullcontext() if own_path else self._masters.session():
                rc, out, err = super().exec_command(line, in_data=talk, sudoable=False)
        except AnsibleConnectionFailure as error:
            denied = isinstance(error, AnsibleAuthenticationFailure)
            place = self._place()
            raise (AnsibleAuthenticationFailure if denied else AnsibleConnectionFailure)(
                f"The host {place.host} of the jail {place.jail} cannot be reached {place.login}: "
                + diagnosis.unreachable(str(error.message), place)
            ) from None
        finally:
            self._want_terminal = False
        return rc, out, err

    # -- inside core's ssh plugin

    def _build_command(self, binary: str, subsystem: str, *other_args: Any) -> list[bytes]:
        with self._as_ssh():
            if self._want_terminal and subsystem == "ssh":
                other_args = ("-tt", "-o", "EscapeChar=none", *other_args)
            return list(super()._build_command(binary, subsystem, *other_args))

    def _bare_run(
        self, cmd: list[bytes], in_data: Any, sudoable: bool = True, checkrc: bool = True
    ) -> tuple[int, bytes, bytes]:
        if not isinstance(in_data, Talk):
            rc, out, err = super()._bare_run(cmd, in_data, sudoable=sudoable, checkrc=checkrc)
            return rc, out, err
        persistent = getattr(self, "_persistent", False) and self.control_path
        with self._masters.birth() if persistent else contextlib.nullcontext():
            # Core's own words for a failure have what it read itself, which is not all.
            rc, out, err = super()._bare_run(cmd, in_data, sudoable=sudoable, checkrc=False)
        return rc, in_data.out + out, in_data.err + err

    def _send_initial_data(self, fh: Any, in_data: Any, ssh_process: Any) -> None:
        if isinstance(in_data, Talk):
            in_data.run(fh, ssh_process)
        else:
            super()._send_initial_data(fh, in_data, ssh_process)
