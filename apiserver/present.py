"""What the client wants to see: the object, its metadata alone, or a table row; as JSON or YAML.

An answer in plain JSON joins cached bytes and parses nothing; the other forms parse what they show.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import orjson
import yaml

from api import columns, errors
from api.types import Object, Resource
from apiserver import codec
from apiserver.request import JSON, Reply, Request

OBJECT, METADATA, TABLE = "object", "metadata", "table"
_YAML = "application/yaml"
_PLAIN = (JSON, "*/*", "application/*", "")
_FORMS = {"PartialObjectMetadata": METADATA, "PartialObjectMetadataList": METADATA, "Table": TABLE}


@dataclass(frozen=True, slots=True)
class View:
    """A form and the media type it is sent as. `version` is that of the Table or PartialObjectMetadata."""

    form: str = OBJECT
    media_type: str = JSON
    version: str = "v1"


@lru_cache(maxsize=512)
def _negotiate(accept: str) -> View:
    for clause in accept.split(",") if accept else ("",):
        kind, *rest = (part.strip() for part in clause.split(";"))
        parameters = dict(part.split("=", 1) for part in rest if "=" in part)
        wanted = parameters.get("as", "")
        if kind not in _PLAIN and kind != _YAML:
            continue
        media_type = _YAML if kind == _YAML else JSON
        if not wanted:
            return View(OBJECT, media_type)
        if wanted in _FORMS and parameters.get("g") == "meta.k8s.io" and parameters.get("v") in ("v1", "v1beta1"):
            shown = f"{media_type};as={wanted};g=meta.k8s.io;v={parameters['v']}"
            return View(_FORMS[wanted], shown if kind != "" else media_type, parameters["v"])
    raise errors.NotAcceptable("only the following media types are accepted: application/json, application/yaml")


def negotiate(request: Request) -> View:
    """The form the Accept header asks for. Raises NotAcceptable."""
    return _negotiate(request.header(b"accept"))


def metadata_only(obj: Object, version: str = "v1") -> Object:
    """An object's PartialObjectMetadata."""
    return {
        "kind": "PartialObjectMetadata",
        "apiVersion": f"meta.k8s.io/{version}",
        "metadata": obj.get("metadata") or {},
    }


def table(
    resource: Resource, objs: Sequence[Object], view: View, include: str, meta: Object, *, headers: bool = True
) -> Object:
    """A meta.k8s.io Table of objects. `include` is the query parameter includeObject: Metadata, Object or None."""
    definitions, cells = columns.table(resource, list(objs))
    rows = []
    for obj, row in zip(objs, cells, strict=True):
        shown: Object = {"cells": row}
        if include == "Object":
            shown["object"] = obj
        elif include != "None":
            shown["object"] = metadata_only(obj, view.version)
        rows.append(shown)
    return {
        "kind": "Table",
        "apiVersion": f"meta.k8s.io/{view.version}",
        "metadata": meta,
        "columnDefinitions": definitions if headers else None,
        "rows": rows,
    }


def include_object(request: Request) -> str:
    """The checked query parameter includeObject. Raises BadRequest."""
    include = request.query.get("includeObject", "Metadata") or "Metadata"
    if include not in ("Metadata", "Object", "None"):
        raise errors.BadRequest(f"includeObject: {include!r} is none of None, Metadata, Object")
    return include


def _encoded(view: View, data: bytes) -> bytes:
    if not view.media_type.startswith(_YAML):
        return data
    text: str = yaml.dump(orjson.loads(data), Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper), sort_keys=True)
    return text.encode()


def one(request: Request, resource: Resource, data: bytes, status: int = 200) -> Reply:
    """Answer with one object, given as served bytes."""
    view = negotiate(request)
    if view.form == OBJECT:
        return Reply(status, _encoded(view, data), view.media_type)
    if "get" not in resource.verbs:
        raise errors.NotAcceptable(f"the server cannot show {resource.plural} in the form asked for")
    obj = codec.loads(data)
    if view.form == METADATA:
        shown = metadata_only(obj, view.version)
    else:
        meta = {"resourceVersion": obj["metadata"].get("resourceVersion", "")}
        shown = table(resource, [obj], view, include_object(request), meta)
    return Reply(status, _encoded(view, orjson.dumps(shown)), view.media_type)


def many(request: Request, resource: Resource, items: list[bytes], meta: Object) -> Reply:
    """Answer with a list of objects, given as served bytes."""
    view = negotiate(request)
    if view.form == OBJECT:
        head = b'{"kind":"%bList","apiVersion":"%b","metadata":%b,"items":[' % (
            resource.kind.encode(),
            resource.group_version.encode(),
            orjson.dumps(meta),
        )
        data = b"".join((head, b",".join(items), b"]}"))
        return Reply(200, _encoded(view, data), view.media_type)
    objs = [codec.loads(data) for data in items]
    if view.form == METADATA:
        shown: Object = {
            "kind": "PartialObjectMetadataList",
            "apiVersion": f"meta.k8s.io/{view.version}",
            "metadata": meta,
            "items": [metadata_only(obj, view.version) for obj in objs],
        }
    else:
        shown = table(resource, objs, view, include_object(request), meta)
    return Reply(200, _encoded(view, orjson.dumps(shown)), view.media_type)


class Frames:
    """Turns served bytes into the lines of one watch's stream."""

    def __init__(self, request: Request, resource: Resource) -> None:
        self.view = negotiate(request)
        self.resource = resource
        self.include = include_object(request) if self.view.form == TABLE else ""
        self._headers = True
        if self.view.media_type.startswith(_YAML):
            raise errors.NotAcceptable("a watch is served as application/json")

    def frame(self, kind: str, data: bytes) -> bytes:
        """One event as a line: `{"type":...,"object":...}`."""
        if self.view.form == METADATA:
            data = orjson.dumps(metadata_only(codec.loads(data), self.view.version))
        elif self.view.form == TABLE and kind != "ERROR":
            data = self._row(kind, data)
        return b'{"type":"%b","object":%b}\n' % (kind.encode(), data)

    def _row(self, kind: str, data: bytes) -> bytes:
        obj = codec.loads(data)
        meta = {"resourceVersion": obj["metadata"].get("resourceVersion", "")}
        rows: list[Object] = [] if kind == "BOOKMARK" else [obj]
        shown = table(self.resource, rows, self.view, self.include, meta, headers=self._headers)
        self._headers = False
        if kind == "BOOKMARK":
            shown["rows"] = [{"cells": [], "object": obj}]
        return orjson.dumps(shown)
