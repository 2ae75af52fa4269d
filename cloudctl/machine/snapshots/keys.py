"""The files beside etcd's store without which restored nodes and pods could not go on."""

from __future__ import annotations

from pathlib import Path

from cloudctl.machine.snapshots.manifest import SnapshotError

REQUIRED = (
    "ca.crt", "ca.key", "front-proxy-ca.crt", "front-proxy-ca.key", "etcd/ca.crt", "etcd/ca.key", "sa.pub", "sa.key",
)  # fmt: skip
_PATTERNS = ("ca*", "front-proxy-ca*", "sa*", "etcd/ca*")
"""Wider than REQUIRED: while a CA or the ServiceAccount key is being changed, old and new ones stand side by side."""
SETTINGS = "machine.yaml"


def collect(home: Path, etc: Path) -> dict[str, Path]:
    """Names in the archive and the files. Raises SnapshotError when this machine is no control plane."""
    pki = home / "pki"
    missing = [name for name in REQUIRED if not (pki / name).is_file()]
    if missing:
        raise SnapshotError(
            f"this machine is no control plane ({pki / missing[0]} is not there): take snapshots on one that is"
        )
    files = sorted(
        {path for pattern in _PATTERNS for path in pki.glob(pattern) if path.suffix in (".crt", ".key", ".pub")}
    )
    found = {f"pki/{path.relative_to(pki)}": path for path in files}
    if (etc / SETTINGS).is_file():
        found[SETTINGS] = etc / SETTINGS
    return found
