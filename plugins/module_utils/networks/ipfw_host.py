# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host's ipfw(4): what is loaded of ours, and the steps that change it, or enable it without locking anybody out."""

from __future__ import annotations

import json
import re
from typing import Dict, List, Mapping, Optional, Sequence

from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.engine.plan import Plan, Step, write_step
from ansible_collections.cellblock.jails.plugins.module_utils.errors import CellblockError, Refused
from ansible_collections.cellblock.jails.plugins.module_utils.formats import loader_conf
from ansible_collections.cellblock.jails.plugins.module_utils.networks import guard, ipfw
from ansible_collections.cellblock.jails.plugins.module_utils.networks.firewall import Firewall

LOADER_CONF = "/boot/loader.conf"


def observe(host: Host) -> Firewall:
    """Read it, in two questions."""
    listed = host.ask(["ipfw", "set", str(ipfw.SET), "list"])
    if listed.rc:
        return Firewall(kind="ipfw")
    told = dict(line.split(": ", 1) for line in host.ask(["sysctl", ipfw.ENABLED[0], ipfw.ONE_PASS]).out.splitlines() if ": " in line)
    return Firewall(kind="ipfw", running=told.get(ipfw.ENABLED[0]) == "1", digest=ipfw.loaded(listed.out), one_pass=told.get(ipfw.ONE_PASS) != "0")


def fragments(found: Firewall, changes: Mapping[str, Optional[str]]) -> List[str]:
    """All fragments, by their paths' order, as they are after these changes."""
    paths = sorted({path for path in found.files if path.endswith(".ipfw")} | set(changes))
    texts = [changes[path] if path in changes else found.files.get(path) for path in paths]
    return [text for text in texts if text]


def whole(found: Firewall, texts: Sequence[str]) -> List[Step]:
    """The steps that bring the file of all rules, and what is loaded, to these fragments."""
    text, before = ipfw.composed(texts), found.files.get(ipfw.RULES, "")
    steps = write_step(ipfw.RULES, before or None, text or None)
    if found.running is None or ipfw.loaded(text) == found.digest:
        return steps
    known = before if ipfw.loaded(before) == found.digest else ""
    return [*steps, Step(
        f"load set {ipfw.SET} of ipfw", lambda host: swap(host, known, text), lambda host: swap(host, text, known),
        f"ipfw set {ipfw.SET}", known or (f"# not what {ipfw.RULES} says, but {found.digest}\n" if found.digest else ""), text,
    )]


def swap(host: Host, before: str, after: str) -> None:
    """Put rules in place of those that are loaded, at once; then take away the instances and pipes that none needs."""
    spare = ["ipfw", "-q", "delete", "set", str(ipfw.SPARE)]
    host.run(["kldload", "-n", *ipfw.MODULES])
    for name in interfaces(after):
        host.ask(["ifconfig", name, "-tso"])
    host.ask(spare)
    try:
        if after:
            host.run(["ipfw", "-q", "/dev/stdin"], stdin=ipfw.changed(before, after), where=f"set {ipfw.SET} of ipfw")
        else:
            host.run(["ipfw", "-q", "delete", "set", str(ipfw.SET)])
    finally:
        host.ask(spare)
    still = ipfw.numbers(after)
    for kind, numbers in ipfw.numbers(before).items():
        for number in numbers:
            if number not in still[kind]:
                host.ask(["ipfw", "-q", kind, number, "delete"])


def interfaces(text: str) -> List[str]:
    """Where packets are translated; libalias(3) cannot handle the large segments that an interface would cut."""
    return sorted(set(re.findall(r"(?m)^add .* nat .* xmit (\S+)", text)) - {"lo0"})


# -- the host's own configuration of it


def steps(
    manage: bool, patience: int, found: Firewall, seen: guard.Guard, texts: Sequence[str], loader_text: Optional[str], plan: Plan,
) -> List[Step]:
    """The steps to an ipfw that runs, has our rules, and comes back at boot."""
    if not manage:
        if found.one_pass and found.running is not None and any("nat " in text or "pipe " in text for text in texts):
            raise Refused(
                f"{ipfw.ONE_PASS} is 1: what is translated or limited would pass by the host's rules that follow", "firewall",
                "Set it to 0, or let it be managed (manage: true)",
            )
        _tell(found, seen, plan)
        return [*(write_script(found) if texts else _drop_script(found, seen)), *whole(found, texts)]
    same = bool(seen.session) and tuple(seen.note.get("session", ())) == seen.session
    if seen.waits and same:
        plan.warnings.append("ipfw was enabled over this same connection: a new one has to confirm it, or it is taken back")
        return whole(found, [ipfw.session_rules(seen.session), *texts])
    made = [*write_script(found), *_configure(seen), *_accept(loader_text)]
    if found.running:
        made += [Step(f"set sysctl {ipfw.ONE_PASS}=0", lambda host: _set(host, "0"), lambda host: _set(host, "1"))] if found.one_pass else []
        made += [Step("keep the firewall: a new connection came through it", confirm)] if seen.waits else []
        return [*made, *whole(found, texts), *guard.keep(seen, "firewall_enable")]
    text = ipfw.composed([ipfw.session_rules(seen.session), *texts])
    made += write_step(ipfw.RULES, found.files.get(ipfw.RULES), text or None)
    made.append(Step(
        f"enable ipfw for {patience} s, until a new connection confirms it" if seen.session else "enable ipfw",
        lambda host: enable(host, seen, patience), None, "ipfw", "", "enabled\n",
    ))
    if not seen.session:
        return [*made, *guard.keep(seen, "firewall_enable")]
    plan.facts["confirm"] = patience
    return made


def _tell(found: Firewall, seen: guard.Guard, plan: Plan) -> None:
    if not _called(seen):
        where = seen.variables.setter("firewall_coscripts")
        plan.warnings.append(f"firewall_coscripts in {where} lacks {ipfw.SCRIPT}: no rule of ours comes back at boot; manage: true writes it")
    if not found.running:
        plan.warnings.append("ipfw is not running: nothing is translated, limited or let in by it; manage: true enables it")


def write_script(found: Firewall) -> List[Step]:
    """What loads the rules at boot."""
    before = found.files.get(ipfw.SCRIPT)
    if before == ipfw.script():
        return []
    return [Step(
        f"write {ipfw.SCRIPT}", lambda host: host.write(ipfw.SCRIPT, ipfw.script(), 0o755),
        lambda host: host.remove(ipfw.SCRIPT) if before is None else host.write(ipfw.SCRIPT, before, 0o755), ipfw.SCRIPT, before or "", ipfw.script(),
    )]


def _drop_script(found: Firewall, seen: guard.Guard) -> List[Step]:
    """Nothing is left to load, and nobody calls it."""
    return [] if _called(seen) else write_step(ipfw.SCRIPT, found.files.get(ipfw.SCRIPT), None)


def _called(seen: guard.Guard) -> bool:
    return ipfw.SCRIPT in seen.variables.values.get("firewall_coscripts", "").split()


def _configure(seen: guard.Guard) -> List[Step]:
    """rc.conf: our script after the host's own; where the host has no rules of its own, they let all pass."""
    found = seen.variables.values
    changes: Dict[str, str] = {}
    if not _called(seen):
        changes["firewall_coscripts"] = " ".join([*found.get("firewall_coscripts", "").split(), ipfw.SCRIPT])
    if found.get("firewall_type", "UNKNOWN").upper() == "UNKNOWN" and found.get("firewall_script", "/etc/rc.firewall") == "/etc/rc.firewall":
        changes["firewall_type"] = "open"
    return guard.set_variables(seen, changes)


def _accept(text: Optional[str]) -> List[Step]:
    """Before the module is loaded: else it denies everything, in every jail at once."""
    said = loader_conf.values(text or "").get(ipfw.ACCEPT)
    if said == "0":
        raise Refused(f"{ipfw.ACCEPT} is 0: ipfw would deny all packets of all jails", LOADER_CONF, "Take it out, or set it to 1")
    return [] if said else write_step(LOADER_CONF, text, loader_conf.edit(text or "", {ipfw.ACCEPT: "1"}))


def enable(host: Host, seen: guard.Guard, patience: int) -> None:
    """Start the timer, then ipfw with the host's own rules; the script adds ours."""
    if seen.session:
        host.write(guard.NOTE, json.dumps({"session": list(seen.session)}), 0o600)
        # Only names of ours and a number stand in it.
        timer = f"sleep {int(patience)}; /sbin/sysctl -q {' '.join(f'{name}=0' for name in ipfw.ENABLED)}; /bin/rm -f {guard.NOTE}"
        host.run(["daemon", "-f", "-p", guard.PIDFILE, "/bin/sh", "-c", timer])
    host.run(["kenv", f"{ipfw.ACCEPT}=1"])
    host.run(["kldload", "-n", *ipfw.MODULES])
    host.run(["service", "ipfw", "onestart"])
    if not ipfw.loaded(host.ask(["ipfw", "set", str(ipfw.SET), "list"]).out) and host.read(ipfw.RULES):
        raise CellblockError(f"{ipfw.RULES} was not loaded", "ipfw", f"Try it by hand: ipfw {ipfw.RULES}")


def confirm(host: Host) -> None:
    """Stop the timer."""
    host.run(["pkill", "-F", guard.PIDFILE])
    host.remove(guard.NOTE)


def _set(host: Host, value: str) -> None:
    host.run(["sysctl", f"{ipfw.ONE_PASS}={value}"])
