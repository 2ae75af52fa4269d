"""From a request's JSON to an object: types checked, unknown fields found, defaults filled in.

The common case, a good object, is one pass of the model (`extra="forbid"`, so that unknown fields are found by the same
pass). Only an object that fails is looked at again: `null` where a default stands counts as absent, unknown fields are
dropped or refused as `fieldValidation` says, wrong types are 400 with every path. Texts are those of Kubernetes'
decoder, which tools match on: `strict decoding error: unknown field "spec.foo"`.
"""

from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from api import kinds
from api.duplicates import find_duplicates
from api.errors import BadRequest
from api.kinds.base import Model
from api.kinds.walk import field_owner
from api.types import Object, Resource

STRICT, WARN, IGNORE = "Strict", "Warn", "Ignore"
_JSON_NAMES = {str: "string", bool: "bool", int: "number", float: "number", list: "array", dict: "object"}

__all__ = ["IGNORE", "STRICT", "WARN", "decode", "decode_as", "find_duplicates"]

Location = tuple[int | str, ...]


def decode(
    resource: Resource, data: Any, field_validation: str = WARN, duplicates: Sequence[str] = ()
) -> tuple[Object, list[str]]:
    """The object with its defaults, and warnings (unknown and duplicate fields, if `field_validation` is Warn).

    `data` is decoded JSON and is not changed; `duplicates` is what `find_duplicates` said about its bytes. Missing
    `apiVersion` and `kind` are filled in from the resource. Raises BadRequest that names every field of a wrong type,
    or in Strict mode every unknown and duplicate one.
    """
    model = kinds.load(resource)
    return decode_as(model, data, field_validation, resource.kind, resource.group_version, duplicates)


def decode_as(
    model: type[Model],
    data: Any,
    field_validation: str,
    kind: str,
    group_version: str,
    duplicates: Sequence[str] = (),
) -> tuple[Object, list[str]]:
    """As `decode`, for a body that is not the resource's own kind: Scale, Eviction, Binding, TokenRequest, options."""
    version = group_version.rpartition("/")[2]
    failure = f'{kind} in version "{version}" cannot be handled as a {kind}'
    if not isinstance(data, dict):
        raise BadRequest(f"{failure}: json: cannot unmarshal {json_name(data)} into Go value of type {kind}")
    unknown: list[str] = []
    try:
        parsed = model.model_validate(data)
    except ValidationError as error:
        parsed, unknown = _second_look(model, data, error, failure)
    said = [*(f'unknown field "{each}"' for each in unknown), *duplicates]
    if said and field_validation == STRICT:
        raise BadRequest(f"{failure}: strict decoding error: {', '.join(said)}")
    obj = parsed.to_dict()
    obj = _with_kind(obj, kind, group_version)
    return obj, [] if field_validation == IGNORE else said


def _with_kind(obj: Object, kind: str, group_version: str) -> Object:
    given_version, given_kind = obj.get("apiVersion"), obj.get("kind")
    if given_version and given_version != group_version:
        raise BadRequest(
            f"the API version in the data ({given_version}) does not match the expected API version ({group_version})"
        )
    if given_kind and given_kind != kind:
        raise BadRequest(f"the kind in the data ({given_kind}) does not match the expected kind ({kind})")
    if given_version and given_kind:
        return obj
    return {"apiVersion": group_version, "kind": kind, **obj}


def _second_look(model: type[Model], data: Object, error: ValidationError, failure: str) -> tuple[Model, list[str]]:
    """The model without nulls and unknown fields, and the paths of the latter. Raises BadRequest for wrong types."""
    data = without_nulls(data)
    try:
        return model.model_validate(data), []
    except ValidationError as again:
        found = again.errors(include_url=False)
    unknown = [each["loc"] for each in found if each["type"] == "extra_forbidden"]
    wrong = [each for each in found if each["type"] != "extra_forbidden"]
    if wrong:
        said = [f"json: {_describe(model, each)}" for each in wrong]
        causes = [
            {"reason": "FieldValueInvalid", "message": text, "field": path(each["loc"])}
            for text, each in zip(said, wrong, strict=True)
        ]
        raise BadRequest(f"{failure}: {'; '.join(said)}", {"causes": causes}) from error
    for loc in unknown:
        _remove(data, loc)
    return model.model_validate(data), [path(loc) for loc in unknown]


def _describe(model: type[Model], error: ErrorDetails) -> str:
    """One wrong type as Go's decoder says it."""
    loc, kind = error["loc"], error["type"]
    if kind == "value_error":
        return f"{path(loc)}: {error['msg'].removeprefix('Value error, ')}"
    owner, field = field_owner(model, loc)
    names = ".".join(str(part) for part in loc if isinstance(part, str))
    target = f"Go struct field {owner}.{names}" if owner else "Go value"
    given = json_name(error["input"])
    if kind in ("greater_than_equal", "less_than_equal") or (kind == "int_type" and isinstance(error["input"], float)):
        given = f"number {error['input']}"
    return f"cannot unmarshal {given} into {target} of type {field}"


def json_name(value: Any) -> str:
    """The JSON type of a decoded value, in the decoder's words."""
    return _JSON_NAMES.get(type(value), "null")


def path(loc: Location) -> str:
    """A location as a path: `spec.containers[0].image`; keys of maps that hold dots are kept as they are."""
    text = ""
    for part in loc:
        if isinstance(part, int):
            text += f"[{part}]"
        elif part != "[key]":
            text += f".{part}" if text else part
    return text


def without_nulls(data: Any) -> Any:
    """A copy without the keys whose value is null; nulls in lists stay."""
    if isinstance(data, dict):
        return {key: without_nulls(value) for key, value in data.items() if value is not None}
    if isinstance(data, list):
        return [without_nulls(value) for value in data]
    return data


def _remove(data: Any, loc: Location) -> None:
    for part in loc[:-1]:
        data = data[part]
    del data[loc[-1]]
