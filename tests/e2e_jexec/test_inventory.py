# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The inventory finds the jails, and a playbook works in them with what it says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import yaml

from .conftest import HERE, JAILS, JailHost


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
