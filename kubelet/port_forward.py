"""The server's endpoint for port-forward: connections of a client become connections to a pod's own loopback."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from starlette.responses import PlainTextResponse
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket

from api.errors import ApiError, BadRequest
from api.types import Object
from kubelet import netns
from kubelet.forward_channels import ChannelSession
from kubelet.forward_spdy import SpdySession
from kubelet.forwarding import is_port
from kubelet.store import ContainerStore

SPDY, CHANNELS = "SPDY/3.1+portforward.k8s.io", "v4.channel.k8s.io"
_MOST_PORTS = 64


class Target(Protocol):
    """The pod that is meant: a `PodWorker`."""

    pod: Object
    uid: str


def _ports(words: Sequence[str]) -> list[int]:
    """The ports of the query, each of which may be a list. Raises BadRequest."""
    found = [port.strip() for word in words for port in word.split(",")]
    if not found:
        raise BadRequest('query parameter "port" is required')
    if len(found) > _MOST_PORTS or not all(is_port(port) for port in found):
        raise BadRequest(f'query parameter "port" names up to {_MOST_PORTS} ports: {",".join(found)[:100]}')
    return [int(port) for port in found]


def routes(find: Callable[[dict[str, Any]], Target], store: ContainerStore) -> list[WebSocketRoute]:
    """The server's endpoint. `find` gives the pod of a path's parameters or raises NotFound."""

    async def endpoint(client: WebSocket) -> None:
        offered = client.scope.get("subprotocols") or ()
        ports: list[int] = []
        try:
            target = find(client.path_params)
            protocol = next((name for name in (SPDY, CHANNELS) if name in offered), None)
            if protocol is None:
                raise BadRequest(f"none of the offered subprotocols is one of {SPDY}, {CHANNELS}")
            if protocol == CHANNELS:
                ports = _ports(client.query_params.getlist("port"))
        except ApiError as error:
            await client.send_denial_response(PlainTextResponse(error.message, error.code))
            return

        async def dial(port: int) -> socket.socket:
            # Asked for each connection: the sandbox may be another one by now.
            for state in store.pod(target.uid):
                if state.is_sandbox and state.phase == "running" and state.pid:
                    return await netns.connect(state.pid, port)
            raise OSError("the pod does not run")

        await client.accept(subprotocol=protocol)
        name = f"{target.pod['metadata']['name']}, uid {target.uid}"
        session = ChannelSession(client, dial, name, ports) if ports else SpdySession(client, dial, name)
        await session.run()

    paths = ("/portForward/{namespace}/{pod}", "/portForward/{namespace}/{pod}/{uid}")
    return [WebSocketRoute(path, endpoint) for path in paths]
