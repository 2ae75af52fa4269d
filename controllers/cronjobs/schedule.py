"""Cron schedules: `*/5 8-18 ? * MON-FRI`, `@daily`, `@every 90s`. Pure.

Grammar: minute, hour, day of month, month, day of week; lists, ranges, steps, names of months and days; `?` means `*`. If both
day fields are restricted, a day that meets either counts. Times that daylight saving time skips are left out.
Source: the Kubernetes documentation, "CronJob: Writing a CronJob spec"; crontab(5).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

_FIELDS = (("minute", 0, 59), ("hour", 0, 23), ("day of month", 1, 31), ("month", 1, 12), ("day of week", 0, 6))
_MONTHS = {n: i for i, n in enumerate("jan feb mar apr may jun jul aug sep oct nov dec".split(), 1)}
_DAYS = {n: i for i, n in enumerate("sun mon tue wed thu fri sat".split())}
_MACROS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(h|ms|m|s)")
_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_HORIZON = timedelta(days=5 * 366)


@dataclass(frozen=True, slots=True)
class Schedule:
    """A parsed schedule in a time zone. Either the five sets, or a fixed period."""

    minutes: frozenset[int] = frozenset()
    hours: frozenset[int] = frozenset()
    days: frozenset[int] = frozenset()
    months: frozenset[int] = frozenset()
    weekdays: frozenset[int] = frozenset()
    any_day: bool = True
    """Whether one of the two day fields is unrestricted, so that both must hold."""
    zone: tzinfo = UTC
    every: timedelta | None = None

    def next(self, after: datetime) -> datetime | None:
        """The first time after that moment, in UTC; None when there is none within five years."""
        if self.every is not None:
            return after.replace(microsecond=0) + self.every
        day = after.astimezone(self.zone).replace(tzinfo=None)
        local = day.replace(second=0, microsecond=0)
        end = local + _HORIZON
        while local <= end:
            if local.month not in self.months:
                local = (local.replace(day=1) + timedelta(days=32)).replace(day=1, hour=0, minute=0)
            elif not self._is_day(local):
                local = local.replace(hour=0, minute=0) + timedelta(days=1)
            elif local.hour not in self.hours:
                local = local.replace(minute=0) + timedelta(hours=1)
            elif local.minute not in self.minutes or (found := self._moment(local, after)) is None:
                local += timedelta(minutes=1)
            else:
                return found
        return None

    def _is_day(self, local: datetime) -> bool:
        by_month, by_week = local.day in self.days, local.isoweekday() % 7 in self.weekdays
        return by_month and by_week if self.any_day else by_month or by_week

    def _moment(self, local: datetime, after: datetime) -> datetime | None:
        """The wall-clock time as a moment after `after`; None if it is not, or if the clock never shows it."""
        moment = local.replace(tzinfo=self.zone).astimezone(UTC)
        if moment.astimezone(self.zone).replace(tzinfo=None) != local or moment <= after:
            return None
        return moment


def parse(text: str, zone: tzinfo = UTC) -> Schedule:
    """A schedule from its text. Raises ValueError with a sentence that names the wrong part."""
    text = text.strip()
    if text.startswith("@every "):
        return Schedule(zone=zone, every=_period(text.removeprefix("@every ").strip()))
    if text.startswith("@"):
        if text not in _MACROS:
            raise ValueError(f"unrecognized descriptor: {text}")
        text = _MACROS[text]
    parts = text.split()
    if len(parts) != len(_FIELDS):
        raise ValueError(f"expected exactly 5 fields, found {len(parts)}: {text!r}")
    minutes, hours, days, months, weekdays = (_field(part, *row) for part, row in zip(parts, _FIELDS, strict=True))
    any_day = any(part[0] in "*?" for part in (parts[2], parts[4]))
    return Schedule(minutes, hours, days, months, weekdays, any_day=any_day, zone=zone)


def _period(text: str) -> timedelta:
    found = list(_DURATION.finditer(text))
    if not found or "".join(m[0] for m in found) != text:
        raise ValueError(f"failed to parse duration {text!r}")
    return timedelta(seconds=max(1.0, float(int(sum(float(m[1]) * _UNITS[m[2]] for m in found)))))


def _field(text: str, name: str, low: int, high: int) -> frozenset[int]:
    values: set[int] = set()
    for part in text.split(","):
        span, slash, step = part.partition("/")
        if slash and (not step.isdigit() or int(step) == 0):
            raise ValueError(f"step of {name} must be a positive number: {part!r}")
        if span in ("*", "?"):
            first, last = low, high
        else:
            start, dash, stop = span.partition("-")
            first = _number(start, name)
            last = _number(stop, name) if dash else (high if slash else first)
        if not low <= first <= high or not low <= last <= high or first > last:
            raise ValueError(f"{name} must be within {low} and {high}: {part!r}")
        values.update(range(first, last + 1, int(step) if slash else 1))
    return frozenset(values)


def _number(text: str, name: str) -> int:
    names = {"month": _MONTHS, "day of week": _DAYS}.get(name, {})
    if text.lower() in names:
        return names[text.lower()]
    if not text.isdigit():
        raise ValueError(f"failed to parse {name}: {text!r}")
    return int(text)
