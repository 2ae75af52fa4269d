"""Durations as Kubernetes writes and reads them: `5m`, `1h30m`, and an age in at most two units."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from api import timestamp
from cloudctl.faults import Fault

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")


def seconds(text: str) -> float:
    """`90s`, `1h30m`, or a bare number of seconds. Raises Fault."""
    plain = text.removeprefix("-")
    if re.fullmatch(r"\d+(\.\d+)?", plain):
        value = float(plain)
    elif plain and _PART.sub("", plain) == "":
        value = sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(plain))
    else:
        raise Fault(f'invalid duration "{text}": write for example 30s, 5m or 1h30m')
    return -value if text.startswith("-") else value


def human(value: float) -> str:
    """A duration in kubectl's words: `12s`, `3m4s`, `25m`, `5h12m`, `3d4h`, `40d`, `2y30d`."""
    total = int(value)
    if total < 0:
        return "0s" if total >= -1 else "<invalid>"
    if total < 120:
        return f"{total}s"
    minutes, hours, days = total // 60, total // 3600, total // 86400
    if minutes < 10:
        return _two(minutes, "m", total % 60, "s")
    if minutes < 180:
        return f"{minutes}m"
    if hours < 8:
        return _two(hours, "h", minutes % 60, "m")
    if hours < 48:
        return f"{hours}h"
    if hours < 192:
        return _two(days, "d", hours % 24, "h")
    if days < 730:
        return f"{days}d"
    return _two(days // 365, "y", days % 365, "d") if days < 365 * 8 else f"{days // 365}y"


def _two(big: int, big_unit: str, small: int, small_unit: str) -> str:
    return f"{big}{big_unit}{small}{small_unit}" if small else f"{big}{big_unit}"


def age(created: str, now: datetime | None = None) -> str:
    """How long ago a timestamp was; `<unknown>` for none."""
    if not created:
        return "<unknown>"
    return human(((now or datetime.now(UTC)) - timestamp.parse(created)).total_seconds())
