# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands of docs/backup.md for a lost host, as they stand there: every night, and when the host is gone."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import List

from .test_site import TREE, Site

DOCS = TREE / "docs" / "backup.md"


def command(mark: str) -> List[str]:
    """The words of the command after a mark in the document, less what the site says itself."""
    found = re.search(rf"<!-- {re.escape(mark)} -->\n```\n(.*?)\n```", DOCS.read_text(), re.DOTALL)
    assert found, mark
    words = shlex.split(found.group(1))
    assert words[:3] == ["ansible-playbook", "-i", "inventory"]
    return words[3:]


def play(site: Site, mark: str, *more: str) -> str:
    book, *words = command(mark)
    return site.play(*words, *more, book=book.rpartition(".")[2])


def test_a_lost_host_comes_back_from_the_controller_as_the_document_says(tmp_path: Path) -> None:
    site = Site(tmp_path, "jail_conf", names=("host1", "host2"))
    jails = json.dumps({"jail_jails": [{"name": name, "root": "empty", "ip4": f"rl0|10.0.0.{number}"} for number, name in enumerate(("web", "db"), 5)]})
    site.play("--limit", "host1", "-e", jails, book="jails")
    site.real("usr/jails/web/mine", "host1").write_text("mine\n")
    site.real("backup/host1", "host1").mkdir(parents=True)
    said = play(site, "backup", "--check")
    assert "begin set" in said and not site.real("backup/host1/web", "host1").exists()
    play(site, "backup", "-e", f"backup_controller={tmp_path}/backups")
    sets = sorted((tmp_path / "backups" / "host1" / "web").iterdir())
    assert len(sets) == 1 and {path.name for path in sets[0].iterdir()} == {"manifest.json", "root.tar.zst", "root.mtree.zst"}
    # The host is gone; what is left is what the controller has.
    quick = ["-e", json.dumps({"jail_restore_gate": {"every": 0}})]
    play(site, "restore: source on the controller", "-e", f"jail_restore_controller={tmp_path}/backups/host1", *quick)
    assert site.real("usr/jails/web/mine", "host2").read_text() == "mine\n"
    assert site.real("etc/jail.conf.d/db.conf", "host2").exists()
