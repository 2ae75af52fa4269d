"""A client that writes while two more read and watch, and that checks what they have been told against one order of writes."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.api.http import Api, Object

PATH = "/api/v1/namespaces/default/configmaps"
COUNTER = "counter"
Connect = Callable[[], httpx.Client]


@dataclass
class Told:
    """What one kind of request has been told."""

    acknowledged: int = 0
    refused: int = 0
    last: float = field(default_factory=time.monotonic)
    gap: float = 0.0
    """The longest time in seconds without a success."""
    codes: dict[int, int] = field(default_factory=dict)

    def note(self, code: int) -> bool:
        """Take note of an answer (0: none); tell whether it was a success."""
        now = time.monotonic()
        self.codes[code] = self.codes.get(code, 0) + 1
        if 200 <= code < 300:
            self.acknowledged += 1
            self.gap, self.last = max(self.gap, now - self.last), now
            return True
        self.refused += 1
        return False


class Load:
    """Writes, reads and watches in threads from `with` on until its end, which checks. `connect` gives a client each."""

    def __init__(self, connect: Connect) -> None:
        self.connect = connect
        self.creates, self.updates, self.reads = Told(), Told(), Told()
        self.created: dict[str, int] = {}
        """Acknowledged creates and their revisions."""
        self.count = 0
        """The counter's value that was acknowledged last."""
        self.doubtful = 0
        """Increments of the counter that were not answered."""
        self.events: dict[int, tuple[str, str]] = {}
        self.faults: list[str] = []
        self._stop = threading.Event()
        self._names = iter(range(1_000_000))
        self._threads = [
            threading.Thread(target=each) for each in (self._create, self._update, self._read, self._watch)
        ]

    def __enter__(self) -> "Load":
        with self.connect() as client:
            made = Api(client).post(PATH, {"metadata": {"name": COUNTER}, "data": {"n": "0"}})
        self.first = int(made["metadata"]["resourceVersion"])
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(60)
        if kind is None:
            self.check()

    def until(self, more: int = 30, seconds: float = 60) -> None:
        """Wait until so many further creates, updates and reads have succeeded."""
        goals = [(told, told.acknowledged + more) for told in (self.creates, self.updates, self.reads)]
        deadline = time.monotonic() + seconds
        while any(told.acknowledged < goal for told, goal in goals):
            if self.faults or time.monotonic() > deadline:
                raise AssertionError(f"{self.faults or 'no progress'}: {self.creates}, {self.updates}, {self.reads}")
            self._stop.wait(0.02)

    def check(self) -> None:
        """Nothing acknowledged is lost, every event has come once and in order, no read was stale."""
        assert not self.faults, self.faults
        with self.connect() as client:
            listed = Api(client).get(PATH)
            latest = int(listed["metadata"]["resourceVersion"])
            there = {each["metadata"]["name"]: each for each in listed["items"]}
            deadline = time.monotonic() + 30
            with Api(client).watch(PATH, resourceVersion=self.first, timeoutSeconds=1) as watch:
                replayed = {
                    _revision(event): _brief(event) for event in watch.until_end() if event["type"] != "BOOKMARK"
                }
            assert time.monotonic() < deadline
        assert set(self.created) <= set(there), sorted(set(self.created) - set(there))
        for name, revision in self.created.items():
            assert int(there[name]["metadata"]["resourceVersion"]) == revision, name
        value = int(there[COUNTER]["data"]["n"])
        assert self.count <= value <= self.count + self.doubtful
        told = {revision: event for revision, event in replayed.items() if revision <= max(self.events, default=0)}
        assert told == self.events, "the watch has told other events than there are"
        assert latest >= max(replayed, default=0)

    def _create(self) -> None:
        with self.connect() as client:
            while not self._stop.is_set():
                name = f"c{next(self._names)}"
                answer = self._ask(client, self.creates, "POST", PATH, {"metadata": {"name": name}})
                if answer:
                    self.created[name] = int(answer["metadata"]["resourceVersion"])

    def _update(self) -> None:
        """Count up by updates that are guarded by the version read before."""
        path = f"{PATH}/{COUNTER}"
        with self.connect() as client:
            while not self._stop.is_set():
                present = self._ask(client, Told(), "GET", path)
                if not present:
                    continue
                value = int(present["data"]["n"])
                if not self.count <= value <= self.count + self.doubtful:
                    self.faults.append(f"the counter is {value} after {self.count} (+{self.doubtful} in doubt)")
                self.count, self.doubtful = value, 0
                present["data"]["n"] = str(value + 1)
                self.doubtful = 1
                if self._ask(client, self.updates, "PUT", path, present):
                    self.count, self.doubtful = value + 1, 0

    def _read(self) -> None:
        seen = 0
        with self.connect() as client:
            while not self._stop.is_set():
                before = self.count
                answer = self._ask(client, self.reads, "GET", f"{PATH}/{COUNTER}")
                if not answer:
                    continue
                revision = int(answer["metadata"]["resourceVersion"])
                if int(answer["data"]["n"]) < before or revision < seen:
                    self.faults.append(
                        f"a read is stale: revision {revision} after {seen}, n {answer['data']} after {before}"
                    )
                seen = revision

    def _watch(self) -> None:
        at = self.first
        while not self._stop.is_set():
            try:
                with (
                    self.connect() as client,
                    Api(client).watch(PATH, resourceVersion=at, timeoutSeconds=5) as watch,
                ):
                    for event in watch.until_end():
                        if event["type"] == "ERROR":
                            self.faults.append(f"the watch could not go on: {event}")
                            return
                        revision = _revision(event)
                        if revision <= at:
                            self.faults.append(f"the watch told revision {revision} after {at}")
                        self.events[revision], at = _brief(event), revision
            except (httpx.TransportError, AssertionError):
                self._stop.wait(0.05)

    def _ask(self, client: httpx.Client, told: Told, method: str, path: str, body: Any = None) -> Object | None:
        try:
            response = client.request(method, path, json=body)
        except httpx.TransportError:
            told.note(0)
            self._stop.wait(0.02)
            return None
        if told.note(response.status_code):
            answer: Object = response.json()
            return answer
        self._stop.wait(0.02)
        return None


def _revision(event: Object) -> int:
    return int(event["object"]["metadata"]["resourceVersion"])


def _brief(event: Object) -> tuple[str, str]:
    return event["type"], event["object"]["metadata"]["name"]
