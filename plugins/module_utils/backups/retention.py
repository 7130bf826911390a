# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which sets of a jail stay, and why. Pure: nothing but their stamps and what builds on what counts, no clock either."""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass, fields
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple

from ansible_collections.cellblock.jails.plugins.module_utils.backups.manifest import Manifest, time_of
from ansible_collections.cellblock.jails.plugins.module_utils.errors import InputError

SPAN = re.compile(r"(\d+)\s*([hdwy])")
HOURS = {"h": 1, "d": 24, "w": 24 * 7, "y": 24 * 365}


def _week(when: datetime.datetime) -> Tuple[int, ...]:
    return tuple(when.isocalendar())[:2]


# The last set of each period stays, for so many periods in which there is one.
PERIODS: Mapping[str, Callable[[datetime.datetime], object]] = {
    "hourly": lambda when: (when.date(), when.hour),
    "daily": lambda when: when.date(),
    "weekly": _week,
    "monthly": lambda when: (when.year, when.month),
    "yearly": lambda when: when.year,
}


@dataclass(frozen=True)
class Keep:
    """What stays.

    :param last: so many of the newest.
    :param within: those so long before the newest, such as ``30d``; h, d, w and y are known.
    """

    last: int = 0
    hourly: int = 0
    daily: int = 0
    weekly: int = 0
    monthly: int = 0
    yearly: int = 0
    within: str = ""

    @classmethod
    def of(cls, options: Optional[Mapping[str, Any]]) -> Optional[Keep]:
        """What is asked for; None when nothing is, then all stay.

        :raises InputError: for what is no number or span.
        """
        given = {key: value for key, value in (options or {}).items() if value is not None}
        if not given:
            return None
        for one in fields(cls):
            value = given.get(one.name)
            if isinstance(value, int) and value < 0:
                raise InputError(f"cannot keep {value} sets", f"keep.{one.name}", "Give 0 or more")
        if given.get("within") and not SPAN.fullmatch(str(given["within"])):
            raise InputError(f"'{given['within']}' is no span of time", "keep.within", "Give such as 36h, 30d, 8w or 1y")
        return cls(**given)


def kept(sets: Sequence[Manifest], keep: Optional[Keep]) -> Dict[str, List[str]]:
    """The stamps of the sets that stay, each with the reasons.

    :param sets: those of one jail in one destination.
    """
    newest = sorted(sets, key=lambda one: one.stamp, reverse=True)
    reasons: Dict[str, List[str]] = {}
    if keep is None:
        return {one.stamp: ["nothing says that sets go"] for one in newest}
    if newest:
        reasons[newest[0].stamp] = ["the last one"]
    for number, one in enumerate(newest[: keep.last], 1):
        reasons.setdefault(one.stamp, []).append(f"last {number} of {keep.last}")
    span = SPAN.fullmatch(keep.within)
    for one in newest if span else []:
        age = time_of(newest[0].stamp) - time_of(one.stamp)
        if span and age <= datetime.timedelta(hours=int(span.group(1)) * HOURS[span.group(2)]):
            reasons.setdefault(one.stamp, []).append(f"within {keep.within}")
    for name, period in PERIODS.items():
        for number, stamp in enumerate(_of_periods([one.stamp for one in newest], period, getattr(keep, name)), 1):
            reasons.setdefault(stamp, []).append(f"{name} {number} of {getattr(keep, name)}")
    return _with_parents(newest, reasons)


def _of_periods(stamps: Sequence[str], period: Callable[[datetime.datetime], object], count: int) -> List[str]:
    """The newest of each period, of the newest periods."""
    found: Dict[object, str] = {}
    for stamp in stamps:
        found.setdefault(period(time_of(stamp)), stamp)
    return list(found.values())[:count]


def _with_parents(newest: Sequence[Manifest], reasons: Dict[str, List[str]]) -> Dict[str, List[str]]:
    """Those too that others build on."""
    for one in newest:  # a parent is older than its child
        if one.stamp in reasons and one.parent:
            reasons.setdefault(one.parent, []).append(f"set {one.stamp} builds on it")
    return reasons


def doomed(sets: Sequence[Manifest], keep: Optional[Keep]) -> List[Manifest]:
    """The sets that go, in an order in which none ever lacks what it builds on."""
    stay = kept(sets, keep)
    return [one for one in sorted(sets, key=lambda one: one.stamp, reverse=True) if one.stamp not in stay]
