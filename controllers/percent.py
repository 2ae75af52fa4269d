"""Fields that hold a number or a percentage (`IntOrString`). Pure."""

from __future__ import annotations


def resolve(value: int | str | None, total: int, *, round_up: bool, default: int | str = 0) -> int:
    """The number that `value` means of `total`. Raises ValueError for text that is no percentage."""
    value = default if value is None else value
    if isinstance(value, int):
        return value
    if not value.endswith("%"):
        raise ValueError(f"invalid value {value!r}: neither an integer nor a percentage")
    product = int(value[:-1]) * total
    return -(-product // 100) if round_up else product // 100


def fenceposts(surge: int | str | None, unavailable: int | str | None, total: int) -> tuple[int, int]:
    """(maxSurge, maxUnavailable) as numbers; if both come out as 0, one pod may be unavailable, else nothing could move."""
    most_more = resolve(surge, total, round_up=True, default="25%")
    most_less = resolve(unavailable, total, round_up=False, default="25%")
    if most_more == 0 and most_less == 0:
        most_less = 1
    return most_more, most_less
