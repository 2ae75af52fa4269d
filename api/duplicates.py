"""Keys that stand twice in one JSON object. Parsers keep the last silently; `fieldValidation` wants them named."""

import json
import re
from typing import Any

_KEY = re.compile(rb'"\s*:')


class _Repeated(dict[str, Any]):
    """A decoded object that had a key more than once."""

    keys_again: tuple[str, ...] = ()


def find_duplicates(raw: bytes, data: Any = None) -> list[str]:
    """Texts such as `duplicate field "spec.replicas"`, in order; empty if there are none.

    `data`, if given, is what `raw` decodes to. With it a body without duplicates, which is nearly every body, costs a
    count of its keys instead of a second parse. Raises ValueError if `raw` is no JSON.
    """
    if data is not None and len(_KEY.findall(raw)) == _count(data):
        return []
    found: list[str] = []
    _collect(json.loads(raw, object_pairs_hook=_pairs), "", found)
    return [f'duplicate field "{path}"' for path in found]


def _count(data: Any) -> int:
    """The number of keys in all objects of `data`."""
    if isinstance(data, dict):
        total = len(data)
        for value in data.values():
            if isinstance(value, dict | list):
                total += _count(value)
        return total
    if isinstance(data, list):
        return sum(_count(value) for value in data if isinstance(value, dict | list))
    return 0


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    plain = dict(pairs)
    if len(plain) == len(pairs):
        return plain
    repeated = _Repeated(plain)
    names = [name for name, _ in pairs]
    repeated.keys_again = tuple(name for name in plain if names.count(name) > 1)
    return repeated


def _collect(data: Any, prefix: str, found: list[str]) -> None:
    if isinstance(data, dict):
        if isinstance(data, _Repeated):
            found += [f"{prefix}.{name}" if prefix else name for name in data.keys_again]
        for name, value in data.items():
            _collect(value, f"{prefix}.{name}" if prefix else name, found)
    elif isinstance(data, list):
        for index, value in enumerate(data):
            _collect(value, f"{prefix}[{index}]", found)
