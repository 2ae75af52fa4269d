"""The REST client: one or more API servers as one, every failure an `ApiError`.

Requests that never reached a server, and reads, are tried again on the next server of the kubeconfig; writes that may have
arrived are not, because only the caller knows whether to repeat them. With several servers, one that is dead, gone or hung
costs a request or a watch at most three seconds (client/endpoints.py), and one that says 503 or ends a watch before its time
is left for the next. A client of a kubeconfig file follows the file's changes (client/credentials.py).
"""

from __future__ import annotations

import base64
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import httpx
import orjson

from api.errors import ApiError, InternalError, ServiceUnavailable
from api.meta import name as name_of
from api.meta import namespace as namespace_of
from api.types import Object, Resource
from client.credentials import Credentials
from client.endpoints import Endpoints
from client.kubeconfig import Kubeconfig

PatchKind = Literal["merge", "strategic", "json", "apply"]
_PATCH_TYPES: dict[str, str] = {
    "merge": "application/merge-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "json": "application/json-patch+json",
    "apply": "application/apply-patch+yaml",
}
_CONNECT_SECONDS, _REQUEST_SECONDS = 3.0, 30.0
# While there is another server to try, one that is slow to connect is not worth the wait.
_SHORT_CONNECT_SECONDS = 1.0
# The server sends a bookmark about every minute, so a silent watch is a dead one.
_WATCH_SILENCE_SECONDS = 90.0
_EARLY_SECONDS = 2.0
_METADATA_ONLY = "application/json;as={};g=meta.k8s.io;v=v1,application/json"


class ApiClient:
    """Kubernetes API verbs on plain objects. Use as an async context manager, or call `close`.

    `fence`, when set, is called before every request that may change something; what it raises is raised, and nothing is sent.
    """

    def __init__(
        self,
        config: Kubeconfig | Credentials,
        user_agent: str = "cloudlet",
        *,
        headers: dict[str, str] | None = None,
    ) -> None:
        self.fence: Callable[[], None] | None = None
        self._credentials = config if isinstance(config, Credentials) else None
        self._config = config.current() if isinstance(config, Credentials) else config
        self._endpoints = Endpoints(self._config)
        self._http = httpx.AsyncClient(
            transport=self._endpoints,
            headers={"User-Agent": user_agent, "Accept": "application/json", **(headers or {})},
            trust_env=False,
        )

    @classmethod
    def from_kubeconfig(cls, path: str | Path, user_agent: str = "cloudlet", context: str = "") -> Self:
        """A client for a kubeconfig's context that follows the file's changes. Raises KubeconfigError."""
        return cls(Credentials(path, context), user_agent)

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
    def config(self) -> Kubeconfig:
        """Where the servers are and who we are, as the kubeconfig says now."""
        if self._credentials is not None:
            config = self._credentials.current()
            if config is not self._config:
                self._config = config
                self._endpoints.update(config)
        return self._config

    @property
    def server(self) -> str:
        """The API server that requests go to now."""
        return self._endpoints.roster.current

    def settle(self, server: str) -> None:
        """Have one of the kubeconfig's servers instead of one by chance for the client's home; others follow when it fails."""
        self._endpoints.roster.settle(server)

    def authorization(self) -> dict[str, str]:
        """The header that says who we are, if a certificate does not."""
        if self.config.token:
            return {"Authorization": f"Bearer {self.config.token}"}
        if self.config.username:
            pair = f"{self.config.username}:{self.config.password}".encode()
            return {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}
        return {}

    def _request(
        self, method: str, path: str, params: dict[str, Any] | None, body: bytes | None, headers: dict[str, str]
    ) -> httpx.Request:
        authorization = self.authorization()  # first: it may bring other servers
        extensions: dict[str, Any] = {"server": self.server}
        if self.config.server_name:
            extensions["sni_hostname"] = self.config.server_name
        return self._http.build_request(
            method,
            self.server + path,
            params={k: v for k, v in (params or {}).items() if v not in (None, "")},
            content=body,
            headers=authorization | headers,
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
        # One try a server, and a second on a lone one: a kept-alive connection may have died while idle.
        tries = max(2, len(self.config.servers))
        for left in reversed(range(tries)):
            request = self._request(method, path, params, body, headers or {})
            request.extensions["timeout"] = {
                "connect": _SHORT_CONNECT_SECONDS if left and self._endpoints.several else _CONNECT_SECONDS,
                "read": silence or _REQUEST_SECONDS, "write": _REQUEST_SECONDS, "pool": _REQUEST_SECONDS,
            }  # fmt: skip
            if self.fence is not None and method != "GET":
                self.fence()
            try:
                response = await self._http.send(request, stream=stream)
            except httpx.TransportError as failure:
                self._failed(request)
                unsent = isinstance(failure, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout)
                if left and (unsent or method == "GET"):
                    continue
                why = str(failure) or type(failure).__name__
                raise ServiceUnavailable(
                    f"the API server {request.url.host}:{request.url.port} does not answer: {why}"
                ) from failure
            if response.status_code == 503:
                self._failed(request)
                if left and method == "GET" and self._endpoints.several:
                    await response.aclose()
                    continue
            return response
        raise AssertionError("there is no try after the last")

    def _failed(self, request: httpx.Request) -> None:
        self._endpoints.failed(request.extensions["server"])

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
            self._failed(response.request)
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
    ) -> AsyncGenerator[Object, None]:
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
        end = time.monotonic() + timeout_seconds - _EARLY_SECONDS
        try:
            if response.status_code >= 400:
                await response.aread()
                raise _error(response)
            async for line in _lines(response):
                event = _decoded(line)
                if event["type"] == "ERROR":
                    raise ApiError.from_status(event["object"])
                yield event
            if time.monotonic() < end:  # as a server does that stops
                self._failed(response.request)
        except httpx.TransportError as error:
            self._failed(response.request)
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
