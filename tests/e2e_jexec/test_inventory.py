# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The inventory finds the jails, and a playbook works in them with what it says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from .conftest import COLLECTIONS, HERE, JAILS, JailHost

UNSHARE = subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode == 0


def test_from_the_host_to_the_jails(jailhost: JailHost, tmp_path: Path) -> None:
    host = jailhost.variables(ansible_connection=None, ansible_jail_host=None, inventory_hostname=None)
    (tmp_path / "hosts.yml").write_text(
        yaml.safe_dump({"jail_hosts": {"hosts": {"one": {**host, "ansible_host": "127.0.0.1"}}}})
    )
    (tmp_path / "jails.yml").write_text("plugin: cellblock.jails.jails\n")
    before = jailhost.connections()
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "ansible.cli.playbook",
            "-i",
            str(tmp_path),
            str(HERE.parents[1] / "playbooks/inside.yml"),
        ],
        env=jailhost.environment(),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for jail in JAILS:
        assert f"{jail} on one, running" in done.stdout
    assert "changed=0" in done.stdout
    assert jailhost.connections() - before <= 1


@pytest.mark.skipif(not UNSHARE, reason="mount namespaces are off")
def test_the_jails_of_the_simulated_host(tmp_path: Path) -> None:
    shim = HERE.parent / "simulator/bin/ssh"
    environment = {
        **os.environ,
        "CELLBLOCK_SIMULATOR": str(tmp_path / "hosts"),
        "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS),
    }
    make = (
        "mkdir -p /usr/jails/web /etc/jail.conf.d && jail -c name=web path=/usr/jails/web host.hostname=w persist && "
        "echo 'cold { path = \"/usr/jails/cold\"; }' > /etc/jail.conf.d/cold.conf"
    )
    subprocess.run([str(shim), "sim", make], env=environment, check=True)
    (tmp_path / "hosts.yml").write_text(
        yaml.safe_dump({"jail_hosts": {"hosts": {"sim": {"ansible_ssh_executable": str(shim)}}}})
    )
    (tmp_path / "jails.yml").write_text("plugin: cellblock.jails.jails\n")
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "ansible.cli.inventory",
            "-i",
            str(tmp_path / "hosts.yml"),
            "-i",
            str(tmp_path / "jails.yml"),
            "--list",
        ],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    found = json.loads(done.stdout)
    assert found["jail_state_running"]["hosts"] == ["web.sim"], done.stderr
    assert found["jail_state_stopped"]["hosts"] == ["cold.sim"]
