"""uvicorn's protocols, taught to hand the client's certificate to the application.

`scope["state"][CLIENT_CERTIFICATE]` is the certificate as DER, already verified against the client CA during the handshake,
or None when the client showed none. uvicorn copies a connection's state into the scope of each request.
"""

from __future__ import annotations

from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from apiserver.request import CLIENT_CERTIFICATE, TRANSPORT


def _certificate(transport: Any) -> bytes | None:
    tls = transport.get_extra_info("ssl_object")
    found: bytes | None = tls.getpeercert(binary_form=True) if tls else None
    return found


class HttpProtocol(HttpToolsProtocol):
    """HTTP/1.1 with the client's certificate in the scope's state."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.app_state = {**self.app_state, CLIENT_CERTIFICATE: _certificate(transport), TRANSPORT: transport}


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """WebSocket with the client's certificate in the scope's state."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # kubectl's port-forward offers "SPDY/3.1+portforward.k8s.io": no token by RFC 6455, so the library would refuse
        # the handshake while parsing what the application alone decides.
        setattr(self.conn, "process_subprotocol", lambda headers: None)  # noqa: B010

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.app_state = {**self.app_state, CLIENT_CERTIFICATE: _certificate(transport)}
