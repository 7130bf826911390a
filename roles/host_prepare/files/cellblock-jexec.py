# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""jexec(8) for listed jails, started as root by doas(1) or sudo(8); see docs/jexec.md.

The caller is not trusted, and neither is the jail. No descriptor of the caller reaches the jail: through a socket of
the caller's the jail could be handed a directory of the host, and through a terminal of the caller's it could type
commands. So what runs inside has pipes that belong to root, or a terminal of its own, and this program copies.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pwd
import re
import resource
import select
import signal
import stat
import sys
import termios
import threading
import time
import tty
from typing import List, Mapping, NamedTuple, NoReturn, Tuple

CONF = "/usr/local/etc/cellblock-jexec.conf"
JEXEC = "/usr/sbin/jexec"
PATH = "/sbin:/bin:/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin"
CHUNK = 1 << 16
GRACE, TICK, NEVER = 5.0, 1.0, float("inf")
USAGE, FAILED, NO_ACCESS = 64, 71, 77
# No jid: the kernel gives it to another jail one day.
JAIL = re.compile(r"(?![0-9]+\Z)[A-Za-z0-9_][A-Za-z0-9_.:+-]*\Z")
USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*\$?\Z")
MARK = re.compile(r"cellblock-[a-z]+-[0-9a-f]{16,64}\Z")
GONE = select.POLLHUP | select.POLLERR | select.POLLNVAL


def refuse(message: str, code: int = NO_ACCESS) -> NoReturn:
    """Say why not, and end."""
    print(f"cellblock-jexec: {message}", file=sys.stderr)
    raise SystemExit(code)


# -- who may do what


class Wish(NamedTuple):
    """What the caller asks for.

    :param mark: a line to print before the jail is entered; what comes after it may come from the jail.
    """

    clean: bool
    user: str
    mark: str
    jail: str
    command: List[str]


def read_wish(words: List[str]) -> Wish:
    """The arguments: [-l] [-U user] [-m mark] jail [command ...]; nothing else of jexec(8)'s."""
    given = {"-U": "", "-m": ""}
    clean = False
    while words and words[0].startswith("-"):
        word, *words = words
        if word == "-l":
            clean = True
        elif word in given and words:
            given[word], *words = words
        else:
            refuse("usage: cellblock-jexec [-l] [-U user] [-m mark] jail [command ...]", USAGE)
    if not words or not JAIL.match(words[0]):
        refuse("give the name of a jail; a jid is none", USAGE)
    if given["-U"] and not USER.match(given["-U"]):
        refuse("what follows -U is not a user's name", USAGE)
    if given["-m"] and not MARK.match(given["-m"]):
        refuse("what follows -m is not a mark", USAGE)
    return Wish(clean, given["-U"], given["-m"], words[0], words[1:])


def caller(environment: Mapping[str, str]) -> str:
    """Who called. doas and sudo each set their own and take the other's away; both at once would be an invention."""
    names = [environment[key] for key in ("DOAS_USER", "SUDO_USER") if environment.get(key)]
    if os.geteuid() != 0 or len(names) != 1:
        refuse("run it through doas or sudo")
    try:
        pwd.getpwnam(names[0])
    except KeyError:
        refuse("nobody knows who called")
    return names[0]


def allowed(who: str) -> List[str]:
    """The jails that a user may enter."""
    try:
        with open(CONF, encoding="utf-8") as stream:
            about = os.fstat(stream.fileno())
            if not stat.S_ISREG(about.st_mode) or about.st_uid != 0 or about.st_mode & 0o022:
                refuse(f"{CONF} must belong to root, and nobody else may write to it")
            lines = [line.split("#", 1)[0].split() for line in stream]
    except (OSError, UnicodeDecodeError) as error:
        refuse(f"{CONF}: {error}")
    return [jail for words in lines if words and words[0] == who for jail in words[1:] if JAIL.match(jail)]


# -- the child


class Ends(NamedTuple):
    """Our ends of what the child has: where to write its input, and where to read its output from, each once."""

    given: int
    told: Tuple[Tuple[int, int], ...]
    terminal: bool


def only_the_first_three() -> None:
    """No descriptor beyond the first three, and each of those open."""
    os.closerange(3, 1 << 22)
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


def start(argv: List[str]) -> Tuple[int, Ends]:
    """Start a program with pipes, or with a terminal of its own where the caller's input is one."""
    master, slave = -1, -1
    if os.isatty(0):
        master, slave = os.openpty()
        copy_size(master)
    theirs, ours = [], []
    for number in range(3):
        if slave >= 0 and os.isatty(number):
            theirs.append(slave)
            ours.append(master)
        else:
            reader, writer = os.pipe()
            theirs.append(writer if number else reader)
            ours.append(reader if number else writer)
    child = os.fork()
    if child == 0:
        become(argv, theirs, slave >= 0)
    for descriptor in set(theirs):
        os.close(descriptor)
    told = {master: 0} if slave >= 0 else {}  # what is echoed goes to the caller's terminal, whatever else does
    told.update({ours[2]: 2})
    told.update({ours[1]: 1})
    return child, Ends(ours[0], tuple(told.items()), slave >= 0)


def become(argv: List[str], descriptors: List[int], terminal: bool) -> NoReturn:
    """In the child: a session of its own, three descriptors, nothing of the caller's."""
    try:
        os.setsid()
        if terminal:
            fcntl.ioctl(descriptors[0], termios.TIOCSCTTY, 0)
        for number, descriptor in enumerate(descriptors):
            os.dup2(descriptor, number)
        os.closerange(3, 1 << 22)
        for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
            with contextlib.suppress(OSError, ValueError):  # those that belong to libthr
                signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        os.umask(0o022)
        os.chdir("/")
        name = re.sub(r"[^A-Za-z0-9._-]", "", os.environ.get("TERM", "")) if terminal else ""
        os.execve(argv[0], argv, {"PATH": PATH, "HOME": "/root", "USER": "root", "TERM": name or "dumb"})
    except OSError as error:
        os.write(2, f"cellblock-jexec: {argv[0]}: {error.strerror}\n".encode())
    finally:
        os._exit(FAILED)


# -- copying


def write_all(descriptor: int, data: bytes) -> None:
    """Write it all; waits for as long as the reader does not read."""
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(descriptor, view) :]
        except BlockingIOError:  # the caller may have set its own descriptor so
            select.select([], [descriptor], [])


def give(source: int, target: int, terminal: bool) -> None:
    """Copy the caller's input until it ends, or nobody inside reads it any more; then pass that on."""
    poll = select.poll()
    poll.register(source, select.POLLIN)
    poll.register(target, 0)
    while True:
        ready = dict(poll.poll())
        if not terminal and ready.get(target, 0) & GONE:
            break
        try:
            data = os.read(source, CHUNK) if source in ready else b"-"
            if not data:
                break
            if source in ready:
                write_all(target, data)
        except BlockingIOError:
            continue
        except OSError:
            break
    if not terminal:
        os.close(target)
        os.dup2(os.open(os.devnull, os.O_RDWR), source)


def tell(source: int, target: int, ended: int, waker: int) -> None:
    """Copy what the child says until nobody inside can say more, and pass that on; after the child, what is there still.

    :param ended: can be read from when the child has ended.
    :param waker: wakes whoever listens to the target.
    """
    os.set_blocking(source, False)
    poll = select.poll()
    poll.register(source, select.POLLIN)
    poll.register(ended, select.POLLIN)
    while True:
        over = ended in dict(poll.poll())
        try:
            data = os.read(source, CHUNK)
            if not data:
                os.dup2(os.open(os.devnull, os.O_RDWR), target)
                os.write(waker, b"-")
                break
            write_all(target, data)
        except BlockingIOError:
            if over:
                break
        except OSError:  # the caller reads no more; or of a terminal, nobody holds the other end
            break
    os.close(source)


def say(mark: str) -> None:
    """A line on both of the caller's streams, once where both are its terminal."""
    for number in (1,) if os.isatty(1) and os.isatty(2) else (1, 2):
        write_all(number, mark.encode() + b"\n")


# -- the caller's terminal and signals


def copy_size(terminal: int) -> None:
    """Give a terminal the size of the caller's."""
    with contextlib.suppress(OSError):
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, fcntl.ioctl(0, termios.TIOCGWINSZ, bytes(8)))


def hears(descriptor: int) -> bool:
    """Whether somebody at the other end may go away."""
    mode = os.fstat(descriptor).st_mode
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or os.isatty(descriptor)


class Watch:
    """Waits for the child, passes signals on, and ends it when the caller is gone.

    :param child: the first process inside, which leads a group of its own.
    """

    def __init__(self, child: int, ends: Ends) -> None:
        self._child, self._deadline = child, NEVER
        self._wake, self.waker = os.pipe()
        os.set_blocking(self.waker, False)
        signal.set_wakeup_fd(self.waker, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_given: None)
        signal.signal(signal.SIGWINCH, lambda *_given: copy_size(ends.given) if ends.terminal else None)
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2):
            if signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, lambda given, _frame: self._send(given))

    def _send(self, number: int) -> None:
        """Signal the group; the child has not been waited for, so its number is nobody else's."""
        with contextlib.suppress(ProcessLookupError):
            if self._child:
                os.killpg(self._child, number)
        if number == signal.SIGHUP:
            self._deadline = min(self._deadline, time.monotonic() + GRACE)

    def status(self) -> int:
        """How the child ended."""
        poll = select.poll()
        poll.register(self._wake, select.POLLIN)
        listeners = {number for number in (1, 2) if hears(number)}
        for number in listeners:
            poll.register(number, 0)
        while True:
            found, status = os.waitpid(self._child, os.WNOHANG)
            if found:
                signal.set_wakeup_fd(-1)
                self._child = 0
                return status
            left = self._deadline - time.monotonic()
            if left <= 0:
                self._send(signal.SIGKILL)
                self._deadline, left = NEVER, NEVER
            # A socket that hangs up wakes nobody who asks for nothing else, so we look again and again.
            for number, _events in poll.poll(min(left, TICK) * 1000 + 1):
                if number == self._wake:
                    os.read(number, CHUNK)
                    continue
                poll.unregister(number)
                listeners.remove(number)
                if not listeners:
                    self._send(signal.SIGHUP)


def run(argv: List[str]) -> int:
    """Run a program and copy; how it ended."""
    child, ends = start(argv)
    watch = Watch(child, ends)
    over, ended = os.pipe()
    threading.Thread(target=give, args=(0, ends.given, ends.terminal), daemon=True).start()
    tellers = [threading.Thread(target=tell, args=(*pair, over, watch.waker), daemon=True) for pair in ends.told]
    for teller in tellers:
        teller.start()
    status = watch.status()
    os.close(ended)
    for teller in tellers:
        teller.join()
    return status


def leave(status: int) -> NoReturn:
    """End as the child did."""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if number not in (signal.SIGKILL, signal.SIGSTOP):
            signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        os._exit(128 + number)
    os._exit(os.WEXITSTATUS(status))


def main() -> None:
    """Check, enter, copy."""
    only_the_first_three()
    wish = read_wish(sys.argv[1:])
    who = caller(os.environ)
    if wish.jail not in allowed(who):
        refuse(f"{who} may not enter {wish.jail}")
    terminal = termios.tcgetattr(0) if os.isatty(0) else None
    words = [*(["-l"] if wish.clean else []), *(["-U", wish.user] if wish.user else []), wish.jail, *wish.command]
    try:
        if terminal:
            tty.setraw(0, termios.TCSANOW)
        if wish.mark:
            say(wish.mark)
        status = run([JEXEC, *words])
    except (OSError, termios.error) as error:
        refuse(str(error), FAILED)
    finally:
        if terminal:
            with contextlib.suppress(termios.error):  # it is gone
                termios.tcsetattr(0, termios.TCSANOW, terminal)
    leave(status)


if __name__ == "__main__":
    main()
