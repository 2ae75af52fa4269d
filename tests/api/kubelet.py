"""A kubelet for tests: logs, exec and port-forward over TLS, in a thread; it takes the API server's client certificate only."""

import asyncio
import ssl
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from apiserver.tls import WebSocketProtocol
from tests.api.cluster import HOST, free_port

EXEC_PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")
FORWARD_PROTOCOLS = ("SPDY/3.1+portforward.k8s.io", "v4.channel.k8s.io")


class Kubelet:
    """What the fake has been asked, and how it answers."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.closed = threading.Event()
        """Set when a follower of a log has left."""
        self.port = free_port()
        self.app = Starlette(
            routes=[
                Route("/containerLogs/{namespace}/{pod}/{container}", self.logs),
                Route("/healthz", self.healthz),
                WebSocketRoute("/exec/{namespace}/{pod}/{container}", self.exec),
                WebSocketRoute("/attach/{namespace}/{pod}/{container}", self.exec),
                WebSocketRoute("/portForward/{namespace}/{pod}", self.forward),
            ]
        )

    async def healthz(self, request: Request) -> Response:
        return PlainTextResponse("ok")

    async def logs(self, request: Request) -> Response:
        self.asked.append(str(request.url.path) + "?" + request.url.query)
        if request.path_params["container"] == "waiting":
            text = 'container "waiting" in pod "p" is waiting to start: ContainerCreating'
            return PlainTextResponse(text, 400)
        return StreamingResponse(self._lines("follow" in request.query_params), media_type="text/plain")

    async def _lines(self, follow: bool) -> AsyncIterator[bytes]:
        yield b"one\n"
        yield b"two\n"
        try:
            while follow:
                await asyncio.sleep(0.01)
                yield b"more\n"
        finally:
            self.closed.set()

    async def exec(self, socket: WebSocket) -> None:
        """Echo what arrives on channel 0 to channel 1; end with a status on channel 3 when stdin is closed or says bye."""
        self.asked.append(f"{socket.url.path}?{socket.url.query}")
        offered = socket.scope["subprotocols"]
        chosen = next((name for name in EXEC_PROTOCOLS if name in offered), None)
        if chosen is None:
            await socket.send_denial_response(PlainTextResponse("no subprotocol of ours", 403))
            return
        await socket.accept(chosen)
        while True:
            data = await socket.receive_bytes()
            if data in (b"\x00bye", b"\xff\x00"):
                await socket.send_bytes(b'\x03{"status":"Success"}')
                await socket.close(1000)
                return
            await socket.send_bytes(b"\x01" + data[1:])

    async def forward(self, socket: WebSocket) -> None:
        """Send every message back, byte for byte."""
        offered = socket.scope["subprotocols"]
        await socket.accept(next((name for name in FORWARD_PROTOCOLS if name in offered), None))
        async for data in socket.iter_bytes():
            await socket.send_bytes(data)


@contextmanager
def serve(app: object, port: int, pki: Path | None = None, host: str = HOST) -> Iterator[None]:
    """Run an ASGI application in a thread; with `pki` over TLS that demands a client certificate."""
    tls = (
        {
            "ssl_certfile": str(pki / "apiserver.crt"),
            "ssl_keyfile": str(pki / "apiserver.key"),
            "ssl_ca_certs": str(pki / "ca.crt"),
            "ssl_cert_reqs": ssl.CERT_REQUIRED,
        }
        if pki
        else {}
    )
    config = uvicorn.Config(
        app,  # type: ignore[arg-type]
        host=host,
        port=port,
        log_config=None,
        lifespan="off",
        ws=WebSocketProtocol,
        timeout_graceful_shutdown=1,
        loop="asyncio",
        headers=[("connection", "close")],
        **tls,  # type: ignore[arg-type]
    )
    started = threading.Event()

    class Signalling(uvicorn.Server):
        async def startup(self, sockets: list[object] | None = None) -> None:  # type: ignore[override]
            await super().startup(sockets)  # type: ignore[arg-type]
            started.set()

    server = Signalling(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        assert started.wait(10), "the fake did not start"
        yield
    finally:
        server.should_exit = True
        thread.join(10)


def node(name: str, port: int) -> dict[str, object]:
    """A Ready node whose kubelet is on this machine."""
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {"topology.kubernetes.io/zone": "z1"}},
        "status": {
            "addresses": [{"type": "InternalIP", "address": HOST}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
        },
    }
