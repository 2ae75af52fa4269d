"""A cluster whose control planes are all gone comes back from a snapshot; the pods on its workers never notice."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from api import resources
from api.types import Object
from client.command import Commands
from cloudctl.cluster.steps import Steps
from cloudctl.lab.image import NodeImage
from cloudctl.lab.nodes import Lab as Containers
from cloudctl.lab.nodes import Node
from cloudctl.machine.settings import Role
from cloudctl.wait import Scope, until
from tests import images
from tests.lab import provision
from tests.lab.machines import Machine
from tests.lab.provision import INVENTORY, Provided

pytestmark = [
    pytest.mark.timeout(600),
    pytest.mark.skipif(INVENTORY in os.environ, reason="it throws machines away"),
]
CLUSTER, ARCHIVE = "restore", "/root/cluster.tar.gz"
_SECONDS = 180.0


@pytest.fixture
def three_and_one(tmp_path: Path) -> Iterator[str]:
    with provision.created(CLUSTER, control_planes=3, workers=1):
        yield CLUSTER


POD = {
    "metadata": {"name": "witness", "namespace": "default"},
    "spec": {
        "terminationGracePeriodSeconds": 1,
        "containers": [{"name": "main", "image": images.BUSYBOX, "command": ["/bin/busybox", "sleep", "100000"]}],
    },
}


def running(found: dict[str, Object]) -> bool | None:
    return any((pod.get("status") or {}).get("phase") == "Running" for pod in found.values()) or None


def identity(pod: Object) -> list[tuple[str, int]]:
    """Which containers it has, and how often each was started anew. Whether they are ready may still have changed."""
    return [(one["containerID"], one["restartCount"]) for one in pod["status"]["containerStatuses"]]


async def containers(machine: Machine) -> set[str]:
    """The containers of pods that run on a machine now."""
    return set((await machine.run("docker", "ps", "--quiet", "--no-trunc", "--filter=label=io.cloudlet.kind")).split())


async def test_a_destroyed_control_plane_comes_back_from_a_snapshot(three_and_one: str) -> None:
    old = await provision.from_containers(three_and_one)
    async with old.lab.client() as client:
        await client.create(resources.PODS, POD)
        await until(client, Scope.one(resources.PODS, "witness", "default"), running, _SECONDS)
        witness = await client.get(resources.PODS, "witness", "default")
    first = old.lab.of("control-plane")[0]
    [worker] = old.lab.of("worker")
    before = await containers(worker)
    assert len(before) >= 2
    await first.run("cloudctl", "etcd", "snapshot", "save", ARCHIVE, timeout=60)
    saved = await first.run("base64", "--wrap=0", ARCHIVE, timeout=60)

    fresh = await _new_machines(old)
    await _write(fresh[0], saved)
    print("\n" + await fresh[0].run("cloudctl", "etcd", "snapshot", "restore", ARCHIVE, timeout=_SECONDS))
    for machine in fresh[1:]:
        invitation = json.loads(await fresh[0].run("cloudctl", "token", "create", "--control-plane", "-o", "json"))
        # The Node of the machine that is gone is in the store still, and this one takes its place.
        await fresh[0].run(
            "cloudctl", "delete", "node", machine.name, "--kubeconfig=/var/lib/cloudlet/admin.kubeconfig"
        )
        await machine.run(*invitation["joinControlPlane"].split(), timeout=_SECONDS)

    new = await provision.from_containers(three_and_one)
    took = await new.lab.whole(_SECONDS)
    print(f"whole {took:.1f} s after the last join")
    assert await containers(worker) == before
    async with new.lab.client() as client:
        found = await client.get(resources.PODS, "witness", "default")
        assert found["metadata"]["uid"] == witness["metadata"]["uid"]
        assert identity(found) == identity(witness)
        # The kubelet of the worker follows the restored store: what is deleted there ends here.
        await client.delete(resources.PODS, "witness", "default")
        gone = Scope.one(resources.PODS, "witness", "default")
        await until(client, gone, lambda pods: None if pods else True, _SECONDS)


async def _new_machines(old: Provided) -> list[Machine]:
    """The control planes thrown away, disks and all, and fresh machines under their names and addresses."""
    commands, made = Commands(), Containers(Commands())
    image = await NodeImage(commands, Steps()).ensure()
    gone = old.lab.of("control-plane")
    await commands.run("docker", "rm", "--force", "--volumes", *(machine.name for machine in gone))
    for machine in gone:
        await made.start(CLUSTER, Node(machine.name, Role.CONTROL_PLANE, machine.address), image)
    for machine in gone:
        await made.booted(machine.name)
    return gone


async def _write(machine: Machine, text: str) -> None:
    await machine.run("dd", f"of={ARCHIVE}", "status=none", stdin=base64.b64decode(text))
    await machine.run("chmod", "0600", ARCHIVE)
