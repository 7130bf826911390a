# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The variables of rc.conf(5) and of what counts over it, as one service has them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Dict, Mapping, Optional

from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.errors import FormatError
from ansible_collections.cellblock.jails.plugins.module_utils.formats import rc_conf

RC_CONF = "/etc/rc.conf"
VENDOR = "/etc/defaults/vendor.conf"  # read by /etc/defaults/rc.conf; nobody's to write in
RC_CONFS = f"{RC_CONF} /etc/rc.conf.local"
# What a file builds by commands or in conditions, only sh knows: it is asked as every script of rc(8) and sysrc(8) asks it.
ASK = "{ . /etc/rc.subr && load_rc_config %s; } >/dev/null 2>&1; set"


@dataclass(frozen=True)
class Variables:
    """The variables of rc.conf(5), as a script of rc.d has them.

    :param texts: the files that they come from, in the order in which they are read.
    :param plain: whether the files hold nothing but assignments, so that the values follow from the text alone.
    """

    texts: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, str] = field(default_factory=dict)
    plain: bool = True

    def place(self, name: str) -> Optional[str]:
        """The file in which a variable can be set, so that it counts; None when its value is built, and not ours to write over."""
        value = self.values.get(name, "")
        for path in reversed(list(self.texts)):
            if name in rc_conf.names(self.texts[path]) and path != VENDOR:
                return path if rc_conf.sure(self.texts[path], name) == value else None
        return RC_CONF if not value or name in rc_conf.names(self.texts.get(VENDOR, "")) else None

    def setter(self, name: str) -> str:
        """Where a variable gets its value, for a message."""
        found = [path for path, text in self.texts.items() if name in rc_conf.names(text)]
        return found[-1] if found else RC_CONF

    def put(self, path: str, text: str) -> Variables:
        """The same with another text of a file. Where a shell builds values, only what the text says anew counts anew."""
        old, texts = self.texts.get(path, ""), {**self.texts, path: text}
        if old == text:
            return self
        known: Dict[str, str] = {}
        if self.plain:
            for one in texts.values():
                rc_conf.settle(one, known)
            return replace(self, texts=texts, values=known)
        known.update(self.values)
        later = [one for place, one in texts.items() if list(texts).index(place) > list(texts).index(path)]
        for name in {*rc_conf.names(old), *rc_conf.names(text)} - {name for one in later for name in rc_conf.names(one)}:
            if rc_conf.source(old, [name]) != rc_conf.source(text, [name]):
                known[name] = rc_conf.sure(text, name) or ""
        return replace(self, texts=texts, values=known)


def load(host: Host, service: str = "jail", prefix: str = "jail_") -> Variables:
    """Read what rc.subr(8) reads for a service, in its order.

    :param prefix: what the names begin with that are asked for, where only sh knows the values.
    """
    texts: Dict[str, str] = {}
    known: Dict[str, str] = {}
    plain = True

    def take(path: str) -> None:
        nonlocal plain
        text = None if path in texts or host.isdir(path) else host.read(path)
        if text is not None:
            texts[path] = text
            try:
                plain = rc_conf.settle(text, known) and plain
            except FormatError as error:
                raise FormatError(error.what, f"{path}, {error.where}", error.fix) from error

    take(VENDOR)
    for _again in range(2):
        for path in known.get("rc_conf_files", RC_CONFS).split():
            take(path)
    for directory in ["/etc", *known.get("local_startup", "/usr/local/etc/rc.d").split()]:
        own = f"{directory[:-5] if directory.endswith('/rc.d') else directory}/rc.conf.d/{service}"
        for path in [f"{own}/{name}" for name in host.listdir(own)] or [own]:
            take(path)
    if not plain:
        answer = host.ask(["sh", "-c", ASK % service])
        built = rc_conf.values(answer.out) if answer.rc == 0 else {}
        known = {name: value for name, value in built.items() if name.startswith(prefix)} or known
    return Variables(texts, known, plain)
