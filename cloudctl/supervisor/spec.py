"""What the supervisor must know about a daemon to run it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Spec:
    """One daemon.

    `argv` is the program and its arguments, `env` is added to the supervisor's own environment, `log` is the file its
    output is appended to. `notify` says that readiness comes by sd_notify; without it a daemon is ready once started.
    `stop_seconds` bounds the time between SIGTERM and SIGKILL; `order` is the place in starting (stopping is reversed).
    """

    name: str
    argv: tuple[str, ...]
    log: str
    env: dict[str, str] = field(default_factory=dict)
    notify: bool = True
    stop_seconds: float = 10.0
    order: int = 50

    def to_json(self) -> dict[str, Any]:
        """As plain data for the control socket and the state file."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Spec:
        """The inverse of `to_json`; raises KeyError or TypeError on other shapes."""
        return cls(**{**data, "argv": tuple(data["argv"])})
