# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which host the cases run on, and that each leaves it as it found it.

Without ``CELLBLOCK_HOST`` it is the simulated host, once with plain directories and once with ZFS, of release 15.1 or that of
``CELLBLOCK_RELEASE``. With
``CELLBLOCK_HOST=root@address[:port]`` it is that one; ``CELLBLOCK_DATASET`` names a dataset to make for the ZFS cases.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional

import pytest
from hypothesis import HealthCheck, settings

from .machine import WATCHED, Machine, Remote, Simulated

HOST = os.environ.get("CELLBLOCK_HOST", "")
DATASET = os.environ.get("CELLBLOCK_DATASET", "")
PYTHON = os.environ.get("CELLBLOCK_PYTHON", "python3")
RELEASE = os.environ.get("CELLBLOCK_RELEASE", "15.1")
STORAGES = ["ufs", "zfs"] if not HOST or DATASET else ["ufs"]

# One profile of hypothesis without clocks: how fast a machine is fails no test.
settings.register_profile(
    "without clocks", deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture],
)
settings.load_profile("without clocks")


def pytest_configure(config: Any) -> None:
    """The mark of cases that the simulated host cannot answer."""
    config.addinivalue_line("markers", "freebsd: needs a real FreeBSD, where programs in jails really run")
    config.addinivalue_line("markers", "storage(name): only with this storage")


def pytest_collection_modifyitems(config: Any, items: List[Any]) -> None:
    """Leave out what the storage does not have; say what is not run here, and why."""
    absent = [item for item in items if _wants_other_storage(item)]
    config.hook.pytest_deselected(items=absent)
    items[:] = [item for item in items if item not in absent]
    for item in items:
        if item.get_closest_marker("freebsd") and not HOST:
            item.add_marker(pytest.mark.skip(reason="needs a real FreeBSD: make acceptance HOST=root@address"))


def _wants_other_storage(item: Any) -> bool:
    mark, spec = item.get_closest_marker("storage"), getattr(item, "callspec", None)
    return mark is not None and spec is not None and spec.params.get("storage") != mark.args[0]


@pytest.fixture(scope="session", params=STORAGES)
def storage(request: Any) -> str:
    """The kind of storage of a case."""
    return str(request.param)


@pytest.fixture(scope="session")
def remote(storage: str) -> Iterator[Optional[Remote]]:
    """The real host, with the collection and a base on it; None for the simulated one."""
    if not HOST:
        yield None
        return
    place = f"/var/cellblock-acceptance-{storage}"
    machine = Remote(HOST, place, DATASET if storage == "zfs" else None, PYTHON)
    there = machine.running()
    if there and os.environ.get("CELLBLOCK_BESIDE") != "yes":
        pytest.exit(f"{HOST} runs jails of its own ({', '.join(there)}); set BESIDE=yes to test beside them")
    machine.settle()
    yield machine
    machine.leave()


@pytest.fixture
def machine(storage: str, remote: Optional[Remote], tmp_path: Path) -> Iterator[Machine]:
    """The host of a case. What the case makes is taken away, and nothing may be left."""
    found: Machine = remote if remote is not None else Simulated(tmp_path / "host", storage, release=RELEASE)
    before = found.picture()
    yield found
    left = found.jails([], prune=True, prune_share=100)["steps"]
    after = found.picture()
    for path in WATCHED:
        if before[path] != after[path]:
            found.write(path, before[path] or "")
    assert _comparable(after) == _comparable(before), left


# What stays by design: an empty jail_list where there was one, and a number of routing tables, which cannot shrink.
KEPT = re.compile(r'(jail_list=""|net\.fibs="?\d+"?)\n')


def _comparable(picture: Dict[str, Any]) -> Dict[str, Any]:
    files = {path: KEPT.sub("", picture[path] or "") for path in WATCHED}
    return {**picture, **files}
