# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Jails that somebody made by hand, and that we are asked to take over."""

from __future__ import annotations

import re
from typing import Any, Dict, Iterator

import pytest

from .machine import BASE, Failed, Machine

CONF = 'exec.start = "/usr/bin/true"; persist; path = "{path}"; host.hostname = "old.example.org"; ip4.addr = "{interface}|10.99.0.40/32";'
RC = """\
jail_cbold_rootdir="{path}"
jail_cbold_hostname="old.example.org"
jail_cbold_ip="{interface}|10.99.0.40/32"
jail_cbold_exec_start="/usr/bin/true"
jail_cbold_parameters="persist"
"""


class Old:
    """A jail of somebody's, and its files."""

    def __init__(self, machine: Machine) -> None:
        self.machine, self.path = machine, f"{machine.place}/basejails/{BASE}"
        self.rc_conf = str(machine.read("/etc/rc.conf"))

    def define(self, where: str) -> None:
        words = {"path": self.path, "interface": self.machine.interface}
        if where == "/etc/rc.conf":
            self.machine.write(where, self.rc_conf + RC.format(**words))
        else:
            self.machine.write(where, "cbold { " + CONF.format(**words) + " }\n")

    def declared(self, **options: Any) -> Dict[str, Any]:
        """As it is declared to take it over."""
        return {
            "name": "cbold", "root": "existing", "path": self.path, "hostname": "old.example.org", "adopt": True,
            "ip4": [f"{self.machine.interface}|10.99.0.40"], "exec": {"start": "/usr/bin/true", "stop": ""}, "params": {"mount.devfs": False}, **options,
        }


@pytest.fixture
def old(machine: Machine) -> Iterator[Old]:
    """Somebody's jail; nothing of it is left."""
    found = Old(machine)
    yield found
    machine.jails([], prune=True)
    assert "freebsd-version" in machine.names(f"{found.path}/bin")
    machine.run("rm", "-f", "/etc/jail.conf.d/cbold.conf", "/etc/jail.conf", "/etc/jail.cbold.conf")
    machine.write("/etc/rc.conf", found.rc_conf)


@pytest.mark.parametrize("style", ["jail_conf", "rc_conf"])
@pytest.mark.parametrize("where", ["/etc/jail.conf.d/cbold.conf", "/etc/rc.conf", "/etc/jail.conf"])
def test_a_running_jail_is_taken_over_without_a_restart(machine: Machine, old: Old, where: str, style: str) -> None:
    old.define(where)
    machine.run("service", "jail", "onestart", "cbold")
    jid = machine.running()["cbold"]["jid"]
    with pytest.raises(Failed, match="adopt: true"):
        machine.jails([old.declared(adopt=False)])
    declared = [old.declared(boot_style=style)]
    predicted = machine.jails(declared, check=True)
    assert machine.jails(declared)["steps"] == predicted["steps"] != []
    assert machine.running()["cbold"]["jid"] == jid
    assert machine.jails(declared)["steps"] == []
    machine.boot()
    assert machine.running()["cbold"]["host.hostname"] == "old.example.org" and "10.99.0.40/32" in machine.addresses()
    assert machine.jails(declared)["steps"] == []
    machine.jails([], prune=True)
    assert machine.running() == {} and "10.99.0.40/32" not in machine.addresses()
    assert "jail_cbold" not in str(machine.read("/etc/rc.conf"))


@pytest.mark.parametrize("where", ["/etc/jail.conf.d/cbold.conf", "/etc/rc.conf"])
def test_a_taking_over_that_fails_leaves_the_old_definition(machine: Machine, old: Old, where: str) -> None:
    old.define(where)
    before = machine.read(where)
    with pytest.raises(Failed, match="/usr/bin/false"):
        machine.jails([old.declared(exec={"start": "/usr/bin/false"})])
    if where == "/etc/rc.conf":
        assert set(str(before).splitlines()) <= set(str(machine.read(where)).splitlines())
    else:
        assert machine.read(where) == before
    machine.run("service", "jail", "onestart", "cbold")
    assert "cbold" in machine.running()
    machine.run("service", "jail", "onestop", "cbold")


def test_what_would_win_over_our_definition_is_named(machine: Machine, old: Old) -> None:
    old.define("/etc/jail.cbold.conf")
    with pytest.raises(Failed, match="Move /etc/jail.cbold.conf away"):
        machine.jails([old.declared()])
    machine.run("rm", "/etc/jail.cbold.conf")
    old.define("/etc/jail.conf")
    machine.write("/etc/jail.conf", '.include "/etc/jail.conf.d/*.conf";\n' + str(machine.read("/etc/jail.conf")))
    with pytest.raises(Failed, match="Take its block out of /etc/jail.conf"):
        machine.jails([old.declared()])


def test_variables_that_are_exported_are_taken_over(machine: Machine, old: Old) -> None:
    old.define("/etc/rc.conf")
    machine.write("/etc/rc.conf", str(machine.read("/etc/rc.conf")).replace("jail_cbold_", "export jail_cbold_"))
    machine.run("service", "jail", "onestart", "cbold")
    machine.jails([old.declared()])
    assert "jail_cbold_" not in str(machine.read("/etc/rc.conf")) and "export" not in str(machine.read("/etc/rc.conf"))
    assert machine.jails([old.declared()])["steps"] == []


def test_a_root_by_another_spelling_is_the_same(machine: Machine, old: Old) -> None:
    text = "cbold { " + CONF.format(path=f"{old.path}/", interface=machine.interface) + " exec.fib = 0; }\n"
    machine.write("/etc/jail.conf.d/cbold.conf", text)
    assert machine.jails([old.declared()], check=True)["steps"] != []
    machine.write("/etc/jail.conf.d/cbold.conf", text.replace(old.path, "/elsewhere"))
    with pytest.raises(Failed, match="path = /elsewhere/"):
        machine.jails([old.declared()])


def test_a_file_that_defines_others_too_is_not_taken(machine: Machine, old: Old) -> None:
    old.define("/etc/jail.conf.d/cbold.conf")
    place = "/etc/jail.conf.d/cbold.conf"
    machine.write(place, str(machine.read(place)) + 'neighbour { path = "/"; persist; }\n')
    before = machine.read(place)
    with pytest.raises(Failed, match="defines neighbour too"):
        machine.jails([old.declared()])
    assert machine.read(place) == before


@pytest.mark.parametrize("style", ["jail_conf", "rc_conf"])
def test_a_number_that_was_fixed_stays(machine: Machine, old: Old, style: str) -> None:
    machine.write("/etc/jail.conf.d/cbold.conf", "cbold { jid = 77; " + CONF.format(path=old.path, interface=machine.interface) + " }\n")
    machine.jails([old.declared(boot_style=style)])
    machine.jails([old.declared(boot_style=style, state="restarted")])
    assert str(machine.running()["cbold"]["jid"]) == "77"
    assert machine.jails([old.declared(boot_style=style)])["steps"] == []
    machine.boot()
    assert str(machine.running()["cbold"]["jid"]) == "77"


WORDS = {
    'exec.poststop = "/usr/bin/true gone";': "exec.poststop = /usr/bin/true gone",
    'exec.created = "/usr/bin/true made";': "exec.created = /usr/bin/true made",
    "allow.raw_sockets;": "allow.raw_sockets = true",
    "allow.noset_hostname;": "allow.set_hostname = false",
    "securelevel = 2;": "securelevel = 2",
    'mount = "tmpfs /mnt tmpfs rw 0 0";': "mount = tmpfs /mnt tmpfs rw 0 0",
    'mount.fstab = "/etc/fstab.cbold";': "mount = tmpfs /mnt tmpfs rw 0 0",
    'ip6.addr = "2001:db8::9";': "ip6.addr = 2001:db8::9",
    "depend = db;": "depend = db",
    '.include "/etc/jail.words";': "allow.chflags = true",
    "devfs_ruleset = 77;": "",  # without mount.devfs, nobody mounts by it
}


def test_what_is_not_declared_is_named_before_it_is_lost(machine: Machine, old: Old) -> None:
    place = "/etc/jail.conf.d/cbold.conf"
    machine.write("/etc/fstab.cbold", "tmpfs /mnt tmpfs rw 0 0\n")
    machine.write("/etc/jail.words", "allow.chflags;\n")
    for words, told in WORDS.items():
        text = "cbold { " + CONF.format(path=old.path, interface=machine.interface) + words + " }\n"
        machine.write(place, text)
        if told:
            with pytest.raises(Failed, match="would be lost: " + re.escape(told)):
                machine.jails([old.declared()])
            assert machine.read(place) == text
        else:
            machine.jails([old.declared()], check=True)
    machine.run("rm", "-f", "/etc/fstab.cbold", "/etc/jail.words")


def test_variables_that_are_not_declared_are_named_before_they_are_lost(machine: Machine, old: Old) -> None:
    old.define("/etc/rc.conf")
    text = str(machine.read("/etc/rc.conf")) + 'jail_cbold_exec_prestop0="/usr/bin/true stop"\njail_cbold_mount_enable="YES"\njail_cbold_consolecmd="login"\n'
    machine.write("/etc/rc.conf", text)
    with pytest.raises(Failed, match="allow.mount = true; exec.prestop = /usr/bin/true stop"):
        machine.jails([old.declared()])
    hooks = {"start": "/usr/bin/true", "stop": "", "prestop": "/usr/bin/true stop"}
    machine.jails([old.declared(exec=hooks, params={"mount.devfs": False, "allow.mount": True})])
    assert 'jail_cbold_consolecmd="login"' in str(machine.read("/etc/rc.conf"))


def test_a_hook_without_a_variable_is_refused_and_an_fstab_of_somebodys_stays(machine: Machine) -> None:
    quiet = {"start": "/usr/bin/true", "stop": "/usr/bin/true"}
    with pytest.raises(Failed, match="no variable for exec.created ./usr/bin/true."):
        machine.jails([machine.web(boot_style="rc_conf", exec={**quiet, "created": "/usr/bin/true"})])
    machine.write("/etc/fstab.cbweb", "# somebody's\n")
    with pytest.raises(Failed, match="fstab.cbweb is somebody's"):
        machine.jails([machine.web(boot_style="rc_conf", exec=quiet)])
    machine.jails([machine.web(exec=quiet)])
    with pytest.raises(Failed, match="fstab.cbweb is somebody's"):
        machine.jails([machine.web(boot_style="rc_conf", exec=quiet)])
    machine.jails([], prune=True)
    assert machine.read("/etc/fstab.cbweb") == "# somebody's\n"
    machine.run("rm", "/etc/fstab.cbweb")
    machine.jails([machine.web(boot_style="rc_conf", exec=quiet, params={"exec.clean": False})])
    assert "exec.clean=false" in str(machine.read("/etc/rc.conf"))
    machine.jails([], prune=True)


def test_what_a_running_jail_may_is_not_taken_without_a_word(machine: Machine, old: Old) -> None:
    machine.run("jail", "-c", "name=cbold", f"path={old.path}", "persist", "allow.raw_sockets=1", "host.hostname=old.example.org")
    with pytest.raises(Failed, match="the running jail says .*allow.raw_sockets = true"):
        machine.jails([old.declared(ip4="none")])
    machine.jails([old.declared(ip4="none", params={"mount.devfs": False, "allow.raw_sockets": True})])


def test_a_number_that_another_jail_has_stops_nobody_else(machine: Machine, old: Old) -> None:
    machine.write("/etc/jail.conf.d/cbold.conf", "cbold { " + CONF.format(path=old.path, interface=machine.interface) + " }\n")
    machine.run("jail", "-f", "/etc/jail.conf.d/cbold.conf", "-c", "cbold")
    machine.write("/etc/jail.conf.d/cbold.conf", "cbold { jid = 87; " + CONF.format(path=old.path, interface=machine.interface) + " }\n")
    machine.run("jail", "-c", "name=cbstranger", "jid=87", "path=/", "persist")
    machine.jails([old.declared()])
    machine.jails([{"name": "cbold", "state": "stopped"}])
    assert "cbold" not in machine.running() and "cbstranger" in machine.running()
    machine.run("jail", "-r", "cbstranger")
