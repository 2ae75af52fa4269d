"""A store that keeps every promise, simulated: it makes right histories, and wrong ones by changing one thing in them."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from tests.lab.operations import Event, History, Outcome, Read, Session, Version, Write

KEYS = ("a", "b", "c")


@dataclass
class World:
    """Each operation takes effect at one moment between its begin and its end, and they overlap."""

    seed: int
    history: History = field(default_factory=History)
    now: float = 0.0
    revision: int = 10
    state: dict[str, Version] = field(default_factory=dict)
    log: list[tuple[float, str, Version]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)  # noqa: S311

    def run(self, steps: int) -> History:
        """Some operations, then the final read."""
        for number in range(steps):
            self.now += self.random.random()
            step = self.random.random()
            if step < 0.5:
                self._write(number)
            elif step < 0.8:
                keys = self.random.choice([*[(key,) for key in KEYS], KEYS])
                self.history.reads.append(self._read("reader", keys))
            elif step < 0.9:
                self.revision += 1  # somebody else's object
            else:
                self._watch(number)
        for session in self.history.sessions:
            self._follow(session)
        self.now += 10
        self.history.final = self._read("final", KEYS)
        return self.history

    def _span(self) -> tuple[float, float]:
        return self.now - self.random.random(), self.now + self.random.random()

    def _write(self, number: int) -> None:
        key, (begin, end) = self.random.choice(KEYS), self._span()
        current = self.state.get(key)
        guard = current.revision if current else 0
        outcome: Outcome = "ok"
        chance = self.random.random()
        happens = chance < 0.85
        if chance > 0.9:
            guard, outcome = guard + 1, "failed"
        elif chance > 0.7:
            outcome = "unknown"
        value = f"{number}"
        if happens:
            self.revision += 1
            self.state[key] = Version(self.revision, value)
            self.log.append((self.now, key, self.state[key]))
        elif outcome == "ok":
            outcome = "unknown"
        acknowledged = self.revision if outcome == "ok" else 0
        self.history.writes.append(Write("writer", key, value, guard, begin, end, outcome, acknowledged))

    def _read(self, client: str, keys: tuple[str, ...]) -> Read:
        begin, end = self._span()
        return Read(client, begin, end, {key: self.state.get(key) for key in keys})

    def _watch(self, number: int) -> None:
        self.history.sessions.append(
            Session(f"watcher-{number}", self._read(f"watcher-{number}", KEYS), self.revision, through=self.revision)
        )

    def _follow(self, session: Session) -> None:
        present = {key for key, version in session.listed.found.items() if version}
        for moment, key, version in self.log:
            if version.revision > session.start:
                kind = "MODIFIED" if key in present else "ADDED"
                session.events.append(Event(kind, key, version, moment + 1))
                present.add(key)
        session.through = self.revision
