# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A manifest is read as it was written, and what is none is refused with a reason."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.cellblock.jails.plugins.module_utils.backups import manifest as manifests
from ansible_collections.cellblock.jails.plugins.module_utils.backups.manifest import Manifest, Proof, Stream
from ansible_collections.cellblock.jails.plugins.module_utils.errors import FormatError

TEXT = st.text(max_size=30)
WORDS = st.lists(TEXT, max_size=3).map(tuple)
STAMPS = st.integers(10**9, 4 * 10**9).map(manifests.stamp_of)
PROOFS = st.lists(st.builds(Proof, STAMPS, st.booleans(), TEXT, TEXT), max_size=3).map(tuple)
ROOT = Stream("root.zfs.zst", "zfs", 10, "0" * 64, 20)


@st.composite
def streams(draw: Any) -> Any:
    names = draw(st.lists(st.from_regex(r"[a-z0-9][A-Za-z0-9._-]{0,9}", fullmatch=True), min_size=1, max_size=3, unique=True))
    return tuple(
        Stream(
            f"x{name}", draw(st.sampled_from(["zfs", "tar"])), draw(st.integers(0, 2**63)), "a" * 64, draw(st.integers(0, 2**63)),
            dataset=draw(TEXT), guid=draw(TEXT), since=draw(TEXT), raw=draw(st.booleans()), properties=draw(st.dictionaries(TEXT, TEXT, max_size=2)),
            filters=draw(st.lists(WORDS, max_size=2).map(tuple)), readers=draw(st.lists(WORDS, max_size=2).map(tuple)),
        ) for name in names
    )


@given(
    streams(), STAMPS, st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}", fullmatch=True), TEXT, TEXT, st.dictionaries(TEXT, TEXT, max_size=3),
    st.dictionaries(TEXT, st.lists(TEXT, max_size=3), max_size=3), WORDS, st.floats(0, 1e6), PROOFS,
)
def test_what_is_written_is_read(  # noqa: PLR0913
    parts: Any, stamp: str, jail: str, definition: str, fstab: str, mark: Any, parameters: Any, limits: Any, seconds: float, proofs: Any
) -> None:
    made = Manifest(
        jail, stamp, parts, definition=definition, fstab=fstab, mark=mark, parameters=parameters, limits=limits, seconds=seconds, proofs=proofs,
    )
    assert manifests.parse(manifests.render(made), "it") == made


WHOLE = json.loads(manifests.render(Manifest("web", "20261127T073217Z", (ROOT,))))


def without(key: str) -> Any:
    return {name: value for name, value in WHOLE.items() if name != key}


@pytest.mark.parametrize("text, told", [
    ("", "no JSON"), ("{", "no JSON"), ("[" * 100000, "no JSON"), ("[]", "no format"), ("{}", "no format"), (json.dumps({**WHOLE, "format": 2}), "format 2"),
    (json.dumps(without("jail")), "lacks what a set has: 'jail'"), (json.dumps({**WHOLE, "more": 1}), "does not know: more"),
    (json.dumps({**WHOLE, "jail": "../../etc"}), "called"), (json.dumps({**WHOLE, "stamp": "now"}), "no time"),
    (json.dumps({**WHOLE, "parent": ".."}), "no time"),
    (json.dumps({**WHOLE, "streams": []}), "no stream"), (json.dumps({**WHOLE, "streams": [{}]}), "lacks"), (json.dumps({**WHOLE, "streams": 3}), "no list"),
    (json.dumps({**WHOLE, "estimate": "many"}), "estimate"), (json.dumps({**WHOLE, "estimate": True}), "estimate"),
    *((json.dumps({**WHOLE, "streams": [{**WHOLE["streams"][0], **odd}]}), told) for odd, told in (
        ({"name": "../x"}, "names a stream"), ({"name": "/etc/passwd"}, "names a stream"), ({"name": "manifest.json"}, "names a stream"),
        ({"path": "../x"}, "leads out"), ({"path": "/etc"}, "leads out"), ({"sha256": "0"}, "cannot be"), ({"size": -1}, "cannot be"),
        ({"method": "rsync"}, "cannot be"), ({"gone": "none"}, "lacks the file"), ({"size": "1"}, "size"),
    )),
])
def test_odd_input_is_refused_with_a_reason(text: str, told: str) -> None:
    with pytest.raises(FormatError) as failure:
        manifests.parse(text, "/backups/web/1/manifest.json")
    assert told in str(failure.value) and "/backups/web/1/manifest.json" in str(failure.value) and failure.value.fix


@given(st.binary(max_size=300))
def test_any_bytes_are_a_manifest_or_a_format_error(data: bytes) -> None:
    with pytest.raises(FormatError):
        manifests.parse(data.decode("utf-8", "surrogateescape"), "it")


@given(st.integers(0, 4 * 10**9))
def test_a_stamp_is_a_time(seconds: int) -> None:
    stamp = manifests.stamp_of(seconds)
    assert manifests.STAMP.fullmatch(stamp) and manifests.time_of(stamp).timestamp() == seconds


def test_a_chain_is_whole_or_refused() -> None:
    full = Manifest("web", "20260101T000000Z", (ROOT,))
    one = replace(full, stamp="20260102T000000Z", parent=full.stamp)
    two = replace(full, stamp="20260103T000000Z", parent=one.stamp)
    assert manifests.chain([two, full, one], two) == [full, one, two]
    assert manifests.chain([two, full, one], full) == [full]
    with pytest.raises(FormatError, match="builds on set 20260102T000000Z"):
        manifests.chain([two, full], two)
    with pytest.raises(FormatError, match="builds on"):
        manifests.chain([replace(full, parent=full.stamp)], replace(full, parent=full.stamp))
