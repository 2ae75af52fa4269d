"""The rules that stand at the fields themselves: required, one of, bounds, immutable.

The marks of a model and of all models below it are compiled once into a plan, a tuple per field that has something to
check, so that checking an object touches no model. `metadata` and `status` have their own rules and are left out.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any

from api.kinds.base import Bounds, Immutable, Model, OneOf, Required
from api.kinds.meta import ObjectMeta
from api.kinds.walk import FieldShape, Shape, fields
from api.types import Object
from api.validation.errors import Errors


@dataclass(frozen=True, slots=True)
class _Check:
    """What to check at one field, and the model below it, if that has checks of its own."""

    name: str
    kind: str
    required: bool
    allowed: tuple[str, ...]
    bounds: Bounds | None
    below: type[Model] | None


def _below(shape: Shape) -> type[Model] | None:
    while shape.item is not None:
        shape = shape.item
    return shape.model


def _find(field: FieldShape, kind: type[Any]) -> Any:
    return next((mark for mark in field.marks if isinstance(mark, kind)), None)


@cache
def _checked(model: type[Model]) -> bool:
    """Whether the model, or one below it, has anything to check."""
    seen: set[type[Model]] = set()
    todo = [model]
    while todo:
        current = todo.pop()
        if current in seen or current is ObjectMeta:
            continue
        seen.add(current)
        for field in fields(current).values():
            if any(isinstance(mark, Required | OneOf | Bounds) for mark in field.marks):
                return True
            below = _below(field.shape)
            if below is not None:
                todo.append(below)
    return False


@cache
def _plan(model: type[Model]) -> tuple[_Check, ...]:
    plan = []
    for field in fields(model).values():
        below = _below(field.shape)
        if field.name == "status" or below is ObjectMeta:
            continue
        allowed, bounds = _find(field, OneOf), _find(field, Bounds)
        required = _find(field, Required) is not None
        deeper = below if below is not None and _checked(below) else None
        if required or allowed or bounds or deeper:
            kind = field.shape.kind
            plan.append(_Check(field.name, kind, required, allowed.values if allowed else (), bounds, deeper))
    return tuple(plan)


def check(model: type[Model], obj: Object, errors: Errors, path: str = "") -> None:
    """Add the declared rules that `obj` breaks; `path` is where it stands."""
    for rule in _plan(model):
        value = obj.get(rule.name)
        if value is None or value == "" or (rule.required and rule.kind != "model" and value in ([], {})):
            if rule.required:
                errors.required(f"{path}{rule.name}")
            elif value == "" and rule.allowed and "" not in rule.allowed:
                errors.unsupported(f"{path}{rule.name}", value, rule.allowed)
            continue
        if rule.allowed:
            _allowed(rule, value, errors, path)
        if rule.bounds and isinstance(value, int):
            _bounds(rule.bounds, value, errors, f"{path}{rule.name}")
        if rule.below:
            _deeper(rule, rule.below, value, errors, f"{path}{rule.name}")


def _allowed(rule: _Check, value: Any, errors: Errors, path: str) -> None:
    if isinstance(value, list):
        for index, each in enumerate(value):
            if each not in rule.allowed:
                errors.unsupported(f"{path}{rule.name}[{index}]", each, rule.allowed)
    elif value not in rule.allowed:
        errors.unsupported(f"{path}{rule.name}", value, rule.allowed)


def _deeper(rule: _Check, model: type[Model], value: Any, errors: Errors, path: str) -> None:
    if rule.kind == "model":
        check(model, value, errors, f"{path}.")
    elif rule.kind == "list":
        for index, each in enumerate(value):
            if isinstance(each, dict):
                check(model, each, errors, f"{path}[{index}].")
    elif rule.kind == "map":
        for key, each in value.items():
            if isinstance(each, dict):
                check(model, each, errors, f"{path}[{key}].")


def _bounds(bounds: Bounds, value: int, errors: Errors, path: str) -> None:
    low, high = bounds.low, bounds.high
    if (low is None or value >= low) and (high is None or value <= high):
        return
    if low is not None and high is None:
        said = f"must be greater than or equal to {low}" if low == 0 else f"must be greater than {low - 1}"
    elif (low, high) == (0, 0o777):
        said = "must be a number between 0 and 0777 (octal), both inclusive"
    elif (low, high) == (1, 100):
        said = "must be in the range 1-100"
    else:
        said = f"must be between {low} and {high}, inclusive"
    errors.invalid(path, value, said)


def check_immutable(model: type[Model], new: Object, old: Object, errors: Errors, path: str = "") -> None:
    """Add the fields marked immutable that differ, in the object itself and its spec."""
    for field in fields(model).values():
        if _find(field, Immutable):
            errors.immutable(f"{path}{field.name}", new.get(field.name), old.get(field.name))
        elif field.name == "spec" and field.shape.model is not None and not path:
            check_immutable(field.shape.model, new.get("spec") or {}, old.get("spec") or {}, errors, "spec.")
