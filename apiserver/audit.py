"""The audit log: one JSON line per request, at the level Metadata: who, what, from where, with which outcome; never a body.

Requests are noted in memory and written by a thread; when the disk cannot keep up, the oldest notes are dropped and counted,
because the API must not wait for its log.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections import deque
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter, time
from typing import TYPE_CHECKING, BinaryIO

import orjson

from api.types import Object
from apiserver.auth.user import User
from apiserver.request import Request

if TYPE_CHECKING:
    from apiserver.core import Core

log = logging.getLogger("apiserver.audit")

CAPACITY = 16384
"""Notes kept in memory at most."""
BATCH_WAIT = 0.2
"""Seconds over which notes are collected into one write."""
Note = tuple[Request, User, User | None, float, float, int]


class AuditLog:
    """Collects notes (`record`) and writes them (`run`, which the core spawns)."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._notes: deque[Note] = deque(maxlen=CAPACITY)
        self._wake = asyncio.Event()
        self._file: BinaryIO | None = None
        self.dropped = 0
        """Notes lost because the writer could not keep up."""

    def record(self, request: Request) -> None:
        """Take note of an answered request. Costs a tuple; never waits."""
        if len(self._notes) == CAPACITY:
            self.dropped += 1
        now = time()
        received = now - (perf_counter() - request.started)
        self._notes.append((request, request.user, request.impersonator, received, now, request.status))
        self._wake.set()

    async def run(self) -> None:
        """Write until cancelled; what is noted by then is still written."""
        try:
            while True:
                await self._wake.wait()
                await asyncio.sleep(BATCH_WAIT)
                self._wake.clear()
                await self._flush()
        finally:
            self._write(self._drain())

    async def start(self, core: Core) -> None:
        """Startup hook: write in the background."""
        core.spawn(self.run())

    async def _flush(self) -> None:
        await asyncio.to_thread(self._write, self._drain())

    def _drain(self) -> list[Note]:
        notes = list(self._notes)
        self._notes.clear()
        return notes

    def _write(self, notes: list[Note]) -> None:
        if not notes:
            return
        lines = b"".join(orjson.dumps(event(note)) + b"\n" for note in notes)
        try:
            target = self._target()
            target.write(lines)
            target.flush()
        except OSError as error:
            self.dropped += len(notes)
            log.warning("audit log %s: %s; %d notes lost so far", self._path, error, self.dropped)

    def _target(self) -> BinaryIO:
        """Return the open file; open it again when it has been moved away (log rotation)."""
        if self._path == "-":
            return sys.stdout.buffer
        path = Path(self._path)
        if self._file is not None:
            try:
                if os.path.samestat(path.stat(), os.fstat(self._file.fileno())):
                    return self._file
            except FileNotFoundError:
                pass
            self._file.close()
        self._file = os.fdopen(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "ab")
        return self._file


def _micro(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def event(note: Note) -> Object:
    """Return the audit.k8s.io/v1 Event of one request."""
    request, user, impersonator, received, ended, status = note
    query = request.scope.get("query_string", b"").decode("latin-1")
    found: Object = {
        "kind": "Event",
        "apiVersion": "audit.k8s.io/v1",
        "level": "Metadata",
        "auditID": request.id,
        "stage": "ResponseComplete",
        "requestURI": f"{request.info.path}?{query}" if query else request.info.path,
        "verb": request.info.verb,
        "user": (impersonator or user).as_object(),
        "sourceIPs": [request.client_address],
        "userAgent": request.header(b"user-agent"),
        "responseStatus": {"metadata": {}, "code": status},
        "requestReceivedTimestamp": _micro(received),
        "stageTimestamp": _micro(ended),
    }
    if impersonator:
        found["impersonatedUser"] = user.as_object()
    if reference := _reference(request):
        found["objectRef"] = reference
    if request.annotations:
        found["annotations"] = dict(request.annotations)
    return found


def _reference(request: Request) -> Object | None:
    info = request.info
    if not info.resource:
        return None
    fields = {
        "resource": info.resource,
        "namespace": info.namespace,
        "name": info.name,
        "apiGroup": info.group,
        "apiVersion": info.version,
        "subresource": info.subresource,
    }
    return {key: value for key, value in fields.items() if value}
