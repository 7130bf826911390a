# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one family of exceptions: each says what is wrong, where, and how to mend it."""

from __future__ import annotations

from typing import Optional


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


class FormatError(CellblockError):
    """A text does not follow its format."""


class HostError(CellblockError):
    """The host refused something."""


class UnsafePath(HostError):
    """A path below a jail's root is a link, a FIFO, a socket or something else that is never followed."""


class Refused(CellblockError):
    """A guard: this would destroy or change what we did not make."""


class Locked(HostError):
    """Another run holds this host's lock."""
