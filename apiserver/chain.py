"""The request's whole path in one place.

    request id → authentication → impersonation → authorization → in-flight limits → route → handler
                                                                  (handler → admission → strategy → storage)

Every error becomes one Status; every request ends in the metrics and the audit log.
"""

from __future__ import annotations

from time import perf_counter

from starlette.types import ASGIApp

from api import errors
from apiserver import metrics
from apiserver.auth.attributes import forbidden
from apiserver.core import Core
from apiserver.endpoint import run
from apiserver.request import Receive, Request, Scope, Send

_READING = ("get", "list", "watch")
_LONG = ("watch", "proxy")
LONG_SUBRESOURCES = ("log", "exec", "attach", "portforward", "proxy")


class Chain:
    """The outermost ASGI application; `app` holds the routes."""

    def __init__(self, core: Core, app: ASGIApp) -> None:
        self.core = core
        self.app = app
        self._reading = 0
        self._writing = 0

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
        info, options = request.info, self.core.options
        if info.verb in _LONG or info.subresource in LONG_SUBRESOURCES or not info.resource:
            await self.app(request.scope, request.receive, request.send)
        elif info.verb in _READING:
            if self._reading >= options.max_requests_inflight:
                raise errors.too_many_requests("too many requests, please try again later")
            self._reading += 1
            try:
                await self.app(request.scope, request.receive, request.send)
            finally:
                self._reading -= 1
        else:
            if self._writing >= options.max_mutating_requests_inflight:
                raise errors.too_many_requests("too many requests, please try again later")
            self._writing += 1
            try:
                await self.app(request.scope, request.receive, request.send)
            finally:
                self._writing -= 1
