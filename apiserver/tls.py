"""The server's TLS settings, and uvicorn's protocols, taught to hand the client's certificate to the application.

`scope["state"][CLIENT_CERTIFICATE]` is the certificate as DER, already verified against the client CA during the handshake,
or None when the client showed none. uvicorn copies a connection's state into the scope of each request.

A server that stops says `Connection: close` with every answer, and closes the connections that are idle then only after some time
(`apiserver.server`). A request that comes while an idle one is being closed finds an answer there: 503, not carried out.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

import orjson
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState

from api import errors
from apiserver.options import Options
from apiserver.request import CLIENT_CERTIFICATE, TRANSPORT

_STATUS = orjson.dumps(errors.ServiceUnavailable("the API server is stopping", {"retryAfterSeconds": 1}).status())
_LAST_WORDS = (
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nconnection: close\r\nretry-after: 1\r\n"
    b"content-length: %d\r\n\r\n%b" % (len(_STATUS), _STATUS)
)


class State(ServerState):
    """What all connections of the server share."""

    def __init__(self) -> None:
        super().__init__()
        self.stopping = False
        """Whether answers end their connections."""
        self.left = asyncio.Event()
        """Set when the last connection has ended."""


def context(options: Options) -> ssl.SSLContext | None:
    """The TLS settings as the files are now; client certificates are optional. None without a certificate of our own.

    Raises OSError (ssl.SSLError is one) when a file cannot be read, is no PEM, or certificate and key do not belong together.
    """
    if options.tls_cert_file is None:
        return None
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(options.tls_cert_file, options.tls_private_key_file)
    if options.client_ca_file:
        made.load_verify_locations(options.client_ca_file)
        made.verify_mode = ssl.CERT_OPTIONAL
    return made


def _certificate(transport: Any) -> bytes | None:
    tls = transport.get_extra_info("ssl_object")
    found: bytes | None = tls.getpeercert(binary_form=True) if tls else None
    return found


class HttpProtocol(HttpToolsProtocol):
    """HTTP/1.1 with the client's certificate in the scope's state, and an orderly end."""

    server_state: State

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.app_state = {**self.app_state, CLIENT_CERTIFICATE: _certificate(transport), TRANSPORT: transport}

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if not self.connections:
            self.server_state.left.set()

    @property
    def idle(self) -> bool:
        """Whether no request is being answered."""
        return self.cycle is None or self.cycle.response_complete

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        if self.server_state.stopping:
            self.finish()

    def finish(self) -> None:
        """Let the answer that is under way be the last one, unless it has begun: then its client does not expect an end."""
        if not self.idle and not self.cycle.response_started:
            self.cycle.keep_alive = False

    def shutdown(self) -> None:
        """Close the connection if it is idle, else after the answer that is under way."""
        if self.idle and not self.transport.is_closing():
            self.transport.write(_LAST_WORDS)
        super().shutdown()


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
