"""The image of a node: Debian packages with systemd and Docker, the Python libraries, and Cloudlet itself.

Three layers, each named by the hash of what goes into it and made only when that changes: packages (about a minute), libraries
(half a minute), code (seconds). Nothing comes from an image registry: packages are apt's, libraries are pip's.
"""

from __future__ import annotations

import hashlib
import io
import shutil
import sys
import tarfile
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from api.version import CLOUDLET
from client.command import CommandError, Commands
from cloudctl.cluster.state import ClusterError
from cloudctl.cluster.steps import Steps

PACKAGES = (
    "systemd systemd-sysv dbus docker.io etcd-server etcd-client python3 python3-venv nftables iptables iproute2 haproxy "
    "busybox-static conntrack e2fsprogs util-linux mount procps ca-certificates iputils-arping iputils-ping faketime keepalived"
).split()
# What a node has no use for: documents, other languages, and the services that Debian starts with these packages.
_LEFT_OUT = ("man", "doc", "locale", "info", "lintian")
_MASKED = (
    "etcd.service", "haproxy.service", "keepalived.service", "nftables.service", "getty.target", "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "e2scrub_all.timer", "e2scrub_reap.service", "fstrim.timer", "dpkg-db-backup.timer", "systemd-udevd.service",
    "systemd-logind.service", "systemd-timesyncd.service", "systemd-network-generator.service", "sys-kernel-debug.mount",
    "sys-kernel-tracing.mount", "sys-kernel-config.mount", "dev-hugepages.mount", "modprobe@.service",
)  # fmt: skip
PREFIX = "/opt/cloudlet"
_ROOT = Path(__file__).resolve().parents[2]
_CODE = ("api", "client", "apiserver", "controllers", "scheduler", "kubelet", "proxy", "cloudctl", "deploy")
_INIT = _ROOT / "deploy" / "node" / "init"
_SOURCES = (
    Path("/etc/apt/sources.list"),
    *(Path(f"/etc/apt/sources.list.d/{d}.sources") for d in ("debian", "ubuntu")),
)
_PACKAGES_SECONDS, _LIBRARIES_SECONDS, _CODE_SECONDS = 900.0, 600.0, 120.0


@dataclass(frozen=True)
class Release:
    """The distribution that nodes are made of: that of this machine, so that its apt sources fit."""

    codename: str

    @classmethod
    def of_this_machine(cls, os_release: str) -> Release:
        """Read from the text of /etc/os-release. Raises ClusterError where apt is not at home."""
        pairs = dict(line.partition("=")[::2] for line in os_release.splitlines() if "=" in line)
        codename = pairs.get("VERSION_CODENAME", "").strip('"')
        if not codename or not shutil.which("apt-get"):
            raise ClusterError("node images are made from apt's packages: this needs a Debian or Ubuntu machine")
        return cls(codename)


def _digest(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]


def code_files(root: Path = _ROOT) -> list[Path]:
    """The files of the project that a node runs, in a fixed order."""
    found = []
    for package in _CODE:
        for path in sorted((root / package).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                found.append(path)
    return found


def requirements() -> list[str]:
    """The libraries that Cloudlet needs, as pip reads them."""
    return sorted(line for line in metadata.requires("cloudlet") or () if "extra ==" not in line)


def code_archive(files: list[Path], site: str, root: Path = _ROOT) -> bytes:
    """A tar of the packages for `site` (a path without leading slash), the programs in bin/ and what pip knows of the project."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for path in files:
            tar.add(path, f"{site}/{path.relative_to(root)}", filter=_owned_by_root)
        # What pip needs to know in order to put another release in this one's place.
        about = f"cloudlet-{CLOUDLET}.dist-info"
        names = [*(str(path.relative_to(root)) for path in files), f"{about}/METADATA", f"{about}/RECORD"]
        _text(tar, f"{site}/{about}/METADATA", f"Metadata-Version: 2.1\nName: cloudlet\nVersion: {CLOUDLET}\n", 0o644)
        _text(tar, f"{site}/{about}/RECORD", "".join(f"{name},,\n" for name in names), 0o644)
        for entry in metadata.distribution("cloudlet").entry_points:
            module, _, function = entry.value.partition(":")
            script = f"#!{PREFIX}/bin/python\nimport sys\nfrom {module} import {function}\nsys.exit({function}())\n"
            _text(tar, f"{PREFIX[1:]}/bin/{entry.name}", script, 0o755)
        tar.add(_INIT, "usr/local/sbin/cloudlet-node-init", filter=_owned_by_root)
        link = tarfile.TarInfo("usr/local/bin/cloudctl")
        link.type, link.linkname = tarfile.SYMTYPE, f"{PREFIX}/bin/cloudctl"
        tar.addfile(link)
    return buffer.getvalue()


def _owned_by_root(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = "root"
    return entry


def _text(tar: tarfile.TarFile, name: str, text: str, mode: int) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(text.encode()), mode
    tar.addfile(entry, io.BytesIO(text.encode()))


class NodeImage:
    """Makes the layers that are missing. Every method raises ClusterError when something it needs is not there."""

    def __init__(self, commands: Commands, steps: Steps) -> None:
        self._commands, self._steps = commands, steps
        self._release = Release.of_this_machine(Path("/etc/os-release").read_text())

    async def ensure(self) -> str:
        """The name of the image, made if it is not there or older than the project's files."""
        try:
            base = await self._packages()
            libraries = await self._libraries(base)
            return await self._code(libraries)
        except CommandError as error:
            raise ClusterError(f"the node image cannot be made: {error}") from error

    async def _there(self, name: str) -> bool:
        return await self._commands.succeeds("docker", "image", "inspect", name)

    async def _packages(self) -> str:
        name = f"cloudlet/node-packages:{_digest(self._release.codename, *PACKAGES, *_MASKED)}"
        if await self._there(name):
            return name
        if not shutil.which("mmdebstrap"):
            raise ClusterError("mmdebstrap is not installed: `apt-get install mmdebstrap` (or `deploy/setup.sh`)")
        with tempfile.TemporaryDirectory(prefix="cloudlet-node-") as folder:
            archive = f"{folder}/root.tar"
            with self._steps.step(f"node image: packages of {self._release.codename}"):
                await self._commands.run(
                    "mmdebstrap", "--variant=apt", f"--include={','.join(PACKAGES)}",
                    *(f"--dpkgopt=path-exclude=/usr/share/{part}/*" for part in _LEFT_OUT),
                    "--aptopt=APT::Install-Recommends \"false\"",
                    f"--customize-hook=chroot \"$1\" systemctl mask {' '.join(_MASKED)}",
                    "--customize-hook=rm -f \"$1/etc/machine-id\" \"$1/etc/hostname\" \"$1/etc/resolv.conf\"",
                    self._release.codename, archive, *(str(path) for path in _SOURCES if path.is_file()),
                    timeout=_PACKAGES_SECONDS,
                )  # fmt: skip
                await self._commands.run("docker", "import", archive, name, timeout=_PACKAGES_SECONDS)
        return name

    async def _libraries(self, base: str) -> str:
        name = f"cloudlet/node-libraries:{_digest(base, *requirements())}"
        if await self._there(name):
            return name
        with self._steps.step("node image: Python libraries"):
            async with self._container(base, name) as container:
                version = await self._inside(
                    container, "python3", "-c", "import sys; print('%d.%d' % sys.version_info[:2])"
                )
                with tempfile.TemporaryDirectory(prefix="cloudlet-node-") as folder:
                    # pip of this machine fetches, because it is set up for the index it may use; pip of the node installs.
                    await self._commands.run(
                        sys.executable, "-m", "pip", "download", "-qq", "--disable-pip-version-check",
                        "--only-binary=:all:", f"--python-version={version.strip()}", "--implementation=cp",
                        f"--dest={folder}/wheels", *requirements(), timeout=_LIBRARIES_SECONDS,
                    )  # fmt: skip
                    await self._commands.run("docker", "cp", f"{folder}/wheels", f"{container}:/opt/wheels", timeout=60)
                await self._inside(container, "python3", "-m", "venv", PREFIX)
                await self._inside(
                    container, f"{PREFIX}/bin/pip", "install", "-qq", "--no-index", "--find-links=/opt/wheels",
                    *requirements(),
                )  # fmt: skip
                await self._inside(container, "rm", "-r", "/opt/wheels")
        return name

    async def _code(self, libraries: str) -> str:
        files = code_files()
        contents = [hashlib.sha256(path.read_bytes()).hexdigest() for path in files]
        name = f"cloudlet/node:{_digest(libraries, *map(str, files), *contents)}"
        if await self._there(name):
            return name
        with self._steps.step("node image: Cloudlet"):
            async with self._container(libraries, name) as container:
                site = (
                    await self._inside(
                        container,
                        f"{PREFIX}/bin/python",
                        "-c",
                        "import sysconfig; print(sysconfig.get_path('purelib'))",
                    )
                ).strip()
                archive = code_archive(files, site.lstrip("/"))
                await self._commands.run("docker", "cp", "-", f"{container}:/", stdin=archive, timeout=_CODE_SECONDS)
                places = [f"{site}/{package}" for package in _CODE]
                await self._inside(container, f"{PREFIX}/bin/python", "-m", "compileall", "-q", *places)
        return name

    async def _inside(self, container: str, *argv: str) -> str:
        return await self._commands.run("docker", "exec", container, *argv, timeout=_LIBRARIES_SECONDS)

    @asynccontextmanager
    async def _container(self, image: str, result: str) -> AsyncIterator[str]:
        """A container in which the next layer grows; it becomes the image `result` if nothing fails."""
        container = (
            await self._commands.run(
                "docker",
                "run",
                "--detach",
                "--network=none",
                "--init",
                "--entrypoint=sleep",
                image,
                "infinity",
                timeout=60,
            )
        ).strip()
        try:
            yield container
            changes = ('ENTRYPOINT ["/usr/local/sbin/cloudlet-node-init"]', "CMD []")
            options = [f"--change={change}" for change in changes]
            await self._commands.run("docker", "commit", *options, container, result, timeout=_CODE_SECONDS)
        finally:
            await self._commands.succeeds("docker", "rm", "--force", "--volumes", container)


async def prune(commands: Commands, keep: str) -> None:
    """Remove node images other than `keep` that no container uses; layers below it stay."""
    listed = await commands.run("docker", "images", "--format={{.Repository}}:{{.Tag}}", "cloudlet/node")
    for name in listed.split():
        if name != keep:
            await commands.succeeds("docker", "rmi", name)
