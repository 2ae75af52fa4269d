"""The OpenAPI documents: one of version 2 for the whole server, one of version 3 for each group and version."""

from collections.abc import Iterable, Sequence
from typing import Any

from api.kinds.meta import DeleteOptions, Status
from api.openapi.definitions import PATCH, Schemas, kind_of
from api.openapi.operations import Operation, operations
from api.resources import ALL
from api.types import Object, Resource

VERSION = "v1.36.0"
PATCH_TYPES = (
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
)
_BODY_TYPES = ("application/json", "application/yaml")
_STREAMS = ("application/json;stream=watch",)
_CODES = {"post": ("200", "201", "202"), "put": ("200", "201"), "patch": ("200", "201"), "delete": ("200", "202")}
_WORDS = {"200": "OK", "201": "Created", "202": "Accepted"}


def _info() -> Object:
    return {"title": "Kubernetes", "version": VERSION}


def group_versions(resources: Sequence[Resource] = ALL) -> list[str]:
    """The names of the version 3 documents, as they stand in `/openapi/v3`: `api/v1`, `apis/apps/v1`."""
    return sorted({resource.path_prefix.removeprefix("/") for resource in resources})


def document_v2(resources: Sequence[Resource] = ALL) -> Object:
    """The one OpenAPI 2.0 document of these resources, for `/openapi/v2`."""
    schemas = Schemas("#/definitions/", v3=False)
    schemas.common(sorted({(each.group, each.version) for each in resources}))
    paths: dict[str, Object] = {}
    for operation in _all(resources):
        item = paths.setdefault(operation.path, {"parameters": _path_parameters(operation.path, v3=False)})
        item[operation.method] = _operation_v2(operation, schemas)
    return {
        "swagger": "2.0",
        "info": _info(),
        "paths": dict(sorted(paths.items())),
        "definitions": dict(sorted(schemas.found.items())),
        "securityDefinitions": {
            "BearerToken": {"type": "apiKey", "name": "authorization", "in": "header", "description": "A bearer token."}
        },
        "security": [{"BearerToken": []}],
    }


def document_v3(group_version: str, resources: Sequence[Resource] = ALL) -> Object:
    """The OpenAPI 3.0 document of one group and version (`apis/apps/v1`), for `/openapi/v3/apis/apps/v1`."""
    served = [each for each in resources if each.path_prefix == f"/{group_version}"]
    schemas = Schemas("#/components/schemas/", v3=True)
    schemas.common(sorted({(each.group, each.version) for each in served}))
    paths: dict[str, Object] = {}
    for operation in _all(served):
        item = paths.setdefault(operation.path, {"parameters": _path_parameters(operation.path, v3=True)})
        item[operation.method] = _operation_v3(operation, schemas)
    return {
        "openapi": "3.0.0",
        "info": _info(),
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": dict(sorted(schemas.found.items())),
            "securitySchemes": {
                "BearerToken": {
                    "type": "apiKey",
                    "name": "authorization",
                    "in": "header",
                    "description": "A bearer token.",
                }
            },
        },
    }


def _all(resources: Iterable[Resource]) -> Iterable[Operation]:
    for resource in resources:
        yield from operations(resource)


def _path_parameters(path: str, *, v3: bool) -> list[Object]:
    found = []
    for name, said in (("namespace", "The namespace."), ("name", "The object's name.")):
        if f"{{{name}}}" in path:
            found.append(_parameter(name, "string", said, "path", v3=v3))
    return found


def _parameter(name: str, kind: str, said: str, place: str, *, v3: bool) -> Object:
    typed: Object = {"type": kind, "uniqueItems": True}
    found: Object = {"name": name, "in": place, "description": said}
    if place == "path":
        found["required"] = True
    return {**found, "schema": typed} if v3 else {**found, **typed}


def _schema(word: str, operation: Operation, schemas: Schemas) -> Object:
    """The schema of a body or answer, by the word that names it."""
    if word == "other" and operation.other is not None:
        return schemas.other_kind(*operation.other)
    if word == "list":
        return schemas.list_kind(operation.resource)
    if word == "options":
        return schemas.model(DeleteOptions)
    if word == "status":
        return schemas.model(Status)
    if word == "patch":
        return schemas.reference(PATCH)
    if word == "text":
        return {"type": "string"}
    return schemas.kind(operation.resource)


def _common(operation: Operation) -> Object:
    resource = operation.resource
    place = (resource.group or "core").split(".")[0]
    kind = kind_of(resource.group, resource.version, resource.kind)
    if operation.other is not None:
        model, group, version = operation.other
        kind = kind_of(group, version, model.__name__)
    if operation.action == "connect":
        # kubectl takes any PATCH that bears a kind's name for the one that changes it; a proxy's PATCH is not.
        words = {"portforward": "PortForward"}.get(operation.subresource, operation.subresource.capitalize())
        kind = kind_of(resource.group, resource.version, f"{resource.kind}{words}Options")
    what = f"{operation.subresource} of {resource.kind}" if operation.subresource else resource.kind
    return {
        "description": f"{operation.action} {what}",
        "operationId": operation.identity,
        "tags": [f"{place}_{resource.version}"],
        "x-kubernetes-action": operation.action,
        "x-kubernetes-group-version-kind": kind,
    }


def _operation_v2(operation: Operation, schemas: Schemas) -> Object:
    parameters = [_parameter(*each, "query", v3=False) for each in operation.parameters]
    if operation.body:
        body: Object = {"name": "body", "in": "body", "schema": _schema(operation.body, operation, schemas)}
        parameters.insert(0, {**body, "required": True} if operation.body != "options" else body)
    answer = {} if operation.answer == "text" else {"schema": _schema(operation.answer, operation, schemas)}
    found = {
        **_common(operation),
        "consumes": list(PATCH_TYPES) if operation.body == "patch" else ["*/*"],
        "produces": [*_BODY_TYPES, *(_STREAMS if operation.action == "list" else ())],
        "schemes": ["https"],
        "parameters": parameters,
        "responses": {code: {"description": _WORDS[code], **answer} for code in _CODES.get(operation.method, ("200",))},
    }
    found["responses"]["401"] = {"description": "Unauthorized"}
    return found


def _operation_v3(operation: Operation, schemas: Schemas) -> Object:
    found: dict[str, Any] = {
        **_common(operation),
        "parameters": [_parameter(*each, "query", v3=True) for each in operation.parameters],
    }
    if operation.body:
        schema = _schema(operation.body, operation, schemas)
        types = PATCH_TYPES if operation.body == "patch" else ("*/*",)
        found["requestBody"] = {"content": {each: {"schema": schema} for each in types}}
        if operation.body != "options":
            found["requestBody"]["required"] = True
    answer = _schema(operation.answer, operation, schemas)
    types = (*_BODY_TYPES, *(_STREAMS if operation.action == "list" else ()))
    content = {each: {"schema": answer} for each in types}
    found["responses"] = {
        code: {"description": _WORDS[code], "content": content} for code in _CODES.get(operation.method, ("200",))
    }
    found["responses"]["401"] = {"description": "Unauthorized"}
    return found
