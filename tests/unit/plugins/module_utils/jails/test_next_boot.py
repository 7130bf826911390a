# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The next boot as it is predicted, against what a real host started for each configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict

import pytest

from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.jails import boot_files, drift, next_boot, params, rc_variables
from ansible_collections.cellblock.jails.tests.unit.captures import captures

CASES = {case["name"]: case for case in captures("boot-cases")}


def below_etc(root: Path, files: Dict[str, str]) -> Host:
    """A host that has these files in /etc."""
    for name, text in files.items():
        path = root / "etc" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return Host(root=str(root))


@pytest.mark.parametrize("name", CASES)
def test_a_prediction_is_what_a_real_host_did(tmp_path: Path, name: str) -> None:
    case = CASES[name]
    host = below_etc(tmp_path, case["files"])
    variables = rc_variables.load(host)
    confs = {f"/etc/jail.conf.d/{path.name}": path.read_text() for path in sorted(tmp_path.glob("etc/jail.conf.d/*.conf")) if path.is_file()}
    boot = next_boot.predict(variables.values, boot_files.look(host, variables, confs))
    started = [jail["name"] for jail in case["jails"]]
    if name != "enable-no":
        assert boot.order == started
    assert boot.enabled == (variables.values.get("jail_enable") == "YES")
    for jail in case["jails"]:
        found = boot.find(jail["name"])
        assert found is not None and found.params is not None
        known = {key: values for key, values in drift.plain(found.params).items() if key in jail and key not in ("ip4", "ip6")}
        assert {key: jail[key] for key, values in known.items() if not params.same(key, values, jail[key])} == {}
        assert ("vnet" in found.params) == (jail["ip4"] == "inherit")
        special = {key for key, value in jail.items() if key.startswith("allow.") and value != (key == "allow.set_hostname")}
        assert special <= set(known)
    stopped = next_boot.stopping(boot, variables.values, started)
    assert [one for one in started if one not in stopped] == case["left"]


OTHERS: Dict[str, Any] = {
    "a list that a command reads": ('jail_list="`cat {etc}/names`"\n', ["b", "a"]),
    "a list in a condition": ('if [ -r {etc}/names ]; then\njail_list="b"\nfi\n', ["b"]),
    "a list from a file of its own": ('. {etc}/names.sh\n', ["a"]),
    "an exported list": ('export jail_list="b"\n', ["b"]),
    "a default that is taken": ('jail_list="${{jail_list:-b}}"\n', ["b"]),
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_a_shell_builds_is_asked_of_the_shell(tmp_path: Path, name: str) -> None:
    text, wanted = OTHERS[name]
    etc = tmp_path / "etc"
    host = below_etc(tmp_path, {
        "rc.conf": text.format(etc=etc), "names": "b a\n", "names.sh": "jail_list=a\n",
        "jail.conf": 'a { path = "/"; persist; }\nb { path = "/"; persist; }\n',
        # As FreeBSD's, but for where the files are.
        "rc.subr": f'load_rc_config() {{ . {etc}/rc.conf; }}\n',
    })
    ask = rc_variables.ASK % "jail"
    asked = ask.replace(" /etc/", f" {etc}/")
    real = host._runner
    host._runner = lambda argv, stdin, env, timeout: real([asked if word == ask else word for word in argv], stdin, env, timeout)
    variables = rc_variables.load(host)
    assert next_boot.predict(variables.values, boot_files.look(host, variables, {})).order == wanted
    assert (variables.place("jail_list") is not None) == (name == "an exported list")
