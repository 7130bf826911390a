# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host's boot settings."""

from __future__ import annotations

import pytest

from ansible_collections.cellblock.jails.plugins.module_utils.engine.apply import take
from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.errors import InputError
from ansible_collections.cellblock.jails.plugins.module_utils.formats import loader_conf, rc_conf
from ansible_collections.cellblock.jails.plugins.module_utils.host import settings
from ansible_collections.cellblock.jails.plugins.module_utils.host.options import SETTINGS
from ansible_collections.cellblock.jails.tests.simulator import SimulatedHost


def run(host: Host, asked: settings.Wanted) -> list[str]:
    made = settings.plan(host, asked)
    take(host, made)
    return made.told()


def rc(host: Host) -> dict[str, str]:
    return rc_conf.values(host.read("/etc/rc.conf") or "")


def loader(host: Host) -> dict[str, str]:
    return loader_conf.values(host.read("/boot/loader.conf") or "")


EVERYTHING = settings.Wanted(
    {"jail_enable": "YES", "gone": None}, {"autoboot_delay": "3"}, ["if_bridge", "if_epair"], racct=True, fibs=4,
)


def test_everything_is_set_in_one_call_and_the_second_does_nothing(simulated: SimulatedHost, host: Host) -> None:
    host.write("/etc/rc.conf", 'gone="1"\nkld_list="pf"\n')
    told = settings.plan(host, EVERYTHING).told()
    assert run(host, EVERYTHING) == told
    assert rc(host) == {"jail_enable": "YES", "kld_list": "pf if_bridge if_epair", "rctl_enable": "YES"}
    assert loader(host) == {"autoboot_delay": "3", "kern.racct.enable": "1", "net.fibs": "4"}
    assert simulated.state["sysctl"]["net.fibs"] == "4"
    assert run(host, EVERYTHING) == []


def test_resource_limits_wait_for_a_reboot_and_say_so_until_it_has_been(simulated: SimulatedHost, host: Host) -> None:
    asked = settings.Wanted(racct=True)
    assert settings.plan(host, asked).facts["reboot"]
    run(host, asked)
    assert settings.plan(host, asked).facts["reboot"] and simulated.state["sysctl"]["kern.racct.enable"] == "0"
    simulated.state["sysctl"]["kern.racct.enable"] = "1"
    assert settings.plan(host, asked).facts["reboot"] == []


def test_routing_tables_grow_at_once_and_shrink_at_a_reboot(simulated: SimulatedHost, host: Host) -> None:
    simulated.state["sysctl"]["net.fibs"] = "8"
    made = settings.plan(host, settings.Wanted(fibs=2))
    take(host, made)
    assert made.facts["reboot"] and simulated.state["sysctl"]["net.fibs"] == "8" and loader(host)["net.fibs"] == "2"


def test_what_is_not_asked_for_stays(host: Host, simulated: SimulatedHost) -> None:
    before = simulated.picture()
    assert run(host, settings.Wanted()) == [] and simulated.picture() == before


def test_a_variable_that_another_file_overrides_is_a_warning(host: Host) -> None:
    host.write("/etc/rc.conf.local", 'jail_enable="NO"\n')
    assert any("rc.conf.local" in text for text in settings.plan(host, EVERYTHING).warnings)


def test_a_kernel_without_resource_limits_is_refused(simulated: SimulatedHost, host: Host) -> None:
    del simulated.state["sysctl"]["kern.racct.enable"]
    with pytest.raises(InputError, match="no RACCT"):
        settings.plan(host, settings.Wanted(racct=True))


@pytest.mark.parametrize("asked", [
    settings.Wanted({"not a name": "1"}), settings.Wanted({}, {"a": 'b"c'}), settings.Wanted(fibs=0),
    settings.Wanted(modules=["-v"]),
])
def test_what_cannot_be_is_refused_before_anything_is_touched(
    simulated: SimulatedHost, host: Host, asked: settings.Wanted
) -> None:
    before = simulated.picture()
    with pytest.raises(InputError):
        settings.plan(host, asked)
    assert simulated.picture() == before


def test_values_are_spelled_as_the_files_have_them(host: Host) -> None:
    host.write("/etc/rc.conf", 'c="old"\n')
    options = {name: spec.get("default") for name, spec in SETTINGS.items()}
    take(host, settings.plan_from(host, {**options, "rc_conf": {"a": True, "b": False, "c": None, "d": 3}}))
    assert host.read("/etc/rc.conf") == 'a="YES"\nb="NO"\nd="3"\n'


def test_an_interface_waits_for_the_boot_and_says_so_or_is_made_now(host: Host) -> None:
    asked = {"cloned_interfaces": "lo1 bridge0", "ifconfig_lo1": "inet 127.0.1.1/24", "syslogd_flags": "-ss"}
    waits = ["interface lo1 is made by the next boot, or by 'service netif start lo1'",
             "interface bridge0 is made by the next boot, or by 'service netif start bridge0'"]
    made = settings.plan(host, settings.Wanted(asked))
    assert made.facts["waits"] == [*waits, "syslogd_flags is read by the next boot, or by 'service syslogd restart'"]
    take(host, made)
    assert settings.plan(host, settings.Wanted(asked)).facts["waits"] == waits
    now = settings.Wanted(asked, interfaces_now=True)
    assert run(host, now) == ["make interface lo1 as rc.conf says", "make interface bridge0 as rc.conf says"]
    assert "127.0.1.1" in host.run(["ifconfig", "lo1"]).out and run(host, now) == []
    assert settings.plan(host, settings.Wanted(asked)).facts["waits"] == []
