# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A hostile text in any option becomes exactly the declared value in every file, or is refused; never text of another meaning."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from typing import Any, Callable, Dict, Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.cellblock.jails.plugins.module_utils.errors import FormatError, InputError
from ansible_collections.cellblock.jails.plugins.module_utils.formats import fstab, jail_conf, rc_conf
from ansible_collections.cellblock.jails.plugins.module_utils.jails import definition as definitions
from ansible_collections.cellblock.jails.plugins.module_utils.jails import inside
from ansible_collections.cellblock.jails.plugins.module_utils.jails.declaring import jail_from
from ansible_collections.cellblock.jails.plugins.module_utils.jails.definition import Definition
from ansible_collections.cellblock.jails.plugins.module_utils.jails.model import Jail

# Pieces of what an attacker would write, and what a hurried user pastes.
PIECES = st.sampled_from([
    "\n", "\r", "\t", " ", "\"", "'", "`", "$(touch X)", "${HOME}", ";", "#", "\\", "}", "{", "=", ",", "|", "&", "a", "x9", "-", "/", ":", "\x1b[2J",
    "\x00", "\u2028", "\x85", "\udcff", "é", "*", "%", "~", "root:", "/mnt tmpfs rw 0 0", "jail_other_path=/", "exec.prestart=\"id\";",
])
HOSTILE = st.lists(PIECES, min_size=1, max_size=6).map("".join)

OPTIONS: Dict[str, Callable[[str], Mapping[str, Any]]] = {
    "name": lambda text: {"name": text},
    "hostname": lambda text: {"hostname": text},
    "path": lambda text: {"path": f"/jails/{text}"},
    "base": lambda text: {"base": text},
    "flavour": lambda text: {"flavour": text},
    "ip4": lambda text: {"ip4": [f"em0|10.0.0.2/24 {text}"]},
    "interface": lambda text: {"interface": text, "ip4": ["10.0.0.2"]},
    "vnet_interfaces": lambda text: {"vnet": True, "vnet_interfaces": [text], "ip4": None},
    "params": lambda text: {"params": {"host.domainname": text, "meta.key": text}},
    "meta": lambda text: {"params": {"meta": {"key": text}}},
    "exec": lambda text: {"exec": {"prestart": text, "consolelog": f"/var/log/{text}"}},
    "depend": lambda text: {"depend": [text]},
    "mount": lambda text: {"mounts": [{"src": f"/srv/{text}", "dest": f"/mnt/{text}"}]},
    "mount_words": lambda text: {"mounts": [{"src": "/srv", "dest": "/mnt", "type": text, "opts": text}]},
    "mount_line": lambda text: {"mounts": [f"/srv /jails/web/mnt nullfs {text} 0 0"]},
    "devfs_ruleset": lambda text: {"devfs_ruleset": text},
    "cpuset": lambda text: {"cpuset": text},
    "rc_conf": lambda text: {"rc_conf": {"sshd_flags": text}},
    "rc_conf_name": lambda text: {"rc_conf": {text: "YES"}},
    "resolv_conf": lambda text: {"resolv_conf": text},
    "timezone": lambda text: {"timezone": text},
    "root_password": lambda text: {"root_password": f"$6${text}"},
    "aliases": lambda text: {"aliases": {"root": text}},
    "aliases_name": lambda text: {"aliases": {text: "root"}},
    "authorized_keys": lambda text: {"authorized_keys": [f"ssh-ed25519 AAAA {text}"]},
    "packages": lambda text: {"packages": [text]},
    "limits": lambda text: {"limits": {"maxproc": text}},
    "limits_name": lambda text: {"limits": {text: 5}},
}


def by_sh(text: str, names: "list[str]") -> Dict[str, str]:
    """What a real sh reads from a file of variables; it may say and do nothing besides."""
    with tempfile.TemporaryDirectory() as place:
        (Path(place) / "rc.conf").write_bytes(text.encode("utf-8", "surrogateescape"))
        script = '. ./rc.conf; for name in "$@"; do eval "printf %s \\"\\${$name}\\""; printf "\\0"; done'
        done = subprocess.run(["/bin/sh", "-c", script, "sh", *names], cwd=place, capture_output=True, check=True, env={"HOME": "/home"})
        assert (done.stderr, sorted(path.name for path in Path(place).iterdir())) == (b"", ["rc.conf"])
        return dict(zip(names, done.stdout.decode("utf-8", "surrogateescape").split("\0")))


def declared(option: str, text: str, style: str) -> Jail:
    options = {"name": "web", "base": "15.1-RELEASE", "ip4": ["em0|10.0.0.2/24"], "boot_style": style, **OPTIONS[option](text)}
    return jail_from({key: value for key, value in options.items() if value is not None}, "/jails")


def definition_of(jail: Jail) -> Definition:
    """The definition as far as it follows from the options alone."""
    found = {param: list(values) for param, values in jail.params.items()}
    for address in jail.addresses:
        found.setdefault("ip4.addr", []).append(address.conf())
    if jail.mounts:
        found["mount"] = [fstab.render_line(entry) for entry in jail.mounts]
    return definitions.in_style(jail.name, jail.boot_style, {"path": jail.path, "base": jail.base}, found)


@pytest.mark.parametrize("style", ["jail_conf", "rc_conf"])
@pytest.mark.parametrize("option", OPTIONS)
@given(text=HOSTILE)
@settings(max_examples=40)
def test_a_hostile_text_stays_a_value(option: str, style: str, text: str) -> None:
    try:
        jail = declared(option, text, style)
        found = definition_of(jail)
        written = found.conf() if style == "jail_conf" else ""
        lines = definitions.rc_lines(found) if style == "rc_conf" else {}
    except (InputError, FormatError) as error:
        assert str(error)
        return
    if style == "jail_conf":
        assert [one["name"] for one in jail_conf.parse(written)] == [jail.name]
        assert definitions.read_conf(jail.name, written) == found
    else:
        group = rc_conf.put_group("", found.mark(), lines)
        assert by_sh(group, list(lines)) == lines
        assert set(rc_conf.values(group)) == set(lines)
    for entry, line in zip(jail.mounts, found.params.get("mount", [])):
        assert fstab.parse_line(line) == entry and len(f"{line}\n".splitlines()) == 1
    texts = {path: edit(None) for path, edit in inside.edits(jail.inside, "").items()}
    if jail.inside.rc_conf:
        assert by_sh(texts[inside.RC_CONF] or "", list(jail.inside.rc_conf)) == dict(jail.inside.rc_conf)
    for path, entries in ((inside.ALIASES, jail.inside.aliases), (inside.KEYS, jail.inside.authorized_keys or ())):
        assert len((texts.get(path) or "").split("\n")[:-1]) == len(entries)


def hooked(hook: str) -> Jail:
    return jail_from({"name": "web", "root": "empty", "exec": {"prestart": hook}}, "/jails")


@pytest.mark.parametrize("hook", ["FOO=bar /x", "cd /x", "exit 0", "if /x", "while /x", "source /x", "/x # note", "/x\n/y", "/x one\n/y two"])
def test_a_hook_that_only_a_shell_understands_is_refused(hook: str) -> None:
    with pytest.raises(InputError, match="jail\\(8\\) calls no shell"):
        hooked(hook)


@pytest.mark.parametrize("hook", ["FOO=bar /x;", "cd /x && /y", "/x\n/y;", "env A=b /x", "/x a=b", "/x -m 'a b'", "/x\n", "test -f /x"])
def test_other_hooks_are_taken_as_they_are(hook: str) -> None:
    assert hooked(hook).params["exec.prestart"] == [hook]


@pytest.mark.parametrize(("text", "said"), [("10.0.0.1/24 10.0.0.2", "several addresses"), ("dhcp", "networks"), ("em0|SLAAC", "networks")])
def test_what_is_no_address_leads_on(text: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        jail_from({"name": "web", "root": "empty", "ip4": [text]}, "/jails")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"mounts": [{"src": "/srv", "dest": "/mnt", "options": "ro"}]}, "options is none of src, dest, type, opts"),
        ({"mounts": [{"src": "/srv"}]}, "dest, the mount point, is missing"),
        ({"mounts": [{"src": "srv", "dest": "/mnt"}]}, "not an absolute path"),
        ({"mounts": [{"src": "/srv", "dest": "/mnt"}, {"src": "/srv", "dest": "/mnt/"}]}, "twice"),
        ({"limits": {"memoryuse": {"amount": "1g", "per": "process"}}}, "per is neither amount nor action"),
        ({"limits": {"memoryuse": {"deny": "1g"}}}, "deny is neither"),
    ],
)
def test_words_that_nobody_would_heed_are_refused(options: Dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        jail_from({"name": "web", "root": "empty", **options}, "/jails")
