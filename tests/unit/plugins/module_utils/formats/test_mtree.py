# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""mtree(5) as FreeBSD 15.1 writes it is read, whatever names are called."""

from __future__ import annotations

import pytest

from ansible_collections.cellblock.jails.plugins.module_utils.errors import FormatError
from ansible_collections.cellblock.jails.plugins.module_utils.formats import mtree

# As mtree -c of 15.1 told a directory.
SEEN = r"""#	   user: root
#	machine: cell
#	   tree: /tmp/t
#	   date: Fri Nov 27 07:39:19 2026

# .
/set type=file uid=0 gid=0 mode=0644 nlink=1 flags=none
.               type=dir mode=0755 nlink=3 time=1795765159.917682000
    a\012b      size=0 time=1795765159.577034000 \
                sha256digest=e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
    f           mode=04755 nlink=2 size=4 time=1795765159.257094000 \
                sha256digest=2c8b08da5ce60398e1f19af0e5dccc744df274b826abe585eaba68c525434806 \
                flags=nodump
    l           type=link mode=0755 time=1795765159.365081000 link=f
    p           type=fifo time=1795765159.525830000

# ./d
d               type=dir mode=0755 nlink=2 time=1795765159.248571000
    x           size=7 time=1795765159.248571000
# ./d
..

    z           size=9
..
"""


def test_a_list_of_freebsd_is_read() -> None:
    found = dict(mtree.entries(SEEN.splitlines(keepends=True), "it"))
    assert list(found) == [".", "./a\nb", "./f", "./l", "./p", "./d", "./d/x", "./z"] or list(found) == [".", "a\nb", "f", "l", "p", "d", "d/x", "z"]
    assert found["f"]["flags"] == "nodump" and found["f"]["mode"] == "04755" and found["f"]["uid"] == "0"
    assert found["l"]["link"] == "f" and mtree.size(SEEN.splitlines(), "it") == 4 + 7 + 9


def test_differences_are_new_changed_and_gone() -> None:
    before = mtree.looks(SEEN.splitlines(), "it")
    text = SEEN.replace("size=9", "size=10").replace("    p           type=fifo", "    p           type=file").replace("    l ", "    new ")
    changed, gone = mtree.differences(before, mtree.looks(text.splitlines(), "it"))
    assert changed == ["new", "p", "z"] and gone == ["l", "p"]
    assert mtree.differences(before, before) == ([], [])
    deeper = mtree.looks([line for line in SEEN.splitlines() if not line.startswith("    x")], "it")
    assert mtree.differences(before, deeper) == ([], ["d/x"])
    sockets = {**before, "s": before["p"][:12] + b"socket"}
    assert mtree.differences(before, sockets) == ([], [])


@pytest.mark.parametrize("text", ["..\n..\n", ". type=dir\n..\n..\n", ". type=dir\n../x type=file\n", "x\n"])
def test_what_is_no_list_is_refused(text: str) -> None:
    with pytest.raises(FormatError):
        list(mtree.entries(text.splitlines(), "it"))
