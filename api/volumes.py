"""Names by which controllers and kubelets find each other's volumes. Pure.

Those of attachments are Kubernetes' own. Those of the local disks are ours: docs/decisions/0004-disks-belong-to-a-folder.md.
"""

from __future__ import annotations

import hashlib

from api.types import Object

DISK_DRIVER = "disk.cloudlet.dev"
"""The CSI driver name of disks that kubelets keep as image files."""
DISK_STORE = f"topology.{DISK_DRIVER}/store"
"""The label of a Node, and key of a volume's node affinity: the folder of image files that a kubelet uses."""
REMOVE, REMOVED = "remove", "removed"
"""What the annotation `removal_annotation` of a Node says: the controller's wish, and the kubelet's answer."""
_REMOVAL = f"remove.{DISK_DRIVER}/"


def removal_annotation(disk: str) -> str:
    """The annotation by which a Node is asked to remove a disk, and says that it has."""
    return f"{_REMOVAL}{disk}"


def removals(node: Object) -> dict[str, str]:
    """What a Node's annotations say of disks to remove: disk → REMOVE or REMOVED."""
    annotations = node["metadata"].get("annotations") or {}
    return {key.removeprefix(_REMOVAL): value for key, value in annotations.items() if key.startswith(_REMOVAL)}


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
