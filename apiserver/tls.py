"""uvicorn's protocols, taught to hand the client's certificate to the application.

`scope["client_certificate"]` is the certificate as DER, already verified against the client CA during the handshake; it is
missing when the client showed none.
"""

from __future__ import annotations

from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol


def _certificate(transport: Any) -> bytes | None:
    tls = transport.get_extra_info("ssl_object")
    found: bytes | None = tls.getpeercert(binary_form=True) if tls else None
    return found


class HttpProtocol(HttpToolsProtocol):
    """HTTP/1.1 with the client's certificate in the scope."""

    client_certificate: bytes | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.client_certificate = _certificate(transport)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if self.client_certificate is not None:
            self.scope["client_certificate"] = self.client_certificate  # type: ignore[typeddict-unknown-key]


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """WebSocket with the client's certificate in the scope."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        certificate = _certificate(transport)
        if certificate is not None:
            # uvicorn copies app_state into every scope; the chain reads the scope alone.
            self.app_state = dict(self.app_state) | {"client_certificate": certificate}
