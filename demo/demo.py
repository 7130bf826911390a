# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`make demo`: bring simulated FreeBSD hosts from nothing to running jails with playbooks/site.yml, and draw them.

The hosts keep their state in build/demo, so that the second run has nothing to do; `make demo-clean` forgets them.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import venv
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
BUILD = TOP / "build"
COLLECTIONS = BUILD / "collections"
SIMULATOR = COLLECTIONS / "ansible_collections/cellblock/jails/tests/simulator"
TALK = TOP / "examples/talk"
DEMO = BUILD / "demo"


def commands() -> Path:
    """The directory of ansible's commands: those beside our Python, else in an environment of our own."""
    for place in (Path(sys.executable).parent, BUILD / "venv/bin"):
        if (place / "ansible-playbook").exists():
            return place
    print("Installing ansible-core in build/venv", flush=True)
    venv.create(BUILD / "venv", with_pip=True)
    subprocess.run([BUILD / "venv/bin/pip", "install", "--quiet", "ansible-core>=2.19"], check=True)
    return BUILD / "venv/bin"


def inventory(hosts: int) -> Path:
    """What the simulated hosts need besides examples/talk: where ssh is, and names for more than one host."""
    lines = ["---", "jail_hosts:", "  hosts:"]
    for number in range(1, hosts + 1):
        name = "talk" if number == 1 else f"talk{number:02}"
        # The release's sets are on the host already, as on the installer's medium.
        lines += [f"    {name}:", f"      ansible_host: {name}", "      talk_release_url: /var/dist"]
    lines += [
        "  vars:",
        f"    ansible_ssh_executable: {SIMULATOR / 'bin/ssh'}",
        "    ansible_user: root",
        "    ansible_python_interpreter: /usr/local/bin/python3",
    ]
    path = DEMO / "inventory.yml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    (DEMO / "ansible.cfg").write_text("[defaults]\n", encoding="utf-8")
    return path


def environment() -> dict[str, str]:
    """Ansible's settings for the demo; nothing of the user's own counts."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "PYTHON"))}
    return {
        **kept,
        "PATH": f"{commands()}:{os.environ.get('PATH', '/usr/bin:/bin')}",
        "CELLBLOCK_SIMULATOR": str(DEMO / "hosts"),
        "ANSIBLE_CONFIG": str(DEMO / "ansible.cfg"),
        "ANSIBLE_HOME": str(DEMO / "ansible"),
        "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS),
        "ANSIBLE_PIPELINING": "True",
        "ANSIBLE_DISPLAY_OK_HOSTS": "True",
        "ANSIBLE_FORKS": str(2 * (os.cpu_count() or 1)),
        "ANSIBLE_FORCE_COLOR": str(sys.stdout.isatty()),
    }


def play(playbook: str, inventories: list[Path], extra: list[str]) -> None:
    """Run a playbook of the collection by its full name; leave with its exit code if it fails."""
    words = ["ansible-playbook", *(word for path in inventories for word in ("-i", str(path))), *extra, playbook]
    print("\n$ " + " ".join(words).replace(f"{TOP}/", ""), flush=True)
    code = subprocess.run([commands() / words[0], *words[1:]], env=environment(), cwd=TOP, check=False).returncode
    if code:
        raise SystemExit(code)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hosts", type=int, default=1, help="how many hosts")
    parser.add_argument("--style", choices=["jail_conf", "rc_conf"], default="jail_conf", help="how the jails boot")
    parser.add_argument("arguments", nargs="*", help="further arguments for ansible-playbook, such as -- --check --diff")
    asked = parser.parse_args()
    style = ["-e", f"@{TALK / 'rc_conf.yml'}"] if asked.style == "rc_conf" else []
    inventories = [TALK / "inventory.yml", inventory(asked.hosts)]
    play("cellblock.jails.site", inventories, [*style, *asked.arguments])
    play("cellblock.jails.info", inventories, [])


if __name__ == "__main__":
    main()
