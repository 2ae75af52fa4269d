"""Durations as Kubernetes writes and reads them: `5m`, `1h30m`, and how long ago something was."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from api.columns.cells import since
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


def age(created: str, now: datetime | None = None) -> str:
    """How long ago a timestamp was; `<unknown>` for none."""
    return since(created, now or datetime.now(UTC))
