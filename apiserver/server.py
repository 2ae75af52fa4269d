"""The process: build the application, serve it over TLS, end watches before requests when told to stop."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn
import uvloop
from fastapi import FastAPI

from apiserver import compaction, security, system
from apiserver.chain import Chain
from apiserver.core import Core
from apiserver.handlers import watch
from apiserver.options import Options
from apiserver.plugins import Plugins
from apiserver.tls import HttpProtocol, WebSocketProtocol
from client.notify import keep_alive, notify

log = logging.getLogger("apiserver")

_DRAIN = 12
"""Seconds that requests may take to finish once the server has been told to stop."""
_GOODBYE = 1.0
"""Seconds that a client may take to end its connection after that."""
_BACKLOG = 2048


class Server(uvicorn.Server):
    """uvicorn's server, which ends watches first: they would hold the drain up until their clients leave."""

    def __init__(self, config: uvicorn.Config, core: Core) -> None:
        super().__init__(config)
        self.core = core

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop on SIGTERM and SIGINT, with exit code 0 (uvicorn would die of the signal after its shutdown)."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        yield

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop listening, end watches, drain requests, then let go of etcd."""
        notify("STOPPING=1")
        self.core.stopping.set()
        watch.end_all(self.core)
        closer = asyncio.create_task(self._hang_up())
        await super().shutdown(sockets)
        closer.cancel()
        await self.core.stop()

    async def _hang_up(self) -> None:
        """Cut connections whose requests are done: a client that does not read would hold its TLS goodbye up for long."""
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


def config(options: Options, app: Chain) -> uvicorn.Config:
    """uvicorn's settings: TLS with optional client certificates, our protocols."""
    return uvicorn.Config(
        app,
        host=options.bind_address,
        port=options.secure_port,
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
        ssl_certfile=str(options.tls_cert_file) if options.tls_cert_file else None,
        ssl_keyfile=str(options.tls_private_key_file) if options.tls_private_key_file else None,
        ssl_ca_certs=str(options.client_ca_file) if options.client_ca_file else None,
        ssl_cert_reqs=ssl.CERT_OPTIONAL if options.client_ca_file else ssl.CERT_NONE,
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
    server = Server(config(options, chain), core)
    listener = listen(options)
    log.info("serving on %s:%d", *listener.getsockname()[:2])
    core.spawn(keep_alive())
    ready()
    await server.serve(sockets=[listener])


def announce() -> None:
    """Tell systemd that the server is ready."""
    notify("READY=1")


def run(options: Options, ready: Callable[[], None] = announce) -> None:
    """Run one worker in this process."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(options, ready))
