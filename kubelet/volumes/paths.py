"""Where the kubelet keeps a pod's things, in Kubernetes' own layout. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class PodPaths:
    """The directories of one pod under the kubelet's root."""

    root: Path
    uid: str

    @property
    def pod(self) -> Path:
        return self.root / "pods" / self.uid

    @property
    def hosts(self) -> Path:
        return self.pod / "etc-hosts"

    @property
    def resolv(self) -> Path:
        return self.pod / "resolv.conf"

    @property
    def volumes(self) -> Path:
        return self.pod / "volumes"

    @property
    def subpaths(self) -> Path:
        return self.pod / "volume-subpaths"

    def volume(self, plugin: str, name: str) -> Path:
        """`plugin` as in `empty-dir`."""
        return self.volumes / f"kubernetes.io~{plugin}" / name

    def termination_log(self, container: str, attempt: int) -> Path:
        """The file a container may leave its last words in."""
        return self.pod / "containers" / container / f"{attempt}.log"


def pod_dirs(root: Path) -> list[str]:
    """The uids of all pods that have a directory."""
    base = root / "pods"
    return [entry.name for entry in base.iterdir()] if base.exists() else []
