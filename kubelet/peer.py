"""Who is calling: the client's certificate, which uvicorn does not hand to the application, put into the ASGI scope."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

PEER = "cloudlet.peer"
_API_SERVER = "kube-apiserver-kubelet-client"
_ADMINISTRATORS = "system:masters"


class _WithPeer:
    """The application, for one connection: adds its peer certificate to each scope."""

    def __init__(self, app: Any, peer: dict[str, Any]) -> None:
        self._app, self._peer = app, peer

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        scope[PEER] = self._peer
        await self._app(scope, receive, send)


def _peer(transport: asyncio.BaseTransport) -> dict[str, Any]:
    found: ssl.SSLObject | None = transport.get_extra_info("ssl_object")
    certificate = found.getpeercert() if found else None
    return dict(certificate or {})


class _KnowsPeer(asyncio.Protocol):
    """Goes before a protocol of uvicorn's, and wraps its application once the connection stands."""

    app: Any

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.app = _WithPeer(self.app, _peer(transport))


class HttpProtocol(_KnowsPeer, HttpToolsProtocol):
    """HTTP with the peer's certificate in the scope."""


class WebSocketProtocol(_KnowsPeer, WebSocketsSansIOProtocol):
    """WebSocket with the peer's certificate in the scope."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # "SPDY/3.1+portforward.k8s.io" is no token by RFC 6455: the library would refuse it, but the application decides.
        setattr(self.conn, "process_subprotocol", lambda headers: None)  # noqa: B010


def names(certificate: dict[str, Any]) -> tuple[str, set[str]]:
    """Common name and organisations of a certificate as `ssl` decodes it."""
    common, organisations = "", set()
    for part in certificate.get("subject") or ():
        for key, value in part:
            if key == "commonName":
                common = value
            elif key == "organizationName":
                organisations.add(value)
    return common, organisations


def is_allowed(certificate: dict[str, Any]) -> bool:
    """Whether a verified certificate is the API server's or an administrator's."""
    common, organisations = names(certificate)
    return common == _API_SERVER or _ADMINISTRATORS in organisations
