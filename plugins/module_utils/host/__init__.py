# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host itself: services, settings, storage, rulesets, listeners. The door to it, of the engine, is found here too."""

from __future__ import annotations

from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host

__all__ = ["Host"]
