# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is secret is not shown, and what is not stays readable."""

from __future__ import annotations

import pytest

from ansible_collections.cellblock.jails.plugins.module_utils.formats.secrets import HIDDEN, hide, hide_all

SECRET = "hunter2xyz"
SECRETS = (
    "rl0|10.0.0.1/32 vhid 7 advskew 100 pass {}", "rl0|10.0.0.1/32 pass {} vhid 7", "rl0|10.0.0.1 pass {}; x", "ifconfig em0 vhid 1 pass {} alias",
    "PGPASSWORD={} /x;", "AWS_SECRET_ACCESS_KEY={}", "X_CREDENTIALS='{}' y", "rw,passwd={},user=x", "-o pass={}", "pwd={}", "authkey={}",
    "/x --password {}", "/x --password={}", "/x -pass {}", "/x --auth-key {}", "/x --authkey={}", "/x --token '{}'", 'x_flags="--token {}"',
    "ifconfig wlan0 wpakey {}", "ifconfig wg0 wgkey {}", "/x psk {}", "-H 'Authorization: Bearer {}'", "-H 'Authorization: Basic {}'", "bearer {}",
    "mysql -u root -p{} db", "sshpass -p {} ssh x", "curl -s -u user:{} http://x", "https://user:{}@host/x", "//user:{}@server/share",
    'env = "A={}", "B=c {}"', 'env.KEY = "{}"', "$6$abcdefgh${}hhhhhhhh",
)
PLAIN = (
    "pass in quick on em0 inet proto tcp from any to 10.0.0.2 port 80", "pass out all", "# Basic system aliases", 'jail_list="a b"',
    "/x --password-file /etc/x.pw", "/sbin/ifconfig em0 inet 10.0.0.1/32 alias", "key = value", "sortkey=name", "/x --no-password --verbose",
    "ssh://host/path", "//server/share", "make dataset zroot/jails/a@b", "mysql -P 3306", "set root's password", "the passing of a stream",
)


@pytest.mark.parametrize("text", SECRETS)
def test_secrets_are_hidden(text: str) -> None:
    shown = hide(text.replace("{}", SECRET))
    assert SECRET not in shown and HIDDEN in shown
    assert hide(shown) == shown


@pytest.mark.parametrize("text", PLAIN)
def test_what_is_no_secret_stays(text: str) -> None:
    assert hide(text) == text


def test_environments_are_hidden_wherever_they_are_told() -> None:
    told = {"env": f"A={SECRET}", "drift": [{"parameter": "env.A", "file": [SECRET], "kernel": SECRET}], "defined": {"env.B": [SECRET], "x": ["y"]}}
    shown = hide_all(told)
    assert SECRET not in str(shown)
    assert shown["defined"]["x"] == ["y"] and shown["drift"][0]["parameter"] == "env.A"
