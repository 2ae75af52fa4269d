"""A claim's disk: formatted once, mounted on the pod's node, unmounted when the pod has gone, its data kept."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from api import resources
from api.types import Object
from api.volumes import attachment_name
from kubelet.volumes.mounts import mounted
from kubelet.volumes.persistent import DRIVER
from tests.node.kubelet.lab import Kubelet, Space, condition, pod


@pytest.fixture
def device(tmp_path: Path) -> Iterator[str]:
    image = tmp_path / "disk.img"
    with image.open("wb") as file:
        file.truncate(32 << 20)
    made = subprocess.run(
        ["losetup", "--find", "--show", str(image)], capture_output=True, check=True, text=True, timeout=10
    ).stdout.strip()
    try:
        yield made
    finally:
        subprocess.run(["losetup", "--detach", made], check=True, timeout=10)


async def _volume(space: Space, source: Object) -> None:
    """A volume and a claim, bound to one another as the controllers would have left them."""
    name = f"pv-{space.name}"
    common = {"accessModes": ["ReadWriteOnce"], "storageClassName": ""}
    claim: Object = {
        "metadata": {"name": "claim"},
        "spec": {**common, "volumeName": name, "resources": {"requests": {"storage": "32Mi"}}},
    }
    made = await space.create(resources.PERSISTENTVOLUMECLAIMS, claim)
    reference = {
        "kind": "PersistentVolumeClaim",
        "namespace": space.name,
        "name": "claim",
        "uid": made["metadata"]["uid"],
    }
    volume = {
        "metadata": {"name": name},
        "spec": {**common, "capacity": {"storage": "32Mi"}, "claimRef": reference, **source,
                 "persistentVolumeReclaimPolicy": "Retain"},
    }  # fmt: skip
    await space.client.create(resources.PERSISTENTVOLUMES, volume)
    bound = {"status": {"phase": "Bound", "accessModes": ["ReadWriteOnce"], "capacity": {"storage": "32Mi"}}}
    await space.client.patch(resources.PERSISTENTVOLUMECLAIMS, "claim", bound, space.name, subresource="status")


def _pod(name: str, script: str) -> Object:
    mount = {"volumeMounts": [{"name": "v", "mountPath": "/v"}]}
    return pod(name, script, container=mount, volumes=[{"name": "v", "persistentVolumeClaim": {"claimName": "claim"}}])


async def test_a_disk_waits_for_its_attachment_and_keeps_its_data(space: Space, kubelet: Kubelet, device: str) -> None:
    handle = f"disk-{space.name}"
    await _volume(space, {"csi": {"driver": DRIVER, "volumeHandle": handle, "fsType": "ext4"}})
    await space.run(_pod("a", "echo kept > /v/file; sync; cat /proc/mounts | grep ' /v ' | cut -d' ' -f3"))
    await space.event("a", "FailedMount", "is not attached yet")
    name = attachment_name(DRIVER, handle, space.node)
    attachment: Object = {
        "metadata": {"name": name},
        "spec": {"attacher": DRIVER, "nodeName": space.node, "source": {"persistentVolumeName": f"pv-{space.name}"}},
    }
    await space.client.create(resources.VOLUMEATTACHMENTS, attachment)
    attached = {"status": {"attached": True, "attachmentMetadata": {"devicePath": device}}}
    await space.client.patch(resources.VOLUMEATTACHMENTS, name, attached, subresource="status")
    unique = f"kubernetes.io/csi/{DRIVER}^{handle}"
    await space.wait(space.node, lambda n: unique in (n["status"].get("volumesInUse") or ()), resource=resources.NODES)
    await space.ended("a")
    assert await space.logs("a") == "ext4\n"
    await space.wait(
        space.node, lambda n: unique not in (n["status"].get("volumesInUse") or ()), resource=resources.NODES
    )
    assert device not in {m.source for m in mounted()}
    assert await space.output(_pod("b", "cat /v/file")) == "kept\n"


async def test_a_local_directory(space: Space, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("here")
    terms = [{"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": [space.node]}]}]
    await _volume(space, {"local": {"path": str(tmp_path)}, "nodeAffinity": {"required": {"nodeSelectorTerms": terms}}})
    assert await space.output(_pod("a", "cat /v/file")) == "here"


async def test_a_claim_that_is_not_bound(space: Space) -> None:
    await space.run(_pod("a", "true"))
    event = await space.event("a", "FailedMount")
    assert 'persistentvolumeclaim "claim" not found' in event["message"]
    await space.wait("a", lambda pod: condition(pod, "Ready") == "False")
