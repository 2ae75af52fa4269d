"""Exponential back-off with jitter, shared by everything that tries again."""

from __future__ import annotations

import random


class Backoff:
    """Delays that double from `first` to `longest` seconds, each stretched by up to half; `reset` after health."""

    def __init__(self, first: float = 0.2, longest: float = 30.0, jitter: float = 0.5) -> None:
        self._first, self._longest, self._jitter = first, longest, jitter
        self._next = first

    def next(self) -> float:
        """The delay before the coming attempt, in seconds."""
        delay, self._next = self._next, min(self._next * 2, self._longest)
        return delay * (1 + self._jitter * random.random())  # noqa: S311 (jitter, no secret)

    def reset(self) -> None:
        """Begin again at the first delay."""
        self._next = self._first
