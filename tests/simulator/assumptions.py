# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the simulated host does that no capture shows, and the commands that show it on any host.

Names are those of the captured host: ``/jails`` (the mount point of ``zroot``), a base tree in ``/jails/r151``, ``lo0``.
"""

from __future__ import annotations

import shlex
import textwrap
from dataclasses import dataclass
from typing import Tuple, Union


@dataclass(frozen=True)
class Step:
    """A command.

    :param line: its words, as sh(1) splits them; no shell sees it.
    :param where: ``both``, or on which host alone, and then nothing is compared: ``real`` or ``simulated``.
    :param pick: compare only lines and JSON rows with this pattern.
    """

    line: str
    stdin: str = ""
    where: str = "both"
    pick: str = ""


@dataclass(frozen=True)
class Assumption:
    """One behaviour.

    :param sentence: what is assumed, as the README lists it.
    :param shown_by: the commands that show it, in order; all are compared.
    :param why_not: why no command shows it.
    :param seen: the release on which a real host answered as assumed; then it is an assumption no longer.
    :param unless: a command that, where it succeeds, tells that the host uses for itself what the commands would change.
    :param undo: what a real host needs to be as it was, wherever the commands ended.
    """

    sentence: str
    shown_by: Tuple[Union[str, Step], ...] = ()
    why_not: str = ""
    seen: str = ""
    unless: str = ""
    undo: Tuple[str, ...] = ()

    @property
    def steps(self) -> Tuple[Step, ...]:
        """The commands."""
        return tuple(Step(step) if isinstance(step, str) else step for step in self.shown_by)


def real(line: str) -> Step:
    """A command that only a real host needs."""
    return Step(line, where="real")


def simulated(line: str) -> Step:
    """A command that only the simulated host needs."""
    return Step(line, where="simulated")


def write(path: str, text: str) -> Step:
    """Write a file."""
    return Step(f"tee {path}", stdin=text)


def piped(line: str) -> Step:
    """Commands joined by pipes, the last one's answer compared."""
    return Step(f"sh -c {shlex.quote(line)}")


def sent(dataset: str) -> Step:
    """What a stream made."""
    return Step(f"zfs list -H -r -t filesystem,snapshot -o name,mounted,receive_resume_token {dataset}")


BIG = "0123456789abcdef" * 5000
SEEN = "15.1-RELEASE-p1"
MASTER = "root:*:0:0::0:0:Charlie &:/root:/bin/sh\nops:$6$x$y:1001:1001::0:0:Ops:/home/ops:/bin/sh\n"
CONF = """\
f1 { path = "/jails/r151"; persist; mount.devfs; ip4.addr = "lo0|127.0.1.3/32"; }
linked { path = "/jails/f/linked"; persist; mount.devfs; }
unmade { path = "/jails/r151"; persist; mount = "/jails/f /jails/r151/no/such nullfs ro 0 0"; }
tabled { path = "/jails/r151"; persist; mount.fstab = "/jails/f/no.fstab"; }
full { path = "/jails/r151"; persist; mount.fstab = "/jails/f/fstab"; mount.devfs; mount.fdescfs; mount.procfs;
  ip6.addr = "lo0|fd00::7/128", "lo0|fd00::8"; host.hostname = full.example.org; }
undone { path = "/jails/r151"; ip4.addr = "lo0|127.0.1.4/32"; mount.devfs; exec.start = "/usr/bin/false"; }
"""
CLEAN = 'clean { path = "/jails/f/n"; persist; exec.clean; exec.stop = "/bin/true"; }\n'
GONE = """\
gone { path = "/jails/r151"; exec.poststop = "ifconfig lo0 inet 127.0.1.3/32 alias"; exec.release = "ifconfig lo0 inet 127.0.1.4/32 alias"; }
"""
SET = """\
set { path = "/jails/r151"; persist; mount.devfs; exec.clean; exec.consolelog = "/jails/log"; exec.start = "/bin/sh /etc/rc"; }
"""
LEGACY = """\
jail_fidelity2_rootdir="/jails/r151"
jail_fidelity2_hostname="fidelity2.example.org"
jail_fidelity2_ip="lo0|127.0.1.3/32,lo0|127.0.1.4"
jail_fidelity2_exec_start="/usr/bin/true"
jail_fidelity2_exec_stop="/usr/bin/true"
jail_fidelity2_fstab="/jails/f/fstab"
jail_fidelity2_devfs_enable="YES"
jail_fidelity2_devfs_ruleset="4"
jail_fidelity2_procfs_enable="YES"
jail_fidelity2_sysvipc_allow="YES"
jail_fidelity2_parameters="persist allow.raw_sockets securelevel=2"
"""
DAEMONS = r"^ *[1-9]\d* .*/usr/sbin/(cron|syslogd) "
MOUNTS = "mount --libxo json"
ADDRESSES = "ifconfig -a -f inet:cidr,inet6:cidr"
IPC = "jls --libxo json -n name allow.sysvipc sysvmsg sysvsem sysvshm"
DATASETS = "zfs list -Hp -r -t filesystem,volume,snapshot -o name,type,origin,quota,mountpoint,mounted,cellblock:jail zroot"

ASSUMPTIONS: Tuple[Assumption, ...] = (
    Assumption(
        "`/etc/rc` in a jail leaves cron, and syslogd where the jail has an address; a jail in which nothing is left goes when it "
        "does not persist.",
        (
            'jail -c name=f1 path=/jails/r151 "ip4.addr=lo0|127.0.1.3" mount.devfs exec.clean exec.consolelog=/jails/log '
            '"exec.start=/bin/sh /etc/rc"',
            "jls -c -j f1", Step("ps ax -o jid,pid,command", pick=DAEMONS),
            Step("sockstat --libxo json -4 -6 -l", pick="127.0.1.3.*514"), "jail -R f1", "umount /jails/r151/dev",
            'jail -c name=f1 path=/jails/r151 mount.devfs exec.clean exec.consolelog=/jails/log "exec.start=/bin/sh /etc/rc"',
            "jls -c -j f1", Step("ps ax -o jid,pid,command", pick=DAEMONS),
            "jail -c name=f2 path=/jails/r151 exec.start=/usr/bin/true", "jls -c -j f2",
            "jail -c name=f3 path=/jails/r151 exec.start=/usr/bin/false persist", "jls -c -j f3",
            "jexec -l f1 /usr/bin/true", "jexec -l f1 /usr/bin/false", "jexec -l f1 /no/such",
        ),
        seen=SEEN,
    ),
    Assumption(
        "inetd listens for the services of its file, on the address of its last `-a`, since its last start.",
        (
            write("/jails/f/inetd.conf", "ftp stream tcp nowait root /usr/libexec/ftpd ftpd -l\n"),
            write("/etc/rc.conf.d/inetd", 'inetd_flags="-a 127.0.0.1 /jails/f/inetd.conf"\n'),
            "service inetd onestart", real("sleep 2"), Step("sockstat --libxo json -4 -6 -l", pick='"inetd"'),
            "service inetd onestatus", "service inetd onerestart", real("sleep 2"),
            Step("sockstat --libxo json -4 -6 -l", pick='"inetd"'), "service inetd onestop",
            Step("sockstat --libxo json -4 -6 -l", pick='"inetd"'), "service inetd onestop", "service inetd onestatus",
            "service inetd onerestart", "service inetd onestop",
        ),
        seen=SEEN,
        unless="service inetd onestatus",
        undo=("service inetd onestop",),
    ),
    Assumption(
        "rpcbind listens on the addresses of its `-h` and on the loopback ones.",
        (
            write("/etc/rc.conf.d/rpcbind", 'rpcbind_flags="-h 127.0.0.1"\n'), "service rpcbind onestart", real("sleep 2"),
            Step("sockstat --libxo json -4 -6 -l", pick='"port": 111[,}]'), write("/etc/rc.conf.d/rpcbind", ""),
            "service rpcbind onerestart", real("sleep 2"), Step("sockstat --libxo json -4 -6 -l", pick='"port": 111[,}]'),
            "service rpcbind onestop", Step("sockstat --libxo json -4 -6 -l", pick='"port": 111[,}]'),
        ),
        seen=SEEN,
        unless="service rpcbind onestatus",
        undo=("service rpcbind onestop",),
    ),
    Assumption(
        "mountd listens on the addresses of its `-h` and on the loopback ones; nfsd on those of its `-h`, the kernel for UDP.",
        why_not="It would make the host an NFS server.",
        seen=f"{SEEN}, by hand",
    ),
    Assumption(
        "sshd moves its sockets at a reload; syslogd listens on the addresses of its `-b` after a restart.",
        why_not="It could cut the connection that asks, and lose messages.",
        seen=f"{SEEN}, by hand",
    ),
    Assumption(
        "sendmail listens on all addresses; ntpd on those of `interface listen` in `ntp.conf`.",
        why_not="They are not in the base of every host, and would talk to others.",
    ),
    Assumption(
        "`zfs destroy` of a dataset that a dying jail stands on is refused as busy, as are another name and another place for it; "
        "`jls -j` says that the jail is dying. `zfs unmount -f` takes it from the jail.",
        (
            "zfs create zroot/dead", "jail -c name=dead path=/jails/dead persist", simulated("linger"),
            # A process in the jail that nobody waits for keeps it dying.
            real("sh -c '(jexec dead /no/such & exec sleep 20) >/dev/null 2>&1 </dev/null & sleep 3'"),
            "jail -R dead", "zfs destroy zroot/dead", "zfs rename zroot/dead zroot/deader", "zfs set mountpoint=none zroot/dead",
            "jls -j dead jid", "zfs unmount zroot/dead", "zfs unmount -f zroot/dead", "zfs mount zroot/dead", "zfs rename zroot/dead zroot/deader",
            "zfs rename zroot/deader zroot/dead", "jls -c -j dead", "jls -d --libxo json -n name dying", real("sleep 20"),
            "jls -d --libxo json -n name dying", "zfs destroy zroot/dead",
        ),
        seen=SEEN,
    ),
    Assumption(
        "`zfs destroy` of a dataset with a jail or a mount in it is refused as busy.",
        (
            "zfs create zroot/held", "jail -c name=held path=/jails/held persist", "zfs destroy zroot/held", "jail -R held",
            "mkdir /jails/held/dev", "mount -t devfs . /jails/held/dev", "zfs destroy zroot/held", "umount /jails/held/dev",
            "zfs destroy zroot/held", "test -e /jails/held",
        ),
        seen=SEEN,
    ),
    Assumption(
        "Datasets: properties of users are inherited, by snapshots too; a renamed one moves its mount and its snapshots; "
        "newer snapshots stop a rollback; parents must be there.",
        (
            "zfs create zroot/no/such", "zfs create no/such",
            "zfs create -o cellblock:jail=web -o quota=1g zroot/one", "zfs create zroot/one/below", "zfs snapshot zroot/one@first",
            "zfs snapshot zroot/one@second", "zfs clone -o cellblock:jail=db zroot/one@first zroot/two", DATASETS,
            "zfs list -Hp -t snapshot -d 1 -o name -S createtxg zroot/one", "zfs list -Hp -t snapshot -d 1 -o name zroot/two",
            "zfs rollback zroot/one@first", "zfs rollback zroot/one@second", "zfs destroy zroot/one@first", "zfs destroy zroot/one",
            "zfs rename zroot/one zroot/three", DATASETS, MOUNTS, "zfs inherit cellblock:jail zroot/two",
            "zfs set quota=none zroot/three", "zfs set cellblock:jail=www zroot/three", DATASETS,
            "zfs create -o mountpoint=/jails/f/mine zroot/mine", "zfs set mountpoint=/jails/f/other zroot/mine", MOUNTS,
            "zfs destroy zroot/mine", "zfs destroy zroot/two", "zfs list -Hp -o name zroot/two",
        ),
        seen=SEEN,
    ),
    Assumption(
        "`pwd_mkdb -p -d DIR FILE` moves FILE to `DIR/master.passwd` (read in its source).",
        (
            write("/jails/f/new", MASTER), "pwd_mkdb -p -d /jails/f /jails/f/new", "ls -A /jails/f", "cat /jails/f/passwd",
            "cat /jails/f/master.passwd", write("/jails/f/new", MASTER + "half:\n"), "pwd_mkdb -p -d /jails/f /jails/f/new",
        ),
        seen=SEEN,
    ),
    Assumption(
        "`rm -x` leaves what is mounted below, and `rm` leaves files flagged `schg`, removing the rest of the tree.",
        (
            "mkdir -p /jails/f/a/b", "touch /jails/f/a/b/held", "chflags schg /jails/f/a/b/held", "mkdir /jails/f/a/free",
            "rm -rx -- /jails/f/a", "ls -A /jails/f/a", "rm -f -- /jails/f/a/b/held", "chflags -R -x 0 /jails/f/a",
            "rm -rx -- /jails/f/a", "test -e /jails/f/a", "rm -- /jails/f/a", "rm -f -- /jails/f/a",
            "mkdir -p /jails/f/c/m /jails/f/kept", "touch /jails/f/kept/file", "mount -t nullfs /jails/f/kept /jails/f/c/m",
            "rm -rx -- /jails/f/c", "ls -A /jails/f/kept", "umount /jails/f/c/m", "rm -rx -- /jails/f/c", "test -e /jails/f/c",
        ),
        seen=SEEN,
    ),
    Assumption(
        "`mount --libxo json` lists `read-only` for nullfs mounts with `ro`, and `local` for all but devfs and fdescfs.",
        (
            "mkdir -p /jails/f/n /jails/f/src /jails/f/t /jails/f/d /jails/f/p", "mount -t nullfs -o ro /jails/f/src /jails/f/n",
            "mount -t tmpfs tmpfs /jails/f/t", "mount -t devfs -o ruleset=4 . /jails/f/d", "mount -t fdescfs . /jails/f/d/fd",
            "mount -t procfs . /jails/f/p", MOUNTS, "umount /jails/f/d", "umount /jails/f/d/fd", "umount /jails/f/d",
            "umount /jails/f/d", "umount /jails/f/none", "umount /jails/f/p", "umount /jails/f/t", "umount /jails/f/n",
            "mount -t nullfs /jails/f/src /jails/f/none", "mount -t nullfs /jails/f/none /jails/f/n",
            "mount -t tmpfs tmpfs /jails/f/none", MOUNTS,
        ),
        seen=SEEN,
    ),
    Assumption(
        "A directory cannot be mounted by nullfs twice on one place.",
        (
            "mkdir -p /jails/f/src /jails/f/n", "mount -t nullfs /jails/f/src /jails/f/n", "mount -t nullfs /jails/f/src /jails/f/n",
            "umount /jails/f/n", "umount /jails/f/n",
        ),
        seen=SEEN,
    ),
    Assumption(
        "`jail -f`: a start that fails is undone whole, and names the component that is a link or absent; a stop goes on after "
        "what is gone already, and answers 1.",
        (
            write("/jails/f/conf", CONF), "mkdir /jails/f/linked /jails/f/far", "ln -s /jails/f/far /jails/f/linked/dev",
            "jail -f /jails/f/conf -c linked", "jail -f /jails/f/conf -c unmade", "jail -f /jails/f/conf -c tabled",
            "jail -f /jails/f/conf -c undone", "jls -c -j undone", MOUNTS, ADDRESSES,
            "jail -f /jails/f/conf -c f1", "ifconfig lo0 inet 127.0.1.3 -alias", "jail -f /jails/f/conf -r f1", "jls -c -j f1", MOUNTS,
            "jail -f /jails/f/conf -c f1", "umount /jails/r151/dev", "jail -f /jails/f/conf -r f1", "jls -c -j f1", ADDRESSES,
            "jail -f /jails/f/conf -r f1", "jail -f /jails/f/conf -c none", "jail -f /jails/f/none -c f1",
        ),
        seen=SEEN,
    ),
    Assumption(
        "`jail -f`: mounts of a table, devfs, fdescfs and procfs come and go with the jail, in this order, and addresses of "
        "IPv6 too.",
        (
            write("/jails/f/conf", CONF), "mkdir /jails/f/src", "mkdir -p /jails/r151/mnt/one",
            write("/jails/f/fstab", "/jails/f/src /jails/r151/mnt/one nullfs ro 0 0\ntmpfs /jails/r151/tmp tmpfs rw 0 0\n"),
            "jail -f /jails/f/conf -c full", "jls --libxo json -n name ip6 ip6.addr host.hostname", MOUNTS, ADDRESSES,
            "jail -f /jails/f/conf -c full", "jail -f /jails/f/conf -m full", "jail -f /jails/f/conf -r full", MOUNTS, ADDRESSES,
            "ifconfig lo0 inet6 fd00::7 -alias", "ifconfig lo0 inet6 fd00::7/128 alias", "ifconfig lo0 inet6 fd00::7/128 alias",
            ADDRESSES, "ifconfig lo0 inet6 fd00::7 -alias", ADDRESSES,
        ),
        seen=SEEN,
    ),
    Assumption(
        "A clean command in a jail needs the jail's own user database; `jail -f -` reads a definition from its input.",
        (
            "mkdir -p /jails/f/n/bin /jails/f/n/etc", write("/jails/f/n/etc/passwd", "root:*:0:0::/root:/bin/sh\n"),
            write("/jails/f/conf", CLEAN), "jail -f /jails/f/conf -c clean", "jail -f /jails/f/conf -r clean", "jls -j clean name",
            Step("jail -f - -r clean", stdin='clean { path = "/jails/f/n"; persist; }\n'), "jls -j clean name",
        ),
        seen=SEEN,
    ),
    Assumption(
        "`jail -rC` runs what follows a stop, for a jail that is gone.",
        (
            write("/jails/f/conf", GONE), "jail -f /jails/f/conf -rC gone", ADDRESSES, "jail -f /jails/f/conf -r gone",
            "ifconfig lo0 inet 127.0.1.3 -alias", "ifconfig lo0 inet 127.0.1.4 -alias",
        ),
        seen=SEEN,
    ),
    Assumption(
        "An empty list of addresses given to `jail -m` takes them all away; a child's number of children counts.",
        (
            "jail -c name=f1 path=/jails/r151 persist ip4.addr=127.0.1.3 children.max=2", "jail -m name=f1 ip4.addr=127.0.1.4,127.0.1.5",
            "jls --libxo json -n name ip4.addr", "jail -m name=f1 ip4.addr=", "jls --libxo json -n name ip4 ip4.addr",
            "jail -c name=f1.kid path=/jails/r151 persist", "jls --libxo json -n name parent children.cur", "jail -R f1.kid",
            "jls --libxo json -n name parent children.cur", "jail -m name=f1 allow.raw_sockets=true securelevel=1 host.hostname=new",
            "jls --libxo json -n name securelevel allow.raw_sockets host.hostname", "jail -R f1", "jls -d --libxo json -n name dying",
        ),
        seen=SEEN,
    ),
    Assumption(
        "`allow.sysvipc` gives a jail the host's System V IPC, and takes it, where the parameters for its kinds say nothing.",
        (
            "jail -c name=f1 path=/jails/r151 persist allow.sysvipc", IPC, "jail -m name=f1 allow.nosysvipc", IPC,
            "jail -m name=f1 sysvmsg=new", IPC, "jail -m name=f1 allow.sysvipc=true", IPC, "jail -R f1",
            "jail -c name=f1 path=/jails/r151 persist allow.sysvipc sysvshm=new", IPC, "jail -R f1",
            "jail -c name=f1 path=/jails/r151 persist sysvshm=new", IPC,
        ),
        seen=SEEN,
    ),
    Assumption(
        "An interface given to a jail is the host's again when the jail goes, without its addresses.",
        (
            "ifconfig epair create", "ifconfig epair0b inet 10.9.0.2/24", "jail -c name=f1 path=/jails/r151 vnet persist vnet.interface=epair0b",
            "ifconfig epair0b", "jail -R f1", real("sleep 3"), "ifconfig -f inet:cidr epair0b", "ifconfig epair0a destroy", "ifconfig epair0b",
        ),
        seen=SEEN,
    ),
    Assumption(
        "`service jail onestart NAME` reads `/etc/jail.conf.d/NAME.conf`, and answers 0 whatever happens.",
        (
            write("/etc/jail.conf.d/fidelity1.conf", 'fidelity1 { path = "/jails/r151"; persist; mount.devfs; }\n'),
            "service jail onestart fidelity1", "jls --libxo json -n name path", "service jail onestart fidelity1", "service jail oneconfig fidelity1",
            "service jail onestop fidelity1", "jls -c -j fidelity1", MOUNTS, "service jail onestop fidelity1",
        ),
        seen=SEEN,
    ),
    Assumption(
        "rc.d/jail starts what `jail_NAME_*` variables say, with its own defaults, and warns that they are obsolete.",
        (
            write("/jails/f/fstab", "/jails/f /jails/r151/mnt nullfs ro 0 0\n"), write("/etc/rc.conf.d/jail", LEGACY),
            "service jail onestart fidelity2", "jls --libxo json -n", MOUNTS, ADDRESSES, "service jail oneconfig fidelity2",
            "service jail onestop fidelity2", "jls --libxo json -n name", MOUNTS, ADDRESSES,
        ),
        seen=SEEN,
    ),
    Assumption(
        "Rulesets: one that is not there can be deleted; its rules show in devfs(8)'s own order.",
        (
            "devfs rule -s 100 delset", "devfs rule -s 100 add path bpf0 unhide group wheel mode 0640",
            "devfs rule -s 100 add include 1", "devfs rule -s 100 show", "mkdir /jails/f/d", "mount -t devfs -o ruleset=4 . /jails/f/d",
            "devfs -m /jails/f/d rule -s 100 applyset", "devfs rule -s 100 delset", "devfs rule -s 100 show", "devfs rule showsets",
            "umount /jails/f/d",
        ),
        seen=SEEN,
    ),
    Assumption(
        "Rules of rctl(8) can be given several at once; an absent jail uses nothing.",
        (
            "jail -c name=f1 path=/jails/r151 persist", "rctl -a jail:f1:maxproc:deny=10 jail:f1:openfiles:deny=1k", "rctl",
            "rctl -u jail:f1 jail:f2", "rctl -r jail:f1:maxproc:deny=10 jail:f1:openfiles:deny=1024", "rctl",
            "rctl -r jail:f1:maxproc:deny=10", "jail -R f1",
        ),
        seen=SEEN,
    ),
    Assumption(
        "Whether a jail shares all of the host's addresses is settled when it is created.",
        (
            "jail -c name=f1 path=/jails/r151 persist ip4=inherit ip6=disable", "jail -m name=f1 ip4.addr=127.0.1.3", "jail -m name=f1 ip4=disable",
            "jail -m name=f1 ip4=inherit", "jail -m name=f1 ip6=inherit", "jail -m name=f1 ip6.addr=::1",
            "jls --libxo json -n name ip4 ip4.addr ip6 ip6.addr", "jail -R f1",
        ),
        seen=SEEN,
    ),
    Assumption(
        "`cpuset -l all` gives a jail all CPUs; `xargs -n 1 cpuset -g -j` goes on after an absent jail, and answers 1.",
        (
            "jail -c name=f1 path=/jails/r151 persist", "cpuset -l 0 -j f1", "cpuset -g -j f1", "cpuset -l all -j f1", "cpuset -g -j f1",
            Step("xargs -n 1 cpuset -g -j", stdin="f2\nf1\n"), "jail -R f1",
        ),
        seen=SEEN,
    ),
    Assumption(
        "What a start leaves running has a CPU set below the jail's: it narrows with that, never widens, and may not be left empty.",
        (
            write("/jails/f/conf", SET), "jail -f /jails/f/conf -c set",
            "cpuset -l 0 -j set", "cpuset -l 1 -j set", "cpuset -g -j set", "cpuset -l 0-1 -j set", "cpuset -l 1 -j set", "cpuset -g -j set",
            "ps -J none -o pid=", "cpuset -g -s 99999", "cpuset -g -i -p 99999999", "jail -f /jails/f/conf -r set",
        ),
        seen=SEEN,
    ),
    Assumption(
        "`sshd -t` refuses a line without a value in these words, and answers 255.",
        (write("/jails/f/sshd_config", "Port 22\nListenAddress\n"), "/usr/sbin/sshd -t -f /jails/f/sshd_config"),
        seen=SEEN,
    ),
    Assumption(
        "`sysctl` names an unknown variable, goes on with the others, and answers 1.",
        ("sysctl kern.racct.enable no.such net.fibs", "sysctl -n kern.features.vimage", "kldstat -q -m no_such", "kldstat -q -n no_such.ko"),
        seen=SEEN,
    ),
    Assumption(
        "`fetch` brings files by `file://`, and `sha256 -q` prints their digest alone.",
        (
            write("/jails/f/file", "one\ntwo\n"), "sha256 -q /jails/f/file", "fetch -q -r -F -T 30 -o /jails/f/part file:///jails/f/file",
            "cat /jails/f/part", "fetch -q -r -F -T 30 -o /jails/f/part file:///jails/f/none", "cat /jails/f/part", "uname -m", "uname -p",
        ),
        seen=SEEN,
    ),
    Assumption("Every kernel module that is asked for can be loaded.", why_not="A module that was loaded may not be unloadable."),
    Assumption(
        "Programs in a jail do nothing: they answer 0 when they exist, `false` answers 1.",
        why_not="What they answer is their own; on the simulated host none runs.",
    ),
    Assumption(
        "`depend` in a file starts what it names first, one after the other.",
        why_not="tests/captures/boot-cases.json has what a real host did.",
        seen=SEEN,
    ),
    Assumption(
        "Sizes of datasets and pools are constants; `du` counts the bytes of files.",
        why_not="Sizes are each host's own, and never compared.",
    ),
    Assumption(
        "A reboot loads `devfs.rules` and `rctl.conf`, then rc.d/jail starts what tests/captures/boot-cases.json shows.",
        why_not="It would take the host down.",
        seen=f"{SEEN}, by hand",
    ),
    Assumption("tar(1) and its words are those of the machine that simulates.", why_not="Nothing reads its words."),
    Assumption(
        "`zfs rollback` refuses while snapshots or bookmarks are newer; a snapshot of several datasets is all or none; `zfs get -s local all` "
        "lists what was set on a dataset itself.",
        (
            "zfs create zroot/f", "zfs create zroot/f/a", "zfs snapshot zroot/f@one zroot/f/a@one", "zfs snapshot zroot/f@two zroot/f/a@one",
            "zfs list -H -r -t snapshot -o name zroot/f", "zfs snapshot zroot/f@two", "zfs rollback zroot/f@one", "zfs bookmark zroot/f@two zroot/f#two",
            "zfs destroy zroot/f@two", "zfs rollback zroot/f@one", "zfs list -H -r -t bookmark -o name zroot/f", "zfs set cellblock:x=y zroot/f",
            "zfs get -Hp -s local -o property,value all zroot/f", "zfs set mountpoint=none zroot/f", "zfs rename zroot/f zroot/f:x",
            "zfs inherit mountpoint zroot/f:x", "zfs list -Hp -r -t filesystem -o name,mountpoint,mounted zroot/f:x",
        ),
        undo=("zfs destroy -r zroot/f:x", "zfs destroy -r zroot/f"),
        seen=SEEN,
    ),
    Assumption(
        "A received stream makes the same snapshot, with the same guid; a stream that is cut leaves nothing, or with `-s` what a token "
        "resumes; what is in the way of one is said in these words.",
        (
            "zfs create zroot/f", "zfs create -o quota=100m zroot/f/a", "zfs set cellblock:x=y zroot/f/a", write("/jails/f/a/data", BIG),
            "zfs snapshot zroot/f/a@one", piped("zfs send zroot/f/a@one | zfs receive -u zroot/f/b"), sent("zroot/f/b"),
            piped("zfs send zroot/f/a@one 2>/dev/null | zfs receive -u zroot/f/b"), piped("zfs send zroot/f/a@one 2>/dev/null | zfs receive -u zroot/f/no/b"),
            "zfs snapshot zroot/f/a@two", piped("zfs send -i @one zroot/f/a@two 2>/dev/null | zfs receive -u zroot/f/c"),
            piped("zfs send -i @one zroot/f/a@two | zfs receive -u zroot/f/b"), sent("zroot/f/b"),
            piped("zfs send -i @one zroot/f/a@two | zfs receive -u zroot/f/b"),
            piped("zfs send zroot/f/a@one 2>/dev/null | head -c 50000 | zfs receive -u zroot/f/p"), "zfs list -H -o name zroot/f/p",
            piped("zfs send zroot/f/a@one 2>/dev/null | head -c 50000 | zfs receive -s -u zroot/f/p"), sent("zroot/f/p"),
            piped("zfs send zroot/f/a@one 2>/dev/null | zfs receive -s -u zroot/f/p"), "zfs receive -A zroot/f/p", "zfs list -H -o name zroot/f/p",
            "zfs receive -A zroot/f/p", "zfs receive -A zroot/f/b",
            piped("zfs send -p zroot/f/a@two | zfs receive -u -o readonly=on -o canmount=noauto -x quota zroot/f/r"),
            "zfs get -Hp -o property,value,source readonly,canmount,quota,cellblock:x zroot/f/r",
            piped("zfs send -p zroot/f/a@two | zfs receive -u zroot/f/s"), "zfs get -Hp -o property,value,source quota,cellblock:x zroot/f/s",
            "zfs send zroot/f/a@none", "zfs send -i @none zroot/f/a@two", "zfs mount zroot/f/b", "zfs mount zroot/f/b", "ls /jails/f/b",
            write("/jails/f/b/more", "more\n"), write("/jails/f/a/new", "new\n"), "zfs snapshot zroot/f/a@three",
            piped("zfs send -i @two zroot/f/a@three 2>/dev/null | zfs receive -u zroot/f/b"), "zfs unmount zroot/f/b", "zfs unmount zroot/f/b",
        ),
        undo=("zfs destroy -r zroot/f",),
        seen=SEEN,
    ),
    Assumption(
        "A held snapshot is not destroyed; a bookmark stands for its snapshot as the start of an increment, and the words of both.",
        (
            "zfs create zroot/f", "zfs create zroot/f/a", "zfs snapshot zroot/f/a@one", piped("zfs send zroot/f/a@one | zfs receive -u zroot/f/b"),
            "zfs hold cellblock zroot/f/a@one", "zfs hold cellblock zroot/f/a@one", "zfs hold cellblock zroot/f/a@none", "zfs holds -H zroot/f/a@one",
            "zfs holds -H zroot/f/a", "zfs destroy zroot/f/a@one", "zfs release cellblock zroot/f/a@one", "zfs release cellblock zroot/f/a@one",
            "zfs bookmark zroot/f/a@one zroot/f/a#one", "zfs bookmark zroot/f/a@one zroot/f/a#one", "zfs destroy zroot/f/a@one",
            "zfs snapshot zroot/f/a@two", piped("zfs send -i zroot/f/a#one zroot/f/a@two | zfs receive -u zroot/f/b"), sent("zroot/f/b"),
            "zfs destroy zroot/f/a#one", "zfs destroy zroot/f/a#one",
        ),
        undo=("zfs release cellblock zroot/f/a@one", "zfs destroy -r zroot/f"),
        seen=SEEN,
    ),
    Assumption(
        "A key whose line in authorized_keys is `restrict,command=...` runs that command and no other; `ssh-keygen` makes a pair of them.",
        why_not="It takes two hosts; the cases of moves show it between two real ones.",
    ),
    Assumption("`zpool get all` lists the features of a pool.", why_not="They are each pool's own."),
    Assumption(
        "`canmount` cannot be inherited.",
        ("zfs create zroot/f", "zfs inherit canmount zroot/f"),
        undo=("zfs destroy zroot/f",),
        seen="14.0-STABLE",
    ),
    Assumption(
        "`cap_mkdb -f` and `services_mkdb -o` make the database that they are told; `nc -z` answers 0 when something listens.",
        why_not="What is in a database is each release's own; the cases of tests/acceptance show that they are made.",
    ),
    Assumption(
        "`freebsd-update` keeps a link `HASH-install` while anything is to be installed; a patch level takes one install, a release two.",
        why_not="It needs an update server; read in freebsd-update.sh of 15.1.",
    ),
)


def listed() -> str:
    """The list in the README: what no real host has shown yet."""
    points = [
        textwrap.fill(one.sentence, 118, initial_indent="- ", subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
        for one in ASSUMPTIONS if not one.seen
    ]
    return "\n".join(points) + "\n"


if __name__ == "__main__":
    print(listed(), end="")
