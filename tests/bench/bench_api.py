"""What one API worker does per second over TLS, and what ten thousand pods cost it.

    .venv/bin/python -m tests.bench.bench_api [--seconds 5] [--connections 64]

Starts its own etcd and API server on loopback in a temporary folder and sends load there only. The client is raw asyncio on
uvloop with keep-alive connections in this process, so that it is not the bottleneck; it still shares the machine's cores
with the server and etcd, so the figures are a floor.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import ssl
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import orjson
import uvloop

from tests.api.cluster import HOST, Cluster

NAMESPACE = "bench"


@dataclass(frozen=True)
class Figure:
    """One measured figure beside its target; `most` tells whether the target is an upper bound."""

    name: str
    value: float
    target: float
    unit: str
    most: bool = False
    busy: float = 0.0

    @property
    def good(self) -> bool:
        return self.value <= self.target if self.most else self.value >= self.target

    def __str__(self) -> str:
        sign = "<=" if self.most else ">="
        core = f"   (worker had {self.busy:.0%} of a core)" if self.busy else ""
        verdict = "ok" if self.good else "MISSED"
        return f"{self.name:<34} {self.value:>10.0f} {self.unit:<9} target {sign} {self.target:.0f}   {verdict}{core}"


class Connection(asyncio.Protocol):
    """A keep-alive HTTP/1.1 connection that understands answers with a Content-Length."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport
        self.buffer = bytearray()
        self.need = -1
        self.answered: asyncio.Future[tuple[int, bytes]] | None = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        if self.need < 0:
            end = self.buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            head = bytes(self.buffer[:end]).lower()
            at = head.index(b"content-length: ") + 16
            stop = head.find(b"\r\n", at)
            self.need = end + 4 + int(head[at : stop if stop > 0 else None])
        if len(self.buffer) >= self.need and self.answered:
            answer = bytes(self.buffer[: self.need])
            del self.buffer[: self.need]
            self.need = -1
            self.answered.set_result((int(answer[9:12]), answer))

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        self.answered = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return await self.answered

    def connection_lost(self, exc: Exception | None) -> None:
        if self.answered and not self.answered.done():
            self.answered.set_exception(exc or ConnectionError("the server closed the connection"))


def request(method: str, path: str, body: bytes = b"") -> bytes:
    head = f"{method} {path} HTTP/1.1\r\nHost: {HOST}\r\nUser-Agent: bench\r\nAccept: application/json\r\n"
    if body:
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body


def pod(name: str, size: int = 3000) -> bytes:
    """A pod of about `size` bytes once stored."""
    obj = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": "bench"}, "annotations": {"pad": "x" * (size - 1100)}},
        "spec": {
            "containers": [
                {"name": "c", "image": "busybox", "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}}}
            ]
        },
    }
    return orjson.dumps(obj)


def configmap(name: str, size: int = 3000) -> bytes:
    obj = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"pad": "x" * (size - 250)}}
    return orjson.dumps(obj)


class Load:
    """A bounded load on one server."""

    def __init__(self, cluster: Cluster, connections: int) -> None:
        self.cluster = cluster
        self.size = connections
        self.connections: list[Connection] = []
        self.busy = 0.0
        """Share of one core that the worker got during the last measurement: well below 1, something else was the limit."""

    async def open(self) -> None:
        context = ssl.create_default_context(cafile=str(self.cluster.pki / "ca.crt"))
        context.load_cert_chain(self.cluster.pki / "admin.crt", self.cluster.pki / "admin.key")
        loop = asyncio.get_running_loop()
        for _ in range(self.size):
            _, protocol = await loop.create_connection(Connection, HOST, self.cluster.port, ssl=context)
            self.connections.append(protocol)

    async def rate(self, requests: Callable[[], Iterator[bytes]], seconds: float, good: int, workers: int = 0) -> float:
        """Requests a second over all connections; every answer must have the status `good`."""
        source, done = requests(), 0
        until = time.perf_counter() + seconds

        async def worker(connection: Connection) -> None:
            nonlocal done
            while time.perf_counter() < until:
                try:
                    message = next(source)
                except StopIteration:
                    return
                status, answer = await connection.ask(message)
                if status != good:
                    raise AssertionError(f"status {status}: {answer[-500:]!r}")
                done += 1

        start, used = time.perf_counter(), cpu(self.cluster.processes["apiserver"].pid)
        await asyncio.gather(*(worker(c) for c in self.connections[: workers or self.size]))
        took = time.perf_counter() - start
        self.busy = (cpu(self.cluster.processes["apiserver"].pid) - used) / took
        return done / took


def cpu(pid: int) -> float:
    """CPU seconds a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rss(pid: int) -> float:
    """Resident MiB of a process."""
    text = Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in text.splitlines() if line.startswith("VmRSS")).split()[1]) / 1024


async def measure(cluster: Cluster, seconds: float, connections: int) -> list[Figure]:
    load = Load(cluster, connections)
    await load.open()
    server = cluster.processes["apiserver"].pid
    figures = [Figure("idle worker, resident", rss(server), 150, "MiB", most=True)]
    first = load.connections[0]
    await first.ask(request("POST", "/api/v1/namespaces", b'{"metadata":{"name":"%b"}}' % NAMESPACE.encode()))
    base = f"/api/v1/namespaces/{NAMESPACE}"
    account = await first.ask(request("POST", f"{base}/serviceaccounts", b'{"metadata":{"name":"default"}}'))
    assert account[0] in (201, 409), account

    await first.ask(request("POST", f"{base}/configmaps", configmap("one")))
    get = request("GET", f"{base}/configmaps/one")

    def gets() -> Iterator[bytes]:
        while True:
            yield get

    figures.append(Figure("GET, 3 KB", await load.rate(gets, seconds, 200), 2500, "per s", busy=load.busy))

    def creates(kind: str, make: Callable[[str], bytes], limit: int) -> Callable[[], Iterator[bytes]]:
        return lambda: (request("POST", f"{base}/{kind}", make(f"{kind}-{i}")) for i in range(limit))

    rate = await load.rate(creates("configmaps", configmap, 100_000), seconds, 201)
    figures.append(Figure("create ConfigMap, 3 KB", rate, 500, "per s", busy=load.busy))
    rate = await load.rate(creates("pods", pod, 5000), 120, 201)
    figures.append(Figure("create Pod, 3 KB", rate, 500, "per s", busy=load.busy))
    listing = request("GET", f"{base}/pods")

    def lists() -> Iterator[bytes]:
        while True:
            yield listing

    figures.append(Figure("LIST of 5,000 pods", await load.rate(lists, seconds, 200, 4), 10, "per s", busy=load.busy))
    numbers = count()
    patches: Callable[[], Iterator[bytes]] = lambda: (_patch(f"{base}/pods/pods-{i % 5000}", i) for i in numbers)  # noqa: E731
    figures.append(Figure("merge patch of a Pod", await load.rate(patches, seconds, 200), 300, "per s", busy=load.busy))
    more: Callable[[], Iterator[bytes]] = lambda: (  # noqa: E731
        request("POST", f"{base}/pods", pod(f"pods-{i}")) for i in range(5000, 10_000)
    )
    await load.rate(more, 120, 201)
    figures.append(Figure("10,000 pods stored, resident", rss(server), 400, "MiB", most=True))
    return figures


def _patch(path: str, number: int) -> bytes:
    message = request("PATCH", path, b'{"metadata":{"labels":{"n":"%d"}}}' % number)
    return message.replace(b"Type: application/json", b"Type: application/merge-patch+json")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--connections", type=int, default=64)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cloudlet-bench-") as folder:
        cluster = Cluster(Path(folder))
        try:
            cluster.start()
            figures = uvloop.run(measure(cluster, options.seconds, options.connections))
        finally:
            cluster.close()
    for figure in figures:
        print(figure)
    return 0 if all(figure.good for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
