"""The REST client: one connection pool over one or more API servers, every failure an `ApiError`.

Requests that never reached a server, and reads, are tried again on the next server of the kubeconfig; writes that may have
arrived are not, because only the caller knows whether to repeat them.
"""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import httpx
import orjson

from api.errors import ApiError, InternalError, ServiceUnavailable
from api.meta import name as name_of
from api.meta import namespace as namespace_of
from api.types import Object, Resource
from client import kubeconfig
from client.kubeconfig import Kubeconfig
from client.transport import Transport

PatchKind = Literal["merge", "strategic", "json", "apply"]
_PATCH_TYPES: dict[str, str] = {
    "merge": "application/merge-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "json": "application/json-patch+json",
    "apply": "application/apply-patch+yaml",
}
_CONNECT_SECONDS, _REQUEST_SECONDS = 3.0, 30.0
# The server sends a bookmark about every minute, so a silent watch is a dead one.
_WATCH_SILENCE_SECONDS = 90.0
_METADATA_ONLY = "application/json;as={};g=meta.k8s.io;v=v1,application/json"


class ApiClient:
    """Kubernetes API verbs on plain objects. Use as an async context manager, or call `close`."""

    def __init__(
        self, config: Kubeconfig, user_agent: str = "cloudlet", *, headers: dict[str, str] | None = None
    ) -> None:
        self.config = config
        self._server = 0
        self._http = httpx.AsyncClient(
            transport=Transport(config.ssl_context()),
            headers={"User-Agent": user_agent, "Accept": "application/json", **(headers or {})},
            timeout=httpx.Timeout(_REQUEST_SECONDS, connect=_CONNECT_SECONDS),
            trust_env=False,
        )

    @classmethod
    def from_kubeconfig(cls, path: str | Path, user_agent: str = "cloudlet", context: str = "") -> Self:
        """A client for a kubeconfig's context. Raises KubeconfigError."""
        return cls(kubeconfig.load(path, context), user_agent)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close every connection."""
        await self._http.aclose()

    @property
    def server(self) -> str:
        """The API server that requests go to now."""
        return self.config.servers[self._server]

    def authorization(self) -> dict[str, str]:
        """The header that says who we are, if a certificate does not."""
        if token := self.config.bearer():
            return {"Authorization": f"Bearer {token}"}
        if self.config.username:
            pair = f"{self.config.username}:{self.config.password}".encode()
            return {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}
        return {}

    def _request(
        self, method: str, path: str, params: dict[str, Any] | None, body: bytes | None, headers: dict[str, str]
    ) -> httpx.Request:
        extensions = {"sni_hostname": self.config.server_name} if self.config.server_name else {}
        return self._http.build_request(
            method,
            self.server + path,
            params={k: v for k, v in (params or {}).items() if v not in (None, "")},
            content=body,
            headers=self.authorization() | headers,
            extensions=extensions,
        )

    async def _send(
        self,
        method: str,
        path: str,
        params: dict[str, Any] | None = None,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
        *,
        stream: bool = False,
        silence: float | None = None,
    ) -> httpx.Response:
        error: httpx.TransportError | None = None
        # One try a server, and a second on a lone one: a kept-alive connection may have died while idle.
        for _ in range(max(2, len(self.config.servers))):
            request = self._request(method, path, params, body, headers or {})
            if silence:
                request.extensions["timeout"] = {
                    "connect": _CONNECT_SECONDS, "read": silence, "write": _REQUEST_SECONDS, "pool": _REQUEST_SECONDS,
                }  # fmt: skip
            try:
                return await self._http.send(request, stream=stream)
            except httpx.TransportError as failure:
                error = failure
                unsent = isinstance(failure, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout)
                self._server = (self._server + 1) % len(self.config.servers)
                if not unsent and method != "GET":
                    break
        why = str(error) or type(error).__name__
        raise ServiceUnavailable(
            f"the API server {request.url.host}:{request.url.port} does not answer: {why}"
        ) from error

    async def raw(
        self,
        method: str,
        path: str,
        *,
        params: dict[str, Any] | None = None,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> httpx.Response:
        """Any request; the response is read whole. Raises ApiError for a status of 400 and above."""
        response = await self._send(method, path, params, body, headers)
        if response.status_code >= 400:
            raise _error(response)
        return response

    async def stream(
        self,
        path: str,
        *,
        params: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
        silence: float | None = None,
    ) -> AsyncIterator[bytes]:
        """A GET whose body arrives in pieces (logs). `silence` is the longest pause in seconds, None for the usual."""
        response = await self._send("GET", path, params, headers=headers, stream=True, silence=silence)
        try:
            if response.status_code >= 400:
                await response.aread()
                raise _error(response)
            async for piece in response.aiter_bytes():
                yield piece
        except httpx.TransportError as error:
            raise ServiceUnavailable(f"the stream broke off: {error}") from error
        finally:
            await response.aclose()

    async def _json(
        self, method: str, path: str, params: dict[str, Any] | None = None, body: Any = None, content_type: str = ""
    ) -> Object:
        data = orjson.dumps(body) if body is not None else None
        headers = {"Content-Type": content_type or "application/json"} if data is not None else {}
        response = await self.raw(method, path, params=params, body=data, headers=headers)
        return _decoded(response.content)

    async def get(
        self, resource: Resource, name: str, namespace: str | None = None, *, subresource: str | None = None
    ) -> Object:
        """One object. Raises NotFound."""
        return await self._json("GET", resource.path(namespace, name, subresource))

    async def list(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        label_selector: str = "",
        field_selector: str = "",
        limit: int = 0,
        continue_token: str = "",
        resource_version: str = "",
        metadata_only: bool = False,
    ) -> Object:
        """A List object. Raises Expired when a continue token is too old."""
        params = {
            "labelSelector": label_selector,
            "fieldSelector": field_selector,
            "limit": limit or "",
            "continue": continue_token,
            "resourceVersion": resource_version,
        }
        headers = {"Accept": _METADATA_ONLY.format("PartialObjectMetadataList")} if metadata_only else None
        response = await self.raw("GET", resource.path(namespace), params=params, headers=headers)
        return _decoded(response.content)

    async def create(
        self,
        resource: Resource,
        obj: Object,
        namespace: str | None = None,
        *,
        name: str | None = None,
        subresource: str | None = None,
        dry_run: bool = False,
    ) -> Object:
        """Create an object, or post to a subresource of `name`. Raises AlreadyExists, Invalid, Forbidden."""
        space = namespace or obj.get("metadata", {}).get("namespace")
        path = resource.path(space, name, subresource)
        body = {"apiVersion": resource.group_version, "kind": resource.kind, **obj}
        return await self._json("POST", path, {"dryRun": "All" if dry_run else ""}, body)

    async def update(self, resource: Resource, obj: Object, *, subresource: str | None = None) -> Object:
        """Replace an object. Raises Conflict when its resourceVersion is not the current one."""
        path = resource.path(namespace_of(obj), name_of(obj), subresource)
        return await self._json("PUT", path, body={"apiVersion": resource.group_version, "kind": resource.kind, **obj})

    async def patch(
        self,
        resource: Resource,
        name: str,
        patch: Any,
        namespace: str | None = None,
        *,
        subresource: str | None = None,
        kind: PatchKind = "merge",
        field_manager: str = "",
        force: bool = False,
    ) -> Object:
        """Change part of an object; `kind` says how `patch` is read. Raises NotFound, Conflict, Invalid."""
        params = {"fieldManager": field_manager, "force": "true" if force else ""}
        return await self._json("PATCH", resource.path(namespace, name, subresource), params, patch, _PATCH_TYPES[kind])

    async def delete(
        self,
        resource: Resource,
        name: str,
        namespace: str | None = None,
        *,
        grace_period_seconds: int | None = None,
        propagation_policy: str | None = None,
        uid: str | None = None,
        resource_version: str | None = None,
    ) -> Object:
        """Delete an object; `uid` and `resource_version` are preconditions. Raises NotFound, Conflict."""
        options: Object = {"apiVersion": "v1", "kind": "DeleteOptions"}
        if grace_period_seconds is not None:
            options["gracePeriodSeconds"] = grace_period_seconds
        if propagation_policy:
            options["propagationPolicy"] = propagation_policy
        preconditions = {k: v for k, v in (("uid", uid), ("resourceVersion", resource_version)) if v}
        if preconditions:
            options["preconditions"] = preconditions
        return await self._json("DELETE", resource.path(namespace, name), body=options)

    async def delete_collection(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        label_selector: str = "",
        field_selector: str = "",
        propagation_policy: str | None = None,
    ) -> Object:
        """Delete every object that the selectors name."""
        params = {"labelSelector": label_selector, "fieldSelector": field_selector}
        options = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": propagation_policy}
        return await self._json("DELETE", resource.path(namespace), params, options if propagation_policy else None)

    async def watch(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        resource_version: str = "",
        label_selector: str = "",
        field_selector: str = "",
        timeout_seconds: int = 300,
        bookmarks: bool = True,
        metadata_only: bool = False,
    ) -> AsyncIterator[Object]:
        """Events `{"type", "object"}` until the server ends the watch.

        Raises Expired when the version is too old, also when the server says so by an ERROR event; ServiceUnavailable when
        the connection breaks or stays silent.
        """
        params = {
            "watch": "true",
            "resourceVersion": resource_version,
            "labelSelector": label_selector,
            "fieldSelector": field_selector,
            "timeoutSeconds": timeout_seconds,
            "allowWatchBookmarks": "true" if bookmarks else "",
        }
        headers = {"Accept": _METADATA_ONLY.format("PartialObjectMetadata")} if metadata_only else None
        silence = _WATCH_SILENCE_SECONDS if bookmarks else timeout_seconds + _REQUEST_SECONDS
        path = resource.path(namespace)
        response = await self._send("GET", path, params, headers=headers, stream=True, silence=silence)
        try:
            if response.status_code >= 400:
                await response.aread()
                raise _error(response)
            async for line in _lines(response):
                event = _decoded(line)
                if event["type"] == "ERROR":
                    raise ApiError.from_status(event["object"])
                yield event
        except httpx.TransportError as error:
            raise ServiceUnavailable(f"the watch of {resource.plural} broke off: {error!r}") from error
        finally:
            await response.aclose()


async def _lines(response: httpx.Response) -> AsyncIterator[bytes]:
    rest: list[bytes] = []
    async for piece in response.aiter_bytes():
        *whole, last = piece.split(b"\n")
        for line in whole:
            rest.append(line)
            text = b"".join(rest)
            rest.clear()
            if text:
                yield text
        if last:
            rest.append(last)


def _decoded(data: bytes) -> Object:
    """The object in an answer. Raises InternalError for one that is no JSON: something stands between us and the server."""
    try:
        answer: Object = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise InternalError(f"the answer is not JSON: {error}: {data[:100]!r}") from error
    return answer


def _error(response: httpx.Response) -> ApiError:
    """The exception for an answer of 400 and above, whether or not its body is a Status."""
    try:
        body = orjson.loads(response.content)
    except orjson.JSONDecodeError:
        body = None
    if not isinstance(body, dict) or body.get("kind") != "Status":
        body = {"message": response.text.strip()[:500] or response.reason_phrase}
    return ApiError.from_status(body, response.status_code)
