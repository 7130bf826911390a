# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one family of exceptions: each says what is wrong, where, and how to mend it."""

from __future__ import annotations

from types import TracebackType
from typing import Callable, Iterable, List, Optional, Sequence, Type, TypeVar

Thing = TypeVar("Thing")
Value = TypeVar("Value")


class CellblockError(Exception):
    """Something that stops a run.

    :param what: what is wrong, a sentence without a full stop.
    :param where: the jail, file, option or command it is about.
    :param fix: how to mend it, a sentence without a full stop.
    """

    def __init__(self, what: str, where: Optional[str] = None, fix: Optional[str] = None) -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.fix = fix

    def __str__(self) -> str:
        text = f"{self.where}: {self.what}" if self.where else self.what
        return f"{text}. {self.fix}." if self.fix else text


class InputError(CellblockError):
    """What was asked for is wrong; nothing was touched."""


class InputErrors(InputError):
    """Several at once."""

    def __init__(self, found: Sequence[CellblockError]) -> None:
        super().__init__("\n".join(map(str, found)))
        self.found = tuple(found)


class FormatError(CellblockError):
    """A text does not follow its format."""


class HostError(CellblockError):
    """The host refused something."""


class UnsafePath(HostError):
    """A path below a jail's root is a link, a FIFO, a socket or something else that is never followed."""


class Unreadable(HostError):
    """A definition of ours that somebody else wrote over; it costs only its own jail."""


class Refused(CellblockError):
    """A guard: this would destroy or change what we did not make."""


class Locked(HostError):
    """Another run holds this host's lock."""


class Faults:
    """All that is wrong with what is asked for, told at once: a fault ends its own ``with`` block and nothing else."""

    def __init__(self) -> None:
        self.found: List[CellblockError] = []

    def __enter__(self) -> None:
        """What follows may be at fault."""

    def __exit__(self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]) -> bool:
        if isinstance(error, InputErrors):
            self.found.extend(error.found)
        elif isinstance(error, (InputError, Refused)):
            self.found.append(error)
        else:
            return False
        return True

    def each(self, things: Iterable[Thing], check: Callable[[Thing], Value]) -> List[Value]:
        """What a check makes of each thing; those at fault are left out."""
        made = []
        for thing in things:
            with self:
                made.append(check(thing))
        return made

    def tell(self) -> None:
        """Raise what was found, if anything was."""
        told = list({str(error): error for error in self.found}.values())
        if len(told) == 1:
            raise told[0]
        if told:
            raise InputErrors(told)
