# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Jails as hosts, as ansible-inventory shows them. In the place of ssh, a program answers for the hosts."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

COLLECTIONS = Path(__file__).parents[7]
PLUGIN = "cellblock.jails.jails"
# Answers for the host NAME with the file NAME beside it; hangs, or fails, when the file says so.
SSH = r"""#!/usr/bin/env python3
import pathlib, re, sys, time
words = sys.argv[1:]
here = pathlib.Path(__file__).parent
host = next(word for word in words if (here / "answers" / word).exists())
answer = (here / "answers" / host).read_text()
with open(here / "asked", "a") as asked:
    asked.write(host + "\n")
if answer == "hang":
    time.sleep(600)
if answer == "refuse":
    sys.stderr.write("Connection refused\n")
    sys.exit(255)
print(answer.replace("NONCE", re.search(r"cellblock-[0-9a-f]{16}", words[-1])[0]))
"""


def answer(*jails: dict[str, Any], conf: str = "") -> str:
    """What a host answers."""
    full = [{"path": f"/j/{jail['name']}", "dying": False, "ip4.addr": [], "ip6.addr": [], **jail} for jail in jails]
    jls = json.dumps({"__version": "2", "jail-information": {"jail": full}})
    parts = f"NONCE jls\n{jls}\n"
    if conf:
        parts += f"NONCE /etc/jail.conf\n{conf}\n"
    return f"{parts}NONCE /etc/rc.conf\n\nNONCE end\n"


def plain(value: Any) -> Any:
    """Without the marks of what is no template."""
    if isinstance(value, dict):
        return (
            value["__ansible_unsafe"] if set(value) == {"__ansible_unsafe"} else {k: plain(v) for k, v in value.items()}
        )
    return [plain(entry) for entry in value] if isinstance(value, list) else value


class Inventory:
    """A directory with an inventory."""

    def __init__(self, path: Path) -> None:
        self.path = path
        (path / "answers").mkdir()
        (path / "inventory").mkdir()
        (path / "ssh").write_text(SSH.replace("/usr/bin/env python3", sys.executable))
        (path / "ssh").chmod(0o755)

    def answers(self, **hosts: str) -> None:
        """What hosts answer."""
        for name, text in hosts.items():
            (self.path / "answers" / name).write_text(text)

    def asked(self) -> list[str]:
        """Which hosts were asked so far, in order."""
        return sorted((self.path / "asked").read_text().split()) if (self.path / "asked").exists() else []

    def write(self, name: str, content: Any) -> None:
        """A file of the inventory."""
        file = self.path / "inventory" / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(yaml.safe_dump(content, sort_keys=False))

    def hosts(self, *names: str, **variables: Any) -> None:
        """The jail hosts."""
        more = {"ansible_ssh_executable": str(self.path / "ssh"), **variables}
        self.write("hosts.yml", {"jail_hosts": {"hosts": dict.fromkeys(names), "vars": more}})

    def list(self, config: dict[str, Any] | None = None, ok: bool = True, **environment: str) -> Any:
        """The inventory; what was said on the way is in ``said``."""
        self.write("jails.yml", {"plugin": PLUGIN, **(config or {})})
        done = subprocess.run(
            [sys.executable, "-m", "ansible.cli.inventory", "-i", str(self.path / "inventory"), "--list"],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
            env={
                **os.environ,
                "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS),
                "ANSIBLE_HOME": str(self.path / "home"),
                "ANSIBLE_NOCOLOR": "1",
                "COLUMNS": "9999",
                "ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "1",
                **environment,
            },
        )
        self.said = re.sub(r"\s+", " ", done.stderr)
        assert (done.returncode == 0) is ok, done.stderr
        self.raw = done.stdout
        self.found = plain(json.loads(done.stdout)) if ok else {}
        return self.found.get("_meta", {}).get("hostvars", {})

    def group(self, name: str) -> list[str]:
        """The hosts of a group."""
        return sorted(self.found.get(name, {}).get("hosts", []))


@pytest.fixture(name="inventory")
def fixture_inventory(tmp_path: Path) -> Inventory:
    """An empty one."""
    return Inventory(tmp_path)


DECLARED = [
    {
        "name": "web",
        "base": "15.1-RELEASE",
        "interface": "em0",
        "ip4": ["10.0.0.2/24"],
        "params": {"meta": {"tags": "a,b"}},
    },
    {"name": "db", "root": "empty", "state": "stopped", "path": "/srv/db", "ip4": ["em0|10.0.0.3"]},
    {"name": "old", "state": "absent"},
]


def test_live(inventory: Inventory) -> None:
    inventory.hosts("one", "two", ansible_user="deploy", ansible_port=2222, other="not a jail's")
    inventory.answers(
        one=answer(
            {"name": "web", "jid": "3", "meta": "tags=a,b\nowner=ops", "ip4.addr": ["10.0.0.2"], "host.hostname": "w"},
            {"name": "svcj-nginx", "jid": "4"},
            {"name": "dead", "jid": "5", "dying": True},
            conf='stopped { path = "/j/stopped"; }',
        ),
        two=answer({"name": "web", "jid": "1"}),
    )
    found = inventory.list()
    assert set(found) == {"one", "two", "web.one", "web.two", "dead.one", "stopped.one"}
    web = found["web.one"]
    assert (web["ansible_connection"], web["ansible_jail_host"], web["ansible_jail_name"]) == (
        "cellblock.jails.jexec",
        "one",
        "web",
    )
    assert (web["ansible_user"], web["ansible_port"], web["ansible_jail_root"]) == ("deploy", 2222, "/j/web")
    assert "other" not in web
    jail = web["cellblock_jail"]
    assert (jail["name"], jail["host"], jail["state"], jail["jid"], jail["ip4"]) == (
        "web",
        "one",
        "running",
        3,
        ["10.0.0.2"],
    )
    assert inventory.group("jails") == ["dead.one", "stopped.one", "web.one", "web.two"]
    assert inventory.group("jail_state_dying") == ["dead.one"]
    assert inventory.group("jail_state_stopped") == ["stopped.one"]
    assert inventory.group("jail_host_two") == ["web.two"]
    assert (
        inventory.group("jail_tag_a")
        == inventory.group("jail_tag_b")
        == inventory.group("jail_meta_owner_ops")
        == ["web.one"]
    )
    assert inventory.asked() == ["one", "two"]


def test_offline_asks_nobody(inventory: Inventory) -> None:
    inventory.hosts(
        "one", ansible_host="192.0.2.1", jails="{{ declared }}", declared=DECLARED, jail_storage_path="/tank"
    )
    found = inventory.list({"mode": "offline"})
    assert set(found) == {"one", "web.one", "db.one"}
    assert found["web.one"]["ansible_jail_host"] == "192.0.2.1"
    web, db = found["web.one"]["cellblock_jail"], found["db.one"]["cellblock_jail"]
    assert (web["state"], web["path"], web["base"], web["ip4"], web["tags"]) == (
        "running",
        "/tank/web",
        "15.1-RELEASE",
        ["10.0.0.2"],
        ["a", "b"],
    )
    assert (db["state"], db["path"], db["root"], db["jid"]) == ("stopped", "/srv/db", "empty", None)
    assert inventory.group("jail_base_15_1_RELEASE") == inventory.group("jail_tag_a") == ["web.one"]
    assert inventory.asked() == []


def test_offline_has_the_keys_of_live(inventory: Inventory) -> None:
    inventory.hosts("one", jails=DECLARED)
    inventory.answers(one=answer({"name": "web", "jid": "3"}))
    live = inventory.list()["web.one"]["cellblock_jail"]
    assert set(inventory.list({"mode": "offline"})["web.one"]["cellblock_jail"]) == set(live)


def test_offline_refuses_what_the_role_refuses(inventory: Inventory) -> None:
    inventory.hosts("one", jails=[{"name": "7"}])
    inventory.list({"mode": "offline"}, ok=False)
    assert "The declared jails of one: jail '7': the name is all digits" in inventory.said


def test_what_a_host_says_is_no_template(inventory: Inventory, tmp_path: Path) -> None:
    evil = "{{ lookup('pipe', 'touch " + str(tmp_path / "executed") + "') }}"
    inventory.hosts("one")
    inventory.answers(
        one=answer({"name": "web", "jid": "1", "host.hostname": evil, "meta": f"tags={evil}\nx={evil}", "path": evil})
    )
    found = inventory.list(
        {"compose": {"mine": "cellblock_jail.hostname"}, "keyed_groups": [{"key": "cellblock_jail.path"}]}
    )
    assert found["web.one"]["mine"] == evil
    marked = json.loads(inventory.raw)["_meta"]["hostvars"]["web.one"]
    assert marked["cellblock_jail"]["hostname"] == marked["mine"] == {"__ansible_unsafe": evil}
    subprocess.run(
        [
            sys.executable,
            "-m",
            "ansible.cli.adhoc",
            "-i",
            str(tmp_path / "inventory"),
            "web.one",
            "-m",
            "debug",
            "-a",
            "msg={{ cellblock_jail }}{{ mine }}{{ ansible_jail_root }}",
        ],
        check=True,
        capture_output=True,
        env={**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS)},
    )
    assert not (tmp_path / "executed").exists()
    assert all(re.fullmatch(r"\w+", group) for group in inventory.found if group != "_meta")


@pytest.mark.parametrize("bad", ["a b", "-x", "ü", "x/../y"])
def test_a_name_that_ssh_could_not_carry_is_left_out(inventory: Inventory, bad: str) -> None:
    inventory.hosts("one")
    inventory.answers(one=answer({"name": bad, "jid": "1"}, {"name": "good", "jid": "2"}))
    assert set(inventory.list()) == {"one", "good.one"}
    assert "is left out" in inventory.said


@pytest.mark.parametrize(
    ("kind", "words"), [("refuse", "Connection refused"), ("hang", "no answer within 1 s"), ("x", "not complete")]
)
@pytest.mark.parametrize("dead", ["warning", "error", "ignore"])
def test_a_dead_host(inventory: Inventory, kind: str, words: str, dead: str) -> None:
    inventory.hosts("one", "two")
    inventory.answers(one=kind, two=answer({"name": "web", "jid": "1"}))
    found = inventory.list({"dead_hosts": dead, "timeout": 1 if kind == "hang" else 30}, ok=dead != "error")
    if dead != "error":
        assert set(found) >= {"web.two"}
    told = re.search(f"The jails of one cannot be told: .*{words}", inventory.said)
    assert bool(told) is (dead != "ignore")


def test_names(inventory: Inventory) -> None:
    inventory.hosts("one", "two")
    inventory.answers(one=answer({"name": "web", "jid": "1"}), two=answer({"name": "db", "jid": "1"}))
    assert {"web", "db"} < set(inventory.list({"name": "jail.name"}))


def test_a_clash(inventory: Inventory) -> None:
    inventory.hosts("two", "one")
    inventory.answers(one=answer({"name": "web", "jid": "1"}), two=answer({"name": "web", "jid": "2"}))
    inventory.list({"name": "jail.name"}, ok=False)
    assert "The jail web of one and the jail web of two would both be named web." in inventory.said
    found = inventory.list({"name": "jail.name", "clash": "first"})
    assert found["web"]["ansible_jail_host"] == "two"
    inventory.list({"name": "'one'"}, ok=False)
    assert "the jail host one would both be named one" in inventory.said


def test_states_and_patterns(inventory: Inventory) -> None:
    inventory.hosts("one")
    jails = [{"name": name, "jid": str(number)} for number, name in enumerate(("web1", "web2", "db", "svcj-x"), 1)]
    inventory.answers(one=answer(*jails, conf='cold { path = "/c"; }'))
    assert set(inventory.list({"states": ["stopped"]})) == {"cold.one"} | {"one"}
    assert set(inventory.list({"include": ["web*"], "exclude": ["web2"]})) == {"web1.one"} | {"one"}
    assert "svcj-x.one" in inventory.list({"exclude": []})


def test_every_option_comes_from_the_environment(inventory: Inventory) -> None:
    inventory.answers(alpha=answer({"name": "web", "jid": "1"}), beta=answer({"name": "db", "jid": "1"}))
    inventory.write("hosts.yml", {"all": {"hosts": {}}})
    ssh = {"ANSIBLE_SSH_EXECUTABLE": str(inventory.path / "ssh")}
    found = inventory.list(
        CELLBLOCK_JAILS_HOSTS="root@alpha:2022, beta",
        CELLBLOCK_JAILS_USER="deploy",
        CELLBLOCK_JAILS_PRIVATE_KEY_FILE="/run/key",
        CELLBLOCK_JAILS_PRIVILEGE_ESCALATION="doas",
        CELLBLOCK_JAILS_GROUP="prisons",
        CELLBLOCK_JAILS_GROUP_PREFIX="p_",
        CELLBLOCK_JAILS_COMPOSE=json.dumps({"twice": "cellblock_jail.name * 2"}),
        CELLBLOCK_JAILS_STRICT="true",
        CELLBLOCK_JAILS_GROUPS=json.dumps({"databases": "'db' in cellblock_jail.name"}),
        CELLBLOCK_JAILS_KEYED_GROUPS=json.dumps([{"key": "cellblock_jail.name", "prefix": "named"}]),
        CELLBLOCK_JAILS_CONNECTION_OPTIONS=json.dumps({"ansible_jail_user": "www"}),
        **ssh,
    )
    web, db = found["web.alpha"], found["db.beta"]
    assert (web["ansible_user"], web["ansible_port"], db["ansible_user"]) == ("root", 2022, "deploy")
    assert (web["ansible_ssh_private_key_file"], web["ansible_jail_privilege_escalation"]) == ("/run/key", "doas")
    assert (web["twice"], web["ansible_jail_user"]) == ("webweb", "www")
    assert inventory.group("databases") == inventory.group("named_db") == inventory.group("p_host_beta") == ["db.beta"]
    assert inventory.group("prisons") == ["db.beta", "web.alpha"]
    inventory.list(
        CELLBLOCK_JAILS_HOSTS=json.dumps([{"name": "alpha", "ansible_user": "x"}]),
        CELLBLOCK_JAILS_STATES="dying",
        **ssh,
    )
    assert inventory.group("jails") == []


def test_every_option_has_an_environment_variable() -> None:
    path = COLLECTIONS / "ansible_collections/cellblock/jails/plugins/inventory/jails.py"
    documentation = yaml.safe_load(re.search(r'DOCUMENTATION = r"""(.*?)"""', path.read_text(), re.DOTALL)[1])  # type: ignore[index]
    without = [name for name, option in documentation["options"].items() if not option.get("env")]
    assert without == []


def test_become_of_the_host_is_the_jails_escalation(inventory: Inventory) -> None:
    inventory.hosts(
        "one",
        ansible_become=True,
        ansible_become_method="community.general.doas",
        ansible_become_password="{{ secret }}",
        secret="s",
    )
    inventory.answers(one=answer({"name": "web", "jid": "1"}))
    web = inventory.list()["web.one"]
    assert (web["ansible_jail_privilege_escalation"], web["ansible_jail_escalation_password"]) == ("doas", "s")
    assert "ansible_become" not in web


def test_cache(inventory: Inventory) -> None:
    inventory.hosts("one")
    inventory.answers(one=answer({"name": "web", "jid": "1"}))
    config = {"cache": True, "cache_plugin": "jsonfile", "cache_connection": str(inventory.path / "cache")}
    first = inventory.list(config)
    inventory.answers(one="refuse")
    assert inventory.list(config) == first
    assert inventory.asked() == ["one"]


def test_a_dead_host_is_not_cached(inventory: Inventory) -> None:
    inventory.hosts("one")
    inventory.answers(one="refuse")
    config = {"cache": True, "cache_plugin": "jsonfile", "cache_connection": str(inventory.path / "cache")}
    inventory.list(config)
    inventory.answers(one=answer({"name": "web", "jid": "1"}))
    assert "web.one" in inventory.list(config)


def test_without_hosts_it_says_so(inventory: Inventory) -> None:
    inventory.write("hosts.yml", {"all": {"hosts": {"lonely": None}}})
    inventory.list()
    assert "There are no jail hosts: the inventory so far has no group jail_hosts with hosts" in inventory.said


@pytest.mark.parametrize("hosts", [["a b"], [{"nameless": 1}], [""]])
def test_hosts_that_are_none(inventory: Inventory, hosts: list[Any]) -> None:
    inventory.hosts("one")
    inventory.list({"hosts": hosts}, ok=False)
    assert "is not a host" in inventory.said


def test_the_example(inventory: Inventory) -> None:
    source = COLLECTIONS / "ansible_collections/cellblock/jails/examples/inventory"
    for name in ("hosts.yml", "jails.yml", "group_vars/jail_hosts.yml"):
        inventory.write(name, yaml.safe_load((source / name).read_text()))
    found = inventory.list(yaml.safe_load((source / "jails.yml").read_text()))
    assert set(found) == {
        "jailhost1",
        "jailhost2",
        *(f"{name}.jailhost{number}" for name in ("web", "db") for number in (1, 2)),
    }
    assert found["web.jailhost2"]["cellblock_jail"]["ip4"] == ["192.0.2.22"]
    assert inventory.group("owner_ops") == ["db.jailhost1", "db.jailhost2"]


def test_a_jail_takes_no_host_of_another_source(inventory: Inventory) -> None:
    inventory.hosts("one")
    inventory.write("a_first.yml", {"all": {"hosts": {"dbserver": {"ansible_host": "192.0.2.9"}}}})
    inventory.answers(one=answer({"name": "dbserver", "jid": "1"}, {"name": "web", "jid": "2"}))
    inventory.list({"name": "jail.name"}, ok=False)
    assert "The jail dbserver of one and the host dbserver of another inventory source would both be named dbserver" in inventory.said
    found = inventory.list({"name": "jail.name", "clash": "first"})
    assert "The first is kept" in inventory.said
    assert found["dbserver"] == {"ansible_host": "192.0.2.9"} and "web" in found
    assert "dbserver" not in inventory.group("jails")


def test_another_source_may_say_that_a_host_is_this_jail(inventory: Inventory) -> None:
    inventory.hosts("one")
    inventory.write("a_first.yml", {"webservers": {"hosts": {"web.one": {"ansible_jail_host": "one", "mine": 1}}}})
    inventory.answers(one=answer({"name": "web", "jid": "1"}))
    web = inventory.list()["web.one"]
    assert (web["mine"], web["ansible_connection"]) == (1, "cellblock.jails.jexec")
    assert inventory.group("webservers") == ["web.one"]


END = "\nNONCE /etc/rc.conf\nNONCE end\n"


@pytest.mark.parametrize(
    "odd",
    [
        "NONCE jls\n{}" + END, 'NONCE jls\n{"jail-information":{"jail":[1]}}' + END, "NONCE jls\nNONCE end\n", "\x1b[2J\x07",
        "NONCE jls\n" + "[" * 99999,
    ],
)
def test_an_odd_answer_costs_only_its_host(inventory: Inventory, odd: str) -> None:
    inventory.hosts("odd", "one")
    inventory.answers(odd=odd, one=answer({"name": "web", "jid": "1"}))
    assert set(inventory.list()) >= {"web.one"}
    assert "The jails of odd cannot be told" in inventory.said
    assert "\x1b" not in inventory.said and "\x07" not in inventory.said


def test_an_answer_without_end_costs_only_its_host(inventory: Inventory) -> None:
    inventory.hosts("odd", "one")
    inventory.answers(odd="x" * (17 << 20), one=answer({"name": "web", "jid": "1"}))
    assert "web.one" in inventory.list({"timeout": 60})
    assert "More than 16777216 bytes" in inventory.said


def test_an_option_that_there_is_not_is_told_with_the_nearest(inventory: Inventory) -> None:
    inventory.hosts("one")
    inventory.list({"mode": "offline", "keyed_group": []}, ok=False)
    assert "there is no option keyed_group. The nearest is keyed_groups" in inventory.said


def test_offline_has_the_types_of_live(inventory: Inventory) -> None:
    inventory.hosts("one", jails=DECLARED)
    inventory.answers(one=answer({
        "name": "web", "jid": "3", "host.hostname": "web", "meta": "tags=a,b", "ip4.addr": ["10.0.0.2"], "persist": False, "vnet": "inherit",
    }))
    live = inventory.list()["web.one"]["cellblock_jail"]
    offline = inventory.list({"mode": "offline"})["web.one"]["cellblock_jail"]
    assert {key for key in live["parameters"] if key in offline["parameters"]} >= {"path", "ip4.addr", "meta"}
    for one, other in ((live, offline), (live["parameters"], offline["parameters"])):
        for key in set(one) & set(other) - {"jid", "definition", "base", "root"}:
            assert type(one[key]) is type(other[key]), key
    assert (live["parameters"]["ip4.addr"], live["parameters"]["meta"]) == (offline["parameters"]["ip4.addr"], offline["parameters"]["meta"])
