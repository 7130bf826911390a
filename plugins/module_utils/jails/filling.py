# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What fills a new root in place of a base, such as another jail's state."""

from __future__ import annotations

from typing import Mapping, Optional

from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host


class Filling:
    """Fills a root while nobody takes it for whole: what is killed on the way is made anew."""

    @property
    def words(self) -> str:
        """What it is, such as ``a copy of jail web``."""
        raise NotImplementedError

    def clear(self, host: Host, dataset: Optional[str]) -> None:
        """Take away what an earlier run, or a failed one, left besides the root itself.

        :param dataset: the root's; None for a plain directory.
        """

    def fill_dataset(self, host: Host, dataset: str, properties: Mapping[str, str], place: str) -> None:
        """Make the root's dataset with these properties, filled and mounted.

        :param place: where it is to be mounted.
        """
        raise NotImplementedError

    def fill_directory(self, host: Host, place: str) -> None:
        """Fill the root's directory, which is there and empty."""
        raise NotImplementedError

    def finish(self, host: Host, place: str) -> None:
        """Change what is filled in, before it counts as whole."""
