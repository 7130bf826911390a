# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was read of a host: each question, and a digest of its answer, so that the same can be asked again."""

from __future__ import annotations

import functools
import hashlib
import json
import os
from typing import Any, Callable, Dict, List, Optional, Protocol, Sequence, Set, Tuple, TypeVar, cast

Method = TypeVar("Method", bound=Callable[..., Any])
QUESTIONS: Set[str] = set()  # the names of all methods that are questions
# All that a file or directory is, but for when it was last read.
STAT = ("st_mode", "st_ino", "st_dev", "st_nlink", "st_uid", "st_gid", "st_size", "st_mtime_ns", "st_ctime_ns", "st_flags")


class Asked(Protocol):
    """Who answers questions: the host, or a tree of it."""

    @property
    def subject(self) -> Tuple[str, ...]:
        """What the questions are about; nothing for the host itself."""


class Watch:
    """Notes questions and answers in their order.

    :ivar whole: whether this is all that was read; not so when something was read that cannot be asked again, or was answered in two ways.
    """

    def __init__(self) -> None:
        self._answers: Dict[str, str] = {}
        self.whole = True

    def questions(self) -> List[List[Any]]:
        """Each with its subject, its name, its arguments and the digest of its answer."""
        return [[*json.loads(asking), answer] for asking, answer in self._answers.items()]

    def noted(self, asked: Asked, method: Callable[..., Any], words: Sequence[Any], named: Dict[str, Any]) -> Any:
        """Ask, and note the answer."""
        try:
            answer = method(asked, *words, **named)
        except BaseException:
            self.whole = False
            raise
        try:
            asking = json.dumps([asked.subject, method.__name__, words, named])
        except TypeError:
            self.whole = False
            return answer
        told = digest(answer)
        self.whole = self.whole and self._answers.setdefault(asking, told) == told
        return answer


def question(method: Method) -> Method:
    """A method that reads the host: a watch, where there is one, notes its answer."""

    QUESTIONS.add(method.__name__)

    @functools.wraps(method)
    def asked(self: Any, *words: Any, **named: Any) -> Any:
        watch: Optional[Watch] = self.watch
        return method(self, *words, **named) if watch is None else watch.noted(self, method, words, named)

    return cast(Method, asked)


def digest(answer: object) -> str:
    """What tells one answer from another."""
    told = tuple(getattr(answer, name, None) for name in STAT) if isinstance(answer, os.stat_result) else answer
    return hashlib.sha256(repr(told).encode()).hexdigest()[:32]
