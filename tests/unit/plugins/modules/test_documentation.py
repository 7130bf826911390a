# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a module takes is what its documentation says, down to the options of options, and its examples are such."""

from __future__ import annotations

import importlib
import json
import re
from pathlib import Path
from typing import Any, Dict, Iterator, Mapping, Tuple

import pytest
import yaml
from ansible.module_utils.testing import patch_module_args
from ansible.plugins.loader import fragment_loader
from ansible.utils.plugin_docs import get_docstring

from ansible_collections.cellblock.jails.plugins.module_utils.engine.apply import take
from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.engine.spec import faults
from ansible_collections.cellblock.jails.plugins.module_utils.jails.info import gather
from ansible_collections.cellblock.jails.plugins.module_utils.jails.planning import plan
from ansible_collections.cellblock.jails.plugins.module_utils.jails.request import Request

PLUGINS = "ansible_collections.cellblock.jails.plugins."
PLACE = Path(__file__).resolve().parents[4] / "plugins" / "modules"
MODULES = sorted(path.stem for path in PLACE.glob("*.py") if "def main" in path.read_text())
ALL = sorted(path.stem for path in PLACE.glob("*.py"))
KEYS = {"type": "str", "default": None, "choices": None, "elements": None, "required": False}


def spec_of(name: str) -> Dict[str, Any]:
    """The argument spec that a module hands to Ansible."""
    module, spec = importlib.import_module(f"{PLUGINS}modules.{name}"), {}

    class Caught(Exception):
        pass

    def catch(argument_spec: Mapping[str, Any], **_more: Any) -> None:
        spec.update(argument_spec)
        raise Caught

    with pytest.MonkeyPatch.context() as patch:
        for place in (module, importlib.import_module(f"{PLUGINS}module_utils.engine.module")):  # some import it only when they need it
            patch.setattr(place, "Module", catch, raising=False)
        with pytest.raises(Caught):
            module.main()
    return spec


def documented(name: str) -> Dict[str, Any]:
    """The options of its documentation, with those of the fragments, as ansible-doc(1) finds them."""
    doc = get_docstring(str(PLACE / f"{name}.py"), fragment_loader)[0]
    return dict(doc["options"])


def hold(spec: Mapping[str, Any], told: Mapping[str, Any], where: str) -> None:
    assert set(spec) == set(told), where
    for name, option in spec.items():
        for key, missing in KEYS.items():
            assert option.get(key, missing) == told[name].get(key, missing), f"{where}.{name}, {key}"
        hold(option.get("options", {}), told[name].get("suboptions", {}), f"{where}.{name}")


@pytest.mark.parametrize("name", MODULES)
def test_the_documented_options_are_the_module_s(name: str) -> None:
    hold(spec_of(name), documented(name), name)


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_give_what_it_takes(name: str) -> None:
    text = importlib.import_module(f"{PLUGINS}modules.{name}").EXAMPLES
    given = [task[f"cellblock.jails.{name}"] for task in yaml.safe_load(text) if f"cellblock.jails.{name}" in task]
    assert given
    for options in given:
        assert not faults(spec_of(name), options or {})


def leaves(values: Mapping[str, Any], where: str) -> Iterator[Tuple[str, Mapping[str, Any]]]:
    for name, value in values.items():
        if "contains" in value:
            yield from leaves(value["contains"], f"{where}.{name}")
        else:
            yield f"{where}.{name}", value


@pytest.mark.parametrize("name", ALL)
def test_return_values_have_samples_down_to_the_leaves(name: str) -> None:
    told = yaml.safe_load(importlib.import_module(f"{PLUGINS}modules.{name}").RETURN)
    for where, value in leaves(told, name):
        assert "sample" in value, where
        assert value["type"] != "list" or "elements" in value, where


def test_what_jail_info_returns_is_what_it_documents(host: Host) -> None:
    told = yaml.safe_load(importlib.import_module(f"{PLUGINS}modules.jail_info").RETURN)
    request = Request.from_options({"jails": [{"name": "web", "root": "empty"}, {"name": "db", "root": "empty"}]}, check_mode=False)
    take(host, plan(host, request))
    found = gather(host, "/usr/jails", None, False)
    assert set(found) == set(told) and set(found["host"]) <= set(told["host"]["contains"])
    for one in found["jails"]:
        assert set(one) <= set(told["jails"]["contains"])
        for key in ("root", "base"):
            assert set(one[key]) == set(told["jails"]["contains"][key]["contains"])
    assert [one["name"] for one in gather(host, "/usr/jails", None, False, ["db", "nix"])["jails"]] == ["db"]


def test_ansible_doc_shows_no_stray_backslash() -> None:
    plugins = Path(__file__).resolve().parents[4] / "plugins"
    texts = {path: path.read_text() for path in plugins.glob("*/*.py") if path.parent.name not in ("plugin_utils", "filter", "action")}
    assert [str(path) for path, text in texts.items() if re.search(r"\b[CIB]\([^)]*\\\)", text)] == []


GROUP = yaml.safe_load((Path(__file__).resolve().parents[4] / "meta" / "runtime.yml").read_text())["action_groups"]["jails"]


def test_every_module_is_in_the_action_group() -> None:
    assert sorted(GROUP) == MODULES


@pytest.mark.parametrize("name", GROUP)
def test_what_module_defaults_say_for_the_group_is_taken_by_each(name: str, capsys: Any) -> None:
    shared = {"storage_path": "/jails", "storage_dataset": "zroot/jails", "lock_timeout": 5, "parallel": 2}
    with patch_module_args({**shared, "nosuch": 1}), pytest.raises(SystemExit):
        importlib.import_module(f"{PLUGINS}modules.{name}").main()
    told = json.loads(capsys.readouterr().out)["msg"]
    assert "nosuch is not an option" in told and not any(option in told for option in shared)
