"""Health and metrics of a daemon over HTTP: /healthz, /livez, /readyz (`?verbose`), /metrics in Prometheus form.

It answers from a thread of its own and asks the event loop for a sign of life, so that a loop that hangs is unhealthy.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import make_wsgi_app

Check = Callable[[], str | None]
"""Returns None when all is well, else one sentence about what is not."""

_ALIVE_SECONDS = 5.0


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """A line per scrape helps nobody."""


async def _alive() -> None:
    return None


class HealthServer:
    """Serves until `close`; `port` is the one really taken (ask for 0 to get a free one)."""

    def __init__(self, loop: asyncio.AbstractEventLoop, address: str, port: int) -> None:
        self.checks: dict[str, Check] = {}
        self.ready = False
        self._loop = loop
        self._metrics = make_wsgi_app()
        self._server: WSGIServer = make_server(address, port, self._serve, handler_class=_Quiet)
        self.port = int(self._server.server_port)
        self._thread = threading.Thread(target=self._server.serve_forever, name="health", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop serving and free the port."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=5)

    def _loop_check(self) -> str | None:
        try:
            asyncio.run_coroutine_threadsafe(_alive(), self._loop).result(_ALIVE_SECONDS)
        except TimeoutError:
            return f"the event loop has not answered for {_ALIVE_SECONDS:g} s"
        return None

    def _serve(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path == "/metrics":
            body: Iterable[bytes] = self._metrics(environ, start_response)
            return body
        if path not in ("/healthz", "/livez", "/readyz"):
            start_response("404 Not Found", [("Content-Type", "text/plain")])
            return [b"try /healthz, /livez, /readyz or /metrics\n"]
        results = {"loop": self._loop_check()} | {name: check() for name, check in self.checks.items()}
        if path == "/readyz":
            results["ready"] = None if self.ready else "still starting"
        bad = any(results.values())
        lines = [f"[{'-' if why else '+'}]{name} {why or 'ok'}" for name, why in results.items()]
        verbose = bad or "verbose" in environ.get("QUERY_STRING", "")
        text = "\n".join([*lines, f"{path[1:]} check {'failed' if bad else 'passed'}"]) if verbose else "ok"
        start_response("500 Internal Server Error" if bad else "200 OK", [("Content-Type", "text/plain")])
        return [text.encode() + b"\n"]
