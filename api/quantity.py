"""Resource quantities: `100m`, `1.5`, `128Mi`, `2e3`. Source: the API reference's "Quantity" serialisation rules."""

from __future__ import annotations

import re
from decimal import ROUND_CEILING, Decimal
from functools import lru_cache

_BINARY = {"Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30, "Ti": 1 << 40, "Pi": 1 << 50, "Ei": 1 << 60}
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BY_EXPONENT = {v: k for k, v in _DECIMAL.items()}
_SHAPE = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(?:(Ki|Mi|Gi|Ti|Pi|Ei|[numkMGTPE])|[eE]([+-]?\d+))?")


def _split(text: str) -> tuple[Decimal, str, str | None]:
    match = _SHAPE.fullmatch(text)
    if not match:
        raise ValueError("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'")
    return Decimal(match[1]), match[2] or "", match[3]


@lru_cache(maxsize=4096)
def parse(text: str | int | float) -> Decimal:
    """The exact number; raises ValueError for text that is no quantity."""
    number, suffix, exponent = _split(str(text))
    if exponent is not None:
        return number.scaleb(int(exponent))
    if suffix in _BINARY:
        return number * _BINARY[suffix]
    return number.scaleb(_DECIMAL[suffix])


def _ceil(number: Decimal) -> int:
    return int(number.to_integral_value(rounding=ROUND_CEILING))


@lru_cache(maxsize=4096)
def milli(text: str | int | float) -> int:
    """Thousandths, rounded up: CPU as millicores."""
    return _ceil(parse(text) * 1000)


@lru_cache(maxsize=4096)
def value(text: str | int | float) -> int:
    """Whole units, rounded up: memory as bytes."""
    return _ceil(parse(text))


@lru_cache(maxsize=4096)
def canonical(text: str | int | float) -> str:
    """The form the API returns: the same family of suffix, the largest one that leaves no fraction."""
    _, suffix, exponent = _split(str(text))
    total = parse(text)
    if suffix in _BINARY and (total == total.to_integral_value()) and abs(total) >= 1024:
        whole = int(total)
        for name, factor in reversed(_BINARY.items()):
            if whole % factor == 0:
                return f"{whole // factor}{name}"
        return str(whole)
    if total == 0:
        return "0"
    nano = _ceil(total.scaleb(9))
    power = -9
    while power < 18 and nano % 1000 == 0:
        nano //= 1000
        power += 3
    if exponent is not None:
        return f"{nano}e{power}" if power else str(nano)
    return f"{nano}{_BY_EXPONENT[power]}"


def from_milli(amount: int) -> str:
    """Millicores as a quantity: 1500 → `1500m`, 2000 → `2`."""
    return str(amount // 1000) if amount % 1000 == 0 else f"{amount}m"
