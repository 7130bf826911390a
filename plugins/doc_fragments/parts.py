# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of a host's parts, documented once: at the top of the single modules, below their part in C(host)."""

from __future__ import annotations

import re
import textwrap

_STORAGE = r"""
path:
  description:
    - The directory; with O(dataset), its mount point.
  type: path
  default: /usr/jails
dataset:
  description:
    - The ZFS dataset. Its parents are made too, its pool must be there.
  type: str
mode:
  description:
    - The directory's mode. Users of the host who may enter the roots of jails can use what jails leave there, a set-uid
      program for one; see jail(8).
  type: str
  default: "0700"
properties:
  description:
    - Properties of the dataset, in the spelling of C(zfs get -p), such as C(compression=zstd).
  type: dict
  default: {}
"""

_SETTINGS = r"""
rc_conf:
  description:
    - Variables of C(/etc/rc.conf). Booleans are written as C(YES) and C(NO); null removes a variable.
  type: dict
  default: {}
loader_conf:
  description:
    - Variables of C(/boot/loader.conf). Booleans are written as C(YES) and C(NO); null removes a variable.
  type: dict
  default: {}
kernel_modules:
  description:
    - Kernel modules that are loaded now, and at boot through C(kld_list), to which they are added.
  type: list
  elements: str
  default: []
racct:
  description:
    - Whether the kernel counts resources, so that rctl(8) limits work. Sets C(kern.racct.enable) in
      C(/boot/loader.conf), which needs a reboot, and C(rctl_enable) in C(/etc/rc.conf).
    - Left alone when not given.
  type: bool
fibs:
  description:
    - The number of routing tables (C(net.fibs)). It grows at once, and shrinks at the next reboot.
    - Left alone when not given.
  type: int
interfaces_now:
  description:
    - Whether interfaces that O(rc_conf) names in C(cloned_interfaces), and that are not there, are made at once, by
      C(service netif start). An interface that is there is never touched. Otherwise the next boot makes them.
  type: bool
  default: false
"""

_SERVICES = r"""
addresses:
  description:
    - The host's own addresses, IPv4 and IPv6. Empty means the address that the current ssh connection came in on.
  type: list
  elements: str
  default: []
sendmail:
  description:
    - V(disabled) sets C(sendmail_enable="NO"), which leaves sendmail(8) to local mail on the loopback interface.
    - V(keep) leaves the daemon as it is, here and for the other daemons.
  type: str
  choices: [disabled, keep]
  default: disabled
inetd:
  description:
    - V(bound) sets C(inetd_flags) to O(inetd_flags) and C(-a ADDRESS). inetd(8) takes one address, the first.
  type: str
  choices: [bound, keep]
  default: bound
rpcbind:
  description:
    - V(disabled) sets C(rpcbind_enable="NO"), V(bound) sets C(rpcbind_flags) where it is in use.
    - rpcbind(8) keeps a socket for remote calls on C(*) even when it is bound.
  type: str
  choices: [bound, disabled, keep]
  default: disabled
syslogd:
  description:
    - V(bound) sets C(syslogd_flags) to O(syslogd_flags) and C(-b ADDRESS) for each address, V(closed) sets C(-ss),
      so that syslogd(8) opens no socket at all.
  type: str
  choices: [bound, closed, keep]
  default: bound
sshd:
  description:
    - V(bound) sets C(ListenAddress) in C(/etc/ssh/sshd_config).
  type: str
  choices: [bound, keep]
  default: bound
ntpd:
  description:
    - V(bound) adds C(interface) rules to C(/etc/ntp.conf), where ntpd(8) is in use.
  type: str
  choices: [bound, keep]
  default: bound
mountd:
  description:
    - V(bound) sets C(mountd_flags) to O(mountd_flags) and C(-h ADDRESS) for each address, where mountd(8) is in use.
  type: str
  choices: [bound, keep]
  default: bound
nfsd:
  description:
    - V(bound) sets C(nfs_server_flags) to O(nfs_server_flags) and C(-h ADDRESS) for each address, where nfsd(8) is in
      use.
  type: str
  choices: [bound, keep]
  default: bound
inetd_flags:
  description:
    - Flags of inetd(8) besides its address.
  type: str
  default: -wW
rpcbind_flags:
  description:
    - Flags of rpcbind(8) besides its addresses.
  type: str
  default: ""
syslogd_flags:
  description:
    - Flags of syslogd(8) besides its addresses.
  type: str
  default: -s
mountd_flags:
  description:
    - Flags of mountd(8) besides its addresses.
  type: str
  default: -r -S
nfs_server_flags:
  description:
    - Flags of nfsd(8) besides its addresses.
  type: str
  default: -u -t
sshd_max_sessions:
  description:
    - Sets C(MaxSessions) in C(/etc/ssh/sshd_config), the number of jails that can be worked in at once through one ssh
      connection. Left alone when not given; sshd's default is 10.
  type: int
"""

_LISTENERS = r"""
allow:
  description:
    - Programs (C(ntpd)) or programs with a port (C(dhclient:68)) that may listen on C(*).
  type: list
  elements: str
  default: []
fail:
  description:
    - Whether to fail when a socket stays open, in check mode too.
  type: bool
  default: false
"""

_RULESET = r"""
name:
  description:
    - The ruleset's name. Letters, digits and C(_), since it becomes a variable of C(sh).
  type: str
  required: true
number:
  description:
    - The ruleset's number, 1 to 65535. By default the one that the file has, else one derived from the name, the same
      on every host.
  type: int
rules:
  description:
    - The rules as in devfs(8), with or without C(add) in front.
  type: list
  elements: str
state:
  description:
    - Whether the ruleset is there. V(absent) refuses while a jail uses it.
  type: str
  choices: [present, absent]
  default: present
load:
  description:
    - Whether the kernel's copy is brought to the same.
  type: bool
  default: true
apply:
  description:
    - Whether a changed ruleset is applied to the running jails that use it.
  type: bool
  default: false
"""

_PLANNED = r"""
planned:
  description:
    - In check mode only, programs that an earlier task would have stopped or bound to addresses, such as
      RV(cellblock.jails.host_services#module:bound). Their sockets are reported in C(planned), and do not count as open.
  type: list
  elements: str
  default: []
"""

_NETWORKS = r"""
networks:
  description:
    - The networks.
  type: list
  elements: dict
  default: []
  suboptions:
    name:
      description:
        - The name by which jails join it. At most 15 letters, digits, C(_) and C(-), beginning with a letter.
      type: str
      required: true
    state:
      description:
        - V(absent) takes it away, with the bridge if that was made for it. Refused while jails are in it.
      type: str
      choices: [present, absent]
      default: present
    bridge:
      description:
        - The bridge. One that is there is used, and never removed. By default the first that is free is made.
      type: str
    interface:
      description:
        - In place of a bridge, the interface that carries addresses of shared-stack jails, such as C(lo1). It is made
          when it is not there.
      type: str
    uplink:
      description:
        - An interface of the host that becomes a member of the bridge, so that jails are on its network too.
        - It must have no address. With all of its addresses given to the network, they move at the next boot
          (O(at_boot)).
      type: str
    vlan:
      description:
        - The VLAN of the uplink that the bridge is on.
      type: int
    ip4:
      description:
        - The host's own address in it, with the prefix, such as C(10.1.0.1/24). It tells the subnet, and is the gateway.
      type: str
    ip6:
      description:
        - Likewise for IPv6.
      type: str
    net4:
      description:
        - The subnet, where the host has no address in it.
      type: str
    net6:
      description:
        - Likewise for IPv6.
      type: str
    gateway4:
      description:
        - The gateway of its jails, where that is not the host.
      type: str
    gateway6:
      description:
        - Likewise for IPv6.
      type: str
    nat:
      description:
        - Whether packets leave by the host, with the host's address. IPv6 is routed, and not translated.
      type: bool
      default: false
    routed:
      description:
        - Whether packets pass by the host as they are, where what is outside knows the way back. A network that has neither
          this nor NAT nor an uplink is isolated; where the host has an address in it and forwards for others, its firewall
          holds that.
      type: bool
      default: false
    via:
      description:
        - The interface that packets leave by. That of the default route when the network is first made.
      type: str
    private:
      description:
        - Whether its jails see the host and the uplink, but not each other.
      type: bool
      default: false
    mtu:
      description:
        - The MTU of the bridge and of its members.
      type: int
    firewall:
      description:
        - The host's firewall that does its NAT; the same for all networks of a host.
      type: str
      choices: [pf, ipfw]
    pfil_member:
      description:
        - Whether the host's firewall sees what passes between members of bridges, as bandwidth of jails on an uplink
          needs. Sets C(net.link.bridge.pfil_member), which is one for all bridges of the host.
      type: bool
      default: false
prune:
  description:
    - Whether networks of ours that are not named are taken away.
  type: bool
  default: false
fleet:
  description:
    - A name that is hashed into the MAC addresses of jails, besides the host's and the jail's.
  type: str
  default: ''
firewall:
  description:
    - The firewall of the host that translates, lets in and limits. That which its networks use already, else V(pf).
    - With V(ipfw), all rules of networks and jails are one set of it, number 28, with the numbers 39 to 47. They go on
      with the host's own rules, which needs C(net.inet.ip.fw.one_pass=0).
  type: str
  choices: [pf, ipfw]
manage:
  description:
    - Whether the firewall is enabled, now and at boot, with what calls our rules. For pf that are lines in
      C(/etc/pf.conf); for ipfw a script in C(firewall_coscripts), and C(net.inet.ip.fw.default_to_accept) before the
      module is loaded, since else it denies all packets of all jails.
    - Enabling it locks nobody out. The connection that does it is let through, and a timer on the host disables it
      again unless a run that comes by a B(new) connection confirms it. C(confirm) is returned then; reset the
      connection and call the module again.
  type: bool
  default: false
confirm_timeout:
  description:
    - How many seconds the timer waits.
  type: int
  default: 60
at_boot:
  description:
    - Whether an address moves from an uplink to its bridge when the host boots next. Otherwise that is refused.
  type: bool
  default: false
"""


def _placed(text: str, place: str) -> str:
    """A text whose options stand in another: those that it speaks of are named by their place."""
    own = "|".join(re.findall(r"^(\w+):", text, re.MULTILINE))
    return re.sub(rf"O\(({own})(?=[=)\[.])", rf"O({place}.\1", text)


_RULESETS = (
    """
rulesets:
  description:
    - The rulesets, each as the one before it leaves the file, so that it may include that.
  type: list
  elements: dict
  default: []
  suboptions:
"""
    + textwrap.indent(_placed(_RULESET, "rulesets[]"), "    ")
    + r"""
prune:
  description:
    - Whether rulesets of C(/etc/devfs.rules) that are not named go, of those that this collection made and marked. Those of
      others stay.
  type: bool
  default: false
"""
)

_PARTS = {
    "storage": ("The place where jails and their bases live, as M(cellblock.jails.host_storage) makes it.", _STORAGE),
    "settings": ("What the host boots with, as M(cellblock.jails.host_settings) sets it.", _SETTINGS),
    "devfs_rulesets": ("Rulesets of devfs, as M(cellblock.jails.devfs_rulesets) keeps them.", _RULESETS),
    "services": ("How the host's daemons are bound, as M(cellblock.jails.host_services) does it.", _SERVICES),
    "networks": ("The networks that jails join, as M(cellblock.jails.jail_networks) keeps them.", _NETWORKS),
    "listeners": ("What is looked for when all else is done, as M(cellblock.jails.listeners_info) tells it.", _LISTENERS),
}


def _part(name: str) -> str:
    """A part as an option."""
    words, options = _PARTS[name]
    return f"{name}:\n  description:\n    - {words}\n  type: dict\n  suboptions:\n" + textwrap.indent(_placed(options, name), "    ")


def _options(text: str) -> str:
    return "options:\n" + textwrap.indent(text, "  ")


# Not by a class statement: what is computed is no literal, which linters expect in one.
ModuleDocFragment = type(
    "ModuleDocFragment",
    (),
    {
        "DOCUMENTATION": _options("".join(map(_part, _PARTS))),
        "STORAGE": _options(_STORAGE),
        "SETTINGS": _options(_SETTINGS),
        "RULESET": _options(_RULESET),
        "RULESETS": _options(_RULESETS),
        "SERVICES": _options(_SERVICES),
        "NETWORKS": _options(_NETWORKS),
        "LISTENERS": _options(_LISTENERS + _PLANNED),
    },
)
