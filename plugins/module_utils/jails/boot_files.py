# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files that rc.d/jail gives to jail(8), and the variables by which it chooses them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Collection, Dict, List, Mapping, Optional, Sequence

from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.errors import CellblockError, FormatError, HostError
from ansible_collections.cellblock.jails.plugins.module_utils.formats import jail_conf
from ansible_collections.cellblock.jails.plugins.module_utils.jails import next_boot
from ansible_collections.cellblock.jails.plugins.module_utils.jails.rc_variables import Variables

# A root that is written out; what variables make up needs the whole reader.
PATH = re.compile(r"(?m)^[^#\n]*?\bpath\s*=\s*[\"']?(/[^\"';\n]+)")


@dataclass(frozen=True)
class Snapshot:
    """Files as they were seen, or as they will be.

    :param texts: by path, of files that can be read.
    :param parsed: of these, the jails in files that need no reading: those of ours, and others' that stay as they are.
    """

    texts: Mapping[str, str] = field(default_factory=dict)
    parsed: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)

    def text(self, path: str) -> Optional[str]:
        """A file's text; None when it cannot be read."""
        return self.texts.get(path)

    def read(self, path: str) -> Optional[str]:
        """The same, for the reader of jail.conf(5)."""
        return self.texts.get(path)

    def listdir(self, path: str) -> List[str]:
        """The files known in a directory."""
        start = path.rstrip("/") + "/"
        return sorted({one[len(start):].partition("/")[0] for one in self.texts if one.startswith(start)})

    def jails(self, path: str) -> Sequence[Mapping[str, Any]]:
        """The jails that jail(8) reads in a file."""
        return self.parsed[path] if path in self.parsed else self._parse(self.texts[path], path)

    def legacy(self, text: str) -> Sequence[Mapping[str, Any]]:
        """The jails of a text that rc.d/jail generates."""
        return self._parse(text, "/var/run/jail.conf")

    def _parse(self, text: str, path: str) -> List[Dict[str, Any]]:
        said: List[str] = []
        jails = jail_conf.parse(text, "/", path, said, files=self)
        words = {match.group(1): match.group(2) for match in (re.match(r"jail: ([^:]+): (.*)", line) for line in said) if match}
        return [{**jail, "problem": words.get(jail["name"], "")} for jail in jails]

    def put(self, texts: Mapping[str, Optional[str]], parsed: Mapping[str, Sequence[Mapping[str, Any]]]) -> Snapshot:
        """The same with some files changed, or gone when their text is None."""
        after = {path: text for path, text in {**self.texts, **texts}.items() if text is not None}
        return Snapshot(after, {**{path: jails for path, jails in self.parsed.items() if path not in texts}, **parsed})


class _Recorder:
    """Keeps what the reader of jail.conf(5) looks at."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.texts: Dict[str, str] = {}

    def read(self, path: str) -> Optional[str]:
        text = self.host.read(path)
        if text is not None:
            self.texts[path] = text
        return text

    def listdir(self, path: str) -> List[str]:
        return self.host.listdir(path)


def look(host: Host, variables: Variables, read: Mapping[str, str]) -> Snapshot:
    """Read the files that the next boot may read.

    :param read: those of jail.conf.d and the fstabs, which are read already, by their paths.
    """
    recorder = _Recorder(host)
    recorder.texts.update(read)
    own = [f"/etc/{entry}" for entry in host.listdir("/etc") if re.fullmatch(r"jail\..+\.conf", entry)]
    named = [value for name, value in variables.values.items() if re.fullmatch(r"jail_.+_(conf|fstab)|jail_fstab", name)]
    for path in [*own, *named]:
        if path.startswith("/") and path not in recorder.texts:
            _try(recorder, path)
    _try(recorder, whole_conf(variables))
    for place, text in list(recorder.texts.items()):
        if ".include" in text and not place.startswith("/etc/fstab."):
            try:
                jail_conf.parse(text, "/", place, files=recorder)
            except (FormatError, HostError):
                pass  # jail(8) says so itself
    return Snapshot(recorder.texts)


def roots(files: Snapshot, ours: Collection[str]) -> Dict[str, str]:
    """The roots of the jails that others' files define, each with the jail's name, or with its file's.

    :param ours: the files of ours, whose marks say where roots are.
    """
    found: Dict[str, str] = {}
    for place, text in files.texts.items():
        if place in ours or place.startswith("/etc/fstab.") or "path" not in text:
            continue
        plain = [] if "$" in text else PATH.findall(text)
        found.update((path.rstrip("/ "), place.rpartition("/")[2][:-5]) for path in plain)
        try:
            for jail in () if plain else files.jails(place):
                found.update((path.rstrip("/"), jail["name"]) for path in jail["params"].get("path", ())[-1:])
        except CellblockError:
            pass  # jail(8) says so itself
    return found


def whole_conf(variables: Variables) -> str:
    """The file of all jails."""
    return variables.values.get("jail_conf") or next_boot.DEFAULTS["jail_conf"]


def _try(recorder: _Recorder, path: str) -> Optional[str]:
    try:
        return recorder.read(path)
    except CellblockError:
        return None
