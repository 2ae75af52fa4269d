"""The three patches a client may send: JSON merge patch (RFC 7386), JSON patch (RFC 6902), strategic merge patch.

None changes its arguments. A result may share unchanged parts with `current`, so it is as read-only as that. Wrongly
formed patches are BadRequest, patches that cannot be applied to this object are Invalid. Source for the third: the
Kubernetes page "Update API Objects in Place Using kubectl patch" and the strategic-merge-patch proposal.
"""

from copy import deepcopy
from typing import Any, NoReturn

import jsonpatch
from jsonpointer import JsonPointerException

from api.errors import BadRequest, Invalid, RequestEntityTooLarge
from api.kinds.base import ListSet, MergeKey, Model, Replace
from api.kinds.walk import FieldShape, Shape, fields
from api.types import Object

MAX_OPERATIONS = 10_000
PATCH = "$patch"
RETAIN_KEYS = "$retainKeys"
SET_ORDER = "$setElementOrder/"
DELETE_PRIMITIVES = "$deleteFromPrimitiveList/"

_OPERATIONS = {"add", "remove", "replace", "move", "copy", "test"}


def json_merge(current: Any, patch: Any) -> Any:
    """`current` with a JSON merge patch applied: objects merge, null deletes, everything else replaces."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(current) if isinstance(current, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = json_merge(merged.get(key), value)
    return merged


def json_patch(current: Object, operations: Any) -> Object:
    """`current` with a list of JSON patch operations applied, all or none."""
    if not isinstance(operations, list):
        raise BadRequest("json: cannot unmarshal object into Go value of type jsonpatch.Patch")
    if len(operations) > MAX_OPERATIONS:
        raise RequestEntityTooLarge(
            f"The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {len(operations)}"
        )
    for operation in operations:
        if not isinstance(operation, dict) or operation.get("op") not in _OPERATIONS:
            raise BadRequest(f"{operation} is no JSON patch operation")
        if not isinstance(operation.get("path"), str):
            raise BadRequest(f"JSON patch operation {operation} names no path")
    patched: Any = deepcopy(current)
    for operation in operations:
        patched = _operate(patched, operation)
    if not isinstance(patched, dict):
        raise Invalid("the JSON patch leaves no object")
    return patched


def _operate(document: Any, operation: Object) -> Any:
    """One operation, on a document that may be changed. Raises Invalid that says which operation failed and where."""
    word, path = operation["op"], operation["path"]
    try:
        return jsonpatch.apply_patch(document, [operation], in_place=True)
    except jsonpatch.JsonPatchTestFailed as error:
        raise Invalid(f"testing value {path} failed: test failed") from error
    except (jsonpatch.InvalidJsonPatch, TypeError) as error:
        raise Invalid(f'{word} operation does not apply to "{path}"') from error
    except (jsonpatch.JsonPatchException, JsonPointerException, KeyError) as error:
        missing = operation.get("from", path) if word in ("move", "copy") else path
        raise Invalid(f'{word} operation does not apply: doc is missing path: "{missing}": missing value') from error


def strategic_merge(model: type[Model], current: Object, patch: Any) -> Object:
    """`current` with a strategic merge patch applied; `model` says which lists merge by which key."""
    if not isinstance(patch, dict):
        raise BadRequest("a strategic merge patch is a JSON object")
    return _merge_map(model, current, patch)


def _merge_map(model: type[Model] | None, current: Object, patch: Object) -> Object:
    directive = patch.get(PATCH)
    if directive is not None:
        rest = {key: value for key, value in patch.items() if key != PATCH}
        if directive == "replace":
            return _merge_map(model, {}, rest)
        if directive == "delete":
            return {}
        if directive != "merge":
            raise Invalid(f"unknown patch type {directive!r} in the patch")
        patch = rest
    merged = _retain(dict(current), patch)
    known = fields(model) if model else {}
    for key, value in patch.items():
        if key.startswith(DELETE_PRIMITIVES):
            _delete_primitives(merged, key.removeprefix(DELETE_PRIMITIVES), value)
        elif key.startswith(SET_ORDER) or key == RETAIN_KEYS:
            continue
        elif value is None:
            merged.pop(key, None)
        else:
            merged[key] = _merge_value(known.get(key), merged.get(key), value)
    for key, value in patch.items():
        if key.startswith(SET_ORDER):
            name = key.removeprefix(SET_ORDER)
            _set_order(known.get(name), name, merged, current.get(name), patch.get(name), value)
    return merged


def _merge_value(field: FieldShape | None, current: Any, patch: Any) -> Any:
    shape = field.shape if field else Shape("any")
    if isinstance(patch, dict):
        if shape.kind == "any":
            # free-form data knows no directives; it merges as JSON does
            return json_merge(current, patch)
        if field is not None and any(isinstance(mark, Replace) for mark in field.marks):
            return {key: value for key, value in patch.items() if key != PATCH}
        return _merge_map(_item_model(shape), current if isinstance(current, dict) else {}, patch)
    if isinstance(patch, list) and field is not None:
        present = current if isinstance(current, list) else []
        for mark in field.marks:
            if isinstance(mark, MergeKey):
                return _merge_objects(field, mark.key, present, patch)
            if getattr(mark, "merge", False):
                return _merge_scalars(present, patch)
        return [each for each in patch if not (isinstance(each, dict) and PATCH in each)]
    return patch


def _item_model(shape: Shape) -> type[Model] | None:
    """The model below a field: of the object, or of a list's elements."""
    if shape.kind == "list" and shape.item:
        return shape.item.model
    return shape.model


def _retain(merged: Object, patch: Object) -> Object:
    keep = patch.get(RETAIN_KEYS)
    if keep is None:
        return merged
    if not isinstance(keep, list):
        _bad_format(RETAIN_KEYS)
    if any(value is not None and key[0] != "$" and key not in keep for key, value in patch.items()):
        _bad_format(RETAIN_KEYS)
    return {key: value for key, value in merged.items() if key in keep}


def _delete_primitives(merged: Object, key: str, values: Any) -> None:
    if not isinstance(values, list):
        _bad_format(DELETE_PRIMITIVES + key)
    present = merged.get(key)
    if isinstance(present, list):
        merged[key] = [each for each in present if each not in values]


def _merge_scalars(current: list[Any], patch: list[Any]) -> list[Any]:
    if any(isinstance(each, dict | list) for each in patch):
        raise Invalid("a list of scalars cannot be merged with one of objects or lists")
    merged = list(dict.fromkeys([*current, *patch]))
    return _in_order(merged, patch, current, "")


def _merge_objects(field: FieldShape, key: str, current: list[Any], patch: list[Any]) -> list[Any]:
    """Elements with equal `key` merge; `$patch: delete` removes one, `$patch: replace` anywhere replaces the list."""
    model = _item_model(field.shape)
    deleted, plain, replace = [], [], False
    for element in patch:
        directive = element.get(PATCH) if isinstance(element, dict) else None
        if directive == "delete":
            deleted.append(_key_of(element, key))
        elif directive == "replace":
            replace = True
        elif directive is None or directive == "merge":
            plain.append(element)
        else:
            raise Invalid(f"unknown patch type {directive!r} in the patch")
    if replace:
        return [_merge_map(model, {}, each) for each in plain]
    merged = [each for each in current if not (isinstance(each, dict) and each.get(key) in deleted)]
    for element in plain:
        wanted = _key_of(element, key)
        at = next((i for i, each in enumerate(merged) if each.get(key) == wanted), None)
        if at is None:
            merged.append(_merge_map(model, {}, element))
        else:
            merged[at] = _merge_map(model, merged[at], element)
    return _in_order(merged, plain, current, key)


def _key_of(element: Any, key: str) -> Any:
    if not isinstance(element, dict) or key not in element:
        raise Invalid(f"map: {element} does not contain declared merge key: {key}")
    return element[key]


def _identity(element: Any, key: str) -> Any:
    return element.get(key) if key and isinstance(element, dict) else element


def _in_order(merged: list[Any], wanted: list[Any], server: list[Any], key: str) -> list[Any]:
    """The elements that `wanted` names in its order; the others keep their place relative to those of `server`."""
    order = [_identity(each, key) for each in wanted]
    before = [_identity(each, key) for each in server]
    named = [each for each in merged if _identity(each, key) in order]
    named.sort(key=lambda each: order.index(_identity(each, key)))
    others = [each for each in merged if _identity(each, key) not in order]
    result: list[Any] = []
    while named and others:
        left, right = _identity(others[0], key), _identity(named[0], key)
        first = left in before and right in before and before.index(left) < before.index(right)
        result.append(others.pop(0) if first else named.pop(0))
    return result + others + named


def _set_order(field: FieldShape | None, name: str, merged: Object, server: Any, given: Any, order: Any) -> None:
    if not isinstance(order, list):
        _bad_format(SET_ORDER + name)
    present = merged.get(name)
    if not isinstance(present, list):
        return
    mark = next((each for each in field.marks if isinstance(each, MergeKey | ListSet)), None) if field else None
    key = mark.key if isinstance(mark, MergeKey) else ""
    wanted = [_identity(each, key) for each in order]
    plain = [each for each in given or () if not (isinstance(each, dict) and PATCH in each)]
    places = [wanted.index(_identity(each, key)) for each in plain if _identity(each, key) in wanted]
    if len(places) < len(plain) or places != sorted(places):
        raise BadRequest(f"The order in patch list:\n{plain}\n doesn't match {SET_ORDER}{name} list:\n{order}\n")
    merged[name] = _in_order(present, order, server if isinstance(server, list) else [], key)


def _bad_format(directive: str) -> NoReturn:
    raise BadRequest(f"invalid patch format of {directive}")
