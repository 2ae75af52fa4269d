"""The server's own description of its kinds (OpenAPI v3): for `explain`, and for the merge keys that `apply` needs.

Documents are fetched by their hashed address and kept on disk under that hash, so that one is fetched once for as long as the
server does not change.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path
from typing import Any

import orjson

from api.errors import NotFound
from api.types import Resource
from client.rest import ApiClient

Schema = dict[str, Any]


def cache_folder() -> Path:
    """Where documents are kept: `$XDG_CACHE_HOME/cloudlet`, else `~/.cache/cloudlet`."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "cloudlet"


class Schemas:
    """The schemas of one server."""

    def __init__(self, client: ApiClient, folder: Path | None = None) -> None:
        self._client = client
        self._folder = folder or cache_folder()
        self._index: dict[str, Any] | None = None
        self._documents: dict[str, Schema] = {}

    async def of(self, resource: Resource) -> Document | None:
        """What the server says about a kind; None when it says nothing."""
        document = await self._document(resource.path_prefix.lstrip("/"))
        for name, schema in document.items():
            for kind in schema.get("x-kubernetes-group-version-kind") or ():
                if (kind.get("group", ""), kind.get("version"), kind.get("kind")) == (
                    resource.group,
                    resource.version,
                    resource.kind,
                ):
                    return Document(document, document[name])
        return None

    async def _document(self, path: str) -> Schema:
        if path not in self._documents:
            self._documents[path] = await self._load(path)
        return self._documents[path]

    async def _load(self, path: str) -> Schema:
        if self._index is None:
            try:
                self._index = orjson.loads((await self._client.raw("GET", "/openapi/v3")).content).get("paths") or {}
            except NotFound:
                self._index = {}
        entry = self._index.get(path)
        if entry is None:
            return {}
        address = entry["serverRelativeURL"]
        stored = self._folder / f"{hashlib.sha256(f'{self._client.server}{address}'.encode()).hexdigest()}.json"
        text = _stored(stored) if "hash=" in address else None
        if text is None:
            try:
                text = (await self._client.raw("GET", address)).content
            except NotFound:
                return {}
            _store(stored, text)
        found: Schema = orjson.loads(text).get("components", {}).get("schemas") or {}
        return found


class Document:
    """One kind's schema and the definitions that it refers to."""

    def __init__(self, definitions: Schema, root: Schema) -> None:
        self._definitions = definitions
        self.root = root

    def resolve(self, schema: Schema) -> Schema:
        """The schema meant by a `$ref`, with what stands beside the reference (description, merge key)."""
        reference = schema.get("$ref")
        several = schema.get("allOf")
        if not reference and isinstance(several, list) and len(several) == 1:
            reference = several[0].get("$ref")
        if not reference:
            return schema
        target = self._definitions.get(str(reference).rpartition("/")[2], {})
        beside = {k: v for k, v in schema.items() if k not in ("$ref", "allOf")}
        return {**target, **beside}

    def reference(self, schema: Schema) -> str:
        """The short name of the definition a schema refers to, empty if it is none."""
        for candidate in (schema, *(schema.get("allOf") or ())):
            if "$ref" in candidate:
                return str(candidate["$ref"]).rpartition(".")[2]
        return ""

    def field(self, schema: Schema, name: str) -> Schema | None:
        """The schema of a field of an object (or of a map's values), None when there is no such field."""
        resolved = self.resolve(schema)
        properties = resolved.get("properties") or {}
        if name in properties:
            return dict(properties[name])
        values = resolved.get("additionalProperties")
        return dict(values) if isinstance(values, dict) else None

    def items(self, schema: Schema) -> Schema:
        """The schema of a list's items."""
        return dict(self.resolve(schema).get("items") or {})


def _stored(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


def _store(path: Path, text: bytes) -> None:
    """Keep a document; a folder that cannot be written to costs time only."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
            file.write(text)
        Path(file.name).replace(path)
    except OSError:
        return
