# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A file that somebody spoilt is read, or told with one of our errors; what we edit in it leaves all other bytes."""

from __future__ import annotations

from typing import Callable, Dict, List, Tuple

import pytest

from ansible_collections.cellblock.jails.plugins.module_utils.bases import sets
from ansible_collections.cellblock.jails.plugins.module_utils.errors import CellblockError
from ansible_collections.cellblock.jails.plugins.module_utils.formats import (
    devfs_rules,
    jail_conf,
    loader_conf,
    outputs,
    rc_conf,
    sshd_config,
)
from ansible_collections.cellblock.jails.plugins.module_utils.jails import definition, inside
from ansible_collections.cellblock.jails.plugins.module_utils.networks import dummynet, links

from .spoiled import spoiled

READERS: Dict[str, Tuple[Callable[[str], object], str]] = {
    "jail.conf": (
        jail_conf.parse,
        '$ip = "10.0.0.1"; /* all */\nexec.start += "/bin/sh /etc/rc";\nwww { path = "/jails/$name"; ip4.addr = "em0|$ip/24", 10.0.0.2; persist; }\n',
    ),
    "rc.conf": (rc_conf.values, 'hostname="h"  # the host\njail_list="a b"\nx=${y:-z}\nif [ -e /x ]; then a=$(echo b); fi\n'),
    "devfs.rules": (devfs_rules.rulesets, "[jail=10]\nadd include $devfsrules_hide_all\nadd path 'bpf*' unhide\n[other=11]\n# no\n"),
    "loader.conf": (loader_conf.values, 'zfs_load="YES"\nkern.racct.enable=1 # limits\n'),
    "sshd_config": (sshd_config.values, "Port 22\nListenAddress 10.0.0.1\nMatch user x\n  PermitRootLogin no\n"),
    "MANIFEST": (sets.manifest, f"base.txz\t{'a' * 64}\t10\tbase\t\"Base\"\ton\n"),
    "mark": (definition.read_mark, '# cellblock.jails {"name": "www", "boot": true, "depend": ["db"]}'),
    "zfs list": (lambda text: outputs.datasets(text, ["name", "mountpoint", "used"]), "zroot\t/zroot\t10\nzroot/a\t/zroot/a\t-\n"),
    "ifconfig": (links.links, "em0: flags=8863<UP> metric 0 mtu 1500\n\tether 58:9c:fc:00:00:01\n\tinet 192.0.2.1/24\n\tgroups: egress\n"),
    "dnctl": (dummynet.listed, "00001: 50.000 Mbit/s 0 ms burst 0\nq131073 50 sl. 0 flows (1 buckets) sched 65537\n"),
}


@pytest.mark.parametrize("name", READERS)
def test_a_spoilt_text_is_read_or_told(name: str) -> None:
    """Nothing but our own errors comes out."""
    read, text = READERS[name]
    read(text)
    for spoilt in spoiled(name, text):
        try:
            read(spoilt)
        except CellblockError:
            pass


EDITORS: Dict[str, Tuple[Callable[[str], str], Callable[[str], bool]]] = {
    "rc.conf": (lambda text: rc_conf.edit(text, {"zz": "1"}), lambda text: rc_conf.values(text).get("zz") == "1"),
    "loader.conf": (lambda text: loader_conf.edit(text, {"zz": "1"}), lambda text: loader_conf.values(text).get("zz") == "1"),
    "sshd_config": (
        lambda text: sshd_config.edit(text, {"UseDNS": ["no"]}), lambda text: sshd_config.values(text).get("usedns") == ["no"],
    ),
    "aliases": (lambda text: inside.set_aliases(text, {"zz": "you"}), lambda text: "zz: you" in text.split("\n")),
}


@pytest.mark.parametrize("name", EDITORS)
def test_an_edit_of_a_spoilt_file_adds_its_line_and_keeps_the_rest(name: str) -> None:
    """The line is there and read, or the edit is refused; no byte of the others changes."""
    edit, there = EDITORS[name]
    text = READERS[name][1] if name in READERS else "root: me\r\nnews: |\"/bin/x\"\n # odd\x85 end"
    for spoilt in spoiled(name, text):
        try:
            after = edit(spoilt)
        except CellblockError:
            continue
        assert there(after), spoilt
        assert _is_in(spoilt.split("\n"), after.split("\n")), (spoilt, after)
        assert edit(after) == after


def _is_in(before: List[str], after: List[str]) -> bool:
    """Whether all lines are there in their order."""
    rest = iter(after)
    return all(line in rest for line in before if line)
