"""The process: build the application, serve it over TLS, stop in order.

Stopping takes less than ten seconds beyond --shutdown-delay-duration. At once /readyz fails, this server leaves the endpoints
of `default/kubernetes`, and every answer ends its connection. After the delay it stops listening and ends the watches. Idle
connections stay for a moment, so that a client that uses one finds an answer and not a connection being closed under its
request; then requests have some seconds to finish.

When a certificate, key or CA bundle changes, the server listens with new TLS settings on the same socket: connections that
are there go on with the old ones, new ones know the new ones alone. (Settings exchanged during the handshake, by
`sni_callback`, would let clients resume sessions under a CA that is trusted no more.)
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn
import uvloop
from fastapi import FastAPI

from apiserver import compaction, security, system, tls
from apiserver.chain import Chain
from apiserver.core import Core
from apiserver.handlers import watch
from apiserver.options import Options
from apiserver.plugins import Plugins
from apiserver.tls import HttpProtocol, State, WebSocketProtocol
from client.notify import keep_alive, notify

log = logging.getLogger("apiserver")

_LINGER = 2.0
"""Seconds that idle connections stay open once the server has stopped listening."""
_DRAIN = 5
"""Seconds that requests may take to finish after that."""
_GOODBYE = 1.0
"""Seconds that a client may take to end its connection after that."""
_BACKLOG = 2048


class Server(uvicorn.Server):
    """uvicorn's server with TLS settings that can be exchanged and an end that clients need not notice."""

    def __init__(self, config: uvicorn.Config, core: Core, listener: socket.socket) -> None:
        super().__init__(config)
        self.core = core
        self.server_state: State = State()
        self.servers: list[asyncio.base_events.Server] = []
        self._listener = listener
        self._tls = tls.context(core.options)
        self._turn = asyncio.Lock()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen; from now on with new settings whenever the certificate's, key's or CA's file has changed."""
        if not self.config.loaded:
            self.config.load()
        await self._listen()
        options = self.core.options
        self.core.files.add((options.tls_cert_file, options.tls_private_key_file, options.client_ca_file), self._renew)
        self.started = True

    def _renew(self) -> None:
        self._tls = tls.context(self.core.options)
        self.core.spawn(self._listen())

    async def _listen(self) -> None:
        async with self._turn:
            if self._listener.fileno() < 0:
                return  # stopped meanwhile
            server = await asyncio.get_running_loop().create_server(
                lambda: HttpProtocol(self.config, self.server_state, {}),
                sock=self._listener.dup(),
                ssl=self._tls,
                backlog=_BACKLOG,
            )
            old, self.servers = self.servers, [server]
            for each in old:
                each.close()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop on SIGTERM and SIGINT, with exit code 0 (uvicorn would die of the signal after its shutdown)."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        yield

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop in the order that the module describes, then let go of etcd."""
        notify("STOPPING=1")
        self.core.stopping.set()
        self.server_state.stopping = True
        self.server_state.left.clear()
        for connection in self.server_state.connections:
            if isinstance(connection, HttpProtocol):
                connection.finish()
        await asyncio.sleep(self.core.options.shutdown_delay_duration)
        self._listener.close()
        for server in self.servers:
            server.close()
        self.core.ending = True
        watch.end_all(self.core)
        await self._linger()
        closer = asyncio.create_task(self._hang_up())
        await super().shutdown()
        closer.cancel()
        await self.core.stop()

    async def _linger(self) -> None:
        """Wait for clients to leave."""
        if self.server_state.connections:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LINGER):
                    await self.server_state.left.wait()

    async def _hang_up(self) -> None:
        """Cut connections whose requests are done: a client that does not read would hold its TLS goodbye up for long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_DRAIN):
                while self.server_state.tasks:
                    await asyncio.wait(tuple(self.server_state.tasks))
        await asyncio.sleep(_GOODBYE)
        for connection in tuple(self.server_state.connections):
            transport = getattr(connection, "transport", None)
            if transport is not None:
                transport.abort()


def application(core: Core) -> tuple[Chain, FastAPI]:
    """The whole ASGI application around a core."""
    app = system.build(core)
    return Chain(core, app), app


def config(app: Chain) -> uvicorn.Config:
    """uvicorn's settings: our protocols, and nothing that the application or the server does itself."""
    return uvicorn.Config(
        app,
        loop="uvloop",
        http=HttpProtocol,
        ws=WebSocketProtocol,
        ws_per_message_deflate=False,
        ws_ping_interval=None,
        lifespan="off",
        access_log=False,
        log_config=None,
        proxy_headers=False,
        server_header=False,
        date_header=True,
        backlog=_BACKLOG,
        timeout_keep_alive=120,
        timeout_graceful_shutdown=_DRAIN,
    )


def listen(options: Options) -> socket.socket:
    """The listening socket; workers share the port by SO_REUSEPORT."""
    family = socket.AF_INET6 if ":" in options.bind_address else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if options.workers > 1:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.bind((options.bind_address, options.secure_port))
    listener.set_inheritable(True)
    return listener


async def serve(
    options: Options, ready: Callable[[], None], plugins: Callable[[Core], Plugins] = security.plugins
) -> None:
    """Run one worker until it is told to stop; `ready` is called once it listens."""
    core = Core(options)
    await core.start(plugins)
    if options.compaction_interval > 0:
        core.spawn(compaction.run(core.etcd, core.feed, options.compaction_interval))
    gc.collect()
    gc.freeze()  # what has been loaded stays: later collections need not look at it
    gc.set_threshold(20_000, 20, 50)
    chain, _ = application(core)
    listener = listen(options)
    server = Server(config(chain), core, listener)
    log.info("serving on %s:%d", *listener.getsockname()[:2])
    core.spawn(keep_alive())
    ready()
    await server.serve()


def announce() -> None:
    """Tell systemd that the server is ready."""
    notify("READY=1")


def run(options: Options, ready: Callable[[], None] = announce) -> None:
    """Run one worker in this process."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(options, ready))
