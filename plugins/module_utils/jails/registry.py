# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All that a jail can have: one line for each capability."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Sequence, Tuple

from ansible_collections.cellblock.jails.plugins.module_utils.jails.aspects.addresses import Addresses
from ansible_collections.cellblock.jails.plugins.module_utils.jails.aspects.aspect import Aspect, Later
from ansible_collections.cellblock.jails.plugins.module_utils.jails.aspects.boot import Boot
from ansible_collections.cellblock.jails.plugins.module_utils.jails.aspects.console_log import ConsoleLog
from ansible_collections.cellblock.jails.plugins.module_utils.jails.aspects.cpus import Cpus
from ansible_collections.cellblock.jails.plugins.module_utils.jails.aspects.definition_file import DefinitionFile
from ansible_collections.cellblock.jails.plugins.module_utils.jails.aspects.devfs import Devfs
from ansible_collections.cellblock.jails.plugins.module_utils.jails.aspects.flavour import Flavour
from ansible_collections.cellblock.jails.plugins.module_utils.jails.aspects.limits import Limits
from ansible_collections.cellblock.jails.plugins.module_utils.jails.aspects.mounts import Mounts
from ansible_collections.cellblock.jails.plugins.module_utils.jails.aspects.own_files import OwnFiles
from ansible_collections.cellblock.jails.plugins.module_utils.jails.aspects.packages import Packages
from ansible_collections.cellblock.jails.plugins.module_utils.jails.aspects.parameters import Parameters
from ansible_collections.cellblock.jails.plugins.module_utils.jails.aspects.root import Root
from ansible_collections.cellblock.jails.plugins.module_utils.jails.model import Jail
from ansible_collections.cellblock.jails.plugins.module_utils.networks.options import OF_JAILS
from ansible_collections.cellblock.jails.plugins.module_utils.networks.reachable import Reachable


def _upgrades() -> Aspect:
    from ansible_collections.cellblock.jails.plugins.module_utils.upgrades.aspect import Upgrades

    return Upgrades()


def _moves() -> Aspect:
    from ansible_collections.cellblock.jails.plugins.module_utils.moves.moved import Moves

    return Moves()


def _replicas() -> Aspect:
    from ansible_collections.cellblock.jails.plugins.module_utils.moves.replicated import Replicas

    return Replicas()


def _renames() -> Aspect:
    from ansible_collections.cellblock.jails.plugins.module_utils.moves.aspect import Renames

    return Renames()


def _loopback() -> Aspect:
    from ansible_collections.cellblock.jails.plugins.module_utils.networks.loopback import Loopback

    return Loopback()


def _networks() -> Aspect:
    from ansible_collections.cellblock.jails.plugins.module_utils.networks.aspect import Networks

    return Networks()


def _devices() -> Aspect:
    from ansible_collections.cellblock.jails.plugins.module_utils.networks.inner import Devices

    return Devices()


def _inner_firewall() -> Aspect:
    from ansible_collections.cellblock.jails.plugins.module_utils.networks.inner_firewall import InnerFirewall

    return InnerFirewall()


def _rules() -> Aspect:
    from ansible_collections.cellblock.jails.plugins.module_utils.networks.rules import Rules

    return Rules()


def _copy() -> Aspect:
    from ansible_collections.cellblock.jails.plugins.module_utils.jails.aspects.copy import Copy

    return Copy()


def _restored() -> Aspect:
    from ansible_collections.cellblock.jails.plugins.module_utils.backups.restored import Restored

    return Restored()


OF_COPIES: Dict[str, Dict[str, Any]] = {"copy_of": {"type": "str"}, "copy_hook": {"type": "list", "elements": "str"}}

# In the order in which a jail is brought; it is removed in the reverse.
ASPECTS: Tuple[Aspect, ...] = (
    Later("renaming", _renames, {"was": {"type": "str"}}, ("renaming", "former")),
    DefinitionFile(),
    ConsoleLog(),
    Later("moving", _moves, facts=("moving",)),
    Later("replica", _replicas, facts=("replica",)),
    Later("upgrade", _upgrades, facts=("upgrade",)),
    Later("copy", _copy, OF_COPIES, ("copy_of",)),
    Later("restored", _restored, facts=("restored", "proof")),
    Boot(),
    Root(),
    Parameters(),
    Cpus(),
    Devfs(),
    Later("loopback", _loopback, OF_JAILS["loopback"], ("loopback",)),
    Addresses(),
    Later("networks", _networks, OF_JAILS["networks"], ("networks",)),
    Later("devices", _devices, OF_JAILS["devices"]),
    Later("firewall", _inner_firewall, OF_JAILS["firewall"], ("firewall",)),
    Mounts(),
    OwnFiles(),
    Limits(),
    Later("traffic", _rules, OF_JAILS["traffic"], ("traffic",)),
    Flavour(),
    Packages(),
    Reachable(),
)


def concerned(jails: Sequence[Jail], marks: Mapping[str, Mapping[str, Any]]) -> List[Aspect]:
    """The aspects that matter in a run; the others cost nothing.

    :param jails: the declared jails.
    :param marks: the facts in the marks of the host.
    """
    return [aspect.loaded() for aspect in ASPECTS if aspect.concerns(jails, marks)]
