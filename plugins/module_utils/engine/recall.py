# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A call that changes nothing is told again without being planned, as long as all that its plan was made of reads the same.

A plan is made of the options and of what is read of the host, of nothing else. So when a call came to nothing, what it
read is kept, as digests, with what it told. The next call with the same options, by the same code, reads the same once
more. Where every answer is the same, the plan would be the same too: nothing; and most of the collection's code is not
even loaded. Where one differs, or anything is odd, the call plans as if nothing had been kept.

Check mode never comes here: it always plans, and keeps nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
import zipfile
from typing import Any, Dict, Mapping, Optional, Sequence

from ansible.module_utils import basic
from ansible.module_utils.common.parameters import remove_values

from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.engine.tree import Tree
from ansible_collections.cellblock.jails.plugins.module_utils.engine.watch import QUESTIONS, Watch, digest
from ansible_collections.cellblock.jails.plugins.module_utils.errors import CellblockError

FOLDER = "/var/cache/cellblock"  # see hier(7); to lose it costs time, nothing else
OF_THE_CALL = "sitecustomize.py"  # Ansible writes it into the archive on the host: it names the archive
SHAPE = {"told": dict, "warnings": list, "questions": list}
MOST = 32  # calls that are kept of a host


class Recall:
    """What is kept of a call.

    :param given: the arguments as Ansible gave them, its own among them.
    :param key: what tells this call from others; "" for one of which nothing is kept.
    """

    def __init__(self, given: Mapping[str, Any], key: str) -> None:
        self._given, self._key = given, key
        self.path = f"{FOLDER}/{key}.json"

    def watch(self) -> Optional[Watch]:
        """What is to note the answers, if something is to be kept."""
        return Watch() if self._key else None

    def tell(self) -> None:
        """End the module with what it told the last time, if it would tell that again; else come back."""
        kept = self._kept(Host()) if self._key else None
        if kept is None or not _same_again(Host(), kept["questions"]):
            return
        module = _Told(self._given)
        for warning in kept["warnings"]:
            module.warn(warning)
        module.exit_json(**kept["told"])

    def keep(self, host: Host, watch: Optional[Watch], module: basic.AnsibleModule, told: Mapping[str, Any], warnings: Sequence[str]) -> None:
        """Keep what a call has read and tells, if it changed nothing and all that it read can be asked again."""
        if watch is None or not watch.whole or told["changed"]:
            return
        kept = {"told": {**told, "invocation": {"module_args": _options(self._given)}}, "warnings": list(warnings)}
        with contextlib.suppress(CellblockError, OSError, TypeError, ValueError):
            text = json.dumps({**remove_values(kept, module.no_log_values), "questions": watch.questions()}, separators=(",", ":"))
            host.makedirs(FOLDER, 0o700)
            host.write(self.path, text, 0o600)
            _thin_out(host)

    def _kept(self, host: Host) -> Optional[Dict[str, Any]]:
        with contextlib.suppress(CellblockError, OSError, ValueError):
            kept = json.loads(host.read(self.path) or "null") if _is_own(host.lstat(FOLDER)) else None
            if isinstance(kept, dict) and {name: type(value) for name, value in kept.items()} == SHAPE:
                return kept
        return None


NO_RECALL = Recall({}, "")


def last_time() -> Recall:
    """What is kept of this call; asked before the module is made."""
    code = _code()
    if basic._ANSIBLE_ARGS is None or not code:
        return NO_RECALL
    given: Dict[str, Any] = basic._load_params()
    if given.get("_ansible_check_mode"):
        return Recall(given, "")
    text = json.dumps([code, given.get("_ansible_module_name"), _options(given)], sort_keys=True, default=repr)
    return Recall(given, hashlib.sha256(text.encode()).hexdigest())


def _options(given: Mapping[str, Any]) -> Dict[str, Any]:
    return {name: value for name, value in given.items() if not name.startswith("_ansible_")}


class _Told(basic.AnsibleModule):  # type: ignore[misc]
    """A module whose options were looked at the last time."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        self._own = {name: value for name, value in given.items() if name.startswith("_ansible_")}
        super().__init__({}, supports_check_mode=True)

    def _load_params(self) -> None:
        self.params = self._own


def _code() -> str:
    """What tells this code from other versions of it; "" where it does not come in Ansible's archive."""
    archive = getattr(globals().get("__loader__"), "archive", None)
    if archive is None:
        return ""
    with contextlib.suppress(OSError, zipfile.BadZipFile), zipfile.ZipFile(archive) as shipped:
        files = sorted((one.filename, one.CRC) for one in shipped.infolist() if one.filename != OF_THE_CALL)
        return hashlib.sha256(repr(files).encode()).hexdigest()
    return ""


def _same_again(host: Host, questions: Sequence[Sequence[Any]]) -> bool:
    """Whether every question is answered as it was."""
    try:
        for subject, name, words, named, answer in questions:
            asked = Tree(host.real(subject[0]), subject[0], host.real(subject[1])) if subject else host
            if name not in QUESTIONS or digest(getattr(asked, name)(*words, **named)) != answer:
                return False
    except (CellblockError, OSError, AttributeError, IndexError, TypeError, ValueError):
        return False
    return True


def _is_own(folder: Optional[os.stat_result]) -> bool:
    """Whether nobody else could have put anything into a directory."""
    return folder is not None and stat.S_ISDIR(folder.st_mode) and folder.st_uid == os.geteuid() and not folder.st_mode & 0o077


def _thin_out(host: Host) -> None:
    paths = [f"{FOLDER}/{name}" for name in host.listdir(FOLDER)]
    found = sorted((seen.st_mtime_ns, path) for path, seen in ((path, host.lstat(path)) for path in paths) if seen is not None)
    for _when, path in found[:-MOST]:
        host.remove(path)
