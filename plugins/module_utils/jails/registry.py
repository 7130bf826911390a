# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All that a jail can have: one line for each capability."""

from __future__ import annotations

from typing import Any, List, Mapping, Sequence, Tuple

from ansible_collections.cellblock.jails.plugins.module_utils.jails.aspects.addresses import Addresses
from ansible_collections.cellblock.jails.plugins.module_utils.jails.aspects.aspect import Aspect
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
from ansible_collections.cellblock.jails.plugins.module_utils.networks.aspect import Networks
from ansible_collections.cellblock.jails.plugins.module_utils.networks.inner import Devices
from ansible_collections.cellblock.jails.plugins.module_utils.networks.inner_firewall import InnerFirewall
from ansible_collections.cellblock.jails.plugins.module_utils.networks.loopback import Loopback
from ansible_collections.cellblock.jails.plugins.module_utils.networks.reachable import Reachable
from ansible_collections.cellblock.jails.plugins.module_utils.networks.rules import Rules
from ansible_collections.cellblock.jails.plugins.module_utils.upgrades.aspect import Upgrades

# In the order in which a jail is brought; it is removed in the reverse.
ASPECTS: Tuple[Aspect, ...] = (
    DefinitionFile(),
    ConsoleLog(),
    Upgrades(),
    Boot(),
    Root(),
    Parameters(),
    Cpus(),
    Devfs(),
    Loopback(),
    Addresses(),
    Networks(),
    Devices(),
    InnerFirewall(),
    Mounts(),
    OwnFiles(),
    Limits(),
    Rules(),
    Flavour(),
    Packages(),
    Reachable(),
)


def concerned(jails: Sequence[Jail], marks: Mapping[str, Mapping[str, Any]]) -> List[Aspect]:
    """The aspects that matter in a run; the others cost nothing.

    :param jails: the declared jails.
    :param marks: the facts in the marks of the host.
    """
    return [aspect for aspect in ASPECTS if aspect.concerns(jails, marks)]
