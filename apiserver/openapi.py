"""/openapi/v2 and /openapi/v3: documents built once when first asked for, kept compressed, addressed by their hash.

Building takes a while and is done in a thread, so that requests go on meanwhile.
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import orjson

from api import errors, openapi
from api.resources import ALL
from api.types import Object, Resource
from apiserver.request import JSON, Reply, Request

_IMMUTABLE = ((b"cache-control", b"public, immutable"), (b"expires", b"Thu, 31 Dec 2037 23:55:55 GMT"))
_PLAIN = ("", "*/*", "application/*", JSON)


@dataclass(frozen=True, slots=True)
class Document:
    """One document as gzip bytes and its hash."""

    packed: bytes
    etag: str


def _pack(obj: Object) -> Document:
    data = orjson.dumps(obj)
    return Document(gzip.compress(data, 6, mtime=0), hashlib.sha256(data).hexdigest()[:32].upper())


class OpenApi:
    """The documents of one set of resources."""

    def __init__(self, resources: Sequence[Resource] = ALL) -> None:
        self.resources = resources
        self._v2: Document | None = None
        self._v3: dict[str, Document] = {}
        self._building = asyncio.Lock()

    async def v2(self, request: Request) -> Reply:
        """GET /openapi/v2."""
        async with self._building:
            if self._v2 is None:
                self._v2 = await _built(lambda: openapi.document_v2(self.resources))
        return _answer(request, self._v2)

    async def _all(self) -> dict[str, Document]:
        async with self._building:
            for name in openapi.group_versions(self.resources):
                if name not in self._v3:
                    self._v3[name] = await _built(lambda name=name: openapi.document_v3(name, self.resources))  # type: ignore[misc]
        return self._v3

    async def index(self, request: Request) -> Reply:
        """GET /openapi/v3: where each group and version's document is, by hash."""
        found = await self._all()
        paths = {
            name: {"serverRelativeURL": f"/openapi/v3/{name}?hash={document.etag}"} for name, document in found.items()
        }
        return Reply.of({"paths": paths})

    async def v3(self, request: Request) -> Reply:
        """GET /openapi/v3/GROUP/VERSION. Raises NotFound."""
        name = request.info.path.removeprefix("/openapi/v3/")
        document = (await self._all()).get(name)
        if document is None:
            raise errors.NotFound("the server could not find the requested resource")
        wanted = request.query.get("hash", "").strip('"')
        if wanted and wanted != document.etag:
            location = f"/openapi/v3/{name}?hash={document.etag}".encode()
            return Reply(301, b"", JSON, ((b"location", location),))
        reply = _answer(request, document)
        if wanted:
            reply.headers += _IMMUTABLE
        return reply


async def _built(build: Callable[[], Object]) -> Document:
    return await asyncio.to_thread(lambda: _pack(build()))


def _answer(request: Request, document: Document) -> Reply:
    accepted = [clause.partition(";")[0].strip() for clause in request.header(b"accept").split(",")]
    if not any(kind in _PLAIN for kind in accepted):
        raise errors.NotAcceptable("only the following media types are accepted: application/json")
    etag = (b"etag", f'"{document.etag}"'.encode())
    headers: tuple[tuple[bytes, bytes], ...] = (etag, (b"vary", b"Accept-Encoding, Accept"))
    if document.etag in request.header(b"if-none-match"):
        return Reply(304, b"", JSON, headers)
    if "gzip" in request.header(b"accept-encoding"):
        return Reply(200, document.packed, JSON, (*headers, (b"content-encoding", b"gzip")))
    return Reply(200, gzip.decompress(document.packed), JSON, headers)
