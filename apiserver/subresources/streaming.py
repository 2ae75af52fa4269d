"""Passing an HTTP answer on to the client as it comes, and stopping when the client leaves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import httpx

from api import errors
from apiserver.request import Request

READ_LIMIT = 16 * 1024
HOP_HEADERS = frozenset(
    b"connection keep-alive proxy-authenticate proxy-authorization te trailer transfer-encoding upgrade proxy-connection".split()
)


async def gone(request: Request) -> None:
    """Return when the client has left."""
    while True:
        message = await request.receive()
        if message["type"] in ("http.disconnect", "websocket.disconnect"):
            return


async def until_gone(request: Request, work: asyncio.Task[None]) -> None:
    """Wait for work; cancel it when the client leaves first. Raises what the work raises."""
    leaving = asyncio.create_task(gone(request))
    try:
        await asyncio.wait({work, leaving}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        leaving.cancel()
        if not work.done():
            work.cancel()
        await asyncio.gather(leaving, work, return_exceptions=True)
    if not work.cancelled() and (error := work.exception()):
        raise error


async def send_stream(
    request: Request, status: int, headers: Sequence[tuple[bytes, bytes]], chunks: AsyncIterator[bytes]
) -> None:
    """Send an answer chunk by chunk."""
    request.status = status
    await request.send({"type": "http.response.start", "status": status, "headers": list(headers)})
    async for chunk in chunks:
        if chunk:
            await request.send({"type": "http.response.body", "body": chunk, "more_body": True})
    await request.send({"type": "http.response.body", "body": b""})


async def open_stream(client: httpx.AsyncClient, call: httpx.Request, what: str) -> httpx.Response:
    """Send a request and return its answer with the body still to come. Raises ServiceUnavailable."""
    try:
        return await client.send(call, stream=True)
    except httpx.HTTPError as error:
        said = str(error) or type(error).__name__
        raise errors.ServiceUnavailable(f"error trying to reach {what}: {said}") from error


async def refusal(response: httpx.Response) -> errors.ApiError:
    """Return a kubelet's refusal as a Status: its text, as BadRequest, NotFound or InternalError."""
    text = (await _some(response))[:READ_LIMIT].decode("utf-8", "replace").strip()
    await response.aclose()
    if response.status_code == 404:
        return errors.NotFound(text or "the server could not find the requested resource")
    if response.status_code >= 500:
        return errors.InternalError(f"Internal error occurred: {text}" if text else "Internal error occurred")
    if response.status_code in (401, 403):
        return errors.InternalError(f"the kubelet refuses this server: {text or response.status_code}")
    return errors.BadRequest(text or f"the kubelet answered {response.status_code}")


async def _some(response: httpx.Response) -> bytes:
    found = b""
    async for chunk in response.aiter_bytes():
        found += chunk
        if len(found) >= READ_LIMIT:
            break
    return found
