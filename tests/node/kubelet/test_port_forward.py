"""port-forward through the API server: the real kubectl over SPDY, cloudctl over channels."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import time
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from tests.api.cluster import HOST, ROOT, Cluster, select_wait
from tests.node.kubelet.lab import Kubelet, Space, pod

KUBECTL = Path(sys.executable).parent / "kubectl"
CLOUDCTL = Path(sys.executable).parent / "cloudctl"
_SECONDS = 30.0
_WEB = "mkdir /www; echo hello > /www/index.html; dd if=/dev/urandom of=/www/big bs=1M count=8 2>/dev/null; "
_SERVE = "httpd -f -p 127.0.0.1:8080 -h /www"
_TURN = "nc -ll -p 9000 -e sh -c 'cat; echo end'"
"""Answers after the client has ended its side: with everything it sent."""
SCRIPT = f"{_WEB}{_TURN} & {_SERVE}"


class Forward:
    """One port-forward process and what it has printed."""

    def __init__(self, process: Process) -> None:
        self.process, self.port, self.lines = process, 0, [""]

    async def line(self, text: str) -> str:
        """Read on to a line that holds `text`."""
        assert self.process.stdout is not None
        async with asyncio.timeout(_SECONDS):
            while found := (await self.process.stdout.readline()).decode():
                self.lines.append(found)
                if text in found:
                    return found
        raise AssertionError(f"ended without {text!r}: {self.lines}")


@asynccontextmanager
async def forward(*argv: object, cluster: Cluster, space: Space, ports: str) -> AsyncIterator[Forward]:
    """A running port-forward to pod `a`; its output goes on to be read by the test."""
    environment = {**os.environ, "KUBECONFIG": str(cluster.kubeconfig())}
    words = [*map(str, argv), "-n", space.name, "port-forward", *(["pod/a"] if argv[0] == KUBECTL else ["a"]), ports]
    process = await asyncio.create_subprocess_exec(*words, stdout=PIPE, stderr=STDOUT, cwd=ROOT, env=environment)
    made = Forward(process)
    try:
        made.port = int((await made.line(f"Forwarding from {HOST}:")).split(f"{HOST}:")[1].split()[0])
        yield made
    finally:
        if process.returncode is None:
            process.terminate()
        async with asyncio.timeout(_SECONDS):
            await process.communicate()


async def exchange(port: int, data: bytes, *, end: bool = True) -> bytes:
    """Send everything, end that side, read everything."""
    async with asyncio.timeout(_SECONDS):
        reader, writer = await asyncio.open_connection(HOST, port)
        sending = asyncio.create_task(_send(writer, data, end))
        answer = await reader.read()
        await sending
        writer.close()
        await writer.wait_closed()
    return answer


async def _send(writer: asyncio.StreamWriter, data: bytes, end: bool) -> None:
    writer.write(data)
    await writer.drain()
    if end:
        writer.write_eof()


@pytest.fixture
async def web(space: Space) -> Space:
    """A namespace with a pod that serves on its loopback only."""
    probe = {"readinessProbe": {"exec": {"command": ["wget", "-qO-", "http://127.0.0.1:8080/"]}, "periodSeconds": 1}}
    await space.run(pod("a", SCRIPT, container=probe))
    await space.ready("a")
    return space


@pytest.mark.parametrize("program", [KUBECTL, CLOUDCTL], ids=["kubectl", "cloudctl"])
async def test_http(web: Space, cluster: Cluster, program: Path) -> None:
    async with (
        forward(program, cluster=cluster, space=web, ports=":8080") as found,
        httpx.AsyncClient(base_url=f"http://{HOST}:{found.port}", trust_env=False, timeout=_SECONDS) as browser,
    ):
        assert (await browser.get("/")).text == "hello\n"
        assert len((await browser.get("/big")).content) == 8 << 20
        answers = await asyncio.gather(*(browser.get("/", headers={"Connection": "close"}) for _ in range(20)))
        assert [answer.text for answer in answers] == ["hello\n"] * 20


async def test_kubectl_ends_one_side_and_reads_on(web: Space, cluster: Cluster) -> None:
    async with forward(KUBECTL, cluster=cluster, space=web, ports=":9000") as found:
        data = os.urandom(3 << 20)
        assert await exchange(found.port, data) == data + b"end\n"
        assert await exchange(found.port, b"again\n") == b"again\nend\n"


@pytest.mark.parametrize("program", [KUBECTL, CLOUDCTL], ids=["kubectl", "cloudctl"])
async def test_nobody_listens(web: Space, cluster: Cluster, program: Path) -> None:
    async with forward(program, cluster=cluster, space=web, ports=":81") as found:
        assert await exchange(found.port, b"", end=False) == b""
        text = await found.line("error forwarding port 81")
        assert "to pod a, uid " in text and "127.0.0.1: connection refused" in text


async def test_the_node_lets_no_connection_lie_about(web: Space, cluster: Cluster, kubelet: Kubelet) -> None:
    assert kubelet.process is not None
    handles = Path(f"/proc/{kubelet.process.pid}/fd")

    def sockets() -> int:
        found = 0
        for each in handles.iterdir():
            with contextlib.suppress(FileNotFoundError):
                found += str(each.readlink()).startswith("socket:")
        return found

    before = sockets()
    async with forward(KUBECTL, cluster=cluster, space=web, ports=":9000") as found:
        writers = [(await asyncio.open_connection(HOST, found.port))[1] for _ in range(5)]
        for _ in writers:
            await found.line("Handling connection")
        assert await exchange(found.port, b"x") == b"xend\n"
    for writer in writers:
        writer.close()
    deadline = time.monotonic() + _SECONDS
    while sockets() > before and time.monotonic() < deadline:
        select_wait(kubelet.process, 0.1)
    assert sockets() <= before
