"""The user's terminal in raw mode, and its size as it changes."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def raw() -> Iterator[None]:
    """Keys go to the other side as they are typed; the terminal is as before afterwards, whatever happens."""
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    try:
        tty.setraw(descriptor)
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


@contextmanager
def sizes() -> Iterator[asyncio.Queue[tuple[int, int]]]:
    """A queue of (width, height): the present size at once, then one whenever the window changes."""
    queue: asyncio.Queue[tuple[int, int]] = asyncio.Queue()

    def put() -> None:
        size = os.get_terminal_size(sys.stdin.fileno())
        queue.put_nowait((size.columns, size.lines))

    loop = asyncio.get_running_loop()
    put()
    loop.add_signal_handler(signal.SIGWINCH, put)
    try:
        yield queue
    finally:
        loop.remove_signal_handler(signal.SIGWINCH)
