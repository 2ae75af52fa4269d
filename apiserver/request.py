"""One request on its way through the chain: what it asks for, who asks, its body, and how it is answered.

Handlers answer with a `Reply`, or send on their own (watches, proxies) and return None.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any
from urllib.parse import parse_qsl
from uuid import uuid4

import orjson

from api import errors
from apiserver.auth.attributes import Attributes
from apiserver.auth.user import ANONYMOUS_USER, User

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

JSON = "application/json"
CLIENT_CERTIFICATE = "client_certificate"
TRANSPORT = "transport"
"""Where `apiserver.tls` puts the caller's certificate and the connection in the scope's state."""
MAX_BODY = 3 * 1024 * 1024
"""Bytes a request body may have; past it the answer is 413 (etcd's own limit is half of it)."""

_VERBS = {"GET": "get", "HEAD": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_NAMESPACE_SUBRESOURCES = ("status", "finalize")
_UNCACHED = ((b"cache-control", b"no-cache, private"),)
_TRUE = ("1", "true", "True", "t", "T", "TRUE")


@dataclass(frozen=True, slots=True)
class RequestInfo:
    """What a method and a path ask for. `resource` is the plural name, empty for paths such as /healthz.

    `rest` is what follows the subresource (`/a/b` of `.../pods/x/proxy/a/b`), for the proxies.
    """

    method: str
    path: str
    verb: str
    group: str = ""
    version: str = ""
    namespace: str = ""
    resource: str = ""
    name: str = ""
    subresource: str = ""
    rest: str = ""


def parse_info(method: str, path: str, query: Mapping[str, str]) -> RequestInfo:
    """Read a request line as Kubernetes' RequestInfo resolver does."""
    parts = path.split("/")
    if len(parts) > 3 and parts[1] == "api":
        group, version, rest = "", parts[2], parts[3:]
    elif len(parts) > 4 and parts[1] == "apis":
        group, version, rest = parts[2], parts[3], parts[4:]
    else:
        return RequestInfo(method, path, method.lower())
    watching = rest[0] == "watch" and len(rest) > 1
    if watching:
        rest = rest[1:]
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2 and rest[2] and rest[2] not in _NAMESPACE_SUBRESOURCES:
        namespace, rest = rest[1], rest[2:]
    elif rest[0] == "namespaces" and len(rest) > 1:
        namespace = rest[1]
    if not rest[0]:
        return RequestInfo(method, path, method.lower())
    name = rest[1] if len(rest) > 1 else ""
    verb = _VERBS.get(method, method.lower())
    if verb == "get" and (watching or not name):
        verb = "watch" if watching or query.get("watch") in _TRUE else "list"
    elif verb == "delete" and not name:
        verb = "deletecollection"
    return RequestInfo(
        method,
        path,
        verb,
        group,
        version,
        namespace,
        rest[0],
        name,
        rest[2] if len(rest) > 2 else "",
        "/" + "/".join(rest[3:]) if len(rest) > 3 else "",
    )


@dataclass(slots=True)
class Reply:
    """A whole answer: status code, body bytes, media type, further headers."""

    status: int
    body: bytes = b""
    media_type: str = JSON
    headers: tuple[tuple[bytes, bytes], ...] = ()

    @staticmethod
    def of(obj: object, status: int = 200) -> Reply:
        """Return a JSON answer from plain data."""
        return Reply(status, orjson.dumps(obj))


@dataclass(slots=True)
class Request:
    """One HTTP or WebSocket request. `user` and `info` are set by the chain before any handler sees it."""

    scope: Scope
    receive: Receive
    send: Send
    headers: dict[bytes, bytes]
    query: dict[str, str]
    info: RequestInfo
    id: str
    user: User = ANONYMOUS_USER
    warnings: list[str] = field(default_factory=list)
    annotations: dict[str, str] = field(default_factory=dict)
    """Facts for the audit log, put there by authorizers and admission."""
    undo: list[Callable[[], Awaitable[None]]] = field(default_factory=list)
    """What admission has taken for the write that is being tried, to be given back unless it succeeds; run last first."""
    impersonator: User | None = None
    started: float = 0.0
    status: int = 0
    """The status code sent, 0 while none has been."""
    body: bytes | None = None

    @staticmethod
    def of(scope: Scope, receive: Receive, send: Send) -> Request:
        """Read the request line and headers of an ASGI scope."""
        headers = dict(scope["headers"])
        raw = scope["query_string"]
        query = dict(parse_qsl(raw.decode("latin-1"), keep_blank_values=True)) if raw else {}
        info = parse_info(scope.get("method", "GET"), scope["path"], query)
        identity = headers.get(b"audit-id")
        name = identity.decode("latin-1") if identity else str(uuid4())
        return Request(scope, receive, send, headers, query, info, name, started=perf_counter())

    @property
    def is_websocket(self) -> bool:
        """Whether the scope is a WebSocket handshake."""
        return bool(self.scope["type"] == "websocket")

    @property
    def client_certificate(self) -> bytes | None:
        """The client's certificate as DER, verified against the client CA by TLS, or None."""
        der: bytes | None = self.scope.get("state", {}).get(CLIENT_CERTIFICATE)
        return der

    @property
    def client_address(self) -> str:
        """The caller's IP address."""
        client = self.scope.get("client")
        return client[0] if client else ""

    def header(self, name: bytes) -> str:
        """One header's value (`name` in lower case), empty when missing."""
        return self.headers.get(name, b"").decode("latin-1")

    def flag(self, name: str) -> bool:
        """Whether a boolean query parameter is set."""
        return self.query.get(name) in _TRUE

    def attributes(self) -> Attributes:
        """The question for the authorizers."""
        info, name = self.info, self.info.name
        if not info.resource:
            return Attributes(self.user, info.verb, path=info.path)
        if not name and info.verb in ("list", "watch", "deletecollection"):
            name = _only_name(self.query.get("fieldSelector", ""))
        return Attributes(
            self.user,
            info.verb,
            info.group,
            info.version,
            info.resource,
            info.subresource,
            info.namespace,
            name,
            info.path,
            self.query.get("fieldSelector", ""),
        )

    async def read(self, limit: int = MAX_BODY) -> bytes:
        """The whole body; read once, kept. Raises RequestEntityTooLarge past `limit` bytes."""
        if self.body is not None:
            return self.body
        declared = self.headers.get(b"content-length", b"0")
        if declared.isdigit() and int(declared) > limit:
            raise errors.RequestEntityTooLarge(f"Request entity too large: limit is {limit}")
        chunks: list[bytes] = []
        size = 0
        while True:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                raise errors.BadRequest("the client went away before its request was complete")
            chunk = message.get("body", b"")
            size += len(chunk)
            if size > limit:
                raise errors.RequestEntityTooLarge(f"Request entity too large: limit is {limit}")
            chunks.append(chunk)
            if not message.get("more_body"):
                break
        self.body = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        return self.body

    def response_headers(self, media_type: str) -> list[tuple[bytes, bytes]]:
        """The headers every answer carries: type, request id, warnings."""
        headers = [
            (b"content-type", media_type.encode("latin-1")),
            (b"audit-id", self.id.encode("latin-1", "replace")),
        ]
        headers += [(b"warning", _warning(text)) for text in dict.fromkeys(self.warnings)]
        return headers

    async def respond(self, reply: Reply) -> None:
        """Send a whole answer."""
        headers = self.response_headers(reply.media_type)
        headers.append((b"content-length", b"%d" % len(reply.body)))
        headers += reply.headers or _UNCACHED
        self.status = reply.status
        if self.is_websocket:
            await self.send({"type": "websocket.http.response.start", "status": reply.status, "headers": headers})
            await self.send({"type": "websocket.http.response.body", "body": reply.body})
            return
        await self.send({"type": "http.response.start", "status": reply.status, "headers": headers})
        body = b"" if self.info.method == "HEAD" else reply.body
        await self.send({"type": "http.response.body", "body": body})

    async def fail(self, error: errors.ApiError) -> None:
        """Send an error as its Status."""
        headers: tuple[tuple[bytes, bytes], ...] = ()
        if error.retry_after is not None:
            headers = ((b"retry-after", b"%d" % error.retry_after),)
        if error.http_code == 401:
            headers += ((b"www-authenticate", b'Bearer realm="kubernetes"'),)
        await self.respond(Reply(error.http_code, orjson.dumps(error.status()), JSON, headers))


def _only_name(selector: str) -> str:
    """The name a field selector pins, so that rules with resourceNames can allow a list or watch of one object."""
    for term in selector.split(","):
        path, equals, value = term.partition("=")
        if path == "metadata.name" and equals:
            return value.removeprefix("=")
    return ""


def _warning(text: str) -> bytes:
    """A Warning header's value (RFC 7234, code 299)."""
    clean = "".join(c for c in text if c >= " " and c != "\x7f").replace("\\", "\\\\").replace('"', '\\"')
    return f'299 - "{clean}"'.encode("ascii", "replace")
