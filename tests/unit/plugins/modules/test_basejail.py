# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bases: made whole or not at all, updated or left as they were, removed only when nothing stands on them."""

from __future__ import annotations

import http.server
import json
import re
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.cellblock.jails.plugins.module_utils.bases import planning as basejail
from ansible_collections.cellblock.jails.plugins.module_utils.bases.base import Base
from ansible_collections.cellblock.jails.plugins.module_utils.bases.options import BASE
from ansible_collections.cellblock.jails.plugins.module_utils.bases.sets import manifest
from ansible_collections.cellblock.jails.plugins.module_utils.engine import storage
from ansible_collections.cellblock.jails.plugins.module_utils.engine.apply import take
from ansible_collections.cellblock.jails.plugins.module_utils.engine.ask import version
from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import Host
from ansible_collections.cellblock.jails.plugins.module_utils.engine.options import STORAGE_OPTIONS
from ansible_collections.cellblock.jails.plugins.module_utils.engine.plan import Plan
from ansible_collections.cellblock.jails.plugins.module_utils.errors import CellblockError, InputError, Refused
from ansible_collections.cellblock.jails.plugins.modules import basejail as module
from ansible_collections.cellblock.jails.tests.simulator import SimulatedHost, SimulatedKill, fresh_host
from ansible_collections.cellblock.jails.tests.simulator.core import TOOLS, Refusal
from ansible_collections.cellblock.jails.tests.simulator.fresh import put_sets
from ansible_collections.cellblock.jails.tests.simulator.tools import zfs
from ansible_collections.cellblock.jails.tests.unit.captures import captures

PATH = "/usr/jails/basejails/r151"
DATASET = "zroot/jails/basejails/r151"
DEFAULTS = {name: option.get("default") for name, option in {**BASE, **STORAGE_OPTIONS}.items()}


# -- what the simulated host does not know by itself


def freebsd_update(host: SimulatedHost, args: list[str], stdin: str) -> tuple[int, str, str]:
    """freebsd-update(8): brings a tree to state['offered'], in two halves."""
    root, workdir, command = args[args.index("-b") + 1], args[args.index("-d") + 1], args[-1]
    version = args[args.index("--currently-running") + 1]
    if "--not-running-from-cron" not in args:
        return 1, "freebsd-update fetch should not be run non-interactively.", ""
    if not host.real(workdir).is_dir():
        return 1, f"freebsd-update: Directory does not exist or is not writable: {workdir}\n", ""
    offered = host.state.get("offered", version)
    ready = host.real(workdir) / (root.replace("/", "%") + "-install")
    old = host.state.get("end_of_life", False)
    if command == "fetch":
        ready.unlink(missing_ok=True)
        if version == offered:
            return int(old), f"\nNo updates needed to update system to {offered}.\n", ""
        ready.write_text(offered)
        said = f"\nThe following files will be updated as part of updating to\n{offered}:\n/bin/freebsd-version\n"
        return int(old), said + ("\nWARNING: FreeBSD 15.1 HAS PASSED ITS END-OF-LIFE DATE.\n" if old else ""), ""
    if not ready.exists():
        return 2, "No updates are available to install.\n", ""
    (host.real(root) / "usr/bin/half").write_text("new")
    if host.state.get("update_fails"):
        return 1, "", "install: out of space\n"
    (host.real(root) / "bin/freebsd-version").write_text(f'USERLAND_VERSION="{offered}"\n')
    ready.unlink()
    return 0, "Installing updates... done.\n", ""


def pkg(host: SimulatedHost, args: list[str], stdin: str) -> tuple[int, str, str]:
    """pkg(8) with a repository in state['packages'], and installed ones in a file below the root."""
    if args == ["-N"]:
        return int(not host.state.get("packages")), "", "pkg: pkg is not installed\n"
    root, rest = host.real(args[args.index("--rootdir") + 1]), list(args)
    command = next(word for word in rest if word in ("update", "install", "upgrade", "query", "rquery", "which"))
    database = root / "var/db/pkg/local"
    installed = json.loads(database.read_text()) if database.exists() else {}
    if command == "which":
        return int(not installed), "", ""
    if command == "query":
        return 0, "".join(f"{name} {version}\n" for name, version in installed.items()), ""
    conf = host.real(args[args.index("--repo-conf-dir") + 1]) / "FreeBSD-base.conf"
    keys = re.search(r'fingerprints: "(.*)"', conf.read_text())
    if keys and not (root / keys.group(1).lstrip("/")).is_dir():
        return 1, "", "pkg: No trusted public keys found\n"
    offered = host.state["packages"]
    if command == "rquery":
        return 0, "".join(f"{name} {version}\n" for name, version in offered.items()), ""
    if command == "update":
        return 0, "", ""
    names = list(installed) if command == "upgrade" else rest[rest.index("-r") + 2:]
    for name in names:
        if name not in offered:
            return 1, "", f"pkg: No packages available to install matching '{name}' have been found\n"
        installed[name] = offered[name]
    database.parent.mkdir(parents=True, exist_ok=True)
    database.write_text(json.dumps(installed))
    (root / "bin").mkdir(exist_ok=True)
    (root / "bin/freebsd-version").write_text('USERLAND_VERSION="15.1-RELEASE-p1"\n')
    return 0, "", ""


def make(host: SimulatedHost, args: list[str], stdin: str) -> tuple[int, str, str]:
    """make(1) in a source tree that was built if it has obj."""
    source = host.real(args[args.index("-C") + 1])
    target = host.real(args[-1].partition("DESTDIR=")[2])
    if args[-2] == "installworld" and not (source / "obj").exists():
        return 2, "make: Fatal: you must set an object directory\n", ""
    if args[-2] in ("world", "installworld"):
        text = dict(re.findall('(REVISION|BRANCH)="(.*)"', (source / "sys/conf/newvers.sh").read_text()))
        (target / "bin").mkdir(parents=True, exist_ok=True)
        (target / "bin/freebsd-version").write_text(f'USERLAND_VERSION="{text["REVISION"]}-{text["BRANCH"]}"\n')
    else:
        (target / "etc").mkdir(exist_ok=True)
        (target / "etc/rc").write_text("#!/bin/sh\n")
    return 0, "", ""


def rollback(host: SimulatedHost, rest: list[str], *_more: Any) -> str:
    """zfs rollback, refused when there are newer snapshots."""
    name, dataset = rest[0], rest[0].partition("@")[0]
    state = host.state["datasets"]
    if name not in state:
        raise Refusal(f"cannot open '{name}': dataset does not exist")
    newer = [other for other in state if other.startswith(f"{dataset}@") and state[other]["txg"] > state[name]["txg"]]
    if newer:
        raise Refusal(f"cannot rollback to '{name}': more recent snapshots or bookmarks exist")
    point = host.real(zfs.mountpoint(host, dataset))
    shutil.rmtree(point)
    shutil.copytree(host.root / ".snapshots" / name.replace("/", "%"), point, symlinks=True)
    return ""


def move_mountpoint(host: SimulatedHost, rest: list[str], *more: Any) -> str:
    """zfs set: what is in a dataset goes with its mount point."""
    before = host.real(zfs.mountpoint(host, rest[-1]))
    said = str(zfs._set(host, rest, *more))
    after = host.real(zfs.mountpoint(host, rest[-1]))
    if before != after and before.is_dir():
        after.rmdir()
        before.rename(after)
    return said


def inherit(host: SimulatedHost, rest: list[str], *_more: Any) -> str:
    """zfs inherit of a user property."""
    host.state["datasets"][rest[1]]["props"].pop(rest[0], None)
    return ""


@pytest.fixture(autouse=True)
def tools(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, function in (("freebsd-update", freebsd_update), ("pkg", pkg), ("make", make)):
        monkeypatch.setitem(TOOLS, name, function)
    for name, verb in (("rollback", rollback), ("inherit", inherit), ("set", move_mountpoint)):
        monkeypatch.setitem(zfs.VERBS, name, verb)


class Mortal(Host):
    """A host on which a run dies before the thing that it is allowed to do last.

    :ivar left: how many things it may still do to the host, by command or by file; None for all.
    """

    left: int | None = None


def mortal(name: str) -> Any:
    real = getattr(Host, name)

    def method(self: Mortal, *args: Any, **options: Any) -> Any:
        if self.left is not None:
            if self.left == 0:
                raise SimulatedKill
            self.left -= 1
        return real(self, *args, **options)

    return method


for _name in ("ask", "pipe", "write", "remove", "makedirs", "rmdir", "rename"):
    setattr(Mortal, _name, mortal(_name))


class Site:
    """A simulated host and the module against it."""

    def __init__(self, root: Path, storage_kind: str) -> None:
        self.simulated = fresh_host(root, storage=storage_kind)
        self.zfs = storage_kind == "zfs"
        self.host = Mortal(self.simulated.runner, str(self.simulated.root))

    def options(self, options: dict[str, Any]) -> dict[str, Any]:
        given: dict[str, Any] = {**DEFAULTS, "name": "r151", "url": "/var/dist", "retries": 0}
        if self.zfs:
            given["storage_dataset"] = "zroot/jails"
        return {**given, **options}

    def plan(self, check_mode: bool = False, **options: Any) -> Plan:
        return basejail.plan(self.host, Base.from_options(self.options(options)), check_mode)

    def run(self, **options: Any) -> list[str]:
        """Plan in check mode, then run; both must say the same."""
        before = self.simulated.picture()
        predicted = self.plan(check_mode=True, **options)
        assert self.simulated.picture() == before, "check mode changed the host"
        made = self.plan(**options)
        assert made.told() == predicted.told()
        take(self.host, made)
        basejail.verify(self.host, Base.from_options(self.options(options)), made)
        self.facts = made.facts["base"]
        return made.told()

    def fails(self, **options: Any) -> str:
        with pytest.raises(CellblockError) as caught:
            take(self.host, self.plan(**options))
        return str(caught.value)

    def text(self, path: str) -> str:
        return self.simulated.real(path).read_text()

    def offer(self, version: str) -> None:
        self.simulated.state["offered"] = version


@pytest.fixture(params=["ufs", "zfs"])
def site(tmp_path: Path, request: pytest.FixtureRequest) -> Site:
    return Site(tmp_path, request.param)


@pytest.fixture
def ufs(tmp_path: Path) -> Site:
    return Site(tmp_path, "ufs")


@pytest.fixture
def zroot(tmp_path: Path) -> Site:
    return Site(tmp_path, "zfs")


# -- present


def test_a_base_of_sets_is_made_once(site: Site) -> None:
    steps = site.run()
    assert steps[0] == "fetch sets base of /var/dist, checked against its MANIFEST"
    assert version(site.host, PATH) == "15.1-RELEASE-p1"
    assert site.facts["version"] == "15.1-RELEASE-p1"
    assert site.facts["kind"] == "sets"
    assert site.facts["snapshot"] == (f"{DATASET}@15.1-RELEASE-p1" if site.zfs else None)
    assert site.run() == []


def test_a_second_run_asks_a_handful_of_commands(site: Site) -> None:
    site.run()
    before = len(site.simulated.commands)
    site.plan()
    assert len(site.simulated.commands) - before <= 3


def test_check_mode_of_a_fresh_host_needs_neither_dataset_nor_sets(tmp_path: Path) -> None:
    site = Site(tmp_path, "ufs")
    made = site.plan(check_mode=True, url="http://127.0.0.1:9/nowhere", storage_dataset="zroot/jails", state="latest")
    assert [step.split(" of ")[0] for step in made.told()] == [
        "fetch sets base", "make base r151", "take a snapshot", "update base r151 to its newest patch level",
    ]
    assert made.warnings


def test_the_release_s_own_place_is_the_default(ufs: Site) -> None:
    for name, words in (
        ("15.1-RELEASE", "releases/amd64/amd64/15.1-RELEASE,"), ("any", "releases/amd64/amd64/15.1-RELEASE,"),
        ("16.0-CURRENT", "snapshots/amd64/amd64/16.0-CURRENT,"),
    ):
        assert f"https://download.freebsd.org/{words}" in ufs.plan(check_mode=True, name=name, url=None).told()[0]
    told = ufs.plan(check_mode=True, url=None, release="14.3-RELEASE", arch="arm64").told()
    assert "/releases/arm64/aarch64/14.3-RELEASE," in told[0]


def test_several_sets_are_laid_over_each_other(site: Site) -> None:
    base = site.simulated.real("/var/dist/base.txz")
    shutil.copy(base, base.with_name("lib32.txz"))
    text = site.text("/var/dist/MANIFEST")
    base.with_name("MANIFEST").write_text(text + text.replace("base.txz", "lib32.txz"))
    site.run(sets=["base", "lib32"])
    archives = [argv[2] for argv in site.simulated.commands if argv[:2] == ("tar", "-xpf")]
    extracted = [path.rpartition("/")[2] for path in archives if "dist" in path]
    assert extracted == ["base.txz", "lib32.txz"]


def test_the_mark_tells_what_a_plain_base_is(ufs: Site) -> None:
    ufs.run()
    assert json.loads(ufs.text("/usr/jails/basejails/.r151.json")) == {"base": "r151", "source": "sets"}


def test_a_dataset_tells_what_it_is(zroot: Site) -> None:
    zroot.run()
    props = zroot.simulated.state["datasets"][DATASET]["props"]
    assert (props["cellblock:base"], props["cellblock:state"], props["cellblock:source"]) == ("r151", "ready", "sets")


def test_a_base_can_stand_elsewhere(tmp_path: Path) -> None:
    for kind in ("ufs", "zfs"):
        number = 0
        while True:
            site = Site(tmp_path / f"{kind}-{number}", kind)
            dead = killed_at(site, number, path="/var/bases/x")
            site.run(path="/var/bases/x")
            assert site.facts["path"] == "/var/bases/x" and site.facts["version"] == "15.1-RELEASE-p1"
            assert site.facts["dataset"] == (DATASET if site.zfs else None)
            assert site.run(path="/var/bases/x") == []
            if not dead:
                break
            number += 1
        site.run(path="/var/bases/x", state="absent")
        assert site.facts["version"] is None
        assert site.host.listdir("/var/bases") == []


def test_a_dataset_that_is_not_mounted_is_said(zroot: Site) -> None:
    zroot.run()
    shutil.rmtree(zroot.simulated.real(PATH))
    assert "empty or not mounted" in zroot.fails()


def broken_sum(site: Site) -> None:
    with site.simulated.real("/var/dist/base.txz").open("ab") as stream:
        stream.write(b"x")


def no_set(site: Site) -> None:
    site.simulated.real("/var/dist/base.txz").unlink()


def no_manifest(site: Site) -> None:
    site.simulated.real("/var/dist/MANIFEST").unlink()


def not_listed(site: Site) -> None:
    site.simulated.real("/var/dist/MANIFEST").write_text("src.txz\t" + "0" * 64 + "\t1\tsrc\n")


def no_archive(site: Site) -> None:
    site.simulated.fail_once("tar", "-xpf", says="tar: Error exit delayed from previous errors")


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (broken_sum, "its sha256 is .*, MANIFEST says .*Get the file again"),
        (no_set, "is listed in MANIFEST, and is not there"),
        (no_manifest, "there is no MANIFEST"),
        (not_listed, "does not list base.txz, only src.txz"),
        (no_archive, "Error exit delayed"),
    ],
)
def test_a_base_that_fails_leaves_nothing(site: Site, harm: Any, said: str) -> None:
    before = site.simulated.picture()
    harm(site)
    assert re.search(said, site.fails())
    put_sets(site.simulated.real("/var/dist"))
    assert site.simulated.picture() == before


def test_a_pinned_manifest_is_held_to(site: Site) -> None:
    wrong = "0" * 64
    assert f"manifest_sha256 says {wrong}" in site.fails(manifest_sha256=wrong)
    right = put_sets(site.simulated.real("/var/dist"))
    assert site.run(manifest_sha256=right)


def test_a_real_manifest_is_read() -> None:
    text = next(one["stdout"] for one in captures("commands") if one["cmd"] == "cat /var/dist/MANIFEST")
    assert manifest(text) == {"base.txz": "ad5972de88cd43a3b8381ef3393ecef7adb72a7dc96dd5462e716654eaf3270c"}


def killed_at(site: Site, number: int, **options: Any) -> bool:
    """Run, and die before one of the things that it does to the host; false when it ended before that."""
    site.host.left = number
    try:
        take(site.host, site.plan(**options))
    except SimulatedKill:
        return True
    finally:
        site.host.left = None
    return False


def test_a_killed_run_is_finished_by_the_next(tmp_path: Path) -> None:
    for kind in ("ufs", "zfs"):
        whole = Site(tmp_path / f"{kind}-whole", kind)
        whole.run()
        number = 0
        while True:
            site = Site(tmp_path / f"{kind}-{number}", kind)
            if not killed_at(site, number):
                break
            assert site.host.lstat(PATH) is None or version(site.host, PATH), "half a base under its name"
            site.run()
            assert site.simulated.picture() == whole.simulated.picture()
            number += 1
        assert number > 3


def test_what_stands_there_is_not_touched(site: Site) -> None:
    place = site.simulated.real(PATH)
    place.mkdir(parents=True)
    (place / "precious").write_text("")
    before = site.simulated.picture()
    assert "was not made by us" in site.fails()
    assert "source: directory" in site.fails()
    assert "was not made by us" in site.fails(state="absent")
    assert site.simulated.picture() == before


def test_a_dataset_of_others_is_not_touched(zroot: Site) -> None:
    for name in ("zroot/jails/basejails", DATASET):
        zroot.simulated.run(["zfs", "create", name])
    for state in ("present", "absent"):
        assert "was not made by us" in zroot.fails(state=state)
    assert DATASET in zroot.simulated.state["datasets"]


def test_a_base_does_not_become_another(site: Site) -> None:
    site.run()
    assert "made of sets, and cannot become of pkgbase" in site.fails(source="pkgbase")
    assert "cannot become 14.3-RELEASE" in site.fails(release="14.3-RELEASE")
    assert site.run(release="15.1-RELEASE", source="sets") == []


def test_a_missing_dataset_is_said_before_anything_is_done(ufs: Site) -> None:
    assert "dataset zroot/jails is not there" in ufs.fails(storage_dataset="zroot/jails")


def test_a_dataset_mounted_elsewhere_is_said(zroot: Site) -> None:
    assert "mounted at /usr/jails, not at storage_path /jails" in zroot.fails(storage_path="/jails")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"name": "../x"}, "base's name"),
        ({"storage_dataset": "-r"}, "dataset's name"),
        ({"name": "x.partial"}, "base's name"),
        ({"path": "/usr/../etc"}, "clean absolute path"),
        ({"sets": ["base.txz"]}, "not 'base.txz'"),
        ({"release": "15.1"}, "no release"),
        ({"manifest_sha256": "abc"}, "64 hex"),
        ({"url": "gopher://x"}, "no URL"),
        ({"url": "https://me:secret@example.org/x"}, "HTTP_AUTH"),
        ({"source": "pkgbase", "packages": ["--help"]}, "package's name"),
        ({"source": "pkgbase", "release": "14.3-RELEASE"}, "15.0-RELEASE or later"),
        ({"source": "src"}, "newvers.sh"),
        ({"source": "directory", "directory": "/nowhere"}, "no FreeBSD system"),
    ],
)
def test_bad_input_is_refused_before_anything_is_touched(ufs: Site, options: dict[str, Any], said: str) -> None:
    before = ufs.simulated.picture()
    with pytest.raises(InputError, match=said) as caught:
        ufs.plan(**options)
    assert "secret" not in str(caught.value)
    assert ufs.simulated.picture() == before


# -- downloads


class Mirror(http.server.BaseHTTPRequestHandler):
    """A mirror of a directory that can serve something else first."""

    files: dict[str, bytes] = {}
    first: dict[str, bytes] = {}
    asked: list[str] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)
        data = self.first.pop(self.path, None) or self.files.get(self.path)
        self.send_response(200 if data is not None else 404)
        self.end_headers()
        self.wfile.write(data or b"")

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def mirror(site: Site) -> Iterator[str]:
    sets = site.simulated.real("/var/dist")
    Mirror.files = {f"/{name}": (sets / name).read_bytes() for name in ("base.txz", "MANIFEST")}
    Mirror.first, Mirror.asked = {}, []
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Mirror)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_sets_are_downloaded_once_and_kept(site: Site, mirror: str) -> None:
    site.run(url=mirror)
    assert Mirror.asked == ["/MANIFEST", "/base.txz"]
    site.run(url=mirror, name="other")
    assert Mirror.asked == ["/MANIFEST", "/base.txz", "/MANIFEST"]
    assert version(site.host, "/usr/jails/basejails/other") == "15.1-RELEASE-p1"


def test_a_broken_download_is_started_anew(site: Site, mirror: str) -> None:
    Mirror.first["/base.txz"] = b"an error page of some proxy"
    site.run(url=mirror, retries=1)
    assert Mirror.asked.count("/base.txz") == 2
    assert site.facts["version"] == "15.1-RELEASE-p1"


def test_a_download_goes_on_where_it_ended(site: Site, mirror: str) -> None:
    data = Mirror.files["/base.txz"]
    digest = manifest(site.text("/var/dist/MANIFEST"))["base.txz"]
    cache = site.simulated.real("/var/cache/cellblock")
    cache.mkdir(parents=True)
    (cache / f"base-{digest[:16]}.txz.part").write_bytes(data[:100])
    site.run(url=mirror)
    fetched = next(argv for argv in site.simulated.commands if argv[0] == "fetch" and argv[-1].endswith("base.txz"))
    assert "-r" in fetched and "-F" in fetched
    assert [path.name for path in cache.iterdir()] == [f"base-{digest[:16]}.txz"]


def test_a_forged_set_is_never_extracted(site: Site, mirror: str) -> None:
    Mirror.files["/base.txz"] = b"forged"
    said = site.fails(url=mirror, retries=2)
    assert "MANIFEST says" in said and "tried 3 times" in said and f"{mirror}/base.txz" in said
    assert site.host.lstat(PATH) is None
    assert list(site.simulated.real("/var/cache/cellblock").iterdir()) == []


def test_a_silent_mirror_is_named(site: Site) -> None:
    said = site.fails(url="http://127.0.0.1:9")
    assert "http://127.0.0.1:9/MANIFEST" in said and "name another url" in said


def test_proxies_of_the_task_reach_fetch(site: Site, mirror: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    seen: list[dict[str, str]] = []
    real = TOOLS["fetch"]

    def watched(host: SimulatedHost, args: list[str], stdin: str) -> tuple[int, str, str]:
        seen.append(dict(host.env))
        return real(host, args, stdin)

    monkeypatch.setitem(TOOLS, "fetch", watched)
    site.run(url=mirror)
    assert all(env["NO_PROXY"] == "127.0.0.1" for env in seen) and seen


# -- other sources


def source_tree(site: Site, branch: str = "RELEASE-p1", built: bool = True) -> None:
    conf = site.simulated.real("/usr/src/sys/conf/newvers.sh")
    conf.parent.mkdir(parents=True, exist_ok=True)
    conf.write_text(f'TYPE="FreeBSD"\nREVISION="15.1"\nBRANCH="{branch}"\n')
    if built:
        site.simulated.real("/usr/src/obj").touch()


def test_a_base_of_source(site: Site) -> None:
    source_tree(site)
    site.run(source="src", make_args=["-j4"])
    assert site.facts["version"] == "15.1-RELEASE-p1" and site.facts["kind"] == "src"
    assert site.host.lstat(f"{PATH}/etc/rc") is not None
    assert site.run(source="src", state="latest") == []
    source_tree(site, "RELEASE-p2")
    assert site.run(source="src", state="latest") == ["update base r151 to 15.1-RELEASE-p2"]
    assert site.facts["version"] == "15.1-RELEASE-p2"
    assert site.run(source="src", state="latest") == []


def test_source_that_was_not_built_is_said(site: Site) -> None:
    source_tree(site, built=False)
    said = site.fails(source="src")
    assert "object directory" in said and "buildworld" in said
    assert site.host.lstat(PATH) is None
    site.run(source="src", make_world=True)
    assert site.facts["version"] == "15.1-RELEASE-p1"


@pytest.fixture
def packages(site: Site) -> dict[str, str]:
    site.simulated.state["packages"] = {"FreeBSD-set-minimal-jail": "15.1", "FreeBSD-ssh": "15.1", "pkg": "2.7"}
    site.simulated.real("/usr/share/keys/pkgbase-15/trusted").mkdir(parents=True)
    return dict(site.simulated.state["packages"])


def test_a_base_of_packages(site: Site, packages: dict[str, str]) -> None:
    wanted = {"source": "pkgbase", "url": None, "packages": ["FreeBSD-set-minimal-jail", "FreeBSD-ssh"]}
    steps = site.run(**wanted)
    assert "pkg+https://pkg.FreeBSD.org/FreeBSD:15:amd64/base_release_1" in steps[0]
    assert site.facts["kind"] == "pkgbase"
    assert "enabled: yes" in site.text(f"{PATH}/usr/local/etc/pkg/repos/FreeBSD.conf")
    assert site.host.isdir(f"{PATH}/usr/share/keys/pkgbase-15/trusted")
    assert site.run(**wanted, state="latest") == []
    site.simulated.state["packages"]["FreeBSD-ssh"] = "15.1p1"
    assert site.run(**wanted, state="latest") == ["update base r151 to the newest packages (1 of them)"]
    assert site.run(**wanted, state="latest") == []
    if site.zfs:
        assert site.facts["snapshot"] == f"{DATASET}@15.1-RELEASE-p1-2"


def test_a_package_that_is_not_there_leaves_nothing(site: Site, packages: dict[str, str]) -> None:
    before = site.simulated.picture()
    assert "No packages available" in site.fails(source="pkgbase", url="/var/repo", packages=["FreeBSD-nope"])
    assert site.simulated.picture() == before


def test_packages_need_pkg_and_keys(site: Site) -> None:
    assert "pkg bootstrap" in site.fails(source="pkgbase")
    site.simulated.state["packages"] = {"x": "1"}
    assert "no keys of this release" in site.fails(source="pkgbase")


def a_system(site: Site, path: str) -> None:
    site.simulated.real(path).mkdir(parents=True, exist_ok=True)
    site.simulated.run(["tar", "-xpf", "/var/dist/base.txz", "-C", path])
    site.simulated.state["flags"].clear()


def test_a_copy_of_a_directory(site: Site) -> None:
    a_system(site, "/var/other")
    site.run(source="directory", directory="/var/other")
    assert site.facts["version"] == "15.1-RELEASE-p1" and site.facts["kind"] == "directory"
    assert site.host.isdir("/var/other/bin")
    assert site.run() == []


def test_a_directory_is_adopted_and_forgotten_as_it_is(ufs: Site) -> None:
    a_system(ufs, "/var/other")
    before = ufs.simulated.picture()
    options = {"source": "directory", "path": "/var/other"}
    assert ufs.run(**options) == ["adopt /var/other as base r151"]
    assert ufs.facts["kind"] == "adopted" and ufs.facts["path"] == "/var/other"
    assert ufs.run(**options) == []
    assert ufs.run(**options, state="absent") == ["forget base r151, which stays at /var/other"]
    assert ufs.simulated.picture() == before


def test_a_dataset_is_adopted_and_forgotten_as_it_is(zroot: Site) -> None:
    zroot.simulated.run(["zfs", "create", "zroot/jails/old"])
    a_system(zroot, "/usr/jails/old")
    options = {"source": "directory", "path": "/usr/jails/old"}
    assert zroot.run(**options)[0] == "adopt dataset zroot/jails/old as base r151"
    assert zroot.facts["snapshot"] == "zroot/jails/old@15.1-RELEASE-p1"
    assert zroot.run(**options) == []
    assert zroot.run(**options, state="absent") == ["forget base r151, which stays as dataset zroot/jails/old"]
    assert zroot.run(**options, state="absent") == []
    assert zroot.host.isdir("/usr/jails/old/bin")


def test_a_jail_s_dataset_is_not_adopted(zroot: Site) -> None:
    zroot.simulated.run(["zfs", "create", "-o", "cellblock:jail=web", "zroot/jails/web"])
    a_system(zroot, "/usr/jails/web")
    assert "it is jail web already" in zroot.fails(source="directory", path="/usr/jails/web")


def test_what_is_no_system_is_not_adopted(ufs: Site) -> None:
    ufs.simulated.real("/var/other").mkdir()
    assert "no FreeBSD system" in ufs.fails(source="directory", path="/var/other")


def test_a_hostile_version_file_is_not_believed(ufs: Site) -> None:
    root = ufs.simulated.real("/var/other/bin")
    root.mkdir(parents=True)
    (root / "freebsd-version").symlink_to("/bin/freebsd-version")
    assert version(ufs.host, "/var/other") == ""
    (root / "freebsd-version").unlink()
    (root / "freebsd-version").write_text('USERLAND_VERSION="$(rm -rf /)"\n')
    assert version(ufs.host, "/var/other") == ""


# -- latest


def test_an_update_brings_the_newest_patch_level_once(site: Site) -> None:
    site.run()
    assert site.run(state="latest") == []
    site.offer("15.1-RELEASE-p2")
    assert site.run(state="latest") == ["update base r151 to 15.1-RELEASE-p2"]
    assert site.facts["version"] == "15.1-RELEASE-p2"
    assert site.run(state="latest") == []
    assert site.run() == []
    if site.zfs:
        levels = [name for name in site.simulated.state["datasets"] if name.startswith(f"{DATASET}@")]
        assert levels == [f"{DATASET}@15.1-RELEASE-p1", f"{DATASET}@15.1-RELEASE-p2"]
        assert site.facts["snapshot"] == levels[-1]
    else:
        assert site.host.listdir("/usr/jails/basejails") == [".r151.json", "r151"]


def test_a_new_base_is_updated_at_once(site: Site) -> None:
    site.offer("15.1-RELEASE-p2")
    site.run(state="latest")
    assert site.facts["version"] == "15.1-RELEASE-p2"
    assert site.run(state="latest") == []


def test_a_new_base_that_is_the_newest_has_one_snapshot(zroot: Site) -> None:
    zroot.run(state="latest")
    assert [name for name in zroot.simulated.state["datasets"] if "@" in name] == [f"{DATASET}@15.1-RELEASE-p1"]


def test_an_update_past_the_end_of_life_is_installed(site: Site) -> None:
    site.simulated.state["end_of_life"] = True
    site.run()
    site.offer("15.1-RELEASE-p9")
    site.run(state="latest")
    assert site.facts["version"] == "15.1-RELEASE-p9"


def test_a_failing_update_leaves_the_base_as_it_was(site: Site) -> None:
    site.run()
    site.offer("15.1-RELEASE-p2")
    site.plan(state="latest")  # the update's cache
    before = site.simulated.picture()
    site.simulated.state["update_fails"] = True
    assert "install: out of space" in site.fails(state="latest")
    site.simulated.state.pop("update_fails")
    before.pop("flags")  # simulated flags do not move with a directory that is renamed
    after = site.simulated.picture()
    after.pop("flags")
    cache = "/var/cache/cellblock"
    assert {name: sum for name, sum in after.pop("files").items() if not name.startswith(cache)} == {
        name: sum for name, sum in before.pop("files").items() if not name.startswith(cache)
    }
    assert after == before


def test_a_killed_update_is_finished_by_the_next(tmp_path: Path) -> None:
    for kind in ("ufs", "zfs"):
        number = 0
        while True:
            site = Site(tmp_path / f"{kind}-{number}", kind)
            site.run()
            site.offer("15.1-RELEASE-p2")
            if not killed_at(site, number, state="latest"):
                break
            if number % 2:
                site.run()  # present mends it too
            site.run(state="latest")
            assert site.facts["version"] == "15.1-RELEASE-p2"
            assert site.run(state="latest") == []
            if site.zfs:
                assert storage.newest_snapshot(site.host, DATASET) == f"{DATASET}@15.1-RELEASE-p2"
                assert f"{DATASET}@{storage.BEFORE_UPDATE}" not in site.simulated.state["datasets"]
            else:
                assert site.host.listdir("/usr/jails/basejails") == [".r151.json", "r151"]
            number += 1
        assert number > 5


def test_a_base_between_two_names_is_put_back(ufs: Site) -> None:
    ufs.run()
    parent = ufs.simulated.real("/usr/jails/basejails")
    (parent / "r151").rename(parent / ".r151.old")
    assert ufs.run() == ["put base r151 back in place"]
    assert ufs.run() == []
    assert version(ufs.host, PATH) == "15.1-RELEASE-p1"


def test_jails_on_the_tree_before_an_update_keep_it(ufs: Site) -> None:
    ufs.run()
    old = ufs.simulated.real("/usr/jails/basejails/.r151.old")
    shutil.copytree(ufs.simulated.real(PATH), old)
    # What nullfs(4) shows has the inode number of what is below it.
    mount = {"special": PATH, "node": "/usr/jails/web/basejail", "fstype": "nullfs", "opts": ["read-only"]}
    ufs.simulated.state["mounts"].append(mount)
    shown, real = old.stat(), ufs.host.lstat
    ufs.host.lstat = lambda path: shown if path == mount["node"] else real(path)  # type: ignore[method-assign]
    assert ufs.plan().told() == []
    ufs.offer("15.1-RELEASE-p2")
    with pytest.raises(Refused, match="Restart them"):
        ufs.plan(state="latest")
    ufs.simulated.state["mounts"].remove(mount)
    assert ufs.run() == ["remove the tree before its last update of base r151"]
    assert not old.exists()


def test_a_directory_of_packages_is_updated_by_pkg(site: Site, packages: dict[str, str]) -> None:
    a_system(site, "/var/other")
    local = site.simulated.real("/var/other/var/db/pkg/local")
    local.parent.mkdir(parents=True)
    local.write_text(json.dumps({"FreeBSD-ssh": "15.0"}))
    options = {"source": "directory", "directory": "/var/other", "url": None}
    site.run(**options)
    assert site.run(**options, state="latest") == ["update base r151 to the newest packages (1 of them)"]
    assert json.loads(site.text(f"{PATH}/var/db/pkg/local")) == {"FreeBSD-ssh": "15.1"}
    assert site.run(**options, state="latest") == []


def test_an_update_under_running_jails_leaves_them_their_tree(ufs: Site) -> None:
    ufs.run()
    ufs.offer("15.1-RELEASE-p2")
    node = "/usr/jails/web/basejail"
    mount = {"special": PATH, "node": node, "fstype": "nullfs", "opts": ["read-only"]}
    ufs.simulated.state["mounts"].append(mount)
    # What nullfs(4) shows keeps the inode number of the tree that was mounted.
    shown, real = ufs.simulated.real(PATH).stat(), ufs.host.lstat
    ufs.host.lstat = lambda path: shown if path == node else real(path)  # type: ignore[method-assign]
    ufs.run(state="latest")
    assert version(ufs.host, PATH) == "15.1-RELEASE-p2"
    assert version(ufs.host, "/usr/jails/basejails/.r151.old") == "15.1-RELEASE-p1"
    assert ufs.run(state="latest") == []
    assert "jails stand" in ufs.fails(state="absent")


def test_a_tree_that_is_no_release_is_not_updated(site: Site) -> None:
    put_sets(site.simulated.real("/var/dist"), "16.0-CURRENT")
    site.run()
    assert "16.0-CURRENT" in site.fails(state="latest")


# -- absent


def test_a_base_is_removed_with_all_that_is_its_own(site: Site) -> None:
    site.run()
    site.offer("15.1-RELEASE-p2")
    site.run(state="latest")
    if not site.zfs:
        # Simulated flags do not move with a directory that is renamed.
        site.simulated.state["flags"].append(f"{basejail.beside(PATH, 'partial')}/sbin/init")
    assert site.run(state="absent")
    assert site.run(state="absent") == []
    assert site.host.lstat(PATH) is None
    assert not any(DATASET in name for name in site.simulated.state["datasets"])
    assert site.host.listdir("/usr/jails/basejails") == []


def test_a_killed_removal_is_finished_by_the_next(tmp_path: Path) -> None:
    for kind in ("ufs", "zfs"):
        number = 0
        while True:
            site = Site(tmp_path / f"{kind}-{number}", kind)
            site.run()
            if not killed_at(site, number, state="absent"):
                break
            site.run(state="absent")
            assert site.host.listdir("/usr/jails/basejails") == []
            number += 1
        assert number > 3


MARK = '# cellblock.jails {{"name": "{name}", "root": "{root}", "base": "{base}"}}\n'


@pytest.mark.parametrize("base", ["r151", PATH])
def test_a_base_stays_while_jails_stand_on_it_and_they_are_named(site: Site, base: str) -> None:
    site.run()
    conf = site.simulated.real("/etc/jail.conf.d")
    conf.mkdir()
    (conf / "web.conf").write_text(MARK.format(name="web", root="thin", base=base) + '"web" { }\n')
    (conf / "copy.conf").write_text(MARK.format(name="copy", root="thick", base=base) + '"copy" { }\n')
    (conf / "other.conf").write_text(MARK.format(name="other", root="thin", base="another") + '"other" { }\n')
    rc = site.simulated.real("/etc/rc.conf")
    rc.write_text(rc.read_text() + MARK.format(name="db", root="thin", base=base) + 'jail_db_rootdir="/usr/jails/db"\n')
    before = site.simulated.picture()
    said = site.fails(state="absent")
    assert re.search(r"jails stand on it: db \(thin\), web \(thin\)\.", said)
    assert "other" not in said
    assert site.simulated.picture() == before
    (conf / "web.conf").unlink()
    rc.write_text("")
    made = site.plan(state="absent")
    assert "copy" in made.warnings[0]
    assert site.run(state="absent")


def test_a_base_stays_while_it_is_mounted_somewhere(site: Site) -> None:
    site.run()
    mount = {"special": PATH, "node": "/jails/foreign/base", "fstype": "nullfs", "opts": []}
    site.simulated.state["mounts"].append(mount)
    assert "/jails/foreign/base" in site.fails(state="absent")
    mount.update(special="devfs", node=f"{PATH}/dev", fstype="devfs")
    assert f"mounted in it: {PATH}/dev" in site.fails(state="absent")
    assert version(site.host, PATH)


def test_a_base_stays_while_it_has_clones(zroot: Site) -> None:
    zroot.run()
    snapshot = zroot.facts["snapshot"]
    zroot.simulated.run(["zfs", "create", "zroot/elsewhere"])
    zroot.simulated.run(["zfs", "clone", "-o", "cellblock:jail=db", snapshot, "zroot/jails/db"])
    zroot.simulated.run(["zfs", "clone", snapshot, "zroot/elsewhere/x"])
    said = zroot.fails(state="absent")
    assert "db (clone zroot/jails/db)" in said and "zroot/elsewhere/x" in said
    for name in ("zroot/jails/db", "zroot/elsewhere/x"):
        zroot.simulated.run(["zfs", "destroy", name])
    zroot.simulated.run(["zfs", "snapshot", f"{DATASET}@hourly"])
    assert f"not ours: {DATASET}@hourly" in zroot.fails(state="absent")
    zroot.simulated.run(["zfs", "destroy", f"{DATASET}@hourly"])
    assert zroot.run(state="absent") == [f"destroy {snapshot}", f"destroy {DATASET}"]


def test_what_never_was_is_absent_already(site: Site) -> None:
    assert site.run(state="absent") == []


# -- the module


def test_every_example_is_valid(zroot: Site) -> None:
    for task in yaml.safe_load(module.EXAMPLES):
        options = task["cellblock.jails.basejail"]
        assert set(options) <= set(DEFAULTS)
        Base.from_options({**DEFAULTS, **options})
