"""From an answer to a raw ASGI endpoint: one place where errors become a Status."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from api import errors
from apiserver.request import Receive, Reply, Request, Scope, Send

log = logging.getLogger("apiserver.endpoint")

Answer = Callable[[Request], Awaitable[Reply | None]]
"""Returns the answer, or None when it has been sent."""


class Endpoint:
    """The ASGI application of one route; the chain has put the `Request` into the scope."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await run(scope["cloudlet.request"], self.answer)


async def run(request: Request, answer: Answer) -> None:
    """Answer a request; whatever goes wrong is told as a Status, unless the answer has already begun."""
    try:
        reply = await answer(request)
        if reply is not None:
            await request.respond(reply)
    except errors.ApiError as error:
        if not request.status:
            await request.fail(error)
    except Exception:
        # The outermost loop of a request: the server goes on, the fault is logged.
        log.exception("request failed: %s %s", request.info.method, request.info.path)
        if request.status:
            raise
        await request.fail(
            errors.InternalError(f"Internal error occurred: see the server's log for request {request.id}")
        )
