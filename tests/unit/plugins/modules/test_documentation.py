# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a module takes is what its documentation says, down to the options of options, and its examples are such."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any, Dict, Mapping

import pytest
import yaml

from ansible_collections.cellblock.jails.plugins.module_utils.engine.spec import faults

PLUGINS = "ansible_collections.cellblock.jails.plugins."
MODULES = sorted(
    path.stem for path in (Path(__file__).resolve().parents[4] / "plugins" / "modules").glob("*.py")
    if "def main" in path.read_text()
)
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
        patch.setattr(module, "Module", catch)
        with pytest.raises(Caught):
            module.main()
    return spec


def documented(name: str) -> Dict[str, Any]:
    """The options of its documentation, with those of the fragments."""
    own = yaml.safe_load(importlib.import_module(f"{PLUGINS}modules.{name}").DOCUMENTATION)
    options = dict(own.get("options", {}))
    for fragment in own.get("extends_documentation_fragment", ()):
        _cellblock, _jails, file, *part = fragment.split(".")
        texts = importlib.import_module(f"{PLUGINS}doc_fragments.{file}").ModuleDocFragment
        options.update(yaml.safe_load(getattr(texts, part[0].upper() if part else "DOCUMENTATION")).get("options", {}))
    return options


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
