"""Certificates and their keys in files, as PEM. What is replaced is never seen half written, and keeps its owner."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization

PRIVATE, PUBLIC = 0o600, 0o644


@dataclass(frozen=True)
class Pair:
    """A certificate and its key as PEM."""

    cert: bytes
    key: bytes


def read_pair(certificate: Path, key: Path) -> x509.Certificate | None:
    """The certificate in a pair of files; None when a file is not there, is damaged, or belongs to another pair."""
    try:
        found = x509.load_pem_x509_certificate(certificate.read_bytes())
        private = serialization.load_pem_private_key(key.read_bytes(), None)
    except (OSError, ValueError):
        return None
    return found if private.public_key() == found.public_key() else None


def write_pair(certificate: Path, key: Path, pair: Pair) -> None:
    """Replace both files, one right after the other: who reads in between finds two that do not belong together."""
    replace({key: (pair.key, PRIVATE), certificate: (pair.cert, PUBLIC)})


def replace(files: dict[Path, tuple[bytes, int]]) -> None:
    """Give files new content and these modes, each in one step, once all of it is on the disk."""
    partials = {path: _partial(path, data, mode) for path, (data, mode) in files.items()}
    for path, partial in partials.items():
        partial.replace(path)


def _partial(path: Path, data: bytes, mode: int) -> Path:
    """The new content beside the file that it is to replace."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    partial = path.with_name(path.name + ".tmp")
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
        os.fchmod(file.fileno(), mode)
        if path.exists():
            os.fchown(file.fileno(), path.stat().st_uid, path.stat().st_gid)
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    return partial
