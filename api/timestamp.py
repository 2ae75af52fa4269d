"""Times as the API writes them: RFC 3339 in UTC, to the second (`Time`) or the microsecond (`MicroTime`)."""

from __future__ import annotations

from datetime import UTC, datetime


def now() -> str:
    """This moment, to the second: `2026-01-01T00:00:00Z`."""
    return format(datetime.now(UTC))


def now_micro() -> str:
    """This moment, to the microsecond: `2026-01-01T00:00:00.000000Z`."""
    return format_micro(datetime.now(UTC))


def format(moment: datetime) -> str:
    """A Time; `moment` must know its zone."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def format_micro(moment: datetime) -> str:
    """A MicroTime; `moment` must know its zone."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parse(text: str) -> datetime:
    """The moment a Time or MicroTime names, in UTC. Raises ValueError for anything else."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone")
    return moment.astimezone(UTC)
