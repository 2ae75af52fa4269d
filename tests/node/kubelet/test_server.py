"""Logs and exec through the API server, and who may ask the node itself."""

from __future__ import annotations

import asyncio
import ssl
from urllib.parse import urlencode

import httpx
import orjson
import websockets

from tests.api.cluster import Cluster
from tests.node.kubelet.lab import Kubelet, Space, container, pod

_LINES = "echo one; echo two >&2; echo three"
_LOOP = "trap 'exit 0' TERM; while :; do sleep 0.1; done"


def _tls(cluster: Cluster, name: str = "") -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(cluster.pki / "ca.crt"))
    if name:
        context.load_cert_chain(cluster.pki / f"{name}.crt", cluster.pki / f"{name}.key")
    return context


async def test_logs(space: Space) -> None:
    await space.run(pod("a", _LINES))
    await space.ended("a")
    assert sorted((await space.logs("a")).split()) == ["one", "three", "two"]
    assert await space.logs("a", tailLines="1") in ("three\n", "two\n")
    assert await space.logs("a", limitBytes="2") in ("on", "tw")
    stamped = (await space.logs("a", timestamps="true")).splitlines()
    assert all(line[:4].isdigit() and "Z " in line for line in stamped)
    assert await space.logs("a", sinceSeconds="3600") == await space.logs("a")


async def test_previous_logs(space: Space) -> None:
    mount = {"volumeMounts": [{"name": "v", "mountPath": "/v"}]}
    script = f"test -e /v/x && {{ echo second; {_LOOP}; }}; touch /v/x; echo first; exit 1"
    await space.run(pod("a", script, container=mount, volumes=[{"name": "v", "emptyDir": {}}], restartPolicy="Always"))
    await space.wait("a", lambda p: container(p)["restartCount"] == 1 and container(p)["ready"])
    assert await space.logs("a", previous="true") == "first\n"


async def test_following_ends_with_the_container(space: Space) -> None:
    await space.run(pod("a", "for i in 1 2 3; do echo $i; sleep 0.3; done"))
    await space.wait("a", lambda p: container(p)["state"].get("running"))
    async with asyncio.timeout(20):
        assert await space.logs("a", follow="true") == "1\n2\n3\n"


async def _exec(
    cluster: Cluster, space: Space, *argv: str, stdin: bytes | None = None
) -> tuple[bytes, bytes, dict[str, object]]:
    """stdout, stderr and final Status of a command, through the API server."""
    query = [("command", word) for word in argv] + [("stdout", "true"), ("stderr", "true"), ("container", "c")]
    if stdin is not None:
        query.append(("stdin", "true"))
    url = f"wss://127.0.0.1:{cluster.port}/api/v1/namespaces/{space.name}/pods/a/exec?{urlencode(query)}"
    channels = {1: b"", 2: b"", 3: b""}
    protocols = [websockets.Subprotocol("v5.channel.k8s.io")]
    async with (
        asyncio.timeout(20),
        websockets.connect(url, ssl=_tls(cluster, "admin"), subprotocols=protocols, proxy=None) as socket,
    ):
        if stdin is not None:
            await socket.send(b"\x00" + stdin)
            await socket.send(b"\xff\x00")
        async for message in socket:
            assert isinstance(message, bytes)
            channels[message[0]] += message[1:]
    return channels[1], channels[2], orjson.loads(channels[3])


async def test_exec(space: Space, cluster: Cluster) -> None:
    await space.run(pod("a", _LOOP))
    await space.ready("a")
    out, err, status = await _exec(cluster, space, "sh", "-c", "echo out; echo err >&2; exit 3")
    assert (out, err) == (b"out\n", b"err\n")
    assert status["reason"] == "NonZeroExitCode" and status["details"] == {
        "causes": [{"reason": "ExitCode", "message": "3"}]
    }
    out, _, status = await _exec(cluster, space, "cat", stdin=b"through")
    assert out == b"through" and status == {"metadata": {}, "status": "Success"}
    _, _, status = await _exec(cluster, space, "/nosuch")
    assert status["status"] == "Failure"


async def test_only_the_api_server_and_administrators_may_ask_the_node(kubelet: Kubelet, cluster: Cluster) -> None:
    base = f"https://127.0.0.1:{kubelet.port}"
    for name, code in (("", 401), ("kube-scheduler", 403), ("apiserver-kubelet-client", 200), ("admin", 200)):
        async with httpx.AsyncClient(verify=_tls(cluster, name), trust_env=False) as client:
            assert (await client.get(f"{base}/pods")).status_code == code
            assert (await client.get(f"{base}/healthz")).status_code == 200


async def test_stats(space: Space, kubelet: Kubelet, cluster: Cluster) -> None:
    await space.run(pod("a", _LOOP))
    await space.ready("a")
    async with httpx.AsyncClient(verify=_tls(cluster, "admin"), trust_env=False) as client:
        found = (await client.get(f"https://127.0.0.1:{kubelet.port}/stats/summary")).json()
        text = (await client.get(f"https://127.0.0.1:{kubelet.port}/metrics/resource")).text
    (mine,) = [p for p in found["pods"] if p["podRef"]["namespace"] == space.name]
    assert mine["containers"][0]["memory"]["workingSetBytes"] > 0
    assert f'container_memory_working_set_bytes{{container="c",namespace="{space.name}",pod="a"}}' in text


async def test_the_kubelet_stays_small(kubelet: Kubelet) -> None:
    assert kubelet.memory() < 80 << 20
