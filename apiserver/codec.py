"""Objects as bytes: how they stand in etcd, and how a resourceVersion gets into them without parsing.

Stored bytes begin `{"kind":...,"apiVersion":...,"metadata":{` and carry no resourceVersion: that is etcd's mod revision,
put right behind the opening brace of metadata when the bytes enter the cache.
"""

from __future__ import annotations

from typing import Any

import orjson

from api.types import Object

_META = b'"metadata":{'
_VERSION = b'"resourceVersion":"'


def stored(obj: Object) -> bytes:
    """The bytes to put into etcd."""
    meta = obj["metadata"]
    ordered: dict[str, Any] = {"kind": obj["kind"], "apiVersion": obj["apiVersion"], "metadata": meta}
    if "resourceVersion" in meta:
        ordered["metadata"] = {key: value for key, value in meta.items() if key != "resourceVersion"}
    for key, value in obj.items():
        if key not in ordered:
            ordered[key] = value
    return orjson.dumps(ordered)


def versioned(data: bytes, revision: int) -> bytes:
    """Stored bytes with their resourceVersion, as they are served."""
    at = data.find(_META) + len(_META)
    if at < len(_META) or data[at : at + 1] == b"}":
        obj = orjson.loads(data)
        obj.setdefault("metadata", {})["resourceVersion"] = str(revision)
        return orjson.dumps(obj)
    return b'%b%b%d",%b' % (data[:at], _VERSION, revision, data[at:])


def reversioned(data: bytes, revision: int) -> bytes:
    """Served bytes with another resourceVersion (what a DELETED event carries)."""
    at = data.find(_META) + len(_META)
    if not data.startswith(_VERSION, at):
        obj = orjson.loads(data)
        obj["metadata"]["resourceVersion"] = str(revision)
        return orjson.dumps(obj)
    start = at + len(_VERSION)
    return b"%b%d%b" % (data[:start], revision, data[data.index(b'"', start) :])


def loads(data: bytes) -> Object:
    """Served or stored bytes as data that the caller may change."""
    obj: Object = orjson.loads(data)
    return obj
