"""Connections to a pod's own loopback, made from outside: a socket belongs for good to the namespace it was created in.

Only the socket is created inside, by a thread that joins the namespace (setns(2) moves one thread, not the process) and
ends at once, so nothing has to be restored; connecting and everything after is done by the event loop.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import socket
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

CONNECT_SECONDS = 10.0
_CLONE_NEWNET = 0x40000000
_LOOPBACKS = ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"))


def _socket_inside(namespace: str, family: socket.AddressFamily) -> socket.socket:
    """A non-blocking TCP socket of a namespace. Leaves the calling thread there: run it on one that ends."""
    library = ctypes.CDLL(None, use_errno=True)
    with Path(namespace).open("rb") as handle:
        if library.setns(handle.fileno(), _CLONE_NEWNET) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), namespace)
    made = socket.socket(family, socket.SOCK_STREAM)
    made.setblocking(False)
    return made


def _discard(done: Future[socket.socket]) -> None:
    if not done.cancelled() and not done.exception():
        done.result().close()


async def socket_inside(pid: int, family: socket.AddressFamily) -> socket.socket:
    """A non-blocking TCP socket in a process's network namespace. Raises OSError."""
    pool = ThreadPoolExecutor(1, thread_name_prefix="netns")
    try:
        work = pool.submit(_socket_inside, f"/proc/{pid}/ns/net", family)
    finally:
        # The thread ends with its one piece of work.
        pool.shutdown(wait=False)
    try:
        return await asyncio.wrap_future(work)
    except asyncio.CancelledError:
        work.add_done_callback(_discard)
        raise


async def connect(pid: int, port: int) -> socket.socket:
    """A connected socket to a port of a pod's loopback, IPv4 first. Raises OSError whose text names every attempt."""
    failures = []
    for family, host in _LOOPBACKS:
        try:
            made = await socket_inside(pid, family)
        except OSError as error:
            failures.append(f"{host}: {error.strerror or error}")
            continue
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await asyncio.get_running_loop().sock_connect(made, (host, port))
        except TimeoutError:
            failures.append(f"{host}: no answer within {CONNECT_SECONDS:g} s")
        except OSError as error:
            failures.append(f"{host}: {os.strerror(error.errno).lower() if error.errno else error}")
        except asyncio.CancelledError:
            made.close()
            raise
        else:
            return made
        made.close()
    raise OSError(f"failed to connect to localhost:{port} inside the pod's network namespace: {'; '.join(failures)}")
