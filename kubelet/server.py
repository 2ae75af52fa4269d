"""The node's HTTPS server: logs, exec, attach, stats and metrics, for the API server and administrators alone."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import uvicorn
from prometheus_client import generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from api.errors import ApiError, BadRequest, Forbidden, InternalError, NotFound, Unauthorized
from kubelet import container_logs, podspec, port_forward, remote_command, stats
from kubelet.peer import PEER, HttpProtocol, WebSocketProtocol, is_allowed, names
from kubelet.pod_worker import PodWorker
from kubelet.pods import Pods
from kubelet.resources import Capacity
from kubelet.runtime import ContainerState, Runtime, RuntimeFault
from kubelet.settings import Settings
from kubelet.store import ContainerStore
from kubelet.tls import ServerTls

_TRUE = ("true", "1")
_OPEN_PATHS = ("/healthz",)


class _Uvicorn(uvicorn.Server):
    """uvicorn without its signal handlers: the daemon has its own."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class _Guard:
    """Lets in whoever shows the API server's or an administrator's certificate."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] in ("http", "websocket") and scope["path"] not in _OPEN_PATHS:
            certificate = scope.get(PEER) or {}
            if not is_allowed(certificate):
                await self._refuse(certificate, scope, receive, send)
                return
        await self._app(scope, receive, send)

    @staticmethod
    async def _refuse(certificate: dict[str, Any], scope: Any, receive: Any, send: Any) -> None:
        name = names(certificate)[0]
        error: ApiError = Forbidden(f"{name} may not use this node's API") if name else Unauthorized("Unauthorized")
        if scope["type"] == "websocket":
            await WebSocket(scope, receive, send).send_denial_response(_status_response(error))
        else:
            await _status_response(error)(scope, receive, send)


def _status_response(error: ApiError) -> Response:
    # Plain text, as Kubernetes' own kubelet answers: the API server makes the Status.
    return PlainTextResponse(error.message, status_code=error.code)


class NodeServer:
    """Serves one node's pods."""

    def __init__(
        self, settings: Settings, pods: Pods, runtime: Runtime, store: ContainerStore, capacity: Capacity
    ) -> None:
        self._settings, self._pods, self._runtime, self._store, self._capacity = (
            settings,
            pods,
            runtime,
            store,
            capacity,
        )
        self.tls = ServerTls(settings)

    def app(self) -> Starlette:
        """The ASGI application without its guard."""
        get = self._handled
        return Starlette(
            routes=[
                Route("/healthz", get(self._healthz)),
                Route("/pods", get(self._list_pods)),
                Route("/stats/summary", get(self._summary)),
                Route("/metrics", get(self._metrics)),
                Route("/metrics/resource", get(self._resource_metrics)),
                Route("/containerLogs/{namespace}/{pod}/{container}", get(self._logs)),
                WebSocketRoute("/exec/{namespace}/{pod}/{container}", self._exec),
                WebSocketRoute("/exec/{namespace}/{pod}/{uid}/{container}", self._exec),
                WebSocketRoute("/attach/{namespace}/{pod}/{container}", self._attach),
                WebSocketRoute("/attach/{namespace}/{pod}/{uid}/{container}", self._attach),
                *port_forward.routes(self._worker, self._store),
            ]
        )

    async def run(self) -> None:
        """Serve until cancelled."""
        config = uvicorn.Config(
            _Guard(self.app()),
            host=self._settings.address,
            port=self._settings.port,
            http=HttpProtocol,
            ws=WebSocketProtocol,
            ws_per_message_deflate=False,
            # A client that is not read while a pod takes nothing cannot answer; TCP itself notices a dead one by the pings.
            ws_ping_timeout=None,
            lifespan="off",
            access_log=False,
            log_config=None,
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=1,
        )
        config.load()
        config.ssl = self.tls.context()
        server = _Uvicorn(config)
        with self.tls.following():
            try:
                await server.serve()
            finally:
                # Cancelled, uvicorn leaves its sockets open.
                for listening in server.servers if server.started else ():
                    listening.close()

    @staticmethod
    def _handled(handler: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        """Turn errors into Status answers."""

        async def handle(request: Request) -> Response:
            try:
                return await handler(request)
            except ApiError as error:
                return _status_response(error)
            except RuntimeFault as error:
                return _status_response(InternalError(str(error)))

        return handle

    async def _healthz(self, _: Request) -> Response:
        return PlainTextResponse("ok")

    async def _list_pods(self, _: Request) -> Response:
        items = [{**w.pod, "status": w.status or w.pod.get("status") or {}} for w in self._pods.workers()]
        return JSONResponse({"apiVersion": "v1", "kind": "PodList", "metadata": {}, "items": items})

    async def _summary(self, _: Request) -> Response:
        return JSONResponse(
            await stats.summary(self._runtime, self._store, self._pods.workers(), self._settings, self._capacity)
        )

    async def _resource_metrics(self, _: Request) -> Response:
        found = await stats.summary(self._runtime, self._store, self._pods.workers(), self._settings, self._capacity)
        return PlainTextResponse(stats.resource_metrics(found))

    async def _metrics(self, _: Request) -> Response:
        return Response(generate_latest(), media_type="text/plain; version=0.0.4")

    def _worker(self, parameters: dict[str, Any]) -> PodWorker:
        namespace, name = parameters["namespace"], parameters["pod"]
        worker = self._pods.find(namespace, name)
        if worker is None:
            raise NotFound(f'pod "{name}" not found in namespace "{namespace}" on this node')
        return worker

    async def _logs(self, request: Request) -> Response:
        worker = self._worker(request.path_params)
        name = request.path_params["container"]
        wanted = container_logs.options(request.query_params, container_logs.wall())
        state = container_logs.choose(worker, self._store, name, previous=wanted.previous)
        tty = bool((podspec.find_container(worker.pod, name) or {}).get("tty"))
        body = container_logs.read(self._runtime, state, wanted, tty=tty)
        return StreamingResponse(body, media_type="text/plain")

    def _running(self, parameters: dict[str, Any]) -> ContainerState:
        worker, name = self._worker(parameters), parameters["container"]
        for state in self._store.pod(worker.uid):
            if state.container == name and state.phase == "running" and not state.is_sandbox:
                return state
        raise NotFound(f'container not found ("{name}")')

    async def _exec(self, socket: WebSocket) -> None:
        query = socket.query_params
        argv = query.getlist("command")
        await self._session(socket, argv, attach=False)

    async def _attach(self, socket: WebSocket) -> None:
        await self._session(socket, (), attach=True)

    async def _session(self, socket: WebSocket, argv: list[str] | tuple[()], *, attach: bool) -> None:
        query = socket.query_params
        stdin = "true" in (query.get("stdin"), query.get("input")) or "1" in (query.get("stdin"), query.get("input"))
        tty = query.get("tty") in _TRUE
        try:
            protocol = remote_command.choose_protocol(socket.scope.get("subprotocols") or ())
            if protocol is None:
                raise BadRequest(f"none of the offered subprotocols is one of {', '.join(remote_command.PROTOCOLS)}")
            if not attach and not argv:
                raise BadRequest("you must specify at least 1 command to execute")
            state = self._running(socket.path_params)
        except ApiError as error:
            await socket.send_denial_response(_status_response(error))
            return
        await socket.accept(subprotocol=protocol)
        try:
            if attach:
                stream = await self._runtime.attach(state.id, stdin=stdin, tty=tty)
            else:
                stream = await self._runtime.exec(state.id, argv, stdin=stdin, tty=tty)
        except RuntimeFault as error:
            await socket.send_bytes(b"\x03" + JSONResponse(remote_command.error_status(str(error))).body)
            await socket.close()
            return
        await remote_command.Session(socket, stream, stdin=stdin, tty=tty).run(argv)
