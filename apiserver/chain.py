"""The request's whole path in one place.

    request id → authentication → impersonation → authorization → in-flight limits → route → handler
                                                                  (handler → admission → strategy → storage)

Every error becomes one Status; every request ends in the metrics and the audit log.
"""

from __future__ import annotations

import asyncio
from time import perf_counter

from starlette.types import ASGIApp

from api import errors
from apiserver import metrics
from apiserver.auth.attributes import forbidden
from apiserver.core import Core
from apiserver.endpoint import run
from apiserver.lanes import Lane
from apiserver.request import Receive, Request, Scope, Send

_READING = ("get", "list", "watch")
REQUEST_SECONDS = 60.0
"""Seconds that a request which is neither a watch nor a stream may take."""
_LONG = ("watch", "proxy")
LONG_SUBRESOURCES = ("log", "exec", "attach", "portforward", "proxy")


class Chain:
    """The outermost ASGI application; `app` holds the routes."""

    def __init__(self, core: Core, app: ASGIApp) -> None:
        self.core = core
        self.app = app
        self._reading = Lane(core.options.max_requests_inflight)
        self._writing = Lane(core.options.max_mutating_requests_inflight)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        request = Request.of(scope, receive, send)
        scope["cloudlet.request"] = request
        try:
            await run(request, self._answer)
        finally:
            metrics.observe(request, perf_counter() - request.started)
            if self.core.plugins.audit:
                self.core.plugins.audit.record(request)

    async def _answer(self, request: Request) -> None:
        await self._identify(request)
        await self._route(request)

    async def _identify(self, request: Request) -> None:
        plugins = self.core.plugins
        user = await plugins.authenticator.authenticate(request)
        if user is None:
            raise errors.Unauthorized()
        request.user = user
        await plugins.impersonate(request)
        attributes = request.attributes()
        decision = plugins.authorizer.authorize(attributes)
        if not decision.allowed:
            raise forbidden(attributes, decision.reason)

    async def _route(self, request: Request) -> None:
        info = request.info
        if info.verb in _LONG or info.subresource in LONG_SUBRESOURCES or not info.resource:
            await self.app(request.scope, request.receive, request.send)
            return
        lane = self._reading if info.verb in _READING else self._writing
        try:
            async with asyncio.timeout(REQUEST_SECONDS), lane.enter():
                await self.app(request.scope, request.receive, request.send)
        except TimeoutError as error:
            raise errors.Timeout(
                "Timeout: request did not complete within the allotted timeout", {"retryAfterSeconds": 1}
            ) from error
