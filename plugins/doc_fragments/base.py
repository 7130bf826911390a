# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of a base, documented once: at the top of C(basejail), in the list of C(basejails)."""

from __future__ import annotations

import re
import textwrap

_BASE = r"""
name:
  description:
    - The base's name, as the O(cellblock.jails.jails#module:jails[].base) of jails names it. A release's name is a
      good one.
  type: str
  required: true
state:
  description:
    - V(present) makes the base when it is not there.
    - V(latest) also brings it to its newest patch level - what was made of sets, or is of unknown origin, by
      freebsd-update(8), what was made of packages by pkg(8), what was made of source by installing again when
      the source is of another patch level. An update that fails or is killed is undone. The servers are asked in
      check mode too.
    - An updated dataset shows at once in running thin jails. On a plain directory they keep the tree that they were
      started with until they restart.
    - V(absent) removes the base. It refuses while thin or cloned jails stand on it, and names them. A base that was
      adopted stays, and is only forgotten.
  type: str
  choices: [present, latest, absent]
  default: present
path:
  description:
    - Where the base stands, when it is not C(STORAGE_PATH/basejails/NAME). Jails then name it by this path.
  type: path
source:
  description:
    - What a new base is made of. V(sets) by default.
    - V(sets) extracts the sets of a release, each checked against the release's C(MANIFEST).
    - V(src) installs from O(src_path) and its built objects, see build(7).
    - V(pkgbase) installs packages of the base system, FreeBSD 15.0 and later.
    - V(directory) copies O(directory); without it, it adopts what stands at O(path) as it is.
  type: str
  choices: [sets, src, pkgbase, directory]
release:
  description:
    - The release, such as V(15.1-RELEASE). The base's name when that is one, else the host's release.
  type: str
arch:
  description:
    - The architecture, such as V(amd64) or V(arm64/aarch64). The host's by default.
  type: str
url:
  description:
    - Where the sets and their C(MANIFEST) are, as a URL (C(https://), C(http://), C(ftp://), C(file://)) or a
      directory of the host. The release's directory at download.freebsd.org by default.
    - For O(source=pkgbase), the repository. The release's at pkg.FreeBSD.org by default.
    - Proxies and passwords are taken from the task's C(environment), see fetch(3).
  type: str
sets:
  description:
    - The sets that are extracted, in this order.
  type: list
  elements: str
  default: [base]
manifest_sha256:
  description:
    - The sha256 sum that C(MANIFEST) must have. FreeBSD does not sign it; its announcements hold the sum.
  type: str
retries:
  description:
    - How many times a failed download is tried again. It goes on where it ended.
  type: int
  default: 3
timeout:
  description:
    - How many seconds a download may stall.
  type: int
  default: 60
cache_path:
  description:
    - Where downloads are kept.
  type: path
  default: /var/cache/cellblock
src_path:
  description:
    - The source tree for O(source=src).
  type: path
  default: /usr/src
make_args:
  description:
    - Arguments for make(1), such as V(TARGET=arm64) or V(-j8).
  type: list
  elements: str
  default: []
make_world:
  description:
    - Builds the source too, by C(make world), which takes hours.
  type: bool
  default: false
packages:
  description:
    - The packages for O(source=pkgbase).
  type: list
  elements: str
  default: [FreeBSD-set-minimal-jail]
fingerprints:
  description:
    - The directory of the host with the keys of the package repository. C(/usr/share/keys/pkgbase-MAJOR) by default.
      Empty for a repository that is not signed.
  type: str
directory:
  description:
    - The root of a FreeBSD system on the host, which O(source=directory) copies.
  type: path
"""

_LIST = (
    "options:\n  basejails:\n    description:\n      - The bases.\n"
    "    type: list\n    elements: dict\n    default: []\n    suboptions:\n"
    + textwrap.indent(re.sub(r"O\((?!cellblock|storage_)(\w+)", r"O(basejails[].\1", _BASE), "      ")
)

# Not by a class statement: what is computed is no literal, which linters expect in one.
ModuleDocFragment = type(
    "ModuleDocFragment",
    (),
    {
        "DOCUMENTATION": "options:\n" + textwrap.indent(_BASE, "  "),
        "LIST": _LIST,
    },
)
