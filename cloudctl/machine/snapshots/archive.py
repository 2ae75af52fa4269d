"""The archive: a gzip-compressed tar file of `manifest.json`, `etcd.db` and the keys below `pki/`.

It is read in one pass and to its end, so that every byte is covered by a checksum: each member's SHA-256 in the manifest, the
manifest and tar's own headers by gzip's, and gzip's header has only one form here.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import tarfile
import tempfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from cloudctl.machine.snapshots.manifest import NAME, File, Manifest, SnapshotError

_HEADER = bytes.fromhex("1f8b08000000000000ff")
"""gzip's: deflate, no name and no time, level between the fastest and the best, system unknown."""
_LEVEL = 4
_CHUNK = 1 << 20
_MANIFEST_LIMIT = 1 << 20


def describe(path: Path) -> File:
    """A file's size and hash, as the manifest has them."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
        return File(file.tell(), digest.hexdigest())


def write(path: Path, manifest: Manifest, sources: Mapping[str, Path]) -> None:
    """Have the whole archive at `path` (mode 0600) or nothing. `sources` are the files that the manifest names."""
    handle, partial = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            with (
                gzip.GzipFile("", "wb", _LEVEL, file, mtime=0) as packed,
                tarfile.open(fileobj=packed, mode="w|") as tar,
            ):
                _add(tar, manifest, NAME, io.BytesIO(manifest.to_json()), len(manifest.to_json()))
                for name, source in sources.items():
                    with source.open("rb") as content:
                        _add(tar, manifest, name, content, manifest.files[name].size)
            file.flush()
            os.fsync(file.fileno())
        Path(partial).replace(path)
    except BaseException:
        Path(partial).unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Have the names in a folder on the disk."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _add(tar: tarfile.TarFile, manifest: Manifest, name: str, content: IO[bytes], size: int) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode, member.mtime = size, 0o600, int(manifest.taken.timestamp())
    tar.addfile(member, content)


def inspect(path: Path) -> Manifest:
    """The manifest of an archive all of whose bytes are as they were written. Raises SnapshotError."""
    return _read(path, None)


def unpack(path: Path, target: Path) -> Manifest:
    """As `inspect`, with the members written below `target`, a folder that is empty. Raises SnapshotError, OSError."""
    return _read(path, target)


def member(path: Path, name: str) -> bytes:
    """One member of an archive, empty when it has none of this name. Raises SnapshotError."""
    found = b""
    with _opened(path) as tar:
        _manifest(tar)
        while entry := tar.next():
            content = tar.extractfile(entry) if entry.name == name else None
            found = content.read() if content is not None else found
    return found


def _read(path: Path, target: Path | None) -> Manifest:
    with _opened(path) as tar:
        manifest = _manifest(tar)
        missing = dict(manifest.files)
        while member := tar.next():
            wanted = missing.pop(member.name, None)
            if wanted is None or not member.isreg():
                raise SnapshotError(f"{member.name!r} does not belong into it")
            if _copy(tar, member, target) != wanted:
                raise SnapshotError(f"{member.name} in it is not what was saved")
        if missing:
            raise SnapshotError(f"{min(missing)} is missing from it")
        return manifest


@contextmanager
def _opened(path: Path) -> Iterator[tarfile.TarFile]:
    """The tar file, read to gzip's checksum at the very end; whatever is wrong with it becomes a SnapshotError."""
    try:
        with path.open("rb") as file:
            if file.read(len(_HEADER)) != _HEADER:
                raise SnapshotError("it is no snapshot of a Cloudlet cluster")
            file.seek(0)
            with gzip.GzipFile(fileobj=file) as packed:
                with tarfile.open(fileobj=packed, mode="r|") as tar:
                    yield tar
                while packed.read(_CHUNK):
                    pass
    except SnapshotError as error:
        raise SnapshotError(f"{path} cannot be used: {error}") from error
    except EOFError as error:
        raise SnapshotError(f"{path} cannot be used: it is truncated; take another snapshot") from error
    except (tarfile.TarError, zlib.error, gzip.BadGzipFile) as error:
        raise SnapshotError(f"{path} cannot be used: it is damaged ({error}); take another snapshot") from error
    except (FileNotFoundError, IsADirectoryError, PermissionError) as error:
        raise SnapshotError(f"{error.filename or path} cannot be read: {error.strerror}") from error


def _manifest(tar: tarfile.TarFile) -> Manifest:
    first = tar.next()
    content = tar.extractfile(first) if first is not None and first.name == NAME else None
    if first is None or content is None or first.size > _MANIFEST_LIMIT:
        raise SnapshotError("it is no snapshot of a Cloudlet cluster")
    manifest = Manifest.from_json(content.read())
    if any(Path(name).is_absolute() or ".." in Path(name).parts for name in manifest.files):
        raise SnapshotError("it names files outside of the cluster's folder")
    return manifest


def _copy(tar: tarfile.TarFile, member: tarfile.TarInfo, target: Path | None) -> File:
    """Read a member to its end, into a file of mode 0600 if there is a target."""
    content = tar.extractfile(member)
    if content is None:
        raise SnapshotError(f"{member.name!r} does not belong into it")
    digest, size = hashlib.sha256(), 0
    with _sink(target, member.name) as file:
        while chunk := content.read(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
            file.write(chunk)
    return File(size, digest.hexdigest())


@contextmanager
def _sink(target: Path | None, name: str) -> Iterator[IO[bytes]]:
    if target is None:
        with Path(os.devnull).open("wb") as nothing:
            yield nothing
        return
    path = target / name
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())
