# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The bare words of FreeBSD's tools are followed by what they mean, and are never lost."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ansible_collections.cellblock.jails.plugins.module_utils.engine.apply import StepFailed, take_steps
from ansible_collections.cellblock.jails.plugins.module_utils.engine.commands import CommandError, Result
from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.engine.meanings import meaning
from ansible_collections.cellblock.jails.plugins.module_utils.engine.plan import Step
from ansible_collections.cellblock.jails.plugins.module_utils.jails import runtime
from ansible_collections.cellblock.jails.plugins.module_utils.jails.definition import Definition
from ansible_collections.cellblock.jails.tests.simulator import SimulatedHost

CAPTURED = json.loads((Path(__file__).resolve().parents[4] / "captures" / "commands.json").read_text())

# What a real 15.1 said, and a word of what it means.
SAID = [
    ("umount /jails/f/d", "umount: unmount of /jails/f/d failed: Device busy", "fstat -f /jails/f/d"),
    ("cpuset -l 99 -j t1", "cpuset: setaffinity: Invalid argument", "cpuset -g"),
    ("zfs destroy zroot/base@p1", "cannot destroy 'zroot/base@p1': snapshot has dependent clones", "zfs list -t all -o name,origin"),
    ("zfs destroy zroot/base", "cannot destroy 'zroot/base': filesystem has children", "by hand"),
    ("zfs create zroot/base", "cannot create 'zroot/base': dataset already exists", "whose it is"),
    ("ifconfig nope0", "ifconfig: interface nope0 does not exist", "Make nope0 first"),
    ("mount -t nullfs /nope /mnt", "mount_nullfs: /nope: No such file or directory", "The source /nope is not there"),
    ("jail -c", "jail: unknown parameter: nosuch.param", "does not know nosuch.param"),
    ("jail -c", "jail: jail_set: Invalid argument", "devfs_ruleset"),
    ("jail -c", "jail: IPv4 addresses clash", "'jls'"),
    ("devfs rule -s 100 add include 777", "devfs rule: ioctl DEVFSIO_RADD: No such process", "service devfs restart"),
    ("/usr/bin/fetch -o x http://127.0.0.1:9/x", "fetch: http://127.0.0.1:9/x: Connection refused", "firewall"),
    ("rm -f /jails/r151/sbin/init", "rm: /jails/r151/sbin/init: Operation not permitted", "chflags"),
]


@pytest.mark.parametrize(("command", "words", "told"), SAID)
def test_the_words_stay_and_what_they_mean_follows(command: str, words: str, told: str) -> None:
    text = str(CommandError(Result(tuple(command.split()), 1, "", words), "jail web"))
    assert text.startswith(f"jail web: '{command}' failed: {words}") and told in text


def test_what_a_real_host_said_is_formatted_without_a_fault() -> None:
    meant = [meaning(str(one["cmd"]).split()[0], str(one["stderr"])) for one in CAPTURED if one.get("rc")]
    assert sum(bool(text) for text in meant) > 15 and not any("{" in text for text in meant)


def test_a_full_disk_is_told_as_such(host: Host) -> None:
    def full(_host: Host) -> None:
        raise OSError(28, "No space left on device", "/usr/jails/web/etc/rc.conf")

    with pytest.raises(StepFailed) as caught:
        take_steps(host, [Step("write etc/rc.conf", full)], {})
    assert str(caught.value) == (
        "/usr/jails/web/etc/rc.conf: write etc/rc.conf: No space left on device. The file system is full, see 'df -h' and 'df -i'."
    )


def started(host: Host, **params: "list[str]") -> str:
    """What is said of a start that fails."""
    given = {"path": ["/usr/jails/web"], "persist": ["true"], "exec.consolelog": ["/var/log/jail_web_console.log"]}
    given.update({f"exec.{name}": values for name, values in params.items()})
    definition = Definition("web", "jail_conf", {}, given)
    host.makedirs("/usr/jails/web")
    host.write("/etc/jail.conf.d/web.conf", definition.conf())
    with pytest.raises(Exception) as caught:
        runtime.start(host, definition)
    return str(caught.value)


def test_a_hook_that_fails_on_the_host_is_named_and_no_log_is_pointed_at(host: Host, simulated: SimulatedHost) -> None:
    told = started(host, prestart=["/usr/bin/false"])
    assert "exec.prestart failed; it runs on the host" in told and "console.log" not in told


def test_a_program_that_the_root_does_not_have_is_named(host: Host) -> None:
    assert "exec.start failed: there is no /bin/sh in the jail's root" in started(host, start=["/bin/sh /etc/rc"])
