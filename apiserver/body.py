"""Request bodies: JSON or YAML into data, duplicate keys found, then the resource's model for defaults and unknown fields."""

from __future__ import annotations

from typing import Any

import orjson
import yaml

from api import errors, protobuf
from api.decode import decode
from api.duplicates import find_duplicates
from api.types import Object, Resource
from apiserver.request import Request

_YAML_TYPES = ("application/yaml", "application/x-yaml", "text/yaml", "application/apply-patch+yaml")
JSON = "application/json"
_JSON_TYPES = ("", JSON, "text/json", "*/*", "application/x-www-form-urlencoded")


class _Marked(dict[str, Any]):
    """A mapping that remembers which of its keys stood twice."""

    twice: tuple[str, ...] = ()


def _mark(pairs: list[tuple[str, Any]]) -> _Marked:
    found = _Marked(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        found.twice = tuple(name for name in found if names.count(name) > 1)
    return found


def _duplicates(value: Any, path: str = "") -> list[str]:
    found = []
    if isinstance(value, list):
        for index, item in enumerate(value):
            found += _duplicates(item, f"{path}[{index}]")
    elif isinstance(value, dict):
        twice = value.twice if isinstance(value, _Marked) else ()
        found += [f'duplicate field "{path}.{key}"' if path else f'duplicate field "{key}"' for key in twice]
        for key, item in value.items():
            found += _duplicates(item, f"{path}.{key}" if path else key)
    return found


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """YAML as JSON: no dates, duplicate keys are remembered."""


def _mapping(loader: Any, node: Any) -> _Marked:
    loader.flatten_mapping(node)
    pairs = [(str(loader.construct_object(k, deep=True)), loader.construct_object(v, deep=True)) for k, v in node.value]
    return _mark(pairs)


_Loader.add_constructor("tag:yaml.org,2002:map", _mapping)
_Loader.add_constructor("tag:yaml.org,2002:timestamp", lambda loader, node: loader.construct_scalar(node))


def media_type(request: Request) -> str:
    """The body's media type without parameters, in lower case."""
    return request.header(b"content-type").partition(";")[0].strip().lower()


def parse(raw: bytes, kind: str) -> tuple[Any, list[str]]:
    """(data, texts about duplicate keys) of a body of media type `kind`. Raises BadRequest, UnsupportedMediaType."""
    if kind in _YAML_TYPES:
        try:
            data = yaml.load(raw, Loader=_Loader)  # noqa: S506 - derived from the safe loader
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise errors.BadRequest(f"error converting YAML to JSON: {error}") from error
        return data, _duplicates(data)
    if kind == protobuf.MEDIA_TYPE:
        return protobuf.decode(raw), []
    if kind not in _JSON_TYPES:
        raise errors.UnsupportedMediaType(
            f"the body of the request was in an unknown format - accepted media types include: "
            f"{JSON}, {_YAML_TYPES[0]}, {protobuf.MEDIA_TYPE}"
        )
    try:
        data = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise errors.BadRequest(f"the body is not valid JSON: {error}") from error
    # A key that stands twice is lost by parsing, so the data written out again is shorter than the body: look closer.
    if len(orjson.dumps(data)) == len(raw.strip()):
        return data, []
    return data, find_duplicates(raw)


async def read_object(request: Request) -> tuple[Object, list[str]]:
    """The body as an object, and texts about duplicate keys. Raises BadRequest when it is none."""
    raw = await request.read()
    if not raw.strip():
        raise errors.BadRequest("the request has no body")
    data, twice = parse(raw, media_type(request))
    if not isinstance(data, dict):
        raise errors.BadRequest("couldn't get version/kind; json parse error: the body is not an object")
    return data, twice


async def read_options(request: Request) -> Object:
    """The body of a deletion: an options object or nothing."""
    raw = await request.read()
    return (await read_object(request))[0] if raw.strip() else {}


def normalise(
    request: Request, resource: Resource, obj: Object, validation: str, duplicates: list[str] | None = None
) -> Object:
    """Decode into the resource's model: defaults set, types checked, unknown fields told (Warn) or refused (Strict)."""
    clean, warnings = decode(resource, obj, validation, duplicates or ())
    request.warnings += warnings
    return clean
