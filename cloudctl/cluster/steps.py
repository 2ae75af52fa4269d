"""Saying each step: a line that grows a check mark and its seconds on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console


class Steps:
    """Prints to stderr, so that stdout stays free for what a command answers."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._began = time.monotonic()

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """One step: shown while it lasts, then with its duration; nothing more is said when it fails."""
        began = time.monotonic()
        if sys.stderr.isatty():
            with self._console.status(f"{title} …"):
                yield
        else:
            yield
        self._console.print(f"[green]✓[/green] {title} [dim]{time.monotonic() - began:.1f} s[/dim]")

    def say(self, text: str) -> None:
        """A line of its own."""
        self._console.print(text)

    @property
    def seconds(self) -> float:
        """Since the first step."""
        return time.monotonic() - self._began
