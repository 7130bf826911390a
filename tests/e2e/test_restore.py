# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every night, and when a host is lost: its jails run on another, by the commands that docs/backup.md has, as they stand there."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Dict, List

from .test_site import TREE, Site, changed

DOCS = (TREE / "docs" / "backup.md").read_text()


def command(marked: str) -> List[str]:
    """The words of the command below a mark in the guide, less ansible-playbook and the inventory."""
    found = re.search(rf"(?ms)^<!-- {re.escape(marked)} -->\n```\n(.*?)^```$", DOCS)
    assert found, marked
    words = shlex.split(found.group(1))
    assert words[:3] == ["ansible-playbook", "-i", "inventory"] and words[3].startswith("cellblock.jails.")
    return words[3:]


def play(site: Site, marked: str, changes: Dict[str, str], *more: str) -> str:
    """Run it, with names of this case in place of the guide's."""
    book, *words = command(marked)
    for old, new in changes.items():
        words = [word.replace(old, new) for word in words]
    return site.play(*words, *more, "-e", json.dumps({"jail_restore_gate": {"every": 0}, "jail_verify_gate": {"every": 0}}), book=book.rpartition(".")[2])


def running(site: Site, host: str) -> List[str]:
    return sorted(jail["name"] for jail in json.loads(site.real(".simulator/state.json", host).read_text())["jails"].values())


def test_a_lost_host_comes_back_on_another_by_the_commands_of_the_guide(tmp_path: Path) -> None:
    site = Site(tmp_path, "jail_conf", names=("talk", "two"))
    site.play("--limit", "talk")
    site.real("usr/jails/webserver/etc/own.conf").write_text("mine\n")
    site.real("backup/talk").mkdir(parents=True)
    said = play(site, "backup", {"host1": "talk"}, "--check")
    assert "begin set" in said and not site.real("backup/talk/webserver").exists()
    play(site, "backup", {"host1": "talk"}, "-e", f"backup_controller={tmp_path}/backups")
    made, = (tmp_path / "backups" / "talk" / "webserver").iterdir()
    assert {path.name for path in made.iterdir()} == {"manifest.json", "root.tar.zst", "root.mtree.zst"}
    site.play("--limit", "two", "--tags", "host_prepare_settings,host_prepare_storage")
    brought = "/var/tmp/cellblock-restore"
    names = {"host2": "two", '"web", "db"': '"webserver", "ldapserver"', "backups/host1": str(tmp_path / "backups" / "talk"), "/backup/host1": brought}
    said = play(site, "restore: source on the controller", names)
    assert "make base 15.1-RELEASE of set" in said and running(site, "two") == ["ldapserver", "webserver"]
    assert site.real("usr/jails/webserver/etc/own.conf", "two").read_text() == "mine\n"
    assert changed(play(site, "restore: source on the host", names)) == 0
    said = play(site, "verify", names)
    assert "note in the manifest" in said and running(site, "two") == ["ldapserver", "webserver"]
