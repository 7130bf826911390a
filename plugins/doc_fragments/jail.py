# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of a jail, documented once: at the top of C(jail), in the list of C(jails)."""

from __future__ import annotations

import textwrap

_JAIL = r"""
name:
  description:
    - The jail's name, its key in C(jls) and everywhere.
    - Letters, digits, C(_) and C(-), beginning with a letter or C(_). A dot stands only between the name of a parent
      jail, which must run, and the name of its child.
  type: str
  required: true
state:
  description:
    - V(present) makes and defines the jail, and leaves it running or stopped as it is.
    - V(started) makes it run, V(stopped) makes it stop, V(restarted) stops and starts it at every call.
    - V(absent) stops it and removes what we made for it, and nothing else. A failing C(exec.prestop), a hook of the host,
      prevents that; a failing C(exec.stop), which is the jail's own, does not.
  type: str
  choices: [present, started, stopped, restarted, absent]
  default: started
root:
  description:
    - V(thin) mounts the base read-only by C(nullfs) at C(/basejail); C(/etc), C(/var), C(/root) and the like are the
      jail's own, everything else is links into the base, and so is what nobody edits in C(/etc), such as C(rc.d) and
      C(defaults).
    - V(clone) is a ZFS clone of the base's newest snapshot, V(thick) a full copy of the base.
    - V(empty) is an empty directory or dataset, V(existing) takes a directory as it is and never removes it.
    - A jail's root cannot become of another kind later.
  type: str
  choices: [thin, clone, thick, empty, existing]
  default: thin
base:
  description:
    - The base that the root is made of, by the name that M(cellblock.jails.basejail) gave it, or by its path.
  type: str
path:
  description:
    - The directory of the root on the host. C(storage_path)/C(name) by default.
  type: path
quota:
  description:
    - The most that the root's dataset may hold, such as C(10G). See zfsprops(7). Needs O(storage_dataset).
  type: str
reservation:
  description:
    - What the pool sets aside for the root's dataset, such as C(1G). Needs O(storage_dataset).
  type: str
hostname:
  description:
    - C(host.hostname) of the jail. Its name by default.
  type: str
interface:
  description:
    - The interface that carries the addresses which name none.
    - An address without any interface must be the host's already; it stays when the jail stops.
  type: str
ip4:
  description:
    - C(ip4.addr), a list of C([interface|]address[/prefix]), C(/32) by default. Addresses come and go with the jail;
      one that the host had before stays.
    - The one word V(inherit) shares all addresses of the host, V(none) gives none.
  type: list
  elements: str
ip6:
  description:
    - C(ip6.addr), likewise; C(/128) by default.
  type: list
  elements: str
vnet:
  description:
    - Gives the jail a network stack of its own.
  type: bool
  default: false
vnet_interfaces:
  description:
    - C(vnet.interface), interfaces of the host that move into the jail.
  type: list
  elements: str
params:
  description:
    - Any other parameter of jail(8) by its own name, such as C(allow.raw_sockets), C(children.max), C(securelevel).
    - C(persist) is true unless it is given here, so that a jail lives even when nothing runs in it.
  type: dict
exec:
  description:
    - Commands of jail(8) by what follows C(exec.), such as C(start), C(stop), C(prestart), C(poststop), each a
      string or a list.
    - C(start) is C(/bin/sh /etc/rc) and C(stop) C(/bin/sh /etc/rc.shutdown jail) unless the root is V(empty).
  type: dict
depend:
  description:
    - Jails that must run before this one; they are started first, and stand before it in C(jail_list).
  type: list
  elements: str
mounts:
  description:
    - What is mounted in the root, each a line as in fstab(5) with the mount point as a path of the host, or a
      dictionary of C(src), C(dest) (a path inside the jail), C(type) (C(nullfs) by default) and C(opts) (C(rw)).
    - The mount points must be there. A change waits until the jail restarts.
  type: list
  elements: raw
devfs_ruleset:
  description:
    - The ruleset of the jail's C(/dev), by name as in devfs.rules(5) or by number.
    - V(4) by default, C(devfsrules_jail); V(5) for a vnet jail.
  type: str
fib:
  description:
    - C(exec.fib), the routing table that the jail's processes start with, see setfib(1).
  type: int
cpuset:
  description:
    - The CPUs that the jail may use, such as C(0-3,6), see cpuset(1). A change reaches what runs in the jail already.
  type: str
limits:
  description:
    - Resource limits by the names of rctl(8), such as C(memoryuse), C(maxproc), C(pcpu). Each an amount (with C(k),
      C(m), C(g)), or a dictionary of C(amount) and C(action).
    - The action is C(deny), or C(throttle) for C(readbps), C(writebps), C(readiops) and C(writeiops).
  type: dict
networks:
  description:
    - The networks of the host that the jail joins, by the names that M(cellblock.jails.jail_networks) gave them. The jail
      has a network stack of its own then.
    - For each, an epair(4) is made when the jail starts, let into the network's bridge, and taken away when the jail
      stops, by hooks of the jail. A running jail keeps the networks that it was started with; see C(restart).
    - Addresses and routes are set by the jail's C(rc.conf), or from the host for an V(empty) root.
  type: list
  elements: dict
  suboptions:
    name:
      description:
        - The network.
      type: str
      required: true
    ip4:
      description:
        - An address of the network, with or without its prefix, or V(dhcp), which needs C(bpf).
      type: str
    ip6:
      description:
        - Likewise, or V(slaac).
      type: str
    gateway:
      description:
        - Whether packets for elsewhere go out here, by the network's gateway; or the addresses of other gateways.
      type: raw
    mac:
      description:
        - The MAC address. V(auto) derives one from the names of fleet, host, jail and network when the jail joins, which
          stays in the jail's mark.
      type: str
      default: auto
loopback:
  description:
    - V(true) gives a shared-stack jail a private address on C(lo1) as its first address, so that its localhost is its
      own. Otherwise 127.0.0.1 of such a jail is its first address, and answers outside.
    - An address takes the place of the derived one, which is below 127/8 and cannot reach out.
  type: str
bpf:
  description:
    - Whether a jail with a network stack of its own sees bpf(4), as DHCP and tcpdump(1) need.
  type: bool
nfsd:
  description:
    - Whether a jail with a network stack of its own may serve NFS. Its root must be a file system of its own.
  type: bool
firewall:
  description:
    - A firewall inside of a jail that has a network stack of its own. Its rules are checked before they are written, and
      the jail counts as started when it runs. The module is loaded on the host; for ipfw so that it denies nothing else.
    - The jail's tools must fit the kernel. An ipfw of another major version is refused, a pf warned of.
  type: dict
  suboptions:
    pf:
      description:
        - The jail's C(/etc/pf.conf), or the path of a file on the host that it is made from.
      type: str
    ipfw:
      description:
        - Likewise its C(/etc/ipfw.rules), without the leading C(ipfw); they follow those of C(/etc/rc.firewall).
      type: str
ports:
  description:
    - Ports of the host's addresses that lead to the jail, and of the jail's own addresses that are let through, by
      the host's firewall. With pf(4) rules stand in the anchor C(cellblock/j-NAME), with ipfw(4) in set 28. They
      change without a restart. Connections of a port that is no longer declared end.
    - No two jails, and no jail and a daemon of the host, can have the same.
  type: list
  elements: dict
  suboptions:
    proto:
      description:
        - The protocol.
      type: str
      choices: [tcp, udp]
      default: tcp
    port:
      description:
        - The port, or a range such as V(2000-2999).
      type: str
      required: true
    to:
      description:
        - The jail's port, or the first of its range. The same by default.
      type: int
    address:
      description:
        - The address that answers; one of the host, or the jail's own. IPv6 is not translated, and must be the jail's own.
      type: str
      required: true
    target:
      description:
        - The jail's address. Its first of that family by default.
      type: str
    interface:
      description:
        - Where packets come in. The interface that has the address by default.
      type: str
    from:
      description:
        - Who may connect, addresses and subnets. All by default.
      type: list
      elements: str
    reflect:
      description:
        - Whether jails of the network reach the port by the host's address too.
      type: bool
      default: false
bandwidth:
  description:
    - How much the jail may receive and send, held by dummynet(4). Needs fixed addresses; a jail on an uplink needs
      C(pfil_member) of its network.
  type: dict
  suboptions:
    in:
      description:
        - What it may receive, in bits a second, such as V(50M).
      type: str
    out:
      description:
        - What it may send.
      type: str
boot:
  description:
    - Whether the jail is in C(jail_list), and so starts when the host boots.
  type: bool
  default: true
boot_order:
  description:
    - Lower starts earlier; equals start in the order in which they are declared.
  type: int
  default: 100
boot_style:
  description:
    - V(jail_conf) defines the jail in C(/etc/jail.conf.d/NAME.conf), V(rc_conf) by C(jail_NAME_*) in C(/etc/rc.conf).
    - V(jail_conf) by default.
  type: str
  choices: [jail_conf, rc_conf]
rc_conf:
  description:
    - Variables of the jail's own C(/etc/rc.conf). A value of V(null) removes one.
  type: dict
resolv_conf:
  description:
    - The jail's C(/etc/resolv.conf). V(copy) copies the host's, V(none) removes it, anything else is its text.
  type: str
timezone:
  description:
    - The jail's time zone, such as C(Europe/Athens).
  type: str
root_password:
  description:
    - Root's password in the jail, as a crypt(3) hash, or V(*) to lock the account.
  type: str
aliases:
  description:
    - Entries of the jail's C(/etc/mail/aliases). newaliases(1) runs inside when the jail's mailer is sendmail.
  type: dict
authorized_keys:
  description:
    - The lines of root's C(.ssh/authorized_keys) in the jail, all of them.
  type: list
  elements: str
flavour:
  description:
    - A directory tree of the host that is laid over a new root, by path or by name below C(storage_path/flavours).
    - A file C(flavour.sh) at its top is run once inside the jail, and removed.
  type: str
copy_of:
  description:
    - A jail of this host that the root is a copy of when it is made; later it means nothing, and that jail can go.
    - C(root) and C(base) are what that jail's are; V(thick) is also a copy of a clone and of an existing root.
    - The copy has an identity of its own. Its addresses must be others, and so must its C(host.hostuuid), C(host.hostid) and
      C(hostname) when they are named; its MAC addresses are. The keys of sshd, C(/etc/hostid), C(/etc/machine-id), leases of DHCP,
      stored entropy and what is in C(/var/run) are not copied.
    - With ZFS the copy is what a power cut would leave of a running jail. Without it files are copied one by one; what a running jail
      writes meanwhile may come in any state, so stop it first where that matters. Datasets below the jail's own are not copied.
  type: str
copy_hook:
  description:
    - A command and its words, run once in the copy before anything else of it, in a jail without a network. For what services
      know themselves by, such as the identity of a database. When it fails, there is no copy.
  type: list
  elements: str
packages:
  description:
    - Packages that are installed inside with pkg(8) of the host when they join this list.
  type: list
  elements: str
restart:
  description:
    - What happens when a running jail cannot take a change. V(never) tells in RV(jails) what waits for a restart,
      V(if_needed) restarts it then, V(always) restarts it at every change of its definition.
    - A change of one jail never restarts another.
  type: str
  choices: [never, if_needed, always]
  default: never
adopt:
  description:
    - Takes over a jail that is defined or running already, and was not made by us. It goes on running.
    - The definition in C(/etc/jail.conf.d/NAME.conf), or the variables C(jail_NAME_*) in C(/etc/rc.conf), make place for ours,
      as check mode and diff show beforehand. A block in C(/etc/jail.conf) stays, with a warning. What rc.d/jail would read in
      place of ours is an error.
    - Nothing is lost by it. What the old definition says and the declaration does not is named, and the taking over refused, and
      so it is where the file defines other jails too. A fixed C(jid) stays. Variables such as C(jail_NAME_flags) stay and count.
  type: bool
  default: false
was:
  description:
    - The name that the jail had. Where a jail of ours has that name, and none has this one, everything of it comes to its new
      name, in one plan with all else that is declared. It stops for that, and what fails is taken back, see C(docs/move.md).
    - Jails nested in it go along, and what depends on it is told. Once it is done nothing is left to do, and the option may stay.
    - Where both names are there, it is refused. Where neither is, the jail is made.
  type: str
destroy_snapshots:
  description:
    - Where it is V(absent), lets snapshots of the jail's own dataset go with it.
  type: bool
  default: false
"""

_HOST = r"""
assume:
  description:
    - In check mode, what earlier tasks of the same run would have made. Says nothing in a real run.
  type: dict
  suboptions:
    bases:
      description: Names of bases.
      type: list
      elements: str
      default: []
    rulesets:
      description: Numbers of devfs rulesets by name.
      type: dict
      default: {}
    storage:
      description: Whether O(storage_dataset) would be made.
      type: bool
      default: false
    fibs:
      description: Whether C(net.fibs) would be large enough.
      type: bool
      default: false
    networks:
      description: Networks, each as M(cellblock.jails.jail_networks) takes it.
      type: list
      elements: dict
      default: []
parallel:
  description:
    - How many jails are worked on at the same time.
  type: int
  default: 4
"""


_LIST = (
    "options:\n  jails:\n    description:\n      - The jails of the host, in the order in which they boot.\n"
    "    type: list\n    elements: dict\n    required: true\n    suboptions:\n" + textwrap.indent(_JAIL, "      ")
)

# Not by a class statement: what is computed is no literal, which linters expect in one.
ModuleDocFragment = type(
    "ModuleDocFragment",
    (),
    {
        "DOCUMENTATION": "options:\n" + textwrap.indent(_JAIL, "  "),
        "HOST": "options:\n" + textwrap.indent(_HOST, "  "),
        "LIST": _LIST,
    },
)
