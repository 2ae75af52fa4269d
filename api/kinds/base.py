"""What every model is made of: the base class, the scalar types of the API, and the marks that fields carry.

A model's fields have the API's own camelCase names; only words that Python or pydantic reserve have an alias. A default
is the API's default. `None` stands for "not given" and is never written out, so `emptyDir: {}` survives and
`emptyDir: null` does not. Which fields must be given is a mark (`REQUIRED`), not a type: Kubernetes answers a missing
field with 422 and its path, after decoding, and so do we.

Marks stand in `Annotated[...]` and cost nothing while decoding. They are read by the strategic merge patch
(`api.merge`), by validation (`api.validation`) and by OpenAPI (`api.openapi`). Source: the `x-kubernetes-*` extensions
and the "Server-Side Apply" page of the Kubernetes documentation.
"""

import base64
import binascii
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainValidator

from api import quantity, timestamp


class Model(BaseModel):
    """The base of every model: JSON types are taken as they are, fields that are not declared are refused."""

    model_config = ConfigDict(extra="forbid", strict=True, defer_build=True, protected_namespaces=())

    ATOMIC_MAP: ClassVar[bool] = False
    """Whether an applier owns the object as a whole (`x-kubernetes-map-type: atomic`)."""

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON data under the API's names, without what was not given."""
        return self.model_dump(by_alias=True, exclude_none=True)


class Mark:
    """A remark about a field, found in `FieldInfo.metadata`."""


@dataclass(frozen=True, slots=True)
class Required(Mark):
    """The field must be given and must not be empty."""


@dataclass(frozen=True, slots=True)
class Listed(Mark):
    """The schema says `required`, and yet the server takes an object without the field."""


@dataclass(frozen=True, slots=True)
class MergeKey(Mark):
    """A list of objects merged by the field `key` in strategic merge patches.

    `keys` are the list-map keys of server-side apply where they are more than `key`; none means that the list has no
    list type. `retain_keys` lets a patch name the fields that may stay.
    """

    key: str
    keys: tuple[str, ...] = ()
    retain_keys: bool = False
    list_type: str = "map"


@dataclass(frozen=True, slots=True)
class ListMap(Mark):
    """A list of objects keyed for server-side apply, but replaced as a whole by a strategic merge patch."""

    keys: tuple[str, ...]

    def __init__(self, *keys: str) -> None:
        object.__setattr__(self, "keys", keys)


@dataclass(frozen=True, slots=True)
class ListSet(Mark):
    """A list of unlike scalars; `merge` lets a strategic merge patch add to it instead of replacing it."""

    merge: bool = False


@dataclass(frozen=True, slots=True)
class Atomic(Mark):
    """A list or map that is owned and replaced as a whole; `merge` keeps a patch strategy older than that rule."""

    merge: bool = False


@dataclass(frozen=True, slots=True)
class RetainKeys(Mark):
    """An object whose patch may name, in `$retainKeys`, the only fields that stay."""


@dataclass(frozen=True, slots=True)
class Replace(Mark):
    """An object that a strategic merge patch replaces as a whole."""


@dataclass(frozen=True, slots=True)
class Immutable(Mark):
    """The field keeps the value it was created with."""


@dataclass(frozen=True, slots=True)
class OneOf(Mark):
    """The string must be one of these values."""

    values: tuple[str, ...]

    def __init__(self, *values: str) -> None:
        object.__setattr__(self, "values", values)


@dataclass(frozen=True, slots=True)
class Bounds(Mark):
    """The integer must lie between `low` and `high`, both included; None is no bound."""

    low: int | None = None
    high: int | None = None


@dataclass(frozen=True, slots=True)
class Format(Mark):
    """The OpenAPI type and format of a scalar."""

    type: str
    format: str = ""
    definition: str = ""


REQUIRED = Required()
LISTED = Listed()
ATOMIC = Atomic()
SET = ListSet()
IMMUTABLE = Immutable()
RETAIN_KEYS = RetainKeys()
REPLACE = Replace()
NON_NEGATIVE = Bounds(0)
POSITIVE = Bounds(1)
PORT = Bounds(1, 65535)

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")


@lru_cache(maxsize=4096)
def _moment(text: str, micro: bool) -> str:
    try:
        if not _RFC3339.fullmatch(text):
            raise ValueError(text)
        moment = timestamp.parse(text.upper())
    except ValueError:
        layout = "2006-01-02T15:04:05.000000Z07:00" if micro else "2006-01-02T15:04:05Z07:00"
        raise ValueError(f'parsing time "{text}" as "{layout}": cannot parse "{text}" as "2006"') from None
    return timestamp.format_micro(moment) if micro else timestamp.format(moment)


def _time(text: str) -> str:
    return _moment(text, False)


def _micro_time(text: str) -> str:
    return _moment(text, True)


def _quantity(given: Any) -> str:
    if isinstance(given, bool) or not isinstance(given, str | int | float):
        raise ValueError("quantities are strings or numbers")
    return quantity.canonical(given)


def _int_or_string(given: Any) -> int | str:
    if isinstance(given, bool) or not isinstance(given, str | int):
        raise ValueError("expected an integer or a string")
    return given


def _base64(text: str) -> str:
    try:
        base64.b64decode(text, validate=True)
    except binascii.Error:
        good = re.match(r"[A-Za-z0-9+/]*", text)
        raise ValueError(f"illegal base64 data at input byte {len(good[0]) if good else 0}") from None
    return text


Int32 = Annotated[int, Field(ge=-(2**31), le=2**31 - 1), Format("integer", "int32")]
Int64 = Annotated[int, Field(ge=-(2**63), le=2**63 - 1), Format("integer", "int64")]
Double = Annotated[float, Format("number", "double")]
Time = Annotated[str, AfterValidator(_time), Format("string", "date-time", "io.k8s.apimachinery.pkg.apis.meta.v1.Time")]
"""A moment to the second, normalised to `2026-01-01T00:00:00Z`."""
MicroTime = Annotated[
    str, AfterValidator(_micro_time), Format("string", "date-time", "io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime")
]
"""A moment to the microsecond."""
Quantity = Annotated[
    str, PlainValidator(_quantity), Format("string", "", "io.k8s.apimachinery.pkg.api.resource.Quantity")
]
"""An amount of a resource, in canonical form; numbers are taken too."""
IntOrString = Annotated[
    int | str,
    PlainValidator(_int_or_string),
    Format("string", "int-or-string", "io.k8s.apimachinery.pkg.util.intstr.IntOrString"),
]
"""A number, or a percentage or port name."""
Base64 = Annotated[str, AfterValidator(_base64), Format("string", "byte")]
"""Bytes in base64."""
Json = Any
"""Any JSON value."""
JsonObject = dict[str, Any]
"""Any JSON object."""
