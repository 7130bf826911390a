# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the simulated host and a real one differ: the same commands on both, in the same order.

``fidelity.py root@address[:port]`` asks a FreeBSD host the captured commands that can be repeated, and those that show
what the simulator assumes. It works in a pool of its own on a file (or below ``--pool``), and leaves the host as it was, also
when it is cut. Where the host vanished meanwhile, a note on it tells the next run what to take away first.
It exits with 0 when all differences are known, 1 when some are not, 2 when it will not touch the host.
"""

from __future__ import annotations

import argparse
import datetime
import difflib
import json
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional, Sequence, Set

from ansible_collections.cellblock.jails.plugins.module_utils.formats import outputs
from ansible_collections.cellblock.jails.tests.acceptance.machine import Remote, pack_base
from ansible_collections.cellblock.jails.tests.simulator import replay
from ansible_collections.cellblock.jails.tests.simulator.assumptions import ASSUMPTIONS, Assumption
from ansible_collections.cellblock.jails.tests.simulator.compare import Answer, differences, normal_answer
from ansible_collections.cellblock.jails.tests.simulator.core import KERNEL
from ansible_collections.cellblock.jails.tests.simulator.sides import Names, Real, Simulated, take

HOME = "/var/tmp/cellblock-fidelity"
NOTE = f"{HOME}/note.json"
POOL = "cellblock_fidelity"
NAMES = {"t1", "v1", "noip", "bad", "1a", "12", "a", "a b", "x1", "x2", "dead", "held", "linked", "full", "fidelity1", "fidelity2", "f1", "f2", "f3"}
ADDRESSES = [f"127.0.1.{last}" for last in (1, 2, 3, 4, 5, 7, 9)] + ["127.0.5.5", "fd00::7", "fd00::8"]
RULESET = "100"
SYSCTLS = (
    "kern.osreldate", "kern.racct.enable", "kern.features.vimage", "net.fibs", "security.jail.jail_max_af_ips",
    "security.jail.meta_maxbufsize",
)
# Modules that the commands load, each before what it needs.
MODULES = ("if_epair", "if_bridge", "bridgestp", "nullfs", "tmpfs", "fdescfs", "procfs", "pseudofs")
CAPTURED = "captured"  # the part of the report that is no assumption
# Differences that are known, each with the reason why they may stay; by the command.
ACCEPTED: Dict[str, str] = {}


# Files of the host's own places that the commands write, where they are not there.
WRITTEN = sorted({
    path for path in [
        *(path for path, _text in replay.WRITES.values()),
        *(shlex.split(step.line)[1] for one in ASSUMPTIONS for step in one.steps if step.line.startswith("tee ")),
    ] if path.startswith("/etc/") and path != "/etc/jail.conf"
})


class Refused(Exception):
    """The host is left alone, for this reason."""


@dataclass
class Row:
    """One line of the report.

    :param verdict: ``same``, ``differs``, ``accepted``, ``not simulated`` or ``left out``.
    :param why: the reason of what is not compared, or accepted.
    """

    part: str
    command: str
    verdict: str
    why: str = ""
    simulated: Optional[Answer] = None
    real: Optional[Answer] = None


# -- coming and going


class Guest:
    """What is made on the host for the comparison, and taken away again."""

    def __init__(self, shell: Callable[[str, bytes], "subprocess.CompletedProcess[bytes]"], pool: str) -> None:
        self.place, self.dataset, self.own_pool = f"{HOME}/jails", pool or POOL, not pool
        self.side = Real(shell, HOME, Names({}))
        self.before: Dict[str, Any] = {}
        self.absent: List[str] = []
        self.zfs = True

    def ask(self, *argv: str, stdin: str = "") -> Answer:
        """What the host answers, in its own names."""
        return self.side.ask(*argv, stdin=stdin)

    def must(self, *argv: str) -> str:
        """What a command that may not fail prints."""
        told = self.ask(*argv)
        if told.rc:
            raise RuntimeError(f"{shlex.join(argv)}: {told.err.strip() or told.rc}")
        return told.out

    def refuse(self, beside: bool) -> None:
        """Look whether the host can be used.

        :raises Refused: jails run there, or something is in the way.
        """
        there = outputs.jails(self.must("jls", "--libxo", "json", "-n"))
        names = {str(jail["name"]) for jail in there} | {str(jail["jid"]) for jail in there}
        if there and not beside:
            raise Refused(f"it runs jails of its own ({', '.join(sorted(str(jail['name']) for jail in there))}); see --beside")
        taken = (names & NAMES) | (self.addresses() & set(ADDRESSES)) | (self.rulesets() & {RULESET})
        if "jbr0" in self.must("ifconfig", "-l").split() or taken:
            raise Refused(f"what would be made is there already: {', '.join(sorted(taken)) or 'jbr0'}")
        if self.zfs and self.ask("zfs", "list", "-H", "-o", "name", self.dataset).rc == 0:
            raise Refused(f"dataset {self.dataset} is there already")
        self.before = self.picture()
        self.absent = [path for path in WRITTEN if self.ask("test", "-e", path).rc != 0]
        self.note()

    def note(self, undo: Sequence[str] = ()) -> None:
        """Note on the host what a run that is cut leaves there.

        :param undo: the commands that undo what is done next.
        """
        there = {
            "before": self.before, "dataset": self.dataset, "own_pool": self.own_pool, "zfs": self.zfs, "undo": list(undo),
            "absent": self.absent,
        }
        self.side.shell(f"cat > {NOTE}", json.dumps(there).encode())

    def recover(self) -> bool:
        """Take away what a run that was cut left; whether there was any."""
        told = self.side.shell(f"cat {NOTE}", b"")
        if told.returncode != 0 or not told.stdout:
            return False
        noted = json.loads(told.stdout)
        self.before, self.dataset, self.own_pool, self.zfs = (noted[name] for name in ("before", "dataset", "own_pool", "zfs"))
        for line in noted["undo"]:
            self.ask(*shlex.split(line))
        self.side.written |= {path for path in noted["absent"] if self.ask("test", "-e", path).rc == 0}
        left = self.leave()
        if left:
            raise RuntimeError(f"what a run that was cut left is still there: {'; '.join(left)}")
        return True

    def addresses(self) -> Set[str]:
        """The addresses of lo0."""
        found = outputs.interfaces(self.must("ifconfig", "-a", "-f", "inet:cidr,inet6:cidr"))
        return {held.ip for held in found["lo0"].addresses}

    def rulesets(self) -> Set[str]:
        """The loaded rulesets."""
        return set(self.must("devfs", "rule", "showsets").split())

    def picture(self) -> Dict[str, Any]:
        """What of the host could be left changed."""
        listed = self.ask("zfs", "list", "-H", "-t", "all", "-o", "name").out.split() if self.zfs else []
        return {
            "jails": sorted(str(jail["name"]) for jail in outputs.jails(self.must("jls", "-d", "--libxo", "json", "-n"))),
            "mounts": sorted(mount.node for mount in outputs.mounts(self.must("mount", "--libxo", "json"))),
            "interfaces": sorted(self.must("ifconfig", "-l").split()), "addresses": sorted(self.addresses()), "datasets": listed,
            "rules": self.ask("rctl").out.split(), "rulesets": sorted(self.rulesets()),
            "etc": sorted(self.must("ls", "-A", "/etc", "/etc/jail.conf.d", "/etc/rc.conf.d").split()) if self.has_dirs() else [],
            "rc.conf": self.ask("sha256", "-q", "/etc/rc.conf").out,
            "modules": [name for name in MODULES if self.ask("kldstat", "-q", "-n", f"{name}.ko").rc == 0],
        }

    def has_dirs(self) -> bool:
        """Whether the directories for files of ours are there."""
        return all(self.ask("test", "-d", path).rc == 0 for path in ("/etc/jail.conf.d", "/etc/rc.conf.d"))

    def settle(self) -> None:
        """Make the pool and the base tree, and learn the host's names."""
        if self.zfs and self.own_pool:
            self.must("truncate", "-s", "4g", f"{HOME}/pool")
            self.must("zpool", "create", "-m", self.place, self.dataset, f"{HOME}/pool")
        elif self.zfs:
            self.must("zfs", "create", "-o", f"mountpoint={self.place}", "-o", "atime=on", self.dataset)
        self.must("mkdir", "-p", f"{self.place}/r151")
        self._bring_base(f"{self.place}/r151")
        told = {self.must(*asked).strip(): "15.1-RELEASE-p1" for asked in (("uname", "-r"), ("freebsd-version", "-u"))}
        pairs = {"/jails": self.place, "zroot": self.dataset}
        pairs.update({"/etc/jail.conf": f"{HOME}/jail.conf", "/var/log/jail_t1.log": f"{HOME}/jail_t1.log"})
        self.side.names = Names(pairs, told)

    def _bring_base(self, root: str) -> None:
        """A base tree from the host's own system, with settings as in a release."""
        dist = f"{self.place}/dist"
        pack_base(self.side.shell, dist)
        self.must("tar", "-xpf", f"{dist}/base.txz", "-C", root)
        self.must("rm", "-r", dist)
        for name in ("sbin/init", "lib/libc.so.7", "var/empty"):
            self.must("chflags", "schg", f"{root}/{name}")

    def tidy(self) -> None:
        """Take away what commands have left: between the parts, and in the end."""
        for jail in reversed(outputs.jails(self.must("jls", "--libxo", "json", "-n"))):
            if str(jail["path"]).startswith(HOME):
                self.ask("jail", "-R", str(jail["jid"]))
        self._wait_dead()
        for mount in reversed(outputs.mounts(self.must("mount", "--libxo", "json"))):
            if mount.node.startswith(f"{HOME}/") and mount.node != self.place and mount.fstype != "zfs":
                self.ask("umount", mount.node)
        for dataset in [*self._below(), *self._below()]:  # a promoted clone is what its origin hangs on
            self.ask("zfs", "destroy", "-r", dataset)
        for address in self.addresses() & set(ADDRESSES):
            self.ask("ifconfig", "lo0", "inet6" if ":" in address else "inet", address, "-alias")
        for interface in self.must("ifconfig", "-l").split():
            if interface not in self.before["interfaces"] and not interface.endswith("b"):
                self.ask("ifconfig", interface, "destroy")
        for rule in set(self.ask("rctl").out.split()) - set(self.before["rules"]):
            self.ask("rctl", "-r", rule)
        for number in self.rulesets() - set(self.before["rulesets"]):
            self.ask("devfs", "rule", "-s", number, "delset")
        for path in sorted(self.side.written):
            self.ask("rm", "-f", path)
        self.side.written.clear()
        self.side.names.pairs = {ours: theirs for ours, theirs in self.side.names.pairs.items() if not ours.startswith("epair")}
        self.ask("chflags", "-R", "0", f"{self.place}/f")
        self.ask("rm", "-rfx", f"{self.place}/f")

    def _wait_dead(self) -> None:
        """Wait until no jail is dying: what it stood on is free only then."""
        for _second in range(60):
            if not any(jail.get("dying") for jail in outputs.jails(self.must("jls", "-d", "--libxo", "json", "-n"))):
                return
            time.sleep(1)

    def _below(self) -> List[str]:
        """The datasets below ours, clones before what they were cloned from."""
        if not self.zfs:
            return []
        listed = self.ask("zfs", "list", "-Hp", "-r", "-o", "name,origin", "-s", "createtxg", self.dataset).out.splitlines()
        names = [line.split("\t")[0] for line in listed]
        return [name for name in reversed(names) if name.count("/") == self.dataset.count("/") + 1]

    def leave(self) -> List[str]:
        """Take all of it away; what is not as it was."""
        self.tidy()
        if self.zfs and self.own_pool:
            self.ask("zpool", "destroy", self.dataset)
        elif self.zfs:
            self.ask("zfs", "destroy", self.dataset)
        else:
            self.ask("chflags", "-R", "0", self.place)
            self.ask("rm", "-rfx", self.place)
        for name in MODULES:
            if name not in self.before["modules"]:
                self.ask("kldunload", "-n", name)
        after = self.picture()
        self.side.shell(f"cd / && rm -rfx {HOME}", b"")
        return [f"{name}: {self.before[name]} became {after[name]}" for name in after if self.before[name] != after[name]]


def seen_state(guest: Guest) -> Dict[str, Any]:
    """What of the host's state the simulated one begins with."""
    found = outputs.interfaces(guest.must("ifconfig", "-a", "-f", "inet:cidr,inet6:cidr"))
    known = guest.must("sysctl", "-N", "security.jail.param").split()
    # Jails are listed by number, and one of the captured ones asks for a number of its own.
    last = guest.must("jail", "-i", "-c", "path=/", "persist").strip()
    guest.must("jail", "-R", last)
    return {
        "interfaces": {name: [[held.ip, held.prefix] for held in one.addresses] for name, one in found.items()},
        "next_jid": int(last) + 1, "cpus": int(guest.must("sysctl", "-n", "hw.ncpu")), "rctl": guest.before["rules"][::-1],
        "jails": {
            str(jail["jid"]): {**jail, "processes": []} for jail in outputs.jails(guest.must("jls", "--libxo", "json", "-n"))
        },
        "rulesets": {
            number: guest.must("devfs", "rule", "-s", number, "show").splitlines() for number in sorted(guest.rulesets(), key=int)
        },
        "sysctl": {name: told.out.strip() if told.rc == 0 else None for name in SYSCTLS for told in [guest.ask("sysctl", "-n", name)]},
        "absent": [name for name, _value in KERNEL if f"security.jail.param.{name}" not in known],
    }


# -- asking both


def judge(part: str, command: str, simulated: Answer, real: Answer) -> Row:
    """The row of two answers."""
    if not differences(simulated, real):
        return Row(part, command, "same", "", simulated, real)
    why = ACCEPTED.get(command, "")
    return Row(part, command, "accepted" if why else "differs", why, simulated, real)


def captured_rows(simulated: Simulated, guest: Guest) -> Iterator[Row]:
    """The captured lines, in their order. All that can be repeated are: later ones see what earlier ones did."""
    absent = simulated.host.state["absent"]
    told = (replay.again(side, absent, lambda command: _no_zfs(guest, command)) for side in (simulated, guest.side))
    for (command, mine), (_command, yours) in zip(*told):
        why = replay.why_not(command) or _no_zfs(guest, command)
        if why or mine is None or yours is None:
            yield Row(CAPTURED, command, _kind(why), why)
        else:
            yield judge(CAPTURED, command, mine, yours)


def _kind(why: str) -> str:
    """The verdict for a reason: whether the simulated host lacks it, or it cannot be repeated."""
    return "not simulated" if why.startswith(("nothing", "in-process", "several lines")) else "left out"


def _no_zfs(guest: Guest, command: str) -> str:
    """Why a command of ZFS cannot be asked there; "" when it can."""
    if command.startswith("zpool ") and not guest.own_pool:
        return "the pool is the host's own"
    return "the host has no ZFS" if command.startswith(("zfs ", "zpool ")) and not guest.zfs else ""


def assumed_rows(guest: Guest, state: Dict[str, Any], place: Path) -> Iterator[Row]:
    """What shows the assumptions, each on a host of its own."""
    for number, one in enumerate(ASSUMPTIONS):
        why = one.why_not
        if not why and one.unless and guest.ask(*shlex.split(one.unless)).rc == 0:
            why = "the host uses for itself what would be changed"
        if not why and any(_no_zfs(guest, step.line) for step in one.steps):
            why = "the host has no ZFS"
        if why:
            yield Row(one.sentence, "", "left out", why)
            continue
        try:
            guest.note(one.undo)
            yield from _show(one, Simulated(replay.like(place / str(number), state, guest.zfs)), guest)
        finally:
            for line in one.undo:
                guest.ask(*shlex.split(line))
            guest.tidy()


def _show(one: Assumption, simulated: Simulated, guest: Guest) -> Iterator[Row]:
    for (step, told), (_step, expected) in zip(take(one, guest.side, "real"), take(one, simulated, "simulated")):
        yield judge(one.sentence, step.line, expected, told)


# -- telling


def cut(text: str, size: int = 1200) -> str:
    """A text's beginning."""
    return text if len(text) <= size else text[:size] + " ..."


def apart(row: Row) -> str:
    """In what two answers differ: lines of the simulated host with ``-``, of the real one with ``+``."""
    assert row.simulated is not None and row.real is not None
    pages = [_page(normal_answer(answer)) for answer in (row.simulated, row.real)]
    lines = list(difflib.unified_diff(pages[0], pages[1], n=0, lineterm=""))[2:]
    return cut("\n".join(line for line in lines if not line.startswith("@@")))


def _page(answer: Answer) -> List[str]:
    out = answer.out
    try:
        out = json.dumps(json.loads(out), indent=0)
    except ValueError:
        pass
    return [f"rc {answer.rc}", *out.splitlines(), *(f"stderr: {line}" for line in answer.err.splitlines())]


def table(rows: Sequence[Row]) -> str:
    """A line for each command, then what differs."""
    lines, part = [], ""
    for row in rows:
        if row.part != part:
            part = row.part
            lines.append(f"\n{part}")
        lines.append(f"  {row.verdict:13} {cut(row.command, 90)}{f'  ({row.why})' if row.why else ''}".rstrip())
    for row in rows:
        if row.verdict == "differs":
            lines += ["", f"{row.command}", apart(row)]
    return "\n".join([*lines, "", counts(rows)])


def counts(rows: Sequence[Row]) -> str:
    """How many of each verdict."""
    found = Counter(row.verdict for row in rows)
    return ", ".join(f"{found[name]} {name}" for name in ("same", "differs", "accepted", "not simulated", "left out"))


def page(rows: Sequence[Row], date: str, system: str) -> str:
    """A page of docs/fidelity."""
    shown = [row for row in rows if row.verdict in ("differs", "accepted")]
    parts = {row.part: [two.verdict for two in rows if two.part == row.part] for row in rows if row.part != CAPTURED}
    good = [part for part, found in parts.items() if not {"differs", "left out"} & set(found)]
    reasons = Counter(row.why for row in rows if row.verdict in ("not simulated", "left out"))
    lines = [
        "# How the simulated host compares with a real one", "",
        "Written by `make fidelity HOST=root@address[:port]`, which asks both the same commands in the same order: the captured ones",
        "that can be repeated, and those that show what the simulator assumes. The host is as it was afterwards.", "",
        f"Last on {date}, with {system}: {counts(rows)}.", "",
        "## Differences", "", *([] if shown else ["None.", ""]),
    ]
    for row in shown:
        lines += [f"`{cut(row.command, 300)}`" + (f": accepted, {row.why}" if row.why else ""), "", "```diff", apart(row), "```", ""]
    lines += ["Lines with `-` are the simulated host's, with `+` the real one's.", ""] if shown else []
    lines += ["## Assumptions that the real host bears out", "", *(f"- {part}" for part in good), ""]
    lines += ["## Not compared", "", "| commands | why |", "|---|---|", *(f"| {number} | {why} |" for why, number in reasons.most_common())]
    return "\n".join(lines) + "\n"


def compare(guest: Guest, state: Dict[str, Any]) -> List[Row]:
    """Everything, on both."""
    with tempfile.TemporaryDirectory() as place:
        simulated = Simulated(replay.like(Path(place) / "captured", state, guest.zfs))
        rows = list(captured_rows(simulated, guest))
        guest.tidy()
        return rows + list(assumed_rows(guest, state, Path(place)))


def kept(rows: Sequence[Row], state: Dict[str, Any], system: str) -> str:
    """The real host's answers, for the tests: the simulated host is held against them."""
    answers = [
        {"shows": row.part, "cmd": row.command, "rc": row.real.rc, "stdout": row.real.out, "stderr": row.real.err}
        for row in rows if row.real is not None
    ]
    return json.dumps({"host": system, "state": state, "answers": answers}, indent=1) + "\n"


def leave(guest: Guest) -> List[str]:
    """Take all of it away, of a host that went away for a while too; what is not as it was."""
    for pause in (5, 20, 60):
        try:
            return guest.leave()
        except (RuntimeError, ValueError, OSError) as error:
            print(f"the host does not answer ({error}), trying again in {pause} s", file=sys.stderr)
            time.sleep(pause)
    return ["it does not answer any more; the next run takes away what is left"]


def main(words: Sequence[str]) -> int:
    """Compare, and tell; the exit code."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("host", help="root@address[:port]")
    parser.add_argument("--pool", default="", help="a dataset to make and work below, instead of a pool on a file")
    parser.add_argument("--beside", action="store_true", help="also where jails run")
    parser.add_argument("--save", type=Path, help="the directory to write the result to, a page for each release")
    parser.add_argument("--keep", type=Path, help="where to write the host's answers, for the tests")
    asked = parser.parse_args(words)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_told: sys.exit(1))
    guest = Guest(Remote(asked.host, "", None).ssh, asked.pool)
    if guest.recover():
        print(f"{asked.host}: took away what a run that was cut had left")
        guest = Guest(Remote(asked.host, "", None).ssh, asked.pool)
    guest.side.shell(f"mkdir -p {HOME}", b"")
    guest.zfs = guest.ask("kldstat", "-q", "-m", "zfs").rc == 0
    try:
        guest.refuse(asked.beside)
    except Refused as refusal:
        guest.side.shell(f"rmdir {HOME}", b"")
        print(f"{asked.host} is left alone: {refusal}", file=sys.stderr)
        return 2
    left: List[str] = []
    try:
        guest.settle()
        release = guest.must("freebsd-version", "-u").strip()
        system = f"FreeBSD {release} ({guest.must('uname', '-srm').strip()})"
        state = seen_state(guest)
        rows = compare(guest, state)
    finally:
        left = leave(guest)
    print(table(rows))
    if asked.save:
        asked.save.mkdir(parents=True, exist_ok=True)
        (asked.save / f"{release.partition('-p')[0]}.md").write_text(page(rows, datetime.date.today().isoformat(), system), encoding="utf-8")
    if asked.keep:
        asked.keep.write_text(kept(rows, state, system), encoding="utf-8")
    for line in left:
        print(f"the host is not as it was: {line}", file=sys.stderr)
    return 1 if left or any(row.verdict == "differs" for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
