"""What survives: the kubelet killed, sandboxes lost, static pods without an API."""

from __future__ import annotations

import asyncio
import signal
import time

import docker
import yaml

from api import resources
from api.types import Object
from tests.images import BUSYBOX
from tests.node.kubelet.lab import Kubelet, Space, condition, container, phase, pod

_LOOP = "echo begun; trap 'exit 0' TERM; while :; do sleep 0.1; done"


def _engine_ids(uid: str) -> dict[str, str]:
    """Docker name → start time of a pod's containers."""
    engine = docker.APIClient(version="auto")
    try:
        rows = engine.containers(all=True, filters={"label": [f"io.cloudlet.pod.uid={uid}"]})
        states = [engine.inspect_container(row["Id"]) for row in rows]
        return {s["Name"]: s["State"]["StartedAt"] for s in states}
    finally:
        engine.close()


async def test_a_killed_kubelet_finds_its_containers_again(space: Space, kubelet: Kubelet) -> None:
    made = await space.run(pod("a", _LOOP, restartPolicy="Always"))
    await space.ready("a")
    before = _engine_ids(made["metadata"]["uid"])
    assert len(before) == 2
    kubelet.stop(signal.SIGKILL)
    await space.run(pod("b", "echo later", restartPolicy="Never"))
    kubelet.start()
    assert phase(await space.ended("b")) == "Succeeded"
    found = await space.ready("a")
    assert container(found)["restartCount"] == 0
    assert _engine_ids(made["metadata"]["uid"]) == before


async def test_what_ended_while_the_kubelet_was_away_is_noticed(space: Space, kubelet: Kubelet) -> None:
    await space.run(pod("a", "sleep 1; exit 5"))
    await space.run(pod("d", _LOOP))
    await space.ready("a")
    await space.ready("d")
    kubelet.stop(signal.SIGKILL)
    await space.client.delete(resources.PODS, "d", space.name, grace_period_seconds=0)
    await asyncio.to_thread(_wait_exit, "a", space.name)
    kubelet.start()
    found = await space.ended("a")
    assert container(found)["state"]["terminated"]["exitCode"] == 5
    await asyncio.to_thread(_wait_exit, "d", space.name)


def _wait_exit(name: str, namespace: str) -> None:
    engine = docker.APIClient(version="auto")
    try:
        labels = [
            f"io.cloudlet.pod.name={name}",
            f"io.cloudlet.pod.namespace={namespace}",
            "io.cloudlet.kind=container",
        ]
        for row in engine.containers(all=True, filters={"label": labels}):
            engine.wait(row["Id"], timeout=20)
    finally:
        engine.close()


async def test_a_lost_sandbox_is_replaced(space: Space) -> None:
    made = await space.run(pod("a", _LOOP, restartPolicy="Always"))
    before = await space.ready("a")
    engine = docker.APIClient(version="auto")
    label = [f"io.cloudlet.pod.uid={made['metadata']['uid']}", "io.cloudlet.kind=sandbox"]
    (row,) = engine.containers(filters={"label": label})
    engine.kill(row["Id"])
    engine.close()
    found = await space.wait("a", lambda p: container(p)["restartCount"] == 1 and condition(p, "Ready") == "True")
    assert found["status"]["podIP"] != before["status"]["podIP"]


def _manifest(name: str) -> Object:
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "default"},
            "spec": {"containers": [{"name": "c", "image": BUSYBOX, "command": ["sh", "-c", _LOOP]}],
                     "terminationGracePeriodSeconds": 1, "automountServiceAccountToken": False}}  # fmt: skip


def _wait_start(name: str, since: float) -> str:
    """The id of the pod's container that is started."""
    engine = docker.APIClient(version="auto", timeout=60)
    labels = [f"io.cloudlet.pod.name={name}", "io.cloudlet.kind=container"]
    events = engine.events(since=int(since), filters={"label": labels, "event": ["start"]}, decode=True)
    try:
        return str(next(events)["id"])
    finally:
        events.close()
        engine.close()


async def test_a_static_pod_starts_without_an_api_server(space: Space, kubelet: Kubelet) -> None:
    default, path, name = Space(space.client, "default", space.node), kubelet.manifests / "early.yaml", "early"
    kubelet.stop()
    assert kubelet.cluster.stop("apiserver") == 0
    manifest, since = _manifest(name), time.time()
    manifest["spec"]["hostNetwork"] = True
    try:
        path.write_text(yaml.safe_dump(manifest))
        kubelet.start()
        begun = await asyncio.to_thread(_wait_start, f"{name}-{space.node}", since)
        await asyncio.to_thread(kubelet.cluster.start_server)
        mirror = await default.wait(f"{name}-{space.node}", lambda p: condition(p, "Ready") == "True", 60)
        assert container(mirror)["containerID"] == f"docker://{begun}"
    finally:
        path.unlink()
    await default.wait_gone(f"{name}-{space.node}", 20)


async def test_static_pods_and_their_mirrors(space: Space, kubelet: Kubelet) -> None:
    default = Space(space.client, "default", space.node)
    path = kubelet.manifests / "static.yaml"
    (kubelet.manifests / "bad.yaml").write_text("a: [")
    path.write_text(yaml.safe_dump(_manifest("static")))
    try:
        name = f"static-{space.node}"
        await default.wait(name, lambda p: condition(p, "Ready") == "True")
        mirror = await default.get(name)
        assert mirror["metadata"]["annotations"]["kubernetes.io/config.source"] == "file"
        await default.delete(name, grace=0)
        again = await default.wait(
            name, lambda p: p["metadata"]["uid"] != mirror["metadata"]["uid"] and condition(p, "Ready") != ""
        )
        assert container(again)["containerID"] == container(mirror)["containerID"]
    finally:
        path.unlink()
        (kubelet.manifests / "bad.yaml").unlink()
    await default.wait_gone(name, 20)
