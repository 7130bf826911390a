# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Jails that somebody made by hand, and that we are asked to take over."""

from __future__ import annotations

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
