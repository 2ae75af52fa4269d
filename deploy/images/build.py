"""Make the example's images from Debian packages, on this machine, without a registry.

An image is the files of a few packages and of everything they depend on: copied from this system where a package is
installed, else from the package that `apt-get download` fetches. An image that is up to date is not made again: its label
holds the hash of all that went into it.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import docker
from docker.errors import DockerException, ImageNotFound

HERE = Path(__file__).resolve().parent
LABEL = "io.cloudlet.image.inputs"
_SKIPPED = (
    "usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/lintian", "usr/share/bug", "usr/share/info",
    "usr/share/perl", "usr/share/zoneinfo", "usr/lib/systemd", "usr/lib/udev", "etc/init.d", "var/cache", "var/lib/dpkg",
)  # fmt: skip
_MERGED = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
# Packages that others depend on for their installation scripts, which are not run here.
_SCRIPTS_ONLY = {
    "adduser", "debconf", "dpkg", "init-system-helpers", "lsb-base", "passwd", "perl-base", "sysvinit-utils", "tar",
    "sensible-utils", "libc-bin", "libpam-modules", "libpam-runtime", "libpam0g", "login", "mawk", "procps",
}  # fmt: skip


@dataclass(frozen=True)
class Image:
    """One image: the packages, files to add (path in the image → path here), and its start."""

    name: str
    packages: tuple[str, ...]
    entrypoint: tuple[str, ...]
    user: str
    files: dict[str, Path] = field(default_factory=dict)
    folders: tuple[str, ...] = ("tmp", "proc", "sys", "dev", "run", "etc")


IMAGES = (
    Image(
        "cloudlet/examples-web:1",
        ("python3-minimal", "libpython3-stdlib"),
        ("/usr/bin/python3", "-u", "/app/app.py"),
        "65534:65534",
        {"app/app.py": HERE / "web" / "app.py"},
    ),
    Image(
        "cloudlet/examples-redis:1",
        ("redis-server", "redis-tools"),
        ("/usr/bin/redis-server",),
        "999:999",
        folders=("tmp", "proc", "sys", "dev", "run", "etc", "data"),
    ),
)


class BuildError(Exception):
    """An image cannot be made; the text says why and what to do."""


def output(*argv: str, cwd: str | None = None) -> str:
    """What a program prints. Raises BuildError with what it complained of."""
    try:
        done = subprocess.run(argv, capture_output=True, text=True, check=False, cwd=cwd, timeout=300)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BuildError(f"{argv[0]}: {error}") from error
    if done.returncode:
        raise BuildError(f"{' '.join(argv[:4])}: {done.stderr.strip()}")
    return done.stdout


def closure(packages: tuple[str, ...]) -> list[str]:
    """The packages and all that they depend on, by name."""
    unwanted = ("recommends", "suggests", "conflicts", "breaks", "replaces", "enhances")
    text = output("apt-cache", "depends", "--recurse", *(f"--no-{kind}" for kind in unwanted), *packages)
    names = {line.strip() for line in text.splitlines() if line and line[0].isalnum()}
    return sorted(name for name in names if name not in _SCRIPTS_ONLY)


def versions(packages: list[str]) -> dict[str, str]:
    """The candidate version of every package that really exists (virtual ones have none)."""
    found: dict[str, str] = {}
    name = ""
    for line in output("apt-cache", "policy", *packages).splitlines():
        if line and not line[0].isspace():
            name = line.rstrip(":")
        elif line.strip().startswith("Candidate:"):
            candidate = line.split(":", 1)[1].strip()
            if candidate != "(none)":
                found[name] = candidate
    return found


def installed(packages: list[str]) -> set[str]:
    """Those that are installed here."""
    text = subprocess.run(
        ["dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\n", *packages],
        capture_output=True, text=True, check=False, timeout=60,
    ).stdout  # fmt: skip
    return {line.split()[0] for line in text.splitlines() if line.endswith(" installed")}


def merged(name: str) -> str:
    """A path as it is on systems whose /bin and /lib are links into /usr."""
    name = name.lstrip("./").rstrip("/")
    return f"usr/{name}" if name.split("/")[0] in _MERGED else name


def wanted(name: str) -> bool:
    """Whether a path is worth its place in an image."""
    return bool(name) and not any(name == part or name.startswith(f"{part}/") for part in _SKIPPED)


class Root:
    """The root file system as it grows into a tar archive."""

    def __init__(self, archive: tarfile.TarFile) -> None:
        self._archive = archive
        self._names: set[str] = set()

    def folder(self, name: str, mode: int = 0o755) -> None:
        """A folder and those above it."""
        parent = name.rpartition("/")[0]
        if parent:
            self.folder(parent)
        if name not in self._names:
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode = tarfile.DIRTYPE, mode
            self._add(entry, None)

    def link(self, name: str, target: str) -> None:
        """A symbolic link."""
        entry = tarfile.TarInfo(name)
        entry.type, entry.linkname = tarfile.SYMTYPE, target
        self._add(entry, None)

    def text(self, name: str, text: str) -> None:
        """A file with this text."""
        self.file(name, text.encode(), 0o644)

    def file(self, name: str, data: bytes, mode: int) -> None:
        """A file with these bytes."""
        entry = tarfile.TarInfo(name)
        entry.size, entry.mode = len(data), mode & 0o755
        self._add(entry, io.BytesIO(data))

    def copy(self, source: str) -> None:
        """A file or link of this system."""
        path, name = Path(source), merged(source)
        if not wanted(name) or name in self._names:
            return
        if path.is_symlink():
            self.link(name, str(path.readlink()))
        elif path.is_file():
            self.file(name, path.read_bytes(), path.stat().st_mode)

    def unpack(self, package: Path) -> None:
        """The files of a .deb."""
        data = subprocess.run(
            ["dpkg-deb", "--fsys-tarfile", str(package)], capture_output=True, check=True, timeout=120
        )
        with tarfile.open(fileobj=io.BytesIO(data.stdout)) as inner:
            for entry in inner:
                name = merged(entry.name)
                if not wanted(name) or name in self._names:
                    continue
                if entry.issym():
                    self.link(name, entry.linkname)
                elif entry.isfile() or entry.islnk():
                    content = inner.extractfile(entry)
                    self.file(name, content.read() if content else b"", entry.mode)

    def _add(self, entry: tarfile.TarInfo, content: io.BytesIO | None) -> None:
        if entry.name in self._names:
            return
        parent = entry.name.rpartition("/")[0]
        if parent and parent not in self._names:
            self.folder(parent)
        self._names.add(entry.name)
        self._archive.addfile(entry, content)


def files_of(packages: list[str]) -> Iterator[str]:
    """The paths of installed packages."""
    if packages:
        for line in output("dpkg", "-L", *packages).splitlines():
            if line.startswith("/"):
                yield line


def fill(root: Root, image: Image, packages: dict[str, str], work: Path) -> None:
    """Put everything in."""
    for name in _MERGED:
        root.folder(f"usr/{name}")
        root.link(name, f"usr/{name}")
    for name in image.folders:
        root.folder(name, 0o1777 if name in ("tmp", "data") else 0o755)
    user, group = image.user.split(":")
    root.text("etc/passwd", f"root:x:0:0:root:/:/\napp:x:{user}:{group}:app:/:/\n")
    root.text("etc/group", f"root:x:0:\napp:x:{group}:\n")
    for name, path in image.files.items():
        root.file(name, path.read_bytes(), 0o644)
    here = installed(list(packages))
    missing = [name for name in packages if name not in here]
    if missing:
        output("apt-get", "download", *missing, cwd=str(work))
    for package in sorted(work.glob("*.deb")):
        root.unpack(package)
    for source in files_of(sorted(here)):
        root.copy(source)


def inputs(image: Image, packages: dict[str, str]) -> str:
    """The hash of everything that an image is made of."""
    digest = hashlib.sha256(Path(__file__).read_bytes())
    digest.update(
        repr((image.packages, image.entrypoint, image.user, image.folders, sorted(packages.items()))).encode()
    )
    for name, path in sorted(image.files.items()):
        digest.update(name.encode() + path.read_bytes())
    return digest.hexdigest()


def build(engine: docker.DockerClient, image: Image, *, force: bool = False) -> bool:
    """Have the image; True when it was made. Raises BuildError, DockerException."""
    packages = versions(closure(image.packages))
    absent = [name for name in image.packages if name not in packages]
    if absent:
        raise BuildError(f"apt knows no package {', '.join(absent)}: run `apt-get update`")
    digest = inputs(image, packages)
    try:
        if engine.images.get(image.name).labels.get(LABEL) == digest and not force:
            return False
    except ImageNotFound:
        pass
    with tempfile.TemporaryDirectory() as folder, tempfile.NamedTemporaryFile(suffix=".tar") as archive:
        Path(folder).chmod(0o755)
        with tarfile.open(fileobj=archive, mode="w") as tar:
            fill(Root(tar), image, packages, Path(folder))
        archive.flush()
        repository, _, tag = image.name.partition(":")
        entry = ", ".join(f'"{word}"' for word in image.entrypoint)
        changes = [f"ENTRYPOINT [{entry}]", f"USER {image.user}", "ENV PATH=/usr/bin:/bin", f"LABEL {LABEL}={digest}"]
        engine.api.import_image(src=archive.name, repository=repository, tag=tag, changes=changes)
    return True


def remove(engine: docker.DockerClient) -> None:
    """Remove every image that was made on this machine: these, and those of the kubelet and of the tests."""
    for name in sorted(tag for image in engine.images.list() for tag in image.tags if tag.startswith("cloudlet/")):
        engine.images.remove(name)
        sys.stdout.write(f"removed {name}\n")


def main() -> int:
    """Make every image that is not there."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--force", action="store_true", help="make them even if they are up to date")
    parser.add_argument("--remove", action="store_true", help="remove them instead")
    chosen = parser.parse_args()
    try:
        engine = docker.from_env(timeout=300)
        if chosen.remove:
            remove(engine)
            return 0
        for image in IMAGES:
            made = build(engine, image, force=chosen.force)
            sys.stdout.write(f"{'made' if made else 'have'} {image.name}\n")
    except (BuildError, DockerException) as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
