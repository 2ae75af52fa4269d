"""Probes and lifecycle hooks on real containers."""

from __future__ import annotations

from tests.node.kubelet.lab import Space, condition, container, phase, pod, terminated

_WEB = "mkdir -p /www; echo hello > /www/index.html; httpd -p 8080 -h /www; trap 'exit 0' TERM; while :; do sleep 0.1; done"
_QUICK = {"periodSeconds": 1, "timeoutSeconds": 1}


async def test_readiness_follows_the_probe(space: Space) -> None:
    probe = {"exec": {"command": ["test", "-e", "/tmp/ready"]}, "failureThreshold": 1, **_QUICK}
    script = "trap 'exit 0' TERM; sleep 2; touch /tmp/ready; while :; do sleep 0.1; done"
    await space.run(pod("a", script, container={"readinessProbe": probe}))
    await space.wait("a", lambda p: container(p)["state"].get("running"))
    event = await space.event("a", "Unhealthy")
    assert event["message"].startswith("Readiness probe failed")
    found = await space.ready("a", 10)
    assert container(found)["restartCount"] == 0


async def test_http_readiness_by_port_name(space: Space) -> None:
    probe = {"httpGet": {"path": "/index.html", "port": "web"}, **_QUICK}
    more = {"readinessProbe": probe, "ports": [{"name": "web", "containerPort": 8080}]}
    await space.run(pod("a", _WEB, container=more))
    await space.ready("a", 10)


async def test_http_liveness_restarts(space: Space) -> None:
    probe = {"httpGet": {"path": "/none", "port": 8080}, "failureThreshold": 2, **_QUICK}
    await space.run(pod("a", _WEB, container={"livenessProbe": probe}, restartPolicy="Always"))
    found = await space.wait("a", lambda p: container(p)["restartCount"] >= 1)
    assert container(found)["lastState"]["terminated"]["exitCode"] == 0
    killing = await space.event("a", "Killing")
    assert killing["message"] == "Container c failed liveness probe, will be restarted"


async def test_tcp_liveness_that_succeeds_does_not_restart(space: Space) -> None:
    good = {"tcpSocket": {"port": 8080}, "failureThreshold": 1, "initialDelaySeconds": 1, **_QUICK}
    ready = {"exec": {"command": ["sh", "-c", "sleep 0.1; test -e /www"]}, "successThreshold": 3, **_QUICK}
    await space.run(pod("a", _WEB, container={"livenessProbe": good, "readinessProbe": ready}, restartPolicy="Always"))
    assert container(await space.ready("a", 15))["restartCount"] == 0


async def test_a_startup_probe_holds_the_others_off(space: Space) -> None:
    startup = {"exec": {"command": ["test", "-e", "/tmp/up"]}, "failureThreshold": 30, **_QUICK}
    live = {"exec": {"command": ["test", "-e", "/tmp/up"]}, "failureThreshold": 1, **_QUICK}
    script = "trap 'exit 0' TERM; sleep 2; touch /tmp/up; while :; do sleep 0.1; done"
    await space.run(pod("a", script, container={"startupProbe": startup, "livenessProbe": live}))
    early = await space.wait("a", lambda p: container(p)["state"].get("running"))
    assert container(early)["started"] is False and condition(early, "Ready") == "False"
    found = await space.ready("a", 10)
    assert container(found)["started"] and container(found)["restartCount"] == 0


async def test_a_startup_probe_that_fails_kills(space: Space) -> None:
    startup = {"exec": {"command": ["false"]}, "failureThreshold": 1, **_QUICK}
    await space.run(pod("a", "trap 'exit 3' TERM; while :; do sleep 0.1; done", container={"startupProbe": startup}))
    found = await space.ended("a")
    assert phase(found) == "Failed" and terminated(found)["exitCode"] == 3


async def test_hooks_run(space: Space) -> None:
    hooks = {
        "postStart": {"exec": {"command": ["sh", "-c", "echo started > /tmp/post"]}},
        "preStop": {"exec": {"command": ["sh", "-c", "echo -n stopped > /dev/termination-log"]}},
    }
    script = "trap 'cat /tmp/post; exit 0' TERM; while :; do sleep 0.1; done"
    await space.run(pod("a", script, container={"lifecycle": hooks}, terminationGracePeriodSeconds=10))
    await space.ready("a")
    await space.delete("a")
    last = await space.wait("a", lambda p: "deleted" in p, 10)
    assert terminated(last)["message"] == "stopped"


async def test_a_failed_post_start_hook_kills_the_container(space: Space) -> None:
    hooks = {"postStart": {"exec": {"command": ["false"]}}}
    await space.run(pod("a", container={"lifecycle": hooks}))
    assert phase(await space.ended("a")) == "Failed"
    assert "PostStartHook failed" in (await space.event("a", "FailedPostStartHook"))["message"]


async def test_a_sidecar_with_a_startup_probe_delays_the_main_container(space: Space) -> None:
    sidecar = {
        "name": "side", "image": "cloudlet/busybox:1", "restartPolicy": "Always",
        "command": ["sh", "-c", "trap 'exit 0' TERM; sleep 1.5; touch /tmp/up; while :; do sleep 0.1; done"],
        "startupProbe": {"exec": {"command": ["test", "-e", "/tmp/up"]}, "failureThreshold": 20, **_QUICK},
    }  # fmt: skip
    await space.run(pod("a", "echo done", initContainers=[sidecar]))
    early = await space.wait("a", lambda p: container(p, "side", "initContainerStatuses")["state"].get("running"))
    assert container(early)["state"]["waiting"]["reason"] == "PodInitializing"
    assert phase(await space.ended("a", 20)) == "Succeeded"
