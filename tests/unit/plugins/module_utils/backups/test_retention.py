# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which sets stay: whatever is asked for, the last one, what others build on, and what was promised."""

from __future__ import annotations

import datetime
from typing import Any, List

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.cellblock.jails.plugins.module_utils.backups.manifest import Manifest, Stream, stamp_of, time_of
from ansible_collections.cellblock.jails.plugins.module_utils.backups.retention import PERIODS, Keep, doomed, kept
from ansible_collections.cellblock.jails.plugins.module_utils.errors import InputError

ROOT = (Stream("root.zfs", "zfs", 10, "0" * 64, 20),)
DAY = 86400
NEW_YEAR = int(datetime.datetime(2027, 1, 1, 2, 30, tzinfo=datetime.timezone.utc).timestamp())
COUNTS = st.integers(0, 5)
KEEPS = st.builds(Keep, COUNTS, COUNTS, COUNTS, COUNTS, COUNTS, COUNTS, st.sampled_from(["", "5h", "3d", "2w", "1y"]))


@st.composite
def histories(draw: Any) -> List[Manifest]:
    times = sorted(draw(st.sets(st.integers(NEW_YEAR, NEW_YEAR + 400 * DAY), max_size=25)))
    sets: List[Manifest] = []
    for seconds in times:
        parent = draw(st.sampled_from(["", *(one.stamp for one in sets[-3:])]))
        sets.append(Manifest("web", stamp_of(seconds), ROOT, parent=parent))
    return sets


@given(histories(), KEEPS)
def test_the_last_one_and_what_others_build_on_always_stay(sets: List[Manifest], keep: Keep) -> None:
    stay = kept(sets, keep)
    assert set(stay) | {one.stamp for one in doomed(sets, keep)} == {one.stamp for one in sets}
    assert not sets or sets[-1].stamp in stay
    assert all(one.parent in stay for one in sets if one.stamp in stay and one.parent)
    gone = [one.stamp for one in doomed(sets, keep)]
    for one in sets:  # killed anywhere: no set that is there lacks its parent
        if one.stamp in gone and one.parent in gone:
            assert gone.index(one.stamp) < gone.index(one.parent)


@given(histories(), KEEPS)
def test_taking_them_away_settles_it(sets: List[Manifest], keep: Keep) -> None:
    gone = {one.stamp for one in doomed(sets, keep)}
    rest = [one for one in sets if one.stamp not in gone]
    assert doomed(rest, keep) == []


@given(histories(), KEEPS, KEEPS)
def test_who_asks_for_more_loses_nothing(sets: List[Manifest], one: Keep, two: Keep) -> None:
    counts = {name: max(getattr(one, name), getattr(two, name)) for name in (*PERIODS, "last")}
    more = Keep(**counts, within=one.within)
    assert set(kept(sets, one)) <= set(kept(sets, more))


@given(histories())
def test_nothing_goes_unasked(sets: List[Manifest]) -> None:
    assert doomed(sets, None) == [] and Keep.of(None) is None and Keep.of({"last": None}) is None


def test_a_year_of_nights_leaves_what_a_grandfather_scheme_promises() -> None:
    keep = Keep.of({"daily": 7, "weekly": 5, "monthly": 12})
    sets: List[Manifest] = []
    for night in range(365):
        sets.append(Manifest("web", stamp_of(NEW_YEAR + night * DAY), ROOT))
        gone = {one.stamp for one in doomed(sets, keep)}
        sets = [one for one in sets if one.stamp not in gone]
        assert len(sets) <= 7 + 5 + 12
    days = [time_of(one.stamp).date() for one in sets]
    last = datetime.date(2027, 12, 31)
    assert set(days) >= {last - datetime.timedelta(days=back) for back in range(7)}
    assert {(day.year, day.month) for day in days} == {(2027, month) for month in range(1, 13)}
    assert len({tuple(day.isocalendar())[:2] for day in days if last - day < datetime.timedelta(days=36)}) >= 5


def test_a_year_of_nights_with_a_full_set_each_week_keeps_whole_chains() -> None:
    keep = Keep.of({"daily": 7, "monthly": 3})
    sets: List[Manifest] = []
    for night in range(365):
        parent = "" if night % 7 == 0 else sets[-1].stamp
        sets.append(Manifest("web", stamp_of(NEW_YEAR + night * DAY), ROOT, parent=parent))
        gone = {one.stamp for one in doomed(sets, keep)}
        sets = [one for one in sets if one.stamp not in gone]
        there = {one.stamp for one in sets}
        assert all(not one.parent or one.parent in there for one in sets)
        assert len(sets) <= 7 + 6 + 3 * 7


def test_within_is_counted_from_the_last_one_so_that_a_pause_or_a_wrong_clock_loses_nothing() -> None:
    sets = [Manifest("web", stamp_of(NEW_YEAR + hour * 3600), ROOT) for hour in range(0, 100, 10)]
    assert len(kept(sets, Keep.of({"within": "30h"}))) == 4
    assert len(kept(sets[:5], Keep.of({"within": "1d"}))) == 3


@pytest.mark.parametrize("options", [{"last": -1}, {"within": "soon"}, {"within": "3"}, {"within": "3 months"}])
def test_what_is_no_number_or_span_is_refused(options: Any) -> None:
    with pytest.raises(InputError) as failure:
        Keep.of(options)
    assert failure.value.fix
