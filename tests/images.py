"""Images for tests, made on the machine: a static busybox with all its applets, in an otherwise empty image."""

from __future__ import annotations

import io
import subprocess
import tarfile
from pathlib import Path

import docker

BUSYBOX = "cloudlet/busybox:1"
_PROGRAM = Path("/bin/busybox")


def _applets() -> list[str]:
    listed = subprocess.run([str(_PROGRAM), "--list"], capture_output=True, check=True, text=True, timeout=10)
    return [name for name in listed.stdout.split() if name != "busybox"]


def _add(tar: tarfile.TarFile, name: str, data: bytes, mode: int) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(data), mode
    tar.addfile(entry, io.BytesIO(data))


def _folder(tar: tarfile.TarFile, name: str, mode: int) -> None:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode = tarfile.DIRTYPE, mode
    tar.addfile(entry)


def busybox_archive() -> bytes:
    """A root filesystem: /bin with busybox and a link per applet, /tmp, /etc/passwd with root and nobody."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, mode in (("bin", 0o755), ("etc", 0o755), ("tmp", 0o1777), ("root", 0o700), ("var", 0o755)):
            _folder(tar, name, mode)
        _add(tar, "bin/busybox", _PROGRAM.read_bytes(), 0o755)
        for applet in _applets():
            link = tarfile.TarInfo(f"bin/{applet}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
        _add(tar, "etc/passwd", b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n", 0o644)
        _add(tar, "etc/group", b"root:x:0:\nnogroup:x:65534:\n", 0o644)
    return buffer.getvalue()


def ensure_busybox(tag: str = BUSYBOX, engine: str = "unix:///var/run/docker.sock") -> str:
    """Make the image if it is missing; its reference."""
    client = docker.APIClient(base_url=engine, version="auto")
    try:
        try:
            client.inspect_image(tag)  # type: ignore[no-untyped-call]
        except docker.errors.ImageNotFound:
            repository, _, version = tag.rpartition(":")
            client.import_image_from_data(
                busybox_archive(), repository=repository, tag=version, changes=["ENV PATH=/bin", 'CMD ["/bin/sh"]']
            )
    finally:
        client.close()
    return tag


if __name__ == "__main__":
    print(ensure_busybox())
