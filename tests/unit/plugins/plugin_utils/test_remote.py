# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A command line survives the shells on its way."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.cellblock.jails.plugins.module_utils.errors import InputError
from ansible_collections.cellblock.jails.plugins.plugin_utils import remote

SHELLS = [shell for shell in ("sh", "bash", "tcsh", "csh", "fish") if shutil.which(shell)]
TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=40)
NASTY = st.text(st.sampled_from("'\"$`\\!\n;&|<>(){}*?~# \tä%^-"), max_size=20)


def said_by(shell: str, line: str) -> str:
    """What a login shell makes of a command line, as sshd calls it."""
    done = subprocess.run(
        [shell, "-c", line], capture_output=True, check=True, env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"}
    )
    return done.stdout.decode()


@pytest.mark.parametrize("shell", SHELLS)
@settings(max_examples=60)
@given(word=TEXT | NASTY)
def test_a_value_passes_any_login_shell(shell: str, word: str) -> None:
    assert said_by(shell, remote.sh("printf %s " + remote.join([word]))) == word


@pytest.mark.parametrize("shell", SHELLS)
@settings(max_examples=30)
@given(word=NASTY)
def test_a_script_in_a_script_too(shell: str, word: str) -> None:
    inner = remote.join(["/bin/sh", "-c", "printf %s " + remote.join([word])])
    assert (
        said_by(shell, remote.sh(remote.escalate_if_needed("/usr/bin/env " + inner).replace('"$(id -u)" = 0', "1")))
        == word
    )


@settings(max_examples=25)
@given(
    content=st.binary(max_size=3000),
    name=st.text(st.characters(exclude_characters="\0/", exclude_categories=("Cs",)), min_size=1, max_size=30).filter(
        lambda text: text not in (".", "..")
    ),
)
def test_a_file_comes_back_as_it_went(tmp_path_factory: pytest.TempPathFactory, content: bytes, name: str) -> None:
    directory = tmp_path_factory.mktemp("jail")
    path = f"{directory}/{name}"
    script = remote.put(path, len(content), "token", False)
    subprocess.run(["/bin/sh", "-c", script], input=content, check=True)
    assert [entry.name for entry in directory.iterdir()] == [name]
    back = subprocess.run(["/bin/sh", "-c", remote.fetch(path)], capture_output=True, check=True)
    assert back.stdout == content


@pytest.mark.parametrize("sent", [0, 5, 11])
def test_a_file_of_another_length_is_refused(tmp_path: Path, sent: int) -> None:
    (tmp_path / "f").write_text("old")
    done = subprocess.run(
        ["/bin/sh", "-c", remote.put(f"{tmp_path}/f", 10, "t", False)],
        input=b"x" * sent,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 1
    assert f"only {sent} of 10 bytes" in done.stderr.decode()
    assert [(entry.name, entry.read_text()) for entry in tmp_path.iterdir()] == [("f", "old")]


def test_a_planted_temporary_file_is_not_written(tmp_path: Path) -> None:
    (tmp_path / ".cellblock-t").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere").write_text("mine")
    done = subprocess.run(["/bin/sh", "-c", remote.put(f"{tmp_path}/f", 1, "t", False)], input=b"x", check=False)
    assert done.returncode != 0
    assert (tmp_path / "elsewhere").read_text() == "mine"


@pytest.mark.parametrize("name", ["", "-l", "a b", "a;b", "a/b", "a\nb", "ü", "$x", "a'"])
def test_names_that_jexec_would_misread(name: str) -> None:
    with pytest.raises(InputError, match="jls"):
        remote.jexec(remote.JEXEC, name, None, "true")


@pytest.mark.parametrize("name", ["web", "parent.child", "17", "my-web_2"])
def test_names_that_it_takes(name: str) -> None:
    assert f" -l -U www {name} " in remote.jexec(remote.JEXEC, name, "www", "true")


@pytest.mark.parametrize("root", ["", "/", "//", "relative"])
def test_a_root_that_is_none(root: str) -> None:
    with pytest.raises(InputError, match="ansible_jail_root"):
        remote.chroot(root, None, "true")
