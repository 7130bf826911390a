# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the ssh user becomes root on the jail's host: nothing, doas(1), sudo(8), or any become plugin."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.become import BecomeBase
from ansible.plugins.loader import become_loader

from ansible_collections.cellblock.jails.plugins.plugin_utils import remote
from ansible_collections.cellblock.jails.plugins.plugin_utils.talk import Gate


class Doas(BecomeBase):  # type: ignore[misc]
    """doas(1) of FreeBSD's ports. It reads a password from a terminal only."""

    name = "doas"
    prompt = "doas ("
    fail = ("doas: Authentication failed", "doas: authentication failed")
    missing = ("doas: Authentication required", "doas: a tty is required", "doas: Authorization required")

    def __init__(self, user: str, password: str | None, flags: str | None, exe: str | None) -> None:
        super().__init__()
        self._given = {"become_user": user, "become_pass": password, "become_flags": flags, "become_exe": exe}
        self.require_tty = bool(password)

    def get_option(self, option: str, hostvars: Any = None, playcontext: Any = None) -> Any:
        """Its options, as core's become plugins have them."""
        return self._given[option]

    def check_password_prompt(self, b_output: bytes) -> bool:
        """``doas (user@host) password:``, or with PAM ``Password:``."""
        line = b_output.strip()
        return line.startswith((b"doas (", b"Password")) and line.endswith(b":")

    def build_become_command(self, cmd: str, shell: Any) -> str:
        """Run a command as another user."""
        super().build_become_command(cmd, shell)
        flags = self._given["become_flags"] or ("" if self._given["become_pass"] else "-n")
        words = [
            self._given["become_exe"] or "doas",
            flags,
            "-u " + remote.join([str(self._given["become_user"])]),
            cmd,
        ]
        return " ".join(word for word in words if word)


class Escalation:
    """The host's rung.

    :param method: ``none``, ``auto``, or a become plugin's name.
    :param password: the password that it may ask for.
    """

    def __init__(
        self,
        method: str,
        user: str = "root",
        password: str | None = None,
        flags: str | None = None,
        exe: str | None = None,
    ) -> None:
        self.method = method
        self.become: BecomeBase | None = None
        if method == "auto" and password:
            raise AnsibleError(
                "ansible_jail_escalation_password is set, but not which tool would ask for it. "
                "Set ansible_jail_privilege_escalation to doas, sudo or another become method."
            )
        if method == "doas":
            self.become = Doas(user, password, flags, exe)
        elif method not in ("none", "auto"):
            self.become = _plugin(method, user, password, flags, exe)

    @property
    def asks(self) -> bool:
        """Whether a password may be asked for."""
        return bool(self.become and self.become.get_option("become_pass"))

    @property
    def terminal(self) -> bool:
        """Whether it needs a terminal."""
        return bool(self.become and self.become.require_tty)

    def gate(self, mark: str, terminal: bool) -> Gate:
        """Where the host's own part of the way ends: what comes after it may come from the jail.

        :param terminal: there is a terminal, and so one stream.
        """
        return Gate(mark.encode(), self.become, ("out",) if terminal else ("out", "err"))

    def wrap(self, command: str, shell: Any, mark: str, terminal: bool, says_it: bool = False) -> str:
        """The command line for the host's login shell.

        Without a password the command follows the tool's own words directly, with no shell between, so that a rule of
        doas.conf(5) or sudoers(5) can name jexec(8) alone. With one, a shell says as root, before the command,
        that the password is no longer asked for.

        :param mark: what it says.
        :param terminal: there is a terminal, and so one stream.
        :param says_it: whether the command does so itself.
        """
        if self.asks and not says_it:
            command = remote.gate(command, mark, terminal)
        if self.method == "auto":
            return remote.sh(remote.escalate_if_needed(command))
        if self.become is not None:
            command = str(self.become.build_become_command(command, shell))
        return command if not remote.odd(command) else remote.sh(command)


def _plugin(method: str, user: str, password: str | None, flags: str | None, exe: str | None) -> BecomeBase:
    become = become_loader.get(method)
    if become is None:
        raise AnsibleError(
            f"There is no become plugin {method!r} for the jail's host. Set ansible_jail_privilege_escalation to "
            "none, doas, sudo or the full name of an installed become plugin."
        )
    given = {"become_user": user, "become_pass": password, "become_flags": flags, "become_exe": exe}
    become.set_options(direct={key: value for key, value in given.items() if value is not None})
    # The jail's own mark tells that we are through; a second shell on the way would only widen the rule.
    become._build_success_command = lambda cmd, shell, noexe=False: cmd
    if method.rpartition(".")[2] == "su":
        become.require_tty = bool(password)
    return become
