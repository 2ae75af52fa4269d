"""Reading the shape of models: what type a field has, which model stands at a path.

Used off the hot path, by error texts, merging and OpenAPI.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from api.kinds.base import Format, Mark, Model


@dataclass(frozen=True, slots=True)
class Shape:
    """A field's type without its optionality: a model, a scalar, or a list or map of another shape."""

    kind: str
    """`model`, `list`, `map`, `scalar` or `any`."""
    model: type[Model] | None = None
    item: "Shape | None" = None
    scalar: type[Any] | None = None
    format: Format | None = None


@dataclass(frozen=True, slots=True)
class FieldShape:
    """One field of a model under its API name."""

    name: str
    attribute: str
    shape: Shape
    marks: tuple[Mark, ...]


def _shape(annotation: Any, form: Format | None = None) -> Shape:
    origin = get_origin(annotation)
    if origin is Annotated:
        inner, *extra = get_args(annotation)
        return _shape(inner, next((each for each in extra if isinstance(each, Format)), form))
    if form is not None and form.definition:
        return Shape("scalar", scalar=str, format=form)
    if origin in (Union, UnionType):
        return _shape(next(each for each in get_args(annotation) if each is not NoneType), form)
    if origin is list:
        return Shape("list", item=_shape(get_args(annotation)[0]))
    if origin is dict:
        value = get_args(annotation)[1]
        return Shape("any", scalar=dict) if value is Any else Shape("map", item=_shape(value))
    if isinstance(annotation, type) and issubclass(annotation, Model):
        return Shape("model", model=annotation)
    if annotation is Any:
        return Shape("any")
    return Shape("scalar", scalar=annotation, format=form)


@cache
def fields(model: type[Model]) -> dict[str, FieldShape]:
    """The fields of a model by their API names, in order."""
    found = {}
    for attribute, info in model.model_fields.items():
        name = info.alias or attribute
        own = tuple(each for each in info.metadata if isinstance(each, Mark))
        form = next((each for each in own if isinstance(each, Format)), None)
        found[name] = FieldShape(name, attribute, _shape(info.annotation, form), own)
    return found


def models_of(model: type[Model]) -> Iterator[type[Model]]:
    """The model and every model reachable from it, each once."""
    seen = {model}
    todo = [model]
    while todo:
        current = todo.pop()
        yield current
        for field in fields(current).values():
            shape: Shape | None = field.shape
            while shape is not None and shape.item is not None:
                shape = shape.item
            if shape is not None and shape.model is not None and shape.model not in seen:
                seen.add(shape.model)
                todo.append(shape.model)


def field_owner(model: type[Model], loc: tuple[int | str, ...]) -> tuple[str, str]:
    """The name of the model that declares the field at `loc`, and the name of that field's type as Go would say it."""
    owner, shape = "", Shape("model", model=model)
    for part in loc:
        if shape.kind == "model" and shape.model is not None and isinstance(part, str):
            field = fields(shape.model).get(part)
            if field is None:
                return shape.model.__name__, ""
            owner, shape = shape.model.__name__, field.shape
        elif shape.item is not None:
            shape = shape.item
    return owner, _type_name(shape)


def _type_name(shape: Shape) -> str:
    if shape.kind == "model" and shape.model is not None:
        return shape.model.__name__
    if shape.kind == "list" and shape.item is not None:
        return "[]" + _type_name(shape.item)
    if shape.kind == "map" and shape.item is not None:
        return "map[string]" + _type_name(shape.item)
    if shape.format and shape.format.format in ("int32", "int64"):
        return shape.format.format
    if shape.scalar is None:
        return "object"
    return {"str": "string", "float": "float64"}.get(shape.scalar.__name__, shape.scalar.__name__)
