# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bases of the system in /usr/src."""

from __future__ import annotations

import re
from typing import Optional

from ansible_collections.cellblock.jails.plugins.module_utils.bases.sources import Source
from ansible_collections.cellblock.jails.plugins.module_utils.engine import ask
from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.errors import HostError, InputError


class Src(Source):
    """The system in /usr/src, built before."""

    kind = "src"

    def words(self) -> str:
        """The source tree."""
        return f"source {self.base.src_path}"

    def check(self, host: Host) -> None:
        """The source tree must be there."""
        if not self.version(host):
            raise InputError(
                "is no FreeBSD source: sys/conf/newvers.sh is missing", self.base.src_path, "Check src_path",
            )

    def fill(self, host: Host, root: str) -> None:
        """Install the world and the files of /etc, see build(7)."""
        make = ["make", "-C", self.base.src_path, *self.base.make_args]
        fix = None if self.base.make_world else "Run 'make buildworld' there first, or set make_world: true"
        for target in ("world" if self.base.make_world else "installworld", "distribution"):
            result = host.ask([*make, target, f"DESTDIR={root}"])
            if result.rc != 0:
                words = " / ".join((result.out + result.err).splitlines()[-5:])
                raise HostError(f"'{' '.join(result.argv)}' failed: {words}", self.base.src_path, fix)

    def made_newest(self) -> bool:
        """It is what the source is."""
        return True

    def version(self, host: Host) -> str:
        """The patch level of the source."""
        text = host.read(f"{self.base.src_path}/sys/conf/newvers.sh") or ""
        found = dict(re.findall(r'^(REVISION|BRANCH)="([A-Za-z0-9._-]+)"', text, re.MULTILINE))
        return f"{found['REVISION']}-{found['BRANCH']}" if len(found) == 2 else ""

    def look(self, host: Host, root: str, check_mode: bool) -> Optional[str]:
        """The source's patch level, when it differs."""
        self.check(host)
        version = self.version(host)
        return version if version != ask.version(host, root) else None

    def update(self, host: Host, root: str) -> bool:
        """Install over."""
        self.fill(host, root)
        return True
