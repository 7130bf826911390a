# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What boots is what runs: a declared jail boots as declared, nobody else's stops booting; where not, it is refused or told."""

from __future__ import annotations

from typing import Any, Dict, Iterator

import pytest

from .machine import BASE, Failed, Machine

QUIET: Dict[str, Any] = {"exec": {"start": "/usr/bin/true", "stop": "/usr/bin/true"}}
OTHER = "{name} {{ path = \"{place}/basejails/" + BASE + "\"; persist; {more} }}\n"


class Etc:
    """Files of the host below /etc, put back in the end."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.before: Dict[str, Any] = {}
        self.write("/etc/rc.conf", str(machine.read("/etc/rc.conf")).replace('jail_list=""\n', "") + 'jail_enable="YES"\n')

    def write(self, path: str, text: str) -> None:
        self.before.setdefault(path, self.machine.read(path))
        self.machine.write(path, text)

    def add(self, text: str, path: str = "/etc/rc.conf") -> None:
        self.write(path, (self.machine.read(path) or "") + text)

    def other(self, name: str, more: str = "") -> str:
        return OTHER.format(name=name, place=self.machine.place, more=more)

    def back(self) -> None:
        for path, text in self.before.items():
            if text is None:
                self.machine.run("rm", "-f", path)
            else:
                self.machine.write(path, text)


@pytest.fixture
def etc(machine: Machine) -> Iterator[Etc]:
    """The host's /etc, and no jail left."""
    found = Etc(machine)
    yield found
    for name in machine.running():
        if not name.startswith("cb"):
            machine.run("jail", "-R", name)
    machine.jails([], prune=True)
    found.back()


def boot(machine: Machine) -> Any:
    """What the boot starts, in its order; it was predicted so."""
    told = machine.module("jail_info", **machine.storage)
    for name in sorted(machine.running(), reverse=True):
        machine.run("service", "jail", "onestop", name)
    machine.run("service", "jail", "start")
    started = list(machine.running())
    assert told["host"]["boot_order"] == started
    assert [one["name"] for one in told["jails"] if one["boot"]] == started
    return started


def test_the_first_jail_keeps_those_that_boot_without_a_list(machine: Machine, etc: Etc) -> None:
    etc.write("/etc/jail.conf", etc.other("old2") + etc.other("old1"))
    assert machine.jails([machine.web(**QUIET)]).get("warnings") is None
    assert 'jail_list="old2 old1 cbweb"' in str(machine.read("/etc/rc.conf"))
    assert boot(machine) == ["old2", "old1", "cbweb"]
    machine.jails([], prune=True)
    assert boot(machine) == ["old2", "old1"]


def test_what_depends_on_another_boots_behind_it_whatever_its_number(machine: Machine, etc: Etc) -> None:
    jails = [machine.db(boot_order=200, **QUIET), machine.web(depend=["cbdb"], boot_order=10, **QUIET)]
    assert machine.jails(jails).get("warnings") is None
    assert boot(machine) == ["cbdb", "cbweb"]
    with pytest.raises(Failed, match="a dependency loop: cbdb -> cbweb -> cbdb"):
        machine.module("jail", **{**machine.db(depend=["cbweb"], boot_order=200, **QUIET), **machine.storage})
    place = "/etc/jail.conf.d/cbdb.conf"  # as an earlier version let it be
    machine.write(place, str(machine.read(place)).replace('"boot_order"', '"depend": ["cbweb"], "boot_order"', 1))


def test_a_list_of_the_vendors_counts_and_is_not_written_in(machine: Machine, etc: Etc) -> None:
    etc.write("/etc/jail.conf", etc.other("old1") + etc.other("old2"))
    etc.write("/etc/defaults/vendor.conf", 'jail_list="old1"\n')
    machine.jails([machine.web(**QUIET)])
    assert boot(machine) == ["old1", "cbweb"]
    assert machine.read("/etc/defaults/vendor.conf") == 'jail_list="old1"\n'


@pytest.mark.parametrize("path", ["/etc/rc.conf.local", "/etc/rc.conf.d/jail"])
@pytest.mark.parametrize("style", ["jail_conf", "rc_conf"])
def test_the_list_is_kept_where_it_counts(machine: Machine, etc: Etc, path: str, style: str) -> None:
    etc.write("/etc/jail.conf", etc.other("old1"))
    etc.add('jail_list="nobody"\n')
    etc.write(path, '# theirs\njail_list="old1" # theirs\n')
    assert "obsolete" not in str(machine.jails([machine.web(boot_style=style, **QUIET)]).get("warnings"))
    assert machine.read(path) == '# theirs\njail_list="old1 cbweb" # theirs\n'
    assert boot(machine) == ["old1", "cbweb"]
    assert machine.jails([machine.web(boot_style=style, **QUIET)])["steps"] == []
    machine.jails([], prune=True)
    assert machine.read(path) == '# theirs\njail_list="old1" # theirs\n'


BUILT = {
    "by itself": 'jail_list="old1"\njail_list="${jail_list}"\n',
    "by a command": 'jail_list="`echo old1`"\n',
    "in a condition": 'if [ -e /etc/rc.conf ]; then\n\tjail_list="old1"\nfi\n',
    "in a loop": 'for one in old1; do jail_list="$one"; done\n',
    "elsewhere": ". /etc/rc.jails\n",
}


@pytest.mark.parametrize("how", BUILT)
def test_a_list_that_the_shell_builds_is_not_written_over(machine: Machine, etc: Etc, how: str) -> None:
    etc.write("/etc/jail.conf", etc.other("old1"))
    etc.write("/etc/rc.jails", 'jail_list="old1"\n')
    etc.add(BUILT[how])
    before = machine.read("/etc/rc.conf")
    with pytest.raises(Failed, match="built by the shell"):
        machine.jails([machine.web(**QUIET)])
    assert machine.read("/etc/rc.conf") == before and machine.running() == {}
    machine.jails([machine.web(boot=False, **QUIET)])
    assert machine.read("/etc/rc.conf") == before
    assert boot(machine) == ["old1"]
    etc.add("true\n", "/etc/rc.jails")
    etc.write("/etc/rc.conf", str(before).replace("old1", "old1 cbweb") if how != "elsewhere" else str(before))
    etc.write("/etc/rc.jails", 'jail_list="old1 cbweb"\n')
    if how != "in a loop":
        assert machine.jails([machine.web(**QUIET)]).get("warnings") is None
        assert boot(machine) == ["old1", "cbweb"]
    assert "take the name out" in str(machine.jails([], prune=True).get("warnings")) or how == "in a loop"


def test_an_exported_list_is_the_list(machine: Machine, etc: Etc) -> None:
    etc.write("/etc/jail.conf", etc.other("old1"))
    etc.add('export jail_list="old1"\n')
    machine.jails([machine.web(**QUIET)])
    assert 'export jail_list="old1 cbweb"\n' in str(machine.read("/etc/rc.conf"))
    assert boot(machine) == ["old1", "cbweb"]


def test_defaults_that_reach_our_jail_are_told(machine: Machine, etc: Etc) -> None:
    etc.write("/etc/jail.conf", 'allow.sysvipc = 1;\nexec.prestart += "/usr/bin/true";\n.include "/etc/jail.conf.d/*.conf";\n')
    told = str(machine.jails([machine.web(**QUIET)]).get("warnings"))
    assert "allow.sysvipc=true" in told and "exec.prestart=/usr/bin/true" in told and "/etc/jail.conf" in told
    info = next(one for one in machine.module("jail_info", **machine.storage)["jails"] if one["name"] == "cbweb")
    assert set(info["boot_differs"]) == {"allow.sysvipc", "exec.prestart"} and info["boot_file"] == "/etc/jail.conf"
    same = machine.web(**QUIET, params={"allow.sysvipc": True})
    same["exec"] = {**QUIET["exec"], "prestart": "/usr/bin/true"}
    assert machine.jails([same]).get("warnings") is None
    assert boot(machine) == ["cbweb"]
    assert machine.running()["cbweb"]["allow.sysvipc"] is True


def test_what_is_not_to_boot_does_not_where_all_would(machine: Machine, etc: Etc) -> None:
    etc.write("/etc/jail.conf", etc.other("old1") + '.include "/etc/jail.conf.d/*.conf";\n')
    machine.jails([machine.web(boot=False, **QUIET)])
    assert 'jail_list="old1"' in str(machine.read("/etc/rc.conf"))
    assert boot(machine) == ["old1"]


@pytest.mark.parametrize("how", ["by a relative name", "by a file in between"])
def test_what_is_not_to_boot_does_not_where_all_would_by_another_way(machine: Machine, etc: Etc, how: str) -> None:
    line = '.include "{}";\n'
    etc.write("/etc/theirs.conf", line.format("/etc/jail.conf.d/*.conf"))
    etc.write("/etc/jail.conf.d/old2.conf", etc.other("old2"))
    include = line.format("jail.conf.d/*.conf" if how == "by a relative name" else "/etc/theirs.conf")
    etc.write("/etc/jail.conf", etc.other("old1") + include)
    machine.jails([machine.web(boot=False, **QUIET)])
    assert boot(machine) == ["old1", "old2"]
    machine.jails([], prune=True)
    etc.write("/etc/rc.conf", str(machine.read("/etc/rc.conf")).replace('jail_list="old1 old2"\n', ""))
    etc.write("/etc/jail.conf", "allow.sysvipc;\n" + etc.other("old1") + include)
    with pytest.raises(Failed, match="and as something else"):
        machine.jails([machine.web(**QUIET)])


def test_another_program_than_jail_is_told(machine: Machine, etc: Etc) -> None:
    etc.add('jail_cbweb_program="/usr/local/sbin/wrapper"\n')
    assert "starts it by /usr/local/sbin/wrapper" in str(machine.jails([machine.web(**QUIET)], check=True).get("warnings"))


def test_a_nested_jail_of_somebodys_boots_in_its_parent_or_not_at_all(machine: Machine, etc: Etc) -> None:
    etc.write("/etc/jail.conf", etc.other('"orphan.kid"') + etc.other("old1", "children.max = 2;"))
    assert boot(machine) == ["old1"]
    machine.jails([machine.web(**QUIET)])
    assert boot(machine) == ["old1", "cbweb"]


def test_a_file_that_counts_before_ours_is_refused_or_told(machine: Machine, etc: Etc) -> None:
    etc.write("/etc/theirs.conf", etc.other("cbweb"))
    etc.add('jail_cbweb_conf="/etc/theirs.conf"\n')
    for adopt in (False, True):
        with pytest.raises(Failed, match="/etc/theirs.conf"):
            machine.jails([machine.web(adopt=adopt, **QUIET)])
    etc.write("/etc/rc.conf", str(machine.read("/etc/rc.conf")).replace('jail_cbweb_conf="/etc/theirs.conf"\n', ""))
    machine.jails([machine.web(**QUIET)])
    etc.add('jail_cbweb_conf="/etc/theirs.conf"\n')
    assert "Take jail_cbweb_conf out" in str(machine.jails([machine.web(**QUIET)]).get("warnings"))


def test_an_include_of_other_files_only_is_refused(machine: Machine, etc: Etc) -> None:
    etc.write("/etc/jail.conf.d/old1.conf", etc.other("old1"))
    etc.write("/etc/jail.conf", '.include "/etc/jail.conf.d/old1.conf";\n')
    with pytest.raises(Failed, match=r"include \"/etc/jail.conf.d/\*.conf\""):
        machine.jails([machine.web(**QUIET)])
    assert machine.running() == {}


def test_others_that_a_list_cannot_name_go_on_booting(machine: Machine, etc: Etc) -> None:
    etc.write("/etc/jail.conf", etc.other("old1", "children.max = 2;") + etc.other('"old1.kid"'))
    with pytest.raises(Failed, match="old1.kid would not boot any more"):
        machine.jails([machine.web(**QUIET)])
    machine.jails([machine.web(boot=False, **QUIET)])
    assert "jail_list=" not in str(machine.read("/etc/rc.conf"))


def test_a_jail_boots_after_somebodys_that_it_depends_on(machine: Machine, etc: Etc) -> None:
    etc.write("/etc/jail.conf", etc.other("old1"))
    machine.run("jail", "-c", "old1")
    web = machine.web(depend=["old1"], **QUIET)
    etc.add('jail_list="cbweb old1"\n')
    machine.jails([web])
    assert boot(machine) == ["old1", "cbweb"]
    etc.write("/etc/rc.conf", str(machine.read("/etc/rc.conf")).replace('"old1 cbweb"', '"cbweb"'))
    machine.run("jail", "-c", "old1") if "old1" not in machine.running() else None
    assert "old1, which does not boot" in str(machine.jails([web]).get("warnings"))


def test_variables_for_all_jails_that_reach_ours_are_told(machine: Machine, etc: Etc) -> None:
    etc.add('jail_mount_enable="YES"\njail_sysvipc_allow="YES"\njail_parameters="allow.chflags"\njail_exec_poststart0="/usr/bin/true"\n')
    told = str(machine.jails([machine.web(boot_style="rc_conf", **QUIET)]).get("warnings"))
    assert "allow.mount=true" in told and "exec.poststart=/usr/bin/true" in told
    assert "sysvipc" not in told and "chflags" not in told


def test_without_jail_enable_nothing_boots_and_that_is_told(machine: Machine, etc: Etc) -> None:
    etc.write("/etc/rc.conf", str(machine.read("/etc/rc.conf")).replace('jail_enable="YES"\n', ""))
    assert "jail_enable" in str(machine.jails([machine.web(**QUIET)]).get("warnings"))
    assert machine.module("jail_info", **machine.storage)["host"]["boot_order"] == []
    assert machine.jails([machine.web(boot=False, **QUIET)]).get("warnings") is None


def test_a_variable_of_the_jails_own_that_is_a_strangers_is_told(machine: Machine, etc: Etc) -> None:
    etc.add('jail_cbweb_exec_poststart0="/usr/bin/true left"\njail_cbweb_ip_multi0="10.99.0.88"\n')
    told = str(machine.jails([machine.web(boot_style="rc_conf", **QUIET)], check=True)["warnings"])
    assert "jail_cbweb_exec_poststart0, jail_cbweb_ip_multi0 in /etc/rc.conf makes it exec.poststart=/usr/bin/true left" in told


def test_no_variable_takes_an_address_of_the_hosts_own_along(machine: Machine, etc: Etc) -> None:
    machine.run("ifconfig", machine.interface, "inet", "10.99.0.77/24", "alias")
    jail = machine.web(boot_style="rc_conf", ip4=["10.99.0.77"], **QUIET)
    etc.add(f'jail_interface="{machine.interface}"\n')
    with pytest.raises(Failed, match="10.99.0.77, which is the host's own"):
        machine.jails([jail])
    assert "10.99.0.77/24" in machine.addresses()
    machine.run("ifconfig", machine.interface, "inet", "10.99.0.77", "-alias")
