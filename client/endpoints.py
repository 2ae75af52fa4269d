"""The API servers of a cluster as one transport: what is outstanding on a server that dies is given up within three seconds.

Promises, with several servers (a lone one is neither asked nor given up):
- A server from which something is outstanding and nothing has been heard for `PERIOD` is asked for /readyz, more often while a
  request waits than for a watch; when it does not answer within `PATIENCE`, it and all others are asked at once, until it is
  well or another one is. It is given up only for one in better health: when nobody answers the fault may be on this side, and a
  busy machine must not make its clients run in circles.
- Giving up a silent server closes its connections, which fails its requests and watches (at most PERIOD + 2 PATIENCE after
  the last sign of life). One that answers that it is not ready is left at once, and has `_DRAIN_SECONDS` to finish or to be well.
- New certificates are for new connections: those with the old ones end with the request or watch that they are used for.
- After `_HOME_SECONDS` elsewhere the client returns to its home (client/roster.py) if that is ready; watches follow as they end.

Its own traffic is one small request a second and server in use, two while one waits, none where answers or events keep coming.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Coroutine, Sequence

import httpx
import structlog

from client.backoff import Backoff
from client.kubeconfig import Kubeconfig
from client.roster import Health, Roster
from client.transport import Transport

PERIOD, PATIENCE = 1.0, 0.7
_WAITING_PERIOD = 0.5
_AGAIN_SECONDS = 0.25
_DRAIN_SECONDS = 0.5
_HOME_SECONDS = 60.0


class Endpoint:
    """One API server and the connections to it."""

    def __init__(self, server: str, context: ssl.SSLContext, server_name: str) -> None:
        self.server = server
        self.guard: asyncio.Task[None] | None = None
        self._server_name = server_name
        self._transport = Transport(context)
        self._old: list[Transport] = []

    def renew(self, context: ssl.SSLContext, server_name: str) -> None:
        """Make new connections with these credentials."""
        self.retire()
        self._server_name = server_name
        self._transport = Transport(context)

    def retire(self) -> None:
        """Close the connections as they fall idle."""
        self._transport.retire()
        self._old = [old for old in (*self._old, self._transport) if old.outstanding]

    @property
    def outstanding(self) -> int:
        """How many requests wait for an answer or read one."""
        return self._transport.outstanding + sum(old.outstanding for old in self._old)

    @property
    def waiting(self) -> bool:
        """Whether a request has no answer yet."""
        return any(each.waiting for each in (self._transport, *self._old))

    @property
    def heard(self) -> float:
        """When the server last gave a sign of life, in monotonic seconds."""
        return max(self._transport.heard, *(old.heard for old in self._old), 0.0)

    async def send(self, request: httpx.Request) -> httpx.Response:
        """Send a request over one of the connections. Raises httpx.TransportError."""
        return await self._transport.handle_async_request(request)

    async def health(self) -> Health:
        """Ask the server whether it is ready; never fails, never lasts longer than PATIENCE."""
        extensions = {"sni_hostname": self._server_name} if self._server_name else {}
        request = httpx.Request("GET", f"{self.server}/readyz", extensions=extensions)
        try:
            async with asyncio.timeout(PATIENCE):
                response = await self.send(request)
                try:
                    await response.aread()
                finally:
                    await response.aclose()
        except (TimeoutError, httpx.TransportError):
            return Health.SILENT
        # A server that knows us not, or that does not tell us, is alive all the same.
        return Health.READY if response.status_code < 500 else Health.UNREADY

    def abort(self) -> None:
        """Cut every connection; later requests make new ones."""
        for transport in (self._transport, *self._old):
            transport.abort()

    async def close(self) -> None:
        """Close every connection."""
        await asyncio.gather(*(transport.aclose() for transport in (self._transport, *self._old)))


class Endpoints(httpx.AsyncBaseTransport):
    """The servers of a kubeconfig. A request names its server in the extension `server`, usually `roster.current`."""

    def __init__(self, config: Kubeconfig) -> None:
        self.roster = Roster(config.servers)
        self._config, self._context = config, config.ssl_context()
        self._endpoints = {server: self._endpoint(server) for server in config.servers}
        self._moved = time.monotonic()
        self._tasks: set[asyncio.Task[None]] = set()
        self._left: list[Endpoint] = []
        self._log = structlog.get_logger("endpoints")

    @property
    def several(self) -> bool:
        """Whether there is a server to go to when one fails."""
        return len(self._endpoints) > 1

    def update(self, config: Kubeconfig) -> None:
        """Use these servers and these credentials for what is new. Raises KubeconfigError."""
        old, self._config = self._config, config
        if _trust(config) != _trust(old):
            self._context = config.ssl_context()
            for endpoint in self._endpoints.values():
                endpoint.renew(self._context, config.server_name)
        for server in config.servers:
            if server not in self._endpoints:
                self._endpoints[server] = self._endpoint(server)
        for server in set(self._endpoints) - set(config.servers):
            endpoint = self._endpoints.pop(server)
            endpoint.retire()
            self._left = [left for left in (*self._left, endpoint) if left.outstanding]
        self.roster.replace(config.servers)

    def _endpoint(self, server: str) -> Endpoint:
        return Endpoint(server, self._context, self._config.server_name)

    def failed(self, server: str) -> None:
        """Say of a server that a request did not get through, or that it said goodbye: others come first."""
        if self.several and server == self.roster.current:
            self._moved = time.monotonic()
            self.roster.failed(server)
            self._log.info("going on with another API server", left=server, taken=self.roster.current)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request to the server it names. Raises httpx.TransportError."""
        endpoint = self._endpoints[request.extensions["server"]]
        if self.several and (endpoint.guard is None or endpoint.guard.done()):
            endpoint.guard = self._spawn(self._guard(endpoint))
        return await endpoint.send(request)

    async def aclose(self) -> None:
        """Close every connection."""
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*(endpoint.close() for endpoint in (*self._endpoints.values(), *self._left)))

    def _spawn(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _guard(self, endpoint: Endpoint) -> None:
        """Look after a server for as long as something is outstanding on it."""
        looked, again, doubts = time.monotonic(), PERIOD, Backoff(_AGAIN_SECONDS, PERIOD)
        while endpoint.outstanding:
            await self._go_home(endpoint)
            # What it says of its health is heard, too, but before it is looked at the clock.
            due = endpoint.heard + PERIOD if endpoint.heard > looked else looked + again
            if (pause := due - time.monotonic()) > 0:
                await asyncio.sleep(pause)
                continue
            if await endpoint.health() is Health.READY:
                again = _WAITING_PERIOD if endpoint.waiting else PERIOD
                doubts.reset()
            else:
                again = doubts.next()
                await self._compare(endpoint)
            looked = time.monotonic()

    async def _compare(self, endpoint: Endpoint) -> None:
        """Ask all servers, and give this one up if another is in better health."""
        asked: Sequence[Endpoint] = [endpoint, *(e for e in self._endpoints.values() if e is not endpoint)]
        answers = await asyncio.gather(*(each.health() for each in asked))
        health = {each.server: answer for each, answer in zip(asked, answers, strict=True)}
        better = self.roster.better(endpoint.server, health)
        if better is None:
            return
        silent = health[endpoint.server] is Health.SILENT
        self._log.warning(
            "giving up an API server", server=endpoint.server, why="no answer" if silent else "not ready", taken=better
        )
        if self.roster.current == endpoint.server:
            self._moved = time.monotonic()
            self.roster.failed(endpoint.server)
            self.roster.use(better)
        if not silent:
            await asyncio.sleep(_DRAIN_SECONDS)
            if await endpoint.health() is Health.READY:
                return
        endpoint.abort()

    async def _go_home(self, endpoint: Endpoint) -> None:
        home, now = self.roster.home, time.monotonic()
        if endpoint.server != self.roster.current or endpoint.server == home or now - self._moved < _HOME_SECONDS:
            return
        self._moved = now
        if home in self._endpoints and await self._endpoints[home].health() is Health.READY:
            self._log.info("going home", server=home)
            self.roster.use(home)


def _trust(config: Kubeconfig) -> tuple[object, ...]:
    """What makes the connections of one configuration unfit for another."""
    return config.ca, config.cert, config.key, config.insecure, config.server_name
