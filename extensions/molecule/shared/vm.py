# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""FreeBSD machines for tests, in QEMU: ``vm.py start NAME``, ``vm.py stop NAME``, ``vm.py list``.

A machine boots from one of these, named by environment variables:

- ``FREEBSD_KERNEL`` and ``FREEBSD_ROOT``: a kernel that QEMU loads itself (14.0 and later), and a raw disk whose first
  bytes are the root file system; ``FREEBSD_APPEND`` adds kernel variables;
- ``FREEBSD_IMAGE``: a disk that boots by itself, qcow2 or raw;
- neither: the official cloud image of ``FREEBSD_RELEASE`` (15.1-RELEASE), downloaded once and checked by its sum.

None of these is ever written to. An image grows to ``FREEBSD_DISK_SIZE`` (16G). Each machine has a second disk for ZFS
(``FREEBSD_ZFS_SIZE``, 8G), ssh on a port of 127.0.0.1, and keeps its console in ``console.log``; all of it below
``FREEBSD_STATE`` (build/vm). The seed for nuageinit(7) and cloud-init brings the public key ``FREEBSD_KEY.pub``
(~/.ssh/id_ed25519) for root, and Python. ``FREEBSD_ACCEL`` (kvm or tcg), ``FREEBSD_CPU``, ``FREEBSD_CPUS`` (2) and
``FREEBSD_MEMORY`` (4G) are QEMU's.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import lzma
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Callable, Dict, List, Optional

ENV = os.environ
STATE = Path(ENV.get("FREEBSD_STATE") or Path(__file__).resolve().parents[3] / "build" / "vm")
KEY = Path(ENV.get("FREEBSD_KEY") or Path.home() / ".ssh" / "id_ed25519")
RELEASE = ENV.get("FREEBSD_RELEASE") or "15.1-RELEASE"
DOWNLOADS = "https://download.freebsd.org/releases/VM-IMAGES"
BOOT_SECONDS = 900
# A script, which nuageinit(7) of every release and cloud-init run at the end of the first boot. Root comes in last, when
# all else is there: FreeBSD's sshd refuses root by default.
SEED = """\
#!/bin/sh
sysrc hostname={name}
hostname {name}
env ASSUME_ALWAYS_YES=yes pkg install -y python3
mkdir -p /root/.ssh
chmod 700 /root/.ssh
echo {key} >> /root/.ssh/authorized_keys
echo PermitRootLogin prohibit-password >> /etc/ssh/sshd_config
! service sshd status || service sshd restart  # rc(8) may start it before or after this
"""


class Missing(SystemExit):
    """Something that this needs is not here; says what, and where it comes from."""


def need(program: str, package: str) -> str:
    """Where a program is."""
    found = shutil.which(program)
    if found is None:
        raise Missing(f"{program} is not here; it comes in the package {package} (Debian) or qemu (FreeBSD, Fedora, Homebrew)")
    return found


def kvm_works() -> bool:
    """Whether the kernel helps; else QEMU runs every instruction itself, some ten times slower."""
    if ENV.get("FREEBSD_ACCEL"):
        return ENV["FREEBSD_ACCEL"] == "kvm"
    try:
        with open("/dev/kvm", "r+b", buffering=0):
            pass
    except OSError:
        return False
    probe = [need("qemu-system-x86_64", "qemu-system-x86"), "-accel", "kvm", "-machine", "none", "-nographic", "-monitor", "stdio"]
    return subprocess.run(probe, input=b"quit\n", capture_output=True, check=False, timeout=60).returncode == 0


def fetched_image() -> Path:
    """The official image, from the cache or downloaded and checked."""
    folder = f"{DOWNLOADS}/{RELEASE}/amd64/Latest"
    name = f"FreeBSD-{RELEASE}-amd64-BASIC-CLOUDINIT-ufs.qcow2.xz"
    image = STATE / "images" / name[:-3]
    if image.exists():
        return image
    image.parent.mkdir(parents=True, exist_ok=True)
    packed = image.with_suffix(".xz.partial")
    try:
        with urllib.request.urlopen(f"{folder}/CHECKSUM.SHA256", timeout=60) as answer:
            sums = answer.read().decode()
        with urllib.request.urlopen(f"{folder}/{name}", timeout=60) as answer, packed.open("wb") as out:
            shutil.copyfileobj(answer, out)
    except OSError as error:
        raise Missing(f"{folder}/{name} cannot be fetched ({error}); give FREEBSD_IMAGE, or FREEBSD_KERNEL and FREEBSD_ROOT") from error
    digest = hashlib.sha256()
    with packed.open("rb") as stream:
        for block in iter(lambda: stream.read(1 << 20), b""):
            digest.update(block)
    if f"({name}) = {digest.hexdigest()}" not in sums:
        packed.unlink()
        raise Missing(f"{name} is not what its CHECKSUM.SHA256 says; try again")
    with lzma.open(packed) as stream, image.with_suffix(".partial").open("wb") as out:
        shutil.copyfileobj(stream, out)
    image.with_suffix(".partial").rename(image)
    packed.unlink()
    return image


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def disk_words(name: str, words: str) -> List[str]:
    """A disk; FreeBSD numbers them in the order of their devices: the root file system is on vtbd0."""
    return ["-drive", f"if=none,id={name},{words}", "-device", f"virtio-blk-pci,drive={name}"]


class Vm:
    """One machine."""

    def __init__(self, name: str) -> None:
        self.name, self.place = name, STATE / name

    @property
    def facts(self) -> Optional[Dict[str, object]]:
        """What is known of it; None when it is not there."""
        path = self.place / "vm.json"
        return dict(json.loads(path.read_text())) if path.exists() else None

    def _pid(self) -> Optional[int]:
        path = self.place / "pid"
        pid = int(path.read_text()) if path.exists() else 0
        try:
            os.kill(pid, 0) if pid else None
        except ProcessLookupError:
            return None
        return pid or None

    def ssh(self, *words: str) -> subprocess.CompletedProcess[bytes]:
        """Run a command in it."""
        port = str((self.facts or {})["port"])
        options = ["-i", str(KEY), "-p", port, "-o", "BatchMode=yes", "-o", "ConnectTimeout=10"]
        trust = ["-o", "StrictHostKeyChecking=no", "-o", f"UserKnownHostsFile={self.place}/known_hosts", "-o", "LogLevel=ERROR"]
        return subprocess.run(["ssh", *options, *trust, "root@127.0.0.1", *words], capture_output=True, check=False)

    def _boot_words(self) -> List[str]:
        kernel, root = ENV.get("FREEBSD_KERNEL"), ENV.get("FREEBSD_ROOT")
        if kernel and not root:
            raise Missing("FREEBSD_KERNEL wants FREEBSD_ROOT, the disk with its root file system")
        given = Path(root if kernel and root else ENV.get("FREEBSD_IMAGE") or fetched_image()).resolve()
        if not given.exists():
            raise Missing(f"{given} is not there")
        form = json.loads(subprocess.run(["qemu-img", "info", "--output=json", given], capture_output=True, check=True).stdout)["format"]
        disk = self.place / "root.qcow2"
        size = [] if kernel else [ENV.get("FREEBSD_DISK_SIZE") or "16G"]  # the image's own growfs fills it
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", given, "-F", form, disk, *size], check=True)
        words = disk_words("root", f"file={disk},format=qcow2")
        if kernel:
            append = f"vfs.root.mountfrom=ufs:/dev/vtbd0 console=comconsole boot_serial=YES {ENV.get('FREEBSD_APPEND', '')}"
            words += ["-kernel", kernel, "-append", append.strip()]
        return words

    def _seed_words(self) -> List[str]:
        """A small FAT disk labelled CIDATA; QEMU makes it of a directory."""
        seed = self.place / "seed"
        seed.mkdir()
        public = Path(f"{KEY}.pub")
        if not public.exists():
            raise Missing(f"{public} is not there; make one with ssh-keygen, or name another with FREEBSD_KEY")
        (seed / "meta-data").write_text(f"instance-id: {self.name}\nlocal-hostname: {self.name}\n")
        (seed / "user-data").write_text(SEED.format(name=self.name, key=shlex.quote(public.read_text().strip())))
        # FreeBSD mounts it to write: what it writes goes nowhere.
        return disk_words("seed", f"format=raw,snapshot=on,file.driver=vvfat,file.dir={seed},file.label=CIDATA")

    def start(self) -> Dict[str, object]:
        """Boot it, and wait until it answers ssh."""
        qemu = need("qemu-system-x86_64", "qemu-system-x86")
        need("qemu-img", "qemu-utils")
        if self._pid() is not None and self.facts is not None:
            return dict(self.facts)
        shutil.rmtree(self.place, ignore_errors=True)
        self.place.mkdir(parents=True)
        port, fast = free_port(), kvm_works()
        zfs = self.place / "zfs.raw"
        subprocess.run(["qemu-img", "create", "-q", "-f", "raw", zfs, ENV.get("FREEBSD_ZFS_SIZE") or "8G"], check=True)
        words = [
            qemu, "-machine", "q35", "-accel", "kvm" if fast else "tcg,thread=multi", "-cpu", ENV.get("FREEBSD_CPU") or ("host" if fast else "max"),
            "-smp", ENV.get("FREEBSD_CPUS") or "2", "-m", ENV.get("FREEBSD_MEMORY") or "4G", "-display", "none",
            "-serial", f"file:{self.place}/console.log", "-pidfile", str(self.place / "pid"), "-daemonize",
            *self._boot_words(), *disk_words("zfs", f"file={zfs},format=raw"), *self._seed_words(),
            "-netdev", f"user,id=net,hostfwd=tcp:127.0.0.1:{port}-:22", "-device", "virtio-net-pci,netdev=net",
            "-device", "virtio-rng-pci",
        ]
        facts = {"name": self.name, "port": port, "key": str(KEY), "console": f"{self.place}/console.log", "kvm": fast}
        (self.place / "vm.json").write_text(json.dumps(facts))
        print(f"{self.name}: booting{'' if fast else ' without KVM, which takes minutes'}; console in {facts['console']}", file=sys.stderr)
        subprocess.run(words, check=True)
        if not wait_until(lambda: self._pid() is None or self.ssh("true").returncode == 0, BOOT_SECONDS) or self._pid() is None:
            raise SystemExit(f"{self.name} did not come up; see {facts['console']}")
        return facts

    def stop(self) -> None:
        """Shut it down as its console would, then take its power, and forget it."""
        pid = self._pid()
        if pid is not None:
            self.ssh("shutdown", "-p", "now")
            if not wait_until(lambda: self._pid() is None, 120):
                os.kill(pid, signal.SIGTERM)
                wait_until(lambda: self._pid() is None, 30)
        shutil.rmtree(self.place, ignore_errors=True)


def wait_until(condition: Callable[[], object], seconds: float) -> bool:
    """Poll until it holds, at most so long."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= end:
            return False
        time.sleep(1)
    return True


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=["start", "stop", "list"])
    parser.add_argument("names", nargs="*", help="names of machines")
    asked = parser.parse_args()
    if asked.action == "start":
        print(json.dumps([Vm(name).start() for name in asked.names]))
    elif asked.action == "stop":
        for name in asked.names:
            Vm(name).stop()
    else:
        print(json.dumps([Vm(path.parent.name).facts for path in sorted(STATE.glob("*/vm.json"))]))


if __name__ == "__main__":
    main()
