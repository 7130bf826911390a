# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible in jails: the inventory finds them, the connection enters them. tests/e2e_jexec has more, without FreeBSD."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, List, Optional, cast

import pytest

from .machine import Machine, Remote

pytestmark = pytest.mark.freebsd
TREE = Path(__file__).resolve().parents[2]
JAIL = "cbweb.jailhost"


class Control:
    """A control node whose inventory is the host and its jails."""

    def __init__(self, machine: Machine, place: Path) -> None:
        self.place, remote = place, cast(Remote, machine)
        user, _at, address = remote.target.rpartition("@")
        host = {
            "ansible_host": address, "ansible_port": int(remote.port), "ansible_user": user or "root",
            "ansible_python_interpreter": remote.run("command", "-v", remote.python).strip(),
        }
        (place / "inventory").mkdir()
        (place / "inventory/hosts.json").write_text(json.dumps({"jail_hosts": {"hosts": {"jailhost": host}}}))
        (place / "inventory/jails.yml").write_text("plugin: cellblock.jails.jails\n")
        self.environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith("ANSIBLE_")},
            "ANSIBLE_HOME": str(place / "ansible"), "ANSIBLE_COLLECTIONS_PATH": str(TREE.parents[2]), "ANSIBLE_PIPELINING": "1",
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_INVENTORY_ENABLED": "cellblock.jails.jails,ansible.builtin.yaml,ansible.builtin.auto",
        }

    def ansible(self, module: str, arguments: str = "", *words: str, host: str = JAIL) -> subprocess.CompletedProcess[str]:
        """One task in a jail."""
        argv = [str(Path(sys.executable).with_name("ansible")), "-i", str(self.place / "inventory"), host, "-m", module, "-a", arguments, *words]
        return subprocess.run(argv, env=self.environment, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)

    def good(self, module: str, arguments: str = "", *words: str, host: str = JAIL) -> str:
        """One task that must succeed; what was printed."""
        done = self.ansible(module, arguments, *words, host=host)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def hosts(self) -> Dict[str, Any]:
        """The inventory."""
        argv = [str(Path(sys.executable).with_name("ansible-inventory")), "-i", str(self.place / "inventory"), "--list"]
        done = subprocess.run(argv, env=self.environment, capture_output=True, text=True, check=True)
        return dict(json.loads(done.stdout))


@pytest.fixture
def control(machine: Machine, tmp_path: Path) -> Control:
    """The control node."""
    return Control(machine, tmp_path)


def with_python(machine: Machine, **options: Any) -> Dict[str, Any]:
    """A jail that sees the host's Python."""
    return machine.web(mounts=[{"src": "/usr/local", "dest": "/usr/local", "opts": "ro"}], exec={"start": "", "stop": ""}, **options)


def test_what_ansible_does_works_in_a_jail(machine: Machine, control: Control, tmp_path: Path) -> None:
    machine.jails([with_python(machine, hostname="inside.example.org")])
    assert "inside.example.org" in control.good("ansible.builtin.raw", "hostname")
    assert "inside.example.org" in control.good("ansible.builtin.command", "hostname")
    facts = control.good("ansible.builtin.setup", "filter=ansible_distribution*,ansible_virtualization_type")
    assert "FreeBSD" in facts and "jail" in facts
    content = bytes(range(256)) * 40000
    (tmp_path / "given").write_bytes(content)
    odd = "/root/odd \\\"name' $x é"
    copied = control.good("ansible.builtin.copy", json.dumps({"src": f"{tmp_path}/given", "dest": odd, "mode": "0600"}))
    assert hashlib.sha1(content).hexdigest() in copied
    assert machine.run("sha256", "-q", machine.path(odd)).strip() == hashlib.sha256(content).hexdigest()
    control.good("ansible.builtin.fetch", json.dumps({"src": odd, "dest": f"{tmp_path}/back", "flat": True}))
    assert (tmp_path / "back").read_bytes() == content
    become = ("--become", "--become-method", "cellblock.jails.jexec", "--become-user", "nobody")
    assert "nobody" in control.good("ansible.builtin.command", "id -un", *become)
    assert "inside" in control.good("ansible.builtin.command", "hostname", "-B", "60", "-P", "1")
    assert not [name for name in machine.names("/tmp") if "ansible" in name]


def test_the_inventory_has_the_jails_of_the_host(machine: Machine, control: Control) -> None:
    if machine.osreldate < 1500000:
        pytest.skip("FreeBSD 15 brought meta")
    quiet: Dict[str, Any] = {"exec": {"start": "", "stop": ""}}
    machine.jails([machine.web(params={"meta": "tags=a,b\nowner=ops"}, **quiet), machine.db(state="stopped", **quiet)])
    found = control.hosts()
    variables = plain(found["_meta"]["hostvars"])
    jails = {name: found["cellblock_jail"] for name, found in variables.items() if "cellblock_jail" in found}
    assert {name: jail["state"] for name, jail in jails.items()} == {"cbweb.jailhost": "running", "cbdb.jailhost": "stopped"}
    assert jails["cbweb.jailhost"]["ip4"] == ["10.99.0.20"] and jails["cbweb.jailhost"]["managed"]
    for group in ("jail_state_running", "jail_host_jailhost", "jail_base_acceptance", "jail_tag_a", "jail_tag_b", "jail_meta_owner_ops"):
        assert "cbweb.jailhost" in found[group]["hosts"], group


def plain(value: Any) -> Any:
    """Without the marks of what came from a host."""
    if isinstance(value, dict):
        return plain(value["__ansible_unsafe"]) if "__ansible_unsafe" in value else {key: plain(one) for key, one in value.items()}
    return [plain(one) for one in value] if isinstance(value, list) else value


ERRORS: List[Any] = [
    ({"state": "stopped"}, None, "The jail cbweb on .* is stopped. Start it"),
    ({}, "ansible_jail_name=cbwebb", "There is no jail cbwebb.*cbweb"),
    ({}, "ansible_jail_user=nosuch", "there is no user nosuch in the jail"),
    ({}, "ansible_python_interpreter=/usr/local/bin/python3", "There is no such Python in the jail"),
]


@pytest.mark.parametrize("options, variable, message", ERRORS, ids=["stopped", "no jail", "no user", "no python"])
def test_errors_say_which_it_was(
    machine: Machine, control: Control, options: Dict[str, Any], variable: Optional[str], message: str
) -> None:
    machine.jails([machine.web(exec={"start": "", "stop": ""}, **options)])
    done = control.ansible("ansible.builtin.command", "id", *(["-e", variable] if variable else []))
    said = " ".join((done.stdout + done.stderr).split())
    assert done.returncode != 0 and re.search(message, said), said


def test_a_stopped_jail_is_entered_or_started_when_asked(machine: Machine, control: Control) -> None:
    machine.jails([machine.web(state="stopped", root="thick", exec={"start": "", "stop": ""})])
    assert "15." in control.good("ansible.builtin.raw", "freebsd-version", "-e", "ansible_jail_stopped=chroot")
    assert machine.running() == {}
    control.good("ansible.builtin.raw", "true", "-e", "ansible_jail_stopped=start")
    assert "cbweb" in machine.running()
