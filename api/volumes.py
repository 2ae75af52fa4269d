"""Names by which controllers and kubelets find each other's volumes; each is Kubernetes' own, so that either side can be
exchanged. Pure."""

from __future__ import annotations

import hashlib

from api.types import Object


def attachment_name(driver: str, handle: str, node: str) -> str:
    """The VolumeAttachment of a CSI volume on a node."""
    return f"csi-{hashlib.sha256(f'{handle}{driver}{node}'.encode()).hexdigest()}"


def unique_name(volume: Object) -> str:
    """How a node's status (`volumesInUse`, `volumesAttached`) lists a PersistentVolume; empty if nobody attaches it."""
    csi = volume["spec"].get("csi")
    return f"kubernetes.io/csi/{csi['driver']}^{csi['volumeHandle']}" if csi else ""


def claim_name(pod: Object, volume: Object) -> str:
    """The claim that a volume of a pod uses, empty for none; a generic ephemeral volume's has the pod's name in it."""
    if claim := volume.get("persistentVolumeClaim"):
        return str(claim["claimName"])
    return f"{pod['metadata']['name']}-{volume['name']}" if volume.get("ephemeral") is not None else ""
