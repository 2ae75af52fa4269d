"""Requests that change objects: create, patch, replace, with dry runs, field validation and the server's warnings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

from api.types import Object, Resource
from cloudctl.faults import Fault
from cloudctl.session import Session

MANAGER = "cloudctl"
PATCH_TYPES = {
    "strategic": "application/strategic-merge-patch+json",
    "merge": "application/merge-patch+json",
    "json": "application/json-patch+json",
    "apply": "application/apply-patch+yaml",
}
DRY_RUNS = ("none", "client", "server")


@dataclass(frozen=True)
class Options:
    """How to write: `dry_run` is none, client or server; `validate` is strict, warn or ignore."""

    dry_run: str = "none"
    validate: str = "strict"
    manager: str = MANAGER
    force: bool = False

    @property
    def note(self) -> str:
        """What is appended to a line such as `pod/web created`."""
        return {"client": " (dry run)", "server": " (server dry run)"}.get(self.dry_run, "")

    @property
    def params(self) -> dict[str, str]:
        """The query parameters."""
        return {
            "dryRun": "All" if self.dry_run == "server" else "",
            "fieldManager": self.manager,
            "fieldValidation": self.validate.capitalize(),
        }


def options(dry_run: str = "none", validate: str = "strict", manager: str = MANAGER, *, force: bool = False) -> Options:
    """Checked options. Raises Fault."""
    if dry_run not in DRY_RUNS:
        raise Fault(f'invalid dry-run value ({dry_run}); must be "none", "server", or "client"')
    meaning = {"true": "strict", "false": "ignore", "strict": "strict", "warn": "warn", "ignore": "ignore"}
    if validate not in meaning:
        raise Fault(f'invalid --validate value ({validate}); must be "strict", "warn" or "ignore"')
    return Options(dry_run, meaning[validate], manager, force)


async def create(session: Session, resource: Resource, obj: Object, namespace: str | None, how: Options) -> Object:
    """POST an object. Raises ApiError."""
    return await _send(session, "POST", resource.path(namespace), obj, how.params, "application/json")


async def replace(
    session: Session, resource: Resource, obj: Object, namespace: str | None, how: Options, *, subresource: str = ""
) -> Object:
    """PUT an object. Raises ApiError."""
    path = resource.path(namespace, obj["metadata"]["name"], subresource or None)
    return await _send(session, "PUT", path, obj, how.params, "application/json")


async def patch(
    session: Session,
    resource: Resource,
    name: str,
    namespace: str | None,
    change: Any,
    how: Options,
    *,
    kind: str = "strategic",
    subresource: str = "",
) -> Object:
    """PATCH an object; a kind of object that has no merge keys takes a merge patch instead. Raises ApiError."""
    if kind == "strategic" and not resource.model:
        kind = "merge"
    params = {**how.params, "force": "true" if how.force and kind == "apply" else ""}
    path = resource.path(namespace, name, subresource or None)
    return await _send(session, "PATCH", path, change, params, PATCH_TYPES[kind])


async def _send(
    session: Session, method: str, path: str, body: Any, params: dict[str, str], content_type: str
) -> Object:
    response = await session.client.raw(
        method, path, params=params, body=orjson.dumps(body), headers={"Content-Type": content_type}
    )
    for warning in response.headers.get_list("warning"):
        session.warn(f"Warning: {_warning_text(warning)}")
    answer: Object = orjson.loads(response.content)
    return answer


def _warning_text(header: str) -> str:
    """The text of a `299 - "text"` header (RFC 7234, 5.5)."""
    _, quote, rest = header.partition('"')
    return rest.rpartition('"')[0].replace('\\"', '"').replace("\\\\", "\\") if quote else header


async def post(session: Session, path: str, body: Object) -> Object:
    """POST to a path that stores nothing, such as a review or a token request. Raises ApiError."""
    return await _send(session, "POST", path, body, {}, "application/json")
