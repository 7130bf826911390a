# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host's daemons, bound to the host's addresses."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.cellblock.jails.plugins.module_utils.engine.apply import StepFailed, take
from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.errors import HostError, InputError, Refused
from ansible_collections.cellblock.jails.plugins.module_utils.formats import rc_conf
from ansible_collections.cellblock.jails.plugins.module_utils.host import listeners, services
from ansible_collections.cellblock.jails.plugins.module_utils.host.options import POLICIES, SERVICES
from ansible_collections.cellblock.jails.tests.simulator import SimulatedHost

TALK = "10.10.10.10"


def wanted(*addresses: str, connection: str = "", max_sessions: int | None = None, **policies: str) -> services.Wanted:
    """The module's defaults, with what is given here instead."""
    return services.Wanted(
        addresses, {**{name: spec["default"] for name, spec in POLICIES.items()}, **policies},
        {daemon.name: SERVICES[daemon.flags]["default"] for daemon in services.DAEMONS if daemon.flags},
        max_sessions, connection,
    )


def run(host: Host, asked: services.Wanted) -> list[str]:
    """Take the plan; what was done."""
    made = services.plan(host, asked)
    take(host, made)
    return made.told()


def rc(host: Host) -> dict[str, str]:
    return rc_conf.values(host.read("/etc/rc.conf") or "")


def open_programs(host: Host) -> set[str]:
    return {socket.program for socket in listeners.observe(host).open()}


def test_the_talk_s_host_ends_as_the_talk_says(host: Host) -> None:
    assert open_programs(host) >= {"sshd", "syslogd"}
    run(host, wanted(TALK))
    values = rc(host)
    assert values["sendmail_enable"] == "NO"
    assert values["inetd_flags"] == "-wW -a 10.10.10.10"
    assert values["rpcbind_enable"] == "NO"
    assert values["syslogd_flags"] == "-s -b 10.10.10.10"
    assert "ListenAddress 10.10.10.10" in (host.read(services.SSHD_CONFIG) or "").splitlines()
    assert open_programs(host) == set()


def test_the_second_run_does_nothing(host: Host) -> None:
    assert run(host, wanted(TALK))
    assert run(host, wanted(TALK)) == []


def test_check_mode_tells_what_the_run_does_and_touches_nothing(simulated: SimulatedHost, host: Host) -> None:
    before = simulated.picture()
    told = services.plan(host, wanted(TALK)).told()
    assert simulated.picture() == before
    assert run(host, wanted(TALK)) == told


@pytest.mark.parametrize("policy, flags", [("bound", "-s -b 10.10.10.10 -b [2001:db8::10]"), ("closed", "-ss")])
def test_syslogd_takes_every_address_or_none(simulated: SimulatedHost, host: Host, policy: str, flags: str) -> None:
    simulated.state["interfaces"]["rl0"].append(["2001:db8::10", 64])
    run(host, wanted(TALK, "2001:db8::10", syslogd=policy))
    assert rc(host)["syslogd_flags"] == flags


def test_inetd_takes_one_address_and_the_operator_is_told(simulated: SimulatedHost, host: Host) -> None:
    simulated.state["interfaces"]["rl0"].append(["2001:db8::10", 64])
    made = services.plan(host, wanted(TALK, "2001:db8::10"))
    assert any("inetd(8) takes one address" in warning for warning in made.warnings)
    take(host, made)
    assert rc(host)["inetd_flags"] == "-wW -a 10.10.10.10"


def test_nfs_and_ntp_are_bound_where_they_are_in_use(host: Host) -> None:
    run(host, wanted(TALK))
    assert not {"mountd_flags", "nfs_server_flags"} & set(rc(host)) and host.read(services.NTP_CONF) is None
    host.write("/etc/rc.conf", 'nfs_server_enable="YES"\nmountd_enable="YES"\nntpd_enable="YES"\nrpcbind_enable="YES"\n')
    host.write(services.NTP_CONF, "pool 0.freebsd.pool.ntp.org iburst\n")
    run(host, wanted(TALK, rpcbind="bound"))
    values = rc(host)
    assert values["nfs_server_flags"] == "-u -t -h 10.10.10.10"
    assert values["mountd_flags"] == "-r -S -h 10.10.10.10"
    assert values["rpcbind_flags"] == "-h 10.10.10.10" and values["rpcbind_enable"] == "YES"
    lines = (host.read(services.NTP_CONF) or "").splitlines()
    assert lines[0].startswith("pool") and "interface ignore wildcard" in lines and "interface listen 10.10.10.10" in lines
    assert run(host, wanted(TALK, rpcbind="bound")) == []


def test_a_changed_address_replaces_the_old_one_everywhere(simulated: SimulatedHost, host: Host) -> None:
    host.write("/etc/rc.conf", 'ntpd_enable="YES"\n')
    run(host, wanted(TALK))
    simulated.state["interfaces"]["rl0"].append(["10.10.10.11", 24])
    run(host, wanted("10.10.10.11"))
    text = "".join(host.read(path) or "" for path in ("/etc/rc.conf", services.NTP_CONF, services.SSHD_CONFIG))
    assert "10.10.10.11" in text and "10.10.10.10" not in text


def test_a_run_that_died_before_the_restarts_is_finished_by_the_next(host: Host, simulated: SimulatedHost) -> None:
    made = services.plan(host, wanted(TALK))
    made.before[0].do(host)  # rc.conf is written, and then the run dies
    assert "syslogd" in open_programs(host)
    assert "restart syslogd" in run(host, wanted(TALK))
    assert open_programs(host) == set()


def test_a_daemon_that_does_not_come_back_is_an_error_and_the_old_flags_are_put_back(
    host: Host, simulated: SimulatedHost
) -> None:
    before = host.read("/etc/rc.conf")
    simulated.fail_once("service", "syslogd", "onerestart", says="syslogd: boom")
    with pytest.raises(StepFailed, match="restart syslogd.*boom"):
        run(host, wanted(TALK))
    assert host.read("/etc/rc.conf") == before


# -- the door that we came in by

def test_sshd_is_not_bound_to_an_address_that_the_host_does_not_have(simulated: SimulatedHost, host: Host) -> None:
    before = simulated.picture()
    with pytest.raises(InputError, match="10.10.10.99 is not an address of this host"):
        services.plan(host, wanted("10.10.10.99"))
    assert simulated.picture() == before


def test_the_address_of_the_current_connection_is_never_closed(simulated: SimulatedHost, host: Host) -> None:
    simulated.state["interfaces"]["rl0"].append(["192.0.2.7", 24])
    with pytest.raises(Refused, match="192.0.2.7"):
        services.plan(host, wanted(TALK, connection="192.0.2.7"))
    assert services.plan(host, wanted(TALK, "192.0.2.7", connection="192.0.2.7")).told()


def test_where_escalation_hid_the_connection_no_connection_s_address_is_closed(
    simulated: SimulatedHost, host: Host
) -> None:
    simulated.state["interfaces"]["rl0"].append(["192.0.2.7", 24])
    simulated.state["ssh"] = ["192.0.2.7"]
    with pytest.raises(Refused, match="192.0.2.7"):
        services.plan(host, wanted(TALK))


def test_without_addresses_it_is_the_one_that_ssh_came_in_on(host: Host) -> None:
    assert services.plan(host, wanted(connection=TALK)).facts["addresses"] == [TALK]


@pytest.mark.parametrize("asked", [wanted(), wanted(connection="127.0.0.1"), wanted("not an address"), wanted("0.0.0.0")])
def test_an_address_that_says_nothing_is_refused(host: Host, asked: services.Wanted) -> None:
    with pytest.raises(InputError):
        services.plan(host, asked)


def test_a_file_that_sshd_refuses_never_takes_the_old_one_s_place(simulated: SimulatedHost, host: Host) -> None:
    before = host.read(services.SSHD_CONFIG)
    simulated.fail_once("sshd", "-t", says="Bad configuration option: Foo")
    with pytest.raises(InputError, match="Bad configuration option: Foo"):
        services.plan(host, wanted(TALK))
    assert host.read(services.SSHD_CONFIG) == before


def test_sshd_s_old_file_comes_back_when_the_reload_fails(simulated: SimulatedHost, host: Host) -> None:
    before = host.read(services.SSHD_CONFIG)
    simulated.fail_once("service", "sshd", "onereload", says="sshd: no such process")
    with pytest.raises(StepFailed, match="no such process"):
        run(host, wanted(TALK))
    assert host.read(services.SSHD_CONFIG) == before
    assert listeners.observe(host).of({"sshd"})


def test_max_sessions_is_set_without_touching_the_addresses(host: Host) -> None:
    run(host, wanted(TALK, sshd="keep", max_sessions=100))
    text = host.read(services.SSHD_CONFIG) or ""
    assert "MaxSessions 100" in text.splitlines() and "ListenAddress 10" not in text


@pytest.mark.parametrize("environment, address", [
    ({}, ""), ({"SSH_CONNECTION": "10.0.0.1 50000 10.10.10.10 22"}, TALK),
    ({"SSH_CONNECTION": "fe80::1%em0 50000 fe80::2%em0 22"}, "fe80::2"), ({"SSH_CONNECTION": "odd"}, ""),
])
def test_the_connection_is_known_by_its_variable(environment: dict[str, str], address: str) -> None:
    assert services.connection(environment) == address


# -- the proof

def report(host: Host, **asked: Any) -> dict[str, Any]:
    return listeners.report(host, **{"allow": [], "planned": [], "fail": False, **asked}).facts


def test_what_listens_everywhere_is_named_by_program(host: Host) -> None:
    found = report(host)["open"]
    assert {(one["program"], one["proto"], one["port"]) for one in found} >= {("sshd", "tcp", 22), ("syslogd", "udp", 514)}
    assert {one["families"][0] for one in found if one["program"] == "sshd"} == {"ipv4", "ipv6"}


def test_what_listens_in_a_jail_is_not_the_host_s(simulated: SimulatedHost, host: Host) -> None:
    before = report(host)
    simulated.state["jails"]["7"] = {"jid": "7", "name": "web", "processes": ["/usr/sbin/syslogd -s"]}
    assert report(host) == before


def test_it_fails_if_asked_naming_them(host: Host) -> None:
    with pytest.raises(HostError, match="sshd .*port 22"):
        report(host, fail=True)
    assert report(host, fail=True, allow=["sshd", "syslogd:514"], planned=["inetd", "sendmail", "rpcbind"])["open"] == []


def test_the_plan_and_the_proof_agree(host: Host) -> None:
    made = services.plan(host, wanted(TALK))
    predicted = report(host, planned=made.facts["bound"])["open"]
    take(host, made)
    assert report(host)["open"] == predicted
