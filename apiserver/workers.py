"""Several worker processes on one port (SO_REUSEPORT), watched over by a parent that serves nothing itself.

Nothing lives in one worker's memory alone but caches, so any worker can answer any request.
"""

from __future__ import annotations

import logging
import multiprocessing
import signal
import threading
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from apiserver import server
from apiserver.options import Options
from client import logs
from client.notify import notify, watchdog_seconds

log = logging.getLogger("apiserver.workers")

_PAUSE = 1.0
"""Seconds before a worker that died is replaced."""
_STOP_SECONDS = 9.5
"""Seconds a worker may take to stop, beyond --shutdown-delay-duration."""
_context = multiprocessing.get_context("spawn")


def _work(options: Options, ready: Connection) -> None:
    logs.configure(options.log_level)
    server.run(options, lambda: ready.send(True))


@dataclass(slots=True, eq=False)
class Worker:
    """One child and the pipe on which it says, once, that it serves."""

    process: BaseProcess
    pipe: Connection
    ready: bool = False


class Workers:
    """The parent. `run()` returns after SIGTERM or SIGINT, when all workers have ended."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.stopping = threading.Event()
        self.workers: list[Worker] = []
        self._announced = False

    def _start(self) -> None:
        ours, theirs = _context.Pipe(duplex=False)
        process = _context.Process(target=_work, args=(self.options, theirs))
        process.start()
        theirs.close()
        self.workers.append(Worker(process, ours))

    def run(self) -> None:
        """Keep `options.workers` workers running until told to stop."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._stop())
        for _ in range(self.options.workers):
            self._start()
        while self.workers:
            silent = [worker.pipe for worker in self.workers if not worker.ready]
            wait([*silent, *(worker.process.sentinel for worker in self.workers)], watchdog_seconds())
            notify("WATCHDOG=1")
            self._look()

    def _look(self) -> None:
        """Take note of workers that have become ready or have ended."""
        for worker in tuple(self.workers):
            if not worker.process.is_alive():
                self._replace(worker)
            elif not worker.ready and worker.pipe.poll():
                worker.ready = True
        if not self._announced and all(worker.ready for worker in self.workers):
            self._announced = True
            server.announce()

    def _replace(self, worker: Worker) -> None:
        self.workers.remove(worker)
        worker.pipe.close()
        if self.stopping.is_set():
            return
        log.error("worker %s ended with code %s; starting another", worker.process.pid, worker.process.exitcode)
        if not self.stopping.wait(_PAUSE):
            self._start()

    def _stop(self) -> None:
        notify("STOPPING=1")
        self.stopping.set()
        for worker in self.workers:
            worker.process.terminate()
        killer = threading.Timer(_STOP_SECONDS + self.options.shutdown_delay_duration, self._kill)
        killer.daemon = True
        killer.start()

    def _kill(self) -> None:
        for worker in self.workers:
            worker.process.kill()


def run(options: Options) -> None:
    """Run the parent and its workers."""
    Workers(options).run()
