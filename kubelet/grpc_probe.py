"""The gRPC health check, `grpc.health.v1.Health/Check`, spoken directly in HTTP/2.

One unary call needs a preface, two frames out and a few in; the gRPC library would take 12 MiB of every kubelet for it. Only
the response message is read: SERVING or not; error trailers mean "not". Sources: RFC 9113, the gRPC health checking protocol.
"""

from __future__ import annotations

import asyncio

from kubelet.http_probe import ProbeError

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RST, _SETTINGS, _PING, _GOAWAY = 0, 1, 3, 4, 6, 7
_END_STREAM, _END_HEADERS, _ACK = 0x1, 0x4, 0x1
_SERVING = 1
_STATUS = {0: "UNKNOWN", 1: "SERVING", 2: "NOT_SERVING", 3: "SERVICE_UNKNOWN"}


def _frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


def _text(text: str) -> bytes:
    data = text.encode()
    if len(data) > 126:
        raise ProbeError(f"{text[:40]!r}... is too long")
    return bytes((len(data),)) + data


def _header(name: str, value: str) -> bytes:
    """HPACK: a literal field, never indexed, without Huffman coding (RFC 7541, 6.2.2)."""
    return b"\x00" + _text(name) + _text(value)


def request(authority: str, service: str) -> bytes:
    """Everything the client sends."""
    name = service.encode()
    message = b"\x0a" + bytes((len(name),)) + name if name else b""
    fields = (
        (":method", "POST"), (":scheme", "http"), (":path", "/grpc.health.v1.Health/Check"), (":authority", authority),
        ("content-type", "application/grpc"), ("te", "trailers"), ("user-agent", "kube-probe/1.36"),
    )  # fmt: skip
    headers = b"".join(_header(name, value) for name, value in fields)
    body = b"\x00" + len(message).to_bytes(4, "big") + message
    return (
        _PREFACE
        + _frame(_SETTINGS, 0, 0)
        + _frame(_HEADERS, _END_HEADERS, 1, headers)
        + _frame(_DATA, _END_STREAM, 1, body)
    )


def status(body: bytes) -> int:
    """The enum in a HealthCheckResponse inside its gRPC frame; 0 (UNKNOWN) if it is not set."""
    message = body[5:]
    return message[1] if len(message) >= 2 and message[0] == 0x08 else 0


async def _exchange(host: str, port: int, service: str) -> bytes:
    reader, writer = await asyncio.open_connection(host, port)
    try:
        shown = f"[{host}]" if ":" in host else host
        writer.write(request(f"{shown}:{port}", service))
        body = b""
        while True:
            head = await reader.readexactly(9)
            kind, flags, stream = head[3], head[4], int.from_bytes(head[5:], "big") & 0x7FFFFFFF
            payload = await reader.readexactly(int.from_bytes(head[:3], "big"))
            if kind == _SETTINGS and not flags & _ACK:
                writer.write(_frame(_SETTINGS, _ACK, 0))
            elif kind == _PING and not flags & _ACK:
                writer.write(_frame(_PING, _ACK, 0, payload))
            elif kind in (_RST, _GOAWAY):
                return body
            elif kind == _DATA and stream == 1:
                body += payload
            if stream == 1 and flags & _END_STREAM and kind in (_DATA, _HEADERS):
                return body
    finally:
        writer.close()


async def check(host: str, port: int, service: str, timeout: float) -> tuple[bool, str]:
    """Whether the service says SERVING, and what to tell people. Raises ProbeError when it cannot be asked."""
    try:
        async with asyncio.timeout(timeout):
            body = await _exchange(host, port, service)
    except TimeoutError as error:
        raise ProbeError(f'timeout: failed to connect service "{host}:{port}" within {timeout:g}s') from error
    except (OSError, asyncio.IncompleteReadError) as error:
        raise ProbeError(f'failed to connect service "{host}:{port}": {error}') from error
    if not body:
        return False, "error: this server does not implement the grpc health protocol, or does not know the service"
    found = status(body)
    word = "healthy" if found == _SERVING else "unhealthy"
    return found == _SERVING, f"service {word} (responded with {_STATUS.get(found, found)!r})"
