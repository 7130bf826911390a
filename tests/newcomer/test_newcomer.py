# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A newcomer's first hours, with each ansible-core: six kinds of jails, live changes, and what most do wrong."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any, Dict, List

import pytest
import yaml

from .conftest import Newcomer, plain

STORAGE = {"storage_path": "/usr/jails", "storage_dataset": "zroot/jails"}
HOST = {"ansible_host": "10.10.10.10", "ansible_user": "root", "ansible_python_interpreter": "/usr/local/bin/python3"}
KINDS: List[Dict[str, Any]] = [
    {"name": "thin", "base": "15.1-RELEASE", "ip4": ["em0|10.10.10.20"]},
    {"name": "clone", "root": "clone", "base": "15.1-RELEASE", "ip4": ["em0|10.10.10.21"], "quota": "1G"},
    {"name": "thick", "root": "thick", "base": "15.1-RELEASE", "ip4": ["em0|10.10.10.22"], "depend": ["thin"]},
    {"name": "empty", "root": "empty"},
    {"name": "there", "root": "existing", "path": "/srv/there"},
    {"name": "own", "base": "15.1-RELEASE", "networks": [{"name": "store", "ip4": "10.2.0.20"}]},
]
MISTAKES = yaml.safe_load((Path(__file__).parent / "mistakes.yml").read_text())


def variables(jails: List[Dict[str, Any]]) -> Dict[str, Any]:
    return {
        "jail_storage_path": STORAGE["storage_path"], "jail_storage_dataset": STORAGE["storage_dataset"],
        "host_prepare_kernel_modules": ["if_epair", "if_bridge"], "host_prepare_networks": [{"name": "store", "net4": "10.2.0.0/24"}],
        "jail_basejails": [{"name": "15.1-RELEASE", "url": "file:///var/dist"}], "jail_jails": jails,
    }


def declare(newcomer: Newcomer, jails: List[Dict[str, Any]]) -> None:
    newcomer.write("inventory/group_vars/jail_hosts.yml", yaml.safe_dump(variables(jails)))


@pytest.fixture(scope="module")
def ready(newcomer: Newcomer) -> Newcomer:
    """The collection installed, and six kinds of jails running."""
    newcomer.write("requirements.yml", "collections:\n  - name: cellblock.jails\n")
    newcomer.run("ansible-galaxy collection install -r requirements.yml -p collections --offline")
    newcomer.write("inventory/hosts.yml", yaml.safe_dump({"jail_hosts": {"hosts": {"jailhost1": HOST}}}))
    declare(newcomer, KINDS)
    newcomer.host("mkdir -p /srv/there && tar -xf /var/dist/base.txz -C /srv/there")
    said = newcomer.run("ansible-playbook -i inventory cellblock.jails.site")
    for kind in KINDS:
        assert f"jailhost1  {kind['name']:6}  made and started" in said, said[-3000:]
    return newcomer


def test_the_artifact_carries_what_a_collection_is_expected_to(artifact: Path) -> None:
    with tarfile.open(artifact) as archive:
        names = set(archive.getnames())
        changes = archive.extractfile("CHANGELOG.rst")
        assert changes is not None and b"v0.1.0" in changes.read()
        galaxy = json.loads(archive.extractfile("MANIFEST.json").read())  # type: ignore[union-attr]
    assert galaxy["collection_info"]["version"] == "0.1.0"
    for name in ("meta/execution-environment.yml", "meta/ee-requirements.txt", "meta/ee-bindep.txt", "meta/runtime.yml", "README.md", "docs/guides/awx.md"):
        assert name in names
    assert not [name for name in names if name.startswith(("build/", ".ci", ".github"))]


def test_jails_change_live_and_a_second_run_says_nothing(ready: Newcomer) -> None:
    changed = [{**kind, **({"limits": {"maxproc": 500}, "ip4": ["em0|10.10.10.20", "em0|10.10.10.30"]} if kind["name"] == "thin" else {})} for kind in KINDS]
    declare(ready, changed)
    assert "jailhost1  thin  changed: ip4.addr, set limits: maxproc:deny=500" in ready.run("ansible-playbook -i inventory cellblock.jails.jails")
    again = ready.run("ansible-playbook -i inventory cellblock.jails.site")
    assert "changed=0" in again and "done on" not in again and "WARNING" not in again


def test_what_goes_wrong_says_how_to_mend_it(ready: Newcomer) -> None:
    tasks = [
        {"name": mistake["title"], f"cellblock.jails.{mistake['module']}": mistake["args"], "register": f"mistake_{number}", "ignore_errors": True}
        for number, mistake in enumerate(MISTAKES)
    ]
    told = "{{ [" + ", ".join(f"mistake_{number}.msg | default('')" for number in range(len(MISTAKES))) + "] | to_json }}"
    # As the module is called here and not by its role, where jails are is said once for all.
    play: Dict[str, Any] = {"hosts": "jail_hosts", "gather_facts": False, "module_defaults": {"group/cellblock.jails.jails": STORAGE}, "tasks": [
        *tasks,
        {"name": "Keep what was said", "ansible.builtin.copy": {"content": told, "dest": str(ready.place / "said.json")}, "delegate_to": "localhost",
         "vars": {"ansible_connection": "local", "ansible_python_interpreter": "{{ ansible_playbook_python }}"}},
    ]}
    ready.write("mistakes.yml", yaml.safe_dump([play], sort_keys=False))
    output = ready.run("ansible-playbook -i inventory mistakes.yml")
    for mistake, message in zip(MISTAKES, json.loads((ready.place / "said.json").read_text())):
        for part in mistake["says"]:
            assert plain(part) in plain(message), f"{mistake['title']}: {message!r}"
            assert plain(part) in plain(output), f"{mistake['title']} is not shown"
        assert "Traceback" not in message
