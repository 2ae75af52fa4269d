"""Several worker processes on one port (SO_REUSEPORT), watched over by a parent that serves nothing itself.

Nothing lives in one worker's memory alone but caches, so any worker can answer any request.
"""

from __future__ import annotations

import logging
import multiprocessing
import multiprocessing.synchronize
import signal
import threading
import time
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess

from apiserver import server
from apiserver.options import Options

log = logging.getLogger("apiserver.workers")

_READY_SECONDS = 60.0
_PAUSE = 1.0
"""Seconds before a worker that died is replaced."""
_STOP_SECONDS = 30.0
_context = multiprocessing.get_context("spawn")


def _work(options: Options, ready: multiprocessing.synchronize.Event) -> None:
    logging.basicConfig(
        level=options.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s[%(process)d] %(message)s"
    )
    server.run(options, ready.set)


class Workers:
    """The parent. `run()` returns after SIGTERM or SIGINT, when all workers have ended."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.stopping = threading.Event()
        self.processes: list[BaseProcess] = []

    def _start(self) -> multiprocessing.synchronize.Event:
        ready = _context.Event()
        process = _context.Process(target=_work, args=(self.options, ready))
        process.start()
        self.processes.append(process)
        return ready

    def run(self) -> None:
        """Keep `options.workers` workers running until told to stop."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._stop())
        events = [self._start() for _ in range(self.options.workers)]
        if all(event.wait(_READY_SECONDS) for event in events):
            server.announce()
        while self.processes:
            wait([process.sentinel for process in self.processes])
            for process in [each for each in self.processes if not each.is_alive()]:
                self.processes.remove(process)
                if not self.stopping.is_set():
                    log.error("worker %s ended with code %s; starting another", process.pid, process.exitcode)
                    self.stopping.wait(_PAUSE)
                    if not self.stopping.is_set():
                        self._start()

    def _stop(self) -> None:
        self.stopping.set()
        for process in self.processes:
            process.terminate()
        killer = threading.Timer(_STOP_SECONDS, self._kill)
        killer.daemon = True
        killer.start()

    def _kill(self) -> None:
        for process in self.processes:
            process.kill()


def run(options: Options) -> None:
    """Run the parent and its workers."""
    started = time.monotonic()
    Workers(options).run()
    log.info("stopped after %.0f s", time.monotonic() - started)
