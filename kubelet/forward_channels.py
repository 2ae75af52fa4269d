"""port-forward as cloudctl speaks it: WebSocket messages that begin with a channel, subprotocol `v4.channel.k8s.io`.

Port n of the query has the channels 2n, data, and 2n+1, error. The server begins each with the port's number, two bytes, little
endian. No direction can end by itself: the connection is over when the pod ends it, or the client leaves.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Sequence
from contextlib import suppress

from starlette.websockets import WebSocket

from kubelet.forwarding import Dial, Inbox, Session, carry


class ChannelSession(Session):
    """One connection for each port of the query, made at once."""

    def __init__(self, client: WebSocket, dial: Dial, pod: str, ports: Sequence[int]) -> None:
        super().__init__(client, dial, pod)
        self._ports = ports
        self._inboxes = [Inbox() for _ in ports]

    async def run(self) -> None:
        """Returns when the client has left or all connections have ended."""
        serving = [asyncio.create_task(self._serve(*each)) for each in enumerate(self._ports)]
        self._tasks.update(serving)
        receiving = asyncio.create_task(self._feed(serving))
        everything = asyncio.gather(*serving, return_exceptions=True)
        try:
            await asyncio.wait((receiving, everything), return_when=asyncio.FIRST_COMPLETED)
            if everything.done():
                await self._close()
            else:
                await self._finish(self._inboxes)
        finally:
            receiving.cancel()
            await asyncio.gather(receiving, return_exceptions=True)
            await self._cancel()

    async def _feed(self, serving: Sequence[asyncio.Task[None]]) -> None:
        while (message := await self._receive()) is not None:
            number, kind = divmod(message[0], 2) if message else (0, 1)
            if kind or number >= len(self._inboxes) or len(message) < 2:
                continue
            try:
                await self._inboxes[number].put(message[1:])
            except TimeoutError:
                serving[number].cancel()
                self._inboxes[number].close()

    async def _serve(self, index: int, port: int) -> None:
        data, error = bytes((2 * index,)), bytes((2 * index + 1,))
        for channel in (data, error):
            await self._send(channel + struct.pack("<H", port))
        try:
            connection = await self._dial(port)
        except OSError as fault:
            self._inboxes[index].close()
            await self._send(error + self._problem(port, fault))
            return
        with suppress(OSError):
            await carry(connection, self._inboxes[index], lambda piece: self._send(data + piece))
