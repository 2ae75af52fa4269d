"""The protobuf wire format: tags, varints, lengths. Source: protobuf.dev, "Encoding"."""

from __future__ import annotations

import struct
from collections.abc import Iterator

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5


class WireError(ValueError):
    """The bytes are no protobuf message."""


def varint(data: bytes, at: int) -> tuple[int, int]:
    """(the unsigned number, the position after it)."""
    number = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise WireError("a number is cut off")
        byte = data[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, at
        shift += 7


def signed(number: int) -> int:
    """An int32 or int64, which protobuf writes as 64 bits in two's complement."""
    return number - (1 << 64) if number >= 1 << 63 else number


def double(number: int) -> float:
    """The double whose bits a FIXED64 field holds."""
    return float(struct.unpack("<d", number.to_bytes(8, "little"))[0])


def fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """(field number, value) in the order written: bytes for LENGTH fields, else the raw number. Raises WireError."""
    at, end = 0, len(data)
    while at < end:
        tag, at = varint(data, at)
        kind = tag & 7
        if kind == VARINT:
            number, at = varint(data, at)
            yield tag >> 3, number
            continue
        if kind == LENGTH:
            size, at = varint(data, at)
        elif kind in (FIXED64, FIXED32):
            size = 8 if kind == FIXED64 else 4
        else:
            raise WireError(f"wire type {kind} is not used by Kubernetes")
        if at + size > end:
            raise WireError("a field is cut off")
        piece = data[at : at + size]
        at += size
        yield tag >> 3, piece if kind == LENGTH else int.from_bytes(piece, "little")
