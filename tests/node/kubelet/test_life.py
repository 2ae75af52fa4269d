"""A pod's life on real containers: start, phases, restarts, init and sidecar containers, deadlines, deletion."""

from __future__ import annotations

import docker
import pytest

from api import resources
from api.types import Object
from tests.images import BUSYBOX
from tests.node.kubelet.lab import Kubelet, Space, condition, container, phase, pod, terminated

_ALWAYS = {"restartPolicy": "Always"}


def _init(name: str, script: str, **more: object) -> Object:
    return {"name": name, "image": BUSYBOX, "command": ["sh", "-c", script], **more}


async def test_a_pod_becomes_ready_and_tells_everything(space: Space) -> None:
    await space.run(pod("a", container={"resources": {"requests": {"cpu": "10m"}}}))
    found = await space.ready("a")
    status = found["status"]
    assert status["phase"] == "Running" and status["qosClass"] == "Burstable"
    assert status["podIP"].startswith("10.97.40.") and status["podIPs"] == [{"ip": status["podIP"]}]
    assert status["hostIP"] == "127.0.0.1" and status["observedGeneration"] == 1
    kinds = {c["type"]: c["status"] for c in status["conditions"]}
    assert kinds == dict.fromkeys(
        ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"), "True"
    )
    one = container(found)
    assert one["ready"] and one["started"] and one["restartCount"] == 0 and "startedAt" in one["state"]["running"]
    assert one["containerID"].startswith("docker://") and one["imageID"].startswith("sha256:")


@pytest.mark.parametrize(("script", "wanted", "code"), [("echo hi", "Succeeded", 0), ("exit 7", "Failed", 7)])
async def test_a_pod_that_ends(space: Space, script: str, wanted: str, code: int) -> None:
    await space.run(pod("a", script))
    found = await space.ended("a")
    assert phase(found) == wanted
    assert terminated(found)["exitCode"] == code
    assert terminated(found)["reason"] == ("Completed" if code == 0 else "Error")
    assert condition(found, "Ready") == "False"


async def test_a_crash_is_restarted_at_once_then_later(space: Space) -> None:
    await space.run(pod("a", "exit 1", **_ALWAYS))
    found = await space.wait("a", lambda p: "CrashLoopBackOff" in str(container(p)["state"]))
    one = container(found)
    assert one["restartCount"] == 1 and one["lastState"]["terminated"]["exitCode"] == 1
    assert "back-off 10s restarting failed container=c" in one["state"]["waiting"]["message"]
    assert phase(found) == "Running" and condition(found, "Ready") == "False"
    again = await space.wait("a", lambda p: container(p)["restartCount"] == 2)
    assert again["status"]["phase"] == "Running"


async def test_on_failure_restarts_until_success(space: Space) -> None:
    volume = {"volumes": [{"name": "v", "emptyDir": {}}]}
    mount = {"volumeMounts": [{"name": "v", "mountPath": "/v"}]}
    await space.run(
        pod("a", "test -e /v/x && exit 0; touch /v/x; exit 1", restartPolicy="OnFailure", container=mount, **volume)
    )
    found = await space.ended("a")
    assert phase(found) == "Succeeded" and container(found)["restartCount"] == 1


async def test_init_containers_run_in_order_before_the_main_ones(space: Space) -> None:
    mount = {"volumeMounts": [{"name": "v", "mountPath": "/v"}]}
    text = await space.output(
        pod(
            "a", "cat /v/log", container=mount, volumes=[{"name": "v", "emptyDir": {}}],
            initContainers=[_init("one", "echo one >> /v/log", **mount), _init("two", "echo two >> /v/log", **mount)],
        )
    )  # fmt: skip
    assert text == "one\ntwo\n"
    found = await space.get("a")
    assert condition(found, "Initialized") == "True"
    assert [s["ready"] for s in found["status"]["initContainerStatuses"]] == [True, True]


async def test_a_failed_init_container_fails_the_pod(space: Space) -> None:
    await space.run(pod("a", "echo never", initContainers=[_init("one", "exit 1")]))
    found = await space.ended("a")
    assert phase(found) == "Failed" and condition(found, "Initialized") == "False"
    assert container(found)["state"] == {"waiting": {"reason": "PodInitializing"}}


async def test_a_sidecar_runs_beside_and_stops_last(space: Space) -> None:
    sidecar = _init("side", "trap 'exit 0' TERM; while :; do sleep 0.1; done", restartPolicy="Always")
    await space.run(pod("a", "sleep 1; echo done", initContainers=[sidecar]))
    running = await space.wait("a", lambda p: container(p)["state"].get("running"))
    assert container(running, "side", "initContainerStatuses")["started"]
    found = await space.ended("a")
    assert phase(found) == "Succeeded"
    assert terminated(found, "side", "initContainerStatuses")["exitCode"] == 0


async def test_a_deadline_ends_the_pod(space: Space) -> None:
    await space.run(pod("a", activeDeadlineSeconds=1))
    found = await space.ended("a")
    assert phase(found) == "Failed" and found["status"]["reason"] == "DeadlineExceeded"


async def test_a_program_that_is_not_there(space: Space) -> None:
    await space.run(pod("a", container={"command": ["/bin/nosuch"]}))
    found = await space.ended("a")
    assert terminated(found)["reason"] == "StartError" and terminated(found)["exitCode"] == 128
    assert "no such file" in terminated(found)["message"]


async def test_images_that_cannot_be_had(space: Space) -> None:
    await space.run(pod("never", container={"image": "nosuch:1", "imagePullPolicy": "Never"}))
    await space.run(pod("wrong", container={"image": "nosuch.invalid/x:1"}))
    await space.run(pod("name", container={"image": "Not An Image"}))
    await space.wait("never", lambda p: "ErrImageNeverPull" in str(container(p)["state"]))
    await space.wait("name", lambda p: "InvalidImageName" in str(container(p)["state"]))
    await space.wait("wrong", lambda p: "ErrImagePull" in str(container(p)["state"]))
    await space.wait("wrong", lambda p: "ImagePullBackOff" in str(container(p)["state"]))
    await space.event("wrong", "Failed")


async def test_a_missing_config_map_holds_the_pod_until_it_comes(space: Space) -> None:
    env = {"env": [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "later", "key": "a"}}}]}
    await space.run(pod("a", "echo $A", container=env))
    found = await space.wait("a", lambda p: "CreateContainerConfigError" in str(container(p)["state"]))
    assert container(found)["state"]["waiting"]["message"] == 'configmap "later" not found'
    await space.create(resources.CONFIGMAPS, {"metadata": {"name": "later"}, "data": {"a": "came"}})
    assert phase(await space.ended("a")) == "Succeeded"
    assert await space.logs("a") == "came\n"


async def test_deletion_is_graceful(space: Space) -> None:
    script = "trap 'echo bye; sleep 0.5; exit 0' TERM; while :; do sleep 0.1; done"
    await space.run(pod("a", script, terminationGracePeriodSeconds=20))
    await space.ready("a")
    await space.delete("a")
    last = await space.wait("a", lambda p: "deleted" in p)
    assert phase(last) == "Succeeded" and terminated(last)["exitCode"] == 0


async def test_deletion_kills_after_the_grace_period_which_may_be_shortened(space: Space) -> None:
    await space.run(pod("a", "trap '' TERM; while :; do sleep 0.1; done", terminationGracePeriodSeconds=600))
    await space.ready("a")
    await space.delete("a")
    await space.wait("a", lambda p: p["metadata"].get("deletionTimestamp"))
    await space.delete("a", grace=1)
    last = await space.wait("a", lambda p: "deleted" in p, seconds=10)
    assert terminated(last)["exitCode"] == 137 and phase(last) == "Failed"


async def test_nothing_is_left_of_a_deleted_pod(space: Space, kubelet: Kubelet) -> None:
    volumes = [{"name": "m", "emptyDir": {"medium": "Memory"}}, {"name": "d", "emptyDir": {}}]
    made = await space.run(pod("a", volumes=volumes, container={"volumeMounts": [{"name": "m", "mountPath": "/m"}]}))
    uid = made["metadata"]["uid"]
    await space.ready("a")
    assert (kubelet.root / "pods" / uid).exists()
    await space.delete("a")
    await space.gone("a")
    assert not (kubelet.root / "pods" / uid).exists()
    engine = docker.APIClient(version="auto")
    try:
        assert engine.containers(all=True, filters={"label": [f"io.cloudlet.pod.uid={uid}"]}) == []
    finally:
        engine.close()


async def test_an_image_change_replaces_the_container(space: Space) -> None:
    engine = docker.APIClient(version="auto")
    engine.tag(BUSYBOX, "cloudlet/busybox", "2")
    engine.close()
    await space.run(pod("a", "trap 'exit 0' TERM; while :; do sleep 0.1; done", **_ALWAYS))
    await space.ready("a")
    change = {"spec": {"containers": [{"name": "c", "image": "cloudlet/busybox:2"}]}}
    await space.client.patch(resources.PODS, "a", change, space.name, kind="strategic")
    found = await space.wait("a", lambda p: container(p)["restartCount"] == 1 and container(p)["ready"])
    assert container(found)["image"] == "cloudlet/busybox:2"


async def test_a_pod_that_does_not_fit_is_refused(space: Space) -> None:
    await space.run(pod("a", container={"resources": {"requests": {"cpu": "4000"}}}))
    found = await space.ended("a")
    assert found["status"]["reason"] == "OutOfcpu"
    await space.run(pod("b", nodeSelector={"no": "such"}))
    assert (await space.ended("b"))["status"]["reason"] == "NodeAffinity"
    await space.delete("a")
    await space.gone("a")
