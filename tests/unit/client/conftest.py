"""An API client whose server is a function of the test, and a clock that stands still."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest

from client.clock import FakeClock
from client.kubeconfig import Kubeconfig
from client.rest import ApiClient

Serve = Callable[[httpx.Request], httpx.Response]


class FakeServer:
    """Answers requests by the function `serve`; remembers what was asked."""

    def __init__(self) -> None:
        self.requests: list[httpx.Request] = []
        self.serve: Serve = lambda request: httpx.Response(404, json={})

    def client(self, *servers: str) -> ApiClient:
        """A client of these servers (one by default), all answered by this object."""
        client = ApiClient(Kubeconfig(servers=list(servers) or ["https://one:6443"], insecure=True))
        client._endpoints.roster.use(client.config.servers[0])
        client._http = httpx.AsyncClient(transport=httpx.MockTransport(self._handle))
        return client

    def _handle(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return self.serve(request)


@pytest.fixture
def server() -> FakeServer:
    return FakeServer()


@pytest.fixture
async def api(server: FakeServer) -> AsyncIterator[ApiClient]:
    async with server.client() as client:
        yield client


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def pod(name: str, version: int = 1, uid: str = "", **labels: str) -> dict[str, Any]:
    meta = {"name": name, "namespace": "ns", "uid": uid or f"uid-{name}", "resourceVersion": str(version)}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta | {"labels": labels}}
