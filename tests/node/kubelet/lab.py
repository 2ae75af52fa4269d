"""A real API server and real kubelets on the machine's Docker, for the tests in this folder."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from api import resources
from api.errors import ApiError
from api.types import Object, Resource
from client.rest import ApiClient
from tests.api.cluster import ROOT, Cluster, free_port
from tests.api.pki import Authority
from tests.images import BUSYBOX

SECONDS = 30.0


@dataclass
class Kubelet:
    """One kubelet process."""

    cluster: Cluster
    node: str
    port: int = field(default_factory=free_port)
    docker: str = "/var/run/docker.sock"
    process: subprocess.Popen[bytes] | None = None

    @property
    def root(self) -> Path:
        return self.cluster.folder / self.node

    @property
    def manifests(self) -> Path:
        return self.cluster.folder / f"{self.node}-manifests"

    @property
    def log(self) -> Path:
        return self.cluster.folder / f"{self.node}.log"

    def start(self) -> None:
        pki = self.cluster.pki
        arguments = [
            sys.executable, "-m", "kubelet", "--kubeconfig", str(self.cluster.kubeconfig(self.node)),
            "--hostname-override", self.node, "--root-dir", str(self.root), "--pod-manifest-path", str(self.manifests),
            "--port", str(self.port), "--address", "127.0.0.1", "--node-ip", "127.0.0.1", "--cluster-dns", "10.96.0.10",
            "--tls-cert-file", str(pki / f"{self.node}-serving.crt"),
            "--tls-private-key-file", str(pki / f"{self.node}-serving.key"), "--client-ca-file", str(pki / "ca.crt"),
            "--log-level", "debug", "--container-runtime-endpoint", self.docker,
        ]  # fmt: skip
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(arguments, stdout=log, stderr=log, cwd=ROOT)

    def stop(self, number: int = signal.SIGTERM) -> None:
        if self.process is not None:
            self.process.send_signal(number)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(20)
                raise
            finally:
                self.process = None

    def memory(self) -> int:
        """Resident bytes."""
        assert self.process is not None
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) * 1024


def issue_node(cluster: Cluster, node: str) -> None:
    """Client and serving certificates of a node, signed by the cluster's CA."""
    authority = Authority.__new__(Authority)
    authority.folder = cluster.pki
    from_disk = x509.load_pem_x509_certificate((cluster.pki / "ca.crt").read_bytes())
    authority.certificate, authority.name = from_disk, from_disk.subject
    authority.key = _key(cluster.pki / "ca.key")
    authority.issue(node, f"system:node:{node}", "system:nodes")
    authority.issue(f"{node}-serving", f"system:node:{node}", "system:nodes", hosts=("127.0.0.1", node))


def _key(path: Path) -> Any:
    return serialization.load_pem_private_key(path.read_bytes(), None)


def pod(name: str, script: str = "sleep 1000", **spec: Any) -> Object:
    """A pod of one busybox container called `c` that runs a shell script; `spec` replaces fields of its spec."""
    container = {"name": "c", "image": BUSYBOX, "command": ["sh", "-c", script], **spec.pop("container", {})}
    base = {"restartPolicy": "Never", "terminationGracePeriodSeconds": 1, "containers": [container]}
    return {"metadata": {"name": name, **spec.pop("metadata", {})}, "spec": base | spec}


class Space:
    """One namespace of a test: creates objects in it and waits for what becomes of them."""

    def __init__(self, client: ApiClient, name: str, node: str) -> None:
        self.client, self.name, self.node = client, name, node

    async def create(self, resource: Resource, obj: Object) -> Object:
        return await self.client.create(resource, obj, self.name)

    async def run(self, wanted: Object) -> Object:
        """Create a pod bound to the node."""
        wanted["spec"].setdefault("nodeName", self.node)
        return await self.create(resources.PODS, wanted)

    async def get(self, name: str, resource: Resource = resources.PODS) -> Object:
        return await self.client.get(resource, name, self.name)

    async def wait(
        self, name: str, test: Callable[[Object], bool], seconds: float = SECONDS, resource: Resource = resources.PODS
    ) -> Object:
        """Watch an object until `test` holds; fails with its last state after `seconds`."""
        last: Object = {}
        try:
            async with asyncio.timeout(seconds), aclosing(self._follow(resource, name)) as objects:
                async for obj in objects:
                    last = obj
                    if test(obj):
                        return obj
        except TimeoutError:
            raise AssertionError(f"{name} did not get there:\n{json.dumps(last.get('status'), indent=1)}") from None
        raise AssertionError("the watch ended")

    async def _follow(self, resource: Resource, name: str) -> AsyncGenerator[Object, None]:
        selector = f"metadata.name={name}"
        listed = await self.client.list(resource, self.name, field_selector=selector)
        for item in listed["items"]:
            yield item
        version = listed["metadata"]["resourceVersion"]
        async with self._watch(resource, version, selector) as events:
            async for event in events:
                if event["type"] in ("ADDED", "MODIFIED"):
                    yield event["object"]
                elif event["type"] == "DELETED":
                    yield {**event["object"], "deleted": True}

    @contextlib.asynccontextmanager
    async def _watch(
        self, resource: Resource, version: str, selector: str = ""
    ) -> AsyncIterator[AsyncIterator[Object]]:
        """A watch that is ended when its reader has seen enough."""
        events = self.client.watch(
            resource, self.name, resource_version=version, field_selector=selector, timeout_seconds=120
        )
        try:
            yield events
        finally:
            if isinstance(events, AsyncGenerator):
                await events.aclose()

    async def ready(self, name: str, seconds: float = SECONDS) -> Object:
        return await self.wait(name, lambda p: condition(p, "Ready") == "True", seconds)

    async def ended(self, name: str, seconds: float = SECONDS) -> Object:
        return await self.wait(name, lambda p: phase(p) in ("Succeeded", "Failed"), seconds)

    async def output(self, wanted: Object, seconds: float = SECONDS) -> str:
        """Run a pod to its successful end and return what it wrote."""
        name = wanted["metadata"]["name"]
        await self.run(wanted)
        done = await self.ended(name, seconds)
        text = await self.logs(name)
        assert phase(done) == "Succeeded", f"{done['status']}\n{text}"
        return text

    async def logs(self, name: str, **params: str) -> str:
        path = resources.PODS.path(self.name, name, "log")
        return (await self.client.raw("GET", path, params=params)).text

    async def delete(self, name: str, grace: int | None = None) -> None:
        await self.client.delete(resources.PODS, name, self.name, grace_period_seconds=grace)

    async def gone(self, name: str, seconds: float = SECONDS) -> None:
        await self.wait_gone(name, seconds)

    async def wait_gone(self, name: str, seconds: float) -> None:
        """Until the object is not there any more."""
        selector = f"metadata.name={name}"
        listed = await self.client.list(resources.PODS, self.name, field_selector=selector)
        if not listed["items"]:
            return
        version = listed["metadata"]["resourceVersion"]
        async with asyncio.timeout(seconds), self._watch(resources.PODS, version, selector) as events:
            async for event in events:
                if event["type"] == "DELETED":
                    return

    async def events(self, name: str) -> list[Object]:
        listed = await self.client.list(resources.EVENTS, self.name, field_selector=f"involvedObject.name={name}")
        return list(listed["items"])

    async def event(self, name: str, reason: str, text: str = "", seconds: float = SECONDS) -> Object:
        """Wait for an event about an object whose message has `text` in it."""

        def fits(found: Object) -> bool:
            return found["involvedObject"]["name"] == name and found["reason"] == reason and text in found["message"]

        async with asyncio.timeout(seconds):
            listed = await self.client.list(resources.EVENTS, self.name)
            for item in listed["items"]:
                if fits(item):
                    return dict(item)
            version = listed["metadata"]["resourceVersion"]
            async with self._watch(resources.EVENTS, version) as events:
                async for event in events:
                    if event["type"] != "BOOKMARK" and fits(event["object"]):
                        return dict(event["object"])
        raise AssertionError("the watch ended")

    async def clean(self) -> None:
        """Delete all pods at once and wait until they are gone."""
        for item in (await self.client.list(resources.PODS, self.name))["items"]:
            with contextlib.suppress(ApiError):
                await self.delete(item["metadata"]["name"], grace=0 if not item["spec"].get("nodeName") else 1)
        for item in (await self.client.list(resources.PODS, self.name))["items"]:
            await self.wait_gone(item["metadata"]["name"], SECONDS)


def phase(found: Object) -> str:
    return str((found.get("status") or {}).get("phase", ""))


def condition(found: Object, kind: str) -> str:
    for entry in (found.get("status") or {}).get("conditions") or ():
        if entry["type"] == kind:
            return str(entry["status"])
    return ""


def container(found: Object, name: str = "c", group: str = "containerStatuses") -> Object:
    """The status of a container; an empty one before there is any."""
    for entry in (found.get("status") or {}).get(group) or ():
        if entry["name"] == name:
            return dict(entry)
    return {"state": {}, "lastState": {}, "restartCount": 0, "ready": False}


def terminated(found: Object, name: str = "c", group: str = "containerStatuses") -> Object:
    return dict(container(found, name, group)["state"].get("terminated") or {})


def is_root() -> bool:
    return os.geteuid() == 0
