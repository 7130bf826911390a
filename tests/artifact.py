# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection as it is published: the tree, with the changelog of its version, in one archive; and its site of documentation."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from kit import BUILD, TOP, TREE, Counts, Kit, copied, make_venv, newest_python

SITE = BUILD / "docs"
SPHINX = """
extensions = ['sphinx_antsibull_ext', 'myst_parser']
intersphinx_mapping = {}
nitpicky = False
default_role = None
exclude_patterns = ['**/fidelity/*.md']
suppress_warnings = ['myst.xref_missing', 'myst.header', 'misc.highlighting_failure', 'ref.ref']  # to Ansible's own pages
"""
INDEX = """
.. toctree::
   :maxdepth: 1
   :caption: Guides:

   docs/guides/first-host
   docs/guides/change-and-restart
   docs/guides/networks
   docs/guides/adopt
   docs/guides/remove-and-prune
   docs/guides/bases
   docs/guides/roles-inside
   docs/guides/logs
   docs/guides/existing-repo
   docs/guides/awx

.. toctree::
   :maxdepth: 1
   :caption: In depth:
   :glob:

   docs/*
"""


def release(kit: Kit, tree: Path) -> str:
    """Write a tree's CHANGELOG.rst from its fragments, unless its version was released; the version."""
    found = re.search(r"(?m)^version: (\S+)", (tree / "galaxy.yml").read_text())
    assert found is not None
    version = found.group(1)
    if f"  {version}:\n" not in (tree / "changelogs" / "changelog.yaml").read_text():
        words = ["antsibull-changelog", "release", "--version", version, "--date", "2026-11-27"]
        assert kit.call(*words, where=tree, quiet=True) == 0
    return version


def write_changelog(kit: Kit) -> Counts:
    """Bring CHANGELOG.rst of the checkout to what its fragments say."""
    with copied() as tree:
        release(kit, tree)
        shutil.copy2(tree / "CHANGELOG.rst", TOP)
    return 1, 0, 0


def build(kit: Kit) -> Path:
    """The archive, in build/dist, with the changelog of its version."""
    place = BUILD / "dist"
    shutil.rmtree(place, ignore_errors=True)
    with copied() as tree:
        release(kit, tree)
        assert kit.call("ansible-galaxy", "collection", "build", "--output-path", str(place), where=tree, quiet=True) == 0
    return next(place.glob("*.tar.gz"))


def site() -> Counts:
    """Render the documentation of plugins and roles, and the guides, into build/docs."""
    kit = Kit(make_venv("venv-docs", newest_python(), "-r", str(TOP / "tests" / "requirements" / "docs.txt")))
    shutil.rmtree(SITE, ignore_errors=True)
    SITE.mkdir(parents=True, mode=0o755)
    words = ["antsibull-docs", "sphinx-init", "--use-current", "--dest-dir", str(SITE), "--sphinx-theme", "alabaster", "--title", "cellblock.jails"]
    if kit.call(*words, "--project", "cellblock.jails", "--copyright", "cellblock.jails contributors", "cellblock.jails", quiet=True):
        return 0, 1, 0
    shutil.copytree(TREE / "docs", SITE / "rst" / "docs")
    conf, index = SITE / "conf.py", SITE / "rst" / "index.rst"
    conf.write_text(conf.read_text() + SPHINX)
    index.write_text(index.read_text() + INDEX)
    collect = ["antsibull-docs", "--config-file", "antsibull-docs.cfg", "collection", "--cleanup", "similar-files", "--use-current", "--dest-dir", "rst"]
    render = ["sphinx-build", "-q", "-b", "html", "-j", "2", "-c", ".", "rst", "html"]
    for command in ([*collect, "cellblock.jails"], render):
        if kit.call(*command, where=SITE):
            return 0, 1, 0
    print(f"{SITE}/html/index.html")
    return 1, 0, 0
