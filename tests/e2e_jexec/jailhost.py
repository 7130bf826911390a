# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host with jails, for the connection plugin: a mount namespace whose jails are real chroots.

Run as root: ``jailhost.py DIRECTORY PORT``. It unshares the mount namespace, lays jexec(8), jls(8) and
service(8) over /usr/sbin and a private /etc over /etc, and serves ssh with OpenSSH's own server. The jails
are described below DIRECTORY/jails, so that a test can stop one by writing a file. What lies in a jail
is this machine's userland, read-only, with a private /etc, /root, /home, /tmp and /var.

Assumed of FreeBSD beyond jexec(8)'s text: nothing; its messages are those of the captured commands.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Optional

SHARED = ("/usr", "/bin", "/sbin", "/lib", "/lib64")
USERS = {"operator": 2001, "wheelie": 2002, "guarded": 2003, "nobodyspecial": 2004, "cshell": 2005, "deploy": 2006, "asked": 2007, "free": 2008}
PASSWORD = "open sesame"

JEXEC = r"""#!/bin/sh
user= clean=
while getopts lnU:u: option; do
    case $option in U) user=$OPTARG ;; l) clean=yes ;; esac
done
shift $((OPTIND - 1))
name=$1; shift
jail=@STATE@/jails/$name
case $name in
*[!0-9]*) ;;
*) for one in @STATE@/jails/*; do [ "$(cat "$one/jid")" = "$name" ] && jail=$one; done ;;
esac
if [ "$(cat "$jail/state" 2>/dev/null)" != running ]; then
    case $name in *[!0-9]*) name="\"$name\"" ;; esac
    echo "jexec: jail $name not found" >&2
    exit 1
fi
[ "$(id -u)" = 0 ] || { echo "jexec: jail_attach(1): Operation not permitted" >&2; exit 1; }
root=$(cat "$jail/path"); ids=0:0; home=/root
if [ -n "$user" ]; then
    line=$(grep "^$user:" "$root/etc/passwd") || { echo "jexec: $user: no such user" >&2; exit 1; }
    ids=$(echo "$line" | cut -d: -f3,4); home=$(echo "$line" | cut -d: -f6)
    [ -z "$clean" ] || [ -d "$root$home" ] || { echo "jexec: chdir: $home: No such file or directory" >&2; exit 1; }
fi
[ -x "$root$1" ] || { echo "jexec: execvp: $1: No such file or directory" >&2; exit 1; }
# What would reach the jail: the environment, where it is, and the descriptors.
{ env; umask; pwd; for fd in /proc/$$/fd/*; do echo "fd ${fd##*/} $(readlink "$fd")"; done; } > @STATE@/entered
exec env -i PATH=/bin:/usr/bin TERM="${TERM:-dumb}" USER="${user:-root}" HOME="$home" SHELL=/bin/sh \
    /usr/sbin/chroot --userspec="$ids" --groups="${ids#*:}" "$root" "$@"
"""

JLS = r"""#!/bin/sh
printf '{"__version": "2", "jail-information": {"jail": ['
comma=
for jail in @STATE@/jails/*; do
    state=$(cat "$jail/state")
    case $state in running) dying=false ;; dying) dying=true ;; *) continue ;; esac
    printf '%s{"jid":"%s","name":"%s","path":"%s","dying":%s,"host.hostname":"%s","vnet":"inherit",' \
        "$comma" "$(cat "$jail/jid")" "${jail##*/}" "$(cat "$jail/path")" $dying "${jail##*/}.example.org"
    printf '"meta":"%s","ip4.addr":["10.0.0.%s"],"ip6.addr":[]}' "$(cat "$jail/meta")" "$(cat "$jail/jid")"
    comma=,
done
printf ']}}\n'
"""

SERVICE = r"""#!/bin/sh
# service jail onestart NAME: answers 0 whatever happened
[ "$1 $2" = "jail onestart" ] && [ ! -e "@STATE@/jails/$3/broken" ] && echo running > "@STATE@/jails/$3/state"
exit 0
"""

SUDOERS = """\
root ALL=(ALL:ALL) ALL
operator ALL=(root) NOPASSWD: /usr/sbin/jexec
deploy ALL=(root) NOPASSWD: /usr/local/libexec/cellblock-jexec
asked ALL=(root) /usr/local/libexec/cellblock-jexec
guarded ALL=(root) ALL
free ALL=(root) NOPASSWD: ALL
"""

DOAS = """\
permit nopass operator as root cmd /usr/sbin/jexec
permit nopass cshell as root cmd /usr/sbin/jexec
permit nopass deploy as root cmd /usr/local/libexec/cellblock-jexec
permit asked as root cmd /usr/local/libexec/cellblock-jexec
permit wheelie as root
permit nopass free as root
"""

# The list of the wrapper that host_prepare installs.
WRAPPER_LIST = "deploy web parent.child 4\nasked web\n"


def mount(*arguments: str) -> None:
    """mount(8)."""
    subprocess.run(["mount", *arguments], check=True)


def accounts(etc: Path, shell: str = "/bin/sh") -> None:
    """Users with a password, in a private /etc."""
    digest = subprocess.run(
        ["openssl", "passwd", "-6", "-stdin"], input=PASSWORD, text=True, check=True, capture_output=True
    ).stdout.strip()
    for name, number in USERS.items():
        login = shutil.which("tcsh") or "/bin/sh" if name == "cshell" and shell == "login" else "/bin/sh"
        for file, line in (
            ("passwd", f"{name}:x:{number}:{number}::/home/{name}:{login}"),
            ("group", f"{name}:x:{number}:"),
            ("shadow", f"{name}:{digest}:19000:0:99999:7:::"),
        ):
            with open(etc / file, "a", encoding="utf-8") as stream:
                stream.write(line + "\n")


def lay_packages(root: Path) -> None:
    """Programs that this machine lacks, unpacked by tests/tools.py, over /usr."""
    mount("-t", "overlay", "overlay", "-o", f"lowerdir={root}/usr:/usr", "/usr")


def lay_etc(state: Path, packages: Optional[Path]) -> None:
    """A private /etc for the host."""
    upper = state / "etc"
    mount("-t", "tmpfs", "none", str(upper))
    if packages is not None:
        shutil.copytree(packages / "etc", upper, symlinks=True, dirs_exist_ok=True)
    shutil.copytree("/etc", upper, symlinks=True, dirs_exist_ok=True)
    if not re.search("^sshd:", (upper / "passwd").read_text(), re.MULTILINE):  # as the package's own script makes it
        with open(upper / "passwd", "a", encoding="utf-8") as stream:
            stream.write("sshd:x:2022:65534::/run/sshd:/usr/sbin/nologin\n")
    accounts(upper, "login")
    digest = next(
        line.split(":")[1] for line in (upper / "shadow").read_text().splitlines() if line.startswith("guarded:")
    )
    shadow = (upper / "shadow").read_text()
    (upper / "shadow").write_text(re.sub(r"^root:[^:]*", lambda _found: f"root:{digest}", shadow, flags=re.MULTILINE))
    (upper / "sudoers").write_text(SUDOERS)
    (upper / "sudoers").chmod(0o440)
    (upper / "doas.conf").write_text(DOAS)
    (upper / "jail.conf.d").mkdir()
    mount("--bind", str(upper), "/etc")
    (state / "conf.d").mkdir()
    mount("--bind", str(state / "conf.d"), "/etc/jail.conf.d")


def lay_tools(state: Path) -> None:
    """FreeBSD's tools over /usr/sbin."""
    tools = state / "tools"
    tools.mkdir()
    for name, text in (("jexec", JEXEC), ("jls", JLS), ("service", SERVICE)):
        (tools / name).write_text(text.replace("@STATE@", str(state)))
        (tools / name).chmod(0o755)
    mount("-t", "overlay", "overlay", "-o", f"lowerdir={tools}:/usr/sbin", "/usr/sbin")


def lay_wrapper(state: Path) -> None:
    """The wrapper of jexec(8) as host_prepare installs it, over /usr/local."""
    local, files = state / "local", Path(__file__).parents[2] / "roles/host_prepare/files"
    for directory in ("bin", "etc", "libexec"):
        (local / directory).mkdir(parents=True)
    for name, mode in (("cellblock-jexec", 0o755), ("cellblock-jexec.py", 0o644)):
        shutil.copy(files / name, local / "libexec" / name)
        (local / "libexec" / name).chmod(mode)
    (local / "etc/cellblock-jexec.conf").write_text(WRAPPER_LIST)
    (local / "bin/python3").symlink_to(f"{sys.base_prefix}/bin/python3")
    mount("-t", "overlay", "overlay", "-o", f"lowerdir={local}:/usr/local", "/usr/local")


def furnish(state: Path, name: str, number: int) -> None:
    """A jail's root: this machine's programs, and the rest its own."""
    jail = state / "jails" / name
    root = state / "roots" / name
    jail.mkdir(parents=True)
    for file, text in (("jid", str(number)), ("path", str(root)), ("state", "running"), ("meta", "tags=web,blue")):
        (jail / file).write_text(text)
    for directory in ("dev", "proc", "root", "home", "tmp", "var/tmp", "run"):
        (root / directory).mkdir(parents=True)
    (root / "tmp").chmod(0o1777)
    shutil.copytree(
        "/etc", root / "etc", symlinks=True, ignore=shutil.ignore_patterns("ssh", "doas.conf", "jail.conf.d")
    )
    (root / "etc/sudoers").chmod(0o640)
    (root / "etc/sudoers").write_text("root ALL=(ALL:ALL) ALL\noperator ALL=(ALL) ALL\n")
    (root / "etc/sudoers").chmod(0o440)
    (root / "etc/doas.conf").write_text("permit nopass operator\n")
    for user, uid in USERS.items():
        if user != "nobodyspecial":
            (root / "home" / user).mkdir()
            os.chown(root / "home" / user, uid, uid)
    for shared in (*SHARED, sys.base_prefix):
        if os.path.islink(shared):
            os.symlink(os.readlink(shared), f"{root}{shared}")
        elif os.path.isdir(shared):
            os.makedirs(f"{root}{shared}", exist_ok=True)
            mount("--bind", shared, f"{root}{shared}")
    mount("--rbind", "/dev", str(root / "dev"))
    mount("-t", "proc", "proc", str(root / "proc"))


def serve(state: Path, port: int) -> None:
    """OpenSSH's server, in the foreground, in this namespace."""
    os.makedirs("/run/sshd", exist_ok=True)
    for user, uid in USERS.items():
        home = state / "home" / user
        home.mkdir(parents=True)
        os.chown(home, uid, uid)
    mount("--bind", str(state / "home"), "/home")
    config = state / "sshd_config"
    config.write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {state}/host_key\nAuthorizedKeysFile {state}/key.pub\n"
        f"UsePAM no\nStrictModes no\nPermitRootLogin yes\nPasswordAuthentication yes\nPidFile {state}/sshd.pid\n"
        "MaxSessions 10\nMaxStartups 10:30:100\nSubsystem sftp internal-sftp\nLogLevel VERBOSE\n"
    )
    os.execv("/usr/sbin/sshd", ["/usr/sbin/sshd", "-D", "-f", str(config), "-E", f"{state}/sshd.log"])


def main() -> None:
    """Set everything up and serve."""
    state, port, names = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
    if os.environ.get("JAILHOST_INSIDE") is None:
        os.environ["JAILHOST_INSIDE"] = "1"
        os.execvp("unshare", ["unshare", "--mount", "--propagation", "private", sys.executable, *sys.argv])
    (state / "etc").mkdir()
    packages = Path(os.environ["CELLBLOCK_TOOLS"]) if os.environ.get("CELLBLOCK_TOOLS") else None
    if packages is not None:
        lay_packages(packages)
    lay_etc(state, packages)
    lay_tools(state)
    lay_wrapper(state)
    for number, name in enumerate(names, 1):
        furnish(state, name, number)
    serve(state, port)


if __name__ == "__main__":
    main()
