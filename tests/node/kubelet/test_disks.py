"""A claim's disk: formatted once, mounted on the pod's node, unmounted when the pod has gone, its data kept."""

from __future__ import annotations

import asyncio
import signal
import subprocess
from pathlib import Path

from api import resources
from api.types import Object
from api.volumes import DISK_DRIVER, DISK_STORE, REMOVE, REMOVED, removal_annotation, removals
from tests.node.kubelet.lab import Kubelet, Space, condition, pod
from tests.node.proxy.daemon import until


async def _volume(space: Space, source: Object, mode: str = "Filesystem") -> None:
    """A volume and a claim, bound to one another as the controllers would have left them."""
    name = f"pv-{space.name}"
    common = {"accessModes": ["ReadWriteOnce"], "storageClassName": "", "volumeMode": mode}
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


async def test_a_disk_is_made_at_first_use_and_keeps_its_data(space: Space, kubelet: Kubelet) -> None:
    disk = f"pvc-{space.name}"
    image = kubelet.root / "disks" / f"{disk}.img"
    labels = (await space.client.get(resources.NODES, space.node))["metadata"]["labels"]
    assert labels[DISK_STORE] == (kubelet.root / "disks" / "id").read_text()
    await _volume(space, {"csi": {"driver": DISK_DRIVER, "volumeHandle": disk, "fsType": "ext4"}})
    script = "echo kept > /v/file; sync; cat /proc/mounts | grep ' /v ' | cut -d' ' -f3"
    assert await space.output(_pod("a", script)) == "ext4\n"
    assert image.stat().st_size == 32 << 20
    # Nothing shows it while no pod uses it.
    await asyncio.to_thread(until, lambda: not _shown(image))
    kubelet.stop(signal.SIGKILL)
    kubelet.start()
    assert await space.output(_pod("b", "cat /v/file")) == "kept\n"
    await _ask_to_remove(space, disk)
    await space.wait(space.node, lambda n: removals(n).get(disk) == REMOVED, resource=resources.NODES)
    assert not image.exists()
    await _ask_to_remove(space, disk, None)


async def test_a_disk_in_use_is_removed_once_its_pod_has_gone(space: Space, kubelet: Kubelet) -> None:
    disk = f"pvc-{space.name}"
    await _volume(space, {"csi": {"driver": DISK_DRIVER, "volumeHandle": disk, "fsType": "ext4"}})
    await space.run(_pod("a", "sleep 1000"))
    await space.wait("a", lambda pod: condition(pod, "Ready") == "True")
    await _ask_to_remove(space, disk)
    assert _shown(kubelet.root / "disks" / f"{disk}.img")
    await space.client.delete(resources.PODS, "a", space.name)
    await space.wait(space.node, lambda n: removals(n).get(disk) == REMOVED, resource=resources.NODES)
    await _ask_to_remove(space, disk, None)


async def test_a_raw_block_device(space: Space, kubelet: Kubelet) -> None:
    disk = f"raw-{space.name}"
    await _volume(space, {"csi": {"driver": DISK_DRIVER, "volumeHandle": disk}}, mode="Block")
    wanted = _pod("a", "wc -c < /dev/raw")
    wanted["spec"]["containers"][0].pop("volumeMounts")
    wanted["spec"]["containers"][0]["volumeDevices"] = [{"name": "v", "devicePath": "/dev/raw"}]
    try:
        assert await space.output(wanted) == f"{32 << 20}\n"
    finally:
        await _ask_to_remove(space, disk)
        await space.wait(space.node, lambda n: removals(n).get(disk) == REMOVED, resource=resources.NODES)
    assert not _shown(kubelet.root / "disks" / f"{disk}.img")


async def _ask_to_remove(space: Space, disk: str, said: str | None = REMOVE) -> None:
    """As the cloud controllers do."""
    patch = {"metadata": {"annotations": {removal_annotation(disk): said}}}
    await space.client.patch(resources.NODES, space.node, patch)


def _shown(image: Path) -> str:
    """The loop device that shows an image."""
    return subprocess.run(["losetup", "-j", str(image)], capture_output=True, check=True, text=True, timeout=10).stdout


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
