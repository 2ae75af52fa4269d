"""The endpoints that are no resource: version, health, metrics, discovery, OpenAPI."""

from __future__ import annotations

import platform
from collections.abc import Callable

import orjson
from fastapi import FastAPI
from fastapi import Request as HttpRequest
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute

from api import errors
from api.version import GIT_VERSION
from apiserver import metrics
from apiserver.core import Core
from apiserver.discovery import Discovery
from apiserver.endpoint import Answer, Endpoint
from apiserver.handlers.dispatch import Dispatch
from apiserver.openapi import OpenApi
from apiserver.request import Reply, Request

VERSION = {
    "major": "1",
    "minor": "36",
    "emulationMajor": "1",
    "emulationMinor": "36",
    "minCompatibilityMajor": "1",
    "minCompatibilityMinor": "35",
    "gitVersion": GIT_VERSION,
    "gitCommit": "",
    "gitTreeState": "clean",
    "buildDate": "2026-01-01T00:00:00Z",
    "goVersion": f"python{platform.python_version()}",
    "compiler": platform.python_implementation(),
    "platform": "linux/amd64" if platform.machine() == "x86_64" else "linux/arm64",
}


def checks(core: Core) -> dict[str, bool]:
    """The named health checks."""
    return {
        "ping": True,
        "log": True,
        "etcd": core.feed.quorum,
        "etcd-watch": core.feed.connected,
        "watch-cache": core.feed.revision > 0,
        "poststarthook/start": core.ready,
        "shutdown": not core.stopping.is_set(),
    }


_PATHS = ["/api", "/apis", "/healthz", "/livez", "/metrics", "/openapi/v2", "/openapi/v3", "/readyz", "/version"]
_LIVE = ("ping", "log")


def _health(core: Core, request: Request, path: str) -> Reply:
    kind, _, single = path.strip("/").partition("/")
    found = checks(core)
    if kind == "livez":
        found = {name: good for name, good in found.items() if name in _LIVE}
    excluded = request.query.get("exclude", "")
    found = {name: good for name, good in found.items() if name != excluded and (not single or name == single)}
    if not found:
        raise errors.NotFound("the server could not find the requested resource")
    good = all(found.values())
    if good and "verbose" not in request.query:
        return Reply(200, b"ok", "text/plain; charset=utf-8")
    lines = [f"[{'+' if fine else '-'}]{name} {'ok' if fine else 'failed'}\n" for name, fine in found.items()]
    lines.append(f"{kind} check {'passed' if good else 'failed'}\n")
    return Reply(200 if good else 500, "".join(lines).encode(), "text/plain; charset=utf-8")


def build(core: Core) -> FastAPI:
    """The FastAPI application: hot routes are plain Starlette routes, the few cold ones FastAPI's."""
    app = FastAPI(title="Cloudlet", openapi_url=None, docs_url=None, redoc_url=None)
    discovery = Discovery()
    documents = OpenApi()
    resource = Endpoint(Dispatch(core))

    async def version_root(request: Request) -> Reply:
        parts = request.info.path.strip("/").split("/")
        return discovery.version(parts[1] if parts[0] == "apis" else "", parts[-1])

    async def group_root(request: Request) -> Reply:
        return discovery.group(request.info.path.strip("/").split("/")[1])

    async def extra(request: Request) -> Reply | None:
        handler = core.plugins.paths.get(request.info.path)
        if handler is None:
            raise errors.NotFound("the server could not find the requested resource")
        return await handler(core, request)

    async def health(request: Request) -> Reply:
        return _health(core, request, request.info.path)

    hot = [
        Route("/api/{version}/{rest:path}", resource),
        Route("/apis/{group}/{version}/{rest:path}", resource),
        WebSocketRoute("/api/{version}/{rest:path}", resource),
        WebSocketRoute("/apis/{group}/{version}/{rest:path}", resource),
    ]
    for path, answer in (
        ("/api", _sync(discovery.api)), ("/api/{version}", version_root), ("/apis", _sync(discovery.apis)),
        ("/apis/{group}", group_root), ("/apis/{group}/{version}", version_root),
        ("/openapi/v2", documents.v2),
        ("/openapi/v3", documents.index),
        ("/openapi/v3/{name:path}", documents.v3),
        ("/healthz", health), ("/livez", health), ("/readyz", health),
        ("/healthz/{name:path}", health), ("/livez/{name:path}", health), ("/readyz/{name:path}", health),
    ):  # fmt: skip
        hot.append(Route(path, Endpoint(answer)))
    app.router.routes[:0] = hot
    _cold(core, app)
    app.router.routes.append(Route("/{path:path}", Endpoint(extra)))
    return app


def _sync(answer: Callable[[Request], Reply]) -> Answer:
    async def call(request: Request) -> Reply:
        return answer(request)

    return call


def _cold(core: Core, app: FastAPI) -> None:
    @app.get("/version")
    async def version() -> dict[str, str]:
        return VERSION

    @app.get("/metrics")
    async def metrics_(request: HttpRequest) -> Response:
        for cache in core.caches():
            metrics.OBJECTS.labels(cache.resource.qualified).set(len(cache))
        return Response(metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    @app.exception_handler(HTTPException)
    async def refused(request: HttpRequest, error: HTTPException) -> Response:
        wrong = errors.MethodNotAllowed if error.status_code == 405 else errors.NotFound
        status = wrong("the server does not allow this method on the requested resource").status()
        return Response(orjson.dumps(status), error.status_code, media_type="application/json")

    @app.get("/")
    async def paths() -> dict[str, list[str]]:
        return {"paths": _PATHS}
