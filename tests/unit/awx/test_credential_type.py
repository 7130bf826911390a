# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""AWX takes the credential type: its rules for custom credential types, as AWX 24.6 has them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import jinja2
import jinja2.sandbox
import pytest
import yaml

TOP = Path(__file__).resolve().parents[3]
BLOCKED = {
    "PATH", "PYTHONPATH", "VIRTUAL_ENV", "JOB_ID", "INVENTORY_ID", "INVENTORY_SOURCE_ID", "INVENTORY_UPDATE_ID", "AD_HOC_COMMAND_ID",
    "PROJECT_UPDATE_ID", "REST_API_URL", "REST_API_TOKEN", "MAX_EVENT_RES", "CALLBACK_QUEUE", "CALLBACK_CONNECTION", "CACHE",
    "JOB_CALLBACK_DEBUG", "INVENTORY_HOSTVARS", "AWX_HOST", "PROJECT_REVISION", "SUPERVISOR_CONFIG_PATH",
}
STRING_ONLY = {"choices", "multiline", "format", "secret"}
KEYS = {"id", "label", "type", "help_text", "ask_at_runtime", "default", *STRING_ONLY}


def problems(inputs: Any, injectors: Any) -> list[str]:
    """What AWX would refuse."""
    return [*input_problems(inputs), *injector_problems(inputs, injectors)]


def input_problems(inputs: Any) -> list[str]:
    found = [f"no such key {key}" for key in set(inputs) - {"fields", "required"}]
    ids = [field.get("id") for field in inputs["fields"]]
    found += [] if len(set(ids)) == len(ids) else ["an id twice"]
    found += [f"{name} is required and none" for name in inputs.get("required", []) if name not in ids]
    for field in inputs["fields"]:
        kind, name = field.get("type", "string"), field.get("id")
        found += [f"{name}: no such key {key}" for key in set(field) - KEYS]
        found += [f"{name}: not an id"] if name == "tower" or not re.fullmatch(r"[a-zA-Z_]\w*", str(name)) else []
        found += [] if isinstance(field.get("label"), str) else [f"{name}: no label"]
        found += [f"{name}: no type {kind}"] if kind not in ("string", "boolean") else []
        found += [f"{name}: {key} wants a string" for key in STRING_ONLY & set(field) if kind != "string"]
        found += [f"{name}: format"] if field.get("format", "url") not in ("url", "ssh_private_key") else []
        choices = field.get("choices", ["x"])
        found += [f"{name}: choices"] if not choices or len(set(choices)) != len(choices) or not all(isinstance(one, str) for one in choices) else []
        given = field.get("default")
        found += [f"{name}: default"] if given is not None and not isinstance(given, bool if kind == "boolean" else str) else []
    return found


def injector_problems(inputs: Any, injectors: Any) -> list[str]:
    found = [f"no such injector {key}" for key in set(injectors) - {"file", "env", "extra_vars"}]
    files = injectors.get("file", {})
    shapes = [re.fullmatch(r"template(\.[a-zA-Z_]\w*)?", key) for key in files]
    found += ["file templates"] if not all(shapes) or ("template" in files and len(files) > 1) else []
    filename = {key.partition(".")[2]: "/path" for key in files if "." in key}
    sandbox = jinja2.sandbox.ImmutableSandboxedEnvironment(undefined=jinja2.StrictUndefined)
    valid = {field["id"]: "EXAMPLE" for field in inputs["fields"]}
    valid["tower"] = {"filename": filename or "/path"}
    for kind in ("file", "env", "extra_vars"):
        for name, template in injectors.get(kind, {}).items():
            if kind == "env" and (name.startswith("ANSIBLE_") or name in BLOCKED or not re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_]*", name)):
                found.append(f"{name} is not allowed in credentials")
            if kind == "extra_vars" and not re.fullmatch(r"[a-zA-Z_]\w*", name):
                found.append(f"{name} is no variable")
            if not isinstance(template, str) or not template.isascii():
                found.append(f"{name}: not a text in ASCII")
                continue
            try:
                sandbox.from_string(template).render(valid)
            except jinja2.TemplateError as error:
                found.append(f"{name}: {error}")
    return found


def load(name: str) -> Any:
    return yaml.safe_load((TOP / "awx" / f"credential_type_{name}.yml").read_text(encoding="utf-8"))


def test_awx_takes_it() -> None:
    assert problems(load("inputs"), load("injectors")) == []


@pytest.mark.parametrize(
    "change",
    [
        {"env": {"ANSIBLE_REMOTE_USER": "x"}}, {"env": {"PATH": "x"}}, {"env": {"X": "{{ nothing }}"}},
        {"env": {"X": "{{ tower.filename }}", "Y": "ü"}}, {"file": {"template": "x", "template.key": "y"}}, {"other": {}},
    ],
)
def test_the_rules_refuse_what_awx_refuses(change: dict[str, Any]) -> None:
    assert problems(load("inputs"), {**load("injectors"), **change})


def test_every_variable_of_ours_is_read_by_a_plugin() -> None:
    texts = "".join((TOP / "plugins" / path).read_text(encoding="utf-8") for path in ("connection/jexec.py", "inventory/jails.py"))
    connection = (TOP / "plugins/connection/jexec.py").read_text(encoding="utf-8")
    for name in load("injectors")["env"]:
        assert f"- name: {name}\n" in texts and f"- name: {name}\n" in connection
