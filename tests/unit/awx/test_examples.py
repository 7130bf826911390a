# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The examples for AWX and for execution environments fit together, and AWX takes the survey."""

from __future__ import annotations

import json
from pathlib import Path

import yaml

from ansible_collections.cellblock.jails.plugins.module_utils.jails.options import JAIL

TOP = Path(__file__).resolve().parents[3]
EXAMPLES = TOP / "examples" / "awx"
# What AWX 24.6 checks of a question.
TYPES = {"text", "textarea", "password", "multiplechoice", "multiselect", "integer", "float"}


def test_the_survey_asks_for_what_the_playbook_takes() -> None:
    survey = json.loads((EXAMPLES / "survey.json").read_text())
    assert set(survey) == {"name", "description", "spec"}
    playbook = (EXAMPLES / "one.yml").read_text()
    for question in survey["spec"]:
        assert question["type"] in TYPES and question["question_name"] and isinstance(question["required"], bool)
        assert f"{{{{ {question['variable']} }}}}" in playbook
        if "choices" in question:
            assert question["default"] in question["choices"] and set(question["choices"]) <= set(JAIL["state"]["choices"])


def test_an_execution_environment_finds_what_it_is_told_of() -> None:
    told = yaml.safe_load((TOP / "meta" / "execution-environment.yml").read_text())
    assert told["version"] == 1
    for path in told["dependencies"].values():
        assert (TOP / path).is_file()
    sample = yaml.safe_load((EXAMPLES / "execution-environment.yml").read_text())
    assert sample["version"] == 3 and sample["dependencies"]["galaxy"]["collections"] == [{"name": "cellblock.jails"}]
