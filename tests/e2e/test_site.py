# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbooks from end to end, through Ansible's own ssh connection plugin, on simulated hosts."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, List, Sequence

import pytest

from ansible_collections.cellblock.jails.plugins.module_utils.bases import every
from ansible_collections.cellblock.jails.plugins.module_utils.bases.options import BASE
from ansible_collections.cellblock.jails.plugins.module_utils.engine.apply import take
from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.host import rulesets
from ansible_collections.cellblock.jails.tests.simulator import SimulatedHost

TREE = Path(__file__).resolve().parents[2]
SSH = TREE / "tests" / "simulator" / "bin" / "ssh"
PLAYBOOK = Path(sys.executable).with_name("ansible-playbook")


class Site:
    """A control node with simulated hosts, one by default, and the classic talk's variables."""

    def __init__(self, place: Path, style: str, pipelining: bool = True, names: Sequence[str] = ("talk",)) -> None:
        self.place = place
        ssh = place / "ssh"
        ssh.write_text(f'#!/bin/sh\necho call >> {place}/calls\nexec {SSH} "$@"\n')
        ssh.chmod(0o755)
        self.extra: List[str] = ["-e", f"@{TREE}/examples/talk/rc_conf.yml"] if style == "rc_conf" else []
        host = {
            "ansible_ssh_executable": str(ssh), "ansible_ssh_transfer_method": "piped",
            "ansible_python_interpreter": "/usr/local/bin/python3", "talk_release_url": "file:///var/dist",
        }
        (place / "inventory.json").write_text(json.dumps({"jail_hosts": {"hosts": {name: {"ansible_host": name, **host} for name in names}}}))
        self.environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith("ANSIBLE_")},
            "CELLBLOCK_SIMULATOR": str(place / "hosts"), "ANSIBLE_HOME": str(place / "ansible"),
            "ANSIBLE_COLLECTIONS_PATH": str(TREE.parents[2]), "ANSIBLE_PIPELINING": str(pipelining),
            "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.default", "ANSIBLE_NOCOLOR": "1",
        }

    def play(self, *words: str, book: str = "site", ok: bool = True) -> str:
        """Run a playbook of ours; returns what it printed."""
        return self.play_file(f"cellblock.jails.{book}", *words, ok=ok)

    def play_file(self, playbook: Any, *words: str, ok: bool = True) -> str:
        """Run any playbook."""
        argv = [
            str(PLAYBOOK), "-v", "-i", f"{TREE}/examples/talk/inventory.yml", "-i", str(self.place / "inventory.json"),
            *self.extra, str(playbook), *words,
        ]
        done = subprocess.run(argv, env=self.environment, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
        assert (done.returncode == 0) is ok, done.stdout[-3000:] + done.stderr[-2000:]
        return done.stdout

    def lay_out(self) -> None:
        """Have the first host as it comes."""
        subprocess.run([str(self.place / "ssh"), "talk", "true"], env=self.environment, check=True)

    def real(self, path: str, host: str = "talk") -> Path:
        return self.place / "hosts" / host / "root" / path

    def calls(self) -> int:
        """How often the host was called since this was asked last. With pipelining a module is one call."""
        noted = self.place / "calls"
        number = len(noted.read_text().splitlines()) if noted.exists() else 0
        noted.unlink(missing_ok=True)
        return number

    def read(self, path: str) -> str:
        return self.real(path).read_text()

    def state(self) -> Dict[str, Any]:
        return dict(json.loads(self.read(".simulator/state.json")))


def steps(output: str) -> List[str]:
    """All steps that were told, in order."""
    found: List[str] = []
    for told in re.findall(r'"steps": (\[.*?\])', output, re.DOTALL):
        found += json.loads(told)
    return found


def changed(output: str) -> int:
    found = re.search(r"changed=(\d+)", output)
    assert found
    return int(found.group(1))


@pytest.mark.parametrize("style", ["jail_conf", "rc_conf"])
def test_the_classic_talk(tmp_path: Path, style: str) -> None:
    site = Site(tmp_path, style)
    predicted = site.play("--check", "--diff")
    assert site.state()["jails"] == {} and not (tmp_path / "hosts/talk/root/usr/jails").exists()
    done = site.play("--diff")
    assert steps(predicted) == steps(done) and changed(predicted) == changed(done) > 0
    for told, title in ((predicted, "What would be done on 1 host:"), (done, "What was done on 1 host:")):
        assert title in told and "talk  webserver   made and started\n" in told and "talk  ldapserver  made and started\n" in told
    assert "$6$" not in re.sub(r"talk_root_password.*", "", predicted + done)
    again = site.play()
    assert changed(again) == 0 and "done on" not in again
    rc = site.read("etc/rc.conf")
    for line in (
        'sendmail_enable="NO"', 'inetd_flags="-wW -a 10.10.10.10"', 'rpcbind_enable="NO"',
        'syslogd_flags="-s -b 10.10.10.10"', 'jail_list="webserver ldapserver"', 'jail_enable="YES"',
    ):
        assert line in rc
    assert re.search(r"^ListenAddress 10\.10\.10\.10$", site.read("etc/ssh/sshd_config"), re.MULTILINE)
    assert ("jail_webserver_rootdir" in rc) == (style == "rc_conf")
    jails = list(site.state()["jails"].values())
    assert {jail["name"]: jail["ip4.addr"] for jail in jails} == {"webserver": ["10.0.0.20"], "ldapserver": ["10.0.0.30"]}
    assert all(jail["path"] == f"/usr/jails/{jail['name']}" and not jail["allow.set_hostname"] for jail in jails)
    assert all(jail["devfs_ruleset"] == "4" for jail in jails)
    inside = site.read("usr/jails/webserver/etc/rc.conf")
    assert 'rpcbind_enable="NO"' in inside and 'network_interfaces=""' in inside
    assert site.read("usr/jails/webserver/etc/fstab") == ""


def test_users_are_let_into_listed_jails_and_no_longer(tmp_path: Path) -> None:
    site = Site(tmp_path, "jail_conf")
    site.lay_out()
    top = tmp_path / "hosts/talk/root"
    doas = top / "usr/local/bin/doas"  # not of the base system: here it finds every file good
    doas.write_text("#!/bin/sh\n")
    doas.chmod(0o755)
    words = ["--tags", "host_prepare_jexec", "-e", '{"host_prepare_jexec": "doas", "host_prepare_jexec_users": {"deploy": ["web", "db"]}}']
    assert changed(site.play("--check", *words)) > 0 and not (top / "usr/local/etc/doas.conf").exists()
    site.play(*words)
    assert "permit nopass deploy as root cmd /usr/local/libexec/cellblock-jexec\n" in site.read("usr/local/etc/doas.conf")
    assert "deploy web db\n" in site.read("usr/local/etc/cellblock-jexec.conf")
    assert (top / "usr/local/libexec/cellblock-jexec").stat().st_mode & 0o777 == 0o755 and (top / "usr/local/libexec/cellblock-jexec.py").exists()
    assert changed(site.play(*words)) == 0
    site.play("--tags", "host_prepare_jexec", "-e", "host_prepare_jexec=absent")
    assert "deploy" not in site.read("usr/local/etc/doas.conf") and not list((top / "usr/local/libexec").glob("cellblock-jexec*"))


def test_a_fleet_is_upgraded_in_waves_and_stops_at_the_first_that_fails(tmp_path: Path) -> None:
    hosts = ("talk", "two")
    site = Site(tmp_path, "jail_conf", names=hosts)
    site.play()
    own = "usr/jails/webserver/etc/login.conf"
    base = {"name": "next", "source": "directory", "directory": "/usr/jails/basejails/15.1-RELEASE"}
    wish = ["-e", json.dumps({"jail_upgrade_to": "next", "jail_upgrade_gate": {"every": 0}, "jail_upgrade_bases": [base]})]
    site.play(*wish, "--tags", "bases", book="upgrade")
    for host in hosts:
        site.real("usr/jails/basejails/next/etc/login.conf", host).write_text("default:\\\n\t:path=/sbin /bin:\n")
    site.real(own).write_text("default:\\\n\t:path=/mine:\n")
    said = site.play(*wish, book="upgrade", ok=False)
    assert "/etc/login.conf" in said and "/bin" not in site.real(own, "two").read_text(), "the canary failed, the others were left alone"
    assert "/bin" in site.real("usr/jails/ldapserver/etc/login.conf").read_text()
    site.play(*wish, "-e", json.dumps({"jail_upgrade_merge": {"/etc/login.conf": "keep"}}), book="upgrade")
    assert site.real(own).read_text() == "default:\\\n\t:path=/mine:\n"
    assert "/bin" in site.real(own, "two").read_text()


def declared(number: int) -> Dict[str, Any]:
    """So many bases and rulesets, and a base that is no longer wanted."""
    rules = ["include $devfsrules_hide_all", "include $devfsrules_unhide_basic", "include $devfsrules_unhide_login"]
    return {
        "jail_basejails": [
            *({"name": "15.1-RELEASE" if place == 0 else f"b{place}", "url": "file:///var/dist"} for place in range(number)),
            {"name": "old", "state": "absent"},
        ],
        "host_prepare_devfs_rulesets": [{"name": f"devfsrules_{place}", "rules": rules} for place in range(number)],
    }


def bring(directory: Path, asked: Dict[str, Any]) -> None:
    """What the playbook would bring, without its many calls over ssh."""
    noted = directory / "root/.simulator/state.json"
    simulated = SimulatedHost(directory / "root", json.loads(noted.read_text()))
    host = Host(simulated.runner, str(simulated.root))
    bases = [{**{name: one.get("default") for name, one in BASE.items()}, **base} for base in asked["jail_basejails"]]
    options = {"basejails": bases, "storage_path": "/usr/jails", "storage_dataset": None}
    take(host, every.plan(host, every.bases_from(options), False))
    take(host, rulesets.plan_all(host, [{"state": "present", "load": True, "apply": False, **one} for one in asked["host_prepare_devfs_rulesets"]]))
    noted.write_text(json.dumps(simulated.state))


def test_a_run_that_changes_nothing_is_four_calls_however_much_is_declared(tmp_path: Path) -> None:
    site = Site(tmp_path, "jail_conf")
    site.play("-e", json.dumps(declared(1)))
    for number in (1, 30):
        bring(tmp_path / "hosts/talk", declared(number))
        site.calls()
        assert changed(site.play("-e", json.dumps(declared(number)))) == 0
        assert site.calls() == 4


def test_parts_by_their_tags(tmp_path: Path) -> None:
    """A tag does its part and no other, and so does leaving one out; all of it without pipelining."""
    site = Site(tmp_path, "jail_conf", pipelining=False)
    extra = ["-e", json.dumps({**declared(1), "host_prepare_listeners_allow": ["ntpd"]})]
    assert steps(site.play("--tags", "host_prepare_storage", *extra)) == ["storage: create /usr/jails", "storage: set mode of /usr/jails to 0700"]
    assert {step.split(":")[0] for step in steps(site.play("--tags", "host_prepare_devfs,host_prepare_settings", *extra))} == {"settings", "devfs_rulesets"}
    assert {step.split(":")[0] for step in steps(site.play("--skip-tags", "host_prepare_services,jail", *extra))} == set()
    assert {step.split(":")[0] for step in steps(site.play("--skip-tags", "jail", *extra))} == {"services"} and site.state()["jails"] == {}
    assert steps(site.play("--skip-tags", "host_prepare", "--tags", "all", *extra))[0].startswith("15.1-RELEASE: ")
    assert len(site.state()["jails"]) == 2
