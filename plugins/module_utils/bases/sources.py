# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a base comes from: a release's sets, /usr/src, packages of the base system, or a directory."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass, replace
from typing import Any, Dict, List, Mapping, Optional, Tuple

from ansible_collections.cellblock.jails.plugins.module_utils.engine import ask, storage
from ansible_collections.cellblock.jails.plugins.module_utils.engine.host import CommandError, Host
from ansible_collections.cellblock.jails.plugins.module_utils.engine.plan import Step
from ansible_collections.cellblock.jails.plugins.module_utils.errors import CellblockError, HostError, InputError

RELEASES = "https://download.freebsd.org"
PACKAGES = "pkg+https://pkg.FreeBSD.org"
KEYS = "/usr/share/keys"
REPOSITORY = "FreeBSD-base"
# What fetch(3), freebsd-update(8) and pkg(8) take from the environment; Ansible's 'environment' sets it.
NETWORK = re.compile(r"(HTTP|HTTPS|FTP|NO|SSL|FETCH)_[A-Z_]+", re.IGNORECASE)
RELEASE = re.compile(r"(\d+)\.(\d+)-[A-Z]+\d*")
UPDATABLE = re.compile(r"\d+\.\d+-(RELEASE|ALPHA\d*|BETA\d*|RC\d*)(-p\d+)?")
# uname -m to uname -p, where they differ.
PROCESSORS = {"arm64": "aarch64", "riscv": "riscv64"}


@dataclass(frozen=True)
class Base:
    """What is asked for; see the module's options."""

    name: str
    state: str
    path: str
    storage_path: str
    storage_dataset: Optional[str]
    source: Optional[str]
    release: Optional[str]
    arch: Optional[str]
    url: Optional[str]
    sets: Tuple[str, ...]
    manifest_sha256: Optional[str]
    retries: int
    timeout: int
    cache_path: str
    src_path: str
    make_args: Tuple[str, ...]
    make_world: bool
    packages: Tuple[str, ...]
    fingerprints: Optional[str]
    directory: Optional[str]

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> Base:
        """Check a module's options.

        :raises InputError: for what cannot be.
        """
        given = dict(options)
        given.pop("lock_timeout", None)
        name = given["name"]
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}", name) or name.endswith((".partial", ".old")):
            raise InputError(
                f"'{name}' cannot be a base's name", "name",
                "Use at most 64 letters, digits and '_.:-', first a letter or digit, no .partial or .old at its end",
            )
        for key in ("path", "storage_path", "cache_path", "src_path", "directory"):
            given[key] = _clean(key, given[key])
        given["path"] = given["path"] or f"{given['storage_path']}/basejails/{name}"
        given["url"] = _url(given["url"])
        for key in ("sets", "make_args", "packages"):
            given[key] = tuple(given[key])
        base = cls(**given)
        base._check()
        return base

    def _check(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.:-]*(/[A-Za-z0-9][A-Za-z0-9_.:-]*)*", self.storage_dataset or "z"):
            raise InputError(f"'{self.storage_dataset}' cannot be a dataset's name", "storage_dataset")
        for name in self.sets:
            if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", name):
                raise InputError(f"'{name}' cannot be a set's name", "sets", "Write 'base', not 'base.txz'")
        for name in self.packages:
            if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.+~@/-]*", name):
                raise InputError(f"'{name}' cannot be a package's name", "packages")
        if self.release is not None and not RELEASE.fullmatch(self.release):
            raise InputError(
                f"'{self.release}' is no release", "release", "Write it as 15.1-RELEASE, without a patch level",
            )
        if self.manifest_sha256 is not None and not re.fullmatch(r"[0-9a-f]{64}", self.manifest_sha256):
            raise InputError(
                "is no sha256 sum of 64 hex digits", "manifest_sha256", "Take it from 'sha256 -q MANIFEST'",
            )
        if self.arch is not None and not re.fullmatch(r"[a-z0-9]+(/[a-z0-9]+)?", self.arch):
            raise InputError(f"'{self.arch}' is no architecture", "arch", "Write it as amd64, or as arm64/aarch64")
        if self.source in ("src", "pkgbase") and re.search(r"\s", self.path):
            raise InputError("the path of such a base must not hold spaces: make(1) and pkg(8) break there", "path")

    @property
    def wanted_release(self) -> Optional[str]:
        """The release that is asked for by option or by the base's name."""
        found = RELEASE.fullmatch(self.release or self.name)
        return found.group(0) if found else None


def _clean(key: str, path: Optional[str]) -> Optional[str]:
    if path is None:
        return None
    path = path.rstrip("/")
    if not re.fullmatch(r"(/[^/\x00-\x1f]+)+", path) or {".", ".."} & set(path.split("/")):
        raise InputError(f"'{path}' is not a clean absolute path", key, "Write it from / without '.', '..' or '//'")
    return path


def _url(url: Optional[str]) -> Optional[str]:
    """A URL, or the path of a directory for file:// ones."""
    if url is None:
        return None
    if url.startswith("file://"):
        url = url[len("file://"):]
        url = url[len("localhost"):] if url.startswith("localhost/") else url
    if url.startswith("/"):
        return _clean("url", url)
    if re.match(r"[a-z]+://[^/]*@", url):
        raise InputError(
            "a password in a URL shows in the process list", "url",
            "Give it in the environment as HTTP_AUTH, see fetch(3)",
        )
    if not re.fullmatch(r"(https?|ftp|pkg\+https?)://[!-~]+", url):
        raise InputError(
            f"'{url}' is no URL that fetch(1) takes", "url", "Use https://, http://, ftp://, file:// or a path",
        )
    return url.rstrip("/")


def _network() -> Dict[str, str]:
    return {name: value for name, value in os.environ.items() if NETWORK.fullmatch(name)}


def _platform(host: Host, base: Base) -> Tuple[str, str]:
    """The machine and its processor architecture, see uname(1)."""
    if base.arch is None:
        machine, processor = (host.run(["uname", flag]).out.strip() for flag in ("-m", "-p"))
        return machine, processor
    machine, _slash, processor = base.arch.partition("/")
    return machine, processor or PROCESSORS.get(machine, machine)


def _running(host: Host) -> str:
    """The host's own release."""
    return host.run(["uname", "-r"]).out.strip().partition("-p")[0]


class Source:
    """How a tree is made, and brought to its newest patch level.

    :param kind: the option's value, kept with the base.
    """

    kind = "directory"

    def __init__(self, base: Base, kind: Optional[str] = None) -> None:
        self.base = base
        self.kind = kind or self.kind

    def words(self) -> str:
        """Where it comes from, in words that are known before anything is asked."""
        return f"directory {self.base.directory}"

    def check(self, host: Host) -> None:
        """Refuse, before anything is touched, what cannot work on this host."""
        path = self.base.directory or ""
        if not ask.version(host, path):
            raise InputError(
                "is no FreeBSD system: bin/freebsd-version is missing", path, "Name the root of one in 'directory'",
            )

    def steps(self) -> List[Step]:
        """What is done before the tree is made."""
        return []

    def fill(self, host: Host, root: str) -> None:
        """Make the tree in an empty directory."""
        storage.copy_tree(host, self.base.directory or "", root)

    def made_newest(self) -> bool:
        """Whether what :meth:`fill` makes is the newest already."""
        return False

    def look(self, host: Host, root: str, check_mode: bool) -> Optional[str]:
        """What an update would bring, in words; None when there is none."""
        packaged = self._packaged(host, root)
        if packaged is not None:
            return packaged.look(host, root, check_mode)
        if check_mode:
            with host.scratch() as workdir:
                return fetch_updates(host, root, workdir)
        return fetch_updates(host, root, self._workdir(host))

    def update(self, host: Host, root: str) -> bool:
        """Bring a tree to its newest patch level; whether anything changed."""
        packaged = self._packaged(host, root)
        if packaged is not None:
            return packaged.update(host, root)
        workdir = self._workdir(host)
        if fetch_updates(host, root, workdir) is None:
            return False
        return host.run(_freebsd_update(host, root, workdir, "install"), ok=(0, 2), where=root).rc == 0

    def _packaged(self, host: Host, root: str) -> Optional[Source]:
        """What updates a tree of unknown origin that is made of packages; None when it is not."""
        if self.kind != "directory" or host.ask(["pkg", "--rootdir", root, "which", "-q", "/usr/bin/uname"]).rc != 0:
            return None
        return Pkgbase(replace(self.base, packages=()), ask.version(host, root), _platform(host, self.base)[1])

    def _workdir(self, host: Host) -> str:
        path = f"{self.base.cache_path}/freebsd-update"
        host.makedirs(path, 0o700)
        return path


# -- freebsd-update(8)


def _freebsd_update(host: Host, root: str, workdir: str, command: str) -> List[str]:
    version = ask.version(host, root)
    if not UPDATABLE.fullmatch(version):
        raise HostError(
            f"freebsd-update(8) serves releases, and this is {version or 'no FreeBSD system'}", root,
            "Update it from source, or by state: present only",
        )
    # -F: a killed install of an earlier run is no reason to refuse, its tree is gone or rolled back.
    return [
        "freebsd-update", "--not-running-from-cron", "-F", "-b", root, "-d", workdir,
        "--currently-running", version, command,
    ]


def fetch_updates(host: Host, root: str, workdir: str) -> Optional[str]:
    """Fetch what a tree lacks; the patch level that it brings, None when nothing is needed."""
    if re.search(r"\s", root):
        raise InputError("freebsd-update(8) breaks at spaces in a path", root, "Use another path for the base")
    argv = _freebsd_update(host, root, workdir, "fetch")
    result = host.ask(argv, env=_network())
    # Past its end of life a release is still served, but the exit code is 1.
    if result.rc != 0 and "END-OF-LIFE" not in result.out:
        words = " / ".join((result.err + result.out).splitlines()[-3:])
        raise HostError(
            f"'{' '.join(argv)}' failed: {words}", root, "Look whether the update server answers from this host",
        )
    if "No updates needed" in result.out:
        return None
    found = re.search(r"as part of updating to\s+([A-Za-z0-9._-]+):", result.out)
    return found.group(1).replace("-p0", "") if found else "its newest patch level"


# -- release sets


def manifest(text: str) -> Dict[str, str]:
    """The sha256 sums in a release's MANIFEST by file name."""
    found = {}
    for line in text.splitlines():
        fields = line.split("\t")
        if len(fields) > 1 and re.fullmatch(r"[0-9a-f]{64}", fields[1]):
            found[fields[0]] = fields[1]
    return found


class Sets(Source):
    """The sets of a release."""

    kind = "sets"

    def __init__(self, base: Base, url: str) -> None:
        super().__init__(base)
        self.url = url
        self.files: List[str] = []

    def words(self) -> str:
        """The sets and their place."""
        return f"sets {', '.join(self.base.sets)} of {self.url}"

    def check(self, host: Host) -> None:
        """A local directory must have a MANIFEST."""
        if self.url.startswith("/") and host.lstat(f"{self.url}/MANIFEST") is None:
            raise InputError(
                "there is no MANIFEST", self.url, "Put the release's MANIFEST and sets there, or use another url",
            )

    def steps(self) -> List[Step]:
        """Fetching the sets."""
        return [Step(f"fetch {self.words()}, checked against its MANIFEST", self.fetch)]

    def fetch(self, host: Host) -> None:
        """Have every set on the host, whole."""
        listed = manifest(self._manifest(host))
        missing = [f"{name}.txz" for name in self.base.sets if f"{name}.txz" not in listed]
        if missing:
            raise HostError(
                f"does not list {', '.join(missing)}, only {', '.join(sorted(listed)) or 'nothing'}",
                f"{self.url}/MANIFEST", "Choose sets of this release",
            )
        self.files = [self._have(host, name, listed[f"{name}.txz"]) for name in self.base.sets]

    def fill(self, host: Host, root: str) -> None:
        """Extract; file flags too, which the base set has."""
        for file in self.files:
            host.run(["tar", "-xpf", file, "-C", root], where=file)

    def _manifest(self, host: Host) -> str:
        where = f"{self.url}/MANIFEST"
        if self.url.startswith("/"):
            text = host.read(where)
            if text is None:
                raise HostError("there is none", where, "Put the release's MANIFEST beside its sets")
        else:
            text = self._try(host, lambda: host.run(
                ["fetch", "-q", "-T", str(self.base.timeout), "-o", "-", where], env=_network(),
            ).out)
        wanted = self.base.manifest_sha256
        got = hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
        if wanted is not None and got != wanted:
            raise HostError(
                f"its sha256 is {got}, manifest_sha256 says {wanted}", where,
                "Compare with the release's announcement: the pin is of another release, or the MANIFEST is forged",
            )
        return text

    def _have(self, host: Host, name: str, wanted: str) -> str:
        """The path of a set whose sum is right."""
        if self.url.startswith("/"):
            path = f"{self.url}/{name}.txz"
            if host.lstat(path) is None:
                raise HostError("is listed in MANIFEST, and is not there", path, "Put it there")
            self._compare(host, path, path, wanted, "Get the file again")
            return path
        kept = f"{self.base.cache_path}/{name}-{wanted[:16]}.txz"
        if host.lstat(kept) is not None and _sha256(host, kept) == wanted:
            return kept
        host.makedirs(self.base.cache_path)
        self._try(host, lambda: self._download(host, f"{self.url}/{name}.txz", f"{kept}.part", wanted))
        host.rename(f"{kept}.part", kept)
        return kept

    def _download(self, host: Host, url: str, part: str, wanted: str) -> str:
        """Fetch a file, going on where an earlier attempt ended."""
        argv = ["fetch", "-q", "-r", "-F", "-T", str(self.base.timeout), "-o", part, url]
        result = host.ask(argv, env=_network())
        if result.rc != 0:
            # What is there already is no beginning of it.
            if re.search("longer than|[Rr]ange", result.err):
                host.remove(part)
            raise CommandError(result)
        try:
            self._compare(
                host, part, url, wanted,
                "The mirror may still be syncing, or something on the way changes it; try another url",
            )
        except HostError:
            host.remove(part)
            raise
        return part

    @staticmethod
    def _compare(host: Host, path: str, where: str, wanted: str, fix: str) -> None:
        got = _sha256(host, path)
        if got != wanted:
            raise HostError(f"its sha256 is {got}, MANIFEST says {wanted}", where, fix)

    def _try(self, host: Host, attempt: Any) -> str:
        for left in range(self.base.retries, -1, -1):
            try:
                return str(attempt())
            except CellblockError as error:
                if not left:
                    fix = error.fix or f"Look whether {self.url} answers from this host, or name another url"
                    tried = f", tried {self.base.retries + 1} times" if self.base.retries else ""
                    raise HostError(error.what + tried, error.where or self.url, fix) from error
        raise AssertionError("unreachable")


def _sha256(host: Host, path: str) -> str:
    return host.run(["sha256", "-q", path]).out.strip()


def _release_url(host: Host, base: Base) -> str:
    """Where FreeBSD publishes a release: .../releases/MACHINE/ARCHITECTURE/RELEASE."""
    release = base.wanted_release or _running(host)
    tree = "releases" if UPDATABLE.fullmatch(release) else "snapshots"
    return "/".join([RELEASES, tree, *_platform(host, base), release])


# -- source


class Src(Source):
    """The system in /usr/src, built before."""

    kind = "src"

    def words(self) -> str:
        """The source tree."""
        return f"source {self.base.src_path}"

    def check(self, host: Host) -> None:
        """The source tree must be there."""
        if not self.version(host):
            raise InputError(
                "is no FreeBSD source: sys/conf/newvers.sh is missing", self.base.src_path, "Check src_path",
            )

    def fill(self, host: Host, root: str) -> None:
        """Install the world and the files of /etc, see build(7)."""
        make = ["make", "-C", self.base.src_path, *self.base.make_args]
        fix = None if self.base.make_world else "Run 'make buildworld' there first, or set make_world: true"
        for target in ("world" if self.base.make_world else "installworld", "distribution"):
            result = host.ask([*make, target, f"DESTDIR={root}"])
            if result.rc != 0:
                words = " / ".join((result.out + result.err).splitlines()[-5:])
                raise HostError(f"'{' '.join(result.argv)}' failed: {words}", self.base.src_path, fix)

    def made_newest(self) -> bool:
        """It is what the source is."""
        return True

    def version(self, host: Host) -> str:
        """The patch level of the source."""
        text = host.read(f"{self.base.src_path}/sys/conf/newvers.sh") or ""
        found = dict(re.findall(r'^(REVISION|BRANCH)="([A-Za-z0-9._-]+)"', text, re.MULTILINE))
        return f"{found['REVISION']}-{found['BRANCH']}" if len(found) == 2 else ""

    def look(self, host: Host, root: str, check_mode: bool) -> Optional[str]:
        """The source's patch level, when it differs."""
        self.check(host)
        version = self.version(host)
        return version if version != ask.version(host, root) else None

    def update(self, host: Host, root: str) -> bool:
        """Install over."""
        self.fill(host, root)
        return True


# -- packages of the base system


class Pkgbase(Source):
    """Packages of the base system, FreeBSD 15.0 and later; see pkg(8)."""

    kind = "pkgbase"

    def __init__(self, base: Base, release: str, processor: str) -> None:
        super().__init__(base)
        release = release.partition("-p")[0]
        found = RELEASE.match(release)
        if not found or int(found.group(1)) < 15:
            raise InputError(
                f"there are no packages of the base system for {release}", "release", "Use 15.0-RELEASE or later",
            )
        self.major, minor = found.groups()
        self.abi = f"FreeBSD:{self.major}:{processor}"
        branch = f"base_release_{minor}" if release.endswith("-RELEASE") else "base_latest"
        url = base.url or f"{PACKAGES}/{self.abi}/{branch}"
        self.url = f"file://{url}" if url.startswith("/") else url

    def words(self) -> str:
        """The packages and their repository."""
        return f"packages {', '.join(self.base.packages)} of {self.url}"

    def check(self, host: Host) -> None:
        """pkg(8) must be there, and the key."""
        if host.ask(["pkg", "-N"]).rc != 0:
            raise InputError("pkg(8) is not installed on the host", "source pkgbase", "Run 'pkg bootstrap -y' there")
        keys = self._fingerprints()
        if keys and not host.isdir(keys):
            raise InputError(
                "there are no keys of this release on the host", keys, "Upgrade the host, or set fingerprints",
            )

    def fill(self, host: Host, root: str) -> None:
        """Install into an empty tree, as bsdinstall does."""
        self._keys(host, root)
        self._run(host, root, "install", *self.base.packages)
        host.tree(root).write("usr/local/etc/pkg/repos/FreeBSD.conf", f"{REPOSITORY}: {{ enabled: yes }}\n")

    def made_newest(self) -> bool:
        """Packages are installed as they are now."""
        return True

    def look(self, host: Host, root: str, check_mode: bool) -> Optional[str]:
        """How many packages are behind the repository, or missing."""
        with host.scratch() as scratch:
            catalogue = f"{scratch}/root"
            host.makedirs(catalogue)
            self._keys(host, catalogue)
            said = self._run(host, catalogue, "rquery", "%n %v")
        offered = dict(line.split(" ", 1) for line in said.splitlines() if " " in line)
        said = host.run(["pkg", "--rootdir", root, "query", "%n %v"], where=root).out
        installed = dict(line.split(" ", 1) for line in said.splitlines() if " " in line)
        behind = [name for name, now in installed.items() if offered.get(name, now) != now]
        behind += [name for name in self.base.packages if name not in installed]
        return f"the newest packages ({len(behind)} of them)" if behind else None

    def update(self, host: Host, root: str) -> bool:
        """Upgrade all packages, and install what is missing."""
        self._keys(host, root)
        self._run(host, root, "upgrade")
        if self.base.packages:
            self._run(host, root, "install", *self.base.packages)
        return True

    def _fingerprints(self) -> str:
        return f"{KEYS}/pkgbase-{self.major}" if self.base.fingerprints is None else self.base.fingerprints

    def _keys(self, host: Host, root: str) -> None:
        """pkg(8) looks for keys below the tree that it works on."""
        keys = self._fingerprints()
        if keys and not host.isdir(f"{root}{keys}"):
            host.tree(root).makedirs(keys)
            storage.copy_tree(host, keys, f"{root}{keys}")

    def _run(self, host: Host, root: str, command: str, *words: str) -> str:
        with host.scratch() as scratch:
            host.write(f"{scratch}/{REPOSITORY}.conf", self._conf())
            pkg = ["pkg", "--rootdir", root, "--repo-conf-dir", scratch]
            pkg += ["-o", f"ABI={self.abi}", "-o", "IGNORE_OSVERSION=yes"]
            env = {**_network(), "ASSUME_ALWAYS_YES": "yes"}
            host.run([*pkg, "update", "-q", "-r", REPOSITORY], env=env, where=self.url)
            yes = [] if command == "rquery" else ["-y"]
            return host.run([*pkg, command, "-U", *yes, "-r", REPOSITORY, *words], env=env, where=self.url).out

    def _conf(self) -> str:
        """A repository, see pkg-repository(5)."""
        lines = [f'url: "{self.url}"', "enabled: yes"]
        if self.url.startswith(PACKAGES):
            lines.append("mirror_type: srv")
        keys = self._fingerprints()
        if keys:
            lines += ["signature_type: fingerprints", f'fingerprints: "{keys}"']
        return f"{REPOSITORY}: {{\n" + "".join(f"  {line},\n" for line in lines) + "}\n"


def maker(host: Host, base: Base, kind: str) -> Source:
    """The source of a kind.

    :raises InputError: when its options do not fit.
    """
    if kind == "sets":
        return Sets(base, base.url or _release_url(host, base))
    return updater(host, base, kind, (base.wanted_release or _running(host)) if kind == "pkgbase" else "")


def updater(host: Host, base: Base, kind: str, version: str) -> Source:
    """What updates a base of a kind; sets are updated where they stand, by freebsd-update(8)."""
    if kind == "src":
        return Src(base)
    if kind == "pkgbase":
        return Pkgbase(base, version, _platform(host, base)[1])
    return Source(base, "sets" if kind == "sets" else None)
