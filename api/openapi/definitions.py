"""Models as OpenAPI schemas, under the names that Kubernetes gives them.

Both versions of OpenAPI are written from the same walk; they differ in how they refer (`#/definitions` and
`#/components/schemas`) and in what stands beside a reference.
"""

from collections.abc import Callable, Iterable
from typing import Any

from pydantic_core import PydanticUndefined

from api import kinds
from api.kinds import explain
from api.kinds.base import Atomic, Listed, ListMap, ListSet, MergeKey, Model, OneOf, Replace, Required, RetainKeys
from api.kinds.meta import DeleteOptions, ListMeta, Status
from api.kinds.walk import FieldShape, Shape, fields
from api.types import Object, Resource

_META = "io.k8s.apimachinery.pkg.apis.meta.v1"
QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"
INT_OR_STRING = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"
TIME, MICRO_TIME = f"{_META}.Time", f"{_META}.MicroTime"
PATCH, WATCH_EVENT = f"{_META}.Patch", f"{_META}.WatchEvent"
_PACKAGES = {
    "meta": _META,
    "autoscaling": "io.k8s.api.autoscaling.v2",
    "autoscaling_v1": "io.k8s.api.autoscaling.v1",
    "apiextensions": "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1",
    "apiregistration": "io.k8s.kube-aggregator.pkg.apis.apiregistration.v1",
}


def definition_name(model: type[Model]) -> str:
    """`io.k8s.api.core.v1.Pod` for the model of a pod."""
    module = model.__module__.removeprefix("api.kinds.").split(".")[0]
    package = _PACKAGES.get(module, f"io.k8s.api.{module}.v1")
    name = model.__name__
    return f"{package}.{name.removesuffix('V1') if module == 'autoscaling_v1' else name}"


def kind_of(group: str, version: str, kind: str) -> Object:
    """The `x-kubernetes-group-version-kind` of one kind."""
    return {"group": group, "kind": kind, "version": version}


class Schemas:
    """Collects the schemas that are referred to, each once; `found` holds them by name."""

    def __init__(self, prefix: str, *, v3: bool) -> None:
        self.prefix = prefix
        self.v3 = v3
        self.found: dict[str, Object] = {}
        self._kinds: dict[str, list[Object]] = {}
        self._scalars: dict[str, Callable[[], Object]] = {
            TIME: lambda: {"type": "string", "format": "date-time", "description": explain.of("Time")},
            MICRO_TIME: lambda: {"type": "string", "format": "date-time", "description": explain.of("MicroTime")},
            QUANTITY: self._quantity,
            INT_OR_STRING: self._int_or_string,
            PATCH: lambda: {"type": "object", "description": explain.of("Patch")},
            WATCH_EVENT: self._watch_event,
        }

    def reference(self, name: str) -> Object:
        """A reference to a scalar definition, which is added if it is new."""
        if name not in self.found:
            self.found[name] = {}
            self.found[name] = self._scalars[name]()
        return {"$ref": self.prefix + name}

    def model(self, model: type[Model]) -> Object:
        """A reference to a model's definition, which is added with all below it if it is new."""
        name = definition_name(model)
        if name not in self.found:
            self.found[name] = {}  # a model may refer to itself
            self.found[name] = self._object(model)
        return {"$ref": self.prefix + name}

    def kind(self, resource: Resource) -> Object:
        """A reference to a resource's own kind, marked with its group, version and kind."""
        model = kinds.load(resource)
        reference = self.model(model)
        self._mark(definition_name(model), resource.group, resource.version, resource.kind)
        return reference

    def other_kind(self, model: type[Model], group: str, version: str) -> Object:
        """A reference to a kind that is only a subresource's body: Scale, Eviction, TokenRequest."""
        reference = self.model(model)
        self._mark(definition_name(model), group, version, model.__name__)
        return reference

    def list_kind(self, resource: Resource) -> Object:
        """A reference to the List of a resource."""
        name = definition_name(kinds.load(resource)) + "List"
        if name not in self.found:
            self.found[name] = {
                "description": f"A list of {resource.kind} objects.",
                "type": "object",
                "required": ["items"],
                "properties": {
                    "apiVersion": {"type": "string", "description": explain.of("Kind.apiVersion")},
                    "items": {
                        "type": "array",
                        "description": "The objects.",
                        "items": self._beside(self.kind(resource), {}),
                    },
                    "kind": {"type": "string", "description": explain.of("Kind.kind")},
                    "metadata": self._beside(self.model(ListMeta), {"description": explain.of("List.metadata")}),
                },
            }
            self._mark(name, resource.group, resource.version, f"{resource.kind}List")
        return {"$ref": self.prefix + name}

    def common(self, versions: Iterable[tuple[str, str]]) -> None:
        """Add what every operation refers to: Status, DeleteOptions, Patch, WatchEvent."""
        self.other_kind(Status, "", "v1")
        self.model(DeleteOptions)
        for group, version in versions:
            self._mark(definition_name(DeleteOptions), group, version, "DeleteOptions")
            self.reference(WATCH_EVENT)
            self._mark(WATCH_EVENT, group, version, "WatchEvent")
        self.reference(PATCH)

    def _mark(self, name: str, group: str, version: str, kind: str) -> None:
        marks = self.found[name].setdefault("x-kubernetes-group-version-kind", [])
        mark = kind_of(group, version, kind)
        if mark not in marks:
            marks.append(mark)

    def _object(self, model: type[Model]) -> Object:
        known = fields(model)
        schema: Object = {"description": explain.of_model(model), "type": "object"}
        if known:
            schema["properties"] = {name: self._field(model, field) for name, field in sorted(known.items())}
        required = sorted(
            field.name for field in known.values() if any(isinstance(m, Required | Listed) for m in field.marks)
        )
        if required:
            schema["required"] = required
        if model.ATOMIC_MAP:
            schema["x-kubernetes-map-type"] = "atomic"
        return schema

    def _field(self, model: type[Model], field: FieldShape) -> Object:
        said = explain.of_field(model, field.name)
        extra: Object = {"description": said} if said else {}
        for mark in field.marks:
            extra |= _extensions(mark, field.shape)
        schema = self._shape(field.shape)
        allowed = next((mark.values for mark in field.marks if isinstance(mark, OneOf)), None)
        if allowed and field.shape.kind == "scalar":
            schema["enum"] = sorted(allowed)
        if field.shape.kind == "scalar":
            default = model.model_fields[field.attribute].default
            if default is not None and default is not PydanticUndefined:
                extra["default"] = default
        return self._beside(schema, extra)

    def _beside(self, schema: Object, extra: Object) -> Object:
        """A schema with more said about it; OpenAPI 3.0 lets nothing stand beside a reference, so it is wrapped."""
        if self.v3 and "$ref" in schema:
            return {"allOf": [schema], **extra} if extra else {"allOf": [schema]}
        return {**schema, **extra}

    def _shape(self, shape: Shape) -> Object:
        if shape.kind == "model" and shape.model is not None:
            return self.model(shape.model)
        if shape.kind == "list" and shape.item is not None:
            return {"type": "array", "items": self._beside(self._shape(shape.item), {})}
        if shape.kind == "map" and shape.item is not None:
            return {"type": "object", "additionalProperties": self._beside(self._shape(shape.item), {})}
        if shape.kind == "any":
            return {"type": "object"} if shape.scalar is dict else {}
        form = shape.format
        if form is not None and form.definition:
            return self.reference(form.definition)
        if form is not None:
            return {"type": form.type, "format": form.format} if form.format else {"type": form.type}
        return {"type": {"str": "string", "bool": "boolean"}.get(getattr(shape.scalar, "__name__", ""), "string")}

    def _quantity(self) -> Object:
        said = {"description": explain.of("Quantity")}
        return {**said, "oneOf": [{"type": "string"}, {"type": "number"}]} if self.v3 else {**said, "type": "string"}

    def _int_or_string(self) -> Object:
        said = {"description": explain.of("IntOrString"), "format": "int-or-string"}
        return {**said, "oneOf": [{"type": "integer"}, {"type": "string"}]} if self.v3 else {**said, "type": "string"}

    def _watch_event(self) -> Object:
        return {
            "description": explain.of("WatchEvent"),
            "type": "object",
            "required": ["type", "object"],
            "properties": {
                "object": {"type": "object", "description": explain.of("WatchEvent.object")},
                "type": {"type": "string", "description": explain.of("WatchEvent.type")},
            },
        }


def _extensions(mark: Any, shape: Shape) -> Object:
    """What a mark adds to its field."""
    if isinstance(mark, MergeKey):
        strategy = "merge,retainKeys" if mark.retain_keys else "merge"
        added: Object = {"x-kubernetes-patch-merge-key": mark.key, "x-kubernetes-patch-strategy": strategy}
        if mark.list_type:
            added["x-kubernetes-list-type"] = mark.list_type
        if mark.list_type == "map":
            added["x-kubernetes-list-map-keys"] = list(mark.keys or (mark.key,))
        return added
    if isinstance(mark, ListMap):
        return {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": list(mark.keys)}
    if isinstance(mark, ListSet | Atomic):
        word = "set" if isinstance(mark, ListSet) else "atomic"
        side = "list" if shape.kind == "list" else "map"
        added = {f"x-kubernetes-{side}-type": word}
        return added | ({"x-kubernetes-patch-strategy": "merge"} if mark.merge else {})
    if isinstance(mark, Replace):
        return {"x-kubernetes-patch-strategy": "replace"}
    if isinstance(mark, RetainKeys):
        return {"x-kubernetes-patch-strategy": "retainKeys"}
    return {}
