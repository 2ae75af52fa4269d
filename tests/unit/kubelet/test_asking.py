"""HTTP and gRPC probes against small servers in the same process."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

import grpc
import pytest

from kubelet import grpc_probe, handlers, http_probe
from kubelet.fake_runtime import FakeRuntime
from kubelet.handlers import Target
from kubelet.http_probe import ProbeError
from tests.unit.kubelet.build import container

_ANSWERS = {
    "/ok": "200 OK\r\n\r\nfine",
    "/sick": "503 Busy\r\n\r\nno",
    "/here": "302 Found\r\nLocation: /ok\r\n\r\n",
    "/there": "302 Found\r\nLocation: http://elsewhere.invalid/\r\n\r\n",
    "/round": "302 Found\r\nLocation: /round\r\n\r\n",
}


@contextlib.asynccontextmanager
async def _web() -> AsyncIterator[tuple[int, list[str]]]:
    """A web server; its port and what it was asked."""
    asked: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await answer(reader, writer)
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
        except asyncio.IncompleteReadError:
            return
        asked.append(head)
        path = head.split(" ")[1]
        writer.write(f"HTTP/1.1 {_ANSWERS[path]}".encode() if path in _ANSWERS else b"nonsense\r\n\r\n")
        await writer.drain()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1], asked


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize(
    ("path", "ok"), [("/ok", True), ("ok", True), ("/sick", False), ("/here", True), ("/there", True)]
)
async def test_http(path: str, ok: bool) -> None:
    async with _web() as (port, asked):
        action = {"httpGet": {"path": path, "port": "web", "httpHeaders": [{"name": "X-A", "value": "b"}]}}
        target = Target("id", container(ports=[{"name": "web", "containerPort": port}]), "127.0.0.1")
        outcome = await handlers.run(FakeRuntime(), action, target, 5)
        assert outcome.ok is ok and (ok or outcome.message == "HTTP probe failed with statuscode: 503")
        assert f"Host: 127.0.0.1:{port}\r\n" in asked[0] and "X-A: b\r\n" in asked[0] and "kube-probe/" in asked[0]


@pytest.mark.parametrize("path", ["/round", "/nonsense"])
async def test_http_that_goes_nowhere(path: str) -> None:
    async with _web() as (port, _):
        with pytest.raises(ProbeError):
            await http_probe.get(f"http://127.0.0.1:{port}{path}", [], 5)


async def test_a_port_nobody_listens_on() -> None:
    target = Target("id", container(), "127.0.0.1")
    port = _free_port()
    for action in ({"httpGet": {"port": port}}, {"tcpSocket": {"port": port}}, {"grpc": {"port": port}}):
        outcome = await handlers.run(FakeRuntime(), action, target, 5)
        assert not outcome.ok and outcome.message
    assert not (await handlers.run(FakeRuntime(), {"tcpSocket": {"port": "none"}}, target, 5)).ok


async def test_tcp() -> None:
    async with _web() as (port, _):
        outcome = await handlers.run(
            FakeRuntime(), {"tcpSocket": {"port": port}}, Target("id", container(), "127.0.0.1"), 5
        )
        assert outcome.ok


class _Health(grpc.GenericRpcHandler):  # type: ignore[misc]
    """grpc.health.v1.Health/Check: `good` serves, `bad` does not, others are unknown."""

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        if details.method != "/grpc.health.v1.Health/Check":
            return None

        async def check(request: bytes, context: grpc.aio.ServicerContext) -> bytes:
            name = request[2:].decode()
            if name not in ("good", "bad"):
                await context.abort(grpc.StatusCode.NOT_FOUND, "unknown service")
            return b"\x08\x01" if name == "good" else b"\x08\x02"

        return grpc.unary_unary_rpc_method_handler(check)


async def test_grpc() -> None:
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((_Health(),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        assert await grpc_probe.check("127.0.0.1", port, "good", 5) == (
            True,
            "service healthy (responded with 'SERVING')",
        )
        assert not (await grpc_probe.check("127.0.0.1", port, "bad", 5))[0]
        assert not (await grpc_probe.check("127.0.0.1", port, "", 5))[0]
    finally:
        await server.stop(None)
