"""From a protobuf body to the same plain data that a JSON body gives.

`numbers.json` has, per model, the field numbers of Kubernetes' wire format (`"*2": {...}` is a message whose fields stand
inline in JSON); the types of the fields are those of the models. Unknown numbers are skipped, as protobuf wants it.

Go writes fields without pointer even when they are empty, and JSON would have left those out. So zero values are dropped,
but for the names in `_ZERO_COUNTS`, which are pointers in Go and where zero differs from "not given".
"""

from __future__ import annotations

import base64
import json
import types
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import orjson

from api import errors, kinds, resources, timestamp
from api.kinds.base import Base64, Double, Format, IntOrString, Json, MicroTime, Model, Quantity, Time
from api.protobuf import wire
from api.types import Object

MEDIA_TYPE = "application/vnd.kubernetes.protobuf"
_MAGIC = b"k8s\x00"
_ZERO_COUNTS = frozenset(
    """
    activeDeadlineSeconds allocateLoadBalancerNodePorts allowPrivilegeEscalation allowVolumeExpansion attachRequired
    automountServiceAccountToken averageUtilization backoffLimit backoffLimitPerIndex blockOwnerDeletion completions
    controller currentCPUUtilizationPercentage defaultMode deletionGracePeriodSeconds enableServiceLinks exitCode
    expirationSeconds failedJobsHistoryLimit fsGroup gracePeriodSeconds hostUsers immutable
    leaseDurationSeconds leaseTransitions limit maxFailedIndexes maxSkew maxSurge maxUnavailable minAvailable minReplicas
    mode optional orphanDependents parallelism partition podInfoOnMount priority privileged progressDeadlineSeconds
    publishNotReadyAddresses readOnlyRootFilesystem ready replicas requiresRepublish revisionHistoryLimit
    runAsGroup runAsNonRoot runAsUser serving setHostnameAsFQDN shareProcessNamespace stabilizationWindowSeconds
    startingDeadlineSeconds storageCapacity storageClassName successfulJobsHistoryLimit suspend terminating
    terminationGracePeriodSeconds tolerationSeconds ttlSecondsAfterFinished value weight
    """.split()
)
Read = Callable[[Any], Any]
"""Turns a field's raw value into data; None means that the field was empty and is left out."""
_Plan = dict[int, tuple[str, Read, bool, bool]]
"""Field number → (JSON name, reader, is it a list, is it a map); an empty name is a message that stands inline."""


def decode(raw: bytes) -> Object:
    """The object in a body of media type MEDIA_TYPE. Raises BadRequest."""
    if not raw.startswith(_MAGIC):
        raise errors.BadRequest("the body is not Kubernetes protobuf: it does not begin with k8s\\0")
    try:
        envelope: dict[int, Any] = dict(wire.fields(raw[len(_MAGIC) :]))
        who = {
            number: value.decode() for number, value in wire.fields(envelope.get(1, b"")) if isinstance(value, bytes)
        }
        version, kind = who.get(1, ""), who.get(2, "")
        content = _message(_plan(_model(version, kind)), envelope.get(2, b""))
    except (wire.WireError, UnicodeDecodeError, OverflowError, AttributeError, TypeError) as error:
        raise errors.BadRequest(f"the body is not valid protobuf: {error}") from error
    return {"apiVersion": version, "kind": kind} | content


@cache
def _model(api_version: str, kind: str) -> type[Model]:
    group, _, version = api_version.rpartition("/")
    if row := resources.by_kind(group, version, kind):
        return kinds.load(row)
    # Kinds without a row: those of subresources, and options.
    first = group.split(".")[0] or "core"
    for name in (f"api.kinds.{first}_{version}", f"api.kinds.{first}", "api.kinds.meta"):
        found = getattr(import_module(name), kind, None) if find_spec(name) else None
        if isinstance(found, type) and issubclass(found, Model):
            return found
    raise errors.BadRequest(f'no kind "{kind}" is registered for version "{api_version}"')


@cache
def _numbers() -> dict[str, dict[str, Any]]:
    table: dict[str, dict[str, Any]] = json.loads((Path(__file__).parent / "numbers.json").read_text())
    return table


@cache
def _plan(model: type[Model]) -> _Plan:
    """How to read a message of this model; TypeRefs inside are followed when they are met."""
    for cls in model.__mro__:
        group = cls.__module__.removeprefix("api.kinds.").split(".")[0]
        if row := _numbers().get(f"{group}.{cls.__name__}"):
            return _rows(model, row)
    raise errors.UnsupportedMediaType(f"{model.__name__} is not served as protobuf; send it as application/json")


def _rows(model: type[Model], row: dict[str, Any]) -> _Plan:
    plan: _Plan = {}
    hints = get_type_hints(model, include_extras=True)
    annotations = {field.alias or name: hints[name] for name, field in model.model_fields.items()}
    for name, number in row.items():
        if name.startswith("*"):
            inner = _rows(model, number)
            plan[int(name[1:])] = ("", partial(_message, inner), False, False)
        elif name in annotations:
            plan[number] = (name, *_reader(annotations[name], name in _ZERO_COUNTS))
    return plan


def _message(plan: _Plan, data: bytes) -> Object:
    found: Object = {}
    for number, raw in wire.fields(data):
        if number not in plan:
            continue
        name, read, is_list, is_map = plan[number]
        if not name:
            found |= read(raw)
        elif is_map:
            entry = dict(wire.fields(raw))  # type: ignore[arg-type]
            found.setdefault(name, {})[entry.get(1, b"").decode()] = read(entry.get(2, b""))  # type: ignore[union-attr]
        elif is_list:
            found.setdefault(name, []).append(read(raw))
        elif (value := read(raw)) is not None:
            found[name] = value
    return found


def _reader(annotation: Any, zero_counts: bool) -> tuple[Read, bool, bool]:
    annotation = _bare(annotation)
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is list:
        return _scalar(_bare(arguments[0]), True), True, False
    if origin is dict:
        value = _bare(arguments[1])
        if get_origin(value) is list:
            # A named list of strings is a message of its own: `ExtraValue { items = 1 }`.
            return _string_list, False, True
        return _scalar(value, True), False, True
    return _scalar(annotation, zero_counts), False, False


def _bare(annotation: Any) -> Any:
    """Without `| None` and without marks, but for the Format that tells a scalar from its like."""
    while True:
        origin = get_origin(annotation)
        if origin in (Union, types.UnionType):
            chosen = [a for a in get_args(annotation) if a is not type(None)]
            if len(chosen) != 1:
                return annotation
            annotation = chosen[0]
        elif origin is Annotated and not _format(annotation):
            annotation = annotation.__origin__
        else:
            return annotation


def _format(annotation: Any) -> Format | None:
    found = [m for m in getattr(annotation, "__metadata__", ()) if isinstance(m, Format)]
    return found[0] if found else None


_SCALARS: dict[Format | None, Callable[[Any, bool], Any]] = {
    _format(Time): lambda raw, _: _moment(raw, timestamp.format),
    _format(MicroTime): lambda raw, _: _moment(raw, timestamp.format_micro),
    _format(Quantity): lambda raw, _: _text(dict(wire.fields(raw)).get(1, b"")) or None,
    _format(IntOrString): lambda raw, keep: _int_or_string(raw, keep),
    _format(Base64): lambda raw, keep: base64.b64encode(raw).decode() if raw or keep else None,
    _format(Double): lambda raw, keep: wire.double(raw) if raw or keep else None,
}


def _scalar(annotation: Any, keep: bool) -> Read:
    mark = _format(annotation)
    if mark in _SCALARS and mark is not None:
        convert = _SCALARS[mark]
        return lambda raw: convert(raw, keep)
    bare = annotation.__origin__ if get_origin(annotation) is Annotated else annotation
    if isinstance(bare, type) and issubclass(bare, Model):
        return lambda raw: _message(_plan(bare), raw)
    if bare is str:
        return lambda raw: _text(raw) if raw or keep else None
    if bare is bool:
        return lambda raw: bool(raw) if raw or keep else None
    if bare is int:
        return lambda raw: wire.signed(raw) if raw or keep else None
    if bare is Json or get_origin(bare) is dict:
        return _raw_json
    raise TypeError(f"no way to read {annotation}")


def _text(raw: Any) -> str:
    return str(raw, "utf-8")


def _moment(raw: bytes, write: Callable[[datetime], str]) -> str | None:
    parts: dict[int, Any] = dict(wire.fields(raw))
    seconds, nanos = wire.signed(parts.get(1, 0)), parts.get(2, 0)
    if not seconds and not nanos:
        return None
    return write(datetime.fromtimestamp(0, UTC) + timedelta(seconds=seconds, microseconds=nanos // 1000))


def _int_or_string(raw: bytes, keep: bool) -> int | str | None:
    parts: dict[int, Any] = dict(wire.fields(raw))
    if parts.get(1, 0) == 1:
        return _text(parts.get(3, b""))
    number = wire.signed(parts.get(2, 0))
    return number if number or keep else None


def _string_list(raw: bytes) -> list[str]:
    return [_text(value) for number, value in wire.fields(raw) if number == 1]


def _raw_json(raw: bytes) -> Any:
    text = dict(wire.fields(raw)).get(1, b"")
    return orjson.loads(text) if isinstance(text, bytes) and text else None
